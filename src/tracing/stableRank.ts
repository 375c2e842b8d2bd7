/** How many directions a layer's activations really use (tracing.md §2). */

const MOST_ITERATIONS = 300;
const TOLERANCE = 1e-10;

/**
 * ‖A‖_F² / ‖A‖₂² of a matrix, by power iteration; between 1 and its rank, and 0 for a matrix of zeros.
 * @param data row-major `[rows, columns]`, e.g. neurons × pixels
 * @param imaginary of a complex matrix
 */
export function stableRank(
  data: Float32Array,
  rows: number,
  columns: number,
  imaginary?: Float32Array,
): number {
  let frobenius = 0;
  for (const part of imaginary ? [data, imaginary] : [data]) {
    for (let k = 0; k < part.length; k++) frobenius += part[k] * part[k];
  }
  if (!(frobenius > 0)) return 0;
  const top = imaginary
    ? largestComplex(data, imaginary, rows, columns)
    : largest((v, out) => times(data, rows, columns, v, out), rows);
  return frobenius / top;
}

/** Largest eigenvalue of a symmetric positive semi-definite map. */
function largest(apply: (v: Float64Array, out: Float64Array) => void, size: number): number {
  let v: Float64Array = new Float64Array(size);
  // Not orthogonal to anything that data are likely to hold.
  for (let i = 0; i < size; i++) v[i] = 1 + 0.5 * Math.sin(1 + i * i);
  let next = new Float64Array(size);
  let before = 0;
  for (let k = 0; k < MOST_ITERATIONS; k++) {
    let square = 0;
    for (let i = 0; i < size; i++) square += v[i] * v[i];
    const length = Math.sqrt(square);
    for (let i = 0; i < size; i++) v[i] /= length;
    apply(v, next);
    let value = 0;
    for (let i = 0; i < size; i++) value += v[i] * next[i];
    [v, next] = [next, v as Float64Array<ArrayBuffer>];
    if (Math.abs(value - before) <= TOLERANCE * value) return value;
    before = value;
  }
  return before;
}

/** A·Aᵀ·v without ever building A·Aᵀ. */
function times(data: Float32Array, rows: number, columns: number, v: Float64Array, out: Float64Array): void {
  const across = new Float64Array(columns);
  for (let i = 0; i < rows; i++) {
    const row = data.subarray(i * columns, (i + 1) * columns);
    const factor = v[i];
    for (let p = 0; p < columns; p++) across[p] += factor * row[p];
  }
  for (let i = 0; i < rows; i++) {
    const row = data.subarray(i * columns, (i + 1) * columns);
    let sum = 0;
    for (let p = 0; p < columns; p++) sum += row[p] * across[p];
    out[i] = sum;
  }
}

/** A complex matrix R + iI has the singular values of [[R, −I], [I, R]], each twice. */
function largestComplex(re: Float32Array, im: Float32Array, rows: number, columns: number): number {
  const whole = new Float32Array(4 * rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let p = 0; p < columns; p++) {
      const [a, b] = [re[i * columns + p], im[i * columns + p]];
      const top = 2 * i * columns;
      const bottom = 2 * (rows + i) * columns;
      whole[top + p] = whole[bottom + columns + p] = a;
      whole[top + columns + p] = -b;
      whole[bottom + p] = b;
    }
  }
  return largest((v, out) => times(whole, 2 * rows, 2 * columns, v, out), 2 * rows);
}
