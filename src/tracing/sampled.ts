/** A coordinate network at some pixels of its picture: everything inside it, and what it paints without neurons. */
import type { Engine, EngineSession, EngineTensor } from '../engine/types';
import type { CancelToken } from '../errors';
import { withGradients } from '../graph/backward';
import { pixelCost } from '../graph/cost';
import { behind } from '../graph/cut';
import { coordinatesAt } from '../inr/coordinates';
import type { Inr, TracedLayer } from '../inr/types';
import type { Baseline } from './ablation';
import { contributionFormula, evaluate, type ActivationTile } from './contributions';
import { pause } from './regions';
import type { Method } from './types';

/** Columns of one run: as many as the engine takes without leaving the cache (decision 0002). */
const COLUMNS = 4096;

export const valuesOf = ({ input, inputImaginary }: TracedLayer) =>
  inputImaginary ? [input, inputImaginary] : [input];

/** What to put in each neuron's place: of complex ones the real, then the imaginary parts. */
export type Means = readonly Float64Array[];

/** A layer's neurons at the sampled pixels. */
export interface SampledLayer extends ActivationTile {
  readonly layer: TracedLayer;
  /** The affine result before the activation, `[outputs, pixels]`; its real part. */
  readonly preActivation: Float32Array;
}

/** Floating-point operations that one pixel costs behind a layer. */
export const costBehind = (inr: Inr, layer: TracedLayer): number =>
  pixelCost(behind(inr.graph, valuesOf(layer))).flops;

export class SampledNetwork {
  private readonly sessions = new Map<string, { session: EngineSession; feeds: readonly string[] }>();

  private constructor(
    readonly inr: Inr,
    private readonly engine: Engine,
    /** Row-major over the picture. */
    readonly pixels: Uint32Array,
    private readonly coordinates: Float32Array,
    readonly layers: readonly SampledLayer[],
    /** `[channels, pixels]`, as the network puts it out. */
    readonly output: Float32Array,
  ) {}

  /** Runs the network once. Coordinate networks only. @throws CancelledError */
  static async at(
    inr: Inr,
    engine: Engine,
    pixels: Uint32Array,
    cancel: CancelToken,
  ): Promise<SampledNetwork> {
    const { graph, domain, signal } = inr;
    if (domain.kind !== 'pixels') throw new Error('frames are not made of pixels');
    const coordinates = coordinatesAt(domain.convention, signal.height, signal.width, pixels);
    const count = pixels.length;
    const names = new Set([
      graph.output,
      ...inr.layers.flatMap((layer) => [...valuesOf(layer), layer.preActivation]),
    ]);
    const found = new Map<string, Float32Array>();
    const session = await engine.load(graph, [...names]);
    try {
      await inColumns(count, cancel, async (from, end) => {
        const feed = columns(coordinates, 2, count, from, end);
        const outputs = await session.run(
          new Map([[graph.inputs[0].name, { shape: [2, end - from], data: feed }]]),
        );
        for (const [name, { data }] of outputs) {
          const rows = data.length / (end - from);
          let whole = found.get(name);
          if (!whole) found.set(name, (whole = new Float32Array(rows * count)));
          for (let r = 0; r < rows; r++) {
            whole.set(data.subarray(r * (end - from), (r + 1) * (end - from)), r * count + from);
          }
        }
      });
    } finally {
      await session.release();
    }
    const layers = inr.layers.map((layer): SampledLayer => {
      const imaginary = layer.inputImaginary && found.get(layer.inputImaginary);
      return {
        layer,
        start: 0,
        count,
        values: found.get(layer.input)!,
        ...(imaginary && { imaginary }),
        preActivation: found.get(layer.preActivation)!,
      };
    });
    return new SampledNetwork(inr, engine, pixels, coordinates, layers, found.get(graph.output)!);
  }

  /** Network output summed over its channels, `[pixels]`. */
  summed(output: Float32Array): Float64Array {
    return sumOfRows(output, this.inr.signal.channels, this.pixels.length);
  }

