export interface CurvePoint {
  readonly x: number;
  readonly y: number;
}

/**
 * Points of the Lorenz curve: part of the neurons, weakest first, against the part of the sum they hold.
 * @param values not negative
 * @param most points besides the origin; the curve is thinned to about that many
 */
export function lorenz(values: Float64Array, most = 128): CurvePoint[] {
  const sorted = values.toSorted();
  const sum = sorted.reduce((total, value) => total + value, 0);
  const curve: CurvePoint[] = [{ x: 0, y: 0 }];
  const step = Math.max(1, sorted.length / most);
  let held = 0;
  let next = step;
  for (let i = 0; i < sorted.length; i++) {
    held += sorted[i];
    const isLast = i === sorted.length - 1;
    if (i + 1 < next && !isLast) continue;
    next += step;
    // Where nothing contributes, all contribute the same: the diagonal.
    const x = (i + 1) / sorted.length;
    curve.push({ x, y: isLast ? 1 : sum > 0 ? held / sum : x });
  }
  return curve;
}
