/**
 * Whether a trace's maps are to be believed (tracing.md §6): do they add up, does taking neurons away do what
 * they say, and do they depend on the weights at all. Everything is measured on a random sample of pixels.
 * Sources: completeness 1703.01365; deletion 1806.07421; sensitivity-n 1711.06104; sanity checks 1810.03292.
 */
import type { Engine } from '../engine/types';
import type { CancelToken } from '../errors';
import type { Graph } from '../graph/types';
import type { Inr, TracedLayer } from '../inr/types';
import type { Baseline } from './ablation';
import { channelFormula, evaluate } from './contributions';
import { pearson, spearman } from './correlation';
import { sampleIndices, seededRandom } from './random';
import { costBehind, SampledNetwork } from './sampled';
import type { LayerTrace, Method } from './types';

/** Residual of Σ contributions, by what they should add up to. */
export interface Residual {
  readonly against: string;
  readonly largest: number;
  readonly mean: number;
  /** Mean magnitude of what they should add up to. */
  readonly scale: number;
  /** At float precision: the largest residual is below 10⁻⁴ of the scale. */
  readonly exact: boolean;
}

export type Order = 'total' | 'random' | 'weights' | 'activation' | 'ablation';

export interface DeletionCurve {
  readonly order: Order;
  /** PSNR against the network's own picture without the first `counts[k]` neurons, dB. */
  readonly psnr: readonly number[];
  /** Of the sample of pixels; for `random`, of the mean over orders. */
  readonly standardError: readonly number[];
  /** Mean PSNR over the part of neurons taken away; the lower, the more the first ones matter. */
  readonly area: number;
}

export interface LayerFaithfulness {
  readonly layer: string;
  /** Traced-layer index. */
  readonly index: number;
  /** Why the maps are no exact account of the picture; null when they are. */
  readonly approximate: string | null;
  readonly completeness: readonly Residual[];
  readonly deletion: { readonly counts: readonly number[]; readonly curves: readonly DeletionCurve[] };
  /** Spearman's correlation of totals with what taking each neuron away really does. */
  readonly agreement: number;
  /** Correlation of Σ contribution with the true change over random sets of n neurons, mean over pixels. */
  readonly sensitivity: readonly {
    readonly n: number;
    readonly correlation: number;
    readonly standardError: number;
  }[];
}

export interface Randomised {
  /** Layers whose weights were shuffled: this one and all behind it. */
  readonly from: string;
  /** Spearman's correlation of each traced layer's totals before and after; NaN where nothing varies. */
  readonly correlations: readonly number[];
}

export interface FaithfulnessCard {
  readonly method: Method;
  readonly baseline: Baseline;
  readonly sample: { readonly pixels: number; readonly of: number; readonly seed: number };
  /** Random orders, and random sets of each size. */
  readonly repetitions: { readonly orders: number; readonly sets: number };
  readonly layers: readonly LayerFaithfulness[];
  /** From the top; empty when the weights of the graph are not told apart. */
  readonly randomised: readonly Randomised[];
}

export interface CardOptions {
  readonly method: Method;
  readonly baseline: Baseline;
  readonly seed: number;
  readonly cancel: CancelToken;
  /** Operations that may be spent; the sample of pixels follows. */
  readonly budget?: number;
  readonly onProgress?: (detail: string, fraction: number) => void;
  /** Results so far. */
  readonly onLayer?: (card: FaithfulnessCard) => void;
}

const RANDOM_ORDERS = 5;
const RANDOM_SETS = 30;
const PARTS = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1];
const LEAST_PIXELS = 64;
const MOST_PIXELS = 1024;
const BUDGET = 2.5e10;
/** Pixels on which ablation maps of shuffled networks are made: each costs a run for every neuron. */
const SHUFFLED_PIXELS = 64;
/** What a picture that is not changed at all scores. */
const MOST_PSNR = 100;

