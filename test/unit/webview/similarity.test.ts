/** SSIM and PSNR of the canvas, against scikit-image. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { likeness, ssimMap } from '../../../webview/canvas/ssim';

interface Reference {
  readonly height: number;
  readonly width: number;
  readonly a: number[];
  readonly b: number[];
  readonly ssim: number[];
  readonly psnr: number;
}

const file = path.resolve(import.meta.dirname, '../../fixtures/webview/ssim.json');
const reference = JSON.parse(readFileSync(file, 'utf8')) as Reference;

const picture = (rgb: readonly number[], { width, height }: Reference) => {
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) rgba.set(rgb.slice(3 * i, 3 * i + 3), 4 * i);
  return { width, height, rgba };
};

describe('how alike two pictures are', () => {
  const [a, b] = [picture(reference.a, reference), picture(reference.b, reference)];
  const map = ssimMap(a, b);

  it('is what scikit-image says, at every pixel', () => {
    const furthest = map.data.reduce((far, v, i) => Math.max(far, Math.abs(v - reference.ssim[i])), 0);
    expect(furthest).toBeLessThan(2e-4);
  });

  it('is measured as a whole and in a part', () => {
    const all = likeness(a, b, map, () => true)!;
    expect(all.psnr).toBeCloseTo(reference.psnr, 6);
    expect(all.pixels).toBe(reference.width * reference.height);
    const inside = (row: number, column: number) => row < 5 && column >= 20;
    const part = likeness(a, b, map, inside)!;
    const own = reference.ssim.filter((_, i) => inside(Math.floor(i / reference.width), i % reference.width));
    expect(part.pixels).toBe(own.length);
    expect(part.ssim).toBeCloseTo(own.reduce((x, y) => x + y, 0) / own.length, 4);
    expect(likeness(a, b, map, () => false)).toBeNull();
  });

  it('is perfect for equal pictures', () => {
    const same = likeness(a, a, ssimMap(a, a), () => true)!;
    expect(same.psnr).toBe(Infinity);
    expect(same.ssim).toBeCloseTo(1, 6);
  });

  it('compares pictures of different sizes at the size of the first', () => {
    const small = { width: 1, height: 1, rgba: new Uint8ClampedArray([255, 255, 255, 255]) };
    const white = { width: 4, height: 4, rgba: new Uint8ClampedArray(64).fill(255) };
    expect(likeness(white, small, ssimMap(white, small), () => true)!.psnr).toBe(Infinity);
  });
});
