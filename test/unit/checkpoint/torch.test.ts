import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../../src/checkpoint/types';
import { Opaque } from '../../../src/checkpoint/types';
import { stateDicts } from '../../../src/checkpoint/values';
import {
  entry,
  expected,
  expectRefusal,
  expectTensor,
  openBytes,
  openFixture,
  torchZip,
} from './helpers/files';
import * as p from './helpers/pickle';

const floats = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);
const stored = { name: 'archive/data/0', data: floats(1, 2, 3, 4) };
const open = (tensor: p.Code, files = [stored]) =>
  openBytes(torchZip(p.program(p.proto(2), tensor, p.stop), files)).root as Tensor;

describe('tensors of PyTorch', () => {
  it.each([
    'dtypes.pt',
    'dtypes-legacy.pth',
    'big-endian.pt',
    'parameters.pt',
    'module.pt',
    'module-legacy.pt',
    'scripted.pt',
    'views-legacy.pth',
    'tar.pth',
    'tensors.pkl',
  ])('agree with PyTorch: %s', (name) => {
    const [{ tensors }] = stateDicts(openFixture(name));
    const wanted = expected[name].tensors;
    expect([...tensors.keys()].sort()).toEqual(Object.keys(wanted).sort());
    for (const [key, value] of Object.entries(wanted)) expectTensor(tensors.get(key), value);
  });

  it('are read only when asked for', () => {
    const broken = { ...stored, central: { crc: 5 }, local: { crc: 5 } };
    const tensor = open(p.tensor({ shape: [4], strides: [1] }), [broken]);
    expectRefusal(() => tensor.read(), /wrong check sum/);
  });

  it('of the same view are one tensor', () => {
    const one = p.tensor({ shape: [4], strides: [1] });
    const { root } = openBytes(torchZip(p.program(p.proto(2), p.group(one, one), p.stop), [stored]));
    expect(entry(root, 0)).toBe(entry(root, 1));
  });

  it('of untyped storages have the dtype beside them', () => {
    const id = p.group(
      p.text('storage'),
      p.global('torch.storage', 'UntypedStorage'),
      p.text('0'),
      p.text('cpu'),
      p.integer(16),
    );
    const tensor = p.program(
      p.global('torch._utils', '_rebuild_tensor_v3'),
      p.group(
        p.program(id, p.persistentId),
        p.integer(1),
        p.group(p.integer(2)),
        p.group(p.integer(1)),
        p.none,
        p.none,
        p.global('torch', 'uint32'),
      ),
      p.reduce,
    );
    const read = open(tensor);
    expect([read.dtype, ...read.read()]).toEqual(['uint32', 0x40000000, 0x40400000]);
  });

  it('that are quantised or sparse are opaque', () => {
    const quantised = openBytes(
      torchZip(p.program(p.global('torch._utils', '_rebuild_qtensor'), p.group(p.none), p.reduce, p.stop)),
    );
    expect(quantised.opaque).toEqual(['torch._utils._rebuild_qtensor']);
    const byte = p.tensor({ storage: 'QUInt8Storage', shape: [4], strides: [1] });
    expect(open(byte)).toBeInstanceOf(Opaque);
  });

  it('may be empty, scalar, or repeat a few values', () => {
    expect([...open(p.tensor({ shape: [0, 7], strides: [7, 1], offset: 99 })).read()]).toEqual([]);
    expect([...open(p.tensor({ shape: [], strides: [], offset: 3 })).read()]).toEqual([4]);
    expect([...open(p.tensor({ shape: [2, 2], strides: [0, 1] })).read()]).toEqual([1, 2, 1, 2]);
  });

  const huge = 2n ** 32n;
  it.each<[string, Parameters<typeof p.tensor>[0], RegExp]>([
    ['sizes whose product overflows', { shape: [huge, huge], strides: [1, 1] }, /impossible shape/],
    ['a size beyond 2⁵³', { shape: [2n ** 53n + 1n], strides: [1] }, /malformed tensor/],
    ['a negative size', { shape: [-4], strides: [1] }, /malformed tensor/],
    ['a negative stride', { shape: [4], strides: [-1], offset: 3 }, /malformed tensor/],
    ['a negative offset', { shape: [4], strides: [1], offset: -1 }, /malformed tensor/],
    ['strides that overflow', { shape: [2], strides: [2n ** 53n - 1n] }, /needs Infinity bytes/],
    [
      'stride 0 claiming terabytes',
      { shape: [2n ** 40n], strides: [0] },
      /repeats 1 stored values to 1099511627776/,
    ],
    ['more than its storage', { shape: [5], strides: [1] }, /needs 20 bytes, but 16 are stored/],
    ['an offset past its storage', { shape: [1], strides: [1], offset: 4 }, /needs 20 bytes, but 16/],
    ['another number of strides', { shape: [2, 2], strides: [1] }, /impossible layout/],
    [
      'more dimensions than PyTorch has',
      { shape: Array<number>(65).fill(1), strides: Array<number>(65).fill(1) },
      /impossible shape/,
    ],
    [
      'a storage shorter than it says',
      { elements: 5, shape: [1], strides: [1] },
      /needs 20 bytes of storage 0, which has 16/,
    ],
    [
      'a storage of terabytes',
      { elements: 2n ** 40n, shape: [4], strides: [1] },
      /needs 4398046511104 bytes of storage/,
    ],
    ['a missing storage', { key: '9', shape: [1], strides: [1] }, /storage 9 is missing/],
    ['a storage that leads out', { key: '../../x', shape: [1], strides: [1] }, /is missing/],
    ['a negative storage', { elements: -1, shape: [1], strides: [1] }, /no storage/],
  ])('are refused with %s', (_what, tensor, message) => {
    expectRefusal(() => open(p.tensor(tensor)), message);
  });

  it('are refused when values are still to be conjugated', () => {
    const id = p.group(
      p.text('storage'),
      p.global('torch', 'ComplexFloatStorage'),
      p.text('0'),
      p.text('cpu'),
      p.integer(2),
    );
    const lazy = p.program(
      p.global('torch._utils', '_rebuild_tensor_v2'),
      p.group(
        p.program(id, p.persistentId),
        p.integer(0),
        p.group(p.integer(2)),
        p.group(p.integer(1)),
        p.none,
        p.none,
        p.program(p.emptyDict, p.text('conj'), p.op(0x88), p.setItem),
      ),
      p.reduce,
    );
    expectRefusal(() => open(lazy), /resolve_conj/);
  });
});
