/** Small pictures of a layer's strongest maps, as PNGs for hovers. */
import { encode } from 'fast-png';
import type { FloatMap } from '../../worker/protocol';
import type { LayerTrace } from '../../tracing/types';
import { SIZE, signedMap, type Brightness } from '../../../webview/shared/colourMaps';

/** CSS pixels of a picture's longest side: six fit into a hover of the usual width. */
const SIDE = 72;
/** Pixels on high-density screens. */
const DENSE = 2 * SIDE;
export const MOST_MAPS = 6;
/** Markdown longer than 100,000 characters is cut off by VS Code. */
const MOST_CHARACTERS = 80_000;

/** A map as palette indices, 128 is zero. */
export interface SmallMap {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export interface Tile {
  readonly neuron: number;
  readonly share: number;
  /** `data:` URI of a PNG. */
  readonly uri: string;
  /** CSS pixels. */
  readonly width: number;
  readonly height: number;
}

/** The neurons with the largest share that are not dead. */
export function strongest({ statistics }: LayerTrace, count = MOST_MAPS): number[] {
  const { share, dead } = statistics;
  return Array.from(share.keys())
    .filter((i) => dead[i] === 0)
    .sort((a, b) => share[b] - share[a])
    .slice(0, count);
}

/** A neuron's preview, as the trace keeps it. */
export function previewOf({ previews }: LayerTrace, neuron: number): SmallMap {
  const { width, height, data } = previews;
  const size = width * height;
  return { width, height, data: data.subarray(neuron * size, (neuron + 1) * size) };
}

/** A whole map reduced to what a high-density screen shows, by means over areas; scaled to its own largest. */
export function reduced({ width, height, data }: FloatMap): SmallMap {
  const factor = Math.min(1, DENSE / Math.max(width, height));
  const [w, h] = [Math.max(1, Math.round(width * factor)), Math.max(1, Math.round(height * factor))];
  const means = new Float64Array(w * h);
  let largest = 0;
  for (let y = 0; y < h; y++) {
    const [top, bottom] = [
      Math.floor((y * height) / h),
      Math.max(Math.floor(((y + 1) * height) / h), Math.floor((y * height) / h) + 1),
    ];
    for (let x = 0; x < w; x++) {
      const [left, right] = [
        Math.floor((x * width) / w),
        Math.max(Math.floor(((x + 1) * width) / w), Math.floor((x * width) / w) + 1),
      ];
      let sum = 0;
      for (let row = top; row < bottom; row++)
        for (let column = left; column < right; column++) sum += data[row * width + column];
      const mean = sum / ((bottom - top) * (right - left));
      means[y * w + x] = mean;
      largest = Math.max(largest, Math.abs(mean));
    }
  }
  const scale = largest > 0 ? 127 / largest : 0;
  return { width: w, height: h, data: Uint8Array.from(means, (mean) => 128.5 + mean * scale) };
}

const palettes = new Map<Brightness, number[][]>();
function paletteOf(brightness: Brightness): number[][] {
  let palette = palettes.get(brightness);
  if (!palette) {
    const map = signedMap(brightness);
    palette = Array.from({ length: SIZE }, (_, i) => [...map.subarray(4 * i, 4 * i + 3)]);
    palettes.set(brightness, palette);
  }
  return palette;
}

/** @param brightness of the theme: zero is near its background */
export function png({ width, height, data }: SmallMap, brightness: Brightness): string {
  const bytes = encode({
    width,
    height,
    data,
    channels: 1,
    depth: 8,
    palette: paletteOf(brightness),
  });
  return `data:image/png;base64,${Buffer.from(bytes).toString('base64')}`;
}

/**
 * Tiles of the strongest maps; finer ones where `maps` has them, as long as all fit into a hover.
 * @param maps by neuron
 */
export function tiles(
  layer: LayerTrace,
  brightness: Brightness,
  maps: ReadonlyMap<number, SmallMap> = new Map(),
): Tile[] {
  const draw = (fine: boolean): Tile[] =>
    strongest(layer).map((neuron) => {
      const map = (fine && maps.get(neuron)) || previewOf(layer, neuron);
      const scale = SIDE / Math.max(map.width, map.height);
      return {
        neuron,
        share: layer.statistics.share[neuron],
        uri: png(map, brightness),
        width: Math.max(1, Math.round(map.width * scale)),
        height: Math.max(1, Math.round(map.height * scale)),
      };
    });
  const fine = draw(true);
  return fine.reduce((sum, { uri }) => sum + uri.length, 0) <= MOST_CHARACTERS ? fine : draw(false);
}
