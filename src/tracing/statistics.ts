import type { CancelToken } from '../errors';
import { evaluate, type ActivationTile, type ContributionFormula } from './contributions';
import { PreviewAccumulator } from './previews';
import type { Distributedness, NeuronsPerPixel, NeuronStatistics, PreviewAtlas } from './types';

/** Contributions handled at a time (neurons × pixels): they stay in the second-level cache. */
const BLOCK = 1 << 18;
const MAX_BLOCK_PIXELS = 2048;

/**
 * Magnitudes are binned by the leading bits of their float32 pattern, which orders them: 10 of 23
 * mantissa bits, so the ends of a bin are within 2⁻¹⁰ of each other, whatever the range of the values.
 */
export const LOW_BITS = 13;
export const BINS = 1 << (31 - LOW_BITS);
const BIN_ERROR = 2 ** -10;
export const MAGNITUDE = 0x7fffffff;

/** Statistics of some of a picture's tiles; those of all tiles are their sum. */
export interface LayerShare {
  readonly total: Float64Array;
  readonly signed: Float64Array;
  readonly largest: Float64Array;
  readonly pixels: Uint32Array;
  /** Of each bin; zeros of a large layer of a large picture are thousands of millions. */
  readonly counts: Uint32Array;
  readonly previews: Float32Array;
  readonly area: number;
}

/**
 * Statistics of one layer's maps, gathered tile by tile; memory does not grow with the picture.
 * The loops are plain on purpose: they run once for every neuron and pixel.
 */
export class LayerAccumulator {
  private readonly total: Float64Array;
  private readonly signed: Float64Array;
  private readonly largest: Float64Array;
  private readonly pixels: Uint32Array;
  private readonly counts: Uint32Array;
  private readonly previews: PreviewAccumulator;
  private readonly blockPixels: number;
  /** Contributions of the pixels at hand, `[neurons, blockPixels]`. */
  private readonly block: Float32Array;
  private readonly blockBits: Int32Array;
  /** Σ over neurons of |C| at each of them. */
  private readonly pixelSums: Float64Array;
  private area: number;

  /** @param begun what was gathered elsewhere, to go on with; its arrays are taken over */
  constructor(
    private readonly formula: ContributionFormula,
    height: number,
    width: number,
    begun?: LayerShare,
  ) {
    const n = formula.neurons;
    this.total = begun?.total ?? new Float64Array(n);
    this.signed = begun?.signed ?? new Float64Array(n);
    this.largest = begun?.largest ?? new Float64Array(n);
    this.pixels = begun?.pixels ?? new Uint32Array(n);
    this.counts = begun?.counts ?? new Uint32Array(BINS);
    this.area = begun?.area ?? 0;
    this.previews = new PreviewAccumulator(n, height, width, begun?.previews);
    this.blockPixels = Math.min(MAX_BLOCK_PIXELS, Math.max(64, 2 ** Math.floor(Math.log2(BLOCK / n))));
    this.block = new Float32Array(n * this.blockPixels);
    this.blockBits = new Int32Array(this.block.buffer);
    this.pixelSums = new Float64Array(this.blockPixels);
  }

  /** Tiles in any order, each once. @throws CancelledError */
  add(tile: ActivationTile, cancel: CancelToken): void {
    const { formula, block, blockPixels } = this;
    for (let from = 0; from < tile.count; from += blockPixels) {
      cancel.throwIfCancelled();
      const count = Math.min(blockPixels, tile.count - from);
      this.pixelSums.fill(0);
      for (let i = 0; i < formula.neurons; i++) {
        const row = i * blockPixels;
        evaluate(formula, i, tile, from, count, block, row);
        this.addRow(i, row, count);
        this.previews.add(i, block, row, tile.start + from, count);
      }
      for (let i = 0; i < formula.neurons; i++) this.pixels[i] += this.aboveFairShare(i * blockPixels, count);
    }
    this.area += tile.count;
  }

