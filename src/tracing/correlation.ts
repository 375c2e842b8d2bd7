/** Pearson's correlation; NaN when one side does not vary. */
export function pearson(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const n = x.length;
  let [sumX, sumY] = [0, 0];
  for (let i = 0; i < n; i++) {
    sumX += x[i];
    sumY += y[i];
  }
  const [meanX, meanY] = [sumX / n, sumY / n];
  let [xx, yy, xy] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [dx, dy] = [x[i] - meanX, y[i] - meanY];
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
  }
  // What is left of equal numbers by rounding is no variation.
  const tiny = (square: number, mean: number) => !(square > 1e-24 * n * mean * mean);
  return tiny(xx, meanX) || tiny(yy, meanY) ? NaN : xy / Math.sqrt(xx * yy);
}

/** Ranks from 1 on; equal values share the mean of theirs. */
export function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a] - values[b]);
  const rank = new Float64Array(values.length);
  for (let from = 0; from < order.length;) {
    let end = from + 1;
    while (end < order.length && values[order[end]] === values[order[from]]) end++;
    for (let k = from; k < end; k++) rank[order[k]] = (from + end + 1) / 2;
    from = end;
  }
  return rank;
}

/** Spearman's rank correlation, NaN when one side does not vary. */
export const spearman = (x: ArrayLike<number>, y: ArrayLike<number>): number => pearson(ranks(x), ranks(y));
