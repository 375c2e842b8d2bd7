/** Element types of HDF5, as far as weights and settings use them. */
import type { Cursor } from '../cursor';
import type { ByteOrder } from '../elements';
import type { DType } from '../types';

export type Datatype =
  | { readonly kind: 'number'; readonly size: number; readonly dtype: DType; readonly order: ByteOrder }
  /** Text of a fixed size. */
  | { readonly kind: 'text'; readonly size: number }
  /** Text of variable length, in a heap. */
  | { readonly kind: 'heap text'; readonly size: number }
  | { readonly kind: 'other'; readonly size: number };

/** Classes of datatypes. */
const Class = { integer: 0, float: 1, text: 3, compound: 6, enumeration: 8, variable: 9 } as const;

export function readDatatype(data: Cursor): Datatype {
  const head = data.uint8();
  const version = head >> 4;
  const bits = data.uint8();
  const moreBits = data.uint16();
  const size = data.uint32();
  const order: ByteOrder = bits & 1 ? 'big' : 'little';
  const other: Datatype = { kind: 'other', size };
  if (size === 0) return other;
  const number = (dtype: DType | undefined): Datatype =>
    dtype ? { kind: 'number', size, dtype, order } : other;
  switch (head & 15) {
    case Class.integer:
      return number(integers.get(bits & 8 ? -size : size));
    case Class.float:
      return number(isIeee(data, size) ? floats.get(size) : undefined);
    case Class.text:
      return { kind: 'text', size };
    case Class.variable:
      return (bits & 15) === 1 ? { kind: 'heap text', size } : other;
    case Class.enumeration: {
      // h5py writes bool as an enumeration of two bytes.
      const base = readDatatype(data);
      const members = bits | ((moreBits & 0xff) << 8);
      return base.kind === 'number' && base.size === 1 && members === 2
        ? { ...base, size, dtype: 'bool' }
        : base;
    }
    case Class.compound:
      return (bits | ((moreBits & 0xff) << 8)) === 2 ? complex(data, version, size) : other;
    default:
      return other;
  }
}

/** By bytes; negative when signed. */
const integers = new Map<number, DType>([
  [1, 'uint8'],
  [-1, 'int8'],
  [2, 'uint16'],
  [-2, 'int16'],
  [4, 'uint32'],
  [-4, 'int32'],
  [8, 'uint64'],
  [-8, 'int64'],
]);
const floats = new Map<number, DType>([
  [2, 'float16'],
  [4, 'float32'],
  [8, 'float64'],
]);

/** Bits of the exponent, by bytes of the number. */
const exponents = new Map<number, number>([
  [2, 5],
  [4, 8],
  [8, 11],
]);

/** Offset, precision, place and size of the exponent, …: other floats of the same size are not read. */
function isIeee(data: Cursor, size: number): boolean {
  const offset = data.uint16();
  const precision = data.uint16();
  data.skip(1);
  const exponent = data.uint8();
  data.skip(6);
  return offset === 0 && precision === 8 * size && exponent === exponents.get(size);
}

/** h5py writes complex numbers as two floats, `r` and `i`. */
function complex(data: Cursor, version: number, size: number): Datatype {
  const names: string[] = [];
  let part: Datatype = { kind: 'other', size: 0 };
  for (let member = 0; member < 2; member++) {
    const start = data.at;
    let name = '';
    for (let letter = data.uint8(); letter !== 0; letter = data.uint8()) {
      name += String.fromCharCode(letter);
    }
    names.push(name);
    if (version < 3) data.skip((8 - ((data.at - start) % 8)) % 8);
    // Offset of the member; version 1 adds unused dimensions.
    data.skip(version === 1 ? 32 : version === 2 ? 4 : size < 256 ? 1 : 2);
    const type = readMember(data);
    if (member === 1 && (type.kind !== 'number' || part.kind !== 'number' || type.dtype !== part.dtype)) {
      return { kind: 'other', size };
    }
    part = type;
  }
  const isComplex = names.join() === 'r,i' && part.kind === 'number' && size === 2 * part.size;
  if (!isComplex || part.kind !== 'number') return { kind: 'other', size };
  const dtype = part.dtype === 'float32' ? 'complex64' : part.dtype === 'float64' ? 'complex128' : undefined;
  return dtype ? { kind: 'number', size, dtype, order: part.order } : { kind: 'other', size };
}

/** A member must be a float: its properties have a known length. */
function readMember(data: Cursor): Datatype {
  const isFloat = (data.bytes[data.at] & 15) === Class.float;
  return isFloat ? readDatatype(data) : { kind: 'other', size: 0 };
}

/** Text without its padding of zeros. */
export function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}
