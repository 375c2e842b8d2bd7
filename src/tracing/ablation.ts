/** What the network paints without some of its neurons: the causal side of a contribution (tracing.md §1). */
import type { Engine, EngineSession, EngineTensor } from '../engine/types';
import type { CancelToken } from '../errors';
import { pixelCost } from '../graph/cost';
import { behind } from '../graph/cut';
import type { Graph, GraphNode } from '../graph/types';
import { coordinatesAt } from '../inr/coordinates';
import type { Inr, TracedLayer } from '../inr/types';
import type { NeuronRef } from '../worker/protocol';
import type { ActivationTile } from './contributions';

/** What an ablated neuron puts out everywhere: nothing, or its mean over the picture. */
export type Baseline = 'zero' | 'mean';

/** Hands over a layer's activations over the whole picture, tile by tile. */
export type EachTile = (
  layer: number,
  cancel: CancelToken,
  onTile: (tile: ActivationTile) => void | Promise<void>,
) => Promise<void>;

/** A picture drawn at every `step`-th row and column. */
export interface Ablated {
  readonly height: number;
  readonly width: number;
  readonly step: number;
  /** Row-major `[height, width, channels]`, unclamped. */
  readonly values: Float32Array;
}

/** Pixels of one run; as many as the engine takes at once without leaving the cache (decision 0002). */
const RUN = 4096;

/** Which pixels are wanted, and by what name their values are remembered. */
interface Pixels {
  readonly key: string;
  /** Those among `count` consecutive ones from `start` on, ascending. */
  among(start: number, count: number): Uint32Array;
}

/** What the layers behind start from, at some pixels: kept, because the next question starts there too. */
interface Cut {
  readonly pixels: Uint32Array;
  /** Activations `[inputs, pixels]`: real part, and imaginary part where there is one. */
  readonly activations: readonly Float32Array[];
  /** The layer's affine result `[outputs, pixels]`, where the layers behind start from it. */
  readonly affine?: Float32Array;
  /** Memory that it takes besides the trace's own. */
  readonly bytes: number;
}

/**
 * Answers what is painted without some neurons. Only the layers behind the first of them run; and because
 * a layer is linear, its result without neuron i is its result less `W[:,i] · (a_i − baseline)`: so not even
 * that layer runs again.
 */
export class Ablations {
  private session: { readonly key: string; readonly runs: Promise<Behind> } | undefined;
  private cuts: { readonly key: string; readonly cuts: readonly Cut[]; readonly bytes: number }[] = [];
  private readonly means = new Map<number, Promise<Float64Array[]>>();

  /**
   * @param isKept whether a layer's tiles stay as they are as long as the trace
   * @param memory bytes that remembered values may take
   */
  constructor(
    private readonly inr: Inr,
    private readonly layers: readonly TracedLayer[],
    private readonly engine: Engine,
    private readonly eachTile: EachTile,
    private readonly isKept: (layer: number) => boolean,
    private readonly memory: number,
  ) {}

  /** Operations that one pixel costs without neurons of this layer. */
  cost(layer: number): number {
    return pixelCost(Behind.graph(this.inr.graph, this.layers[layer], [])).flops;
  }

  /**
   * The picture with some neurons' activations replaced by the baseline.
   * @param step 1 draws every pixel
   * @throws CancelledError @throws RangeError when there is no such neuron
   */
  async picture(
    neurons: readonly NeuronRef[],
    baseline: Baseline,
    step: number,
    cancel: CancelToken,
  ): Promise<Ablated> {
    const { height, width, channels } = this.inr.signal;
    const columns = Math.ceil(width / step);
    const rows = Math.ceil(height / step);
    const values = new Float32Array(rows * columns * channels);
    const pixels = { key: `every ${step}`, among: (s: number, n: number) => drawnPixels(s, n, width, step) };
    await this.run(neurons, baseline, pixels, cancel, (at, painted) => {
      const n = at.length;
      for (let i = 0; i < n; i++) {
        const row = Math.floor(at[i] / width) / step;
        const to = (row * columns + (at[i] % width) / step) * channels;
        for (let c = 0; c < channels; c++) values[to + c] = painted[c * n + i];
      }
    });
    return { height: rows, width: columns, step, values };
  }

  /**
   * Values at some pixels, `[pixels, channels]`.
   * @param pixels ascending; keep the array, so that what it starts from is remembered
   */
  async at(
    pixels: Uint32Array,
    neurons: readonly NeuronRef[],
    baseline: Baseline,
    cancel: CancelToken,
  ): Promise<Float32Array> {
    const { channels } = this.inr.signal;
    const values = new Float32Array(pixels.length * channels);
    let done = 0;
    await this.run(neurons, baseline, sampled(pixels), cancel, (at, painted) => {
      for (let i = 0; i < at.length; i++, done++) {
        for (let c = 0; c < channels; c++) values[done * channels + c] = painted[c * at.length + i];
      }
    });
    return values;
  }

