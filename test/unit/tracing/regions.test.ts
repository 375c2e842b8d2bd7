/** Regions against scikit-image, SciPy and scikit-learn (fixtures/tracing/make_clusters.py). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { CancelledError, neverCancelled } from '../../../src/errors';
import { sampleIndices, seededRandom } from '../../../src/tracing/random';
import { gaborResponses, kmeansCentres, partition, type PictureValues } from '../../../src/tracing/regions';

const reference = JSON.parse(
  readFileSync(path.resolve(import.meta.dirname, '../../fixtures/tracing/clusters.json'), 'utf8'),
) as {
  height: number;
  width: number;
  picture: number[];
  gabor: number[][];
  points: number[][];
  inertia: number;
};
const picture: PictureValues = {
  height: reference.height,
  width: reference.width,
  channels: 3,
  data: Float32Array.from(reference.picture),
};

const squares = (
  height: number,
  width: number,
  colour: (y: number, x: number) => number[],
): PictureValues => {
  const rows = Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => colour(y, x)),
  );
  return { height, width, channels: rows[0][0].length, data: Float32Array.from(rows.flat(2)) };
};

describe('gaborResponses', () => {
  it('equals convolution with skimage.filters.gabor_kernel', async () => {
    const responses = await gaborResponses(picture, neverCancelled);
    expect(responses.length).toBe(reference.gabor.length);
    for (const [f, response] of responses.entries()) {
      for (const [p, value] of response.entries()) expect(value).toBeCloseTo(reference.gabor[f][p], 5);
    }
  });

  it('has the first orientation only, as the released bank, when asked for', async () => {
    const responses = await gaborResponses(picture, neverCancelled, 1);
    expect(responses.length).toBe(6);
    for (const [f, response] of responses.entries()) {
      for (const [p, value] of response.entries()) expect(value).toBeCloseTo(reference.gabor[f][p], 5);
    }
  });

  it('takes pictures smaller than its filters', async () => {
    const responses = await gaborResponses(
      squares(1, 2, () => [0.5]),
      neverCancelled,
    );
    expect(responses.flatMap((r) => [...r]).every(Number.isFinite)).toBe(true);
  });
});

describe('kmeansCentres', () => {
  it('finds the optimum that scikit-learn finds', async () => {
    const centres = await kmeansCentres(reference.points, 3, 0, neverCancelled);
    const inertia = reference.points.reduce(
      (sum, [x, y]) => sum + Math.min(...centres.map(([cx, cy]) => (x - cx) ** 2 + (y - cy) ** 2)),
      0,
    );
    expect(inertia).toBeCloseTo(reference.inertia, 3);
  });
});

describe('partition', () => {
  const quarters = squares(40, 60, (y, x) => [y < 20 ? 0.1 : 0.9, x < 30 ? 0.2 : 0.8, 0.5]);

  it('finds the colours of a picture', async () => {
    const { regions, labels, areas } = await partition([quarters], 'color', 1, neverCancelled);
    expect(regions).toBe(4);
    expect([...areas]).toEqual([600, 600, 600, 600]);
    for (const [p, label] of labels.entries()) {
      const [y, x] = [Math.floor(p / 60), p % 60];
      expect(label).toBe(labels[(y < 20 ? 0 : 39) * 60 + (x < 30 ? 0 : 59)]);
    }
  });

  it('tells stripes from plain ground', async () => {
    const striped = squares(64, 64, (_, x) => [x < 32 ? 0.5 : x % 2]);
    const { labels } = await partition([striped], 'edge', 1, neverCancelled);
    const left = new Set<number>();
    const right = new Set<number>();
    for (const [p, label] of labels.entries()) {
      if (p % 64 < 20) left.add(label);
      if (p % 64 >= 44) right.add(label);
    }
    expect(left.size).toBe(1);
    expect([...left].some((label) => right.has(label))).toBe(false);
  });

  it('cuts a picture into cells of 16 pixels, and into no more than 64 a side', async () => {
    const small = await partition([quarters], 'space', 0, neverCancelled);
    expect(small.regions).toBe(12);
    expect([...small.areas]).toEqual([256, 256, 256, 192, 256, 256, 256, 192, 128, 128, 128, 96]);
    const long = await partition([squares(1, 5000, () => [0])], 'space', 0, neverCancelled);
    expect(long.regions).toBeLessThanOrEqual(64);
    expect(long.labels.at(-1)).toBe(long.regions - 1);
  });

  it('keeps colours of pictures that it reduces', async () => {
    const large = squares(600, 700, (y) => [y < 300 ? 0 : 1]);
    const { regions, areas } = await partition([large], 'color', 0, neverCancelled);
    expect(regions).toBe(2);
    expect([...areas].reduce((a, b) => a + b)).toBe(420_000);
  });

  it('gives the same regions for the same seed', async () => {
    const [a, b] = await Promise.all(
      [1, 1].map((seed) => partition([picture], 'edge', seed, neverCancelled)),
    );
    expect(a).toEqual(b);
  });

  it('makes one region of an even picture', async () => {
    for (const feature of ['color', 'edge'] as const) {
      const even = squares(20, 20, () => [0.5]);
      expect((await partition([even], feature, 0, neverCancelled)).regions).toBe(1);
    }
  });

  it('stops when cancelled', async () => {
    const cancel = {
      cancelled: true,
      throwIfCancelled() {
        throw new CancelledError();
      },
    };
    await expect(partition([picture], 'edge', 0, cancel)).rejects.toThrow(CancelledError);
  });
});

describe('seededRandom', () => {
  it('repeats itself and spreads evenly', () => {
    const [a, b] = [seededRandom(3), seededRandom(3)];
    const drawn = Array.from({ length: 4000 }, () => a());
    expect(drawn).toEqual(Array.from({ length: 4000 }, () => b()));
    const tenths = new Array<number>(10).fill(0);
    for (const value of drawn) tenths[Math.floor(10 * value)]++;
    for (const count of tenths) expect(Math.abs(count - 400)).toBeLessThan(80);
  });

  it('samples without repetition', () => {
    const sample = sampleIndices(50, 20, seededRandom(1));
    expect(new Set(sample).size).toBe(20);
    expect([...sample]).toEqual([...sample].sort((a, b) => a - b));
    expect(sample.at(-1)).toBeLessThan(50);
    expect([...sampleIndices(3, 5, seededRandom(1))]).toEqual([0, 1, 2]);
  });
});
