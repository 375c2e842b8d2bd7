import { reachBefore } from './convolution';

/**
 * A linear map along one axis of a picture whose outputs each read a few inputs next to one another:
 * `out[y] = Σ_k weights[y·width + k] · in[start[y] + k]`. Mean filters, up-sampling and placing values at
 * a phase are such maps, and so is what they make together; two of them, one an axis, act on a picture.
 */
export class Taps {
  private constructor(
    readonly inputs: number,
    readonly outputs: number,
    /** Inputs that an output reads. */
    readonly width: number,
    readonly start: Int32Array,
    readonly weights: Float32Array,
  ) {}

  /** @param row first input and weights of each output */
  private static of(
    inputs: number,
    outputs: number,
    row: (output: number) => { readonly start: number; readonly weights: readonly number[] },
  ): Taps {
    const rows = Array.from({ length: outputs }, (_, y) => row(y));
    const width = Math.min(
      inputs,
      rows.reduce((most, { weights }) => Math.max(most, weights.length), 1),
    );
    const starts = new Int32Array(outputs);
    const all = new Float32Array(outputs * width);
    for (const [y, { start, weights }] of rows.entries()) {
      starts[y] = Math.max(0, Math.min(start, inputs - width));
      for (const [k, weight] of weights.entries()) all[y * width + start - starts[y] + k] = weight;
    }
    return new Taps(inputs, outputs, width, starts, all);
  }

  static identity(n: number): Taps {
    return Taps.of(n, n, (y) => ({ start: y, weights: [1] }));
  }

  /** Value j goes to place `j·factor + phase`; everything else is zero. */
  static embedding(n: number, factor: number, phase: number): Taps {
    return Taps.of(n, n * factor, (y) =>
      y % factor === phase ? { start: (y - phase) / factor, weights: [1] } : { start: 0, weights: [] },
    );
  }

  static nearest(n: number, factor: number): Taps {
    return Taps.of(n, n * factor, (y) => ({ start: Math.floor(y / factor), weights: [1] }));
  }

  /** Mean of `kernel` neighbours, as a convolution reads them; those beyond the ends are zero and counted. */
  static mean(n: number, kernel: number): Taps {
    const before = reachBefore(kernel);
    return Taps.of(n, n, (y) => {
      const start = Math.max(0, y - before);
      const end = Math.min(n, y - before + kernel);
      return { start, weights: Array.from({ length: end - start }, () => 1 / kernel) };
    });
  }

  /** Area average in equal cells, each at least a value long. */
  static cells(n: number, count: number): Taps {
    return Taps.of(n, count, (c) => {
      const start = Math.floor((c * n) / count);
      const end = Math.ceil(((c + 1) * n) / count);
      const overlap = (x: number) => Math.min((x + 1) * count, (c + 1) * n) - Math.max(x * count, c * n);
      return { start, weights: Array.from({ length: end - start }, (_, k) => overlap(start + k) / n) };
    });
  }

  /** First the other map, then this one. */
  after(first: Taps): Taps {
    if (first.outputs !== this.inputs) throw new RangeError('maps that do not fit one another');
    return Taps.of(first.inputs, this.outputs, (y) => {
      const sums = new Map<number, number>();
      for (let k = 0; k < this.width; k++) {
        const weight = this.weights[y * this.width + k];
        const between = this.start[y] + k;
        if (weight === 0) continue;
        for (let m = 0; m < first.width; m++) {
          const value = weight * first.weights[between * first.width + m];
          const at = first.start[between] + m;
          if (value !== 0) sums.set(at, (sums.get(at) ?? 0) + value);
        }
      }
      if (sums.size === 0) return { start: 0, weights: [] };
      const start = Math.min(...sums.keys());
      const end = Math.max(...sums.keys()) + 1;
      return { start, weights: Array.from({ length: end - start }, (_, k) => sums.get(start + k) ?? 0) };
    });
  }

  /** What becomes of a constant 1. */
  ones(): Float32Array {
    return this.along(new Float32Array(this.inputs).fill(1));
  }

  along(values: Float32Array): Float32Array {
    const { width, start, weights } = this;
    return Float32Array.from({ length: this.outputs }, (_, y) => {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += weights[y * width + k] * values[start[y] + k];
      return sum;
    });
  }
}
