/** Whether neurons prefer some regions of a picture to others, and more than chance would have it (tracing.md §3). */
import type { CancelToken } from '../errors';
import { pause, type Partition } from './regions';

/** Magnitudes of a layer's maps at the pixels of a grid over the picture. */
export interface SampledMagnitudes {
  /** Of all frames, which lie one below another. */
  readonly rows: number;
  readonly columns: number;
  /** 1 of a picture. */
  readonly frames: number;
  readonly neurons: number;
  /** |C|, `[neurons, rows, columns]`. */
  readonly data: Float32Array;
}

/** Against random partitions: `1` of `ratio` is what chance gives. */
export interface Comparison {
  /** Mean |δ| over the random partitions. */
  readonly mean: number;
  readonly ratio: number;
  /** Part of the random partitions, the real one among them, that reach the real one's mean |δ|. */
  readonly pValue: number;
}

export interface Affinity {
  readonly regions: number;
  /** Neurons it was tested on; dead ones are left out. */
  readonly neurons: number;
  /** Random partitions of each kind. */
  readonly permutations: number;
  /** Mean |δ| over neurons and regions. */
  readonly observed: number;
  /** Pixels dealt out at random into regions of the same sizes. */
  readonly scattered: Comparison;
  /**
   * The same regions moved over the picture, or over all frames alike, by a random step (round its edges): same sizes
   * *and* shapes, so that the smoothness of maps alone is no affinity. `pValue` 1 and `ratio` 1 for one pixel.
   */
  readonly moved: Comparison;
}

/**
 * δ_ig = (Σ_{p∈g} |C_i(p)| − E_ig) / E_ig with E_ig = total_i · area_g / area, `[neurons, regions]`; NaN for
 * neurons without any contribution.
 */
export function preferences(
  data: Float32Array,
  neurons: number,
  { labels, areas, regions }: Pick<Partition, 'labels' | 'areas' | 'regions'>,
): Float64Array {
  const pixels = labels.length;
  const sums = new Float64Array(neurons * regions);
  for (let i = 0; i < neurons; i++) {
    const own = sums.subarray(i * regions, (i + 1) * regions);
    addByRegion(data.subarray(i * pixels, (i + 1) * pixels), labels, own);
  }
  return deviations(sums, areas, pixels);
}

/** δ from Σ|C| by neuron and region, `[neurons, regions]`. @param areas none of them 0 */
export function deviations(sums: Float64Array, areas: ArrayLike<number>, pixels: number): Float64Array {
  const regions = areas.length;
  const delta = new Float64Array(sums.length);
  for (let from = 0; from < sums.length; from += regions) {
    let total = 0;
    for (let g = 0; g < regions; g++) total += sums[from + g];
    for (let g = 0; g < regions; g++) {
      const expected = (total * areas[g]) / pixels;
      delta[from + g] = total > 0 ? (sums[from + g] - expected) / expected : NaN;
    }
  }
  return delta;
}

/** @returns the map's total */
function addByRegion(map: Float32Array, labels: Uint16Array, sums: Float64Array): number {
  sums.fill(0);
  for (let p = 0; p < map.length; p++) sums[labels[p]] += map[p];
  let total = 0;
  for (const sum of sums) total += sum;
  return total;
}

/** Mean |δ| of each neuron over regions, NaN for dead ones. */
export function affinities(delta: Float64Array, regions: number): Float64Array {
  return Float64Array.from({ length: delta.length / regions }, (_, i) => {
    let sum = 0;
    for (let g = 0; g < regions; g++) sum += Math.abs(delta[i * regions + g]);
    return sum / regions;
  });
}

/** Mean |δ| over all neurons that are not dead, without keeping δ. */
function meanPreference(
  { data, neurons }: SampledMagnitudes,
  labels: Uint16Array,
  areas: Uint32Array,
  sums: Float64Array,
): number {
  const pixels = labels.length;
  let whole = 0;
  let alive = 0;
  for (let i = 0; i < neurons; i++) {
    const total = addByRegion(data.subarray(i * pixels, (i + 1) * pixels), labels, sums);
    if (total <= 0) continue;
    alive++;
    for (let g = 0; g < areas.length; g++) whole += Math.abs((sums[g] * pixels) / (total * areas[g]) - 1);
  }
  return alive > 0 ? whole / (alive * areas.length) : 0;
}

