/** What each neuron of a layer is worth: the picture's PSNR without it alone (tracing.md §1, `ablation`). */
import type { CancelToken } from '../errors';
import type { Ablations, Baseline } from './ablation';
import { sampleIndices, seededRandom } from './random';

/** Operations that all neurons of a layer may cost together: some seconds of two cores. */
const OPERATIONS = 2e11;
const FEWEST = 512;
const MOST = 16_384;

/** The pixels that a layer's neurons are measured on, ascending; the same for the same picture. */
export function removalSample(pixels: number, neurons: number, cost: number): Uint32Array {
  const affordable = OPERATIONS / Math.max(1, neurons * cost);
  const count = Math.round(Math.max(FEWEST, Math.min(MOST, affordable)));
  return sampleIndices(pixels, count, seededRandom(0));
}

export interface Reference {
  /** `[H, W, C]` in [0, 1]. */
  readonly values: Float32Array;
  /** Whether it is the target; else the picture with all neurons. */
  readonly isTarget: boolean;
}

/** dB, and its standard error. */
export interface Change {
  readonly change: number;
  readonly error: number;
}

/**
 * Change of the PSNR from pictures with to pictures without something, on a sample of pixels.
 * @param before squared error of each pixel with it; undefined where the picture itself is the reference
 * @param part of the picture's pixels that the sample holds: what is known is no error
 */
export function psnrChange(before: Float64Array | undefined, after: Float64Array, part: number): Change {
  const mean = (values: Float64Array) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const [first, second] = [before ? mean(before) : 1, mean(after)];
  const change = 10 * Math.log10(first / second);
  if (part >= 1 || !Number.isFinite(change)) return { change, error: 0 };
  // Delta method: the logarithm of a quotient of two means of the same pixels.
  let squares = 0;
  for (let p = 0; p < after.length; p++) {
    const influence = (before ? before[p] / first : 1) - after[p] / second;
    squares += influence * influence;
  }
  const variance = squares / Math.max(1, after.length - 1);
  const error = (10 / Math.LN10) * Math.sqrt((variance / after.length) * (1 - part));
  return { change, error };
}

/**
 * Measures every neuron of a layer alone.
 * @param range network output shown as black and as white
 * @param visit neurons in order
 * @throws CancelledError
 */
export async function eachRemoval(
  ablations: Ablations,
  layer: number,
  neurons: number,
  baseline: Baseline,
  sample: Uint32Array,
  reference: Reference,
  channels: number,
  [low, high]: readonly [number, number],
  cancel: CancelToken,
  visit: (neuron: number, change: Change) => void,
): Promise<void> {
  const part = (sample.length * channels) / reference.values.length;
  const errors = (painted: Float32Array): Float64Array => {
    const out = new Float64Array(sample.length);
    for (let p = 0; p < sample.length; p++) {
      for (let c = 0; c < channels; c++) {
        const shown = Math.min(1, Math.max(0, (painted[p * channels + c] - low) / (high - low)));
        const difference = shown - reference.values[sample[p] * channels + c];
        out[p] += (difference * difference) / channels;
      }
    }
    return out;
  };
  const before = reference.isTarget ? errors(await ablations.at(sample, [], baseline, cancel)) : undefined;
  for (let neuron = 0; neuron < neurons; neuron++) {
    const painted = await ablations.at(sample, [{ layer, neuron }], baseline, cancel);
    visit(neuron, psnrChange(before, errors(painted), part));
    // Other questions get their turn.
    if (neuron % 4 === 3) await new Promise((resolve) => setImmediate(resolve));
  }
}
