import { describe, expect, it } from 'vitest';
import { pearson, ranks, spearman } from '../../../src/tracing/correlation';
import { greyOf, magnitude, opticalFlow, type Grey } from '../../../src/tracing/video/flow';

/** A smooth texture, sampled where the motion says. */
function texture(
  height: number,
  width: number,
  from: (row: number, column: number) => readonly [number, number],
): Grey {
  const data = new Float32Array(height * width);
  const waves = [
    [0.31, 0.12, 0.3],
    [0.17, -0.27, 1.1],
    [-0.09, 0.41, 2.0],
    [0.05, 0.07, 0.6],
    [0.44, 0.23, 4.2],
  ];
  for (let r = 0; r < height; r++) {
    for (let c = 0; c < width; c++) {
      const [y, x] = from(r, c);
      data[r * width + c] =
        0.5 + waves.reduce((sum, [a, b, phase]) => sum + 0.1 * Math.sin(a * x + b * y + phase), 0);
    }
  }
  return { height, width, data };
}

describe('optical flow', () => {
  it.each([
    [0.6, -0.4],
    [3, 2],
    [-6.5, 4],
  ])('finds a shift by %f columns and %f rows', (dx, dy) => {
    const [height, width] = [64, 96];
    const still = texture(height, width, (r, c) => [r, c]);
    const moved = texture(height, width, (r, c) => [r - dy, c - dx]);
    const flow = opticalFlow(still, moved);
    const inner: number[] = [];
    for (let r = 10; r < height - 10; r++) {
      for (let c = 10; c < width - 10; c++)
        inner.push(Math.hypot(flow.x[r * width + c] - dx, flow.y[r * width + c] - dy));
    }
    inner.sort((a, b) => a - b);
    expect(inner[Math.floor(inner.length / 2)]).toBeLessThan(0.1);
    expect(inner[Math.floor(0.95 * inner.length)]).toBeLessThan(0.5);
  });

  it('finds what moves before a still background', () => {
    const [height, width] = [64, 64];
    const inside = (r: number, c: number) => Math.hypot(r - 32, c - 32) < 14;
    const scene = (shift: number) =>
      texture(height, width, (r, c) => (inside(r, c - shift) ? [r + 50, c - shift + 80] : [r, c]));
    const lengths = magnitude(opticalFlow(scene(0), scene(2)));
    expect(lengths[32 * width + 32]).toBeGreaterThan(1.5);
    expect(lengths[32 * width + 32]).toBeLessThan(2.5);
    for (const corner of [5 * width + 5, 5 * width + 58, 58 * width + 5])
      expect(lengths[corner]).toBeLessThan(0.3);
  });

  it('sees no motion where there is none, and none in a blank picture', () => {
    const still = texture(40, 40, (r, c) => [r, c]);
    expect(Math.max(...magnitude(opticalFlow(still, still)))).toBeLessThan(1e-3);
    const blank = { height: 20, width: 33, data: new Float32Array(660).fill(0.4) };
    expect(Math.max(...magnitude(opticalFlow(blank, blank)))).toBeLessThan(1e-3);
  });

  it('takes pictures of one pixel, one row and any number of channels', () => {
    const one = { height: 1, width: 1, data: Float32Array.of(0.3) };
    expect(opticalFlow(one, one).x).toHaveLength(1);
    const row = { height: 1, width: 9, data: new Float32Array(9) };
    expect([...opticalFlow(row, row).y]).toEqual(new Array(9).fill(0));
    expect([...greyOf(Float32Array.of(1, 1, 1, 0, 0, 0), 1, 2, 3).data]).toEqual([1, 0]);
    expect([...greyOf(Float32Array.of(0.25, 0.5), 1, 2, 1).data]).toEqual([0.25, 0.5]);
  });
});

describe('correlation', () => {
  it('is 1 for a line, −1 for one that falls, and ranks ignore by how much', () => {
    const a = [1, 2, 3, 4, 5];
    expect(pearson(a, [2, 4, 6, 8, 10])).toBeCloseTo(1, 12);
    expect(spearman(a, [5, 4, 3, 2, -100])).toBeCloseTo(-1, 12);
    expect(spearman(a, [1, 10, 11, 500, 501])).toBeCloseTo(1, 12);
    expect(pearson(a, [1, 10, 11, 500, 501])).toBeLessThan(0.95);
  });

  it('agrees with SciPy where values are equal', () => {
    // scipy.stats.spearmanr([1, 2, 2, 3, 7, 7, 1], [3, 1, 4, 1, 5, 9, 2])
    expect([...ranks([1, 2, 2, 3])]).toEqual([1, 2.5, 2.5, 4]);
    expect(spearman([1, 2, 2, 3, 7, 7, 1], [3, 1, 4, 1, 5, 9, 2])).toBeCloseTo(0.49082490860702144, 10);
  });

  it('knows nothing of a constant', () => expect(pearson([1, 1], [1, 2])).toBeNaN());
});