/** The card of a coordinate network's trace. @throws CancelledError */
export async function faithfulness(
  inr: Inr,
  engine: Engine,
  traced: readonly LayerTrace[],
  options: CardOptions,
): Promise<FaithfulnessCard> {
  const { method, baseline, seed, cancel, budget = BUDGET, onProgress, onLayer } = options;
  const area = inr.signal.height * inr.signal.width;
  const random = seededRandom(seed);
  const pixels = sampleIndices(area, sampleSize(inr, traced, budget), random);
  const network = await SampledNetwork.at(inr, engine, pixels, cancel);
  const layers: LayerFaithfulness[] = [];
  let randomised: Randomised[] = [];
  const card = (): FaithfulnessCard => ({
    method,
    baseline,
    sample: { pixels: pixels.length, of: area, seed },
    repetitions: { orders: RANDOM_ORDERS, sets: RANDOM_SETS },
    layers,
    randomised,
  });
  try {
    for (const [index, trace] of traced.entries()) {
      onProgress?.(`Taking neurons of ${trace.name} away`, (0.9 * index) / traced.length);
      layers.push(await layerFaithfulness(network, trace, index, options, random));
      onLayer?.(card());
    }
    onProgress?.('Shuffling weights', 0.9);
    randomised = await shuffledTotals(inr, engine, traced, network, options);
  } finally {
    await network.release();
  }
  return card();
}

function sampleSize(inr: Inr, traced: readonly LayerTrace[], budget: number): number {
  const orders = 3 + RANDOM_ORDERS;
  const cost = traced.reduce((sum, { name, neurons }) => {
    const layer = layerNamed(inr, name);
    const runs = neurons + orders * (PARTS.length + 1) + RANDOM_SETS * setSizes(neurons).length;
    return sum + runs * costBehind(inr, layer);
  }, 0);
  const affordable = 2 ** Math.floor(Math.log2(budget / Math.max(cost, 1)));
  return Math.min(Math.max(affordable, LEAST_PIXELS), MOST_PIXELS);
}

function layerNamed(inr: Inr, name: string): TracedLayer {
  const layer = inr.layers.find((other) => other.name === name);
  if (!layer) throw new RangeError(`there is no layer ${name}`);
  return layer;
}

/** 1, 2, 4, … up to half of the neurons. */
function setSizes(neurons: number): number[] {
  const sizes: number[] = [];
  for (let n = 1; n <= Math.max(1, neurons / 2); n *= 4) sizes.push(n);
  return sizes;
}

async function layerFaithfulness(
  network: SampledNetwork,
  trace: LayerTrace,
  index: number,
  { method, baseline, cancel }: CardOptions,
  random: () => number,
): Promise<LayerFaithfulness> {
  const at = network.inr.layers.findIndex(({ name }) => name === trace.name);
  const maps = await network.maps(at, method, baseline, cancel);
  const completeness = await residuals(network, at, method, baseline, maps, cancel);

  // What each neuron alone does, and by it the best order there is.
  const { neurons } = trace;
  const error = errorMeter(network);
  const effect = new Float64Array(neurons);
  await network.without(
    at,
    Array.from({ length: neurons }, (_, i) => [i]),
    baseline,
    cancel,
    (i, output) => {
      effect[i] = error(output).mean;
    },
  );
  const deletion = await deletionCurves(network, at, trace, effect, baseline, cancel, random);
  const sensitivity = await sensitivityN(network, at, maps, baseline, cancel, random);
  return {
    layer: trace.name,
    index,
    approximate: reasonOf(method, trace, completeness),
    completeness,
    deletion,
    agreement: spearman(trace.statistics.total, effect),
    sensitivity,
  };
}

function reasonOf(method: Method, trace: LayerTrace, completeness: readonly Residual[]): string | null {
  const picture = completeness.at(-1)!;
  if (completeness.every(({ exact }) => exact)) return null;
  const part = picture.scale > 0 ? picture.mean / picture.scale : 0;
  const size = part < 2 ? `${Math.round(100 * part)} % of` : `${Math.round(part)} times`;
  const miss = part >= 0.005 ? `; added up they are off by ${size} what the neurons give the picture` : '';
  if (method === 'ablation')
    return `neurons act together, so what each one does alone does not add up${miss}`;
  if (method === 'gradient') return `a gradient is exact for small changes only${miss}`;
  return trace.last
    ? `the final activation bends what the contributions add up to${miss}`
    : `the maps reach the next layer, not the pixel${miss}`;
}

