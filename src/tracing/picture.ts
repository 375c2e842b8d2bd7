import type { Inr } from '../inr/types';
import type { PictureValues } from './regions';

/** Network output `[H, W, C]` as it is shown, clamped to [0, 1]. */
export function shownPicture(
  { signal: { height, width, channels }, outputRange: [low, high] }: Inr,
  values: Float32Array,
): PictureValues {
  const data = values.map((v) => Math.min(1, Math.max(0, (v - low) / (high - low))));
  return { height, width, channels, data };
}

/**
 * Network output as an 8-bit picture.
 * @param values `[H, W, C]`; one channel is shown as grey, of more than three the first three
 * @param range output shown as black and as white
 * @returns RGBA, row-major
 */
export function toRgba(
  values: Float32Array,
  channels: number,
  [black, white]: readonly [number, number],
): Uint8ClampedArray {
  const pixels = values.length / channels;
  const rgba = new Uint8ClampedArray(4 * pixels);
  const scale = 255 / (white - black);
  const green = channels >= 3 ? 1 : 0;
  const blue = channels >= 3 ? 2 : 0;
  for (let p = 0; p < pixels; p++) {
    const at = p * channels;
    rgba[4 * p] = (values[at] - black) * scale;
    rgba[4 * p + 1] = (values[at + green] - black) * scale;
    rgba[4 * p + 2] = (values[at + blue] - black) * scale;
    rgba[4 * p + 3] = 255;
  }
  return rgba;
}

/** Peak signal-to-noise ratio in dB of values on [0, 1]; the reconstruction is clamped, as it is shown. */
export function psnr(values: Float32Array, target: Float32Array): number {
  if (values.length !== target.length) throw new RangeError('psnr of pictures of different sizes');
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    const difference = Math.min(1, Math.max(0, values[i])) - target[i];
    squares += difference * difference;
  }
  return -10 * Math.log10(squares / values.length);
}
