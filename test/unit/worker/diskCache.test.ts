/** Traces that are kept on disk: taken up again they answer as the first did. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { TraceOptions, TraceResult } from '../../../src/worker/protocol';
import { CancelledError, cancelWhen, neverCancelled } from '../../../src/errors';
import { Service } from '../../../src/worker/service';
import { traceFile } from '../../support';

const root = path.resolve(import.meta.dirname, '../../..');
const fixture = (name: string) => path.join(root, 'test/fixtures', name);
const samples = path.join(root, 'samples/pictures/checkpoints');
const siren = path.join(samples, 'siren.pth');
const size: Record<string, string> = { size: '24x36' };
const nerv = fixture('video/nerv.pt');

const top = fs.mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-cache-'));
afterAll(() => fs.rmSync(top, { recursive: true }));

let folder: string;
let warnings: string[];
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(top, 'traces-'));
  warnings = [];
});

const newService = () => new Service(undefined, undefined, (warning) => warnings.push(warning));

function trace(
  file: string,
  options: Partial<TraceOptions> = {},
  { bytes = 1e8, service = newService(), corrections = file.includes('video') ? {} : size } = {},
) {
  return traceFile(service, file, corrections, { cache: { folder, bytes }, ...options });
}

const files = () => fs.readdirSync(folder);

/** What a person can ask of a trace. */
async function answers(service: Service) {
  const ask = <K extends 'map' | 'sum' | 'probe' | 'neuronsPerPixel' | 'without'>(
    call: K,
    params: Omit<Parameters<typeof service.call<K>>[1], 'trace'>,
  ) =>
    service.call(
      call,
      { trace: 'test', ...params } as Parameters<typeof service.call<K>>[1],
      () => {},
      neverCancelled,
    );
  const neuron = { layer: 1, neuron: 1 };
  return Promise.all([
    ask('map', { neuron }),
    ask('sum', { layer: 1, neurons: [0, 2] }),
    ask('probe', { row: 3, column: 5, top: 4 }),
    ask('neuronsPerPixel', { layer: 0, alpha: 0.1 }),
    ask('neuronsPerPixel', { layer: 1, alpha: 0.3 }),
    ask('without', { neurons: [neuron], baseline: 'mean' }),
  ]);
}

describe.each([
  ['picture', siren, {}],
  ['picture, nothing fits into memory', siren, { memoryBudget: 0 }],
  ['gradient', siren, { method: 'gradient' }],
  ['ablation', siren, { method: 'ablation', baseline: 'mean' }],
  ['complex activations', fixture('inr/wire.pt'), {}],
  ['frame', nerv, { frame: 2 }],
  ['channels of a frame', nerv, { frame: 1, method: 'gradient' }],
  [
    'network over (t, row, column)',
    fixture('video/siren-time.pt'),
    { frame: 1, corrections: { size: '16x20', frames: '6' } },
  ],
] as const)('%s', (_, file, options) => {
  it('is the same when it is taken up', async () => {
    const [first, second] = [newService(), newService()];
    const made = await trace(file, options, { service: first });
    const found = await trace(file, options, { service: second });
    expect([made.restored, found.restored]).toEqual([false, true]);
    const lasting = ({ timings: _, restored: __, ...all }: TraceResult) => all;
    // Node's comparison is many times quicker on large arrays than the test framework's.
    expect(isDeepStrictEqual(lasting(found), lasting(made))).toBe(true);
    expect(isDeepStrictEqual(await answers(second), await answers(first))).toBe(true);
    expect(warnings).toEqual([]);
  });
});

it('every number of a trace, and nothing but its own, is sent', async () => {
  await trace(siren);
  const { layers } = await trace(siren);
  for (const { statistics, previews } of layers) {
    const values = Object.values(statistics) as ArrayBufferView[];
    for (const array of [...values, previews.data, previews.limit]) {
      expect(array.buffer.byteLength).toBe(array.byteLength);
    }
  }
});

describe.each([
  ['picture', siren, { frame: 0 }],
  ['frame', nerv, { frame: 2 }],
] as const)('groups of a %s', (_, file, options) => {
  it('are the same when their layout is taken up, and others when something else is asked', async () => {
    const cluster = async (features: 'edge' | 'space', clusters?: number) => {
      const service = newService();
      const { layers } = await trace(file, options, { service });
      const done: string[] = [];
      const asked = { features, seed: 0, layers: [...layers.keys()], ...(clusters && { clusters }) };
      const groups = await service.call(
        'cluster',
        { trace: 'test', options: asked },
        ({ detail }) => done.push(detail),
        neverCancelled,
      );
      return { groups, computed: done.includes('Comparing neurons by region') };
    };
    const made = await cluster('edge');
    const found = await cluster('edge');
    expect([made.computed, found.computed]).toEqual([true, false]);
    expect(isDeepStrictEqual(found.groups, made.groups)).toBe(true);
    expect((await cluster('edge', 3)).computed).toBe(false);
    expect((await cluster('space')).computed).toBe(true);
  });
});