/** Output without some neurons against the picture as shown: mean squared error and its standard error. */
function errorMeter({ inr, output, pixels }: SampledNetwork) {
  const [low, high] = inr.outputRange;
  const shown = (v: number) => Math.min(1, Math.max(0, (v - low) / (high - low)));
  const whole = Float64Array.from(output, shown);
  const count = pixels.length;
  const { channels } = inr.signal;
  return (changed: Float32Array) => {
    let [sum, squares] = [0, 0];
    for (let p = 0; p < count; p++) {
      let square = 0;
      for (let c = 0; c < channels; c++)
        square += (shown(changed[c * count + p]) - whole[c * count + p]) ** 2;
      sum += square / channels;
      squares += (square / channels) ** 2;
    }
    const mean = sum / count;
    const variance = Math.max(0, squares / count - mean * mean);
    return { mean, standardError: count < 2 ? 0 : Math.sqrt(variance / (count - 1)) };
  };
}

const decibel = (error: number) => (error > 0 ? Math.min(MOST_PSNR, -10 * Math.log10(error)) : MOST_PSNR);

/** By the delta method. */
const decibelError = ({ mean, standardError }: { mean: number; standardError: number }) =>
  mean > 0 ? (10 / Math.LN10) * (standardError / mean) : 0;

const descending = (values: ArrayLike<number>): number[] =>
  Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[b] - values[a] || a - b);

function shuffledOrder(n: number, random: () => number): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let k = n - 1; k > 0; k--) {
    const other = Math.floor(random() * (k + 1));
    [order[k], order[other]] = [order[other], order[k]];
  }
  return order;
}

/** ‖W_·i‖₂: how strongly each neuron is wired to the next layer. */
export function outgoingNorms({ weight, weightImaginary, inputs, outputs }: TracedLayer): Float64Array {
  const squares = new Float64Array(inputs);
  for (const matrix of weightImaginary ? [weight, weightImaginary] : [weight]) {
    for (let j = 0; j < outputs; j++)
      for (let i = 0; i < inputs; i++) squares[i] += matrix[j * inputs + i] ** 2;
  }
  return squares.map(Math.sqrt);
}

async function deletionCurves(
  network: SampledNetwork,
  at: number,
  { neurons, statistics }: LayerTrace,
  effect: Float64Array,
  baseline: Baseline,
  cancel: CancelToken,
  random: () => number,
): Promise<LayerFaithfulness['deletion']> {
  const sampled = network.layers[at];
  const activation = new Float64Array(neurons);
  for (let i = 0; i < neurons; i++) {
    for (let p = i * sampled.count; p < (i + 1) * sampled.count; p++) {
      activation[i] += Math.hypot(sampled.values[p], sampled.imaginary?.[p] ?? 0);
    }
  }
  const orders: { readonly order: Order; readonly ranked: number[] }[] = [
    { order: 'total', ranked: descending(statistics.total) },
    { order: 'weights', ranked: descending(outgoingNorms(sampled.layer)) },
    { order: 'activation', ranked: descending(activation) },
    { order: 'ablation', ranked: descending(effect) },
    ...Array.from({ length: RANDOM_ORDERS }, () => ({
      order: 'random' as const,
      ranked: shuffledOrder(neurons, random),
    })),
  ];
  const counts = [...new Set([1, ...PARTS.map((part) => Math.max(1, Math.round(part * neurons)))])];
  const sets = orders.flatMap(({ ranked }) => counts.map((count) => ranked.slice(0, count)));
  const error = errorMeter(network);
  const found = sets.map(() => ({ mean: 0, standardError: 0 }));
  await network.without(at, sets, baseline, cancel, (set, output) => (found[set] = error(output)));
  const rows = orders.map((_, k) => found.slice(k * counts.length, (k + 1) * counts.length));
  const curves = orders.slice(0, -RANDOM_ORDERS).map(({ order }, k): DeletionCurve => {
    const psnr = rows[k].map(({ mean }) => decibel(mean));
    return { order, psnr, standardError: rows[k].map(decibelError), area: meanOver(counts, psnr) };
  });
  const chance = rows.slice(-RANDOM_ORDERS).map((row) => row.map(({ mean }) => decibel(mean)));
  const mean = counts.map((_, c) => chance.reduce((sum, row) => sum + row[c], 0) / RANDOM_ORDERS);
  const spread = counts.map((_, c) => {
    const variance = chance.reduce((sum, row) => sum + (row[c] - mean[c]) ** 2, 0) / (RANDOM_ORDERS - 1);
    return Math.sqrt(variance / RANDOM_ORDERS);
  });
  curves.splice(1, 0, { order: 'random', psnr: mean, standardError: spread, area: meanOver(counts, mean) });
  return { counts, curves };
}

