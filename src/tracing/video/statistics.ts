import { BINS, LOW_BITS, MAGNITUDE, Thresholds } from '../statistics';
import type { LayerTrace, NeuronStatistics, PreviewAtlas } from '../types';
import type { KernelPath } from './path';

/** Contributions that the histogram of magnitudes counts at most; of larger layers it sees every n-th row. */
const COUNTED = 2 ** 28;
/** Bytes of all previews of a layer; they get smaller when kernels are many. */
const PREVIEW_BYTES = 12 << 20;
const PREVIEW_SIDES = [96, 64, 48, 32, 24, 16];

/** Longest side of the previews of a layer with that many kernels. */
export function previewSide(kernels: number, height: number, width: number): number {
  const bytes = (side: number) => (kernels * side * side * Math.min(height, width)) / Math.max(height, width);
  return PREVIEW_SIDES.find((side) => bytes(side) <= PREVIEW_BYTES) ?? PREVIEW_SIDES.at(-1)!;
}

/** 8-bit previews of some maps. @param means `[maps, height, width]` */
export function atlasOf(
  means: Float32Array,
  { height, width }: { readonly height: number; readonly width: number },
): PreviewAtlas {
  const size = height * width;
  const maps = means.length / size;
  const data = new Uint8Array(means.length);
  const limit = new Float32Array(maps);
  for (let m = 0; m < maps; m++) limit[m] = encodePreview(means, m * size, size, data, m * size);
  return { width, height, data, limit };
}

const bitsOf = (values: Float32Array<ArrayBuffer>) => new Int32Array(values.buffer);

function encodePreview(
  means: Float32Array,
  from: number,
  size: number,
  data: Uint8Array,
  at: number,
): number {
  let largest = 0;
  for (let k = from; k < from + size; k++) largest = Math.max(largest, Math.abs(means[k]));
  const factor = largest > 0 ? 127 / largest : 0;
  // Adding half before cutting off rounds; all values are positive.
  for (let k = 0; k < size; k++) data[at + k] = 128.5 + means[from + k] * factor;
  return largest;
}

/**
 * Statistics of all kernels of a layer at one frame, in two rounds: the second one needs what all kernels
 * together contribute to a pixel. Kernels come one at a time, and are forgotten.
 * The loops are plain on purpose: they run once for every kernel and pixel.
 */
export class KernelStatistics {
  readonly total: Float64Array;
  private readonly signedMean: Float64Array;
  private readonly largest: Float64Array;
  private readonly pixels: Uint32Array;
  private readonly counts = new Int32Array(BINS);
  /** Σ over kernels of |C|, at each pixel. */
  private readonly pixelSums: Float64Array;
  private readonly previews: Uint8Array;
  private readonly limits: Float32Array;
  private readonly inputSums: Float32Array;
  private readonly outputSums: Float32Array;
  private readonly preview: Float32Array;
  private readonly values: Float32Array;
  private readonly bits: Int32Array;
  /** The histogram counts every n-th row. */
  private readonly every: number;
  /** Of the second round, as bits of float32: an equal share of |C| at each pixel. */
  private fairShares = new Int32Array(0);
  /** |C| above which a kernel counts at a pixel, and how many do. */
  private threshold = MAGNITUDE;
  private readonly countsAbove: Int32Array;

  constructor(
    private readonly path: KernelPath,
    private readonly inputs: number,
    private readonly outputs: number,
    private readonly shuffle: number,
  ) {
    const kernels = inputs * outputs;
    const { frameHeight, frameWidth, previewSize } = path;
    this.total = new Float64Array(kernels);
    this.signedMean = new Float64Array(kernels);
    this.largest = new Float64Array(kernels);
    this.pixels = new Uint32Array(kernels);
    this.pixelSums = new Float64Array(frameHeight * frameWidth);
    this.countsAbove = new Int32Array(frameHeight * frameWidth);
    const size = previewSize.height * previewSize.width;
    this.previews = new Uint8Array(kernels * size);
    this.limits = new Float32Array(kernels);
    this.inputSums = new Float32Array(inputs * size);
    this.outputSums = new Float32Array((outputs / shuffle ** 2) * size);
    this.preview = new Float32Array(size);
    this.values = new Float32Array(frameWidth);
    this.bits = new Int32Array(this.values.buffer);
    this.every = Math.max(1, Math.ceil((kernels * frameHeight * frameWidth) / COUNTED));
    if (this.every >= frameHeight) this.every = Math.max(1, frameHeight >> 3);
  }