/**
 * A layer's affinity to a partition against random ones.
 * @param maps at the pixels that `partition` labels
 * @throws CancelledError
 */
export async function affinity(
  maps: SampledMagnitudes,
  partition: Partition,
  permutations: number,
  random: () => number,
  cancel: CancelToken,
): Promise<Affinity> {
  const { rows, columns, frames } = maps;
  const { labels, areas, regions } = partition;
  const sums = new Float64Array(regions);
  const observed = meanPreference(maps, labels, areas, sums);
  const scattered: number[] = [];
  const moved: number[] = [];
  const dealt = labels.slice();
  for (let k = 0; k < permutations; k++) {
    await pause(cancel);
    shuffle(dealt, random);
    scattered.push(meanPreference(maps, dealt, areas, sums));
    await pause(cancel);
    moved.push(meanPreference(maps, shifted(labels, rows / frames, columns, random), areas, sums));
  }
  const pixels = rows * columns;
  const alive = Array.from({ length: maps.neurons }, (_, i) =>
    maps.data.subarray(i * pixels, (i + 1) * pixels).some((c) => c > 0),
  ).filter(Boolean).length;
  return {
    regions,
    neurons: alive,
    permutations,
    observed,
    scattered: compare(observed, scattered),
    moved: compare(observed, moved),
  };
}

/** @param random mean |δ| of each random partition */
export function compare(observed: number, random: readonly number[]): Comparison {
  const mean = random.reduce((sum, value) => sum + value, 0) / random.length;
  // Sums of the same values in another order may differ in the last digit.
  const reaching = random.filter((value) => value >= observed * (1 - 1e-9)).length;
  return {
    mean,
    ratio: mean > 0 ? observed / mean : 1,
    pValue: (1 + reaching) / (1 + random.length),
  };
}

/** Fisher and Yates. */
export function shuffle(labels: Uint16Array, random: () => number): void {
  for (let k = labels.length - 1; k > 0; k--) {
    const other = Math.floor(random() * (k + 1));
    const label = labels[k];
    labels[k] = labels[other];
    labels[other] = label;
  }
}

/** The labels of each frame moved by the same random step other than none; what leaves at one side enters at the other. */
function shifted(labels: Uint16Array, rows: number, columns: number, random: () => number): Uint16Array {
  const step = 1 + Math.floor(random() * (rows * columns - 1));
  const [down, right] = [Math.floor(step / columns), step % columns];
  const out = new Uint16Array(labels.length);
  for (let frame = 0; frame < labels.length; frame += rows * columns) {
    for (let y = 0; y < rows; y++) {
      const from = frame + ((y + down) % rows) * columns;
      const to = frame + y * columns;
      out.set(labels.subarray(from + right, from + columns), to);
      out.set(labels.subarray(from, from + right), to + columns - right);
    }
  }
  return out;
}

/** Labels at every `step`-th row and column of each frame; regions that no such pixel lies in are gone. */
export function sampledPartition(
  { labels, regions }: Partition,
  height: number,
  width: number,
  step: number,
): Partition {
  const out: number[] = [];
  const areas = new Uint32Array(regions);
  for (let frame = 0; frame < labels.length; frame += height * width) {
    for (let y = 0; y < height; y += step) {
      for (let x = 0; x < width; x += step) {
        const label = labels[frame + y * width + x];
        areas[label]++;
        out.push(label);
      }
    }
  }
  return renumbered(Uint16Array.from(out), areas);
}

/** Gives the regions that have pixels the numbers from 0 on. */
export function renumbered(labels: Uint16Array, areas: Uint32Array): Partition {
  const number = new Uint16Array(areas.length);
  let regions = 0;
  for (const [region, area] of areas.entries()) if (area > 0) number[region] = regions++;
  return { regions, labels: labels.map((label) => number[label]), areas: areas.filter((area) => area > 0) };
}
