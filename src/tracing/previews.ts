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

/** An axis cut into equal cells, each at least a pixel long. */
class Cells {
  /** For each pixel: the cell its start lies in, and the part of it that lies in that cell. */
  readonly cell: Uint32Array;
  readonly part: Float64Array;
  /** For each of the `count + 1` edges of cells: the pixel it cuts, and the part of that pixel before it. */
  readonly edge: Uint32Array;
  readonly before: Float64Array;

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
    this.edge = new Uint32Array(count + 1);
    this.before = new Float64Array(count + 1);
    for (let c = 0; c < count; c++) {
      this.edge[c] = Math.floor((c * pixels) / count);
      this.before[c] = (c * pixels - this.edge[c] * count) / count;
    }
    // The last edge is the end of the last pixel.
    this.edge[count] = pixels - 1;
    this.before[count] = 1;
  }
}

/** Area-averaged small pictures of many maps, built from runs of pixels. */
export class PreviewAccumulator {
  private readonly rows: Cells;
  private readonly columns: Cells;
  /** Sum of each map in each cell, `[maps, height, width]`. */
  readonly sums: Float32Array;
  /** A row of which only a part is at hand. */
  private readonly row: Float32Array;

  constructor(
    private readonly maps: number,
    height: number,
    width: number,
    sums?: Float32Array,
    longSide = LONG_SIDE,
  ) {
    const small = fitted(height, width, longSide);
    this.rows = new Cells(height, small.height);
    this.columns = new Cells(width, small.width);
    this.sums = sums ?? new Float32Array(maps * small.height * small.width);
    this.row = new Float32Array(width);
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
    const { row, rows, columns, sums } = this;
    const { edge, before } = columns;
    const begin = columns.cell[x];
    const end = columns.cell[x + run - 1] + (columns.part[x + run - 1] < 1 ? 2 : 1);
    let pixels = values.subarray(at, at + run);
    if (run < columns.pixels) {
      // What the cells of a part of a row reach beyond it is zero.
      row.fill(0, edge[begin], edge[end] + 1);
      row.set(pixels, x);
      pixels = row;
    }
    const top = (map * rows.count + rows.cell[y]) * columns.count;
    const below = top + columns.count;
    const inTop = rows.part[y];
    for (let c = begin; c < end; c++) {
      // A cell's edges may cut through a pixel.
      const last = edge[c + 1];
      let sum = -before[c] * pixels[edge[c]] + before[c + 1] * pixels[last];
      for (let k = edge[c]; k < last; k++) sum += pixels[k];
      sums[top + c] += inTop * sum;
      if (inTop < 1) sums[below + c] += (1 - inTop) * sum;
    }
  }

  get size(): { readonly height: number; readonly width: number } {
    return { height: this.rows.count, width: this.columns.count };
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
