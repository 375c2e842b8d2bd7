import { UsageError } from '../errors';
import type { CoordinateConvention } from './types';

/** A convention taken apart: which axis comes first, what a side is divided by, and where samples lie. */
export interface ConventionParts {
  /** `rc`: (row, column); `xy`: (column, row). */
  readonly order: 'rc' | 'xy';
  /** Length that indices are divided by: the longest side, each axis's own, or the height for both. */
  readonly scale: 'longest' | 'per-side' | 'height';
  /** [0, 1] instead of [−1, 1]. */
  readonly unit: boolean;
  /** `ends`: i/(n−1); `open`: i/n; `centres`: (i+0.5)/n. */
  readonly sampling: 'ends' | 'open' | 'centres';
}

const PATTERN = /^(rc|xy)-(longest|per-side|height)(-01)?(?:-(open|centres))?$/;

/** The names most code bases use, for lists of choices; every combination of suffixes is allowed too. */
export const commonConventions: readonly CoordinateConvention[] = [
  'rc-per-side',
  'xy-per-side',
  'rc-longest',
  'rc-height',
  'rc-per-side-01',
  'xy-per-side-01',
  'rc-per-side-centres',
  'rc-per-side-01-centres',
  'rc-per-side-01-open',
  'xy-per-side-01-open',
];

/**
 * Checks the name of a coordinate convention (case and surrounding space do not matter).
 * @throws UsageError when it is none.
 */
export function parseConvention(name: string): CoordinateConvention {
  const text = name.trim().toLowerCase();
  if (!PATTERN.test(text)) {
    throw new UsageError(
      `Unknown coordinate convention “${name}”; use ${commonConventions.slice(0, 4).join(', ')}, ` +
        `optionally followed by -01 ([0, 1] instead of [−1, 1]) and -open or -centres.`,
    );
  }
  return text as CoordinateConvention;
}

export function conventionParts(convention: CoordinateConvention): ConventionParts {
  const [, order, scale, unit, sampling] = PATTERN.exec(convention)!;
  return {
    order: order as ConventionParts['order'],
    scale: scale as ConventionParts['scale'],
    unit: unit !== undefined,
    sampling: (sampling ?? 'ends') as ConventionParts['sampling'],
  };
}

/** The inverse of {@link conventionParts}. */
export function conventionName(parts: ConventionParts): CoordinateConvention {
  const unit = parts.unit ? '-01' : '';
  const sampling = parts.sampling === 'ends' ? '' : (`-${parts.sampling}` as const);
  return `${parts.order}-${parts.scale}${unit}${sampling}`;
}

/** Coordinate of index i on an axis divided by n, float32 as PyTorch computes it. */
function axis(length: number, n: number, { sampling, unit }: ConventionParts): Float32Array {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let u: number;
    if (sampling === 'ends')
      u = n > 1 ? i / (n - 1) : 0; // linspace of one step is its start
    else if (sampling === 'open') u = i / n;
    else u = (i + 0.5) / n;
    // Rounding before the subtraction is what `coords / (n - 1) * 2 - 1` does in float32.
    values[i] = unit ? u : 2 * Math.fround(u) - 1;
  }
  return values;
}

/** Coordinates of all rows and of all columns. */
function axes(convention: CoordinateConvention, height: number, width: number) {
  const parts = conventionParts(convention);
  const divisor = { longest: Math.max(height, width), height, 'per-side': undefined }[parts.scale];
  return {
    rowFirst: parts.order === 'rc',
    rows: axis(height, divisor ?? height, parts),
    columns: axis(width, divisor ?? width, parts),
  };
}

/**
 * Writes the coordinates of pixels `start … end − 1` (row-major) into `out` as two rows, `[2, end − start]`.
 * @param out at least 2·(end − start) long
 */
export function fillCoordinates(
  convention: CoordinateConvention,
  height: number,
  width: number,
  start: number,
  end: number,
  out: Float32Array,
): void {
  const { rowFirst, rows, columns } = axes(convention, height, width);
  const n = end - start;
  const rowAt = rowFirst ? 0 : n;
  const columnAt = n - rowAt;
  let row = Math.floor(start / width);
  let column = start - row * width;
  for (let i = 0; i < n; i++) {
    out[rowAt + i] = rows[row];
    out[columnAt + i] = columns[column];
    if (++column === width) {
      column = 0;
      row++;
    }
  }
}

/** Coordinates of some pixels (row-major indices), `[2, pixels]`. */
export function coordinatesAt(
  convention: CoordinateConvention,
  height: number,
  width: number,
  pixels: Uint32Array,
): Float32Array {
  const { rowFirst, rows, columns } = axes(convention, height, width);
  const n = pixels.length;
  const out = new Float32Array(2 * n);
  pixels.forEach((pixel, i) => {
    const row = Math.floor(pixel / width);
    out[rowFirst ? i : n + i] = rows[row];
    out[rowFirst ? n + i : i] = columns[pixel - row * width];
  });
  return out;
}
