import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawn, scrolledTo } from '../../../webview/rankings/window';

const rowHeight = 24;

describe('the rows drawn', () => {
  it('are those in sight and a few more, however long the list', () => {
    expect(drawn({ top: 0, height: 120 }, 100_000, rowHeight, 4)).toEqual({ from: 0, to: 9 });
    expect(drawn({ top: 1_200_010, height: 120 }, 100_000, rowHeight, 4)).toEqual({
      from: 49_996,
      to: 50_010,
    });
  });

  it('are none past the end, when the list has become shorter than what was scrolled', () => {
    expect(drawn({ top: 5000, height: 120 }, 3, rowHeight, 4)).toEqual({ from: 3, to: 3 });
    expect(drawn({ top: 0, height: 0 }, 0, rowHeight, 4)).toEqual({ from: 0, to: 0 });
  });
});

describe('scrolling to a row', () => {
  it('shows it whole, and does not move when it already is', () => {
    fc.assert(
      fc.property(
        fc.nat(100_000),
        fc.nat(2_400_000),
        fc.integer({ min: 24, max: 800 }),
        (row, top, height) => {
          const to = scrolledTo(row, { top, height }, rowHeight);
          expect(to).toBeLessThanOrEqual(row * rowHeight);
          expect(to + height).toBeGreaterThanOrEqual((row + 1) * rowHeight);
          expect(scrolledTo(row, { top: to, height }, rowHeight)).toBe(to);
          expect(drawn({ top: to, height }, 100_001, rowHeight, 0)).toSatisfy(
            ({ from, to }: { from: number; to: number }) => from <= row && row < to,
          );
        },
      ),
    );
  });

  it('shows its beginning where no row fits', () => {
    expect(scrolledTo(10, { top: 0, height: 10 }, rowHeight)).toBe(240);
  });
});
