/** What the network paints without some of its neurons: the causal side of a contribution (tracing.md §1). */
import type { Engine, EngineSession, EngineTensor } from '../engine/types';
import type { CancelToken } from '../errors';
import { pixelCost } from '../graph/cost';
import { behind } from '../graph/cut';
import type { Graph, GraphNode } from '../graph/types';
import { coordinatesAt, fillCoordinates } from '../inr/coordinates';
import type { Inr, TracedLayer } from '../inr/types';
import type { NeuronRef } from '../worker/protocol';
import type { Activations } from './activations';
import type { ActivationTile } from './contributions';
import type { Pass, PassRunner } from './pass';

/** What an ablated neuron puts out everywhere: nothing, or its mean over the picture. */
export type Baseline = 'zero' | 'mean';

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

/**
 * Of a run: threads inside an operator wait for each other at every layer, which takes twice the processor time
 * and, beside other programs, longer than one thread does (docs/benchmarks.md).
 */
const THREADS = 1;
/** Milliseconds after which the event loop gets its turn. */
const TURN = 40;

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
 * Answers what is painted without some neurons. Only the layers behind the first of them run, wherever their
 * activations are kept. At some pixels of the picture not even that layer runs again: because it is linear, its
 * result without neuron i is its result less `W[:,i] · (a_i − baseline)`, and what that starts from is remembered.
 */
export class Ablations {
  private session: { readonly key: string; readonly runs: Promise<Behind> } | undefined;
  private whole: { readonly key: string; readonly session: Promise<EngineSession> } | undefined;
  private cuts: { readonly key: string; readonly cuts: readonly Cut[]; readonly bytes: number }[] = [];
  private readonly means = new Map<number, Promise<Float64Array[]>>();