  private async run(
    neurons: readonly NeuronRef[],
    baseline: Baseline,
    pixels: Pixels,
    cancel: CancelToken,
    take: (pixels: Uint32Array, painted: Float32Array) => void,
  ): Promise<void> {
    const byLayer = new Map<number, number[]>();
    for (const { layer, neuron } of neurons) {
      const traced = this.layers[layer];
      if (!traced) throw new RangeError(`no traced layer ${layer}`);
      if (!(Number.isInteger(neuron) && neuron >= 0 && neuron < traced.inputs)) {
        throw new RangeError(`${traced.name} has no neuron ${neuron}`);
      }
      byLayer.set(layer, [...(byLayer.get(layer) ?? []), neuron]);
    }
    // Without any neuron there still is a picture: the last layer is quickest.
    if (byLayer.size === 0) byLayer.set(this.layers.length - 1, []);
    const [first, ...later] = [...byLayer.keys()].sort((a, b) => a - b);
    const replaced = new Map<number, Replacement>();
    for (const [layer, indices] of byLayer) {
      const means = baseline === 'mean' ? await this.meansOf(layer, cancel) : undefined;
      replaced.set(layer, { neurons: [...new Set(indices)], means });
    }
    const session = await this.behind(first, later);
    const run = async (cut: Cut) => {
      cancel.throwIfCancelled();
      take(cut.pixels, await session.run(cut, replaced));
    };

    const key = `${first} ${pixels.key}`;
    const known = this.cuts.find((entry) => entry.key === key);
    if (known) {
      let turn = performance.now();
      for (const cut of known.cuts) {
        await run(cut);
        if (performance.now() - turn < 40) continue;
        await new Promise((resolve) => setImmediate(resolve));
        turn = performance.now();
      }
      return;
    }
    let kept: Cut[] | undefined = [];
    let bytes = 0;
    await this.eachTile(first, cancel, async (tile) => {
      const wanted = pixels.among(tile.start, tile.count);
      for (let from = 0; from < wanted.length; from += RUN) {
        const cut = await session.cut(tile, wanted.slice(from, from + RUN), this.isKept(first));
        await run(cut);
        bytes += cut.bytes;
        if (bytes > this.memory) kept = undefined;
        kept?.push(cut);
      }
    });
    if (!kept) return;
    // The oldest is forgotten first; what was just asked for fits.
    this.cuts.push({ key, cuts: kept, bytes });
    let total = this.cuts.reduce((sum, entry) => sum + entry.bytes, 0);
    while (total > this.memory && this.cuts.length > 1) total -= this.cuts.shift()!.bytes;
  }

  private async behind(first: number, later: readonly number[]): Promise<Behind> {
    const key = [first, ...later].join();
    if (this.session?.key !== key) {
      void this.session?.runs.then((before) => before.release()).catch(() => undefined);
      const runs = Behind.of(this.inr, this.engine, this.layers, first, later);
      this.session = { key, runs };
      // One that cannot be made is tried again when asked for again.
      runs.catch(() => {
        if (this.session?.runs === runs) this.session = undefined;
      });
    }
    return this.session.runs;
  }

  /** Mean activation of a layer's neurons, real and imaginary parts. */
  private meansOf(layer: number, cancel: CancelToken): Promise<Float64Array[]> {
    let means = this.means.get(layer);
    if (!means) {
      means = this.computeMeans(layer, cancel);
      this.means.set(layer, means);
      means.catch(() => this.means.delete(layer));
    }
    return means;
  }

  private async computeMeans(layer: number, cancel: CancelToken): Promise<Float64Array[]> {
    const { inputs, inputImaginary } = this.layers[layer];
    const sums = Array.from({ length: inputImaginary ? 2 : 1 }, () => new Float64Array(inputs));
    let pixels = 0;
    await this.eachTile(layer, cancel, ({ count, values, imaginary }) => {
      pixels += count;
      [values, ...(imaginary ? [imaginary] : [])].forEach((source, part) => {
        for (let i = 0, k = 0; i < inputs; i++) {
          let sum = 0;
          for (const end = k + count; k < end; k++) sum += source[k];
          sums[part][i] += sum;
        }
      });
    });
    return sums.map((part) => part.map((sum) => sum / pixels));
  }

  async release(): Promise<void> {
    this.cuts = [];
    await this.session?.runs.then((runs) => runs.release()).catch(() => undefined);
  }
}

