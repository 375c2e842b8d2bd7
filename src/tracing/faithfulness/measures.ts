/** What a card measures, whatever is taken away: deletion curves, sensitivity-n, residuals. */
import { pearson } from '../correlation';
import { sampleIndices } from '../random';
import { joinedRows, sumOfRows } from '../sampled';
import type { DeletionCurve, LayerFaithfulness, Order, Residual } from './card';

/** Random orders, random sets of each size, and the parts of a layer that are taken away. */
export interface Repetitions {
  readonly orders: number;
  readonly sets: number;
  readonly parts: readonly number[];
}

export const FULL: Repetitions = {
  orders: 5,
  sets: 30,
  parts: [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1],
};
/** What a picture that is not changed at all scores. */
const MOST_PSNR = 100;

/** A layer's units, ready to be taken away: what the network then puts out at the sampled pixels. */
export interface Removable {
  readonly units: number;
  /** Output of the whole network, `[channels, pixels]`, and what is shown as black and as white. */
  readonly output: Float32Array;
  readonly channels: number;
  readonly range: readonly [number, number];
  /** Part of the picture's pixels that the sample holds. */
  readonly part: number;
  /** The output without each set of units in turn; the array lasts until `visit` returns. @throws CancelledError */
  without(
    sets: readonly (readonly number[] | Uint32Array)[],
    visit: (set: number, output: Float32Array) => void,
  ): Promise<void>;
}

/** Sets of units that several frames are asked for at a time: their outputs are kept until all have answered. */
const SETS = 16;

/** The same units of several frames, whose pixels are taken as those of one. */
export function together(frames: readonly Removable[]): Removable {
  const [first] = frames;
  if (frames.length === 1) return first;
  const { channels } = first;
  return {
    units: first.units,
    range: first.range,
    channels,
    output: joinedRows(
      frames.map(({ output }) => output),
      channels,
    ),
    part: mean(frames.map(({ part }) => part)),
    async without(sets, visit) {
      for (let from = 0; from < sets.length; from += SETS) {
        const some = sets.slice(from, from + SETS);
        const outputs = some.map((): Float32Array[] => []);
        for (const frame of frames)
          await frame.without(some, (set, output) => outputs[set].push(output.slice()));
        for (const [set, parts] of outputs.entries()) visit(from + set, joinedRows(parts, channels));
      }
    },
  };
}

const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;

/** Runs that a layer's card takes. */
export const runsOf = (units: number, { orders, sets, parts }: Repetitions): number =>
  units + 1 + (4 + orders) * (parts.length + 1) + sets * setSizes(units).length;

/** 1, 4, 16, … up to half of the units. */
export function setSizes(units: number): number[] {
  const sizes: number[] = [];
  for (let n = 1; n <= Math.max(1, units / 2); n *= 4) sizes.push(n);
  return sizes;
}

/** Output without some units against the picture as shown: mean squared error and its standard error. */
function errorMeter({ output, channels, range: [low, high], part }: Removable) {
  const shown = (v: number) => Math.min(1, Math.max(0, (v - low) / (high - low)));
  const whole = Float64Array.from(output, shown);
  const count = output.length / channels;
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
    // What is known of all pixels is no estimate.
    return { mean, standardError: count < 2 ? 0 : Math.sqrt((variance / (count - 1)) * (1 - part)) };
  };
}

/** Mean squared error that the removal of each unit alone causes. @throws CancelledError */
export async function effects(layer: Removable): Promise<Float64Array> {
  const error = errorMeter(layer);
  const effect = new Float64Array(layer.units);
  const alone = Array.from({ length: layer.units }, (_, i) => [i]);
  await layer.without(alone, (i, output) => (effect[i] = error(output).mean));
  return effect;
}

const decibel = (error: number) => (error > 0 ? Math.min(MOST_PSNR, -10 * Math.log10(error)) : MOST_PSNR);

/** By the delta method. */
const decibelError = ({ mean, standardError }: { mean: number; standardError: number }) =>
  mean > 0 ? (10 / Math.LN10) * (standardError / mean) : 0;

const descending = (values: ArrayLike<number>): number[] =>
  Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[b] - values[a] || a - b);

export function shuffledOrder(n: number, random: () => number): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let k = n - 1; k > 0; k--) {
    const other = Math.floor(random() * (k + 1));
    [order[k], order[other]] = [order[other], order[k]];
  }
  return order;
}

/**
 * The PSNR without the first units of several orders.
 * @param values what each order but the random ones goes by, one number a unit, largest first
 * @throws CancelledError
 */
