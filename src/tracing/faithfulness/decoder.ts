/**
 * The faithfulness card of a decoder's frame: what coordinate networks are asked of neurons is asked here of
 * channels, of which each removal runs the layers behind it over the whole frame.
 */
import type { Engine, EngineSession, EngineTensor } from '../../engine/types';
import type { CancelToken } from '../../errors';
import { behind } from '../../graph/cut';
import { inferShapes } from '../../graph/shapes';
import type { Graph } from '../../graph/types';
import type { Inr, TracedLayer } from '../../inr/types';
import type { Baseline } from '../ablation';
import { spearman } from '../correlation';
import { sampleIndices, seededRandom } from '../random';
import { pause } from '../regions';
import { rowMeans, sumOfRows } from '../sampled';
import type { Trace } from '../trace';
import type { LayerTrace } from '../types';
import { channelMaps, Channels } from '../video/channels';
import { atPixels, FrameRunner } from '../video/runner';
import { VideoTrace } from '../video/trace';
import type { CardOptions, FaithfulnessCard, LayerFaithfulness, Randomised, Residual } from './card';
import {
  deletionCurves,
  effects,
  exactly,
  FULL,
  residual,
  runsOf,
  sensitivityN,
  type Removable,
  type Repetitions,
} from './measures';
import { shuffledOneByOne } from './shuffled';

/** Pixels of the frame on which errors and contributions are compared. */
const MOST_PIXELS = 16_384;
/** Operations: some tens of seconds of two cores. */
const BUDGET = 1e12;
/** What a large decoder gets. */
const FEW: Repetitions = { orders: 3, sets: 12, parts: [0.05, 0.15, 0.3, 0.5, 0.75, 1] };
/** Operations that one contribution at one pixel takes. */
const PER_CONTRIBUTION = 50;
/** Kernels of a layer whose totals are compared with those of shuffled networks. */
const SHUFFLED_KERNELS = 64;

/** The card of the frame that was traced. @throws CancelledError */
export async function decoderFaithfulness(
  trace: Trace,
  engine: Engine,
  options: CardOptions,
): Promise<FaithfulnessCard> {
  const { method, baseline, seed, budget = BUDGET, onProgress, onLayer } = options;
  const { inr, frame } = trace;
  const area = inr.signal.height * inr.signal.width;
  const pixels = sampleIndices(area, MOST_PIXELS, seededRandom(seed));
  const runner = new FrameRunner(inr, engine);
  const layers: LayerFaithfulness[] = [];
  const omitted: string[] = [];
  let randomised: Randomised[] = [];
  const { repetitions, affordable } = plan(trace, budget);
  const card = (): FaithfulnessCard => ({
    method,
    baseline,
    sample: { pixels: pixels.length, of: area, seed, frame, kernels: SHUFFLED_KERNELS },
    repetitions: { orders: repetitions.orders, sets: repetitions.sets },
    layers: layers.toSorted((a, b) => a.index - b.index),
    randomised,
    omitted,
  });
  try {
    // The head first: nothing but the last activation lies behind it.
    for (const [k, index] of [...trace.layers.keys()].reverse().entries()) {
      const { name } = trace.layers[index];
      if (!affordable.has(index)) {
        omitted.push(
          `Channels of ${name} are not taken away: each run of what lies behind is so long that all would take minutes.`,
        );
        continue;
      }
      onProgress?.(`Taking channels of ${name} away`, (0.85 * k) / trace.layers.length);
      layers.push(await layerCard(trace, runner, index, pixels, repetitions, options));
      onLayer?.(card());
    }
    onProgress?.('Shuffling weights', 0.85);
    randomised = await shuffledTotals(trace, engine, options);
  } finally {
    runner.release();
  }
  return card();
}

/** How often everything is repeated, and which layers, from the head back, the budget suffices for. */
function plan({ inr, layers }: Trace, budget: number) {
  const costs = layers.map((layer) => {
    const { own, channels } = partOf(inr, layer);
    const contributions = layer.neurons * inr.signal.height * inr.signal.width * PER_CONTRIBUTION;
    return { behind: operationsBehind(inr, own), channels: channels.count, contributions };
  });
  const within = (repetitions: Repetitions) => {
    let spent = 0;
    const found = new Set<number>();
    for (let index = layers.length - 1; index >= 0; index--) {
      const { behind: each, channels, contributions } = costs[index];
      spent += runsOf(channels, repetitions) * each + contributions;
      if (spent > budget) break;
      found.add(index);
    }
    return found;
  };
  const all = within(FULL);
  return all.size === layers.length
    ? { repetitions: FULL, affordable: all }
    : { repetitions: FEW, affordable: within(FEW) };
}

