import path from 'node:path';
import { encode } from 'fast-png';
import { EngineChooser } from '../engine/choose';
import { ExitCode, UsageError, UserError, type CancelToken } from '../errors';
import { replaceFile, writeWhole } from '../files';
import type { Engine } from '../engine/types';
import type { Inr } from '../inr/types';
import { clusterEmbedding, embedNeurons, type Embedding } from '../tracing/clustering';
import { compare } from '../tracing/compare/compare';
import type { LayOut } from '../tracing/layout';
import { psnr, toRgba } from '../tracing/picture';
import type { Subject } from '../tracing/subject';
import { traceInr, type Trace } from '../tracing/trace';
import { cached, traceKey, type Cache, type CacheKey } from '../tracing/cache';
import { removals, scaled, withoutNeurons } from './ablations';
import { findingsOf, type Analysed } from './findings';
import type { LayerTrace } from '../tracing/types';
import { chosenLayers } from '../tracing/chosenLayers';
import { layersUnasked } from '../tracing/video/trace';
import { Clip } from './clip';
import { comparablePicture, type Comparable } from './comparable';
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
import { clipSubject } from './clipSubject';
import { digest } from './digest';
import { DiskCache } from './diskCache';
import { framesOf, isFolder } from './frames';
import { handOver } from './handOver';
import { findTarget, readTarget } from './target';
import { findLabels, motionOf, movingAt, objectsOf, seriesOf } from './throughTime';
import { writeNpy, writeNpz, type NpzArray } from './npz';
import type { Pool } from './pool';
import type { CallName, EventOf, Inspection, Params, Picture, Result, Source } from './protocol';

/** A traced picture or frame, and what it is compared with. */
interface Traced {
  readonly trace: Trace;
  readonly psnr?: number;
  readonly target?: Comparable & { readonly name: string };
}

/** What is the same for all frames of a trace. */
type About = Pick<Analysed, 'inspection' | 'method' | 'baseline' | 'engine'> & {
  readonly cache: Cache | undefined;
};

class LiveTrace implements Analysed {
  trace: Trace;
  /** As shown, `[H, W, C]` in [0, 1]. */
  target?: Float32Array;
  targetName?: string;
  regions: TraceRegions;
  /** The last layout of its neurons. */
  embedding?: Embedding;
  /** What it was asked for with. */
  embeddingKey?: string;
  /** The clip's frames taken together, once that was asked for. */
  private whole?: Subject;

  constructor(
    readonly file: string,
    { trace, target }: Traced,
    private readonly clip: Clip | undefined,
    private readonly about: About,
  ) {
    this.trace = trace;
    this.compareWith(target);
    this.regions = new TraceRegions(trace, file);
  }

  private compareWith(target: Traced['target']): void {
    delete this.target;
    delete this.targetName;
    if (!target) return;
    this.target = target.values;
    this.targetName = target.name;
  }

  get inspection() {
    return this.about.inspection;
  }

  /** undefined for pictures and volumes, in which nothing moves */
  get video(): Clip | undefined {
    return this.clip?.signal.kind === 'video' && this.clip.frames > 1 ? this.clip : undefined;
  }

  get method() {
    return this.about.method;
  }

  get baseline() {
    return this.about.baseline;
  }

  get engine() {
    return this.about.engine;
  }

  get cache() {
    return this.about.cache;
  }

  /** What decides all that is computed from the trace alone. */
  get key(): CacheKey {
    const { trace, engine, method, baseline } = this;
    const layers = trace.layers.map(({ name }) => name);
    return traceKey(trace.inr, { engine, layers, method, baseline, frame: trace.frame });
  }

  get range(): readonly [number, number] {
    return this.trace.inr.outputRange;
  }

  async overClip(cancel: CancelToken, onProgress: (detail: string, fraction: number) => void) {
    if (!this.video) {
      throw new UsageError(
        `${path.basename(this.file)} is no video, so there are no frames to take together.`,
      );
    }
    return (this.whole ??= await clipSubject(this.video, this.trace, cancel, onProgress));
  }