  private async ready(key: string, make: () => { graph: Inr['graph']; outputs: readonly string[] }) {
    let entry = this.sessions.get(key);
    if (!entry) {
      const { graph, outputs } = make();
      entry = {
        session: await this.engine.load(graph, outputs),
        feeds: graph.inputs.map(({ name }) => name),
      };
      this.sessions.set(key, entry);
    }
    return entry;
  }

  /**
   * The output with sets of a layer's neurons switched off, one set after another.
   * @param baseline `mean` is that of the sample
   * @param visit gets the output `[channels, pixels]`, which lasts until it returns
   * @throws CancelledError
   */
  async without(
    index: number,
    sets: readonly (readonly number[] | Uint32Array)[],
    baseline: Baseline | Means,
    cancel: CancelToken,
    visit: (set: number, output: Float32Array) => void,
  ): Promise<void> {
    const sampled = this.layers[index];
    const { layer, count } = sampled;
    const parts = sampled.imaginary ? [sampled.values, sampled.imaginary] : [sampled.values];
    const names = valuesOf(layer);
    const { graph } = this.inr;
    const { session, feeds } = await this.ready(`behind ${index}`, () => ({
      graph: behind(graph, names),
      outputs: [graph.output],
    }));
    const { channels } = this.inr.signal;
    const input = graph.inputs[0].name;
    const perRun = Math.max(1, Math.floor(COLUMNS / count));
    const off =
      baseline === 'zero'
        ? []
        : baseline === 'mean'
          ? parts.map((part) => rowMeans(part, layer.inputs, count))
          : baseline;
    const out = new Float32Array(channels * count);
    // The intact activations, as many times side by side as there are sets in a run.
    let width = 0;
    let intact: Float32Array[] = [];
    for (let first = 0; first < sets.length; first += perRun) {
      await pause(cancel);
      const chosen = sets.slice(first, first + perRun);
      if (width !== chosen.length * count) {
        width = chosen.length * count;
        intact = parts.map((part) => sideBySide(part, layer.inputs, count, chosen.length));
      }
      const tensors = new Map<string, EngineTensor>();
      intact.forEach((data, k) => {
        for (const [s, set] of chosen.entries()) {
          for (const i of set) {
            const at = i * width + s * count;
            data.fill(off.at(k)?.[i] ?? 0, at, at + count);
          }
        }
        tensors.set(names[k], { shape: [layer.inputs, width], data });
      });
      if (feeds.includes(input) && !names.includes(input)) {
        const data = sideBySide(this.coordinates, 2, count, chosen.length);
        tensors.set(input, { shape: [2, width], data });
      }
      const { data } = (await session.run(tensors)).get(graph.output)!;
      intact.forEach((whole, k) => {
        for (const [s, set] of chosen.entries()) {
          for (const i of set)
            whole.set(parts[k].subarray(i * count, (i + 1) * count), i * width + s * count);
        }
      });
      for (let s = 0; s < chosen.length; s++) {
        for (let c = 0; c < channels; c++) {
          out.set(data.subarray(c * width + s * count, c * width + (s + 1) * count), c * count);
        }
        visit(first + s, out);
      }
    }
  }

  /**
   * A layer's maps by a method at the sampled pixels, `[neurons, pixels]`.
   * @param channel of the output; all together when undefined
   * @throws CancelledError @throws NoDerivativeError
   */
  async maps(
    index: number,
    method: Method,
    baseline: Baseline | Means,
    cancel: CancelToken,
    channel?: number,
  ): Promise<Float32Array> {
    const sampled = this.layers[index];
    const { layer, count } = sampled;
    const maps = new Float32Array(layer.inputs * count);
    if (method === 'xinc') {
      const formula = contributionFormula(layer);
      for (let i = 0; i < layer.inputs; i++) evaluate(formula, i, sampled, 0, count, maps, i * count);
    } else if (method === 'gradient') {
      await this.products(index, cancel, maps, channel);
    } else {
      const { channels } = this.inr.signal;
      const of = (output: Float32Array) =>
        channel === undefined
          ? sumOfRows(output, channels, count)
          : output.subarray(channel * count, (channel + 1) * count);
      const whole = Float64Array.from(of(this.output));
      const sets = Array.from({ length: layer.inputs }, (_, i) => [i]);
      await this.without(index, sets, baseline, cancel, (i, output) => {
        const rest = of(output);
        for (let p = 0; p < count; p++) maps[i * count + p] = whole[p] - rest[p];
      });
    }
    return maps;
  }

