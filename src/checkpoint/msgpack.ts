/** Flax's msgpack files: nested dictionaries of arrays. Formats: msgpack/spec.md, flax/serialization.py. */
import { Cursor } from './cursor';
import { itemSize } from './elements';
import { elementCount, isSize, makeTensor } from './tensor';
import { Opaque, Tensor, type ByteSource, type Checkpoint, type DType, type Value } from './types';

const maxDepth = 200;
const maxValues = 250_000;

/** Whether the file begins with a dictionary whose first key is text. */
export function beginsWithMap(head: Uint8Array): boolean {
  const key = head[0] === 0xde ? 3 : head[0] === 0xdf ? 5 : head[0] > 0x80 && head[0] <= 0x8f ? 1 : NaN;
  return (head[key] >= 0xa0 && head[key] <= 0xbf) || (head[key] >= 0xd9 && head[key] <= 0xdb);
}

/** @throws CheckpointError when the file is no msgpack, or goes on behind it. */
export function readMsgpack(source: ByteSource): Checkpoint {
  const decoder = new Decoder(
    new Cursor(source.read(0, source.size), `${source.name} is a damaged msgpack file`),
  );
  const root = decoder.whole();
  return { format: 'flax-msgpack', root, opaque: [...decoder.opaque], warnings: [] };
}

class Decoder {
  /** Element types that are not read. */
  readonly opaque = new Set<string>();
  private values = 0;

  constructor(private cursor: Cursor) {}

  whole(): Value {
    const value = this.value(0);
    if (this.cursor.left > 0) this.cursor.fail(`${this.cursor.left} bytes follow its end`);
    return value;
  }

  private value(depth: number): Value {
    const { cursor } = this;
    if (depth > maxDepth) return cursor.fail(`it is nested more than ${maxDepth} levels deep`);
    if (++this.values > maxValues) return cursor.fail(`it has more than ${maxValues} values`);
    const code = cursor.uint8();
    if (code <= 0x7f) return code;
    if (code <= 0x8f) return this.map(code & 15, depth);
    if (code <= 0x9f) return this.list(code & 15, depth);
    if (code <= 0xbf) return cursor.text(code & 31);
    if (code >= 0xe0) return code - 0x100;
    switch (code) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return cursor.take(cursor.uint8());
      case 0xc5:
        return cursor.take(cursor.uint16(false));
      case 0xc6:
        return cursor.take(cursor.uint32(false));
      case 0xc7:
        return this.extension(cursor.uint8(), depth);
      case 0xc8:
        return this.extension(cursor.uint16(false), depth);
      case 0xc9:
        return this.extension(cursor.uint32(false), depth);
      case 0xca:
        return cursor.float32(false);
      case 0xcb:
        return cursor.float64(false);
      case 0xcc:
        return cursor.uint8();
      case 0xcd:
        return cursor.uint16(false);
      case 0xce:
        return cursor.uint32(false);
      case 0xcf:
        return narrow(BigInt.asUintN(64, cursor.int64(false)));
      case 0xd0:
        return (cursor.uint8() << 24) >> 24;
      case 0xd1:
        return (cursor.uint16(false) << 16) >> 16;
      case 0xd2:
        return cursor.uint32(false) | 0;
      case 0xd3:
        return narrow(cursor.int64(false));
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.extension(1 << (code - 0xd4), depth);
      case 0xd9:
        return cursor.text(cursor.uint8());
      case 0xda:
        return cursor.text(cursor.uint16(false));
      case 0xdb:
        return cursor.text(cursor.uint32(false));
      case 0xdc:
        return this.list(cursor.uint16(false), depth);
      case 0xdd:
        return this.list(cursor.uint32(false), depth);
      case 0xde:
        return this.map(cursor.uint16(false), depth);
      case 0xdf:
        return this.map(cursor.uint32(false), depth);
      default:
        return cursor.fail(`it has the unknown code 0x${code.toString(16)}`);
    }
  }

  private list(count: number, depth: number): Value {
    const items: Value[] = [];
    for (let i = 0; i < count; i++) items.push(this.value(depth + 1));
    return items;
  }

  private map(count: number, depth: number): Value {
    const entries = new Map<string, Value>();
    for (let i = 0; i < count; i++) {
      const key = this.value(depth + 1);
      if (typeof key !== 'string' && typeof key !== 'number')
        return this.cursor.fail('it has a key that is no text');
      if (entries.has(String(key))) return this.cursor.fail('it has a key twice');
      entries.set(String(key), this.value(depth + 1));
    }
    return entries.has('__msgpack_chunked_array__') ? this.joined(entries) : entries;
  }

  /** Flax: 1 array, 2 complex number, 3 scalar of NumPy. Their content is msgpack again. */
  private extension(length: number, depth: number): Value {
    const kind = this.cursor.uint8();
    const content = new Cursor(this.cursor.take(length), 'A value of the msgpack file is damaged');
    if (kind < 1 || kind > 3) return `<extension ${kind}>`;
    const outer = this.cursor;
    this.cursor = content;
    const value = this.value(depth + 1);
    this.cursor = outer;
    if (kind === 2) return value;
    const array = this.array(value);
    const isNumber = kind === 3 && array instanceof Tensor && array.shape.length === 0 && !array.isComplex;
    return isNumber ? array.read()[0] : array;
  }

  private array(value: Value): Tensor | Opaque {
    const [shape, name, bytes] = Array.isArray(value) ? (value as Value[]) : [];
    const type = name instanceof Uint8Array ? Buffer.from(name).toString('latin1') : name;
    const sizes = Array.isArray(shape) && shape.every(isSize) ? shape : undefined;
    if (typeof type !== 'string' || !sizes || !(bytes instanceof Uint8Array)) {
      return this.cursor.fail('it has a malformed array');
    }
    // Flax writes names of NumPy's types, which are ours.
    const dtype = Object.hasOwn(itemSize, type) ? (type as DType) : undefined;
    if (!dtype) {
      const name = type.slice(0, 40);
      this.opaque.add(`numpy.${name}`);
      return new Opaque('numpy', name, [sizes]);
    }
    return makeTensor(
      { dtype, shape: sizes },
      {
        what: 'An array',
        bytes: bytes.length,
        read: (offset, count) => (bytes as Uint8Array<ArrayBuffer>).subarray(offset, offset + count),
      },
    );
  }

  /** Arrays beyond 1 GB are written in pieces: `{shape: {0: …}, chunks: {0: …}}`. */
  private joined(entries: ReadonlyMap<string, Value>): Value {
    const list = (key: string): Value[] => {
      const parts = entries.get(key);
      return parts instanceof Map ? [...(parts as ReadonlyMap<string, Value>).values()] : [];
    };
    const shape = list('shape');
    const chunks = list('chunks');
    const whole = chunks.every(
      (chunk) => chunk instanceof Tensor && chunk.dtype === (chunks[0] as Tensor).dtype,
    );
    if (chunks.length === 0 || !whole || !shape.every(isSize))
      return this.cursor.fail('it has a malformed array');
    const tensors = chunks as Tensor[];
    const count = elementCount(shape, 'An array');
    if (tensors.reduce((sum, tensor) => sum + tensor.size, 0) !== count) {
      return this.cursor.fail('it has an array with missing pieces');
    }
    return new Tensor(tensors[0].dtype, shape, () => {
      const result = new Float32Array(count * (tensors[0].isComplex ? 2 : 1));
      let at = 0;
      for (const tensor of tensors) {
        const part = tensor.read();
        result.set(part, at);
        at += part.length;
      }
      return result;
    });
  }
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