  /** @throws UsageError for a picture */
  clipOf(): Clip {
    if (this.clip) return this.clip;
    throw new UsageError(`${path.basename(this.file)} paints one picture, not a video.`);
  }

  /** Another frame takes the place of the one shown. */
  show({ trace, target }: Traced): void {
    this.trace.dispose();
    this.trace = trace;
    this.compareWith(target);
    this.regions = new TraceRegions(trace, this.file);
    delete this.embedding;
    delete this.embeddingKey;
  }

  close(): void {
    this.trace.dispose();
    this.clip?.dispose();
  }
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

  /**
   * @param pool threads that share a trace; without them it runs in this one
   * @param layOut where neurons are laid out; in this thread when undefined
   * @param warn is told, in a sentence, of what went wrong beside a call that goes on
   */
  constructor(
    private readonly pool?: Pool,
    private readonly layOut?: LayOut,
    private readonly warn: (message: string) => void = () => undefined,
  ) {}

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
    inspect: async (given, _, cancel) => {
      const source = withCorrections(given);
      await readTrainingCode(source);
      const frames = framesOf(source.file, source.target);
      // Reading is a matter of milliseconds; trying out what the file does not say is for who gives a picture.
      const target = source.target === undefined ? undefined : targetOf(source);
      const opened = await naming(source, async () =>
        target
          ? openModel(source, (await this.engines.chosen()).engine, target, cancel, frames)
          : inspectModel(source, frames),
      );
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
        picture: { width, height, rgba: handOver(toRgba(values, channels, inr.outputRange)) },
        ...(wanted && { psnr: psnr(scaled(values, inr.outputRange), wanted) }),
        dropped,
      };
    },

    trace: async ({ trace: id, options: given }, emit, cancel) => {
      const options = { ...given, ...withCorrections(given) };
      const began = performance.now();
      const file = path.basename(options.file);
      emit({ type: 'phase', phase: 'reading', detail: `Reading ${file}`, fraction: 0 });
      // Its threads start while this one loads its engine and reads the file.
      if (this.pool) this.pool.choice = this.engines.choice;
      this.pool?.warm();
      const { engine, note } = await this.engines.chosen();
      const frames = framesOf(options.file, options.target);
      const target = targetOf(options);
      await readTrainingCode(options);
      const model = await naming(options, () => openModel(options, engine, target, cancel, frames));
      if (!isModel(model)) return { notAnInr: model };
      cancel.throwIfCancelled();
      const inspection = inspectionOf(model, options);
      const traced = options.layers ? chosenLayers(model.inr, options.layers) : layersUnasked(model.inr);
      emit({ type: 'inspected', inspection, traced: traced.map(({ name }) => name) });
      emit({ type: 'phase', phase: 'reconstructing', detail: 'Drawing the picture', fraction: 0.05 });
      const { memoryBudget, layers, method, baseline, cache: place } = options;
      const cache = place && new DiskCache(place.folder, place.bytes, this.warn);
      const how = {
        memoryBudget,
        method,
        ...(cache && { cache }),
        ...(baseline && { baseline }),
        ...(layers && { layers }),
        ...(this.pool?.worthwhile(Infinity) && { runRound: this.pool.runRound }),
      };
      const clip = Clip.isOne(model.inr) ? new Clip(model, options, engine, how, frames) : undefined;
      const traceBegan = performance.now();
      const shown = await (clip
        ? traceClip(clip, frameOf(options, clip), emit, cancel)
        : tracePicture(model, options, engine, this.pool, cache, target, emit, cancel));
      this.traces.get(id)?.close();
      this.traces.set(
        id,
        new LiveTrace(options.file, shown, clip, {
          inspection,
          method: options.method,
          baseline: options.baseline ?? 'zero',
          engine: engine.name,
          cache,
        }),
      );
      const ended = performance.now();
      return {
        inspection,
        ...resultOf(shown),
        ...(clip && { frame: shown.trace.frame }),
        restored: shown.trace.restored,
        timings: { ...model.timings, trace: ended - traceBegan, total: ended - began },
        engine: engine.name,
        ...(note !== undefined && { engineNote: note }),
      };
    },

    frame: async ({ trace: id, frame, first }, emit, cancel) => {
      const live = this.live(id);
      const traced = await traceClip(live.clipOf(), frame, emit, cancel, first);
      // Closed meanwhile: nobody waits for it.
      if (this.traces.get(id) === live) live.show(traced);
      else traced.trace.dispose();
      return { frame, ...resultOf(traced) };
    },
    still: async ({ trace, frame }) => this.live(trace).clipOf().still(frame),
    motion: async ({ trace: id }, emit, cancel) => {
      const live = this.live(id);
      return motionOf(live.clipOf(), live.trace, cancel, comparing(emit));
    },
    series: async ({ trace, layer, neurons }, emit, cancel) =>
      seriesOf(this.live(trace).clipOf(), layer, neurons, cancel, comparing(emit)),
    findLabels: async ({ trace }) => {
      const live = this.live(trace);
      return Promise.resolve(findLabels(live.file, live.clipOf().frames) ?? null);
    },
    objects: async ({ trace: id, layer, folder }, emit, cancel) => {
      const live = this.live(id);
      const { neurons } = live.trace.layers[layer];
      return objectsOf(live.clipOf(), { index: layer, neurons }, folder, cancel, comparing(emit));
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
        const moving = live.video && (await movingAt(live.video, live.trace, cancel));
        const embed = () => embedNeurons(traces, layout, live.regions, cancel, phase, moving, this.layOut);
        const keys = [live, ...others.map((other) => this.live(other))].map((one) => one.key);
        try {
          live.embedding = await cached(
            live.cache,
            { what: 'embedding', keys, layout, motion: moving?.motion },
            embed,
          );
        } finally {
          moving?.neighbour.dispose();
        }
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
    overClip: async ({ trace }, emit, cancel) => {
      const { frames, layers } = await this.live(trace).overClip(cancel, comparing(emit));
      return {
        frames,
        layers: layers.map(({ statistics, distributedness, neuronsPerPixel }) => ({
          statistics,
          distributedness,
          neuronsPerPixel,
        })),
      };
    },
    digest: ({ file }, _, cancel) => digest(file, cancel),

    close: async ({ trace }) => {
      this.traces.get(trace)?.close();
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
const comparing = (emit: (event: EventOf<'motion'>) => void) => (detail: string, fraction: number) =>
  emit({ type: 'phase', phase: 'comparing', detail, fraction });

type Emit = (event: EventOf<'trace'>) => void;

/** What follows the trace of a picture while it is being traced. */
function following(inr: Inr, comparable: Comparable | undefined, emit: Emit, scored: (psnr: number) => void) {
  const { height, width, channels } = inr.signal;
  return {
    onReconstruction: (values: Float32Array, size: { readonly height: number; readonly width: number }) => {
      if (size.height !== height || size.width !== width) {
        const coarse = { ...size, rgba: toRgba(values, channels, inr.outputRange) };
        const { rgba } = enlarged(coarse, width, height);
        emit({ type: 'reconstruction', picture: { width, height, rgba: handOver(rgba) } });
        return;
      }
      const score = comparable && psnr(scaled(values, inr.outputRange), comparable.values);
      if (score !== undefined) scored(score);
      emit({
        type: 'reconstruction',
        picture: { width, height, rgba: handOver(toRgba(values, channels, inr.outputRange)) },
        ...(score !== undefined && { psnr: score }),
        ...(comparable && { target: comparable.picture }),
      });
    },
    onLayer: (index: number, layer: LayerTrace) => emit({ type: 'layer', index, layer }),
    onProgress: (detail: string, fraction: number) =>
      emit({ type: 'phase', phase: 'tracing', detail, fraction: 0.05 + 0.95 * fraction }),
  };
}

async function tracePicture(
  { inr }: Model,
  options: Params<'trace'>['options'],
  engine: Engine,
  pool: Pool | undefined,
  cache: Cache | undefined,
  target: NamedTarget | undefined,
  emit: Emit,
  cancel: CancelToken,
): Promise<Traced> {
  if ((options.frame ?? 0) !== 0 || (options.time ?? 0) !== 0) {
    throw new UsageError(
      `${inr.title} paints one picture here; leave the frame out, or say how many there are with --set frames=N.`,
    );
  }
  const comparable = target && comparablePicture(target, inr.signal, options.target !== undefined);
  let score: number | undefined;
  const trace = await traceInr(inr, engine, {
    memoryBudget: options.memoryBudget,
    method: options.method,
    ...(options.baseline && { baseline: options.baseline }),
    ...(options.layers && { layers: options.layers }),
    ...(cache && { cache }),
    cancel,
    ...(pool?.worthwhile(inr.signal.height * inr.signal.width) && { passes: pool }),
    ...following(inr, comparable, emit, (psnr) => (score = psnr)),
  });
  return {
    trace,
    ...(score !== undefined && { psnr: score }),
    ...(comparable && target && { target: { ...comparable, name: target.name } }),
  };
}

async function traceClip(
  clip: Clip,
  frame: number,
  emit: Emit,
  cancel: CancelToken,
  first?: string,
): Promise<Traced> {
  const { inr } = clip.modelAt(frame);
  const target = clip.targetOf(frame);
  let score: number | undefined;
  const follow = following(inr, target, emit, (psnr) => (score = psnr));
  const trace = await clip.trace(frame, { cancel, ...follow }, first);
  return { trace, ...(score !== undefined && { psnr: score }), ...(target && { target }) };
}

function resultOf({ trace, psnr, target }: Traced) {
  return {
    ...(psnr !== undefined && { psnr }),
    ...(target && { target: target.name }),
    layers: trace.layers,
    completeness: trace.completeness,
  };
}

/** The frame asked for; the one at `time`. @throws UsageError */
const frameOf = ({ frame, time, nearestFrame }: Params<'trace'>['options'], clip: Clip) =>
  time !== undefined
    ? clip.frameAt(time)
    : nearestFrame
      ? Math.min(frame ?? 0, clip.frames - 1)
      : (frame ?? 0);

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
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UserError(
      `${file} could not be written (${reason}); choose another folder.`,
      ExitCode.unreadable,
    );
  }
}

/** A ZIP file without its 64-bit extension ends here. */
const MOST_BYTES = 2 ** 32 - 2 ** 20;

function* npzArrays(trace: Trace): Generator<NpzArray> {
  const { height, width, channels } = trace.inr.signal;
  const maps = trace.layers.map(({ neurons, last, convolution }) =>
    last ? neurons * (convolution ? 2 : 1 + channels) : neurons,
  );
  if (maps.reduce((a, b) => a + b, channels) * height * width * 4 > MOST_BYTES) {
    throw new UsageError(
      'The maps of these layers do not fit into one NPZ file of 4 GB; give fewer layers at a time with --layers.',
    );
  }
  for (const [index, { name, neurons, last, convolution }] of trace.layers.entries()) {
    const maps = convolution ? [convolution.inputs, convolution.outputs] : [neurons];
    yield { name, shape: [...maps, height, width], pieces: trace.maps(index) };
    if (last && convolution) {
      // A kernel of the head is already one of a channel.
      yield { name: `${name}:channels`, shape: [...maps, height, width], pieces: trace.channelMaps(index) };
    } else if (last) {
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
  if (target !== undefined && isFolder(target)) return undefined;
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
