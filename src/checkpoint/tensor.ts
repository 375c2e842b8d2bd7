/** Makes lazily read tensors, after checking that they lie inside what is stored. */
import { CheckpointError } from '../errors';
import { itemSize, toFloat32, type ByteOrder } from './elements';
import { Tensor, type DType } from './types';

/** A tensor may repeat stored values (stride 0), but only up to this many elements in all. */
const maxRepeatedElements = 2 ** 24;
const maxDimensions = 64;

export interface Layout {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** In elements; row-major without gaps when absent. */
  readonly strides?: readonly number[];
  /** First element, counted in elements from the storage's start. */
  readonly offset?: number;
  readonly order?: ByteOrder;
}

export interface Storage {
  /** For messages, e.g. `tensor "net.0.weight"`. */
  readonly what: string;
  readonly bytes: number;
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
}

/**
 * A tensor over `storage`. Nothing is read or allocated here.
 * @throws CheckpointError when the layout is impossible or reaches outside the storage.
 */
export function makeTensor(layout: Layout, storage: Storage): Tensor {
  const { dtype, shape } = layout;
  const width = itemSize[dtype];
  const count = elementCount(shape, storage.what);
  const strides = layout.strides ?? rowMajorStrides(shape);
  const first = layout.offset ?? 0;
  if (strides.length !== shape.length || ![first, ...strides].every(isSize)) {
    throw new CheckpointError(
      `${storage.what} has an impossible layout; the file is damaged, save it again.`,
    );
  }
  const extent = count === 0 ? 0 : extentOf(shape, strides);
  const end = (count === 0 ? 0 : first) + extent;
  if (!(end * width <= storage.bytes)) {
    throw new CheckpointError(
      `${storage.what} of shape [${shape.join(', ')}] needs ${end * width} bytes, but ${storage.bytes} are stored; the file is damaged, save it again.`,
    );
  }
  if (count > extent && count > maxRepeatedElements) {
    throw new CheckpointError(
      `${storage.what} of shape [${shape.join(', ')}] repeats ${extent} stored values to ${count}; save a contiguous copy of it.`,
    );
  }
  const parts = dtype === 'complex64' || dtype === 'complex128' ? 2 : 1;
  return new Tensor(dtype, [...shape], () => {
    if (count === 0) return new Float32Array(0);
    const stored = toFloat32(dtype, storage.read(first * width, extent * width), layout.order ?? 'little');
    return isRowMajor(shape, strides) ? stored : gather(stored, shape, strides, count, parts);
  });
}

/** Product of the sizes. @throws CheckpointError unless it and every size are safe integers ≥ 0. */
export function elementCount(shape: readonly number[], what: string): number {
  const fail = (): never => {
    const sizes = shape.slice(0, 8).join(', ');
    throw new CheckpointError(
      `${what} has the impossible shape [${sizes}]; the file is damaged, save it again.`,
    );
  };
  if (shape.length > maxDimensions || !shape.every(isSize)) fail();
  if (shape.includes(0)) return 0;
  let count = 1;
  for (const size of shape) {
    count *= size;
    // 16 is the widest element, so that byte counts stay exact as well.
    if (count > Number.MAX_SAFE_INTEGER / 16) fail();
  }
  return count;
}

export function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  for (let i = shape.length - 1, step = 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

/** Column-major (Fortran) strides. */
export function columnMajorStrides(shape: readonly number[]): number[] {
  return rowMajorStrides([...shape].reverse()).reverse();
}

/** Elements from the first to the last one that a non-empty tensor touches; Infinity when not exact. */
function extentOf(shape: readonly number[], strides: readonly number[]): number {
  let last = 0;
  for (let i = 0; i < shape.length; i++) last += (shape[i] - 1) * strides[i];
  return last < Number.MAX_SAFE_INTEGER / 16 ? last + 1 : Infinity;
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  const expected = rowMajorStrides(shape);
  return shape.every((size, i) => size === 1 || strides[i] === expected[i]);
}

/** Row-major copy of a strided view; `parts` numbers an element. */
function gather(
  stored: Float32Array,
  shape: readonly number[],
  strides: readonly number[],
  count: number,
  parts: number,
): Float32Array {
  const result = new Float32Array(count * parts);
  const index = new Array<number>(shape.length).fill(0);
  for (let element = 0, at = 0; element < count; element++) {
    for (let part = 0; part < parts; part++) result[element * parts + part] = stored[at * parts + part];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return result;
}
