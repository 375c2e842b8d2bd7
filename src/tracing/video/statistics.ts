import type { CancelToken } from '../../errors';
import type { TracedLayer } from '../../inr/types';
import { BINS } from '../statistics';
import type { NeuronStatistics, PreviewAtlas } from '../types';
import type { Activation } from './activation';
import { padded, type Gathered } from './loops';
import { KernelPath } from './path';
import { Turn } from './turn';

/** Contributions that the histogram of magnitudes counts at most; of larger layers it sees every n-th row. */
const COUNTED = 2 ** 28;
/** Bytes of all previews that are worked with in a layer, and of those that are sent: to every panel, at every frame. */
const PREVIEW_BYTES = { made: 12 << 20, sent: 2 << 20 };
const PREVIEW_SIDES = [96, 64, 48, 32, 24, 16];

/** Longest side of the previews of a layer with that many kernels: smaller when they are many. */
export function previewSide(
  kernels: number,
  { height, width }: { readonly height: number; readonly width: number },
  which: keyof typeof PREVIEW_BYTES,
): number {
  const bytes = (side: number) => (kernels * side * side * Math.min(height, width)) / Math.max(height, width);
  return PREVIEW_SIDES.find((side) => bytes(side) <= PREVIEW_BYTES[which]) ?? PREVIEW_SIDES.at(-1)!;
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
  /** Longest side of previews of sums of kernels, and of single ones. */
  readonly previewSide: number;
  readonly kernelSide: number;
  /** What the network makes of the layer, `[outputs, height, width]` after PixelShuffle and σ. */
  readonly result: Float32Array;
}

