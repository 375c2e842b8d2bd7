import path from 'node:path';
import { encode } from 'fast-png';
import { EngineChooser } from '../engine/choose';
import { ExitCode, UsageError, UserError, type CancelToken } from '../errors';
import { replaceFile, writeWhole } from '../files';
import { clusterEmbedding, embedNeurons, type Embedding } from '../tracing/clustering';
import { compare } from '../tracing/compare/compare';
import { psnr, toRgba } from '../tracing/picture';
import { traceInr, type Trace } from '../tracing/trace';
import { removals, scaled, withoutNeurons } from './ablations';
import { findingsOf, type Analysed } from './findings';
import { corrected, withCorrections, type CorrectedSource } from './corrections';
import {
  assumeModel,
  inspectModel,
  isModel,
  openModel,
  readTrainingCode,
  sketch,
  type Model,
  type NamedTarget,
} from './model';
import { TraceRegions } from './regions';
import { digest } from './digest';
import { findTarget, readTarget } from './target';
import { writeNpy, writeNpz, type NpzArray } from './npz';
import type { Pool } from './pool';
import type { CallName, EventOf, Inspection, Params, Picture, Result, Source } from './protocol';

interface LiveTrace extends Analysed {
  readonly range: readonly [number, number];
  readonly regions: TraceRegions;
  /** The last layout of its neurons. */
  embedding?: Embedding;
  /** What it was asked for with. */
  embeddingKey?: string;
}

type Handlers = {
  [K in CallName]: (
    params: Params<K>,
    emit: (event: EventOf<K>) => void,
    cancel: CancelToken,
  ) => Promise<Result<K>>;
};

/** What the worker can do; runs as well without a thread (command line, tests). */
export class Service {
  private readonly traces = new Map<string, LiveTrace>();
  readonly engines = new EngineChooser();

  /** @param pool threads that share a trace; without them it runs in this one */
  constructor(private readonly pool?: Pool) {}

  call<K extends CallName>(
    call: K,
    params: Params<K>,
    emit: (event: EventOf<K>) => void,
    cancel: CancelToken,
  ): Promise<Result<K>> {
    return this.handlers[call](params, emit, cancel).catch(explained);
  }

  private live(id: string): LiveTrace {
    const found = this.traces.get(id);
    if (!found) throw new Error('This trace is no longer in memory; trace the checkpoint again.');
    return found;
  }

