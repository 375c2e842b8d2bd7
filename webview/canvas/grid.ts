/** Where the maps of a contact sheet lie; CSS pixels from the top left of the whole sheet. */
export interface Grid {
  readonly columns: number;
  readonly mapWidth: number;
  readonly mapHeight: number;
  /** Map and label. */
  readonly tileHeight: number;
  /** From one row to the next. */
  readonly pitch: number;
  /** Height of the whole sheet. */
  readonly height: number;
  /** Whether there is room for labels. */
  readonly labels: boolean;
  place(index: number): { readonly x: number; readonly y: number };
  /** Index of the entry at a point, −1 between entries. */
  hit(x: number, y: number): number;
}

const MARGIN = 12;
const LABEL_HEIGHT = 18;
/** Narrower maps have no label. */
const LABEL_WIDTH = 40;

/** @param size wanted width of a map; it grows to fill the row. @param aspect height / width */
export function arrange(count: number, width: number, size: number, aspect: number): Grid {
  const labels = size >= LABEL_WIDTH;
  const gap = labels ? 10 : 3;
  const room = Math.max(size, width - 2 * MARGIN);
  const fitting = Math.max(1, Math.floor((room + gap) / (size + gap)));
  const mapWidth = (room - gap * (fitting - 1)) / fitting;
  const mapHeight = mapWidth * aspect;
  const tileHeight = mapHeight + (labels ? LABEL_HEIGHT : 0);
  const pitch = tileHeight + (labels ? 8 : gap);
  const rows = Math.ceil(count / fitting);
  const top = 4;
  const place = (index: number) => ({
    x: MARGIN + (index % fitting) * (mapWidth + gap),
    y: top + Math.floor(index / fitting) * pitch,
  });
  return {
    columns: fitting,
    mapWidth,
    mapHeight,
    tileHeight,
    pitch,
    height: top + rows * pitch,
    labels,
    place,
    hit(x, y) {
      const column = Math.floor((x - MARGIN) / (mapWidth + gap));
      const row = Math.floor((y - top) / pitch);
      if (column < 0 || column >= fitting || row < 0) return -1;
      const index = row * fitting + column;
      if (index >= count) return -1;
      const at = place(index);
      return x <= at.x + mapWidth && y <= at.y + tileHeight ? index : -1;
    },
  };
}
