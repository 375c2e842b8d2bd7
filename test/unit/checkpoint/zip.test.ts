import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../../src/checkpoint/source';
import { ZipArchive } from '../../../src/checkpoint/zip';
import { expectRefusal, openBytes, torchZip } from './helpers/files';
import { emptyDict, program, proto, stop } from './helpers/pickle';
import { makeZip, type ZipFile, type ZipOptions } from './helpers/zip';

const data = Buffer.from('some bytes, some bytes, some bytes');
const open = (bytes: Uint8Array<ArrayBuffer>) => ZipArchive.open(bytesSource('a.pt', bytes));
const read = (files: ZipFile[], options?: ZipOptions) =>
  open(makeZip(files, options)).read(files.at(-1)!.name);
const pickle = program(proto(2), emptyDict, stop);

describe('zip archives', () => {
  it.each([false, true])('reads stored and deflated entries (%s)', (deflate) => {
    const archive = open(
      makeZip([
        { name: 'a/x', data, deflate },
        { name: 'a/', data: Buffer.alloc(0) },
      ]),
    );
    expect(Buffer.from(archive.read('a/x'))).toEqual(data);
    expect(archive.names).toEqual(['a/x']);
    expect(archive.warnings).toEqual([]);
  });

  it('reads parts of a stored entry', () => {
    const file = open(makeZip([{ name: 'x', data }])).open('x');
    expect(Buffer.from(file.read(5, 5)).toString()).toBe('bytes');
    expectRefusal(() => file.read(30, 5), /ends at byte 34/);
  });

  it('reads zip64 archives and long comments', () => {
    expect(Buffer.from(read([{ name: 'x', data }], { zip64: {} }))).toEqual(data);
    expect(Buffer.from(read([{ name: 'x', data }], { comment: 'PK\x05\x06'.repeat(1000) }))).toEqual(data);
  });

  it('tells what lies before and after an archive, and reads it all the same', () => {
    const archive = open(makeZip([{ name: 'x', data }], { before: Buffer.alloc(3), after: Buffer.alloc(5) }));
    expect(Buffer.from(archive.read('x'))).toEqual(data);
    expect(archive.warnings).toEqual([
      '5 bytes after the end of the archive were ignored.',
      '3 bytes before the start of the archive were ignored.',
    ]);
  });

  it('takes a check sum of 0 as not computed, as PyTorch can be told to write it', () => {
    const zero = { crc: 0 };
    expect(Buffer.from(read([{ name: 'x', data, central: zero, local: zero }]))).toEqual(data);
  });

  it.each<[string, ZipFile[], ZipOptions | undefined, RegExp]>([
    [
      'a wrong check sum',
      [{ name: 'x', data, central: { crc: 1 }, local: { crc: 1 } }],
      undefined,
      /wrong check sum/,
    ],
    [
      'a bomb',
      [{ name: 'x', data: new Uint8Array(64 * 2 ** 20), deflate: true }],
      undefined,
      /expands "x" from \d+ to 67108864 bytes/,
    ],
    ['a bomb that hides its size', bomb(), undefined, /cannot be expanded/],
    ['an entry longer than it says', lying({ size: 10 }), undefined, /cannot be expanded/],
    ['an entry shorter than it says', lying({ size: 100 }), undefined, /another size/],
    [
      'encryption',
      [{ name: 'x', data, central: { flags: 1 }, local: { flags: 1 } }],
      undefined,
      /is encrypted/,
    ],
    [
      'flipped flag bits',
      [{ name: 'x', data, central: { flags: 0x20 }, local: { flags: 0x20 } }],
      undefined,
      /flags/,
    ],
    [
      'an unknown method',
      [{ name: 'x', data, central: { method: 14 }, local: { method: 14 } }],
      undefined,
      /method 14/,
    ],
    [
      'two sizes',
      [{ name: 'x', data, central: { size: 5 }, local: { size: 5 } }],
      undefined,
      /two different sizes/,
    ],
    ['another local name', [{ name: 'x', localName: 'y', data }], undefined, /disagrees with the directory/],
    [
      'another local size',
      [{ name: 'x', data, local: { size: 3 } }],
      undefined,
      /disagrees with the directory/,
    ],
    [
      'another local method',
      [{ name: 'x', data, local: { method: 8 } }],
      undefined,
      /disagrees with the directory/,
    ],
    [
      'other local flags',
      [{ name: 'x', data, local: { flags: 0 } }],
      undefined,
      /disagrees with the directory/,
    ],
    [
      'no local header',
      [
        { name: 'x', data },
        { name: 'y', data, central: { offset: 66 } },
      ],
      undefined,
      /has no header/,
    ],
    [
      'duplicate names',
      [
        { name: 'x', data },
        { name: 'x', data },
      ],
      undefined,
      /two entries "x"/,
    ],
    [
      'overlapping entries',
      [
        { name: 'x', data },
        { name: 'y', data, central: { offset: 8 } },
      ],
      undefined,
      /overlap/,
    ],
    [
      'an entry over the directory',
      [{ name: 'x', data, central: { packed: 99, size: 99 } }],
      undefined,
      /outside/,
    ],
    [
      'an entry past the end',
      [{ name: 'x', data, central: { offset: 2 ** 31 } }],
      undefined,
      /outside the file/,
    ],
    ['names that lead out', [{ name: '../x', data }], undefined, /leads out of the archive/],
    ['inner names that lead out', [{ name: 'a/..\\..\\x', data }], undefined, /leads out of the archive/],
    ['absolute names', [{ name: '/etc/x', data }], undefined, /leads out of the archive/],
    ['drive names', [{ name: 'C:x', data }], undefined, /leads out of the archive/],
    ['a zip64 count that lies', [{ name: 'x', data }], { zip64: { entries: 2n ** 40n } }, /larger than any/],
    [
      'a zip64 count of one more',
      [{ name: 'x', data }],
      { zip64: { entries: 2n } },
      /does not fit|ends early/,
    ],
    ['a zip64 offset that lies', [{ name: 'x', data }], { zip64: { offset: 2n ** 63n } }, /does not fit/],
    ['a zip64 size that lies', [{ name: 'x', data }], { zip64: { bytes: 2n ** 62n } }, /does not fit/],
    [
      'a zip64 entry without its sizes',
      [{ name: 'x', data, central: { size: 0xffffffff } }],
      undefined,
      /outside/,
    ],
  ])('refuses %s', (_what, files, options, message) => {
    expectRefusal(() => read(files, options), message);
  });

  it('says that a half-written archive is half-written', () => {
    const whole = makeZip([{ name: 'x', data }]);
    for (let length = 4; length < whole.length; length++) {
      expectRefusal(() => open(whole.slice(0, length)), /only partly written or copied/);
    }
  });
});

