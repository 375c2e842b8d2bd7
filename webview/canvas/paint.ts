import type { FloatMap, Picture } from '../../src/worker/protocol';
import { SIZE, type ColourMap } from '../shared/colourMaps';

type Pixels = Uint8ClampedArray<ArrayBuffer>;

const limits = new WeakMap<FloatMap, number>();

/** Largest |value|; 0 for an empty map. NaN does not count. Asked again on every drawing, so it is kept. */
export function largest(map: FloatMap): number {
  const known = limits.get(map);
  if (known !== undefined) return known;
  let limit = 0;
  for (const value of map.data) if (Math.abs(value) > limit) limit = Math.abs(value);
  limits.set(map, limit);
  return limit;
}

/** |a − b| averaged over red, green and blue, on the 0–1 scale, at the size of `a`. */
export function errorMap(a: Picture, b: Picture): FloatMap {
  const { width, height } = a;
  const data = new Float32Array(width * height);
  const at = nearest(b, width, height);
  for (let i = 0; i < data.length; i++) {
    const p = 4 * i;
    const q = 4 * at(i);
    const sum =
      Math.abs(a.rgba[p] - b.rgba[q]) +
      Math.abs(a.rgba[p + 1] - b.rgba[q + 1]) +
      Math.abs(a.rgba[p + 2] - b.rgba[q + 2]);
    data[i] = sum / 3 / 255;
  }
  return { width, height, data };
}

/** Index into `source` of the pixel that lies under pixel i of a `width` × `height` picture. */
export function nearest(
  source: { readonly width: number; readonly height: number },
  width: number,
  height: number,
) {
  if (source.width === width && source.height === height) return (i: number) => i;
  return (i: number) => {
    const row = Math.floor(((Math.floor(i / width) + 0.5) / height) * source.height);
    const column = Math.floor((((i % width) + 0.5) / width) * source.width);
    return row * source.width + column;
  };
}

/** A magnitude map, 0 … limit, as a picture. */
export function paintMagnitude(map: FloatMap, limit: number, colours: ColourMap): Pixels {
  const rgba = new Uint8ClampedArray(map.data.length * 4);
  const words = new Uint32Array(rgba.buffer);
  const palette = new Uint32Array(colours.buffer);
  const factor = limit > 0 ? (SIZE - 1) / limit : 0;
  for (let i = 0; i < words.length; i++) {
    words[i] = palette[Math.min(SIZE - 1, Math.round(Math.abs(map.data[i]) * factor))]!;
  }
  return rgba;
}

/** A signed map, −limit … +limit, as a picture. */
export function paintSigned(map: FloatMap, limit: number, colours: ColourMap): Pixels {
  const rgba = new Uint8ClampedArray(map.data.length * 4);
  const words = new Uint32Array(rgba.buffer);
  const palette = new Uint32Array(colours.buffer);
  const factor = limit > 0 ? 1 / limit : 0;
  for (let i = 0; i < words.length; i++) {
    const value = Math.max(-1, Math.min(1, map.data[i] * factor));
    words[i] = palette[Math.round(((value + 1) / 2) * (SIZE - 1))]!;
  }
  return rgba;
}

/**
 * A signed map laid over the picture: the picture in grey, so that colour only ever means contribution,
 * and the map's colour the more opaque the stronger the contribution.
 * @param cover 0 shows the grey picture alone, 1 the map alone
 */
export function paintOverlay(
  picture: Picture,
  map: FloatMap,
  limit: number,
  colours: ColourMap,
  cover: number,
): Pixels {
  const { width, height, rgba } = picture;
  const out = new Uint8ClampedArray(width * height * 4);
  const at = nearest(map, width, height);
  for (let i = 0; i < width * height; i++) {
    const p = 4 * i;
    const value = limit > 0 ? Math.max(-1, Math.min(1, map.data[at(i)] / limit)) : 0;
    const grey = 0.2126 * rgba[p] + 0.7152 * rgba[p + 1] + 0.0722 * rgba[p + 2];
    // At half cover strong contributions are opaque and zero lets all of the picture through.
    const opacity = Math.min(1, 2 * cover * Math.sqrt(Math.abs(value)) + Math.max(0, 2 * cover - 1));
    const entry = 4 * Math.round(((value + 1) / 2) * (SIZE - 1));
    for (let c = 0; c < 3; c++) out[p + c] = grey + (colours[entry + c] - grey) * opacity;
    out[p + 3] = 255;
  }
  return out;
}

/** A picture of every n-th row and column at the size of the whole, so that pixels keep their places. */
export function enlarged(small: Picture, { width, height }: Picture): Picture {
  if (small.width === width && small.height === height) return small;
  const step = Math.ceil(Math.max(width / small.width, height / small.height));
  const from = new Uint32Array(small.rgba.slice().buffer);
  const to = new Uint32Array(width * height);
  for (let row = 0, at = 0; row < height; row++) {
    const start = Math.floor(row / step) * small.width;
    for (let column = 0; column < width; column++) to[at++] = from[start + Math.floor(column / step)];
  }
  return { width, height, rgba: new Uint8ClampedArray(to.buffer) };
}
