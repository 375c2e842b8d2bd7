/**
 * Dense optical flow by Farnebäck's method (“Two-Frame Motion Estimation Based on Polynomial Expansion”,
 * SCIA 2003): around every pixel both pictures are fitted by a quadratic polynomial, and the displacement
 * is what turns one into the other, averaged over a neighbourhood; coarse to fine for large motions.
 */

/** Grey values, row-major. */
export interface Grey {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** Displacement from the first picture to the second, pixels: column and row. */
export interface Flow {
  readonly width: number;
  readonly height: number;
  readonly x: Float32Array;
  readonly y: Float32Array;
}

/** Neighbourhood that a polynomial is fitted to, and its Gaussian weight. */
const REACH = 5;
const SIGMA = 1.2;
/** Gaussian average of the displacement's equations. */
const AVERAGE_SIGMA = 3;
const ITERATIONS = 3;
const SMALLEST_SIDE = 16;
const MOST_LEVELS = 6;

/** The same picture as grey, Rec. 709 luma. @param values `[H, W, C]` */
export function greyOf(values: Float32Array, height: number, width: number, channels: number): Grey {
  const data = new Float32Array(height * width);
  for (let p = 0, at = 0; p < data.length; p++, at += channels) {
    data[p] =
      channels < 3 ? values[at] : 0.2126 * values[at] + 0.7152 * values[at + 1] + 0.0722 * values[at + 2];
  }
  return { height, width, data };
}

const gaussian = (sigma: number, reach: number) => {
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, k) =>
    Math.exp(-((k - reach) ** 2) / (2 * sigma ** 2)),
  );
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((w) => w / sum);
};

const clamp = (index: number, n: number) => (index < 0 ? 0 : index >= n ? n - 1 : index);

/** Correlates rows, then columns; the border is repeated. */
function separable(
  { width, height, data }: Grey,
  across: Float64Array,
  down: Float64Array,
): Float32Array<ArrayBuffer> {
  const along = new Float32Array(data.length);
  const out = new Float32Array(data.length);
  const a = (across.length - 1) / 2;
  const d = (down.length - 1) / 2;
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x < width; x++) {
      let sum = 0;
      if (x >= a && x < width - a) {
        for (let k = -a; k <= a; k++) sum += across[k + a] * data[row + x + k];
      } else {
        for (let k = -a; k <= a; k++) sum += across[k + a] * data[row + clamp(x + k, width)];
      }
      along[row + x] = sum;
    }
  }
  for (let y = 0; y < height; y++) {
    for (let k = -d; k <= d; k++) {
      const from = clamp(y + k, height) * width;
      const weight = down[k + d];
      const row = y * width;
      for (let x = 0; x < width; x++) out[row + x] += weight * along[from + x];
    }
  }
  return out;
}

/** f(x) ≈ xᵀAx + bᵀx + c around every pixel; x along columns, y along rows. */
interface Expansion {
  readonly bx: Float32Array;
  readonly by: Float32Array;
  readonly axx: Float32Array;
  readonly ayy: Float32Array;
  readonly axy: Float32Array;
}

/** Weighted least squares; the weight is separable, so the normal equations are, too. */
function expand(picture: Grey): Expansion {
  const w = gaussian(SIGMA, REACH);
  const moment = (power: number) => w.map((weight, k) => weight * (k - REACH) ** power);
  const [w0, w1, w2] = [moment(0), moment(1), moment(2)];
  const total = (weights: Float64Array) => weights.reduce((a, b) => a + b);
  const m2 = total(w2);
  const m4 = total(moment(4));
  const r0 = separable(picture, w0, w0);
  const rx = separable(picture, w1, w0);
  const ry = separable(picture, w0, w1);
  const rxx = separable(picture, w2, w0);
  const ryy = separable(picture, w0, w2);
  const rxy = separable(picture, w1, w1);
  // {1, x², y²} are not orthogonal under the weight; x, y and xy are.
  // [1 m2 m2; m2 m4 m2²; m2 m2² m4]⁻¹ applied to (r0, rxx, ryy) gives x² and y² as below.
  const spread = m4 - m2 * m2;
  const axx = rxx.map((v, k) => (v - m2 * r0[k]) / spread);
  const ayy = ryy.map((v, k) => (v - m2 * r0[k]) / spread);
  return {
    bx: rx.map((v) => v / m2),
    by: ry.map((v) => v / m2),
    axx,
    ayy,
    axy: rxy.map((v) => v / (2 * m2 * m2)),
  };
}

/** Half the size, after a small blur. */
function halved(picture: Grey): Grey {
  const smooth = separable(picture, gaussian(1, 3), gaussian(1, 3));
  const [width, height] = [Math.ceil(picture.width / 2), Math.ceil(picture.height / 2)];
  const data = new Float32Array(width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data[at++] = smooth[2 * y * picture.width + 2 * x];
  }
  return { width, height, data };
}