  /** @param memory bytes that remembered values may take */
  constructor(
    private readonly inr: Inr,
    private readonly layers: readonly TracedLayer[],
    private readonly engine: Engine,
    private readonly activations: Activations,
    private readonly passes: PassRunner,
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
    if (step === 1) {
      await this.everywhere(neurons, baseline, cancel, (start, count, painted) => {
        for (let c = 0; c < channels; c++) {
          for (let k = 0; k < count; k++) values[(start + k) * channels + c] = painted[c * count + k];
        }
      });
      return { height, width, step, values };
    }
    const pixels = Uint32Array.from(
      { length: rows * columns },
      (_, k) => step * (Math.floor(k / columns) * width + (k % columns)),
    );
    let at = 0;
    await this.run(neurons, baseline, { key: `every ${step}`, pixels }, cancel, (count, painted) => {
      for (let k = 0; k < count; k++) {
        for (let c = 0; c < channels; c++) values[at++] = painted[c * count + k];
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
    let at = 0;
    await this.run(neurons, baseline, { key: sampleName(pixels), pixels }, cancel, (count, painted) => {
      for (let k = 0; k < count; k++) {
        for (let c = 0; c < channels; c++) values[at++] = painted[c * count + k];
      }
    });
    return values;
  }

  /** What replaces the neurons of each layer, first layer first. @throws RangeError when there is no such neuron */
  private async replacements(
    neurons: readonly NeuronRef[],
    baseline: Baseline,
    cancel: CancelToken,
  ): Promise<ReadonlyMap<number, Replacement>> {
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
    const replaced = new Map<number, Replacement>();
    for (const [layer, indices] of [...byLayer].sort(([a], [b]) => a - b)) {
      const means = baseline === 'mean' ? await this.meansOf(layer, cancel) : undefined;
      replaced.set(layer, { neurons: [...new Set(indices)], means });
    }
    return replaced;
  }

  /** Every pixel: from kept activations, else from the coordinates on; nothing but the output leaves the engine. */
  private async everywhere(
    neurons: readonly NeuronRef[],
    baseline: Baseline,
    cancel: CancelToken,
    take: (start: number, count: number, painted: Float32Array) => void,
  ): Promise<void> {
    const { graph, domain, signal } = this.inr;
    if (domain.kind !== 'pixels') throw new Error('frames are not made of pixels');
    const replaced = await this.replacements(neurons, baseline, cancel);
    const layers = [...replaced.keys()];
    const masked = layers.map((index) => this.layers[index]).reduce(withMasks, graph);
    const masks = new Map([...replaced].flatMap(([index, own]) => masksOf(this.layers[index], own)));
    const first = this.layers[layers[0]];
    const tiles = this.activations.known(first);
    if (!tiles) {
      const pass: Pass = {
        graph: withConstants(masked, masks),
        convention: domain.convention,
        height: signal.height,
        width: signal.width,
        step: 1,
        layers: [],
        keep: [],
      };
      await this.passes.run(pass, cancel, ({ start, count, output }) => take(start, count, output));
      return;
    }
    const rest = behind(masked, valuesOf(first));
    const key = layers.join();
    if (this.whole?.key !== key) {
      void this.whole?.session.then((before) => before.release()).catch(() => undefined);
      const session = this.engine.load(rest, [graph.output], THREADS);
      this.whole = { key, session };
      // One that cannot be made is tried again when asked for again.
      session.catch(() => {
        if (this.whole?.session === session) this.whole = undefined;
      });
    }
    const session = await this.whole.session;
    const coordinates = graph.inputs[0].name;
    const reads =
      rest.inputs.some(({ name }) => name === coordinates) && !valuesOf(first).includes(coordinates);
    let turn = performance.now();
    for (const { start, count, values, imaginary } of tiles) {
      cancel.throwIfCancelled();
      const feeds = new Map<string, EngineTensor>(masks);
      const parts = imaginary ? [values, imaginary] : [values];
      valuesOf(first).forEach((name, part) =>
        feeds.set(name, { shape: [first.inputs, count], data: parts[part] }),
      );
      if (reads) {
        const data = new Float32Array(domain.dims * count);
        fillCoordinates(domain.convention, signal.height, signal.width, start, start + count, data);
        feeds.set(coordinates, { shape: [domain.dims, count], data });
      }
      take(start, count, (await session.run(feeds)).get(graph.output)!.data);
      if (performance.now() - turn < TURN) continue;
      await new Promise((resolve) => setImmediate(resolve));
      turn = performance.now();
    }
  }

  /** Some pixels. @param take gets runs of them in order */
  private async run(
    neurons: readonly NeuronRef[],
    baseline: Baseline,
    { key, pixels }: { readonly key: string; readonly pixels: Uint32Array },
    cancel: CancelToken,
    take: (count: number, painted: Float32Array) => void,
  ): Promise<void> {
    const replaced = await this.replacements(neurons, baseline, cancel);
    const [first, ...later] = replaced.keys();
    const session = await this.behind(first, later);
    const name = `${first} ${key}`;
    const known = this.cuts.find((entry) => entry.key === name);
    const cuts: Cut[] = [];
    let bytes = 0;
    let turn = performance.now();
    for (let from = 0, k = 0; from < pixels.length; from += RUN, k++) {
      cancel.throwIfCancelled();
      const some = pixels.subarray(from, from + RUN);
      const cut = known?.cuts[k] ?? (await session.cut(some, this.activations.known(this.layers[first])));
      take(some.length, await session.run(cut, replaced));
      bytes += cut.bytes;
      if (bytes <= this.memory) cuts.push(cut);
      if (performance.now() - turn < TURN) continue;
      await new Promise((resolve) => setImmediate(resolve));
      turn = performance.now();
    }
    if (known || bytes > this.memory) return;
    // The oldest is forgotten first; what was just asked for fits.
    this.cuts.push({ key: name, cuts, bytes });
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
    await this.activations.eachTile(this.layers[layer], cancel, ({ count, values, imaginary }) => {
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
    await this.whole?.session.then((session) => session.release()).catch(() => undefined);
  }
}

interface Replacement {
  readonly neurons: readonly number[];
  /** Real and imaginary parts of every neuron's mean; zero when undefined. */
  readonly means: readonly Float64Array[] | undefined;
}

/** The layers behind some layers' inputs, ready to run at some pixels. */
class Behind {
  private readonly fronts = new Map<'coordinates' | 'activations', Promise<EngineSession>>();

  private constructor(
    private readonly inr: Inr,
    private readonly engine: Engine,
    private readonly layers: readonly TracedLayer[],
    private readonly first: number,
    private readonly later: readonly number[],
    private readonly session: EngineSession,
    /** Whether runs start from the first layer's affine result. */
    private readonly fromAffine: boolean,
    private readonly readsCoordinates: boolean,
  ) {}

  /** The graph that runs: from the first layer's affine result where nothing else reads its input. */
  static graph(graph: Graph, first: TracedLayer, later: readonly TracedLayer[]): Graph {
    if (!startsFromAffine(graph, first)) {
      return behind([first, ...later].reduce(withMasks, graph), valuesOf(first));
    }
    const rest = behind(later.reduce(withMasks, graph), [first.preActivation]);
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
    const session = await engine.load(graph, [graph.output], THREADS);
    const fromAffine = startsFromAffine(inr.graph, layer);
    const coordinates = inr.graph.inputs[0].name;
    const reads =
      graph.inputs.some(({ name }) => name === coordinates) && !valuesOf(layer).includes(coordinates);
    return new Behind(inr, engine, layers, first, later, session, fromAffine, reads);
  }

  /** Computes what a cut holds: all of it, or from the activations the layer's affine result. */
  private front(from: 'coordinates' | 'activations'): Promise<EngineSession> {
    let front = this.fronts.get(from);
    if (!front) {
      const { graph } = this.inr;
      const layer = this.layers[this.first];
      const values = valuesOf(layer);
      front =
        from === 'activations'
          ? this.engine.load(
              behind({ ...graph, output: layer.preActivation }, values),
              [layer.preActivation],
              THREADS,
            )
          : this.engine.load(graph, this.fromAffine ? [...values, layer.preActivation] : values, THREADS);
      this.fronts.set(from, front);
      front.catch(() => this.fronts.delete(from));
    }
    return front;
  }

  /** What a run starts from at some pixels, ascending. @param kept the layer's activations, if they are known */
  async cut(pixels: Uint32Array, kept: readonly ActivationTile[] | undefined): Promise<Cut> {
    const { inputs, input, preActivation } = this.layers[this.first];
    const values = valuesOf(this.layers[this.first]);
    const n = pixels.length;
    let activations: readonly Float32Array[];
    let affine: Float32Array | undefined;
    if (kept) {
      activations = values.map((_, part) => gathered(kept, part, inputs, pixels));
      if (this.fromAffine) {
        const feeds = new Map([[input, { shape: [inputs, n], data: activations[0] }]]);
        affine = (await (await this.front('activations')).run(feeds)).get(preActivation)!.data;
      }
    } else {
      const { domain, signal, graph } = this.inr;
      if (domain.kind !== 'pixels') throw new Error('frames are not made of pixels');
      const data = coordinatesAt(domain.convention, signal.height, signal.width, pixels);
      const feeds = new Map([[graph.inputs[0].name, { shape: [domain.dims, n], data }]]);
      const found = await (await this.front('coordinates')).run(feeds);
      activations = values.map((name) => found.get(name)!.data);
      affine = this.fromAffine ? found.get(preActivation)!.data : undefined;
    }
    const bytes = [...activations, ...(affine ? [affine] : [])].reduce(
      (sum, part) => sum + part.byteLength,
      0,
    );
    return { pixels, activations, ...(affine && { affine }), bytes };
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
        feeds.set(name, { shape: [layer.inputs, n], data: activations[part] });
      });
      for (const [name, mask] of masksOf(layer, replaced.get(this.first)!)) feeds.set(name, mask);
    }
    for (const index of this.later) {
      for (const [name, mask] of masksOf(this.layers[index], replaced.get(index)!)) feeds.set(name, mask);
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
    const fronts = await Promise.all(this.fronts.values());
    await Promise.all([this.session, ...fronts].map((session) => session.release()));
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

/** What `withMasks` asks for: 0 and what is put there for neurons that are off, 1 and nothing for the others. */
function masksOf(layer: TracedLayer, { neurons, means }: Replacement): (readonly [string, EngineTensor])[] {
  const shape = [layer.inputs, 1];
  return valuesOf(layer).flatMap((name, part) => {
    const keep = new Float32Array(layer.inputs).fill(1);
    const put = new Float32Array(layer.inputs);
    for (const neuron of neurons) {
      keep[neuron] = 0;
      put[neuron] = means ? means[part][neuron] : 0;
    }
    return [
      [names.keep(name), { shape, data: keep }] as const,
      [names.put(name), { shape, data: put }] as const,
    ];
  });
}

/** The graph with some of its inputs given once and for all. */
const withConstants = (graph: Graph, given: ReadonlyMap<string, EngineTensor>): Graph => ({
  ...graph,
  inputs: graph.inputs.filter(({ name }) => !given.has(name)),
  constants: new Map([...graph.constants, ...given]),
});

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

const sampleNames = new WeakMap<Uint32Array, string>();
let samples = 0;

function sampleName(pixels: Uint32Array): string {
  let name = sampleNames.get(pixels);
  if (name === undefined) sampleNames.set(pixels, (name = `sample ${++samples}`));
  return name;
}

/** Activations at some pixels, ascending, `[neurons, pixels]`. */
function gathered(
  tiles: readonly ActivationTile[],
  part: number,
  neurons: number,
  pixels: Uint32Array,
): Float32Array {
  const out = new Float32Array(neurons * pixels.length);
  let from = 0;
  for (const { start, count, values, imaginary } of tiles) {
    const source = part === 0 ? values : imaginary!;
    let end = from;
    while (end < pixels.length && pixels[end] < start + count) end++;
    for (let i = 0; i < neurons; i++) {
      const row = i * count - start;
      for (let k = from; k < end; k++) out[i * pixels.length + k] = source[row + pixels[k]];
    }
    from = end;
  }
  return out;
}
