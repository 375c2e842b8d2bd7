import type { PreviewAtlas } from './types';

/** Pixels on the long side of a preview. */
const LONG_SIDE = 96;

/** Size that fits a picture into `longSide`, keeping its aspect; never larger than the picture. */
export function fitted(height: number, width: number, longSide: number): { height: number; width: number } {
  const factor = Math.min(1, longSide / Math.max(height, width));
  return {
    height: Math.max(1, Math.round(height * factor)),
    width: Math.max(1, Math.round(width * factor)),
  };
}

/** For each pixel of an axis: the cell its start lies in, and the part of it that lies in that cell. */
class Cells {
  readonly cell: Uint32Array;
  readonly part: Float64Array;

  constructor(
    readonly pixels: number,
    readonly count: number,
  ) {
    this.cell = new Uint32Array(pixels);
    this.part = new Float64Array(pixels);
    for (let x = 0; x < pixels; x++) {
      // Integer arithmetic: a pixel is `count` long and a cell `pixels`, so no edge is missed by rounding.
      const cell = Math.floor((x * count) / pixels);
      this.cell[x] = cell;
      this.part[x] = Math.min(1, ((cell + 1) * pixels - x * count) / count);
    }
  }
}

/** Area-averaged small pictures of many maps, built from runs of pixels. */
export class PreviewAccumulator {
  private readonly rows: Cells;
  private readonly columns: Cells;
  private readonly sums: Float32Array;
  /** One row of cells, and one more that stays empty. */
  private readonly row: Float64Array;

  constructor(
    private readonly maps: number,
    height: number,
    width: number,
    longSide = LONG_SIDE,
  ) {
    const small = fitted(height, width, longSide);
    this.rows = new Cells(height, small.height);
    this.columns = new Cells(width, small.width);
    this.sums = new Float32Array(maps * small.height * small.width);
    this.row = new Float64Array(small.width + 1);
  }

  /**
   * Adds pixels `start … start + count − 1` (row-major) of a map; each pixel once.
   * @param values those pixels, from index `at` on
   */
  add(map: number, values: Float32Array, at: number, start: number, count: number): void {
    const width = this.columns.pixels;
    let y = Math.floor(start / width);
    let x = start - y * width;
    for (let k = 0; k < count;) {
      const run = Math.min(width - x, count - k);
      this.addRun(map, values, at + k, y, x, run);
      k += run;
      y++;
      x = 0;
    }
  }

  private addRun(map: number, values: Float32Array, at: number, y: number, x: number, run: number): void {
    const { row, rows, columns } = this;
    const { cell, part } = columns;
    row.fill(0);
    let current = cell[x];
    let sum = 0;
    for (let k = 0; k < run; k++) {
      const value = values[at + k];
      if (cell[x + k] !== current) {
        row[current++] += sum;
        sum = 0;
      }
      const p = part[x + k];
      if (p === 1) sum += value;
      else {
        row[current++] += sum + p * value;
        sum = (1 - p) * value;
      }
    }
    row[current] += sum;

    const top = (map * rows.count + rows.cell[y]) * columns.count;
    const inTop = rows.part[y];
    for (let c = cell[x]; c < columns.count && c <= current; c++) this.sums[top + c] += inTop * row[c];
    if (inTop === 1) return;
    const below = top + columns.count;
    for (let c = cell[x]; c < columns.count && c <= current; c++)
      this.sums[below + c] += (1 - inTop) * row[c];
  }

  /** Mean of each map in each cell, `[maps, height, width]`; overwrites the sums. */
  means(): Float32Array {
    const { sums, rows, columns } = this;
    const cellArea = (rows.pixels / rows.count) * (columns.pixels / columns.count);
    for (let k = 0; k < sums.length; k++) sums[k] /= cellArea;
    return sums;
  }

  /** Signed 8-bit pictures, each on its own scale; ends the accumulation. */
  atlas(): PreviewAtlas {
    const { rows, columns, maps } = this;
    const size = rows.count * columns.count;
    const means = this.means();
    const data = new Uint8Array(means.length);
    const limit = new Float32Array(maps);
    for (let m = 0; m < maps; m++) {
      const end = (m + 1) * size;
      let largest = 0;
      for (let k = m * size; k < end; k++) largest = Math.max(largest, Math.abs(means[k]));
      limit[m] = largest;
      const factor = largest > 0 ? 127 / largest : 0;
      // Adding half before cutting off rounds; all values are positive.
      for (let k = m * size; k < end; k++) data[k] = 128.5 + means[k] * factor;
    }
    return { width: columns.count, height: rows.count, data, limit };
  }
}
