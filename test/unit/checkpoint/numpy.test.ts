import { describe, expect, it } from 'vitest';
import { Opaque, Tensor } from '../../../src/checkpoint/types';
import { entry, expectRefusal, fixtureBytes, openBytes, openFixture } from './helpers/files';
import * as p from './helpers/pickle';
import { makeZip } from './helpers/zip';

type Bytes = Uint8Array<ArrayBuffer>;

/** An array file with this description, and bytes that count from 0. */
function npy(
  descr: string,
  shape: string,
  data: number | Uint8Array = 0,
  { order = 'False', version = 1 } = {},
): Bytes {
  const header = Buffer.from(`{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`);
  const size = Buffer.alloc(version === 1 ? 2 : 4);
  size.writeUIntLE(header.length, 0, size.length);
  const content = typeof data === 'number' ? Uint8Array.from({ length: data }, (_, i) => i) : data;
  return new Uint8Array(
    Buffer.concat([Buffer.from('\x93NUMPY', 'latin1'), Buffer.from([version, 0]), size, header, content]),
  );
}

const array = (bytes: Bytes) => entry(openBytes(bytes, 'x.npy').root, 'array');
const values = (bytes: Bytes) => [...(array(bytes) as Tensor).read()];

describe('.npy', () => {
  it('arrays of text are lists, structures are named', () => {
    for (const name of ['stored.npz', 'deflated.npz']) {
      const { root } = openFixture(name);
      expect(entry(root, 'name')).toBe('siren');
      expect(entry(root, 'names')).toEqual(['sine', 'relu ω']);
      expect(entry(root, 'raw')).toEqual(['ab', 'c']);
      expect(entry(root, 'config', 'w0')).toBe(30);
      expect(entry(root, 'record')).toBe('<NumPy array of structures>');
    }
  });

  it('versions, orders and types of two bytes', () => {
    expect(values(npy("'<u2'", '(2,)', 4))).toEqual([0x0100, 0x0302]);
    expect(values(npy("'>u2'", '(2,)', 4, { version: 2 }))).toEqual([0x0001, 0x0203]);
    expect(values(npy("'|u1'", '(2, 2)', 4, { order: 'True', version: 3 }))).toEqual([0, 2, 1, 3]);
    // JAX's bfloat16: NumPy has no kind for it.
    expect(values(npy("'<V2'", '(1,)', Uint8Array.of(0xc0, 0x3f)))).toEqual([1.5]);
    expect(values(npy("'|u1'", '()', 1))).toEqual([0]);
  });

  it('text that is not there is only named', () => {
    expect(array(npy("'<U999999'", '(9999,)', 8))).toBe('<NumPy array of U999999>');
  });

  it('bytes after the end are told', () => {
    expect(openBytes(npy("'|u1'", '(2,)', 5)).warnings).toEqual([
      '3 bytes after the end of "array" were ignored.',
    ]);
  });

  it('objects are data: what they would run is not run', () => {
    const call = p.program(
      p.proto(2),
      p.global('os', 'system'),
      p.group(p.text('touch x')),
      p.reduce,
      p.stop,
    );
    const bytes = npy("'|O'", '()', call);
    expect(array(bytes)).toBeInstanceOf(Opaque);
    expect(openBytes(bytes).opaque).toEqual(['os.system']);
  });

  const header = (text: string) =>
    new Uint8Array(
      Buffer.concat([
        Buffer.from('\x93NUMPY\x01\x00', 'latin1'),
        Buffer.from([text.length, 0]),
        Buffer.from(text),
      ]),
    );
  it.each<[string, Bytes, RegExp]>([
    [
      'a shape of terabytes',
      npy("'<f4'", '(1099511627776,)', 16),
      /needs 4398046511104 bytes, but 16 are stored/,
    ],
    ['sizes whose product overflows', npy("'<f4'", '(4294967296, 4294967296)', 4), /impossible shape/],
    ['a size beyond 2⁵³', npy("'<f4'", '(9007199254740993,)', 4), /shape is impossible/],
    ['a negative size', npy("'<f4'", '(-1,)', 4), /header cannot be read/],
    ['fewer bytes than its shape', npy("'<f4'", '(2,)', 7), /needs 8 bytes, but 7 are stored/],
    ['a header past the end', fixtureBytes('array.npy').slice(0, 60), /ends early/],
    ['no header', new Uint8Array(Buffer.from('\x93NUMPY\x01\x00', 'latin1')), /ends early/],
    ['a version to come', npy("'<f4'", '(1,)', 4, { version: 4 }), /version 4 is not known/],
    ['a header without shape', header("{'descr': '<f4', 'fortran_order': False}"), /header cannot be read/],
    ['objects that are no pickle', npy("'|O'", '(1,)', 8), /pickle inside the file/],
  ])('is refused with %s', (_what, bytes, message) => {
    expectRefusal(() => openBytes(bytes, 'x.npy'), message);
  });
});

describe('.npz', () => {
  const good = { name: 'a.npy', data: npy("'|u1'", '(2,)', 2) };

  it('other entries are ignored', () => {
    const { root } = openBytes(makeZip([good, { name: 'readme.txt', data: Buffer.from('text') }]));
    expect([...(root as Map<string, unknown>).keys()]).toEqual(['a']);
  });

  it('a wrong check sum is found when the array is read', () => {
    const { root } = openBytes(makeZip([{ ...good, central: { crc: 7 }, local: { crc: 7 } }]), 'x.npz');
    expectRefusal(() => (entry(root, 'a') as Tensor).read(), /"a.npy" has a wrong check sum/);
  });

  it('names are only names', () => {
    const { root } = openBytes(makeZip([{ ...good, name: '__proto__.npy' }]));
    expect(entry(root, '__proto__')).toBeInstanceOf(Tensor);
  });

  it.each<[string, Parameters<typeof makeZip>[0], RegExp]>([
    [
      'a bomb',
      [{ name: 'a.npy', data: new Uint8Array(40 * 2 ** 20), deflate: true }],
      /expands "a.npy" from .* suspicious/,
    ],
    ['names that lead out', [{ ...good, name: '../a.npy' }], /leads out of the archive/],
    ['two of a name', [good, good], /two entries "a.npy"/],
    ['an array that is none', [{ name: 'a.npy', data: Buffer.from('text') }], /"a" is damaged/],
    ['arrays of no bytes', [{ name: 'a.npy', data: new Uint8Array() }], /"a" is damaged: it ends early/],
  ])('is refused with %s', (_what, files, message) => {
    expectRefusal(() => openBytes(makeZip(files), 'x.npz'), message);
  });
});
