/** Damages files: any bytes, and the inside of containers whose check sums and lengths are then right again. */
import { bytesSource } from '../../src/checkpoint/source';
import { ZipArchive } from '../../src/checkpoint/zip';
import { makeZip } from '../unit/checkpoint/helpers/zip';

type Bytes = Uint8Array<ArrayBuffer>;
type Damage = (bytes: Bytes, random: Random) => Bytes;

/** Choices that are the same for the same seed (mulberry32). */
export class Random {
  constructor(private state: number) {}

  /** An integer in [0, end). */
  below(end: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
}

/** A damaged copy of a file; the format's own structure is damaged as often as its bytes. */
export function mutate(bytes: Bytes, random: Random): Bytes {
  return random.pick([insideZip, insideSafetensors, insideStructure, anywhere])(bytes, random);
}

/** Damages a JSON document, the opcodes of a pickle, or the tags of a protocol buffer or msgpack. */
const insideStructure: Damage = (bytes, random) => {
  if (bytes[0] === 0x7b) return json(bytes, random);
  if (bytes[0] === 0x80 && bytes[1] <= 5) return opcodes(bytes, random);
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return insideZip(bytes, random);
  return tags(bytes, random);
};

/** Another value, key or order somewhere in a JSON document, which stays one. */
function json(bytes: Bytes, random: Random): Bytes {
  let root: unknown;
  try {
    root = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return number(bytes, random);
  }
  const holders: object[] = [];
  const visit = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return;
    holders.push(value);
    Object.values(value).forEach(visit);
  };
  visit(root);
  for (let times = random.pick([1, 1, 2, 4]); times > 0; times--) {
    const holder = random.pick(holders) as Record<string, unknown>;
    const keys = Object.keys(holder);
    if (keys.length === 0) continue;
    const key = random.pick(keys);
    const other = random.pick(holders) as Record<string, unknown>;
    const action = random.below(5);
    if (action === 0) Reflect.deleteProperty(holder, key);
    else if (action === 1) {
      // Only what is not above it, so that the document stays a tree.
      const copy: unknown = structuredClone(other);
      if (JSON.stringify(copy).length < 10_000) put(holder, key, copy);
    } else if (action === 2) {
      put(holder, '__proto__', holder[key]);
    } else {
      put(
        holder,
        key,
        random.pick<unknown>([
          null,
          true,
          -1,
          0,
          1.5,
          2 ** 53 + 1,
          1e308,
          '',
          '../x',
          [],
          {},
          [2 ** 31, 2 ** 31],
        ]),
      );
    }
  }
  return new Uint8Array(Buffer.from(JSON.stringify(root)));
}

/** Sets a property of any name, `__proto__` too, without its meaning. */
const put = (holder: object, key: string, value: unknown) =>
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });

/** Opcodes that make, store or call something. */
const OPCODES = Buffer.from(
  '(.0122IJKLMNPQRSTUVXabcdeghijlopqrstu}]){\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8f\x90\x91\x92\x93\x94\x95',
  'latin1',
);

/** Puts opcodes in place of others, before or after, or twice. */
function opcodes(bytes: Bytes, random: Random): Bytes {
  let result = bytes;
  for (let times = random.pick([1, 2, 4]); times > 0; times--) {
    const at = [...result.keys()].slice(2, 4096).filter((i) => OPCODES.includes(result[i]));
    if (at.length === 0) return flip(result.slice(), random);
    const place = random.pick(at);
    const opcode = Uint8Array.of(OPCODES[random.below(OPCODES.length)]);
    const keep = random.below(3) === 0 ? 0 : 1;
    result = joined(result.subarray(0, place), opcode, result.subarray(place + keep));
  }
  return result;
}