/** Memory that threads share, and of which each kernel has its own part. */
export interface PerKernel {
  readonly total: Float64Array;
  readonly signedMean: Float64Array;
  readonly largest: Float64Array;
  readonly pixels: Uint32Array;
  readonly previews: Uint8Array;
  readonly limits: Float32Array;
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

/** Kernels between some input and some output channels, ends excluded: what a thread takes at once. */
interface Share {
  readonly inputs: readonly [number, number];
  readonly outputs: readonly [number, number];
}

/** Fewest shares that keep some threads busy until the end. */
const FEWEST_SHARES = 8;
/** Fewest output channels for which copying an input channel is no matter. */
const FEWEST_OUTPUTS = 4;

/**
 * How a layer is shared out. By output channels after PixelShuffle: all that adds up to one of them is then
 * in one thread, which compares the sum with the network's and forgets it. By input channels where the
 * others are too few to go round, as in a head; their sums are few, too.
 */
export function sharesOf({ inputs, outputs, shuffle = 1 }: TracedLayer): {
  readonly count: number;
  /** Whether a share has all kernels of its output channels. */
  readonly whole: boolean;
  readonly at: (share: number) => Share;
} {
  const step = shuffle ** 2 * Math.ceil(FEWEST_OUTPUTS / shuffle ** 2);
  const count = Math.ceil(outputs / step);
  if (count < FEWEST_SHARES) {
    return { count: inputs, whole: false, at: (i) => ({ inputs: [i, i + 1], outputs: [0, outputs] }) };
  }
  return {
    count,
    whole: true,
    at: (k) => ({ inputs: [0, inputs], outputs: [k * step, Math.min((k + 1) * step, outputs)] }),
  };
}

/** How far Σ over kernels is from what the network makes of the layer. */
export interface Residual {
  readonly largest: number;
  readonly sum: number;
}

/** What one thread's kernels gave: sums over kernels, to be added to those of others. */
export interface RoundShare {
  /** Σ|C|, rows padded. */
  readonly sums?: Float64Array;
  /** Histogram of |C|. */
  readonly counts?: Int32Array;
  /** Σ of the kernels' affine results, `[outputs, roomOf]`, where output channels are shared with others. */
  readonly affine?: Float64Array;
  /** Where they are not. */
  readonly residuals?: readonly Residual[];
  /** Σ of the previews of an input channel. */
  readonly inputSums?: Float32Array;
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

/** Contributions (kernels × pixels) that a round makes. */
export const contributionsOf = ({ layers, height, width }: KernelLayer): number =>
  layers.reduce(
    (n, { shuffle = 1 }) => n * shuffle ** 2,
    layers[0].inputs * layers[0].outputs * height * width,
  );

/** Does the shares (`sharesOf`) that `claim` hands out. @throws CancelledError */
export async function shareRound(
  { kernels, into, second }: Round,
  claim: () => number | undefined,
  cancel: CancelToken,
  progress: (share: number) => void,
): Promise<RoundShare> {
  const { layers, height, width, input: planes } = kernels;
  const [layer] = layers;
  const { inputs, outputs, shuffle = 1 } = layer;
  const { whole, at } = sharesOf(layer);
  const path = new KernelPath(layers, kernels, kernels.previewSide, kernels.kernelSide);
  const { loops, frameHeight, frameWidth, previewSize, kernelPreviewSize } = path;
  const area = height * width;
  const places = frameHeight * padded(frameWidth);
  const previewArea = previewSize.height * previewSize.width;
  const gathered: Gathered = {
    sums: loops.allocate(second ? 0 : 8 * places),
    counts: loops.allocate(second ? 0 : 4 * BINS),
    fair: loops.allocate(second ? 4 * places : 0),
    above: loops.allocate(second ? 4 * places : 0),
  };
  const [first, end] = at(0).outputs;
  const room = roomOf(kernels);
  const held = (end - first) * room;
  const affine = loops.allocate(second ? 0 : 8 * held);
  const residuals: Residual[] = [];
  const channels = outputs / shuffle ** 2;
  const inputSums = loops.allocate(second ? 0 : 4 * inputs * previewArea);
  const outputSums = loops.allocate(second ? 0 : 4 * channels * previewArea);
  const preview = loops.allocate(4 * previewArea);
  const smallArea = kernelPreviewSize.height * kernelPreviewSize.width;
  const [small, unused, encoded] = [4 * smallArea, 4 * smallArea, smallArea].map((n) => loops.allocate(n));
  let every = Math.ceil((inputs * outputs * frameHeight * frameWidth) / COUNTED);
  if (every >= frameHeight) every = Math.max(1, frameHeight >> 3);
  if (second) loops.floats(gathered.fair, places).set(second.fair);
  const [limit] = new Int32Array(Float32Array.of(second?.threshold ?? 0).buffer);

  const turn = new Turn(cancel);
  for (let share = claim(); share !== undefined; share = claim()) {
    const own = at(share);
    const [from, to] = own.outputs;
    for (let input = own.inputs[0]; input < own.inputs[1]; input++) {
      const plane = planes.subarray(input * area, (input + 1) * area);
      for (let output = from; output < to; output++) {
        const kernel = input * outputs + output;
        path.convolve(plane, input, output);
        if (!second) path.accumulate(affine + 8 * (output - from) * room);
        path.descend(output);
        if (second) into.pixels[kernel] = path.second(gathered, limit);
        else {
          [into.total[kernel], into.largest[kernel]] = path.first(gathered, every);
          addPreview(kernel, input, Math.floor(output / shuffle ** 2));
        }
        if (turn.due) await turn.pause(() => progress(share));
      }
    }
    if (second || !whole) continue;
    const sums = loops.doubles(affine, (to - from) * room);
    residuals.push(residualOf(kernels, path.activation, from, sums));
    sums.fill(0);
  }
  // Copies: to send a view is to send all the memory behind it.
  if (second) return { above: loops.ints(gathered.above, places).slice() };
  return {
    sums: loops.doubles(gathered.sums, places).slice(),
    counts: loops.ints(gathered.counts, BINS).slice(),
    ...(whole ? { residuals } : { affine: loops.doubles(affine, held).slice() }),
    inputSums: loops.floats(inputSums, inputs * previewArea).slice(),
    outputSums: loops.floats(outputSums, channels * previewArea).slice(),
  };

  function addPreview(kernel: number, input: number, channel: number): void {
    path.preview(preview);
    const ofInput = inputSums + 4 * input * previewArea;
    const ofOutput = outputSums + 4 * channel * previewArea;
    const [sum, most] = loops.summarise(preview, previewArea, ofInput, ofOutput);
    // All cells are equally large.
    into.signedMean[kernel] = sum / previewArea;
    const sent = path.reduced(preview, small);
    const largest = sent === preview ? most : loops.summarise(sent, smallArea, unused, unused)[1];
    into.limits[kernel] = largest;
    const factor = largest > 0 ? 127 / largest : 0;
    into.previews.set(loops.encode(sent, smallArea, factor, encoded), kernel * smallArea);
  }
}

/** The whole round, one share after another. @throws CancelledError */
export const inThisThread: RunRound = async (round, cancel, progress) => {
  const { count } = sharesOf(round.kernels.layers[0]);
  let next = 0;
  const claim = () => (next < count ? next++ : undefined);
  return [await shareRound(round, claim, cancel, (share) => progress(share / count))];
};

/** Sums are added to in pairs: so many lie between those of one channel and those of the next. */
const roomOf = ({ height, width }: KernelLayer): number => (height * width + 1) & ~1;

/**
 * PixelShuffle and σ of Σ over kernels against what the network hands on.
 * @param sums of some output channels, all of those that PixelShuffle puts together, `[·, roomOf]`
 * @param first of these channels
 */
export function residualOf(
  kernels: KernelLayer,
  activation: Activation | undefined,
  first: number,
  sums: Float64Array,
): Residual {
  const { height, width, result } = kernels;
  const [{ shuffle = 1 }] = kernels.layers;
  const room = roomOf(kernels);
  let largest = 0;
  let sum = 0;
  for (let k = 0, o = first; k < sums.length; k += room, o++) {
    let at = k;
    const channel = Math.floor(o / shuffle ** 2);
    const [row, column] = [Math.floor((o % shuffle ** 2) / shuffle), o % shuffle];
    for (let y = 0; y < height; y++) {
      const from = ((channel * height + y) * shuffle + row) * width * shuffle + column;
      for (let x = 0; x < width; x++) {
        const z = Math.fround(sums[at++]);
        const made = activation ? Math.fround(activation.of(z)) : z;
        const difference = Math.abs(made - result[from + x * shuffle]);
        largest = Math.max(largest, difference);
        sum += difference;
      }
    }
  }
  return { largest, sum };
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