describe('the checkpoint inside an archive', () => {
  it.each(['archive', 'model_best', 'a b.c', 'ω'])('may lie in any root folder: %s', (root) => {
    expect(openBytes(makeZip([{ name: `${root}/data.pkl`, data: pickle }])).format).toBe('pytorch-zip');
  });

  it('may have no folder', () => {
    expect(openBytes(makeZip([{ name: 'data.pkl', data: pickle }])).format).toBe('pytorch-zip');
  });

  it('is refused when there is none, or two', () => {
    expectRefusal(() => openBytes(makeZip([{ name: 'a/x', data }])), /zip archive without a checkpoint/);
    expectRefusal(
      () => openBytes(torchZip(pickle, [{ name: 'other/data.pkl', data: pickle }])),
      /two checkpoints, "archive\/data.pkl" and "other\/data.pkl"/,
    );
  });

  it('is not looked for in deeper folders', () => {
    expectRefusal(() => openBytes(makeZip([{ name: 'a/b/data.pkl', data: pickle }])), /without a checkpoint/);
  });
});

function bomb(): ZipFile[] {
  return [
    {
      name: 'x',
      data: new Uint8Array(64 * 2 ** 20),
      deflate: true,
      central: { size: 1000 },
      local: { size: 1000 },
    },
  ];
}

function lying(fields: { size: number }): ZipFile[] {
  return [{ name: 'x', data, deflate: true, central: fields, local: fields }];
}