function enlarged(flow: Flow, width: number, height: number): Flow {
  const x = new Float32Array(width * height);
  const y = new Float32Array(width * height);
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at++) {
      x[at] = 2 * sample(flow.x, flow, column / 2, row / 2);
      y[at] = 2 * sample(flow.y, flow, column / 2, row / 2);
    }
  }
  return { width, height, x, y };
}

/** Bilinear; the border is repeated. */
function sample(
  values: Float32Array,
  { width, height }: { readonly width: number; readonly height: number },
  x: number,
  y: number,
): number {
  const cx = x < 0 ? 0 : x > width - 1 ? width - 1 : x;
  const cy = y < 0 ? 0 : y > height - 1 ? height - 1 : y;
  const left = Math.min(Math.floor(cx), Math.max(0, width - 2));
  const top = Math.min(Math.floor(cy), Math.max(0, height - 2));
  const right = Math.min(left + 1, width - 1);
  const bottom = Math.min(top + 1, height - 1);
  const [fx, fy] = [cx - left, cy - top];
  const above = values[top * width + left] * (1 - fx) + values[top * width + right] * fx;
  const below = values[bottom * width + left] * (1 - fx) + values[bottom * width + right] * fx;
  return above * (1 - fy) + below * fy;
}

function refine(first: Expansion, second: Expansion, flow: Flow): Flow {
  const { width, height } = flow;
  const n = width * height;
  const [g11, g12, g22, h1, h2] = Array.from({ length: 5 }, () => new Float32Array(n));
  for (let row = 0, p = 0; row < height; row++) {
    for (let column = 0; column < width; column++, p++) {
      const [dx, dy] = [flow.x[p], flow.y[p]];
      const [sx, sy] = [column + dx, row + dy];
      const at = (values: Float32Array) => sample(values, flow, sx, sy);
      const axx = (first.axx[p] + at(second.axx)) / 2;
      const ayy = (first.ayy[p] + at(second.ayy)) / 2;
      const axy = (first.axy[p] + at(second.axy)) / 2;
      // A·d = Δb with Δb = −(b₂ − b₁)/2 + A·d₀
      const bx = (first.bx[p] - at(second.bx)) / 2 + axx * dx + axy * dy;
      const by = (first.by[p] - at(second.by)) / 2 + axy * dx + ayy * dy;
      g11[p] = axx * axx + axy * axy;
      g12[p] = axy * (axx + ayy);
      g22[p] = ayy * ayy + axy * axy;
      h1[p] = axx * bx + axy * by;
      h2[p] = axy * bx + ayy * by;
    }
  }
  const reach = Math.ceil(2.5 * AVERAGE_SIGMA);
  const kernel = gaussian(AVERAGE_SIGMA, reach);
  const mean = (data: Float32Array) => separable({ width, height, data }, kernel, kernel);
  const [a, b, c, d, e] = [g11, g12, g22, h1, h2].map(mean);
  // Where nothing can be told, nothing moves.
  let scale = 0;
  for (let p = 0; p < n; p++) scale += (a[p] + c[p]) / n;
  const least = Math.max(1e-3 * scale, 1e-12);
  const x = new Float32Array(n);
  const y = new Float32Array(n);
  for (let p = 0; p < n; p++) {
    const [p11, p22] = [a[p] + least, c[p] + least];
    const determinant = p11 * p22 - b[p] * b[p];
    x[p] = (p22 * d[p] - b[p] * e[p]) / determinant;
    y[p] = (p11 * e[p] - b[p] * d[p]) / determinant;
  }
  return { width, height, x, y };
}

/** Displacement of every pixel from the first picture to the second. */
export function opticalFlow(first: Grey, second: Grey): Flow {
  if (first.width !== second.width || first.height !== second.height) {
    throw new RangeError('flow between pictures of different sizes');
  }
  const levels: [Grey, Grey][] = [[first, second]];
  while (levels.length < MOST_LEVELS) {
    const [a, b] = levels.at(-1)!;
    if (Math.min(a.width, a.height) < 2 * SMALLEST_SIDE) break;
    levels.push([halved(a), halved(b)]);
  }
  let flow: Flow | undefined;
  for (const [a, b] of levels.toReversed()) {
    const { width, height } = a;
    flow = flow
      ? enlarged(flow, width, height)
      : { width, height, x: new Float32Array(width * height), y: new Float32Array(width * height) };
    const [one, two] = [expand(a), expand(b)];
    for (let k = 0; k < ITERATIONS; k++) flow = refine(one, two, flow);
  }
  return flow!;
}

/** Length of every displacement, pixels. */
export const magnitude = ({ x, y }: Flow): Float32Array => x.map((v, k) => Math.hypot(v, y[k]));
