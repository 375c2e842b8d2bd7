/** NumPy scalars, arrays and dtypes inside a pickle. Source: numpy/core/src/multiarray (`__reduce__`). */
import { CheckpointError } from '../../errors';
import { itemSize, toFloat32, type ByteOrder } from '../elements';
import { columnMajorStrides, elementCount, isSize, makeTensor } from '../tensor';
import type { DType, Tensor } from '../types';
import { asBytes, Pending, type Construct, type Item } from './pickle';

/** An element type as NumPy writes it: `f4`, `<i8`, `|b1`, `O`, `S10`, `U3`. */
export interface NumpyType {
  /** Undefined for objects, text and structures. */
  readonly dtype: DType | undefined;
  readonly order: ByteOrder;
  /** Without byte order. */
  readonly code: string;
}

const dtypes = new Map<string, DType>([
  ['f2', 'float16'],
  ['f4', 'float32'],
  ['f8', 'float64'],
  ['c8', 'complex64'],
  ['c16', 'complex128'],
  ['u1', 'uint8'],
  ['i1', 'int8'],
  ['u2', 'uint16'],
  ['i2', 'int16'],
  ['u4', 'uint32'],
  ['i4', 'int32'],
  ['u8', 'uint64'],
  ['i8', 'int64'],
  ['b1', 'bool'],
  // JAX's bfloat16 (ml_dtypes) has no code of NumPy's: pickles have its name, .npy two bytes of no kind.
  ['bfloat16', 'bfloat16'],
  ['V2', 'bfloat16'],
]);

export function numpyType(descriptor: string): NumpyType {
  const code = descriptor.replace(/^[<>|=]/, '');
  return { dtype: dtypes.get(code), order: descriptor.startsWith('>') ? 'big' : 'little', code };
}

export const numpyConstructors: ReadonlyMap<string, Construct> = new Map<string, Construct>([
  ['numpy dtype', ([code]) => new PendingType(typeof code === 'string' ? code : '')],
  ['numpy ndarray', () => new PendingArray()],
  // JAX wraps an array's own way of being made: (function, arguments, state, more).
  ['jax._src.array _reconstruct_array', ([, , state]) => filled(state)],
  ['jax._src.device_array reconstruct_device_array', ([, , state]) => filled(state)],
  // NumPy 2 renamed its inner package.
  ...['numpy.core', 'numpy._core'].flatMap((core): [string, Construct][] => [
    [`${core}.multiarray _reconstruct`, () => new PendingArray()],
    [`${core}.multiarray scalar`, ([type, raw]) => scalar(type, raw)],
    [`${core}.numeric _frombuffer`, ([raw, type, shape, order]) => array(raw, type, shape, order === 'F')],
  ]),
]);

class PendingType extends Pending {
  private order = '';

  constructor(private readonly code: string) {
    super();
  }

  override build(state: Item): void {
    if (Array.isArray(state) && typeof state[1] === 'string') this.order = state[1];
  }

  get type(): NumpyType {
    return numpyType(this.order + this.code);
  }

  override value(): Item {
    return this.code;
  }
}

/** `_reconstruct(ndarray, (0,), b'b')`, then BUILD with `(version, shape, dtype, is_fortran, data)`. */
class PendingArray extends Pending {
  private content: Item | undefined;

  override build(state: Item): void {
    if (!Array.isArray(state) || state.length < 4) throw malformed();
    const [shape, type, fortran, data] = state.slice(-4);
    this.content = array(data, type, shape, fortran === true || fortran === 1);
  }

  override value(): Item {
    return this.content ?? null;
  }
}

function filled(state: Item | undefined): Item {
  const pending = new PendingArray();
  pending.build(state ?? null);
  return pending;
}

/** A tensor; an array of objects becomes a flat list, or the object itself when it has no dimensions. */
function array(
  data: Item | undefined,
  type: Item | undefined,
  shape: Item | undefined,
  fortran: boolean,
): Item {
  if (!(type instanceof PendingType) || !isShape(shape)) throw malformed();
  if (Array.isArray(data)) return shape.length === 0 && data.length === 1 ? data[0] : data;
  const bytes = asBytes(data);
  return numpyTensor(bytes, type.type, shape, fortran) ?? numpyText(type.type, shape, bytes);
}

/** A tensor over an array's bytes; undefined when its elements are no numbers. */
function numpyTensor(
  bytes: Uint8Array<ArrayBuffer>,
  type: NumpyType,
  shape: readonly number[],
  fortran: boolean,
): Tensor | undefined {
  if (!type.dtype) return undefined;
  return makeTensor(
    { dtype: type.dtype, shape, order: type.order, ...(fortran && { strides: columnMajorStrides(shape) }) },
    {
      what: 'A NumPy array',
      bytes: bytes.length,
      read: (offset, length) => bytes.subarray(offset, offset + length),
    },
  );
}

const maxTexts = 10_000;

/**
 * Elements that are no numbers: text (`S7`, `U7`) as a list, or one text when there are no dimensions;
 * dates and structures are only named.
 */
export function numpyText(
  type: NumpyType,
  shape: readonly number[],
  bytes: Uint8Array<ArrayBuffer>,
): string | string[] {
  const width = Number(/^[SU](\d{1,6})$/.exec(type.code)?.[1]) * (type.code.startsWith('U') ? 4 : 1);
  const count = elementCount(shape, 'A NumPy array');
  if (!(count <= maxTexts && count * width <= bytes.length)) {
    return `<NumPy array of ${type.code.slice(0, 20)}>`;
  }
  const texts = Array.from({ length: count }, (_, i) =>
    oneText(bytes.subarray(i * width, (i + 1) * width), type),
  );
  return shape.length === 0 ? texts[0] : texts;
}

/** NumPy pads text with zeros; `U` has four bytes a character. */
function oneText(bytes: Uint8Array<ArrayBuffer>, { code, order }: NumpyType): string {
  if (code.startsWith('S')) return Buffer.from(bytes).toString('latin1').replace(/\0+$/, '');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = '';
  for (let i = 0; i + 4 <= bytes.length; i += 4) {
    const character = view.getUint32(i, order === 'little');
    if (character === 0) break;
    text += character <= 0x10ffff ? String.fromCodePoint(character) : '\ufffd';
  }
  return text;
}

function scalar(type: Item | undefined, raw: Item | undefined): Item {
  if (!(type instanceof PendingType)) throw malformed();
  const { dtype, order, code } = type.type;
  if (code.startsWith('O')) return raw ?? null;
  const bytes = asBytes(raw);
  if (!dtype) return numpyText(type.type, [], bytes);
  if (bytes.length !== itemSize[dtype]) throw malformed();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (dtype) {
    case 'float64':
      return view.getFloat64(0, order === 'little');
    case 'int64':
      return exact(view.getBigInt64(0, order === 'little'));
    case 'uint64':
      return exact(view.getBigUint64(0, order === 'little'));
    case 'bool':
      return bytes[0] !== 0;
    case 'complex64':
    case 'complex128':
      return [...toFloat32(dtype, bytes, order)];
    default:
      return toFloat32(dtype, bytes, order)[0];
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function isShape(item: Item | undefined): item is number[] {
  return Array.isArray(item) && item.every(isSize);
}

function malformed(): CheckpointError {
  return new CheckpointError(
    'The pickle inside the file holds a malformed NumPy array; save the checkpoint again.',
  );
}
