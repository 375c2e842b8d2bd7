import type { CancelToken } from '../../errors';
import type { TracedLayer } from '../../inr/types';
import { BINS } from '../statistics';
import type { NeuronStatistics, PreviewAtlas } from '../types';
import { padded, type Gathered } from './loops';
import { KernelPath } from './path';
import { Turn } from './turn';

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

/** The kernels of a layer at one frame; plain data, so that it can be sent to other threads. */
export interface KernelLayer {
  /** From the one whose kernels these are to the head. */
  readonly layers: readonly TracedLayer[];
  /** The layer's input, `[inputs, height, width]`. */
  readonly input: Float32Array;
  readonly height: number;
  readonly width: number;
  readonly previewSide: number;
}

/** Memory that threads share, and of which each kernel, or input channel, has its own part. */
export interface PerKernel {
  readonly total: Float64Array;
  readonly signedMean: Float64Array;
  readonly largest: Float64Array;
  readonly pixels: Uint32Array;
  readonly previews: Uint8Array;
  readonly limits: Float32Array;
  /** Σ of the previews of an input channel. */
  readonly inputSums: Float32Array;
}

/** float32 values that threads share. */
export function sharedFloats(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(4 * length));
}

export function perKernel({ layers: [{ inputs, outputs }] }: KernelLayer, previewSize: number): PerKernel {
  const kernels = inputs * outputs;
  const shared = (bytes: number) => new SharedArrayBuffer(bytes);
  return {
    total: new Float64Array(shared(8 * kernels)),
    signedMean: new Float64Array(shared(8 * kernels)),
    largest: new Float64Array(shared(8 * kernels)),
    pixels: new Uint32Array(shared(4 * kernels)),
    previews: new Uint8Array(shared(kernels * previewSize)),
    limits: sharedFloats(kernels),
    inputSums: sharedFloats(inputs * previewSize),
  };
}

/**
 * One of two rounds over all kernels of a layer: the second one needs what all kernels together contribute
 * to a pixel. Kernels are made, read and forgotten.
 */
export interface Round {
  readonly kernels: KernelLayer;
  readonly into: PerKernel;
  readonly second?: {
    /** float32: an equal share of |C| at each pixel, rows padded. */
    readonly fair: Float32Array;
    /** |C| above which a kernel counts at a pixel. */
    readonly threshold: number;
  };
}

/** What one thread's input channels gave: sums over kernels, to be added to those of others. */
export interface RoundShare {
  /** Σ|C|, rows padded. */
  readonly sums?: Float64Array;
  /** Histogram of |C|. */
  readonly counts?: Int32Array;
  /** Σ of the kernels' affine results, `[outputs, h, w]`. */
  readonly affine?: Float64Array;
  /** Σ of the previews of an output channel. */
  readonly outputSums?: Float32Array;
  /** Of the second round: kernels above the threshold, rows padded. */
  readonly above?: Int32Array;
}

/** Carries out a round, in whatever threads. @throws CancelledError */
export type RunRound = (
  round: Round,
  cancel: CancelToken,
  progress: (fraction: number) => void,
) => Promise<readonly RoundShare[]>;

/** Does the input channels that `claim` hands out. @throws CancelledError */
export async function shareRound(
  { kernels, into, second }: Round,
  claim: () => number | undefined,
  cancel: CancelToken,
  progress: (input: number) => void,
): Promise<RoundShare> {
  const { layers, height, width, input: planes } = kernels;
  const [{ inputs, outputs, shuffle = 1 }] = layers;
  const path = new KernelPath(layers, kernels, kernels.previewSide);
  const { loops, frameHeight, frameWidth, previewSize } = path;
  const area = height * width;
  const places = frameHeight * padded(frameWidth);
  const previewArea = previewSize.height * previewSize.width;
  const gathered: Gathered = {
    sums: loops.allocate(second ? 0 : 8 * places),
    counts: loops.allocate(second ? 0 : 4 * BINS),
    fair: loops.allocate(second ? 4 * places : 0),
    above: loops.allocate(second ? 4 * places : 0),
  };
  const affine = loops.allocate(second ? 0 : 8 * outputs * area);
  const channels = outputs / shuffle ** 2;
  const outputSums = loops.allocate(second ? 0 : 4 * channels * previewArea);
  const inputSum = loops.allocate(4 * previewArea);
  const preview = loops.allocate(4 * previewArea);
  const encoded = loops.allocate(previewArea);
  let every = Math.ceil((inputs * outputs * frameHeight * frameWidth) / COUNTED);
  if (every >= frameHeight) every = Math.max(1, frameHeight >> 3);
  if (second) loops.floats(gathered.fair, places).set(second.fair);
  const [limit] = new Int32Array(Float32Array.of(second?.threshold ?? 0).buffer);

  const turn = new Turn(cancel);
  for (let input = claim(); input !== undefined; input = claim()) {
    const plane = planes.subarray(input * area, (input + 1) * area);
    for (let output = 0; output < outputs; output++) {
      const kernel = input * outputs + output;
      path.convolve(plane, input, output);
      if (!second) path.accumulate(affine + 8 * output * area);
      path.descend(output);
      if (second) into.pixels[kernel] = path.second(gathered, limit);
      else {
        [into.total[kernel], into.largest[kernel]] = path.first(gathered, every);
        addPreview(kernel, Math.floor(output / shuffle ** 2));
      }
      if (turn.due) await turn.pause(() => progress(input + output / outputs));
    }
    if (second) continue;
    const sum = loops.floats(inputSum, previewArea);
    into.inputSums.set(sum, input * previewArea);
    sum.fill(0);
  }
  // Copies: to send a view is to send all the memory behind it.
  if (second) return { above: loops.ints(gathered.above, places).slice() };
  return {
    sums: loops.doubles(gathered.sums, places).slice(),
    counts: loops.ints(gathered.counts, BINS).slice(),
    affine: loops.doubles(affine, outputs * area).slice(),
    outputSums: loops.floats(outputSums, channels * previewArea).slice(),
  };

  function addPreview(kernel: number, channel: number): void {
    path.preview(preview);
    const ofOutput = outputSums + 4 * channel * previewArea;
    const [sum, largest] = loops.summarise(preview, previewArea, inputSum, ofOutput);
    // All cells are equally large.
    into.signedMean[kernel] = sum / previewArea;
    into.limits[kernel] = largest;
    const factor = largest > 0 ? 127 / largest : 0;
    into.previews.set(loops.encode(preview, previewArea, factor, encoded), kernel * previewArea);
  }
}

/** The sums of all shares. */
export function added<A extends Float64Array | Float32Array | Int32Array>(arrays: readonly A[]): A {
  const [first, ...others] = arrays;
  const sum = first.slice() as A;
  for (const other of others) for (let k = 0; k < sum.length; k++) sum[k] += other[k];
  return sum;
}

export function kernelStatistics(
  { total, signedMean, largest, pixels }: PerKernel,
  area: number,
): NeuronStatistics {
  const layerTotal = total.reduce((sum, t) => sum + t, 0);
  // Copies: what leaves the worker is not shared.
  return {
    total: total.slice(),
    share: Float64Array.from(total, (t) => (layerTotal > 0 ? t / layerTotal : 0)),
    mean: Float64Array.from(total, (t) => t / area),
    signedMean: signedMean.slice(),
    max: largest.slice(),
    pixels: pixels.slice(),
    dead: Uint8Array.from(largest, (m) => (m === 0 ? 1 : 0)),
  };
}
