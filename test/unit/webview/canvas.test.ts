/** What the canvas computes before it draws. */
import { describe, expect, it } from 'vitest';
import { arrange } from '../../../webview/canvas/grid';
import { errorMap, largest, paintMagnitude, paintOverlay } from '../../../webview/canvas/paint';
import { actualSize, fit, panBy, pixelAt, transformOf, zoomAt } from '../../../webview/canvas/viewTransform';
import { magnitudeMap, signedMap } from '../../../webview/shared/colourMaps';

describe('contact sheet', () => {
  it.each([
    [4, 300, 88, 0.75],
    [4000, 1200, 24, 1.5],
    [1, 80, 240, 1],
    [96, 517, 88, 0.5],
  ])('places %i maps side by side in %i pixels, and finds each again', (count, width, size, aspect) => {
    const grid = arrange(count, width, size, aspect);
    let [right, bottom] = [0, 0];
    for (let i = 0; i < count; i++) {
      const { x, y } = grid.place(i);
      expect(grid.hit(x + grid.mapWidth / 2, y + grid.tileHeight / 2)).toBe(i);
      right = Math.max(right, x + grid.mapWidth);
      bottom = Math.max(bottom, y + grid.tileHeight);
      if (i % grid.columns > 0) expect(x).toBeGreaterThan(grid.place(i - 1).x + grid.mapWidth);
    }
    if (width > size + 24) expect(right).toBeLessThanOrEqual(width);
    expect(bottom).toBeLessThanOrEqual(grid.height);
    expect(grid.mapWidth).toBeGreaterThanOrEqual(size);
  });

  it('finds nothing between and behind the maps', () => {
    const grid = arrange(5, 400, 88, 1);
    const { x, y } = grid.place(0);
    expect(grid.hit(x + grid.mapWidth + 3, y + 5)).toBe(-1);
    expect(grid.hit(0, 0)).toBe(-1);
    expect(grid.hit(grid.place(4).x + grid.mapWidth + 20, grid.place(4).y + 5)).toBe(-1);
    expect(grid.hit(x, y + 10 * grid.pitch)).toBe(-1);
  });
});

describe('zoom and pan', () => {
  const picture = { width: 256, height: 192 };
  const frame = { width: 800, height: 300 };

  it('shows the whole picture in the middle at first', () => {
    const { scale, x, y } = transformOf(fit, picture, frame);
    expect(scale).toBe(300 / 192);
    expect([x, y]).toEqual([200, 0]);
  });

  it('keeps the pixel under the pointer while zooming', () => {
    // As long as the frame is wider than the picture, the picture stays in the middle instead.
    let view = zoomAt(fit, picture, frame, 400, 150, 2.5);
    const at = [430, 120] as const;
    const before = pixelAt(transformOf(view, picture, frame), picture, ...at);
    for (let i = 0; i < 6; i++) view = zoomAt(view, picture, frame, ...at, 1.5);
    expect(view.zoom).toBeGreaterThan(5);
    expect(pixelAt(transformOf(view, picture, frame), picture, ...at)).toEqual(before);
  });

  it('never leaves the picture, and comes back to the whole', () => {
    let view = zoomAt(fit, picture, frame, 400, 150, 8);
    for (let i = 0; i < 50; i++) view = panBy(view, picture, frame, 100, 100);
    expect(pixelAt(transformOf(view, picture, frame), picture, 0, 0)).toEqual({ row: 0, column: 0 });
    expect(zoomAt(view, picture, frame, 0, 0, 1e-9).zoom).toBe(1);
  });

  it('goes to one picture pixel a screen pixel', () => {
    const large = { width: 4000, height: 3000 };
    expect(transformOf(actualSize(fit, large, frame), large, frame).scale).toBeCloseTo(1);
  });

  it('finds no pixel beside the picture', () => {
    const transform = transformOf(fit, picture, frame);
    expect(pixelAt(transform, picture, 199, 10)).toBeNull();
    expect(pixelAt(transform, picture, 200, 10)).toEqual({ row: 6, column: 0 });
    expect(pixelAt(transform, picture, 601, 10)).toBeNull();
  });
});

describe('painting', () => {
  const grey = (...values: number[]) => ({
    width: values.length,
    height: 1,
    rgba: Uint8ClampedArray.from(values.flatMap((v) => [v, v, v, 255])),
  });

  it('takes the largest magnitude, NaN aside', () => {
    expect(largest({ width: 3, height: 1, data: Float32Array.of(0.5, NaN, -2) })).toBe(2);
    expect(largest({ width: 1, height: 1, data: Float32Array.of(NaN) })).toBe(0);
  });

  it('measures the error between pictures of different size', () => {
    const { data } = errorMap(grey(0, 255, 0, 255), grey(0, 255));
    expect([...data]).toEqual([0, 1, 1, 0]);
  });

  it('gives zero and the limit the ends of the colour map', () => {
    const colours = magnitudeMap();
    const painted = paintMagnitude({ width: 3, height: 1, data: Float32Array.of(0, -1, 1) }, 1, colours);
    expect([...painted.subarray(0, 4)]).toEqual([...colours.subarray(0, 4)]);
    expect([...painted.subarray(4, 8)]).toEqual([...colours.subarray(1020, 1024)]);
    expect([...painted.subarray(8)]).toEqual([...colours.subarray(1020, 1024)]);
  });

  it('lets the picture through where nothing is contributed, and colours what is', () => {
    const map = { width: 3, height: 1, data: Float32Array.of(0, 1, -1) };
    const colours = signedMap('dark');
    const painted = paintOverlay(grey(100, 100, 100), map, 1, colours, 0.5);
    expect([...painted.subarray(0, 3)]).toEqual([100, 100, 100]);
    const [positive, negative] = [painted.subarray(4, 7), painted.subarray(8, 11)];
    expect(positive[0]).toBeGreaterThan(positive[2]);
    expect(negative[2]).toBeGreaterThan(negative[0]);
    const covered = paintOverlay(grey(100), { ...map, width: 1 }, 1, colours, 0);
    expect([...covered.subarray(0, 3)]).toEqual([100, 100, 100]);
  });
});
