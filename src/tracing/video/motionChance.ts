/** Whether a map agrees with motion better than chance would have it. */
import { pearson } from '../correlation';

/** Row and column by which a map is moved around the frame. */
export type Shift = readonly [rows: number, columns: number];

/** @returns shifts that are not nought, drawn evenly */
export function randomShifts(count: number, height: number, width: number, random: () => number): Shift[] {
  return Array.from({ length: count }, () => {
    const at = 1 + Math.floor(random() * (height * width - 1));
    return [Math.floor(at / width), at % width];
  });
}

/** `values`, `[H, W]`, moved around the frame: what leaves it at one side comes back at the other. */
export function shifted(values: Float32Array, height: number, width: number, [dy, dx]: Shift): Float32Array {
  const out = new Float32Array(values.length);
  for (let y = 0; y < height; y++) {
    const row = values.subarray(y * width, (y + 1) * width);
    const to = ((y + dy) % height) * width;
    out.set(row.subarray(0, width - dx), to + dx);
    out.set(row.subarray(width - dx), to);
  }
  return out;
}

export interface Agreement {
  /** Pearson's correlation, mean over the pairs of maps that vary; NaN when none does. */
  readonly observed: number;
  /** The same with motion moved around the frame, mean over the shifts. */
  readonly shifted: number;
  /** One-sided: how often a shift agrees at least as well, the observed one counted. */
  readonly pValue: number;
}

/**
 * A torus-shift test, which keeps sizes, shapes and smoothness on both sides.
 * @param pairs `[change, motion]`, each `[H, W]`
 */
export function agreement(
  pairs: readonly (readonly [Float32Array, Float32Array])[],
  height: number,
  width: number,
  shifts: readonly Shift[],
): Agreement {
  const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const varying = pairs.filter(([change, motion]) => !Number.isNaN(pearson(change, motion)));
  const observed = mean(varying.map(([change, motion]) => pearson(change, motion)));
  if (Number.isNaN(observed)) return { observed, shifted: NaN, pValue: 1 };
  const chance = shifts.map((shift) =>
    mean(varying.map(([change, motion]) => pearson(change, shifted(motion, height, width, shift)))),
  );
  const reached = chance.filter((r) => r >= observed).length;
  return { observed, shifted: mean(chance), pValue: (1 + reached) / (1 + shifts.length) };
}