interface Replacement {
  readonly neurons: readonly number[];
  /** Real and imaginary parts of every neuron's mean; zero when undefined. */
  readonly means: readonly Float64Array[] | undefined;
}

/** The layers behind some layers' inputs, ready to run. */
class Behind {
  private constructor(
    private readonly inr: Inr,
    private readonly layers: readonly TracedLayer[],
    private readonly first: number,
    private readonly later: readonly number[],
    private readonly session: EngineSession,
    /** The first layer alone, where the rest starts from its affine result. */
    private readonly affine: EngineSession | undefined,
    private readonly readsCoordinates: boolean,
  ) {}

  /** The graph that runs, and whether it starts from the first layer's affine result. */
  static graph(graph: Graph, first: TracedLayer, later: readonly TracedLayer[]): Graph {
    const masked = later.reduce(withMasks, graph);
    if (!startsFromAffine(graph, first)) return behind(masked, valuesOf(first));
    const rest = behind(masked, [first.preActivation]);
    return withoutColumns(rest, first);
  }

  static async of(
    inr: Inr,
    engine: Engine,
    layers: readonly TracedLayer[],
    first: number,
    later: readonly number[],
  ): Promise<Behind> {
    const layer = layers[first];
    const graph = Behind.graph(
      inr.graph,
      layer,
      later.map((index) => layers[index]),
    );
    const session = await engine.load(graph, [graph.output]);
    const needsAffine = startsFromAffine(inr.graph, layer);
    const alone = needsAffine && behind({ ...inr.graph, output: layer.preActivation }, valuesOf(layer));
    const affine = alone ? await engine.load(alone, [alone.output]) : undefined;
    const coordinates = inr.graph.inputs[0].name;
    const reads = graph.inputs.some(({ name }) => name === coordinates);
    return new Behind(inr, layers, first, later, session, affine, reads);
  }

  /**
   * What a run starts from at some pixels of a tile.
   * @param kept whether the tile's values stay as they are
   */
  async cut(tile: ActivationTile, pixels: Uint32Array, kept: boolean): Promise<Cut> {
    const { inputs, input, preActivation } = this.layers[this.first];
    const n = pixels.length;
    const whole = n === tile.count;
    const activations = [tile.values, ...(tile.imaginary ? [tile.imaginary] : [])].map((source) => {
      if (whole) return kept ? source : source.slice(0, inputs * n);
      const out = new Float32Array(inputs * n);
      for (let i = 0, at = 0; i < inputs; i++) {
        const row = i * tile.count - tile.start;
        for (const pixel of pixels) out[at++] = source[row + pixel];
      }
      return out;
    });
    const bytes = whole && kept ? 0 : activations.reduce((sum, part) => sum + part.byteLength, 0);
    if (!this.affine) return { pixels, activations, bytes };
    const feeds = new Map([[input, { shape: [inputs, n], data: activations[0] }]]);
    const affine = (await this.affine.run(feeds)).get(preActivation)!.data;
    return { pixels, activations, affine, bytes: bytes + affine.byteLength };
  }

  /** @returns the network's output `[channels, pixels]` */
  async run(cut: Cut, replaced: ReadonlyMap<number, Replacement>): Promise<Float32Array> {
    const { pixels, activations, affine } = cut;
    const layer = this.layers[this.first];
    const { neurons, means } = replaced.get(this.first)!;
    const n = pixels.length;
    const feeds = new Map<string, EngineTensor>();
    if (affine) {
      const k = Math.max(1, neurons.length);
      const columns = new Float32Array(layer.outputs * k);
      const missing = new Float32Array(k * n);
      neurons.forEach((neuron, at) => {
        for (let j = 0; j < layer.outputs; j++) {
          columns[j * k + at] = -layer.weight[j * layer.inputs + neuron];
        }
        const kept = means ? means[0][neuron] : 0;
        for (let p = 0; p < n; p++) missing[at * n + p] = activations[0][neuron * n + p] - kept;
      });
      feeds.set(names.whole, { shape: [layer.outputs, n], data: affine });
      feeds.set(names.columns, { shape: [layer.outputs, k], data: columns });
      feeds.set(names.missing, { shape: [k, n], data: missing });
    } else {
      valuesOf(layer).forEach((name, part) => {
        const data = activations[part].slice();
        for (const neuron of neurons) {
          data.fill(means ? means[part][neuron] : 0, neuron * n, (neuron + 1) * n);
        }
        feeds.set(name, { shape: [layer.inputs, n], data });
      });
    }
    for (const index of this.later) {
      const { neurons: off, means: kept } = replaced.get(index)!;
      valuesOf(this.layers[index]).forEach((name, part) => {
        const { inputs } = this.layers[index];
        const keep = new Float32Array(inputs).fill(1);
        const put = new Float32Array(inputs);
        for (const neuron of off) {
          keep[neuron] = 0;
          put[neuron] = kept ? kept[part][neuron] : 0;
        }
        feeds.set(names.keep(name), { shape: [inputs, 1], data: keep });
        feeds.set(names.put(name), { shape: [inputs, 1], data: put });
      });
    }
    const { domain, signal, graph } = this.inr;
    if (this.readsCoordinates) {
      if (domain.kind !== 'pixels') throw new Error('frames are not made of pixels');
      const data = coordinatesAt(domain.convention, signal.height, signal.width, pixels);
      feeds.set(graph.inputs[0].name, { shape: [domain.dims, n], data });
    }
    return (await this.session.run(feeds)).get(graph.output)!.data;
  }

