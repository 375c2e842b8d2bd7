/** Affinities and stable ranks against NumPy (fixtures/tracing/make_affinity.py). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { CancelledError, neverCancelled } from '../../../src/errors';
import { affinities, affinity, compare, preferences, sampledPartition } from '../../../src/tracing/affinity';
import { seededRandom } from '../../../src/tracing/random';
import type { Partition } from '../../../src/tracing/regions';
import { stableRank } from '../../../src/tracing/stableRank';

const reference = JSON.parse(
  readFileSync(path.resolve(import.meta.dirname, '../../fixtures/tracing/affinity.json'), 'utf8'),
) as {
  rows: number;
  columns: number;
  labels: number[];
  maps: number[][];
  delta: number[][];
  observed: number;
  scattered: { mean: number; sd: number };
  moved: { mean: number; sd: number };
  matrix: number[][];
  stableRank: number;
  imaginary: number[][];
  complexStableRank: number;
};
const { rows, columns } = reference;
const labels = Uint16Array.from(reference.labels);
const areas = new Uint32Array(4);
for (const label of labels) areas[label]++;
const partition: Partition = { regions: 4, labels, areas };
const data = Float32Array.from(reference.maps.flat());
const neurons = reference.maps.length;
const maps = { frames: 1, rows, columns, neurons, data };

describe('preferences', () => {
  it('equals the reference, and is no number for a dead neuron', () => {
    const delta = preferences(data, neurons, partition);
    const alive = [0, 1, 2, 4];
    for (const [k, i] of alive.entries()) {
      for (let g = 0; g < 4; g++) expect(delta[i * 4 + g]).toBeCloseTo(reference.delta[k][g], 6);
    }
    expect(delta.slice(12, 16).every(Number.isNaN)).toBe(true);
    const perNeuron = affinities(delta, 4);
    expect(perNeuron[1]).toBe(Math.max(...alive.map((i) => perNeuron[i])));
    expect(perNeuron[3]).toBeNaN();
  });
});

describe('affinity', () => {
  it('agrees with many random partitions drawn by NumPy', async () => {
    const found = await affinity(maps, partition, 400, seededRandom(3), neverCancelled);
    expect(found.observed).toBeCloseTo(reference.observed, 6);
    expect(found.neurons).toBe(4);
    for (const kind of ['scattered', 'moved'] as const) {
      const { mean, sd } = reference[kind];
      expect(Math.abs(found[kind].mean - mean)).toBeLessThan((4 * sd) / Math.sqrt(400));
      expect(found[kind].ratio).toBeCloseTo(found.observed / found[kind].mean, 12);
    }
    expect(found.scattered.pValue).toBeCloseTo(1 / 401, 12);
  });

  it('finds nothing in maps that know nothing of the regions', async () => {
    const random = seededRandom(5);
    const noise = { ...maps, data: data.map(() => random()) };
    const found = await affinity(noise, partition, 99, seededRandom(1), neverCancelled);
    expect(found.scattered.ratio).toBeGreaterThan(0.5);
    expect(found.scattered.ratio).toBeLessThan(2);
    expect(found.scattered.pValue).toBeGreaterThan(0.05);
  });

  it('does not take smoothness for affinity: regions elsewhere do as well', async () => {
    // A slope across the picture prefers any compact region to scattered pixels.
    const slope = Float32Array.from(
      { length: rows * columns },
      (_, p) => Math.sin((2 * Math.PI * ((p % columns) + 0.5)) / columns) + 1.5,
    );
    const found = await affinity(
      { rows, columns, frames: 1, neurons: 1, data: slope },
      partition,
      99,
      seededRandom(1),
      neverCancelled,
    );
    expect(found.scattered.ratio).toBeGreaterThan(2);
    expect(found.moved.ratio).toBeLessThan(1.6);
    expect(found.moved.pValue).toBeGreaterThan(0.05);
  });

  it('stays calm when everything is dead, and stops when told to', async () => {
    const dead = { ...maps, data: new Float32Array(data.length) };
    const found = await affinity(dead, partition, 9, seededRandom(1), neverCancelled);
    expect(found).toMatchObject({ observed: 0, neurons: 0, scattered: { ratio: 1, pValue: 1 } });
    const cancelled = {
      cancelled: true,
      throwIfCancelled() {
        throw new CancelledError();
      },
    };
    await expect(affinity(maps, partition, 9, seededRandom(1), cancelled)).rejects.toThrow(CancelledError);
  });

  it('counts the real partition among the random ones', () => {
    expect(compare(2, [1, 1, 1]).pValue).toBe(1 / 4);
    expect(compare(1, [2, 1, 0]).pValue).toBe(3 / 4);
  });
});

describe('sampledPartition', () => {
  it('keeps every n-th pixel and no empty region', () => {
    const whole: Partition = {
      regions: 3,
      labels: Uint16Array.from([0, 1, 2, 0, 1, 1, 2, 1, 2]),
      areas: Uint32Array.of(2, 4, 3),
    };
    const small = sampledPartition(whole, 3, 3, 2);
    expect([...small.labels]).toEqual([0, 1, 1, 1]);
    expect(small).toMatchObject({ regions: 2 });
    expect([...small.areas]).toEqual([1, 3]);
  });
});

describe('stableRank', () => {
  const matrix = Float32Array.from(reference.matrix.flat());
  const imaginary = Float32Array.from(reference.imaginary.flat());

  it('equals the ratio of norms by NumPy, complex matrices too', () => {
    expect(stableRank(matrix, 6, 40)).toBeCloseTo(reference.stableRank, 5);
    expect(stableRank(matrix, 6, 40, imaginary)).toBeCloseTo(reference.complexStableRank, 5);
  });

  it('is 1 for one direction and n for n equal ones', () => {
    expect(stableRank(Float32Array.of(1, 2, 3, 2, 4, 6), 2, 3)).toBeCloseTo(1, 6);
    expect(stableRank(Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1), 3, 3)).toBeCloseTo(3, 6);
    expect(stableRank(new Float32Array(6), 2, 3)).toBe(0);
  });
});