function partOf({ layers }: Inr, { name }: LayerTrace) {
  const own = layers.find((layer) => layer.name === name);
  if (!own) throw new RangeError(`there is no layer ${name}`);
  return { own, channels: new Channels(own) };
}

const cutOf = (layer: TracedLayer) => (layer.last ? layer.input : layer.preActivation);

/** Floating-point operations of the layers behind a layer's cut; an activation counts ten. */
function operationsBehind(inr: Inr, layer: TracedLayer): number {
  const shapes = inferShapes(inr.graph);
  const size = (name: string) =>
    (shapes.get(name) ?? []).reduce<number>((n, d) => n * (typeof d === 'number' ? d : 1), 1);
  const first = inr.layers.indexOf(layer) + (layer.last ? 0 : 1);
  return inr.layers.slice(first).reduce(
    (sum, { weight, outputs, preActivation }) => {
      const values = size(preActivation);
      return sum + 2 * (weight.length / outputs) * values + 10 * values;
    },
    10 * size(layer.preActivation),
  );
}

async function layerCard(
  trace: Trace,
  runner: FrameRunner,
  index: number,
  pixels: Uint32Array,
  repetitions: Repetitions,
  { baseline, seed, cancel }: CardOptions,
): Promise<LayerFaithfulness> {
  const { inr } = trace;
  const layer = trace.layers[index];
  const { own, channels } = partOf(inr, layer);
  const removal = await ChannelRemoval.at(trace, runner, own, channels, pixels, baseline, cancel);
  try {
    const maps = await channelMaps(trace, index, channels, pixels, cancel);
    const completeness = await residuals(trace, own, removal, maps);
    const total = channels.sums(layer.statistics.total);
    const effect = await effects(removal);
    const values = { total, weights: channels.norms(), activation: removal.activation, ablation: effect };
    const random = seededRandom(seed + index);
    const deletion = await deletionCurves(removal, values, repetitions, random);
    const sensitivity = await sensitivityN(removal, maps, repetitions, random);
    return {
      layer: layer.name,
      index,
      unit: channels.unit,
      units: channels.count,
      approximate: reasonOf(own, completeness),
      completeness,
      deletion,
      agreement: spearman(total, effect),
      sensitivity,
    };
  } finally {
    await removal.release();
  }
}

function reasonOf({ last }: TracedLayer, completeness: readonly Residual[]): string | null {
  if (completeness.every(({ exact }) => exact)) return null;
  const { mean, scale } = completeness.at(-1)!;
  const part = scale > 0 ? mean / scale : 0;
  const size = part < 2 ? `${Math.round(100 * part)} % of` : `${Math.round(part)} times`;
  const why = last
    ? 'the final activation bends what the contributions add up to'
    : 'mean filters stand for the layers behind';
  return `${why}; added up they are off by ${size} what the channels give the picture`;
}

/**
 * The network from a layer on, without some of its channels: those of a block put out nothing before the
 * activation (or their mean over the frame), which is what their kernels add up to; those the head reads are 0.
 */
export class ChannelRemoval implements Removable {
  readonly units: number;
  readonly channels: number;
  readonly range: readonly [number, number];
  readonly part: number;
  private readonly off: Float64Array;

  private constructor(
    private readonly inr: Inr,
    private readonly layer: TracedLayer,
    groups: Channels,
    private readonly session: EngineSession,
    private readonly graph: Graph,
    /** Graph inputs that stay as they are. */
    private readonly others: readonly (readonly [string, EngineTensor])[],
    /** At the cut, `[1, rows, h, w]`; put back after each run. */
    private readonly values: EngineTensor & { readonly data: Float32Array },
    private readonly pixels: Uint32Array,
    readonly output: Float32Array,
    baseline: Baseline,
    private readonly cancel: CancelToken,
  ) {
    const { height, width, channels } = inr.signal;
    this.units = groups.count;
    this.channels = channels;
    this.range = inr.outputRange;
    this.part = pixels.length / (height * width);
    this.off =
      baseline === 'mean'
        ? rowMeans(values.data, this.rows, values.data.length / this.rows)
        : new Float64Array(this.rows);
  }

  /** @throws CancelledError */
  static async at(
    { inr, frame }: Trace,
    runner: FrameRunner,
    layer: TracedLayer,
    groups: Channels,
    pixels: Uint32Array,
    baseline: Baseline,
    cancel: CancelToken,
  ): Promise<ChannelRemoval> {
    const { graph, domain } = inr;
    if (domain.kind !== 'frames') throw new Error('pixels are not frames');
    const cut = cutOf(layer);
    const found = await runner.run(frame, [cut, graph.output]);
    cancel.throwIfCancelled();
    const rest = behind(graph, [cut]);
    const t = { shape: [1, 1], data: Float32Array.of(frame / domain.divisor) };
    const others = rest.inputs.flatMap(({ name }) => (name === cut ? [] : [[name, t] as const]));
    const { shape, data } = found.get(cut)!;
    const output = atPixels(found.get(graph.output)!.data, inr.signal.channels, pixels);
    const session = await runner.engine.load(rest, [graph.output]);
    return new ChannelRemoval(
      inr,
      layer,
      groups,
      session,
      rest,
      others,
      { shape, data: data.slice() },
      pixels,
      output,
      baseline,
      cancel,
    );
  }