  async release(): Promise<void> {
    await Promise.all([this.session.release(), this.affine?.release()]);
  }
}

const names = {
  whole: 'ablation:whole',
  columns: 'ablation:columns',
  missing: 'ablation:missing',
  keep: (value: string) => `ablation:keep:${value}`,
  put: (value: string) => `ablation:put:${value}`,
};

const valuesOf = ({ input, inputImaginary }: TracedLayer) =>
  inputImaginary ? [input, inputImaginary] : [input];

/** Whether nothing behind a real layer reads its input but the layer itself. */
function startsFromAffine(graph: Graph, layer: TracedLayer): boolean {
  if (layer.inputImaginary || layer.weightImaginary || layer.kind !== 'linear') return false;
  // Where the affine result is the output, there is nothing behind to run.
  if (layer.preActivation === graph.output) return false;
  const rest = behind(graph, [layer.preActivation]);
  return !rest.nodes.some(
    ({ inputs, outputs }) => inputs.includes(layer.input) || outputs.includes(layer.input),
  );
}

/** The graph with a layer's neurons replaced by `put` where `keep` is 0. */
function withMasks(graph: Graph, layer: TracedLayer): Graph {
  return valuesOf(layer).reduce<Graph>((before, value) => {
    const [masked, kept] = [`ablation:masked:${value}`, `ablation:kept:${value}`];
    const renamed = before.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((name) => (name === value ? kept : name)),
    }));
    const maker = renamed.findIndex(({ outputs }) => outputs.includes(value));
    const added: GraphNode[] = [
      { op: 'Mul', inputs: [value, names.keep(value)], outputs: [masked] },
      { op: 'Add', inputs: [masked, names.put(value)], outputs: [kept] },
    ];
    const shape = [layer.inputs, 1];
    return {
      ...before,
      inputs: [...before.inputs, { name: names.keep(value), shape }, { name: names.put(value), shape }],
      nodes: [...renamed.slice(0, maker + 1), ...added, ...renamed.slice(maker + 1)],
    };
  }, graph);
}

/** The graph behind a layer's affine result, which lacks some columns of the weights times what they met. */
function withoutColumns(rest: Graph, { preActivation, outputs }: TracedLayer): Graph {
  const lost = 'ablation:lost';
  return {
    ...rest,
    inputs: [
      { name: names.whole, shape: [outputs, 'P'] },
      { name: names.columns, shape: [outputs, 'K'] },
      { name: names.missing, shape: ['K', 'P'] },
      ...rest.inputs.filter(({ name }) => name !== preActivation),
    ],
    nodes: [
      { op: 'MatMul', inputs: [names.columns, names.missing], outputs: [lost] },
      { op: 'Add', inputs: [names.whole, lost], outputs: [preActivation] },
      ...rest.nodes,
    ],
  };
}

/** Pixels of a run of consecutive ones that lie on every `step`-th row and column. */
function drawnPixels(start: number, count: number, width: number, step: number): Uint32Array {
  if (step === 1) return Uint32Array.from({ length: count }, (_, k) => start + k);
  const drawn: number[] = [];
  for (let pixel = start; pixel < start + count; pixel++) {
    if (Math.floor(pixel / width) % step === 0 && (pixel % width) % step === 0) drawn.push(pixel);
  }
  return Uint32Array.from(drawn);
}

const sampleNames = new WeakMap<Uint32Array, string>();
let samples = 0;

function sampled(pixels: Uint32Array): Pixels {
  let key = sampleNames.get(pixels);
  if (key === undefined) sampleNames.set(pixels, (key = `sample ${++samples}`));
  return {
    key,
    among: (start, count) => {
      const from = firstFrom(pixels, start);
      return pixels.subarray(from, firstFrom(pixels, start + count));
    },
  };
}

/** Index of the first element of at least `value`. */
function firstFrom(ascending: Uint32Array, value: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
