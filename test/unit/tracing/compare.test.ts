/** Comparison of two checkpoints against NumPy and SciPy (fixtures/tracing/make_compare.py). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { CancelledError, neverCancelled } from '../../../src/errors';
import { assign } from '../../../src/tracing/compare/assignment';
import type { Comparison } from '../../../src/tracing/compare/compare';
import { Service } from '../../../src/worker/service';

const root = path.resolve(import.meta.dirname, '../../..');
const folder = path.join(root, 'test/fixtures/tracing/compare');

interface Expected {
  psnr: number;
  largest: number;
  layers: {
    gini: [number, number];
    byPlace: number;
    best: number;
    partner: number[];
    correlation: number[];
    difference: number[];
    moved: number[];
    swapByPlace: number | null;
  }[];
}
const reference = JSON.parse(readFileSync(path.join(folder, 'compare.json'), 'utf8')) as {
  orders: number[][];
  pruned: Expected;
  other: Expected;
  assignment: { values: number[][]; columns: number[] };
};

const service = new Service();
const traced = new Set<string>();
async function trace(file: string): Promise<string> {
  if (traced.has(file)) return file;
  const options = { file, corrections: {}, method: 'xinc' as const, memoryBudget: 2 ** 28 };
  const result = await service.call('trace', { trace: file, options }, () => {}, neverCancelled);
  if ('notAnInr' in result) throw new Error(result.notAnInr.message);
  traced.add(file);
  return file;
}
const fixture = (name: string) => path.join(folder, `${name}.pth`);
const compare = async (a: string, b: string, cancel = neverCancelled): Promise<Comparison> =>
  service.call('compare', { a: await trace(a), b: await trace(b) }, () => {}, cancel);

const byA = ({ pairs }: Comparison['layers'][number]) => pairs.toSorted((x, y) => x.a - y.a);

describe('assign', () => {
  const { values, columns } = reference.assignment;
  it('finds the assignment that SciPy finds', () => {
    expect([...assign(Float64Array.from(values.flat()), 40, 57)]).toEqual(columns);
  });

  it('leaves rows over when there are more than columns', () => {
    const turned = Float64Array.from({ length: 57 * 40 }, (_, k) => values[k % 40][Math.floor(k / 40)]);
    const found = [...assign(turned, 57, 40)];
    expect(found.filter((column) => column < 0)).toHaveLength(17);
    columns.forEach((column, row) => expect(found[column]).toBe(row));
  });

  it('takes nothing, one, and all the same', () => {
    expect([...assign(new Float64Array(0), 0, 0)]).toEqual([]);
    expect([...assign(Float64Array.of(3), 1, 1)]).toEqual([0]);
    expect([...assign(new Float64Array(25), 5, 5)].sort()).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('a pruned copy', () => {
  let found: Comparison;
  beforeAll(async () => (found = await compare(fixture('base'), fixture('pruned'))));

  it('differs in its picture and per layer as NumPy computes', () => {
    const expected = reference.pruned;
    expect(found.output!.psnr).toBeCloseTo(expected.psnr, 3);
    expect(found.output!.largest).toBeCloseTo(expected.largest, 4);
    expect(found.sample).toBe(found.pixels);
    for (const [k, layer] of found.layers.entries()) {
      const wanted = expected.layers[k];
      expect(layer.matched).toBe('identity');
      expect(layer.gini[0]).toBeCloseTo(wanted.gini[0], 5);
      expect(layer.gini[1]).toBeCloseTo(wanted.gini[1], 5);
      for (const [i, pair] of byA(layer).entries()) {
        expect(pair.b).toBe(i);
        expect(pair.correlation).toBeCloseTo(wanted.correlation[i], 4);
        expect(pair.difference).toBeCloseTo(wanted.difference[i], 4);
        expect(pair.moved).toBeCloseTo(wanted.moved[i], 4);
      }
    }
  });

  it('shows which layer was pruned: only that one costs anything when it is swapped in', () => {
    const costs = found.layers.map(({ swap }) => swap!.likeness);
    costs.forEach((likeness, k) => {
      if (k === 2) expect(likeness).toBeCloseTo(reference.pruned.layers[2].swapByPlace!, 2);
      else expect(likeness).toBe(Infinity);
    });
    // In front of it nothing moved.
    for (const { difference } of [...found.layers[0].pairs, ...found.layers[1].pairs])
      expect(difference).toBe(0);
    expect(found.layers[3].pairs[0].difference).toBeGreaterThan(0.01);
  });
});

describe('a shuffled copy, some of its units with their signs turned', () => {
  it('is matched neuron by neuron, and costs nothing layer by layer', async () => {
    const { output, layers } = await compare(fixture('base'), fixture('shuffled'));
    expect(output!.psnr).toBeGreaterThan(100);
    for (const [k, layer] of layers.entries()) {
      expect(layer.matched).toBe(k === 0 ? 'identity' : 'assignment');
      for (const { a, b, correlation } of layer.pairs) {
        expect(reference.orders[k][b]).toBe(a);
        expect(Math.abs(correlation!)).toBeCloseTo(1, 4);
        if (k === layers.length - 1) expect(correlation).toBeGreaterThan(0);
      }
      expect(layer.swap!.likeness).toBeGreaterThan(90);
    }
  });
});

describe('another seed', () => {
  it('is matched by the assignment of SciPy where that is much better than by place', async () => {
    const { layers, output } = await compare(fixture('base'), fixture('other'));
    expect(output!.psnr).toBeCloseTo(reference.other.psnr, 3);
    for (const [k, layer] of layers.entries()) {
      const wanted = reference.other.layers[k];
      expect(byA(layer).map(({ b }) => b)).toEqual(wanted.partner);
      expect(layer.reason).toContain(wanted.best.toFixed(2));
      for (const [i, pair] of byA(layer).entries()) {
        expect(pair.correlation).toBeCloseTo(wanted.correlation[i], 4);
      }
    }
  });
});

describe('a network with dead neurons and itself', () => {
  it('is the same: pairs of dead neurons count for nothing', async () => {
    const file = path.join(root, 'samples/pictures/checkpoints/fourier.pth');
    const id = await trace(file);
    const { layers } = await service.call('compare', { a: id, b: id }, () => {}, neverCancelled);
    expect(layers.some(({ dead }) => dead[0] > 0)).toBe(true);
    for (const layer of layers) {
      expect(layer.matched).toBe('identity');
      expect(layer.meanCorrelation).toBeCloseTo(1, 4);
      expect(layer.swap!.likeness).toBe(Infinity);
    }
  });
});

describe('what does not fit', () => {
  it('other sizes: compared as far as possible, and one sentence each says what not', async () => {
    const found = await compare(fixture('base'), fixture('wide'));
    expect(found.output).toBeNull();
    expect(found.notCompared).toHaveLength(2);
    expect(found.notCompared.join(' ')).toMatch(/24x32.*16x20.*not built alike/s);
    const hidden = found.layers[1];
    expect(hidden.neurons).toEqual([16, 24]);
    expect(hidden.pairs).toHaveLength(16);
    expect(hidden.unmatched[0]).toEqual([]);
    expect(hidden.unmatched[1]).toHaveLength(8);
    expect(found.layers.every(({ swap }) => swap === undefined)).toBe(true);
  });

  it('other architectures: layers from the last one back', async () => {
    const other = path.join(root, 'test/fixtures/inr/tancik.pt');
    const { layers, notCompared } = await compare(fixture('base'), other);
    expect(layers.length).toBeGreaterThan(1);
    expect(notCompared.length).toBeGreaterThan(0);
  });

  it('stops when cancelled', async () => {
    const cancel = {
      cancelled: true,
      throwIfCancelled() {
        throw new CancelledError();
      },
    };
    await trace(fixture('base'));
    await expect(compare(fixture('base'), fixture('base'), cancel)).rejects.toThrow(CancelledError);
  });
});
