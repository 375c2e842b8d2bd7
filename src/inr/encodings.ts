import type { GraphBuilder } from '../graph/build';
import { transpose } from './layers';
import type { Encoding } from './mlp';

/** Orders in which code bases put the sines and cosines of a positional encoding. */
export const encodingOrders = ['nerf', 'interleaved', 'sin-cos', 'by-coordinate'] as const;
/**
 * `nerf`: per frequency, sin of all coordinates, then cos of all. `interleaved`: per frequency and
 * coordinate, sin, cos. `sin-cos`: all sines (frequency by frequency), then all cosines.
 * `by-coordinate`: per coordinate, sin of all frequencies, then cos of all.
 */
export type EncodingOrder = (typeof encodingOrders)[number];

export interface PositionalEncoding {
  readonly dims: number;
  /** Factors on the coordinates, e.g. 2^k·π. */
  readonly frequencies: readonly number[];
  readonly order: EncodingOrder;
  /** Whether the coordinates themselves come first. */
  readonly includeInput: boolean;
}

/**
 * Where each feature of an encoding stands in [x (dims), sin(f_k x_j) (k-major), cos(f_k x_j) (k-major)].
 */
export function featureOrder({ dims, frequencies, order, includeInput }: PositionalEncoding): number[] {
  const L = frequencies.length;
  const coordinates = Array.from({ length: dims }, (_, j) => j);
  const bands = frequencies.map((_, k) => k);
  const sin = (k: number, j: number) => dims + k * dims + j;
  const cos = (k: number, j: number) => sin(k, j) + L * dims;
  const features = (): number[] => {
    switch (order) {
      case 'nerf':
        return bands.flatMap((k) => [
          ...coordinates.map((j) => sin(k, j)),
          ...coordinates.map((j) => cos(k, j)),
        ]);
      case 'interleaved':
        return bands.flatMap((k) => coordinates.flatMap((j) => [sin(k, j), cos(k, j)]));
      case 'sin-cos':
        return [sin, cos].flatMap((of) => bands.flatMap((k) => coordinates.map((j) => of(k, j))));
      case 'by-coordinate':
        return coordinates.flatMap((j) => [...bands.map((k) => sin(k, j)), ...bands.map((k) => cos(k, j))]);
    }
  };
  return includeInput ? [...coordinates, ...features()] : features();
}

export function positionalEncoding(encoding: PositionalEncoding): Encoding {
  const { dims, frequencies, includeInput } = encoding;
  // One non-zero an row, so that the product is exactly f_k · x_j.
  const matrix = new Float32Array(frequencies.length * dims * dims);
  frequencies.forEach((f, k) => {
    for (let j = 0; j < dims; j++) matrix[(k * dims + j) * dims + j] = f;
  });
  return {
    label: `positional encoding, ${frequencies.length} frequencies${includeInput ? ' and the coordinates' : ''}`,
    dims,
    apply: (graph, x) => {
      const z = graph.linear(x, matrix, null, frequencies.length * dims, dims);
      const all = graph.concat([x, graph.op('Sin', [z]), graph.op('Cos', [z])], 0);
      return graph.gatherRows(all, featureOrder(encoding));
    },
  };
}

/**
 * [sin(f·Bx), cos(f·Bx)] of a stored matrix B.
 * @param B row-major, `[frequencies, dims]`, or `[dims, frequencies]` when `transposed`
 */
export function fourierFeatures(
  B: Float32Array,
  dims: number,
  options: { readonly transposed: boolean; readonly factor: number; readonly cosFirst: boolean },
): Encoding {
  const count = B.length / dims;
  const matrix = options.transposed ? transpose(B, dims, count) : B;
  return {
    label: `Fourier features, ${count} frequencies`,
    dims,
    apply: (graph: GraphBuilder, x) => {
      const z = graph.linear(graph.scale(x, options.factor), matrix, null, count, dims);
      const parts = [graph.op('Sin', [z]), graph.op('Cos', [z])];
      return graph.concat(options.cosFirst ? parts.reverse() : parts, 0);
    },
  };
}

/** Number of coordinates and frequencies that a first fan-in allows, the likeliest first. */
export function encodingsOf(
  fanIn: number,
): readonly { readonly dims: number; readonly levels: number; readonly includeInput: boolean }[] {
  const found: { dims: number; levels: number; includeInput: boolean }[] = [];
  for (const dims of [2, 3, 1]) {
    if (fanIn % dims) continue;
    const perCoordinate = fanIn / dims;
    const includeInput = perCoordinate % 2 === 1;
    const levels = Math.floor(perCoordinate / 2);
    // 2^levels beyond float32's integers is no frequency of a picture.
    if (levels >= 1 && levels <= 24) found.push({ dims, levels, includeInput });
  }
  return found;
}