  /** The kernel that the path was given last. First round. */
  add(input: number, output: number): void {
    const kernel = input * this.outputs + output;
    const { path, values, bits, pixelSums, counts, every } = this;
    const { frameHeight, frameWidth } = path;
    let total = 0;
    let largest = 0;
    for (let y = 0; y < frameHeight; y++) {
      if (path.isZeroRow(y)) {
        if (y % every === 0) counts[0] += frameWidth;
        continue;
      }
      path.row(y, values);
      const at = y * frameWidth;
      for (let x = 0; x < frameWidth; x++) {
        const magnitude = Math.abs(values[x]);
        total += magnitude;
        if (magnitude > largest) largest = magnitude;
        pixelSums[at + x] += magnitude;
      }
      if (y % every === 0) {
        for (let x = 0; x < frameWidth; x++) counts[(bits[x] & MAGNITUDE) >> LOW_BITS]++;
      }
    }
    this.total[kernel] = total;
    this.largest[kernel] = largest;
    this.addPreview(kernel, input, Math.floor(output / this.shuffle ** 2));
  }

  private addPreview(kernel: number, input: number, channel: number): void {
    const { path, preview, previews, inputSums, outputSums } = this;
    path.preview(preview);
    const size = preview.length;
    let sum = 0;
    for (let k = 0; k < size; k++) {
      sum += preview[k];
      inputSums[input * size + k] += preview[k];
      outputSums[channel * size + k] += preview[k];
    }
    // All cells are equally large.
    this.signedMean[kernel] = sum / size;
    this.limits[kernel] = encodePreview(preview, 0, size, previews, kernel * size);
  }

  /** τ of tracing.md §2 for any α, once the first round is over. */
  thresholds(): Thresholds {
    return new Thresholds(this.counts);
  }

  /** Ends the first round. @param threshold for `above` */
  beginSecond(threshold: number): void {
    const n = this.inputs * this.outputs;
    this.fairShares = bitsOf(Float32Array.from(this.pixelSums, (sum) => sum / n));
    [this.threshold] = bitsOf(Float32Array.of(threshold));
  }

  /** Second round. */
  compare(input: number, output: number): void {
    const { path, values, bits, fairShares, countsAbove, threshold } = this;
    const { frameHeight, frameWidth } = path;
    let fair = 0;
    for (let y = 0; y < frameHeight; y++) {
      if (path.isZeroRow(y)) continue;
      path.row(y, values);
      const at = y * frameWidth;
      for (let x = 0; x < frameWidth; x++) {
        // The bits of positive numbers are in their order: a difference's sign is a comparison without
        // a branch, which no processor could predict.
        const magnitude = bits[x] & MAGNITUDE;
        fair += (fairShares[at + x] - magnitude) >>> 31;
        countsAbove[at + x] += (threshold - magnitude) >>> 31;
      }
    }
    this.pixels[input * this.outputs + output] = fair;
  }

  statistics(): NeuronStatistics {
    const { total, signedMean, largest, pixels } = this;
    const area = this.pixelSums.length;
    const layerTotal = total.reduce((sum, t) => sum + t, 0);
    return {
      total,
      share: total.map((t) => (layerTotal > 0 ? t / layerTotal : 0)),
      mean: total.map((t) => t / area),
      signedMean,
      max: largest,
      pixels,
      dead: Uint8Array.from(largest, (m) => (m === 0 ? 1 : 0)),
    };
  }

  /** Part of the kernels above the threshold of the second round, at each pixel. */
  above(): Float32Array {
    const n = this.inputs * this.outputs;
    return Float32Array.from(this.countsAbove, (count) => count / n);
  }

  atlas(): PreviewAtlas {
    const { height, width } = this.path.previewSize;
    return { height, width, data: this.previews, limit: this.limits };
  }

  channels(): NonNullable<LayerTrace['channelPreviews']> {
    const { previewSize } = this.path;
    return { inputs: atlasOf(this.inputSums, previewSize), outputs: atlasOf(this.outputSums, previewSize) };
  }
}
