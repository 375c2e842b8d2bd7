/** Pictures and coordinate lists that some code bases store beside the weights. */
import { Tensor, type Checkpoint } from '../checkpoint/types';
import type { Fallback } from './assumptions';
import { conventionName, fillCoordinates } from './coordinates';
import type { Candidate } from './family';
import { MAX_PIXELS, MAX_SIDE, sizeText } from './settings';
import type { CoordinateConvention } from './types';

/** A picture to compare a reconstruction with. */
export interface Target {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Row-major `[height, width, channels]`, black 0, white 1. */
  readonly data: Float32Array;
}

const PICTURE_KEYS = ['pred_img', 'gt', 'gt_img', 'target', 'img', 'image'];

/** The picture that a checkpoint holds (FINER's `pred_img`), `[H, W, C]` or `[H, W]`. */
function pictureTensor(
  checkpoint: Checkpoint,
): { readonly key: string; readonly tensor: Tensor } | undefined {
  if (!(checkpoint.root instanceof Map)) return undefined;
  for (const key of PICTURE_KEYS) {
    const value: unknown = checkpoint.root.get(key);
    if (!(value instanceof Tensor) || value.isComplex) continue;
    const [height, width, channels = 1] = value.shape;
    const sides = [height, width].every((n) => n >= 2 && n <= MAX_SIDE) && height * width <= MAX_PIXELS;
    if ([2, 3].includes(value.shape.length) && sides && [1, 3, 4].includes(channels))
      return { key, tensor: value };
  }
  return undefined;
}

/** The picture inside a checkpoint, if it lies in [0, 1]. */
export function pictureInside(checkpoint: Checkpoint): (Target & { readonly key: string }) | undefined {
  const found = pictureTensor(checkpoint);
  if (!found) return undefined;
  const [height, width, channels = 1] = found.tensor.shape;
  const data = found.tensor.read();
  let [low, high] = [Infinity, -Infinity];
  for (const value of data) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  // Some slack: a network's own output over- and undershoots.
  if (!(low > -0.5 && high < 1.5 && high > low)) return undefined;
  return { key: found.key, height, width, channels, data };
}

/** Size of the picture inside the checkpoint. */
export function sizeInside({ checkpoint }: Candidate): Fallback<string> | undefined {
  const found = pictureTensor(checkpoint);
  if (!found) return undefined;
  const [height, width] = found.tensor.shape;
  return {
    value: sizeText({ height, width }),
    source: 'state dict',
    confidence: 0.98,
    detail: `shape of ${found.key}`,
  };
}

/** Size and convention of a stored list of coordinates, `grid` `[H·W, 2]` row by row (siren-pytorch’s wrapper). */
export function gridInside({
  others,
}: Candidate):
  | { readonly size: Fallback<string>; readonly coords: Fallback<CoordinateConvention> | undefined }
  | undefined {
  for (const [name, tensor] of others) {
    if (!/(^|\.)(grid|coords|coordinates|mgrid)$/.test(name)) continue;
    if (tensor.shape.length !== 2 || tensor.shape[1] !== 2 || tensor.isComplex) continue;
    const values = tensor.read();
    const pixels = values.length / 2;
    // The coordinate that differs between the first two points runs along the rows.
    const fast = values[0] === values[2] ? 1 : 0;
    let width = 1;
    while (width < pixels && values[2 * width + 1 - fast] === values[1 - fast]) width++;
    const height = pixels / width;
    if (!Number.isInteger(height) || width > MAX_SIDE || height > MAX_SIDE) continue;
    const detail = `the coordinates stored as ${name}`;
    const value = conventions(fast === 1 ? 'rc' : 'xy').find((convention) => {
      const own = new Float32Array(2 * pixels);
      fillCoordinates(convention, height, width, 0, pixels, own);
      return own.every((x, i) => Math.abs(x - values[2 * (i % pixels) + Math.floor(i / pixels)]) < 1e-5);
    });
    return {
      size: { value: sizeText({ height, width }), source: 'state dict', confidence: 1, detail },
      coords: value && { value, source: 'state dict', confidence: 1, detail },
    };
  }
  return undefined;
}

const conventions = (order: 'rc' | 'xy'): CoordinateConvention[] =>
  (['per-side', 'longest', 'height'] as const).flatMap((scale) =>
    [false, true].flatMap((unit) =>
      (['ends', 'centres', 'open'] as const).map((sampling) =>
        conventionName({ order, scale, unit, sampling }),
      ),
    ),
  );
