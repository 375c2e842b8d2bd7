/** Pictures to compare with: found beside the checkpoint, read, refused. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encode } from 'fast-png';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { neverCancelled, UsageError } from '../../../src/errors';
import { findTarget, readTarget } from '../../../src/worker/target';
import { Service } from '../../../src/worker/service';
import { traceFile } from '../../support';

const root = path.resolve(import.meta.dirname, '../../..');
const base = mkdtempSync(path.join(tmpdir(), 'neural-canvas-'));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(base, 'run-'));
  mkdirSync(path.join(folder, 'checkpoints'));
});
afterAll(() => rmSync(base, { recursive: true }));

const put = (name: string, bytes: Uint8Array | string = 'png') => {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return file;
};

describe('findTarget', () => {
  const find = () => findTarget(path.join(folder, 'checkpoints', 'cat.pth'));

  it('looks beside the checkpoint first, then one folder up', () => {
    expect(find()).toBeUndefined();
    const above = put('target.png');
    expect(find()).toBe(above);
    const beside = put('checkpoints/GT.png');
    expect(find()).toBe(beside);
  });

  it('takes a picture of the checkpoint’s own name, and no other', () => {
    put('checkpoints/dog.png');
    expect(find()).toBeUndefined();
    expect(path.basename(put('checkpoints/cat.png'))).toBe(path.basename(find()!));
  });

  it('does not choose between two', () => {
    put('checkpoints/target.png');
    put('checkpoints/cat.png');
    expect(find()).toBeUndefined();
  });
});

describe('readTarget', () => {
  it('reads 16 bit and grey pictures as 0 … 1', () => {
    const data = Uint16Array.of(0, 65535, 32768, 100);
    const file = put('grey.png', encode({ width: 2, height: 2, channels: 1, depth: 16, data }));
    const { width, height, channels, data: values } = readTarget(file);
    expect([width, height, channels]).toEqual([2, 2, 1]);
    expect([...values].map((v) => Math.round(v * 65535))).toEqual([...data]);
  });

  it.each([
    ['missing', undefined],
    ['empty', ''],
    ['no picture', 'hello'],
  ])('refuses one that is %s in a sentence', (name, content) => {
    const file = content === undefined ? path.join(folder, 'none.png') : put(`${name}.png`, content);
    expect(() => readTarget(file)).toThrow(UsageError);
    expect(() => readTarget(file)).toThrow(content === undefined ? /does not exist/ : /not a readable PNG/);
  });
});

const sample = path.join(root, 'samples/pictures/checkpoints/siren.pth');

describe('an inspection', () => {
  const inspect = (more: object) =>
    new Service().call('inspect', { file: sample, corrections: {}, ...more }, () => {}, neverCancelled);
  const coords = async (more: object) => {
    const found = await inspect(more);
    if ('notAnInr' in found) throw new Error(found.notAnInr.message);
    return found.assumptions.find(({ name }) => name === 'coords');
  };

  it('tries what the file does not say on a picture that is given, and on no other', async () => {
    expect(await coords({ target: path.join(root, 'samples/pictures/target.png') })).toMatchObject({
      value: 'rc-per-side',
      source: 'target',
    });
    expect((await coords({}))?.source).not.toBe('target');
  });
});

describe('a trace', () => {
  it('is scored against the picture it finds', async () => {
    const traced = await traceFile(new Service(), sample);
    expect(traced.target).toBe('target.png');
    expect(traced.psnr).toBeGreaterThan(39);
    // The picture tells the coordinate convention, which the file does not.
    expect(traced.inspection.assumptions.find(({ name }) => name === 'coords')?.source).toBe('target');
  });

  it('refuses a target of another size with both sizes', async () => {
    const target = put('small.png', encode({ width: 3, height: 2, channels: 1, data: new Uint8Array(6) }));
    const options = { file: sample, corrections: {}, method: 'xinc', memoryBudget: 0, target } as const;
    const trace = new Service().call('trace', { trace: 'a', options }, () => {}, neverCancelled);
    await expect(trace).rejects.toThrow(/2x3.*192x256/);
  });
});