/** Mean of a curve between its ends, by trapezoids. */
export function meanOver(x: readonly number[], y: readonly number[]): number {
  if (x.length < 2) return y[0];
  let area = 0;
  for (let k = 1; k < x.length; k++) area += ((y[k] + y[k - 1]) / 2) * (x[k] - x[k - 1]);
  return area / (x[x.length - 1] - x[0]);
}

async function sensitivityN(
  network: SampledNetwork,
  at: number,
  maps: Float32Array,
  baseline: Baseline,
  cancel: CancelToken,
  random: () => number,
): Promise<LayerFaithfulness['sensitivity']> {
  const { layer, count } = network.layers[at];
  const whole = network.summed(network.output);
  const results: { n: number; correlation: number; standardError: number }[] = [];
  for (const n of setSizes(layer.inputs)) {
    const sets = Array.from({ length: RANDOM_SETS }, () => sampleIndices(layer.inputs, n, random));
    const told = new Float64Array(RANDOM_SETS * count);
    const true_ = new Float64Array(RANDOM_SETS * count);
    for (const [s, set] of sets.entries()) {
      for (const i of set) {
        for (let p = 0; p < count; p++) told[p * RANDOM_SETS + s] += maps[i * count + p];
      }
    }
    await network.without(at, sets, baseline, cancel, (s, output) => {
      const rest = network.summed(output);
      for (let p = 0; p < count; p++) true_[p * RANDOM_SETS + s] = whole[p] - rest[p];
    });
    // Pixels where nothing changes say nothing.
    const correlations: number[] = [];
    for (let p = 0; p < count; p++) {
      const run = (values: Float64Array) => values.subarray(p * RANDOM_SETS, (p + 1) * RANDOM_SETS);
      const r = pearson(run(told), run(true_));
      if (!Number.isNaN(r)) correlations.push(r);
    }
    const mean = correlations.reduce((sum, r) => sum + r, 0) / correlations.length;
    const variance = correlations.reduce((sum, r) => sum + (r - mean) ** 2, 0) / (correlations.length - 1);
    results.push({
      n,
      correlation: mean,
      standardError: correlations.length > 1 ? Math.sqrt(variance / correlations.length) : NaN,
    });
  }
  return results;
}

function residual(against: string, added: ArrayLike<number>, wanted: ArrayLike<number>): Residual {
  let [largest, sum, scale] = [0, 0, 0];
  for (let k = 0; k < wanted.length; k++) {
    const difference = Math.abs(added[k] - wanted[k]);
    largest = Math.max(largest, Number.isNaN(difference) ? Infinity : difference);
    sum += difference;
    scale += Math.abs(wanted[k]);
  }
  const n = Math.max(wanted.length, 1);
  return {
    against,
    largest,
    mean: sum / n,
    scale: scale / n,
    exact: largest <= 1e-4 * Math.max(scale / n, 1e-9),
  };
}

const added = (maps: Float32Array, neurons: number, count: number) => {
  const sum = new Float64Array(count);
  for (let i = 0; i < neurons; i++) for (let p = 0; p < count; p++) sum[p] += maps[i * count + p];
  return sum;
};

/** The last one is against the picture: output minus what is left when all neurons are off. */
async function residuals(
  network: SampledNetwork,
  at: number,
  method: Method,
  baseline: Baseline,
  maps: Float32Array,
  cancel: CancelToken,
): Promise<Residual[]> {
  const { layer, count } = network.layers[at];
  const { channels } = network.inr.signal;
  const all = Array.from({ length: layer.inputs }, (_, i) => i);
  const off = new Float32Array(channels * count);
  await network.without(at, [all], baseline, cancel, (_, output) => off.set(output));
  const difference = network.output.map((v, k) => v - off[k]);
  const row = (data: Float32Array, c: number) => data.subarray(c * count, (c + 1) * count);
  const found: Residual[] = [];

  if (method === 'xinc') {
    const sampled = network.layers[at];
    const part = new Float32Array(count);
    const sums = new Float32Array(layer.outputs * count);
    for (let j = 0; j < layer.outputs; j++) {
      const formula = channelFormula(layer, j);
      for (let i = 0; i < layer.inputs; i++) {
        evaluate(formula, i, sampled, 0, count, part);
        for (let p = 0; p < count; p++) sums[j * count + p] += part[p];
      }
      if (layer.last) {
        const name = `channel ${j} before the final activation`;
        found.push(residual(name, row(sums, j), row(sampled.preActivation, j)));
      }
    }
    // A complex layer's shares are real parts of products: their sum is the real part too.
    if (!layer.last) found.push(residual('units of the next layer', sums, sampled.preActivation));
  } else if (channels > 1) {
    for (let c = 0; c < channels; c++) {
      const own = await network.maps(at, method, baseline, cancel, c);
      found.push(residual(`channel ${c}`, added(own, layer.inputs, count), row(difference, c)));
    }
  }
  const picture = network.summed(difference);
  if (method === 'xinc' && layer.last) {
    // The shares carry the bias, which stays when neurons are off.
    const bias = (layer.bias ?? new Float32Array(0)).reduce((sum, b) => sum + b, 0);
    const sum = added(maps, layer.inputs, count).map((v) => v - bias);
    found.push(residual('the picture', sum, picture));
  } else {
    found.push(residual('the picture', added(maps, layer.inputs, count), picture));
  }
  return found;
}

