/** Thresholds on magnitudes where contributions are more than 32 bits count. */
import { expect, it } from 'vitest';
import { BINS, LOW_BITS, Thresholds } from '../../../src/tracing/statistics';

const binOf = (value: number) => new Int32Array(Float32Array.of(value).buffer)[0] >> LOW_BITS;

/** So many contributions of 1, the rest zero. */
function magnitudes(ones: number, zeros: number): Uint32Array {
  const counts = new Uint32Array(BINS);
  counts[0] = zeros;
  counts[binOf(1)] = ones;
  return counts;
}

it('counts the zeros of a layer of 256 over 4096×4096 pixels', () => {
  // All in the bin of 1 are below its upper end: only what is larger counts.
  const counts = magnitudes(1e9, 3e9);
  counts[binOf(2)] = 1e8;
  const { mean, threshold } = Thresholds.of(counts).summary(0.9);
  expect(threshold).toBeGreaterThan(1);
  expect(threshold).toBeLessThan(2.01);
  expect(Thresholds.of(counts).summary(0.5).mean).toBeCloseTo(1e8 / 4.1e9, 6);
  expect(mean).toBeLessThanOrEqual(1e8 / 4.1e9);
});

it('puts frames together that are more than that', () => {
  const one = Thresholds.of(magnitudes(1e9, 3e9));
  const two = magnitudes(1e9, 3e9);
  two[binOf(2)] = 1e8;
  const all = Thresholds.together([one, one, Thresholds.of(two)]);
  // 3.2e9 of magnitude; half of it is reached within the bin of 1.
  expect(all.summary(0.5).mean).toBeCloseTo(1e8 / 12.1e9, 6);
});