  private get rows(): number {
    return this.layer.last ? this.layer.inputs : this.layer.outputs;
  }

  /** Rows of the cut that are one channel's. */
  private rowsOf(channel: number): readonly [from: number, end: number] {
    const each = this.rows / this.units;
    return [channel * each, (channel + 1) * each];
  }

  /** Mean |activation| of each channel. */
  get activation(): Float64Array {
    const { layer, values } = this;
    const activate = layer.last ? undefined : layer.activate;
    const area = values.data.length / this.rows;
    return Float64Array.from({ length: this.units }, (_, channel) => {
      const [from, end] = this.rowsOf(channel);
      let sum = 0;
      for (let k = from * area; k < end * area; k++) {
        sum += Math.abs(activate ? activate(values.data[k]) : values.data[k]);
      }
      return sum / ((end - from) * area);
    });
  }

  async without(
    sets: readonly (readonly number[] | Uint32Array)[],
    visit: (set: number, output: Float32Array) => void,
  ): Promise<void> {
    const { values, inr, graph, pixels } = this;
    const area = values.data.length / this.rows;
    for (const [s, set] of sets.entries()) {
      await pause(this.cancel);
      const saved: (readonly [number, Float32Array])[] = [];
      for (const channel of set) {
        const [from, end] = this.rowsOf(channel);
        for (let row = from; row < end; row++) {
          saved.push([row * area, values.data.slice(row * area, (row + 1) * area)]);
          values.data.fill(this.off[row], row * area, (row + 1) * area);
        }
      }
      const feeds = new Map<string, EngineTensor>([[cutOf(this.layer), values], ...this.others]);
      const { data } = (await this.session.run(feeds)).get(graph.output)!;
      for (const [at, row] of saved) values.data.set(row, at);
      visit(s, atPixels(data, inr.signal.channels, pixels));
    }
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}

/** The first is what the trace measured on all pixels, the last one against the picture. */
async function residuals(
  { completeness }: Trace,
  layer: TracedLayer,
  removal: ChannelRemoval,
  maps: Float32Array,
): Promise<Residual[]> {
  const own = completeness.layers?.find(({ layer: name }) => name === layer.name);
  const found: Residual[] = [];
  if (own) {
    const { largest, mean, scale } = own;
    const against = layer.last ? 'the colours before the final activation' : 'what the next layer is given';
    found.push({ against, largest, mean, scale, exact: exactly(largest, scale) });
  }
  const count = removal.output.length / removal.channels;
  const all = Uint32Array.from({ length: removal.units }, (_, i) => i);
  let off: Float32Array = new Float32Array(0);
  await removal.without([all], (_, output) => (off = output));
  const difference = sumOfRows(
    removal.output.map((v, k) => v - off[k]),
    removal.channels,
    count,
  );
  // The head's contributions carry the bias, which stays when its inputs are off.
  const bias = layer.last ? (layer.bias?.reduce((sum, b) => sum + b, 0) ?? 0) : 0;
  const sum = sumOfRows(maps, removal.units, count).map((v) => v - bias);
  found.push(residual('the picture', sum, difference));
  return found;
}

/** Totals of some kernels of each layer while the weights are shuffled, one layer after another from the top. */
async function shuffledTotals(
  { inr, frame, layers }: Trace,
  engine: Engine,
  { seed, cancel }: CardOptions,
): Promise<Randomised[]> {
  const draw = seededRandom(seed + 1);
  const kernels = layers.map(({ neurons }) => sampleIndices(neurons, SHUFFLED_KERNELS, draw));
  const totalsOf = async (model: Inr): Promise<Float64Array[]> => {
    const runner = new FrameRunner(model, engine);
    try {
      const own = layers.map((layer) => partOf(model, layer).own);
      const traced = await VideoTrace.of(runner, frame, own);
      const totals: Float64Array[] = [];
      for (const [layer, chosen] of kernels.entries()) {
        const each = new Float64Array(chosen.length);
        for (const [k, neuron] of chosen.entries()) {
          await pause(cancel);
          const { data } = await traced.map({ layer, neuron });
          for (const c of data) each[k] += Math.abs(c);
        }
        totals.push(each);
      }
      return totals;
    } finally {
      runner.release();
    }
  };
  return shuffledOneByOne(inr, totalsOf, seed + 2);
}
