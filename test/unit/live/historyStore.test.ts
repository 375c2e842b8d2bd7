import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { figuresOf, halved, mapChange, mapOfPreviews, type TracedSave } from '../../../src/live/figures';
import { HistoryStore, leastMissed } from '../../../src/live/historyStore';
import { linuxOnBattery } from '../../../src/live/power';
import type { LayerTrace } from '../../../src/tracing/types';
import type { Inspection } from '../../../src/worker/protocol';

const folder = fs.mkdtempSync(path.join(tmpdir(), 'neural-canvas-history-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** A layer of two neurons with maps of 3 × 2 pixels. */
function layer(name: string, level: number): LayerTrace {
  const two = (value: number) => new Float64Array([value, 0]);
  return {
    name,
    kind: 'linear',
    neurons: 2,
    outputs: 3,
    activation: { kind: 'sine', omega: 30 } as unknown as LayerTrace['activation'],
    last: true,
    mapDefinition: 'C',
    statistics: {
      total: two(6 * level),
      share: two(1),
      mean: two(level),
      signedMean: two(level),
      max: two(level),
      pixels: new Uint32Array([6, 0]),
      dead: new Uint8Array([0, 1]),
    },
    distributedness: { gini: 0.5, neuronsFor50: 1, neuronsFor90: 1, effectiveNeurons: 1, dead: 1 },
    neuronsPerPixel: [],
    previews: {
      width: 3,
      height: 2,
      data: new Uint8Array([255, 255, 255, 255, 255, 255, 128, 128, 128, 128, 128, 128]),
      limit: new Float32Array([level, 0]),
    },
  };
}

const traced = (level: number): TracedSave => ({
  inspection: { file: '/x', title: 'SIREN' } as unknown as Inspection,
  picture: { width: 2, height: 1, rgba: new Uint8ClampedArray([level, 0, 0, 255, 0, level, 0, 255]) },
  layers: [layer('net.0', level), layer('net.1', 2 * level)],
  psnr: 20 + level,
});

const hash = (n: number) => n.toString(16).padStart(64, '0');
const saved = (n: number, modified = n * 1000) => ({
  sha256: hash(n).split('').reverse().join(''),
  bytes: 10,
  modified,
});
const uri = 'file:///run/model.pth';

describe('HistoryStore', () => {
  let root: string;
  let warnings: string[];
  const open = (saves = 100, bytes = 1e9) =>
    new HistoryStore(root, { saves: () => saves, bytes: () => bytes }, (text) => warnings.push(text));
  const add = (store: HistoryStore, n: number, level = n, key = uri) => {
    const { inspection, picture, layers } = traced(level);
    return store.add(key, figuresOf(saved(n), traced(level), undefined), { inspection, picture, layers });
  };
  const files = () =>
    fs.existsSync(root)
      ? fs.readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      : [];

  beforeEach(() => {
    root = path.join(fs.mkdtempSync(path.join(folder, 's-')), 'history');
    warnings = [];
  });

  it('finds saves again after a restart, oldest first, each content once', async () => {
    const store = open();
    for (const n of [2, 1, 3, 2]) await add(store, n);
    const again = open();
    const list = await again.list(uri);
    expect(list.map(({ savedAt, psnr, kept }) => [savedAt, psnr, kept])).toEqual([
      [1000, 21, true],
      [2000, 22, true],
      [3000, 23, true],
    ]);
    const past = await again.load(uri, list[1].id);
    const { inspection, picture, layers } = traced(2);
    expect(past).toEqual({ inspection, picture, layers });
    expect(await again.list('file:///other.pth')).toEqual([]);
  });

  it('keeps to its number of saves, and their ends longest', async () => {
    const store = open(4);
    for (const n of [1, 2, 3, 50, 99, 100]) await add(store, n);
    const times = (await store.list(uri)).map(({ savedAt }) => savedAt / 1000);
    expect(times).toHaveLength(4);
    expect(times[0]).toBe(1);
    expect(times.at(-1)).toBe(100);
    expect(times).toContain(50);
    expect(files()).toHaveLength(8);
  });

  it('keeps to its bytes: pictures go, figures stay', async () => {
    await add(open(), 1);
    const one = files().reduce(
      (sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size,
      0,
    );
    const store = open(100, 3.5 * one);
    for (let n = 2; n <= 6; n++) await add(store, n);
    const list = await store.list(uri);
    expect(list).toHaveLength(6);
    const kept = list.filter((save) => save.kept).length;
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(6);
    const total = files().reduce(
      (sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size,
      0,
    );
    expect(total).toBeLessThanOrEqual(3.5 * one);
    const gone = list.find((save) => !save.kept)!;
    expect(await store.load(uri, gone.id)).toBeUndefined();
    expect((await open().list(uri)).map(({ kept }) => kept)).toEqual(list.map(({ kept }) => kept));
  });

  it('drops what is damaged, and keeps the rest', async () => {
    const store = open();
    for (const n of [1, 2, 3, 4]) await add(store, n);
    const [a, b, c] = await store.list(uri);
    const at = files()[0].parentPath;
    fs.writeFileSync(path.join(at, `${a.id}.json`), '{"version":1,"id"');
    fs.writeFileSync(
      path.join(at, `${b.id}.bin`),
      fs.readFileSync(path.join(at, `${b.id}.bin`)).subarray(0, 60),
    );
    const flipped = fs.readFileSync(path.join(at, `${c.id}.bin`));
    flipped[flipped.length >> 1] ^= 0xff;
    fs.writeFileSync(path.join(at, `${c.id}.bin`), flipped);
    fs.writeFileSync(path.join(at, 'left.json.123.part'), 'x');
    const again = open();
    expect((await again.list(uri)).map(({ savedAt }) => savedAt)).toEqual([2000, 3000, 4000]);
    expect(await again.load(uri, b.id)).toBeUndefined();
    expect(await again.load(uri, c.id)).toBeUndefined();
    expect(await again.load(uri, '../../etc/passwd')).toBeUndefined();
    expect((await again.load(uri, (await again.list(uri))[2].id))?.picture.width).toBe(2);
    expect(warnings).toHaveLength(3);
    expect((await again.list(uri)).map(({ kept }) => kept)).toEqual([false, false, true]);
  });

  it('goes on without a disk to write to', async () => {
    fs.writeFileSync(path.dirname(root) + '/history', 'a file where the folder should be');
    const store = open();
    await add(store, 1);
    expect((await store.list(uri)).map(({ kept }) => kept)).toEqual([false]);
    expect(warnings).toHaveLength(1);
  });

  it('can be cleared', async () => {
    const store = open();
    await add(store, 1);
    await store.clear();
    expect(files()).toEqual([]);
    expect(await store.list(uri)).toEqual([]);
  });
});

describe('figures', () => {
  it('compare maps with those of the save before', () => {
    const figures = figuresOf(saved(1), traced(3), traced(2));
    // Every preview has grown by half.
    for (const { change } of figures.layers) expect(change).toBeCloseTo(0.5, 6);
    expect(figures).toMatchObject({ psnr: 23, neurons: 4, dead: 2, gini: 0.5 });
    expect(figuresOf(saved(1), traced(3), undefined).layers[0].change).toBeNull();
    const other = layer('net.0', 1).previews;
    expect(mapChange({ ...other, width: 2, height: 3 }, other)).toBeNull();
  });

  it('sum previews, and halve them', () => {
    const { previews } = layer('a', 4);
    expect([...mapOfPreviews(previews, [0, 1]).data]).toEqual(Array(6).fill(4));
    const half = halved(previews);
    expect([half.width, half.height, [...half.data]]).toEqual([2, 1, [255, 255, 128, 128]]);
  });

  it('give up the save whose neighbours are closest', () => {
    expect(leastMissed([0, 10, 11, 12, 30].map((savedAt) => ({ savedAt })))).toBe(2);
    expect(leastMissed([0, 1].map((savedAt) => ({ savedAt })))).toBe(0);
  });
});

describe('power', () => {
  const supplies = (all: Record<string, Record<string, string>>) => {
    const root = fs.mkdtempSync(path.join(folder, 'power-'));
    for (const [name, facts] of Object.entries(all)) {
      fs.mkdirSync(path.join(root, name));
      for (const [fact, value] of Object.entries(facts))
        fs.writeFileSync(path.join(root, name, fact), `${value}\n`);
    }
    return linuxOnBattery(root);
  };
  const battery = (status: string) => ({ type: 'Battery', status });

  it('is known from what the kernel says', async () => {
    expect(await supplies({ BAT0: battery('Discharging'), AC: { type: 'Mains', online: '0' } })).toBe(true);
    expect(await supplies({ BAT0: battery('Discharging'), AC: { type: 'Mains', online: '1' } })).toBe(false);
    expect(await supplies({ BAT0: battery('Full') })).toBe(false);
    expect(await supplies({ mouse: { ...battery('Discharging'), scope: 'Device' } })).toBeUndefined();
    expect(await supplies({})).toBeUndefined();
    expect(await linuxOnBattery(path.join(folder, 'nowhere'))).toBeUndefined();
  });
});