  /** a·∂y/∂a */
  private async products(
    index: number,
    cancel: CancelToken,
    maps: Float32Array,
    channel?: number,
  ): Promise<void> {
    const sampled = this.layers[index];
    const { layer, count } = sampled;
    const names = valuesOf(layer);
    const key = `gradient ${index} ${channel ?? 'all'}`;
    const { graph } = this.inr;
    const prepared = gradientsOf(this.inr, layer, channel);
    const { gradients } = prepared;
    if (gradients.size === 0) return;
    const { session } = await this.ready(key, () => ({
      graph: prepared.graph,
      outputs: [...gradients.values()],
    }));
    const parts = sampled.imaginary ? [sampled.values, sampled.imaginary] : [sampled.values];
    await inColumns(count, cancel, async (from, end) => {
      const data = columns(this.coordinates, 2, count, from, end);
      const outputs = await session.run(new Map([[graph.inputs[0].name, { shape: [2, end - from], data }]]));
      names.forEach((name, k) => {
        const gradient = outputs.get(gradients.get(name) ?? '')?.data;
        if (!gradient) return;
        for (let i = 0; i < layer.inputs; i++) {
          for (let p = from; p < end; p++) {
            maps[i * count + p] += parts[k][i * count + p] * gradient[i * (end - from) + p - from];
          }
        }
      });
    });
  }

  async release(): Promise<void> {
    const open = [...this.sessions.values()];
    this.sessions.clear();
    for (const { session } of open) await session.release();
  }
}

/** The network with ∂y/∂a of a layer's neurons, y one channel or the sum of all. @throws NoDerivativeError */
export function gradientsOf({ graph, signal, domain }: Inr, layer: TracedLayer, channel?: number) {
  const weights = Array.from({ length: signal.channels }, (_, c) =>
    channel === undefined || channel === c ? 1 : 0,
  );
  return withGradients(graph, valuesOf(layer), weights, domain.kind === 'frames' ? 1 : 0);
}

async function inColumns(
  count: number,
  cancel: CancelToken,
  run: (from: number, end: number) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < count; from += COLUMNS) {
    await pause(cancel);
    await run(from, Math.min(from + COLUMNS, count));
  }
}

function columns(data: Float32Array, rows: number, count: number, from: number, end: number): Float32Array {
  if (from === 0 && end === count) return data;
  const out = new Float32Array(rows * (end - from));
  for (let r = 0; r < rows; r++) out.set(data.subarray(r * count + from, r * count + end), r * (end - from));
  return out;
}

/** `[rows, count]` repeated along its columns. */
function sideBySide(data: Float32Array, rows: number, count: number, times: number): Float32Array {
  const out = new Float32Array(rows * count * times);
  for (let r = 0; r < rows; r++) {
    const row = data.subarray(r * count, (r + 1) * count);
    for (let s = 0; s < times; s++) out.set(row, (r * times + s) * count);
  }
  return out;
}

/** Rows of several samples, each `[rows, ·]`, continued from one to the next: `[rows, Σ ·]`. */
export function joinedRows(parts: readonly Float32Array[], rows: number): Float32Array {
  if (parts.length === 1) return parts[0];
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  const width = whole.length / rows;
  let at = 0;
  for (const part of parts) {
    const count = part.length / rows;
    for (let r = 0; r < rows; r++) whole.set(part.subarray(r * count, (r + 1) * count), r * width + at);
    at += count;
  }
  return whole;
}

export function sumOfRows(data: Float32Array, rows: number, count: number): Float64Array {
  const sum = new Float64Array(count);
  for (let r = 0; r < rows; r++) for (let p = 0; p < count; p++) sum[p] += data[r * count + p];
  return sum;
}

export const rowMeans = (data: Float32Array, rows: number, count: number): Float64Array =>
  Float64Array.from({ length: rows }, (_, i) => {
    let sum = 0;
    for (let p = i * count; p < (i + 1) * count; p++) sum += data[p];
    return sum / count;
  });
