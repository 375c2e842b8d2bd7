import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { fileSource } from '../../../src/checkpoint/source';
import type { Tensor } from '../../../src/checkpoint/types';
import { entry, expectRefusal, fixtureBytes, inFolder, openBytes, openFixture } from './helpers/files';

type Bytes = Uint8Array<ArrayBuffer>;

/** Protobuf: a field of bytes or text, and one of a number below 128. */
function field(number: number, ...content: (Buffer | string)[]): Buffer {
  const bytes = Buffer.concat(content.map((part) => Buffer.from(part as string)));
  return Buffer.concat([
    Buffer.from([(number << 3) | 2, 0x80 | (bytes.length & 127), bytes.length >> 7]),
    bytes,
  ]);
}
const int = (number: number, value: number) => Buffer.from([number << 3, value]);

/** A model with these initialisers and nothing else. */
const model = (...tensors: Buffer[]): Bytes =>
  new Uint8Array(Buffer.concat([int(1, 8), field(7, ...tensors.map((tensor) => field(5, tensor)))]));

/** A float32 tensor of `size` elements whose bytes are in another file. */
function external(entries: Record<string, string>, size = 2, name = 'w'): Buffer {
  const pairs = Object.entries(entries).map(([key, value]) => field(13, field(1, key), field(2, value)));
  return Buffer.concat([int(1, size), int(2, 1), field(8, name), ...pairs, int(14, 1)]);
}

const open = (bytes: Bytes, data = new Uint8Array(8)) =>
  openCheckpoint(
    inFolder(
      new Map([
        ['x.onnx', bytes],
        ['x.bin', data],
      ]),
      'x.onnx',
    ),
  );

describe('ONNX', () => {
  it('keeps its graph and the way to its external data', () => {
    const { onnx } = openFixture('external.onnx');
    expect(onnx!.model.graph.nodes.map(({ opType }) => opType)).toContain('Sin');
    expect(onnx!.external('external.bin', 100, undefined)).toHaveLength(8);
    expect(() => onnx!.external('external.bin', 100, 9)).toThrow(/ends at byte 108/);
  });

  it('external tensors are read in place', () => {
    const data = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);
    const bytes = model(external({ location: 'x.bin', offset: '8', length: '8' }));
    expect([...(entry(open(bytes, data).root, 'weights', 'w') as Tensor).read()]).toEqual([3, 4]);
  });

  it.each<[string, () => unknown, RegExp]>([
    ['missing data', () => open(model(external({ location: 'y.bin' }))), /y.bin does not exist/],
    [
      'no place for its data',
      () => open(model(external({}))),
      /does not say in which file the tensor "w" is/,
    ],
    [
      'too little data',
      () => open(model(external({ location: 'x.bin' }, 3))),
      /needs 12 bytes, but 8 are stored/,
    ],
    [
      'data past the end',
      () => open(model(external({ location: 'x.bin', offset: '4', length: '8' }))),
      /"x.bin" is too short for the tensor "w" of x.onnx/,
    ],
    ['a negative offset', () => open(model(external({ location: 'x.bin', offset: '-8' }))), /too short/],
    [
      'an offset that is no number',
      () => open(model(external({ location: 'x.bin', offset: 'here' }))),
      /too short/,
    ],
    [
      'a tensor of another size',
      () => open(model(external({ location: 'x.bin', length: '4' }))),
      /needs 8 bytes, but 4 are stored/,
    ],
    ['no folder', () => openBytes(fixtureBytes('external.onnx')), /names another file, "external.bin"/],
    [
      'no graph',
      () => openBytes(new Uint8Array(Buffer.concat([int(1, 8), field(2, 'x')]))),
      /holds no graph/,
    ],
  ])('is refused with %s', (_what, action, message) => {
    expectRefusal(action, message);
  });

  it('is refused when its tensors repeat the same bytes', () => {
    const tensors = Array.from({ length: 80 }, (_, i) =>
      external({ location: 'x.bin', length: '4194304' }, 0, `w${i}`),
    );
    // 2²⁰ elements each: 4 MB of data become 320 MB.
    const large = tensors.map((tensor) =>
      Buffer.concat([Buffer.from([8, 0x80, 0x80, 0x40]), tensor.subarray(2)]),
    );
    expectRefusal(() => open(model(...large), new Uint8Array(4 * 2 ** 20)), /repeat the same ones/);
  });

  it('reads data inside its folder only', () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'onnx-'));
    onTestFinished(() => fs.rmSync(folder, { recursive: true }));
    fs.mkdirSync(path.join(folder, 'model'));
    fs.writeFileSync(path.join(folder, 'secret'), new Uint8Array(8));
    fs.symlinkSync(path.join(folder, 'secret'), path.join(folder, 'model', 'link'));
    for (const location of ['../secret', path.join(folder, 'secret'), 'link', 'C:\\secret', '..\\secret']) {
      fs.writeFileSync(path.join(folder, 'model', 'x.onnx'), model(external({ location })));
      const source = fileSource(path.join(folder, 'model', 'x.onnx'));
      expectRefusal(() => openCheckpoint(source), /outside its own folder/);
      source.close();
    }
  });
});
