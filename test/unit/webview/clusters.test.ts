import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inside, nearest, Projection, towards, whole, type Place } from '../../../webview/clusters/plane';

/** UMAP's coordinates differ by more than the last bits of a float64, which no projection keeps apart. */
const coordinate = fc
  .double({ min: -1000, max: 1000, noNaN: true })
  .map((value) => Math.round(value * 1024) / 1024);
const places = fc.array(fc.record({ x: coordinate, y: coordinate }), { minLength: 1, maxLength: 60 });
const size = fc.integer({ min: 60, max: 2000 });

describe('the projection', () => {
  it('shows every point at first, upwards up', () => {
    fc.assert(
      fc.property(places, size, size, (points, width, height) => {
        const projection = new Projection(points, width, height, whole);
        for (const point of points) {
          const { x, y } = projection.toPixels(point);
          expect(x).toBeGreaterThan(0);
          expect(x).toBeLessThan(width);
          expect(y).toBeGreaterThan(0);
          expect(y).toBeLessThan(height);
        }
      }),
    );
    const [low, high] = [
      { x: 0, y: 0 },
      { x: 1, y: 1 },
    ];
    const projection = new Projection([low, high], 200, 200, whole);
    expect(projection.toPixels(high).y).toBeLessThan(projection.toPixels(low).y);
  });

  it('stretches one axis against the other twice at most', () => {
    const square = [
      { x: 0, y: 0 },
      { x: 1, y: 1 },
    ];
    const [a, b] = square.map((point) => new Projection(square, 1400, 200, whole).toPixels(point));
    expect(Math.abs(b.x - a.x)).toBeCloseTo(2 * Math.abs(b.y - a.y), 6);
  });

  it('keeps what is under the pointer there while zooming', () => {
    const points = [
      { x: -3, y: 2 },
      { x: 5, y: 9 },
    ];
    const before = new Projection(points, 400, 300, { zoom: 4, centreX: 0.5, centreY: 0.5 });
    const pixel = { x: 180, y: 160 };
    const after = new Projection(points, 400, 300, before.zoomed(1.7, pixel));
    expect(after.view.zoom).toBeCloseTo(6.8);
    const { x, y } = after.toPixels(before.toPlane(pixel));
    expect(x).toBeCloseTo(pixel.x, 6);
    expect(y).toBeCloseTo(pixel.y, 6);
  });

  it('follows a drag, and comes back to the whole when zoomed out', () => {
    const points = [
      { x: 0, y: 0 },
      { x: 10, y: 10 },
    ];
    const before = new Projection(points, 400, 300, { zoom: 5, centreX: 0.5, centreY: 0.5 });
    const after = new Projection(points, 400, 300, before.moved(30, -20));
    const place = { x: 5, y: 5 };
    expect(after.toPixels(place).x).toBeCloseTo(before.toPixels(place).x + 30, 6);
    expect(after.toPixels(place).y).toBeCloseTo(before.toPixels(place).y - 20, 6);
    expect(after.zoomed(0.01, { x: 3, y: 4 })).toEqual(whole);
  });
});

describe('picking', () => {
  it('finds the nearest point within reach', () => {
    const three = [
      { x: 0, y: 0 },
      { x: 10, y: 0 },
      { x: 10, y: 4 },
    ];
    expect(nearest(three, { x: 9, y: 1 }, 8)).toBe(1);
    expect(nearest(three, { x: 9, y: 3 }, 8)).toBe(2);
    expect(nearest(three, { x: 40, y: 0 }, 8)).toBe(-1);
  });

  it('knows what a lasso goes round, with a dent in it too', () => {
    const lasso = [
      { x: 0, y: 0 },
      { x: 10, y: 0 },
      { x: 10, y: 10 },
      { x: 5, y: 3 },
      { x: 0, y: 10 },
    ];
    expect(inside(lasso, { x: 2, y: 2 })).toBe(true);
    expect(inside(lasso, { x: 9, y: 7 })).toBe(true);
    expect(inside(lasso, { x: 5, y: 7 })).toBe(false);
    expect(inside(lasso, { x: 12, y: 2 })).toBe(false);
    expect(inside([], { x: 0, y: 0 })).toBe(false);
  });
});

describe('an arrow key', () => {
  const ahead: Readonly<Record<string, (from: Place, to: Place) => number>> = {
    ArrowLeft: (from, to) => from.x - to.x,
    ArrowRight: (from, to) => to.x - from.x,
    ArrowUp: (from, to) => from.y - to.y,
    ArrowDown: (from, to) => to.y - from.y,
  };

  it.each(Object.keys(ahead))('%s always leads on, until there is nothing ahead', (key) => {
    fc.assert(
      fc.property(places, (points) => {
        for (let from = 0; from < points.length; from++) {
          const to = towards(points, from, key)!;
          const hasAny = points.some((point) => ahead[key](points[from], point) > 0);
          if (hasAny) expect(ahead[key](points[from], points[to])).toBeGreaterThan(0);
          else expect(to).toBe(from);
        }
      }),
    );
  });

  it('prefers what lies straight ahead to what lies aside', () => {
    const points = [
      { x: 0, y: 0 },
      { x: 6, y: 0 },
      { x: 3, y: 5 },
    ];
    expect(towards(points, 0, 'ArrowRight')).toBe(1);
    expect(towards(points, 0, 'ArrowDown')).toBe(2);
  });

  it('is one of four', () => {
    expect(towards([{ x: 0, y: 0 }], 0, 'Home')).toBeNull();
    expect(towards([{ x: 0, y: 0 }], -1, 'ArrowUp')).toBe(0);
  });
});
