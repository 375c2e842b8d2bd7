/** How well a picture is met by fineness of detail. */
import { cosineTransform } from '../cosineTransform';

/** Upper ends of the bands, cycles a pixel; 0.5 along one axis is the finest there is. */
export const BANDS = [1 / 32, 1 / 16, 1 / 8, 1 / 4, Infinity] as const;

/** Longest side that is transformed; of larger pictures the middle. */
const LONGEST = 512;

export interface Band {
  /** Cycles a pixel, from (inclusive) and to (exclusive). */
  readonly from: number;
  readonly to: number;
  /** Part of the target's variation that lies in this band. */
  readonly target: number;
  /** Part of the error that lies in this band. */
  readonly error: number;
  /** Error energy by target energy: 0 is met, 1 is as bad as nothing. */
  readonly missed: number;
}

/** A picture and what it should be, `[height, width, channels]` each, in the same units. */
export interface Compared {
  readonly picture: Float32Array;
  readonly target: Float32Array;
}

/**
 * Error and target by spatial frequency, from cosine transforms of their means over channels (which mirror
 * the picture at its borders, so that borders are no edges). The mean of the target is left out.
 * @param pictures of equal size, taken together
 */
export function errorByBand(
  pictures: readonly Compared[],
  height: number,
  width: number,
  channels: number,
): Band[] {
  const [rows, columns] = [Math.min(height, LONGEST), Math.min(width, LONGEST)];
  const [top, left] = [Math.floor((height - rows) / 2), Math.floor((width - columns) / 2)];
  const grey = (value: (at: number) => number) => {
    const out = new Float64Array(rows * columns);
    for (let y = 0, k = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++, k++) {
        const at = ((top + y) * width + left + x) * channels;
        for (let c = 0; c < channels; c++) out[k] += value(at + c) / channels;
      }
    }
    return out;
  };
  const [wanted, wrong] = [BANDS.map(() => 0), BANDS.map(() => 0)];
  for (const { picture, target } of pictures) {
    const wished = grey((at) => target[at]);
    const off = grey((at) => picture[at] - target[at]);
    addEnergies(cosineTransform(wished, rows, columns), rows, columns, true, wanted);
    addEnergies(cosineTransform(off, rows, columns), rows, columns, false, wrong);
  }
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  const [all, allWrong] = [sum(wanted), sum(wrong)];
  return BANDS.map((to, band) => ({
    from: band === 0 ? 0 : BANDS[band - 1],
    to,
    target: all > 0 ? wanted[band] / all : 0,
    error: allWrong > 0 ? wrong[band] / allWrong : 0,
    missed: wanted[band] > 0 ? wrong[band] / wanted[band] : wrong[band] > 0 ? Infinity : 0,
  }));
}

/** Adds the sum of squares in each band. */
function addEnergies(
  spectrum: Float64Array,
  rows: number,
  columns: number,
  withoutMean: boolean,
  sums: number[],
): void {
  for (let v = 0, k = 0; v < rows; v++) {
    for (let u = 0; u < columns; u++, k++) {
      if (withoutMean && k === 0) continue;
      const frequency = Math.hypot(v / (2 * rows), u / (2 * columns));
      sums[BANDS.findIndex((to) => frequency < to)] += spectrum[k] ** 2;
    }
  }
}
