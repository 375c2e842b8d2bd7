/** Files that are not what their names promise, disks that are full, folders that may not be written. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { fileSource } from '../../../src/checkpoint/source';
import { CheckpointError, neverCancelled, UsageError, UserError } from '../../../src/errors';
import { readRegularFile, replaceFile, writeWhole } from '../../../src/files';
import { correctionsFile } from '../../../src/worker/corrections';
import { Service } from '../../../src/worker/service';
import { findTarget, readTarget } from '../../../src/worker/target';
import { traceFile } from '../../support';

const root = path.resolve(import.meta.dirname, '../../..');
const coin = path.join(root, 'test/fixtures/inr/siren-coin.pt');
const top = fs.mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-faults-'));
let folder: string;
let file: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(top, 'case-'));
  file = path.join(folder, 'net.pt');
  fs.copyFileSync(coin, file);
});
afterAll(() => fs.rmSync(top, { recursive: true, force: true }));

const size = { size: '12x20' };
const windows = process.platform === 'win32';
const linux = process.platform === 'linux';

// Without the checks each of these waits for a writer that never comes, and the test for its time-out.
describe.skipIf(windows)('a named pipe', () => {
  const pipe = (name: string) => {
    execFileSync('mkfifo', [path.join(folder, name)]);
    return path.join(folder, name);
  };

  it('is no checkpoint', () => {
    expect(() => fileSource(pipe('pipe.pt'))).toThrow(CheckpointError);
    expect(() => readRegularFile(path.join(folder, 'pipe.pt'))).toThrow('not a regular file');
  });

  it('is no target: not when asked for, not when it lies there', async () => {
    const target = pipe('target.png');
    expect(() => readTarget(target)).toThrow(UsageError);
    expect(findTarget(file)).toBeUndefined();
    expect((await traceFile(new Service(), file, size)).psnr).toBeUndefined();
  });

  it('holds no corrections', async () => {
    pipe(path.basename(correctionsFile(file)));
    await expect(traceFile(new Service(), file, size)).rejects.toThrow(
      /net\.pt\.inr\.json cannot be read; correct it/,
    );
  });

  it('beside it is no configuration', async () => {
    pipe('config.yaml');
    pipe('args.json');
    expect((await traceFile(new Service(), file, size)).layers.length).toBeGreaterThan(1);
  });
});

describe('a checkpoint that goes away', () => {
  it('while it is traced is traced to the end: it was read', async () => {
    const service = new Service();
    const options = { file, corrections: size, method: 'xinc' as const, memoryBudget: 2 ** 30 };
    const emit = (event: { type: string }) => {
      if (event.type === 'inspected') fs.rmSync(file);
    };
    const result = await service.call('trace', { trace: 'a', options }, emit, neverCancelled);
    expect(result).toHaveProperty('layers');
    expect(fs.existsSync(file)).toBe(false);
    const again = service.call('trace', { trace: 'b', options }, emit, neverCancelled);
    await expect(again).rejects.toThrow('net.pt does not exist; check its name and folder.');
    // What was traced before is still there.
    const neuron = { layer: 0, neuron: 0 };
    const map = await service.call('map', { trace: 'a', neuron }, () => {}, neverCancelled);
    expect(map.data).toHaveLength(240);
  });

  it('while it is read, shorter or replaced in place, is said to have changed', () => {
    const source = fileSource(file);
    source.read(0, 16);
    fs.truncateSync(file, 100);
    expect(() => source.read(0, 16)).toThrow(/net\.pt became shorter while it was read; open it again\./);
    source.close();
    fs.copyFileSync(coin, file);
    const other = fileSource(file);
    fs.appendFileSync(file, 'more');
    expect(() => other.read(0, 16)).toThrow(/net\.pt was changed while it was read; open it again\./);
    other.close();
  });

  it.skipIf(windows)('by being replaced under its name is read on: the old one stays open', () => {
    const source = fileSource(file);
    const before = source.read(0, 64);
    fs.writeFileSync(`${file}.new`, 'something else');
    fs.renameSync(`${file}.new`, file);
    expect(source.read(0, 64)).toEqual(before);
    source.close();
  });
});

describe('names', () => {
  it('that are too long are said to be', async () => {
    const long = path.join(folder, `${'x'.repeat(300)}.pt`);
    await expect(traceFile(new Service(), long)).rejects.toThrow(/too long; shorten it|does not exist/);
  });

  it('as long as they may be are opened: no correction fits beside them', async () => {
    const long = path.join(folder, `${'x'.repeat(255 - 3)}.pt`);
    fs.copyFileSync(coin, long);
    expect((await traceFile(new Service(), long, size)).layers.length).toBeGreaterThan(1);
  });

  it.runIf(linux)('that are no UTF-8 are read', () => {
    const name = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe]), Buffer.from('.pt')]);
    fs.copyFileSync(coin, name);
    // A string cannot name it; what stands beside others must not disturb them.
    expect(findTarget(file)).toBeUndefined();
  });
});

describe('saving', () => {
  const save = (params: { maps?: string; reconstruction?: string }) => async (service: Service) => {
    await traceFile(service, file, size);
    return service.call('export', { trace: 'test', ...params }, () => {}, neverCancelled);
  };

  it.each(['maps.npz', 'picture.png', 'picture.npy'])('where it may not says so: %s', async (name) => {
    // A file where a folder is expected stops everybody, the administrator too.
    const place = path.join(file, name);
    const how = name.endsWith('.npz') ? { maps: place } : { reconstruction: place };
    const failed = save(how)(new Service());
    await expect(failed).rejects.toThrow(UserError);
    await expect(failed).rejects.toThrow(/could not be written \(E\w+\); choose another folder\./);
  });

  it('that fails leaves what stood there, and nothing half', async () => {
    const place = path.join(folder, 'maps.npz');
    fs.writeFileSync(place, 'before');
    const full = replaceFile(place, (descriptor) => {
      writeWhole(descriptor, Buffer.from('half'));
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    });
    await expect(full).rejects.toThrow('no space left');
    expect(fs.readFileSync(place, 'utf8')).toBe('before');
    expect(fs.readdirSync(folder).toSorted()).toEqual(['maps.npz', 'net.pt']);
  });

  it.runIf(linux)('on a full disk fails instead of writing less', () => {
    const full = fs.openSync('/dev/full', 'w');
    expect(() => writeWhole(full, new Uint8Array(10))).toThrow(/ENOSPC/);
    fs.closeSync(full);
  });

  it('from two windows at once to one name leaves one whole file', async () => {
    const place = path.join(folder, 'maps.npz');
    await Promise.all([new Service(), new Service()].map(save({ maps: place })));
    expect(fs.readdirSync(folder).toSorted()).toEqual(['maps.npz', 'net.pt']);
    expect(fs.readFileSync(place).subarray(0, 2).toString()).toBe('PK');
    expect(fs.readFileSync(place).includes(Buffer.from([0x50, 0x4b, 5, 6]))).toBe(true);
  });
});