  private readonly handlers: Handlers = {
    inspect: async (given) => {
      const source = withCorrections(given);
      await readTrainingCode(source);
      const opened = await naming(source, () => inspectModel(source));
      if (isModel(opened)) return inspectionOf(opened, source);
      return opened.known ? inspectionOf({ inspection: opened.known }, source) : { notAnInr: opened };
    },

    preview: async ({ assumed, side, ...given }, _, cancel) => {
      const source = corrected(given);
      const { engine } = await this.engines.chosen();
      const target = targetOf(source);
      await readTrainingCode(source);
      const { opened, dropped } = await naming(source, async () =>
        assumed
          ? assumeModel(source, assumed)
          : { opened: await openModel(source, engine, target, cancel), dropped: [] },
      );
      if (!isModel(opened)) return { notAnInr: opened };
      const { inr } = opened;
      const { width, height, values, pixels } = await sketch(opened, engine, side);
      const comparable = target && comparablePicture(target, inr.signal, false);
      const { channels } = inr.signal;
      const at = (i: number) =>
        comparable!.values[pixels[Math.floor(i / channels)] * channels + (i % channels)];
      const wanted = comparable && Float32Array.from({ length: values.length }, (_, i) => at(i));
      return {
        inspection: inspectionOf(opened, source),
        picture: { width, height, rgba: toRgba(values, channels, inr.outputRange) },
        ...(wanted && { psnr: psnr(scaled(values, inr.outputRange), wanted) }),
        dropped,
      };
    },

    trace: async ({ trace: id, options: given }, emit, cancel) => {
      const options = { ...given, ...withCorrections(given) };
      const began = performance.now();
      const file = path.basename(options.file);
      emit({ type: 'phase', phase: 'reading', detail: `Reading ${file}`, fraction: 0 });
      const { engine, note } = await this.engines.chosen();
      if (this.pool) this.pool.choice = this.engines.choice;
      this.pool?.warm();
      const target = targetOf(options);
      await readTrainingCode(options);
      const model = await naming(options, () => openModel(options, engine, target, cancel));
      if (!isModel(model)) return { notAnInr: model };
      cancel.throwIfCancelled();
      const { inr, timings } = model;
      const inspection = inspectionOf(model, options);
      emit({ type: 'inspected', inspection });
      emit({ type: 'phase', phase: 'reconstructing', detail: 'Drawing the picture', fraction: 0.05 });
      const { height, width, channels } = inr.signal;
      const comparable = target && comparablePicture(target, inr.signal, options.target !== undefined);

      let score: number | undefined;
      const traceBegan = performance.now();
      const trace = await traceInr(inr, engine, {
        memoryBudget: options.memoryBudget,
        method: options.method,
        ...(options.baseline && { baseline: options.baseline }),
        ...(options.layers && { layers: options.layers }),
        cancel,
        ...(this.pool?.worthwhile(height * width) && { runPass: this.pool.run }),
        onReconstruction: (values, size) => {
          if (size.height !== height || size.width !== width) {
            const coarse = { ...size, rgba: toRgba(values, channels, inr.outputRange) };
            emit({ type: 'reconstruction', picture: enlarged(coarse, width, height) });
            return;
          }
          score = comparable && psnr(scaled(values, inr.outputRange), comparable.values);
          emit({
            type: 'reconstruction',
            picture: { width, height, rgba: toRgba(values, channels, inr.outputRange) },
            ...(score !== undefined && { psnr: score }),
            ...(comparable && { target: comparable.picture }),
          });
        },
        onLayer: (index, layer) => emit({ type: 'layer', index, layer }),
        onProgress: (detail, fraction) =>
          emit({ type: 'phase', phase: 'tracing', detail, fraction: 0.05 + 0.95 * fraction }),
      });
      this.traces.get(id)?.trace.dispose();
      this.traces.set(id, {
        trace,
        range: inr.outputRange,
        inspection,
        method: options.method,
        baseline: options.baseline ?? 'zero',
        engine: engine.name,
        regions: new TraceRegions(trace, options.file),
        ...(comparable && target && { target: comparable.values, targetName: target.name }),
      });
      const ended = performance.now();
      return {
        inspection,
        ...(score !== undefined && { psnr: score }),
        ...(comparable && target && { target: target.name }),
        layers: trace.layers,
        completeness: trace.completeness,
        timings: { ...timings, trace: ended - traceBegan, total: ended - began },
        engine: engine.name,
        ...(note !== undefined && { engineNote: note }),
      };
    },

    cluster: async ({ trace: id, with: others = [], options }, emit, cancel) => {
      const live = this.live(id);
      const { clusters, ...layout } = options;
      const phase = (detail: string, fraction: number) =>
        emit({ type: 'phase', phase: 'clustering', detail, fraction });
      // Another number of clusters needs no other layout.
      const key = JSON.stringify([layout, others]);
      if (live.embeddingKey !== key) {
        const traces = [live.trace, ...others.map((other) => this.live(other).trace)];
        live.embedding = await embedNeurons(traces, layout, live.regions, cancel, phase);
        live.embeddingKey = key;
      }
      phase('Grouping neurons', 0.95);
      return clusterEmbedding(live.embedding!, clusters, cancel);
    },

    map: async ({ trace, neuron, channel }) => this.live(trace).trace.map(neuron, channel),
    sum: async ({ trace, layer, neurons }) => this.live(trace).trace.sum(layer, neurons),
    neuronsPerPixel: async ({ trace, layer, alpha }) => this.live(trace).trace.neuronsPerPixel(layer, alpha),
    without: async ({ trace, ...params }, _, cancel) => withoutNeurons(this.live(trace), params, cancel),
    removals: async ({ trace, ...params }, emit, cancel) => removals(this.live(trace), params, emit, cancel),
    segments: async ({ trace, by }, _, cancel) => this.live(trace).regions.segments(by, cancel),
    region: async ({ trace, region, first }, emit, cancel) =>
      this.live(trace).regions.measure(region, first, emit, cancel),
    compare: async ({ a, b }, emit, cancel) => {
      const { engine } = await this.engines.chosen();
      return compare(this.live(a), this.live(b), engine, cancel, (detail, fraction) =>
        emit({ detail, fraction }),
      );
    },
    probe: async ({ trace, row, column, top }) => this.live(trace).trace.probe(row, column, top),

    export: async ({ trace: id, maps, reconstruction }) => {
      const { trace, range } = this.live(id);
      const { height, width, channels } = trace.inr.signal;
      const written: string[] = [];
      if (maps !== undefined) {
        await saving(maps, () => writeNpz(maps, npzArrays(trace)));
        written.push(maps);
      }
      if (reconstruction !== undefined) {
        const values = trace.reconstruction;
        await saving(reconstruction, async () => {
          if (path.extname(reconstruction).toLowerCase() === '.npy') {
            await writeNpy(reconstruction, [height, width, channels], values);
          } else {
            const data = toRgba(values, channels, range);
            const png = encode({ width, height, data, channels: 4 });
            await replaceFile(reconstruction, (descriptor) => writeWhole(descriptor, png));
          }
        });
        written.push(reconstruction);
      }
      return { written };
    },

    findings: async ({ trace, ...options }, emit, cancel) =>
      findingsOf(this.live(trace), (await this.engines.chosen()).engine, options, emit, cancel),
    digest: ({ file }, _, cancel) => digest(file, cancel),

    close: async ({ trace }) => {
      this.traces.get(trace)?.trace.dispose();
      this.traces.delete(trace);
      return Promise.resolve(null);
    },
  };
}

