/** Marked regions against NumPy and scikit-image (fixtures/tracing/make_regions.py), and of a traced network. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { neverCancelled } from '../../../src/errors';
import {
  maskOf,
  regionStatistics,
  type Region,
  type RegionStatistics,
} from '../../../src/tracing/regionMask';
import { Service } from '../../../src/worker/service';
import { traceFile } from '../../support';

const root = path.resolve(import.meta.dirname, '../../..');

interface Expected {
  mask: number[];
  total: number[];
  share: number[];
  affinity: number[];
}
const reference = JSON.parse(readFileSync(path.join(root, 'test/fixtures/tracing/regions.json'), 'utf8')) as {
  height: number;
  width: number;
  maps: number[][];
  outline: [number, number][];
  lasso: Expected;
  rectangle: Expected & { row: number; column: number; height: number; width: number };
};
const { height, width, maps } = reference;

describe('against NumPy', () => {
  const { row, column, height: rows, width: columns } = reference.rectangle;
  it.each<[string, Region, Expected]>([
    ['an outline that crosses itself', { kind: 'lasso', points: reference.outline }, reference.lasso],
    ['a rectangle', { kind: 'rectangle', row, column, height: rows, width: columns }, reference.rectangle],
  ])('%s', async (_, region, expected) => {
    const mask = maskOf(region, height, width, undefined);
    expect([...mask.data]).toEqual(expected.mask);
    expect(mask.area).toBe(expected.mask.reduce((a, b) => a + b));

    const runs = {
      eachRun(_layer: number, _cancel: unknown, visit: (n: number, s: number, v: Float32Array) => void) {
        // Two tiles of different lengths.
        for (const [start, end] of [
          [0, 100],
          [100, height * width],
        ]) {
          maps.forEach((map, neuron) => visit(neuron, start, Float32Array.from(map.slice(start, end))));
        }
        return Promise.resolve();
      },
    };
    const totals = Float64Array.from(maps, (map) => map.reduce((sum, v) => sum + Math.abs(v), 0));
    const found = await regionStatistics(runs, 0, mask, totals, neverCancelled);
    for (const name of ['total', 'share', 'affinity'] as const) {
      for (const [i, value] of expected[name].entries()) expect(found[name][i]).toBeCloseTo(value, 5);
    }
  });

  it('is cut off at the borders, whatever was drawn', () => {
    const all: Region = { kind: 'rectangle', row: -5, column: -5, height: 1e9, width: 1e9 };
    expect(maskOf(all, height, width, undefined).area).toBe(height * width);
    const outside: Region = { kind: 'rectangle', row: 99, column: 99, height: 5, width: 5 };
    expect(maskOf(outside, height, width, undefined).area).toBe(0);
    expect(maskOf({ kind: 'lasso', points: [] }, height, width, undefined).area).toBe(0);
  });
});

describe('of a traced network', () => {
  const service = new Service();
  const folder = mkdtempSync(path.join(tmpdir(), 'neural-canvas-'));
  const checkpoint = path.join(root, 'samples/pictures/checkpoints/siren.pth');
  let size: { width: number; height: number };
  const measure = async (region: Region) => {
    const layers: RegionStatistics[] = [];
    const { area } = await service.call(
      'region',
      { trace: 'test', region, first: 3 },
      (event) => {
        if (event.type === 'layer') layers[event.layer] = event.statistics;
      },
      neverCancelled,
    );
    return { area, layers };
  };
  const maskFile = (name: string, channels: 1 | 3, value: (x: number, y: number) => number[]) => {
    const data = new Uint8Array(size.width * size.height * channels);
    for (let y = 0, at = 0; y < size.height; y++) {
      for (let x = 0; x < size.width; x++) for (const v of value(x, y)) data[at++] = v;
    }
    const file = path.join(folder, name);
    writeFileSync(file, encode({ ...size, channels, data }));
    return path.relative(path.dirname(checkpoint), file);
  };

  beforeAll(async () => {
    const { inspection } = await traceFile(service, checkpoint);
    size = { width: inspection.signal.width, height: inspection.signal.height };
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('regions that divide the picture add up to every neuron’s total', async () => {
    const half = Math.round(size.width / 2);
    const part = (column: number, columns: number): Region => ({
      kind: 'rectangle',
      row: 0,
      column,
      height: size.height,
      width: columns,
    });
    const [left, right, whole] = [
      await measure(part(0, half)),
      await measure(part(half, size.width - half)),
      await measure(part(0, size.width)),
    ];
    expect(left.area + right.area).toBe(whole.area);
    for (const layer of whole.layers.keys()) {
      whole.layers[layer].total.forEach((total, i) => {
        const sum = left.layers[layer].total[i] + right.layers[layer].total[i];
        expect(sum).toBeCloseTo(total, 6);
        expect(Math.abs(whole.layers[layer].affinity[i])).toBeLessThan(1e-9);
      });
    }
  });

  it('a segment holds the pixel that was clicked, and all that are labelled like it', async () => {
    for (const feature of ['color', 'edge', 'space'] as const) {
      const by = { trace: 'test', by: { feature } };
      const { labels } = await service.call('segments', by, () => {}, neverCancelled);
      const label = labels[40 * size.width + 60];
      const { area } = await measure({ kind: 'segment', feature, row: 40, column: 60 });
      expect(area).toBe(labels.filter((other) => other === label).length);
    }
  });

  it('takes an object out of a mask, grey or in colours, or all of them', async () => {
    const grey = maskFile('grey.png', 1, (x, y) => [y < 10 ? (x < 20 ? 7 : 2) : 0]);
    const clicked = await measure({ kind: 'mask', file: grey, pixel: { row: 3, column: 5 } });
    expect(clicked.area).toBe(200);
    const all = await measure({ kind: 'mask', file: grey, pixel: null });
    expect(all.area).toBe(10 * size.width);
    const colours = maskFile('colours.png', 3, (x, y) =>
      y < 10 ? (x < 20 ? [9, 9, 0] : [0, 9, 9]) : [0, 0, 0],
    );
    expect((await measure({ kind: 'mask', file: colours, pixel: { row: 3, column: 5 } })).area).toBe(200);
  });

  it('says what is wrong with a region or a mask', async () => {
    await expect(measure({ kind: 'rectangle', row: 0, column: 0, height: 0, width: 0 })).rejects.toThrow(
      /no pixel; draw a larger one/,
    );
    writeFileSync(
      path.join(folder, 'small.png'),
      encode({ width: 2, height: 2, channels: 1, data: new Uint8Array(4) }),
    );
    writeFileSync(path.join(folder, 'text.png'), 'no picture');
    const of = (name: string): Region => ({
      kind: 'mask',
      file: path.relative(path.dirname(checkpoint), path.join(folder, name)),
      pixel: null,
    });
    await expect(measure(of('small.png'))).rejects.toThrow(/small.png is 2x2, but the network paints/);
    await expect(measure(of('text.png'))).rejects.toThrow(/not a readable PNG/);
    await expect(measure(of('none.png'))).rejects.toThrow(/none.png is not a readable PNG/);
  });
});
