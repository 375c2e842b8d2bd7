/** What the contact sheet is drawn from, and the row of buttons above it. */
import { describe, expect, it } from 'vitest';
import { sharpMaps } from '../../../src/panels/sharpMaps';
import { colourIndex, reduce } from '../../../webview/shared/mapRenderer';
import { fitting } from '../../../webview/shared/overflow';

describe('reduced previews', () => {
  it('keep the mean, and the magnitude that a mean hides', () => {
    // Two maps of 8 × 4: an oscillation of ±100, and a constant.
    const data = new Uint8Array(64);
    for (let i = 0; i < 32; i++) data[i] = 128 + (i % 2 === 0 ? 100 : -100);
    data.fill(128 + 60, 32);
    const small = reduce({ width: 8, height: 4, data, limit: new Float32Array([1, 1]) });
    expect([small.width, small.height]).toEqual([2, 1]);
    const loud = Math.round((100 / 127) * 255);
    const constant = Math.round((60 / 127) * 255);
    expect([...small.data]).toEqual([128, loud, 128, loud, 188, constant, 188, constant]);
  });

  it('cover the last rows and columns of sizes that do not divide', () => {
    const small = reduce({
      width: 5,
      height: 6,
      data: new Uint8Array(30).fill(255),
      limit: new Float32Array(1),
    });
    expect([small.width, small.height]).toEqual([2, 2]);
    expect([...small.data]).toEqual([255, 255, 255, 255, 255, 255, 255, 255]);
  });
});

describe('gamma', () => {
  it('lifts weak values of both signs, and leaves zero and the ends', () => {
    for (const value of [1, 128, 255]) {
      expect(colourIndex(value, 1, true, 0.5)).toBe(colourIndex(value, 1, true));
    }
    expect(colourIndex(160, 1, true, 0.5)).toBeGreaterThan(colourIndex(160, 1, true));
    expect(colourIndex(96, 1, true, 0.5)).toBeLessThan(colourIndex(96, 1, true));
    expect(colourIndex(160, 1, false, 2)).toBeLessThan(colourIndex(160, 1, false));
  });
});

describe('sharp maps', () => {
  const map = { width: 6, height: 4, data: Float32Array.from({ length: 24 }, (_, i) => i - 8) };

  it('are whole where that many pixels are seen', () => {
    const { width, height, data, limit } = sharpMaps([map], 100);
    expect([width, height]).toEqual([6, 4]);
    expect(limit[0]).toBe(15);
    expect([...data].map((v) => Math.round(((v - 128) / 127) * 15))).toEqual([...map.data]);
  });

  it('are averages where fewer are', () => {
    const { width, height, data, limit } = sharpMaps([map], 3);
    expect([width, height]).toEqual([3, 2]);
    // Mean of rows 2–3 and columns 4–5.
    expect(limit[0]).toBe((16 + 17 + 22 + 23) / 4 - 8);
    expect(data[5]).toBe(255);
  });

  it('of dead neurons are zero', () => {
    expect([...sharpMaps([{ width: 2, height: 1, data: new Float32Array(2) }], 9).data]).toEqual([128, 128]);
    expect(sharpMaps([], 9).data.length).toBe(0);
  });
});

describe('a row of buttons', () => {
  it('shows all that fit', () => {
    expect(fitting([50, 50, 50], 154, 0)).toEqual([0, 1, 2]);
  });

  it('moves what does not fit into the menu, never the chosen one', () => {
    expect(fitting([50, 50, 50, 50], 153, 3)).toEqual([0, 3]);
    expect(fitting([50, 50, 50, 50], 130, -1)).toEqual([0, 1]);
    expect(fitting([50, 50, 50, 50], 20, 2)).toEqual([2]);
  });
});