it('what differs is traced anew', async () => {
  await trace(siren);
  expect((await trace(siren, {}, { corrections: { ...size, omega0: '20' } })).restored).toBe(false);
  expect((await trace(siren, {}, { corrections: { size: '12x18' } })).restored).toBe(false);
  expect((await trace(siren, { method: 'gradient' })).restored).toBe(false);
  expect((await trace(path.join(samples, 'siren_step0300.pth'))).restored).toBe(false);
  await trace(nerv, { frame: 1 });
  expect((await trace(nerv, { frame: 2 })).restored).toBe(false);
  expect((await trace(nerv, { frame: 1, layers: ['layers.1.conv.conv'] })).restored).toBe(false);
});

it('the network counts, not where its file lies', async () => {
  await trace(siren);
  const copy = path.join(top, 'copy.pth');
  fs.copyFileSync(siren, copy);
  expect((await trace(copy)).restored).toBe(true);
});

it('a damaged file is named, dropped and made again', async () => {
  for (const damage of [
    (bytes: Buffer) => bytes.subarray(0, bytes.length / 2),
    (bytes: Buffer) => bytes.subarray(0, 0),
    (bytes: Buffer) => {
      bytes[bytes.length - 9] ^= 1;
      return bytes;
    },
  ]) {
    await trace(siren);
    const file = path.join(folder, files()[0]);
    fs.writeFileSync(file, damage(fs.readFileSync(file)));
    expect((await trace(siren)).restored).toBe(false);
    expect(warnings.pop()).toMatch(/^A damaged trace in the cache was dropped: [0-9a-f]{64}\.trace\.$/);
    expect((await trace(siren)).restored).toBe(true);
    expect(warnings).toEqual([]);
  }
});

it('keeps to its bytes: the trace not used for longest goes first', async () => {
  const of = (frame: number, bytes: number) => trace(nerv, { frame }, { bytes });
  await of(0, 1e8);
  const each = fs.statSync(path.join(folder, files()[0])).size;
  const most = 4.5 * each;
  const age = (seconds: number) => {
    for (const name of files()) {
      const { mtimeMs } = fs.statSync(path.join(folder, name));
      fs.utimesSync(path.join(folder, name), 0, mtimeMs / 1000 - seconds);
    }
  };
  for (const frame of [1, 2, 3]) {
    age(10);
    await of(frame, most);
  }
  age(10);
  expect((await of(0, most)).restored).toBe(true);
  age(10);
  await of(4, most);
  expect(files()).toHaveLength(4);
  expect((await of(0, most)).restored).toBe(true);
  expect((await of(1, most)).restored).toBe(false);
});

it('keeps nothing that would take more than a quarter, and nothing at all when it may not', async () => {
  await trace(siren, {}, { bytes: 1000 });
  expect(files()).toEqual([]);
  await trace(siren);
  expect((await trace(siren, {}, { bytes: 0 })).restored).toBe(false);
  expect(files()).toHaveLength(1);
});

it('removes what a window left that was closed while it wrote', async () => {
  const old = path.join(folder, 'a.trace.1-1.part');
  const young = path.join(folder, 'b.trace.1-1.part');
  for (const file of [old, young]) fs.writeFileSync(file, 'x');
  fs.utimesSync(old, 0, 0);
  await trace(siren);
  expect(files()).toContain('b.trace.1-1.part');
  expect(files()).not.toContain('a.trace.1-1.part');
});

it('a folder that cannot be written is named, and the trace goes on', async () => {
  fs.writeFileSync(path.join(folder, 'file'), '');
  const result = await trace(siren, { cache: { folder: path.join(folder, 'file'), bytes: 1e8 } });
  expect(result.layers.length).toBeGreaterThan(1);
  expect(warnings.at(-1)).toMatch(/^The trace could not be written to the cache: .*(ENOTDIR|EEXIST)/);
});

it('two at once', async () => {
  await Promise.all([trace(siren), trace(siren)]);
  expect(files()).toHaveLength(1);
  expect((await trace(siren)).restored).toBe(true);
  expect(warnings).toEqual([]);
});

it('a trace that is closed while its activations are computed stops that', async () => {
  const service = newService();
  await trace(siren, {}, { service });
  const map = service.call(
    'map',
    { trace: 'test', neuron: { layer: 1, neuron: 0 } },
    () => {},
    neverCancelled,
  );
  const outcome = expect(map).rejects.toThrow(CancelledError);
  await service.call('close', { trace: 'test' }, () => {}, neverCancelled);
  await outcome;
  expect((await trace(siren, {}, { service })).layers.length).toBeGreaterThan(1);
});

it('a cancelled trace is not kept', async () => {
  let looks = 0;
  const options = {
    file: siren,
    corrections: size,
    method: 'xinc',
    memoryBudget: 2 ** 28,
    cache: { folder, bytes: 1e8 },
  } as const;
  const traced = newService().call(
    'trace',
    { trace: 'a', options },
    (event) => event.type === 'reconstruction' && looks++,
    cancelWhen(() => looks > 0),
  );
  await expect(traced).rejects.toThrow(CancelledError);
  expect(files()).toEqual([]);
});
