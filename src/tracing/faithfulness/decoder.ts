/**
 * The faithfulness card of a decoder's frame or frames: what coordinate networks are asked of neurons is asked here of
 * channels, of which each removal runs the layers behind it over the whole frame.
 */
import type { Engine } from '../../engine/types';
import type { CancelToken } from '../../errors';
import { inferShapes } from '../../graph/shapes';
import type { Inr, TracedLayer } from '../../inr/types';
import type { Baseline } from '../ablation';
import { spearman } from '../correlation';
import { sampleIndices, seededRandom } from '../random';
import { pause } from '../regions';
import { joinedRows, sumOfRows } from '../sampled';
import type { Subject } from '../subject';
import type { LayerTrace, Method } from '../types';
import { BehindFrame, meanOf } from '../video/behindFrame';
import { channelMaps, Channels } from '../video/channels';
import { ChannelTrace } from '../video/channelTrace';
import { atPixels, FrameRunner } from '../video/runner';
import { VideoTrace } from '../video/trace';
import type { CardOptions, FaithfulnessCard, LayerFaithfulness, Randomised, Residual } from './card';
import {
  deletionCurves,
  effects,
  exactly,
  FULL,
  residual,
  residualsTogether,
  runsOf,
  sensitivityN,
  together,
  type Removable,
  type Repetitions,
} from './measures';
import { shuffledOneByOne } from './shuffled';

/** Pixels of all frames on which errors and contributions are compared. */
const MOST_PIXELS = 16_384;
/** Operations: some tens of seconds of two cores. */
const BUDGET = 1e12;
/** What a large decoder gets. */
const FEW: Repetitions = { orders: 3, sets: 12, parts: [0.05, 0.15, 0.3, 0.5, 0.75, 1] };
/** Operations that one contribution at one pixel takes. */
const PER_CONTRIBUTION = 50;
/** Kernels of a layer whose totals are compared with those of shuffled networks. */
const SHUFFLED_KERNELS = 64;

/** The card of a frame, or of several taken together. @throws CancelledError */
export async function decoderFaithfulness(
  subject: Subject,
  engine: Engine,
  options: CardOptions,
): Promise<FaithfulnessCard> {
  const { method, baseline, seed, budget = BUDGET, onProgress, onLayer } = options;
  const { frames } = subject;
  const inr = subject.inrAt(0);
  const area = inr.signal.height * inr.signal.width;
  const random = seededRandom(seed);
  const pixels = frames.map(() => sampleIndices(area, Math.ceil(MOST_PIXELS / frames.length), random));
  const runner = new FrameRunner(inr, engine);
  const layers: LayerFaithfulness[] = [];
  const omitted: string[] = [];
  let randomised: Randomised[] = [];
  const { repetitions, affordable } = plan(subject, budget);
  const card = (): FaithfulnessCard => ({
    method,
    baseline,
    sample: {
      pixels: pixels.reduce((sum, { length }) => sum + length, 0),
      of: frames.length * area,
      seed,
      frames,
      kernels: SHUFFLED_KERNELS,
    },
    repetitions: { orders: repetitions.orders, sets: repetitions.sets },
    layers: layers.toSorted((a, b) => a.index - b.index),
    randomised,
    omitted,
  });
  try {
    // The head first: nothing but the last activation lies behind it.
    for (const [k, index] of [...subject.layers.keys()].reverse().entries()) {
      const { name } = subject.layers[index];
      if (!affordable.has(index)) {
        omitted.push(
          `Channels of ${name} are not taken away: each run of what lies behind is so long that all would take minutes.`,
        );
        continue;
      }
      onProgress?.(`Taking channels of ${name} away`, (0.85 * k) / subject.layers.length);
      layers.push(await layerCard(subject, runner, index, pixels, repetitions, options));
      onLayer?.(card());
    }
    if (method !== 'xinc' && shuffledCost(subject) > budget) {
      omitted.push(
        `Weights are not shuffled: each map by ${method} is so long a run that all would take minutes.`,
      );
    } else {
      onProgress?.('Shuffling weights', 0.85);
      randomised = await shuffledTotals(subject, engine, options);
    }
  } finally {
    runner.release();
  }
  return card();
}

