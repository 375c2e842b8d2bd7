/** Agreement of change with motion, against maps that agree by construction and maps that do not. */
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/tracing/random';
import { agreement, randomShifts, shifted } from '../../../src/tracing/video/motionChance';
import { sampledPairs } from '../../../src/worker/motionFinding';

const [height, width] = [24, 32];
const size = height * width;
/** A square that moves, at a row and a column. */
const square = (row: number, column: number) =>
  Float32Array.from({ length: size }, (_, p) => {
    const [y, x] = [Math.floor(p / width), p % width];
    return y >= row && y < row + 6 && x >= column && x < column + 6 ? 1 : 0;
  });
const shifts = randomShifts(199, height, width, seededRandom(3));

describe('agreement of change with motion', () => {
  it('is found where maps change where the picture moves', () => {
    const noise = seededRandom(5);
    const change = square(4, 20).map((v) => v + 0.5 * noise());
    const { observed, shifted: chance, pValue } = agreement([[change, square(4, 20)]], height, width, shifts);
    expect(observed).toBeGreaterThan(0.8);
    expect(Math.abs(chance)).toBeLessThan(0.1);
    expect(pValue).toBe(1 / 200);
  });

  it('is not found where they change elsewhere', () => {
    const { pValue, observed } = agreement([[square(4, 2), square(14, 20)]], height, width, shifts);
    expect(observed).toBeLessThan(0);
    expect(pValue).toBeGreaterThan(0.5);
  });

  it('leaves out frames in which nothing moves, and says so when there is no other', () => {
    const still = [square(4, 2), new Float32Array(size)] as const;
    const moving = [square(4, 2), square(4, 2)] as const;
    expect(agreement([still, moving], height, width, shifts).observed).toBeCloseTo(1, 9);
    expect(agreement([still], height, width, shifts)).toEqual({ observed: NaN, shifted: NaN, pValue: 1 });
  });

  it('moves maps around the frame, never by nothing', () => {
    const map = square(20, 30);
    expect([...shifted(map, height, width, [5, 4])]).toEqual(
      Array.from(map.keys(), (p) => {
        const [y, x] = [Math.floor(p / width), p % width];
        return map[((y + height - 5) % height) * width + ((x + width - 4) % width)];
      }),
    );
    expect(shifts.some(([y, x]) => y === 0 && x === 0)).toBe(false);
  });

  it.each([
    [16, [1, 8, 15]],
    [2, [1]],
    [3, [1, 2]],
    [1000, [1, 500, 999]],
  ])('of %i frames compares %j', (frames, expected) => {
    expect(sampledPairs(frames)).toEqual(expected);
  });
});
