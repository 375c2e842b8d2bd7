/**
 * Structural similarity of two pictures (Z. Wang et al., “Image quality assessment: from error visibility to
 * structural similarity”, IEEE TIP 2004), on luma as in the paper: an 11 × 11 Gaussian window with σ = 1.5,
 * K₁ = 0.01, K₂ = 0.03. Where the window leaves the picture, the picture is mirrored.
 */
import type { FloatMap, Picture } from '../../src/worker/protocol';
import { nearest } from './paint';

const RADIUS = 5;
const SIGMA = 1.5;
const C1 = 0.01 ** 2;
const C2 = 0.03 ** 2;

const weights = (() => {
  const raw = Float64Array.from({ length: 2 * RADIUS + 1 }, (_, i) =>
    Math.exp(-((i - RADIUS) ** 2) / (2 * SIGMA ** 2)),
  );
  const sum = raw.reduce((a, b) => a + b, 0);
  return raw.map((w) => w / sum);
})();

/** Index mirrored into 0 … length − 1, with the edge itself repeated. */
function mirrored(at: number, length: number): number {
  const period = 2 * length;
  const inside = ((at % period) + period) % period;
  return inside < length ? inside : period - 1 - inside;
}

/** Gaussian mean of a map around each pixel. */
function blur(data: Float32Array, width: number, height: number): Float32Array {
  const across = new Float32Array(data.length);
  const out = new Float32Array(data.length);
  const columns = Array.from({ length: 2 * RADIUS + 1 }, (_, k) =>
    Int32Array.from({ length: width }, (_, x) => mirrored(x + k - RADIUS, width)),
  );
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k <= 2 * RADIUS; k++) sum += weights[k] * data[row + columns[k][x]];
      across[row + x] = sum;
    }
  }
  for (let y = 0; y < height; y++) {
    for (let k = 0; k <= 2 * RADIUS; k++) {
      const from = mirrored(y + k - RADIUS, height) * width;
      const weight = weights[k];
      for (let x = 0; x < width; x++) out[y * width + x] += weight * across[from + x];
    }
  }
  return out;
}

/** Luma (BT.709) of a picture, 0–1, at the size of `like`. */
function luma(picture: Picture, { width, height }: Picture): Float32Array {
  const at = nearest(picture, width, height);
  const { rgba } = picture;
  return Float32Array.from({ length: width * height }, (_, i) => {
    const p = 4 * at(i);
    return (0.2126 * rgba[p] + 0.7152 * rgba[p + 1] + 0.0722 * rgba[p + 2]) / 255;
  });
}

/** SSIM around each pixel of `a`, −1 … 1. */
export function ssimMap(a: Picture, b: Picture): FloatMap {
  const { width, height } = a;
  const [x, y] = [luma(a, a), luma(b, a)];
  const product = (p: Float32Array, q: Float32Array) => p.map((value, i) => value * q[i]);
  const mean = (map: Float32Array) => blur(map, width, height);
  const [mx, my] = [mean(x), mean(y)];
  const [xx, yy, xy] = [mean(product(x, x)), mean(product(y, y)), mean(product(x, y))];
  const data = mx.map((m, i) => {
    const n = my[i];
    const covariance = xy[i] - m * n;
    const variances = xx[i] - m * m + yy[i] - n * n;
    return ((2 * m * n + C1) * (2 * covariance + C2)) / ((m * m + n * n + C1) * (variances + C2));
  });
  return { width, height, data };
}

export interface Likeness {
  /** dB, from 8-bit red, green and blue; Infinity when equal. */
  readonly psnr: number;
  readonly ssim: number;
  readonly pixels: number;
}

/**
 * How alike two pictures are where `counts` says so.
 * @param map of `ssimMap(a, b)`
 * @returns null when no pixel counts
 */
export function likeness(
  a: Picture,
  b: Picture,
  map: FloatMap,
  counts: (row: number, column: number) => boolean,
): Likeness | null {
  const { width, height } = a;
  const at = nearest(b, width, height);
  let [squares, sum, pixels] = [0, 0, 0];
  for (let row = 0, i = 0; row < height; row++) {
    for (let column = 0; column < width; column++, i++) {
      if (!counts(row, column)) continue;
      pixels++;
      sum += map.data[i];
      const q = 4 * at(i);
      for (let c = 0; c < 3; c++) squares += (a.rgba[4 * i + c] - b.rgba[q + c]) ** 2;
    }
  }
  if (pixels === 0) return null;
  return { psnr: -10 * Math.log10(squares / (3 * pixels * 255 ** 2)), ssim: sum / pixels, pixels };
}