/** Another type or length where a field may begin. */
function tags(bytes: Bytes, random: Random): Bytes {
  const result = bytes.slice();
  for (let times = random.pick([1, 2, 4]); times > 0 && result.length > 0; times--) {
    const at = random.below(Math.min(result.length, 512));
    result[at] = random.pick([
      (result[at] & 0xf8) | random.below(8),
      (result[at] & 0x07) | (random.below(32) << 3),
      0x80 | result[at],
      0xc0 | random.below(64),
      0xff,
      0,
    ]);
  }
  return result;
}

/** One damage or a few, anywhere. */
const anywhere: Damage = (bytes, random) => {
  const isText = bytes.length > 0 && '{('.includes(String.fromCharCode(bytes[0]));
  const damages = [
    flip,
    flip,
    overwrite,
    overwrite,
    truncate,
    move,
    remove,
    number,
    ...(isText ? [number, number, number, number] : []),
  ];
  let result = bytes.slice();
  for (let times = random.pick([1, 1, 1, 2, 3, 8]); times > 0 && result.length > 0; times--) {
    result = random.pick(damages)(result, random);
  }
  return result;
};

const flip: Damage = (bytes, random) => {
  bytes[random.below(bytes.length)] ^= 1 << random.below(8);
  return bytes;
};

/** A length, an offset or a code that lies, in either byte order. */
const overwrite: Damage = (bytes, random) => {
  const width = random.pick([1, 2, 4, 8]);
  const value = Buffer.alloc(8);
  const lies = [0n, 1n, 2n, 255n, 0x7fffffffn, 2n ** 53n + 1n, 2n ** 63n, -1n, -2n, BigInt(bytes.length)];
  value.writeBigInt64LE(BigInt.asIntN(64, random.pick(lies)));
  if (random.below(5) === 0) value.subarray(0, width).reverse();
  const at = random.below(bytes.length);
  bytes.set(value.subarray(0, Math.min(width, bytes.length - at)), at);
  return bytes;
};

const truncate: Damage = (bytes, random) => bytes.slice(0, random.below(bytes.length));

/** Puts a part somewhere else, over what is there or between. */
const move: Damage = (bytes, random) => {
  const from = random.below(bytes.length);
  const part = bytes.slice(from, from + 1 + random.below(64));
  const at = random.below(bytes.length);
  return joined(bytes.subarray(0, at), part, bytes.subarray(random.pick([at, at + part.length])));
};

const remove: Damage = (bytes, random) => {
  const at = random.below(bytes.length);
  return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(64)));
};

/** Another number in text: JSON, NumPy's header, the first protocol of pickle. */
const number: Damage = (bytes, random) => {
  const text = Buffer.from(bytes).toString('latin1');
  const numbers = [...text.matchAll(/\d+/g)];
  if (numbers.length === 0) return flip(bytes, random);
  const { index, 0: old } = random.pick(numbers);
  const lies = [
    '0',
    '1',
    '-1',
    '2.5',
    '99999999',
    '4294967296',
    '9007199254740993',
    '1e999',
    'null',
    '""',
    '[]',
  ];
  return joined(bytes.subarray(0, index), Buffer.from(random.pick(lies)), bytes.subarray(index + old.length));
};

/** Damages one entry of an archive. */
const insideZip: Damage = (bytes, random) => {
  if (!Buffer.from(bytes.subarray(0, 2)).equals(Buffer.from('PK'))) return anywhere(bytes, random);
  const archive = ZipArchive.open(bytesSource('archive', bytes));
  const chosen = random.pick(archive.names);
  return makeZip(
    archive.names.map((name) => {
      const data = archive.read(name);
      return { name, data: name === chosen ? anywhere(data, random) : data };
    }),
  );
};

/** Damages the header of a safetensors file. */
const insideSafetensors: Damage = (bytes, random) => {
  if (bytes[8] !== 0x7b) return anywhere(bytes, random);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = anywhere(bytes.slice(8, 8 + length), random);
  const size = Buffer.alloc(8);
  size.writeUInt32LE(header.length);
  return joined(size, header, bytes.subarray(8 + length));
};

const joined = (...parts: readonly Uint8Array[]): Bytes => new Uint8Array(Buffer.concat(parts));
