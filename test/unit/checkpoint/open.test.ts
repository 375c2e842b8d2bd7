import { describe, expect, it } from 'vitest';
import { formats } from '../../../src/checkpoint/open';
import { expectRefusal, fixtures, openBytes, openFixture } from './helpers/files';
import fs from 'node:fs';
import path from 'node:path';

const bytes = (content: string | number[]) => new Uint8Array(Buffer.from(content as string, 'latin1'));

describe('files that are no checkpoints', () => {
  it.each<[string, Uint8Array<ArrayBuffer>, RegExp]>([
    ['an empty file', bytes(''), /^file.pt is empty; save or copy it again\.$/],
    ['text', bytes('These are my notes.\nThey end with a full stop.\n'), /is a text file, not a checkpoint/],
    ['text like a pickle', bytes('(see the other file).'), /is a text file, not a checkpoint/],
    [
      'text of another language',
      new Uint8Array(Buffer.from('これはチェックポイントではありません')),
      /is a text file/,
    ],
    [
      'a web page',
      bytes('\n<!DOCTYPE html><html><body>404</body></html>'),
      /is a web page, not a checkpoint/,
    ],
    ['XML', bytes('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), /is a web page/],
    [
      'a Git LFS pointer',
      bytes('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n'),
      /is a Git LFS pointer.*git lfs pull/,
    ],
    ['gzip', bytes('\x1f\x8b\x08\x00rest'), /is compressed; unpack it first/],
    ['zeros', new Uint8Array(5000), /begins with zeros only/],
    [
      'another binary',
      bytes('\x7fELF\x02\x01\x01\x00\x00\x00\xff\xfe'),
      /is not a checkpoint of a known format/,
    ],
    ['a picture', bytes('\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR'), /is not a checkpoint of a known format/],
    ['a short zip', bytes('PK\x03\x04\x14\x00'), /only partly written or copied/],
    ['one byte', bytes('\x80'), /is not a checkpoint of a known format/],
  ])('%s is told in one sentence', (_what, content, message) => {
    expectRefusal(() => openBytes(content), message);
  });
});

describe('formats', () => {
  it.each([
    ['dtypes.pt', 'pytorch-zip'],
    ['lightning.ckpt', 'pytorch-zip'],
    ['scripted.pt', 'torchscript'],
    ['dtypes-legacy.pth', 'pytorch-legacy'],
    ['tar.pth', 'pytorch-tar'],
    ['protocol0.pkl', 'pickle'],
    ['protocol5.pkl', 'pickle'],
  ])('are found by content: %s is %s', (name, format) => {
    expect(openFixture(name).format).toBe(format);
    expect(openBytes(new Uint8Array(fs.readFileSync(path.join(fixtures, name))), 'no-extension').format).toBe(
      format,
    );
    expect(formats.map(({ id }) => id)).toContain(format);
  });

  it('cut anywhere are refused with one sentence, never misread', () => {
    for (const name of [
      'dtypes.pt',
      'dtypes-legacy.pth',
      'tar.pth',
      'tensors.pkl',
      'protocol0.pkl',
      'protocol4.pkl',
    ]) {
      const whole = new Uint8Array(fs.readFileSync(path.join(fixtures, name)));
      // A tar archive is padded with zeros, which it can lose.
      const end = name === 'tar.pth' ? 2600 : whole.length;
      for (let length = 0; length < end; length += 1 + Math.floor(length / 40)) {
        expectRefusal(() => openBytes(whole.slice(0, length)), /./);
      }
    }
  });
});
