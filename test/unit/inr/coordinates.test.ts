import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/errors';
import {
  commonConventions,
  conventionName,
  conventionParts,
  fillCoordinates,
  parseConvention,
} from '../../../src/inr/coordinates';
import type { CoordinateConvention } from '../../../src/inr/types';

/** First and second coordinate at a pixel. */
function at(convention: CoordinateConvention, height: number, width: number, row: number, column: number) {
  const out = new Float32Array(2);
  const pixel = row * width + column;
  fillCoordinates(convention, height, width, pixel, pixel + 1, out);
  return [...out];
}

const close = (actual: readonly number[], expected: readonly number[]) => {
  actual.forEach((value, i) => expect(value).toBeCloseTo(expected[i], 6));
};

describe('fillCoordinates', () => {
  // Expected values are written out from the code bases' own expressions.
  it.each([
    ['rc-per-side', [-1 + 2 * (3 / 9), -1 + 2 * (12 / 19)]], // SIREN: linspace(-1, 1, n) each
    ['xy-per-side', [-1 + 2 * (12 / 19), -1 + 2 * (3 / 9)]], // WIRE
    ['rc-longest', [(3 / 19 - 0.5) * 2, (12 / 19 - 0.5) * 2]], // XINC
    ['rc-height', [(3 / 9 - 0.5) * 2, (12 / 9 - 0.5) * 2]], // COIN
    ['xy-per-side-01-open', [12 / 20, 3 / 10]], // Tancik
    ['rc-per-side-01', [3 / 9, 12 / 19]], // COIN++
    ['rc-per-side-01-centres', [3.5 / 10, 12.5 / 20]], // functa
    ['rc-per-side-centres', [-1 + 7 / 10, -1 + 25 / 20]], // LIIF
    ['xy-longest-open', [-1 + 24 / 20, -1 + 6 / 20]],
  ] as const)('%s', (convention, expected) => {
    close(at(convention, 10, 20, 3, 12), expected);
  });

  it('gives a tile the same coordinates as the whole picture', () => {
    const whole = new Float32Array(2 * 77);
    fillCoordinates('rc-longest', 7, 11, 0, 77, whole);
    const tile = new Float32Array(2 * 30);
    fillCoordinates('rc-longest', 7, 11, 25, 55, tile);
    expect(tile.subarray(0, 30)).toEqual(whole.subarray(25, 55));
    expect(tile.subarray(30)).toEqual(whole.subarray(77 + 25, 77 + 55));
  });

  it('puts a single row at the start of the range', () => {
    close(at('rc-per-side', 1, 5, 0, 4), [-1, 1]);
    close(at('rc-height', 1, 5, 0, 4), [-1, -1]);
  });
});

describe('parseConvention', () => {
  it('takes every combination, in any case', () => {
    for (const order of ['rc', 'xy'] as const) {
      for (const scale of ['longest', 'per-side', 'height'] as const) {
        for (const unit of [false, true]) {
          for (const sampling of ['ends', 'open', 'centres'] as const) {
            const name = conventionName({ order, scale, unit, sampling });
            expect(parseConvention(` ${name.toUpperCase()} `)).toBe(name);
            expect(conventionParts(name)).toEqual({ order, scale, unit, sampling });
          }
        }
      }
    }
  });

  it('offers only conventions that it takes', () => {
    for (const name of commonConventions) expect(parseConvention(name)).toBe(name);
  });

  it.each(['', 'rc', 'yx-per-side', 'rc-width', 'rc-per-side-open-01', 'rc-per-side-02'])(
    'refuses “%s” and says what to write',
    (name) => {
      expect(() => parseConvention(name)).toThrow(UsageError);
      expect(() => parseConvention(name)).toThrow(/rc-per-side/);
    },
  );
});