  private addRow(neuron: number, row: number, count: number): void {
    const block = this.block.subarray(row, row + count);
    const bits = this.blockBits.subarray(row, row + count);
    const { pixelSums, counts } = this;
    let total = 0;
    let signed = 0;
    let largest = this.largest[neuron];
    for (let k = 0; k < block.length; k++) {
      const c = block[k];
      const magnitude = Math.abs(c);
      total += magnitude;
      signed += c;
      largest = Math.max(largest, magnitude);
      pixelSums[k] += magnitude;
    }
    for (let k = 0; k < bits.length; k++) counts[(bits[k] & MAGNITUDE) >> LOW_BITS]++;
    this.total[neuron] += total;
    this.signed[neuron] += signed;
    this.largest[neuron] = largest;
  }

  private aboveFairShare(row: number, count: number): number {
    const block = this.block.subarray(row, row + count);
    const { pixelSums } = this;
    const n = this.formula.neurons;
    let above = 0;
    for (let k = 0; k < block.length; k++) above += Math.abs(block[k]) * n > pixelSums[k] ? 1 : 0;
    return above;
  }

  /** What was gathered so far, to be sent to another thread and merged there. The arrays are this object's own. */
  share(): LayerShare {
    const { total, signed, largest, pixels, counts, area } = this;
    return { total, signed, largest, pixels, counts, previews: this.previews.sums, area };
  }

  /** Adds what another accumulator of the same layer gathered from other tiles. */
  merge(share: LayerShare): void {
    addTo(this.total, share.total);
    addTo(this.signed, share.signed);
    addTo(this.pixels, share.pixels);
    addTo(this.counts, share.counts);
    addTo(this.previews.sums, share.previews);
    for (let i = 0; i < this.largest.length; i++)
      this.largest[i] = Math.max(this.largest[i], share.largest[i]);
    this.area += share.area;
  }

  statistics(): NeuronStatistics {
    const { total, signed, largest, pixels, area } = this;
    const layerTotal = total.reduce((sum, t) => sum + t, 0);
    return {
      total,
      share: total.map((t) => (layerTotal > 0 ? t / layerTotal : 0)),
      mean: total.map((t) => t / area),
      signedMean: signed.map((s) => s / area),
      max: largest,
      pixels,
      dead: Uint8Array.from(largest, (m) => (m === 0 ? 1 : 0)),
    };
  }

  /** τ of tracing.md §2 for any α, once all tiles are in. */
  thresholds(): Thresholds {
    return Thresholds.of(this.counts);
  }

  atlas(): PreviewAtlas {
    return this.previews.atlas();
  }
}

type Numbers = Float64Array | Float32Array | Uint32Array | Int32Array;

function addTo<T extends Numbers>(sum: T, more: T): void {
  for (let k = 0; k < sum.length; k++) sum[k] += more[k];
}

/** Value in the middle of each bin. */
const binCentres = new Float32Array(
  Int32Array.from({ length: BINS }, (_, bin) => (bin === 0 ? 0 : (bin << LOW_BITS) + (1 << (LOW_BITS - 1))))
    .buffer,
);

/** Of magnitudes, without its empty bins, ascending: some twentieth of all. */
export interface Histogram {
  readonly bins: Uint32Array;
  readonly counts: Float64Array;
}

/** Thresholds on magnitudes, read off their histogram. */
export class Thresholds {
  private readonly total: number;
  /** Number of contributions. */
  private readonly all: number;

  constructor(readonly histogram: Histogram) {
    const { bins, counts } = histogram;
    let total = 0;
    let all = 0;
    for (let k = 0; k < bins.length; k++) {
      all += counts[k];
      total += counts[k] * binCentres[bins[k]];
    }
    this.total = total;
    this.all = all;
  }

  /** @param counts number of contributions in each bin of magnitudes */
  static of(counts: Int32Array | Uint32Array | Float64Array): Thresholds {
    let filled = 0;
    for (let bin = 0; bin < BINS; bin++) if (counts[bin] > 0) filled++;
    const histogram = { bins: new Uint32Array(filled), counts: new Float64Array(filled) };
    for (let bin = 0, k = 0; k < filled; bin++) {
      if (counts[bin] === 0) continue;
      histogram.bins[k] = bin;
      histogram.counts[k++] = counts[bin];
    }
    return new Thresholds(histogram);
  }

