import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../../src/checkpoint/types';
import { stateDicts } from '../../../src/checkpoint/values';
import { entry, expectRefusal, openBytes, openFixture } from './helpers/files';

type Bytes = Uint8Array<ArrayBuffer>;

const raw = (...bytes: number[]) => Buffer.from(bytes);
const text = (value: string) => Buffer.concat([raw(0xa0 | Buffer.byteLength(value)), Buffer.from(value)]);
const big = (code: number, length: number) =>
  raw(code, length >>> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255);
const map = (...entries: Buffer[]) => Buffer.concat([raw(0x80 | (entries.length / 2)), ...entries]);
const list = (...items: Buffer[]) => Buffer.concat([raw(0x90 | items.length), ...items]);
const binary = (length: number) => Buffer.concat([raw(0xc4, length), Buffer.alloc(length, 1)]);
const extension = (kind: number, content: Buffer) =>
  Buffer.concat([raw(0xc7, content.length, kind), content]);
const array = (dtype: string, bytes: number, ...shape: Buffer[]) =>
  extension(1, list(list(...shape), text(dtype), binary(bytes)));
const file = (...content: Buffer[]): Bytes =>
  new Uint8Array(Buffer.concat([raw(0x81), text('a'), ...content]));

describe('Flax msgpack', () => {
  it('values of every kind', () => {
    const { root } = openFixture('flax.msgpack');
    expect(entry(root, 'step')).toBe(2 ** 31);
    expect(entry(root, 'learned')).toBe(0.5);
    expect(entry(root, 'rate')).toBe(0.5);
    expect(entry(root, 'negative')).toBe(-200);
    expect(entry(root, 'deep')).toBe(-(2 ** 40));
    expect(entry(root, 'large')).toBe(2n ** 60n);
    expect(entry(root, 'none')).toBeNull();
    expect(entry(root, 'yes')).toBe(true);
    expect(entry(root, 'text')).toBe('ω'.repeat(40));
    expect(entry(root, 'raw')).toEqual(Uint8Array.of(0, 255));
    expect(entry(root, 'list', 19)).toBe(19);
    expect(entry(root, 'z')).toEqual([1, -2]);
  });

  it('any name is only a name', () => {
    const { root } = openBytes(
      new Uint8Array(Buffer.concat([raw(0x81), text('__proto__'), map(text('x'), raw(7))])),
    );
    expect(entry(root, '__proto__', 'x')).toBe(7);
    expect(Object.prototype).not.toHaveProperty('x');
  });

  it('arrays of unknown types are opaque, and the rest is read', () => {
    const { root, opaque } = openBytes(
      file(list(array('float8_e4m3', 1, raw(1)), array('uint8', 2, raw(2)))),
    );
    expect(opaque).toEqual(['numpy.float8_e4m3']);
    expect([...(entry(root, 'a', 1) as Tensor).read()]).toEqual([1, 1]);
  });

  const chunked = (shape: number, ...chunks: Buffer[]) =>
    file(
      map(
        text('__msgpack_chunked_array__'),
        raw(0xc3),
        text('shape'),
        map(text('0'), raw(shape)),
        text('chunks'),
        map(...chunks.flatMap((chunk, i) => [text(String(i)), chunk])),
      ),
    );

  it.each<[string, Bytes, RegExp]>([
    ['a list of 2³² − 1 items', file(big(0xdd, -1)), /ends early/],
    ['a dictionary of 2³² − 1 entries', file(big(0xdf, -1)), /ends early/],
    ['text of 4 GB', file(big(0xdb, -1)), /ends early/],
    ['bytes past the end', file(raw(0xc4, 9, 1)), /ends early/],
    ['lists nested 100,000 deep', file(Buffer.alloc(100_000, 0x91)), /nested more than 200 levels deep/],
    ['arrays nested in arrays', file(nested(100)), /damaged|malformed|nested/],
    [
      'a million values',
      file(big(0xdd, 1_000_000), Buffer.alloc(1_000_000, 0xc0)),
      /more than 250000 values/,
    ],
    ['more than its content', file(raw(1, 2)), /1 bytes follow its end/],
    ['a key twice', file(map(text('b'), raw(1), text('b'), raw(2))), /has a key twice/],
    ['a key that is a list', file(map(list(), raw(1))), /a key that is no text/],
    ['a code that means nothing', file(raw(0xc1)), /unknown code 0xc1/],
    ['an array shorter than its shape', file(array('float32', 4, raw(2))), /needs 8 bytes, but 4 are stored/],
    ['an array of a negative size', file(array('float32', 4, raw(0xff))), /malformed array/],
    [
      'sizes whose product overflows',
      file(array('uint8', 1, big(0xce, -1), big(0xce, -1))),
      /impossible shape/,
    ],
    ['an array that is none', file(extension(1, list(raw(1)))), /malformed array/],
    ['a missing piece', chunked(4, array('uint8', 2, raw(2))), /missing pieces/],
    ['no pieces', chunked(4), /malformed array/],
    [
      'pieces of two types',
      chunked(4, array('uint8', 2, raw(2)), array('int8', 2, raw(2))),
      /malformed array/,
    ],
  ])('is refused with %s', (_what, bytes, message) => {
    expectRefusal(() => openBytes(bytes, 'x.msgpack'), message);
  });

  it('many empty dictionaries are looked through once', () => {
    const checkpoint = openBytes(file(big(0xdd, 200_000), Buffer.alloc(200_000, 0x80)));
    expect(entry(checkpoint.root, 'a')).toHaveLength(200_000);
    expect(stateDicts(checkpoint)).toEqual([]);
  });

  it('pieces are joined', () => {
    const { root } = openBytes(chunked(4, array('uint8', 3, raw(3)), array('uint8', 1, raw(1))));
    expect([...(entry(root, 'a') as Tensor).read()]).toEqual([1, 1, 1, 1]);
  });
});

/** Extensions whose content is an extension again. */
function nested(depth: number): Buffer {
  let content = raw(0xc0);
  for (let i = 0; i < depth && content.length < 250; i++) content = extension(1, content);
  return content;
}