/** Totals of all layers while the weights are shuffled, one layer after another from the top. */
async function shuffledTotals(
  inr: Inr,
  engine: Engine,
  traced: readonly LayerTrace[],
  network: SampledNetwork,
  { method, baseline, seed, cancel }: CardOptions,
): Promise<Randomised[]> {
  const pixels = method === 'ablation' ? network.pixels.subarray(0, SHUFFLED_PIXELS) : network.pixels;
  const totalsOf = async (model: Inr): Promise<Float64Array[]> => {
    const sampled = await SampledNetwork.at(model, engine, pixels, cancel);
    try {
      const totals: Float64Array[] = [];
      for (const { name, neurons } of traced) {
        const at = model.layers.findIndex((layer) => layer.name === name);
        const maps = await sampled.maps(at, method, baseline, cancel);
        totals.push(
          Float64Array.from({ length: neurons }, (_, i) => {
            let sum = 0;
            for (let p = i * pixels.length; p < (i + 1) * pixels.length; p++) sum += Math.abs(maps[p]);
            return sum;
          }),
        );
      }
      return totals;
    } finally {
      await sampled.release();
    }
  };
  const before = await totalsOf(inr);
  const random = seededRandom(seed + 1);
  const found: Randomised[] = [];
  let model: Inr | undefined = inr;
  for (let at = inr.layers.length - 1; at >= 0; at--) {
    model = shuffled(model, at, random);
    if (!model) return [];
    const after = await totalsOf(model);
    found.push({
      from: inr.layers[at].name,
      correlations: before.map((totals, k) => spearman(totals, after[k])),
    });
  }
  return found;
}

/** The network with the weights of one layer in random places; undefined when the graph holds them otherwise. */
function shuffled(inr: Inr, at: number, random: () => number): Inr | undefined {
  const layer = inr.layers[at];
  const constants = new Map(inr.graph.constants);
  const mixed = new Map<Float32Array, Float32Array>();
  const order = shuffledOrder(layer.weight.length, random);
  for (const matrix of [layer.weight, layer.weightImaginary]) {
    if (!matrix) continue;
    const found = constantHolding(inr.graph, matrix, layer.outputs, layer.inputs);
    if (!found) return undefined;
    const data = Float32Array.from(order, (k) => matrix[k]);
    mixed.set(matrix, data);
    const { shape } = inr.graph.constants.get(found.name)!;
    constants.set(found.name, {
      shape,
      data: found.transposed ? turned(data, layer.outputs, layer.inputs) : data,
    });
  }
  const weightImaginary = layer.weightImaginary && mixed.get(layer.weightImaginary);
  const changed: TracedLayer = {
    ...layer,
    weight: mixed.get(layer.weight)!,
    ...(weightImaginary && { weightImaginary }),
  };
  return { ...inr, graph: { ...inr.graph, constants }, layers: inr.layers.with(at, changed) };
}

function constantHolding(
  { constants }: Graph,
  matrix: Float32Array,
  rows: number,
  columns: number,
): { readonly name: string; readonly transposed: boolean } | undefined {
  for (const [name, { data }] of constants) if (data === matrix) return { name, transposed: false };
  for (const [name, { data }] of constants) {
    if (data.length !== matrix.length || !(data instanceof Float32Array)) continue;
    for (const transposed of [false, true]) {
      const wanted = transposed ? turned(matrix, rows, columns) : matrix;
      if (data.every((v, k) => v === wanted[k])) return { name, transposed };
    }
  }
  return undefined;
}

function turned(data: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c];
  return out;
}
