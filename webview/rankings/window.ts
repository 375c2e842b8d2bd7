/** Which rows of a long list are drawn, so that 100,000 cost no more than the few that are seen. */
export interface Viewport {
  /** Pixels scrolled. */
  readonly top: number;
  /** Pixels of rows that are seen, without the header. */
  readonly height: number;
}

/** Positions drawn, `to` excluded: those seen and `extra` more on both sides. */
export function drawn(
  { top, height }: Viewport,
  count: number,
  rowHeight: number,
  extra: number,
): { from: number; to: number } {
  const from = Math.max(0, Math.floor(top / rowHeight) - extra);
  const to = Math.min(count, Math.ceil((top + height) / rowHeight) + extra);
  return { from: Math.min(from, to), to };
}

/** Pixels to have scrolled for a position to be seen whole, moving as little as possible. */
export function scrolledTo(position: number, { top, height }: Viewport, rowHeight: number): number {
  const begin = position * rowHeight;
  // Where not even one row fits, its beginning is what counts.
  return Math.min(begin, Math.max(top, begin + rowHeight - height));
}
