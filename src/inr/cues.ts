/** What weights alone tell (recognition.md, “Evidence, measured”). */
import type { Affine } from './layers';

/** Median of |x| over at most 4096 evenly spaced elements. */
function medianMagnitude(values: Float32Array): number {
  const step = Math.max(1, Math.floor(values.length / 4096));
  const sample: number[] = [];
  for (let i = 0; i < values.length; i += step) sample.push(Math.abs(values[i]));
  sample.sort((a, b) => a - b);
  const middle = sample.length >> 1;
  return sample.length % 2 ? sample[middle] : (sample[middle - 1] + sample[middle]) / 2;
}

/**
 * The ω that SIREN's initialisation U(±√(6/n)/ω) would have given the hidden layers, their median;
 * undefined without hidden layers. Training lowers it: nets with ω = 30 show 22–29. PyTorch's default
 * initialisation shows 2.4, He's and SIREN's with ω = 1 show 1.0.
 */
export function weightOmega(layers: readonly Affine[]): number | undefined {
  // Hypotheses ask for the same layers many times.
  let found = known.get(layers);
  if (found === undefined) {
    found = estimate(layers) ?? 'none';
    known.set(layers, found);
  }
  return found === 'none' ? undefined : found;
}

const known = new WeakMap<readonly Affine[], number | 'none'>();

function estimate(layers: readonly Affine[]): number | undefined {
  const hidden = layers.slice(1, -1).filter((layer) => !layer.complex);
  const estimates = hidden
    .map((layer) => Math.sqrt(6 / layer.inputs) / (2 * medianMagnitude(layer.weight())))
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  return estimates.length ? estimates[estimates.length >> 1] : undefined;
}

/** Which of the three groups the hidden weights belong to. */
export type WeightScale = 'sine' | 'default' | 'unit' | 'unknown';

export function weightScale(layers: readonly Affine[]): WeightScale {
  const omega = weightOmega(layers);
  if (omega === undefined) return 'unknown';
  if (omega > 4.5) return 'sine';
  return omega > 1.6 ? 'default' : 'unit';
}