export async function deletionCurves(
  layer: Removable,
  values: Readonly<Record<Exclude<Order, 'random'>, ArrayLike<number>>>,
  { orders: randomOrders, parts }: Repetitions,
  random: () => number,
): Promise<LayerFaithfulness['deletion']> {
  const orders: { readonly order: Order; readonly ranked: number[] }[] = [
    ...(['total', 'weights', 'activation', 'ablation'] as const).map((order) => ({
      order,
      ranked: descending(values[order]),
    })),
    ...Array.from({ length: randomOrders }, () => ({
      order: 'random' as const,
      ranked: shuffledOrder(layer.units, random),
    })),
  ];
  const counts = [...new Set([1, ...parts.map((part) => Math.max(1, Math.round(part * layer.units)))])];
  const sets = orders.flatMap(({ ranked }) => counts.map((count) => ranked.slice(0, count)));
  const error = errorMeter(layer);
  const found = sets.map(() => ({ mean: 0, standardError: 0 }));
  await layer.without(sets, (set, output) => (found[set] = error(output)));
  const rows = orders.map((_, k) => found.slice(k * counts.length, (k + 1) * counts.length));
  const curves = orders.slice(0, -randomOrders).map(({ order }, k): DeletionCurve => {
    const psnr = rows[k].map(({ mean }) => decibel(mean));
    return { order, psnr, standardError: rows[k].map(decibelError), area: meanOver(counts, psnr) };
  });
  const chance = rows.slice(-randomOrders).map((row) => row.map(({ mean }) => decibel(mean)));
  const mean = counts.map((_, c) => chance.reduce((sum, row) => sum + row[c], 0) / randomOrders);
  const spread = counts.map((_, c) => {
    const variance = chance.reduce((sum, row) => sum + (row[c] - mean[c]) ** 2, 0) / (randomOrders - 1);
    return Math.sqrt(variance / randomOrders);
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

/**
 * Do contributions of sets tell what removing them does?
 * @param maps Σ of a unit's contributions at the sampled pixels, `[units, pixels]`
 * @throws CancelledError
 */
export async function sensitivityN(
  layer: Removable,
  maps: Float32Array,
  { sets: repetitions }: Repetitions,
  random: () => number,
): Promise<LayerFaithfulness['sensitivity']> {
  const results: { n: number; correlation: number; standardError: number }[] = [];
  for (const n of setSizes(layer.units)) {
    const sets = Array.from({ length: repetitions }, () => sampleIndices(layer.units, n, random));
    results.push({ n, ...(await sensitivityOf(layer, maps, sets)) });
  }
  return results;
}

/** For each pixel the correlation, over sets, of Σ contributions with the true change; its mean over pixels. */
export async function sensitivityOf(
  layer: Removable,
  maps: Float32Array,
  sets: readonly ArrayLike<number>[],
): Promise<{ readonly correlation: number; readonly standardError: number }> {
  const { channels } = layer;
  const count = layer.output.length / channels;
  const whole = sumOfRows(layer.output, channels, count);
  const told = new Float64Array(sets.length * count);
  const true_ = new Float64Array(sets.length * count);
  for (const [s, set] of sets.entries()) {
    for (let k = 0; k < set.length; k++) {
      for (let p = 0; p < count; p++) told[p * sets.length + s] += maps[set[k] * count + p];
    }
  }
  await layer.without(
    sets.map((set) => Uint32Array.from(set)),
    (s, output) => {
      const rest = sumOfRows(output, channels, count);
      for (let p = 0; p < count; p++) true_[p * sets.length + s] = whole[p] - rest[p];
    },
  );
  // Pixels where nothing changes say nothing.
  const correlations: number[] = [];
  for (let p = 0; p < count; p++) {
    const run = (values: Float64Array) => values.subarray(p * sets.length, (p + 1) * sets.length);
    const r = pearson(run(told), run(true_));
    if (!Number.isNaN(r)) correlations.push(r);
  }
  const mean = correlations.reduce((sum, r) => sum + r, 0) / correlations.length;
  const variance = correlations.reduce((sum, r) => sum + (r - mean) ** 2, 0) / (correlations.length - 1);
  return {
    correlation: mean,
    standardError: correlations.length > 1 ? Math.sqrt(variance / correlations.length) : NaN,
  };
}

export function residual(against: string, added: ArrayLike<number>, wanted: ArrayLike<number>): Residual {
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
    exact: exactly(largest, scale / n),
  };
}

/** Of several frames, each of as many pixels. @param frames the same residuals of each */
export function residualsTogether(frames: readonly (readonly Residual[])[]): Residual[] {
  return frames[0].map(({ against }, k) => {
    const own = frames.map((residuals) => residuals[k]);
    const largest = own.reduce((most, one) => Math.max(most, one.largest), 0);
    const scale = mean(own.map((one) => one.scale));
    return {
      against,
      largest,
      mean: mean(own.map((one) => one.mean)),
      scale,
      exact: exactly(largest, scale),
    };
  });
}

/** At float precision. @param scale mean magnitude of what contributions should add up to */
export const exactly = (largest: number, scale: number): boolean => largest <= 1e-4 * Math.max(scale, 1e-9);
