/** Maps of a few neurons for the contact sheet, in as many pixels as are seen and 8 bits each. */
import type { FloatMap } from '../worker/protocol';

export interface Sharp {
  readonly width: number;
  readonly height: number;
  /** `[neurons, height, width]`, as in a `PreviewAtlas`. */
  readonly data: Uint8Array;
  readonly limit: Float32Array;
}

/** Maps in one answer; more than a screen has room for would only wait. */
export const MOST_MAPS = 96;

/**
 * @param maps all of one size
 * @param side longest side wanted; a map is reduced by averaging, never enlarged
 */
export function sharpMaps(maps: readonly FloatMap[], side: number): Sharp {
  const { width: fullWidth = 1, height: fullHeight = 1 } = maps[0] ?? {};
  const step = Math.max(1, Math.floor(Math.max(fullWidth, fullHeight) / Math.max(1, side)));
  const [width, height] = [Math.ceil(fullWidth / step), Math.ceil(fullHeight / step)];
  const pixels = width * height;
  const data = new Uint8Array(maps.length * pixels);
  const limit = new Float32Array(maps.length);
  const mean = new Float32Array(pixels);
  maps.forEach((map, index) => {
    let largest = 0;
    for (let y = 0, to = 0; y < height; y++) {
      const [top, bottom] = [y * step, Math.min(fullHeight, (y + 1) * step)];
      for (let x = 0; x < width; x++, to++) {
        const [left, right] = [x * step, Math.min(fullWidth, (x + 1) * step)];
        let sum = 0;
        for (let row = top; row < bottom; row++) {
          for (let column = left; column < right; column++) sum += map.data[row * fullWidth + column];
        }
        mean[to] = sum / ((bottom - top) * (right - left));
        largest = Math.max(largest, Math.abs(mean[to]));
      }
    }
    limit[index] = largest;
    const scale = largest > 0 ? 127 / largest : 0;
    for (let i = 0; i < pixels; i++) data[index * pixels + i] = 128 + Math.round(mean[i] * scale);
  });
  return { width, height, data, limit };
}
