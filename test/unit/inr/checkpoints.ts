/** Checkpoints in memory, for tests of recognition. */
import { Tensor, type Checkpoint, type DType, type Value } from '../../../src/checkpoint/types';

/** Small, repeatable generator (mulberry32), uniform in [0, 1). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A tensor with values uniform in ±bound; PyTorch's 1/√(fan-in) when left out. */
export function tensor(shape: readonly number[], bound?: number, seed = 1, dtype: DType = 'float32'): Tensor {
  const next = random(seed + shape.reduce((hash, n) => hash * 31 + n, 7));
  const fanIn = shape.slice(1).reduce((product, n) => product * n, 1);
  const limit = bound ?? 1 / Math.sqrt(shape.length > 1 ? fanIn : shape[0] || 1);
  const parts = dtype.startsWith('complex') ? 2 : 1;
  const length = parts * shape.reduce((product, n) => product * n, 1);
  return new Tensor(dtype, shape, () => Float32Array.from({ length }, () => (2 * next() - 1) * limit));
}

/** A state dict from names and shapes. */
export const dictOf = (shapes: Readonly<Record<string, readonly number[]>>): Map<string, Tensor> =>
  new Map(Object.entries(shapes).map(([name, shape], i) => [name, tensor(shape, undefined, i)]));

export const checkpointOf = (root: Value): Checkpoint => ({
  format: 'pytorch-zip',
  root,
  opaque: [],
  warnings: [],
});

/** SIREN's weights for layers with the given names: 1/d for the first, √(6/n)/ω for the others. */
export function sirenDict(
  names: readonly string[],
  sizes: readonly number[],
  omega: number,
): Map<string, Tensor> {
  const dict = new Map<string, Tensor>();
  names.forEach((name, i) => {
    const bound = i === 0 ? 1 / sizes[0] : Math.sqrt(6 / sizes[i]) / omega;
    dict.set(`${name}.weight`, tensor([sizes[i + 1], sizes[i]], bound, i + 1));
    dict.set(`${name}.bias`, tensor([sizes[i + 1]], bound, i + 100));
  });
  return dict;
}
