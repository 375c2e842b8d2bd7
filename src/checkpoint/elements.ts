/** Element types: their sizes, and their conversion to float32. */
import os from 'node:os';
import type { DType } from './types';

/** Bytes of one element. */
export const itemSize: Readonly<Record<DType, number>> = {
  float16: 2,
  bfloat16: 2,
  float32: 4,
  float64: 8,
  complex64: 8,
  complex128: 16,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  uint64: 8,
  int64: 8,
  bool: 1,
};

export type ByteOrder = 'little' | 'big';

/**
 * Elements as float32; complex ones become two numbers (re, im). 64-bit values are rounded.
 * `bytes.length` must be a multiple of the element's size.
 */
export function toFloat32(dtype: DType, bytes: Uint8Array<ArrayBuffer>, order: ByteOrder): Float32Array {
  const complex = dtype === 'complex64' || dtype === 'complex128';
  const width = complex ? itemSize[dtype] / 2 : itemSize[dtype];
  const swap = width > 1 && (order === 'big') !== (os.endianness() === 'BE');
  if (swap || bytes.byteOffset % width !== 0) bytes = bytes.slice();
  if (swap) swapBytes(bytes, width);
  const { buffer, byteOffset } = bytes;
  const count = bytes.length / width;
  switch (dtype) {
    case 'float32':
    case 'complex64':
      return new Float32Array(buffer, byteOffset, count);
    case 'float64':
    case 'complex128':
      return new Float32Array(new Float64Array(buffer, byteOffset, count));
    case 'float16':
      return fromHalf(new Uint16Array(buffer, byteOffset, count));
    case 'bfloat16':
      return fromBrain(new Uint16Array(buffer, byteOffset, count));
    case 'uint8':
      return new Float32Array(bytes);
    case 'bool':
      return new Float32Array(bytes).map((byte) => (byte ? 1 : 0));
    case 'int8':
      return new Float32Array(new Int8Array(buffer, byteOffset, count));
    case 'uint16':
      return new Float32Array(new Uint16Array(buffer, byteOffset, count));
    case 'int16':
      return new Float32Array(new Int16Array(buffer, byteOffset, count));
    case 'uint32':
      return new Float32Array(new Uint32Array(buffer, byteOffset, count));
    case 'int32':
      return new Float32Array(new Int32Array(buffer, byteOffset, count));
    case 'uint64':
      return fromBigInts(new BigUint64Array(buffer, byteOffset, count));
    case 'int64':
      return fromBigInts(new BigInt64Array(buffer, byteOffset, count));
  }
}

function swapBytes(bytes: Uint8Array<ArrayBuffer>, width: number): void {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (width === 2) view.swap16();
  else if (width === 4) view.swap32();
  else view.swap64();
}

function fromBigInts(values: BigInt64Array | BigUint64Array): Float32Array {
  const result = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) result[i] = Number(values[i]);
  return result;
}

/** bfloat16 is the upper half of a float32. */
function fromBrain(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves);
  for (let i = 0; i < bits.length; i++) bits[i] <<= 16;
  return new Float32Array(bits.buffer);
}

/** IEEE 754 binary16 to binary32, exact. */
function fromHalf(halves: Uint16Array): Float32Array {
  const result = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i];
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 0x3ff;
    if (exponent === 0) result[i] = sign * fraction * 2 ** -24;
    else if (exponent === 31) result[i] = fraction ? NaN : sign * Infinity;
    else result[i] = sign * (1024 + fraction) * 2 ** (exponent - 25);
  }
  return result;
}