/** An array that does not fit into memory is no bug: say what to do. */
function explained(error: unknown): never {
  if (
    error instanceof RangeError &&
    /allocation failed|invalid (typed )?array( buffer)? length/i.test(error.message)
  ) {
    throw new UserError(
      'There is not enough memory for this; trace it at a smaller size, or close other programs.',
      ExitCode.usage,
    );
  }
  throw error;
}

const inspectionOf = (
  { inspection }: Pick<Model, 'inspection'>,
  { given, correctionsFile }: CorrectedSource,
): Inspection => ({
  ...inspection,
  corrections: given,
  ...(correctionsFile !== undefined && { correctionsFile }),
});

/** A setting that has no meaning may stand in a file that the person has forgotten: name it. */
async function naming<T>({ correctionsFile }: CorrectedSource, open: () => T | Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof UsageError) || correctionsFile === undefined) throw error;
    throw new UsageError(`${error.message} Settings are also read from ${path.basename(correctionsFile)}.`);
  }
}

/** A file system error while writing is the person's to repair: say which file and why. */
async function saving(file: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UserError(
      `${file} could not be written (${reason}); choose another folder.`,
      ExitCode.unreadable,
    );
  }
}

function* npzArrays(trace: Trace): Generator<NpzArray> {
  const { height, width, channels } = trace.inr.signal;
  for (const [index, { name, neurons, last }] of trace.layers.entries()) {
    yield { name, shape: [neurons, height, width], pieces: trace.maps(index) };
    if (last) {
      const shape = [neurons, channels, height, width];
      yield { name: `${name}:channels`, shape, pieces: trace.channelMaps(index) };
    }
  }
  yield { name: 'reconstruction', shape: [height, width, channels], pieces: [trace.reconstruction] };
}

/** Each pixel as large as it takes to fill the size. */
function enlarged({ width: columns, height: rows, rgba }: Picture, width: number, height: number): Picture {
  const small = new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.length / 4);
  const large = new Uint32Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = Math.floor((y * rows) / height) * columns;
    for (let x = 0; x < width; x++) large[y * width + x] = small[from + Math.floor((x * columns) / width)];
  }
  return { width, height, rgba: new Uint8ClampedArray(large.buffer) };
}

/** The picture that was given, or one that lies beside the checkpoint. @throws UsageError */
function targetOf({ file, target }: Source): NamedTarget | undefined {
  if (target !== undefined) return { name: path.basename(target), picture: readTarget(target) };
  const found = findTarget(file);
  if (found === undefined) return undefined;
  try {
    return { name: path.basename(found), picture: readTarget(found) };
  } catch {
    // Nobody asked for it.
    return undefined;
  }
}

/**
 * The target as shown, and as [0, 1] values `[H, W, C]`; undefined when one that nobody asked for has
 * another size. @throws UsageError when one that was asked for has
 */
function comparablePicture(
  { name, picture }: NamedTarget,
  { height, width, channels }: { height: number; width: number; channels: number },
  asked: boolean,
): { readonly picture: Picture; readonly values: Float32Array } | undefined {
  if (picture.width !== width || picture.height !== height) {
    if (!asked) return undefined;
    throw new UsageError(
      `The target ${name} is ${picture.height}x${picture.width}, but the network paints ` +
        `${height}x${width}; give a target of that size, or set --size ${picture.height}x${picture.width}.`,
    );
  }
  const values = new Float32Array(height * width * channels);
  for (let p = 0, at = 0; p < height * width; p++) {
    for (let c = 0; c < channels; c++) {
      values[at++] = picture.data[p * picture.channels + Math.min(c, picture.channels - 1)];
    }
  }
  return { picture: { width, height, rgba: toRgba(values, channels, [0, 1]) }, values };
}