/** How often everything is repeated, and which layers, from the head back, the budget suffices for. */
function plan(subject: Subject, budget: number) {
  const { layers, frames } = subject;
  const inr = subject.inrAt(0);
  const costs = layers.map((layer) => {
    const { own, channels } = partOf(inr, layer);
    const contributions = layer.neurons * inr.signal.height * inr.signal.width * PER_CONTRIBUTION;
    return { behind: operationsBehind(inr, own, channels), channels: channels.count, contributions };
  });
  const within = (repetitions: Repetitions) => {
    let spent = 0;
    const found = new Set<number>();
    for (let index = layers.length - 1; index >= 0; index--) {
      const { behind: each, channels, contributions } = costs[index];
      spent += frames.length * (runsOf(channels, repetitions) * each + contributions);
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

const added = (each: readonly Float64Array[]): Float64Array =>
  each[0].map((_, i) => each.reduce((sum, values) => sum + values[i], 0));

function partOf({ layers }: Inr, { name, convolution }: LayerTrace) {
  const own = layers.find((layer) => layer.name === name);
  if (!own) throw new RangeError(`there is no layer ${name}`);
  return { own, channels: new Channels(own, convolution !== undefined) };
}

const cutOf = (layer: TracedLayer, { unit }: Channels) =>
  unit === 'input channel' ? layer.input : layer.preActivation;

/** Floating-point operations of the layers behind a layer's cut; an activation counts ten. */
function operationsBehind(inr: Inr, layer: TracedLayer, { unit }: Channels): number {
  const shapes = inferShapes(inr.graph);
  const size = (name: string) =>
    (shapes.get(name) ?? []).reduce<number>((n, d) => n * (typeof d === 'number' ? d : 1), 1);
  const first = inr.layers.indexOf(layer) + (unit === 'input channel' ? 0 : 1);
  return inr.layers.slice(first).reduce(
    (sum, { weight, outputs, preActivation }) => {
      const values = size(preActivation);
      return sum + 2 * (weight.length / outputs) * values + 10 * values;
    },
    10 * size(layer.preActivation),
  );
}

async function layerCard(
  subject: Subject,
  runner: FrameRunner,
  index: number,
  pixels: readonly Uint32Array[],
  repetitions: Repetitions,
  { method, baseline, seed, cancel }: CardOptions,
): Promise<LayerFaithfulness> {
  const layer = subject.layers[index];
  const { own, channels } = partOf(runner.inr, layer);
  const removals: ChannelRemoval[] = [];
  try {
    const each: Float32Array[] = [];
    const missed: Residual[][] = [];
    for (const [k, frame] of subject.frames.entries()) {
      const one = await ChannelRemoval.at(runner, frame, own, channels, pixels[k], baseline, cancel);
      removals.push(one);
      const runs = { eachRun: subject.eachRun.bind(subject, k) };
      each.push(await channelMaps(runs, index, channels, pixels[k], cancel));
      missed.push(await residuals(subject, own, one, each[k]));
    }
    const maps = joinedRows(each, channels.count);
    const completeness = residualsTogether(missed);
    const removal = together(removals);
    const total = channels.sums(layer.statistics.total);
    const effect = await effects(removal);
    const values = {
      total,
      weights: channels.norms(),
      activation: added(removals.map(({ activation }) => activation)),
      ablation: effect,
    };
    const random = seededRandom(seed + index);
    const deletion = await deletionCurves(removal, values, repetitions, random);
    const sensitivity = await sensitivityN(removal, maps, repetitions, random);
    return {
      layer: layer.name,
      index,
      unit: channels.unit,
      units: channels.count,
      approximate: reasonOf(method, own, completeness),
      completeness,
      deletion,
      agreement: spearman(total, effect),
      sensitivity,
    };
  } finally {
    for (const removal of removals) await removal.release();
  }
}

function reasonOf(method: Method, { last }: TracedLayer, completeness: readonly Residual[]): string | null {
  if (completeness.every(({ exact }) => exact)) return null;
  const { mean, scale } = completeness.at(-1)!;
  const part = scale > 0 ? mean / scale : 0;
  const size = part < 2 ? `${Math.round(100 * part)} % of` : `${Math.round(part)} times`;
  const why =
    method === 'ablation'
      ? 'channels act together, so what each one does alone does not add up'
      : method === 'gradient'
        ? 'a gradient is exact for small changes only'
        : last
          ? 'the final activation bends what the contributions add up to'
          : 'mean filters stand for the layers behind';
  return `${why}; added up they are off by ${size} what the channels give the picture`;
}

/**
 * The network from a layer on, without some of its channels: those of a block put out nothing before the
 * activation (or their mean over the frame), which is what their kernels add up to; those the head reads are 0.
 */
export class ChannelRemoval implements Removable {
  readonly channels: number;
  readonly range: readonly [number, number];
  readonly part: number;
  readonly output: Float32Array;

  private constructor(
    inr: Inr,
    private readonly layer: TracedLayer,
    private readonly groups: Channels,
    private readonly network: BehindFrame,
    private readonly pixels: Uint32Array,
    private readonly baseline: Baseline,
    private readonly cancel: CancelToken,
  ) {
    const { height, width, channels } = inr.signal;
    this.channels = channels;
    this.range = inr.outputRange;
    this.part = pixels.length / (height * width);
    this.output = atPixels(network.output, channels, pixels);
  }

  /** @throws CancelledError */
  static async at(
    runner: FrameRunner,
    frame: number,
    layer: TracedLayer,
    groups: Channels,
    pixels: Uint32Array,
    baseline: Baseline,
    cancel: CancelToken,
  ): Promise<ChannelRemoval> {
    const network = await BehindFrame.at(runner, frame, cutOf(layer, groups));
    cancel.throwIfCancelled();
    return new ChannelRemoval(runner.inr, layer, groups, network, pixels, baseline, cancel);
  }

  get units(): number {
    return this.groups.count;
  }

  /** Rows of the cut that are one channel's. */
  private rowsOf(channel: number): readonly number[] {
    const each = this.network.rows / this.units;
    return Array.from({ length: each }, (_, k) => channel * each + k);
  }

  /** Mean |activation| of each channel. */
  get activation(): Float64Array {
    const { layer, groups, network } = this;
    const activate = groups.unit === 'input channel' ? undefined : layer.activate;
    return Float64Array.from({ length: this.units }, (_, channel) => {
      const rows = this.rowsOf(channel);
      let sum = 0;
      for (const row of rows) {
        for (const value of network.row(row)) sum += Math.abs(activate ? activate(value) : value);
      }
      return sum / (rows.length * network.area);
    });
  }

  async without(
    sets: readonly (readonly number[] | Uint32Array)[],
    visit: (set: number, output: Float32Array) => void,
  ): Promise<void> {
    const { network, pixels } = this;
    const off = (row: number) => (this.baseline === 'mean' ? meanOf(network.row(row)) : 0);
    for (const [s, set] of sets.entries()) {
      await pause(this.cancel);
      const rows = Array.from(set).flatMap((channel) => this.rowsOf(channel));
      visit(s, atPixels(await network.without(rows, off), this.channels, pixels));
    }
  }

  async release(): Promise<void> {
    await this.network.release();
  }
}

/** The first is what the trace measured on all pixels, the last one against the picture. */
async function residuals(
  { completeness }: Subject,
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
  // The contributions of the head's kernels carry the bias, which stays when its inputs are off.
  const bias = layer.last && own ? (layer.bias?.reduce((sum, b) => sum + b, 0) ?? 0) : 0;
  const sum = sumOfRows(maps, removal.units, count).map((v) => v - bias);
  found.push(residual('the picture', sum, difference));
  return found;
}

/** Operations of `shuffledTotals`, where a map is a run of what is behind. */
function shuffledCost(subject: Subject): number {
  const { layers, frames } = subject;
  const inr = subject.inrAt(0);
  const each = layers.reduce((sum, layer) => {
    const { own, channels } = partOf(inr, layer);
    return sum + Math.min(SHUFFLED_KERNELS, layer.neurons) * operationsBehind(inr, own, channels);
  }, 0);
  return frames.length * each * (inr.layers.length + 1);
}

/** Totals of some kernels of each layer (or channels, by other methods than XINC's) while the weights are shuffled, one layer after another from the top. */
async function shuffledTotals(
  subject: Subject,
  engine: Engine,
  { method, baseline, seed, cancel }: CardOptions,
): Promise<Randomised[]> {
  const { frames, layers } = subject;
  const draw = seededRandom(seed + 1);
  const kernels = layers.map(({ neurons }) => sampleIndices(neurons, SHUFFLED_KERNELS, draw));
  const totalsOf = async ([model]: readonly Inr[]): Promise<Float64Array[]> => {
    const runner = new FrameRunner(model, engine);
    const totals = kernels.map(({ length }) => new Float64Array(length));
    try {
      const own = layers.map((layer) => partOf(model, layer).own);
      for (const frame of frames) {
        const traced =
          method === 'xinc'
            ? await VideoTrace.of(runner, frame, own)
            : await ChannelTrace.of(runner, frame, own, { method, baseline, memoryBudget: Infinity });
        for (const [layer, chosen] of kernels.entries()) {
          for (const [k, neuron] of chosen.entries()) {
            await pause(cancel);
            const { data } = await traced.map({ layer, neuron });
            for (const c of data) totals[layer][k] += Math.abs(c);
          }
        }
      }
      return totals;
    } finally {
      runner.release();
    }
  };
  return shuffledOneByOne([subject.inrAt(0)], totalsOf, seed + 2);
}
