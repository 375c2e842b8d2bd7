import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytesSource, fileSource, openSibling, sliceSource } from '../../../src/checkpoint/source';
import { expectRefusal } from './helpers/files';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'source-'));
  fs.mkdirSync(path.join(folder, 'run', 'part'), { recursive: true });
  write('run/a.bin', '0123456789');
  write('run/part/b.bin', 'inner');
  write('secret', 'secret');
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

const at = (name: string) => path.join(folder, name);
const write = (name: string, text: string) => fs.writeFileSync(at(name), text);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

describe('byte sources', () => {
  it('read parts of files, of bytes and of other sources', () => {
    const file = fileSource(at('run/a.bin'));
    expect([file.name, file.size, text(file.read(2, 3))]).toEqual(['a.bin', 10, '234']);
    const slice = sliceSource(file, 'slice', 4, 4);
    expect([slice.name, slice.size, text(slice.read(1, 2))]).toEqual(['slice', 4, '56']);
    const bytes = bytesSource('bytes', new Uint8Array([1, 2, 3]));
    expect([...bytes.read(1, 2)]).toEqual([2, 3]);
    file.close();
  });

  it.each([
    [0, 11],
    [-1, 2],
    [11, 0],
    [0, -1],
    [2 ** 53, 1],
    [NaN, 1],
    [0.5, 1],
  ])('refuse the range %d + %d', (offset, length) => {
    for (const source of [
      fileSource(at('run/a.bin')),
      bytesSource('b', new Uint8Array(10)),
      sliceSource(bytesSource('b', new Uint8Array(20)), 's', 0, 10),
    ]) {
      expectRefusal(() => source.read(offset, length), /ends at byte 10/);
    }
  });

  it('say what is wrong with a path', () => {
    expectRefusal(() => fileSource(at('none.pt')), /none.pt does not exist/);
    expectRefusal(() => fileSource(at('run')), /run is a folder; choose a checkpoint file inside it/);
    expectRefusal(() => fileSource('/dev/zero'), /zero is not a regular file/);
  });

  it('notice a file that was truncated, overwritten or closed', () => {
    const shrunk = fileSource(at('run/a.bin'));
    write('run/a.bin', '01');
    expectRefusal(() => shrunk.read(0, 5), /became shorter while it was read/);
    const changed = fileSource(at('run/a.bin'));
    write('run/a.bin', 'longer than before');
    expectRefusal(() => changed.read(0, 2), /was changed while it was read/);
    changed.close();
    expectRefusal(() => changed.read(0, 2), /was closed/);
  });

  it('still read a file that was replaced or deleted', () => {
    const file = fileSource(at('run/a.bin'));
    write('run/new', 'replacement');
    fs.renameSync(at('run/new'), at('run/a.bin'));
    expect(text(file.read(0, 10))).toBe('0123456789');
    file.close();
  });
});

describe('files that a file names', () => {
  it('are opened beside it and below, and closed with it', () => {
    const file = fileSource(at('run/a.bin'));
    const inner = openSibling(sliceSource(file, 's', 0, 1), 'part/b.bin');
    expect(text(inner.read(0, 5))).toBe('inner');
    file.close();
    expectRefusal(() => inner.read(0, 5), /was closed/);
  });

  it.each(['../secret', '/etc/passwd', 'part/../../secret', 'C:\\secret', '..\\secret', '', '.', 'a\0b'])(
    'are refused outside the folder: %j',
    (name) => {
      expectRefusal(() => openSibling(fileSource(at('run/a.bin')), name), /outside its own folder/);
    },
  );

  it('are refused when a link leads out', () => {
    fs.symlinkSync(at('secret'), at('run/link'));
    fs.symlinkSync(folder, at('run/up'));
    const file = fileSource(at('run/a.bin'));
    expectRefusal(() => openSibling(file, 'link'), /outside its own folder/);
    expectRefusal(() => openSibling(file, 'up/secret'), /outside its own folder/);
    expectRefusal(() => openSibling(file, 'missing'), /missing does not exist/);
  });

  it('are refused when there is no folder', () => {
    expectRefusal(() => openSibling(bytesSource('x', new Uint8Array(1)), 'y'), /names another file, "y"/);
  });
});
