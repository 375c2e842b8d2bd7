/** What happens to contributions from frame to frame (tracing.md §5). */
import type { CancelToken } from '../../errors';
import type { Trace } from '../trace';

/** Hands the event loop its turn. @throws CancelledError */
async function pause(cancel: CancelToken): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  cancel.throwIfCancelled();
}

/**
 * Change of a layer's contributions between two frames, `Δ(p) = Σ_i ||C_i(p, t)| − |C_i(p, t − 1)||`, `[H, W]`.
 * @param progress 0–1
 * @throws CancelledError
 */
export async function changeMap(
  before: Pick<Trace, 'maps'>,
  now: Pick<Trace, 'inr' | 'maps'>,
  layer: number,
  neurons: number,
  cancel: CancelToken,
  progress: (fraction: number) => void,
): Promise<Float32Array> {
  const { height, width } = now.inr.signal;
  const sum = new Float64Array(height * width);
  const earlier = before.maps(layer)[Symbol.asyncIterator]();
  let done = 0;
  let turn = performance.now();
  for await (const map of now.maps(layer)) {
    const next: IteratorResult<Float32Array, unknown> = await earlier.next();
    if (next.done) throw new Error('the two frames have different layers');
    const other = next.value;
    for (let p = 0; p < sum.length; p++) sum[p] += Math.abs(Math.abs(map[p]) - Math.abs(other[p]));
    done++;
    if (performance.now() - turn < 40) continue;
    progress(done / neurons);
    await pause(cancel);
    turn = performance.now();
  }
  return Float32Array.from(sum);
}

/** Σ over pixels of |C| of some neurons. @throws CancelledError */
export async function totalsOf(
  trace: Trace,
  layer: number,
  neurons: readonly number[],
  cancel: CancelToken,
): Promise<Float64Array> {
  const totals = new Float64Array(neurons.length);
  for (const [k, neuron] of neurons.entries()) {
    if (k % 8 === 0) await pause(cancel);
    const { data } = await trace.map({ layer, neuron });
    let total = 0;
    for (let p = 0; p < data.length; p++) total += Math.abs(data[p]);
    totals[k] = total;
  }
  return totals;
}

/**
 * Σ over an object's pixels of |C|, divided by its area, for each object and neuron: `[objects, neurons]`;
 * NaN for objects that are not there.
 * @param labels object of each pixel, an index below `objects`
 * @throws CancelledError
 */
export async function objectDensities(
  trace: Trace,
  layer: number,
  neurons: number,
  labels: ArrayLike<number>,
  objects: number,
  cancel: CancelToken,
): Promise<Float64Array> {
  const sums = new Float64Array(objects * neurons);
  const areas = new Float64Array(objects);
  for (let p = 0; p < labels.length; p++) areas[labels[p]]++;
  await trace.eachRun(layer, cancel, (neuron, start, values) => {
    for (let k = 0; k < values.length; k++) {
      sums[labels[start + k] * neurons + neuron] += Math.abs(values[k]);
    }
  });
  return sums.map((sum, k) => sum / areas[Math.floor(k / neurons)]);
}

/** Divided by its mean over the clip, frames without a value left out: 1 is what is usual. */
export function normalised(series: readonly number[]): number[] {
  const present = series.filter((v) => !Number.isNaN(v));
  const mean = present.reduce((a, b) => a + b, 0) / present.length;
  return series.map((v) => (mean > 0 ? v / mean : Number.isNaN(v) ? v : 0));
}
