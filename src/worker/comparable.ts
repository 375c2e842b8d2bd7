/** What the network paints against what it was trained on. */
import { UsageError } from '../errors';
import { toRgba } from '../tracing/picture';
import type { NamedTarget } from './model';
import type { Picture } from './protocol';

/** A target of the network's size: as shown, and as [0, 1] values `[H, W, C]`. */
export interface Comparable {
  readonly picture: Picture;
  readonly values: Float32Array;
}

/**
 * The target as shown, and as [0, 1] values `[H, W, C]`; undefined when one that nobody asked for has
 * another size. @throws UsageError when one that was asked for has
 */
export function comparablePicture(
  { name, picture }: NamedTarget,
  { height, width, channels }: { height: number; width: number; channels: number },
  asked: boolean,
): Comparable | undefined {
  if (picture.width !== width || picture.height !== height) {
    if (!asked) return undefined;
    throw new UsageError(
      `The target ${name} is ${picture.height}x${picture.width}, but the network paints ` +
        `${height}x${width}; give a target of that size, or set --size ${picture.height}x${picture.width}.`,
    );
  }
  const values = new Float32Array(height * width * channels);
  for (let p = 0, at = 0; p < height * width; p++) {
    for (let c = 0; c < channels; c++) {
      values[at++] = picture.data[p * picture.channels + Math.min(c, picture.channels - 1)];
    }
  }
  return { picture: { width, height, rgba: toRgba(values, channels, [0, 1]) }, values };
}
