/** One region of the picture that a person marked, and what the neurons do in it (tracing.md §3). */
import type { CancelToken } from '../errors';
import type { Partition } from './regions';
import type { RegionFeature } from './types';

/**
 * A region as the person marked it; small, so that it is kept with the selection. Lengths are picture pixels.
 */
export type Region =
  | {
      readonly kind: 'rectangle';
      readonly row: number;
      readonly column: number;
      readonly height: number;
      readonly width: number;
    }
  /** A closed outline through points (x to the right, y down, pixel corners at whole numbers). */
  | { readonly kind: 'lasso'; readonly points: readonly (readonly [x: number, y: number])[] }
  /** All pixels that look like the one clicked: the same colour, edge or place of the partition. */
  | {
      readonly kind: 'segment';
      readonly feature: RegionFeature;
      readonly row: number;
      readonly column: number;
    }
  /** An object of a label picture: the one clicked, or all of them (all labels but 0). */
  | {
      readonly kind: 'mask';
      /** Relative to the checkpoint, `/` between folders. */
      readonly file: string;
      readonly pixel: { readonly row: number; readonly column: number } | null;
    };

/** Which pixels a region holds. */
export interface Mask {
  readonly width: number;
  readonly height: number;
  /** 1 inside, row-major. */
  readonly data: Uint8Array;
  /** Number of pixels inside. */
  readonly area: number;
}

/** Longest outline kept: more points than pixels around a picture say nothing. */
const MOST_POINTS = 4096;

/**
 * Pixels of a region.
 * @param partition for segments and masks: the partition that they are a part of
 */
export function maskOf(
  region: Region,
  height: number,
  width: number,
  partition: Pick<Partition, 'labels'> | undefined,
): Mask {
  const data = new Uint8Array(height * width);
  switch (region.kind) {
    case 'rectangle': {
      const clamp = (value: number, length: number) => Math.max(0, Math.min(length, Math.round(value)));
      const [top, left] = [clamp(region.row, height), clamp(region.column, width)];
      const bottom = clamp(region.row + region.height, height);
      const right = clamp(region.column + region.width, width);
      for (let y = top; y < bottom; y++) {
        if (right > left) data.fill(1, y * width + left, y * width + right);
      }
      break;
    }
    case 'lasso':
      fillPolygon(region.points.slice(0, MOST_POINTS), height, width, data);
      break;
    case 'segment':
    case 'mask': {
      const labels = partition!.labels;
      const pixel = region.kind === 'segment' ? region : region.pixel;
      const label = pixel && labels[clampedIndex(pixel, height, width)];
      for (let p = 0; p < data.length; p++) {
        data[p] = (label === null ? labels[p] !== 0 : labels[p] === label) ? 1 : 0;
      }
      break;
    }
  }
  return { width, height, data, area: data.reduce((sum, inside) => sum + inside, 0) };
}

function clampedIndex({ row, column }: { row: number; column: number }, height: number, width: number) {
  const y = Math.max(0, Math.min(height - 1, row));
  return y * width + Math.max(0, Math.min(width - 1, column));
}

/** Sets the pixels whose centres lie inside the outline, by the even–odd rule. */
function fillPolygon(
  points: readonly (readonly [number, number])[],
  height: number,
  width: number,
  data: Uint8Array,
): void {
  const crossings: number[] = [];
  for (let row = 0; row < height; row++) {
    const y = row + 0.5;
    crossings.length = 0;
    for (let k = 0; k < points.length; k++) {
      const [x0, y0] = points[k];
      const [x1, y1] = points[(k + 1) % points.length];
      if (y0 <= y !== y1 <= y) crossings.push(x0 + ((y - y0) * (x1 - x0)) / (y1 - y0));
    }
    crossings.sort((a, b) => a - b);
    for (let k = 0; k + 1 < crossings.length; k += 2) {
      // A centre on the left border is inside, one on the right border is not.
      const from = Math.max(0, Math.ceil(crossings[k] - 0.5));
      const to = Math.min(width, Math.ceil(crossings[k + 1] - 0.5));
      if (to > from) data.fill(1, row * width + from, row * width + to);
    }
  }
}

/** One layer's neurons in a region, one entry a neuron. */
export interface RegionStatistics {
  /** Σ over the region's pixels of |C|. */
  readonly total: Float64Array;
  /** total / Σ total of the layer in the region. */
  readonly share: Float64Array;
  /**
   * δ = (total − E) / E, E the total that an even spread over the picture would give: 0 for neurons that do
   * not care, −1 for those that leave the region out; 0 for dead ones.
   */
  readonly affinity: Float64Array;
}

/** Hands over all contributions of a layer in runs of pixels (`Trace.eachRun`). */
export interface Runs {
  eachRun(
    layer: number,
    cancel: CancelToken,
    visit: (neuron: number, start: number, values: Float32Array) => void,
  ): Promise<void>;
}

/**
 * What a layer's neurons do inside a mask.
 * @param totals of the whole picture, one a neuron
 * @throws CancelledError
 */
export async function regionStatistics(
  trace: Runs,
  layer: number,
  mask: Mask,
  totals: Float64Array,
  cancel: CancelToken,
): Promise<RegionStatistics> {
  const total = new Float64Array(totals.length);
  // The pixels of a run that lie inside, found once for all neurons of a tile.
  let tile = { start: -1, length: -1, inside: new Uint32Array(0) };
  await trace.eachRun(layer, cancel, (neuron, start, values) => {
    if (tile.start !== start || tile.length !== values.length) {
      const inside: number[] = [];
      for (let k = 0; k < values.length; k++) if (mask.data[start + k]) inside.push(k);
      tile = { start, length: values.length, inside: Uint32Array.from(inside) };
    }
    let sum = 0;
    for (const k of tile.inside) sum += Math.abs(values[k]);
    total[neuron] += sum;
  });
  const all = total.reduce((sum, value) => sum + value, 0);
  const part = mask.area / mask.data.length;
  return {
    total,
    share: total.map((value) => (all > 0 ? value / all : 0)),
    affinity: total.map((value, i) => (totals[i] > 0 && part > 0 ? value / (totals[i] * part) - 1 : 0)),
  };
}
