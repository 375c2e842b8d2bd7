import type { Size } from './viewTransform';

/** A run of a boundary between pixel corners. */
export type Edge = readonly [x0: number, y0: number, x1: number, y1: number];

/**
 * Borders between pixels inside and outside, joined to runs along rows and columns.
 * @returns null when there are more than `most`
 */
export function borders(inside: Uint8Array, { width, height }: Size, most: number): Edge[] | null {
  const edges: Edge[] = [];
  const at = (y: number, x: number) =>
    y >= 0 && x >= 0 && y < height && x < width ? inside[y * width + x] : 0;
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x < width; x++) {
      const from = x;
      while (x < width && at(y - 1, x) !== at(y, x)) x++;
      if (x > from) edges.push([from, y, x, y]);
    }
    if (edges.length > most) return null;
  }
  for (let x = 0; x <= width; x++) {
    for (let y = 0; y < height; y++) {
      const from = y;
      while (y < height && at(y, x - 1) !== at(y, x)) y++;
      if (y > from) edges.push([x, from, x, y]);
    }
    if (edges.length > most) return null;
  }
  return edges;
}

export function boundary(inside: Uint8Array, size: Size, most: number): Path2D | null {
  const edges = borders(inside, size, most);
  if (!edges) return null;
  const path = new Path2D();
  for (const [x0, y0, x1, y1] of edges) {
    path.moveTo(x0, y0);
    path.lineTo(x1, y1);
  }
  return path;
}