  /** Those of several frames' contributions together. */
  static together(frames: readonly Thresholds[]): Thresholds {
    const sums = new Float64Array(BINS);
    for (const { histogram } of frames) {
      const { bins, counts } = histogram;
      for (let k = 0; k < bins.length; k++) sums[bins[k]] += counts[k];
    }
    return Thresholds.of(sums);
  }

  /** Index of the first bin from above down to which all |C| add up to at least (1 − α) of the total; −1 for zeros. */
  private reaching(alpha: number): number {
    const { bins, counts } = this.histogram;
    const wanted = (1 - alpha) * this.total;
    let reached = 0;
    for (let k = bins.length - 1; k >= 0 && bins[k] > 0; k--) {
      reached += counts[k] * binCentres[bins[k]];
      if (reached >= wanted) return k;
    }
    return -1;
  }

  /** The value at which the descending cumulative sum of all |C| first reaches (1 − α) of the total. */
  at(alpha: number): number {
    return lastOf(this.histogram.bins[this.reaching(alpha)] ?? 0);
  }

  /** Over the whole picture: which part of the neurons counts at a pixel. */
  summary(alpha: number): NeuronsPerPixel {
    const { bins, counts } = this.histogram;
    const first = this.reaching(alpha);
    let above = 0;
    for (let k = first + 1; k < bins.length; k++) if (bins[k] > 0) above += counts[k];
    const mean = this.all > 0 ? above / this.all : 0;
    return { alpha, threshold: this.at(alpha), thresholdError: BIN_ERROR, mean };
  }
}

/**
 * A bin's largest value: nothing in the bin is above it, so a value that very many pixels share (such as the bias of
 * switched-off units) does not count because of a rounding.
 */
const lastOf = (bin: number): number =>
  new Float32Array(Int32Array.of(((bin + 1) << LOW_BITS) - 1).buffer)[0];

/**
 * Number of neurons whose |C| is above a threshold, at each pixel of a tile, `[tile.count]`.
 * @throws CancelledError
 */
export function countAbove(
  formula: ContributionFormula,
  tile: ActivationTile,
  threshold: number,
  cancel: CancelToken,
): Uint32Array {
  const counts = new Uint32Array(tile.count);
  const values = new Float32Array(tile.count);
  for (let i = 0; i < formula.neurons; i++) {
    cancel.throwIfCancelled();
    evaluate(formula, i, tile, 0, tile.count, values);
    for (let k = 0; k < counts.length; k++) if (Math.abs(values[k]) > threshold) counts[k]++;
  }
  return counts;
}

/**
 * Lorenz curve: entry k is the part of the whole that the k smallest hold; n + 1 entries from 0 to 1.
 * All zeros when there is nothing to share.
 */
export function lorenz(totals: Float64Array): Float64Array {
  const ascending = totals.toSorted();
  const curve = new Float64Array(totals.length + 1);
  let sum = 0;
  ascending.forEach((t, k) => (curve[k + 1] = sum += t));
  return sum > 0 ? curve.map((c) => c / sum) : curve;
}

/** How evenly a layer's work is spread over its neurons. @param totals `total` of each neuron */
export function distributedness(totals: Float64Array): Distributedness {
  const n = totals.length;
  const curve = lorenz(totals);
  const dead = totals.reduce((count, t) => count + (t === 0 ? 1 : 0), 0);
  if (dead === n) return { gini: 0, neuronsFor50: 0, neuronsFor90: 0, effectiveNeurons: 0, dead };
  // The area under the curve by trapezoids; its excess over a straight line is the Gini coefficient.
  let area = 0;
  let entropy = 0;
  for (let k = 1; k <= n; k++) {
    area += (curve[k - 1] + curve[k]) / (2 * n);
    const share = curve[k] - curve[k - 1];
    if (share > 0) entropy -= share * Math.log(share);
  }
  const holding = (part: number) => {
    let k = 1;
    while (k < n && 1 - curve[n - k] < part) k++;
    return k;
  };
  return {
    gini: 1 - 2 * area,
    neuronsFor50: holding(0.5),
    neuronsFor90: holding(0.9),
    effectiveNeurons: Math.exp(entropy),
    dead,
  };
}
