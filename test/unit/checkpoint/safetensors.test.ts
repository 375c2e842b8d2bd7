import { describe, expect, it } from 'vitest';
import { Tensor } from '../../../src/checkpoint/types';
import { hyperParameters, stateDicts } from '../../../src/checkpoint/values';
import { entry, expectRefusal, inFolder, openBytes, openFixture } from './helpers/files';
import { openCheckpoint } from '../../../src/checkpoint/open';

type Bytes = Uint8Array<ArrayBuffer>;

/** A file with this header, and a length that may lie. */
function file(header: unknown, data = 0, length?: bigint): Bytes {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header), 'latin1');
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(length ?? BigInt(text.length));
  return new Uint8Array(Buffer.concat([size, text, Buffer.alloc(data, 1)]));
}

const floats = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

describe('safetensors', () => {
  it('metadata become hyper-parameters', () => {
    const { root } = openFixture('model.safetensors');
    expect(entry(root, '__metadata__', 'name')).toBe('siren');
    expect(entry(root, '__metadata__', 'omega_0')).toBe(30);
  });

  it('any name is only a name', () => {
    const { root } = openBytes(file('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1));
    expect(entry(root, '__proto__')).toBeInstanceOf(Tensor);
    expect(Object.prototype).not.toHaveProperty('dtype');
  });

  it('unknown element types are opaque, and the rest is read', () => {
    const checkpoint = openBytes(
      file({ a: { dtype: 'F8_E4M3', shape: [4], data_offsets: [0, 4] }, b: floats(4, 8) }, 8),
    );
    expect(checkpoint.opaque).toEqual(['safetensors.F8_E4M3']);
    expect([...stateDicts(checkpoint)[0].tensors.keys()]).toEqual(['b']);
  });

  it('is found whatever the length of its header is', () => {
    for (let length = 64; length < 2048; length += 8) {
      const header = JSON.stringify({ a: floats(0, 4) }).padEnd(length);
      expect(openBytes(file(header, 4)).format).toBe('safetensors');
    }
  });

  const padding = ' '.repeat(17 * 2 ** 20);
  it.each<[string, Bytes, RegExp]>([
    [
      'a header of 2⁶⁴ − 1 bytes',
      file({}, 0, 2n ** 64n - 1n),
      /header of 18446744073709552000 bytes reaches past/,
    ],
    ['a header past the end', file({ a: floats(0, 4) }, 4, 500n), /header of 500 bytes reaches past its end/],
    ['a header of many megabytes', file(`{"a":1${padding}}`), /larger than any checkpoint's/],
    ['a header that is cut', file({ a: floats(0, 4) }, 4, 20n), /not complete JSON/],
    ['a header that is not UTF-8', file('{"\xff":1}'), /not UTF-8 text/],
    ['a list for a header', file('{}[]', 0, 4n), /not complete JSON/],
    ['deep nesting', file(`{"a":${'['.repeat(10_000)}`), /nested too deep/],
    ['millions of brackets', file(`{"a":[${'{},'.repeat(1_000_000)}{}]}`), /too large/],
    [
      'a key twice',
      file(
        '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
      ),
      /two tensors "a"/,
    ],
    ['overlapping tensors', file({ a: floats(0, 8), b: floats(4, 12) }, 12), /tensor "b" overlaps another/],
    ['two views of all bytes', file({ a: floats(0, 8), b: floats(0, 8) }, 8), /tensor "b" overlaps another/],
    ['reversed offsets', file({ a: floats(8, 0, [0]) }, 8), /tensor "a" is not described/],
    ['a hole', file({ a: floats(0, 4), b: floats(8, 12) }, 12), /leaves a hole/],
    ['more bytes than tensors', file({ a: floats(0, 4) }, 5), /take 4 bytes, but 5 are there/],
    ['a tensor past the end', file({ a: floats(0, 400) }, 4), /needs|take 400 bytes, but 4 are there/],
    ['another size than its shape', file({ a: floats(0, 8, [3]) }, 8), /shape \[3\] has 8 bytes/],
    ['sizes whose product overflows', file({ a: floats(0, 8, [2 ** 32, 2 ** 32]) }, 8), /impossible shape/],
    ['a size beyond 2⁵³', file({ a: floats(0, 8, [2 ** 53 + 2]) }, 8), /is not described/],
    ['a negative size', file({ a: floats(0, 8, [-2]) }, 8), /is not described/],
    [
      'an offset that is no number',
      file('{"a":{"dtype":"F32","shape":[1],"data_offsets":["0",4]}}', 4),
      /is not described/,
    ],
    ['a tensor that is a number', file({ a: 1 }), /tensor "a" is not described/],
  ])('is refused with %s', (_what, bytes, message) => {
    expectRefusal(() => openBytes(bytes, 'x.safetensors'), message);
  });
});

describe('weights in shards', () => {
  const index = (map: unknown) =>
    new Uint8Array(Buffer.from(JSON.stringify({ metadata: {}, weight_map: map })));
  const open = (
    map: unknown,
    shards: Record<string, Bytes> = { 'one.safetensors': file({ a: floats(0, 4) }, 4) },
  ) =>
    openCheckpoint(
      inFolder(new Map([['x.index.json', index(map)], ...Object.entries(shards)]), 'x.index.json'),
    );

  it.each<[string, () => unknown, RegExp]>([
    ['a missing shard', () => open({ a: 'two.safetensors' }), /two.safetensors does not exist/],
    ['a missing tensor', () => open({ b: 'one.safetensors' }), /"one.safetensors" lacks the tensor "b"/],
    ['no file for a tensor', () => open({ a: 7 }), /does not say where "a" is/],
    ['itself as a shard', () => open({ a: 'x.index.json' }), /is a text file, not a checkpoint/],
    [
      'a shard of another format',
      () => open({ a: 'x.npy' }, { 'x.npy': npy() }),
      /holds no weights of safetensors or PyTorch/,
    ],
    ['an empty shard', () => open({ a: 'x' }, { x: new Uint8Array() }), /x is empty/],
  ])('is refused with %s', (_what, action, message) => {
    expectRefusal(action, message);
  });

  it('is refused when it is not in its folder', () => {
    expectRefusal(() => openBytes(index({ a: 'one.safetensors' })), /names another file, "one.safetensors"/);
  });

  it('has no hyper-parameters of its own', () => {
    expect(hyperParameters(open({ a: 'one.safetensors' }))).toEqual({});
  });
});

function npy(): Bytes {
  const header = Buffer.from("{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}\n");
  return new Uint8Array(
    Buffer.concat([
      Buffer.from('\x93NUMPY\x01\x00', 'latin1'),
      Buffer.from([header.length, 0]),
      header,
      Buffer.from([1]),
    ]),
  );
}
