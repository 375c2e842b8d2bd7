/** The plane that neurons are laid out in, and what the pointer and the keyboard do in it. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/** What part of the plane is seen; 0–1 across the points, so that it holds for any size of the panel. */
export interface View {
  /** 1 shows all points. */
  readonly zoom: number;
  readonly centreX: number;
  readonly centreY: number;
}

export const whole: View = { zoom: 1, centreX: 0.5, centreY: 0.5 };

const MOST_ZOOM = 50;
/** UMAP's axes have no unit, so they may be scaled apart to use a wide panel, but not beyond recognition. */
const MOST_STRETCH = 2;
/** Pixels around the outermost points, for markers and numbers. */
const MARGIN = 20;

/** From the plane, y upwards, to CSS pixels of a plot, y downwards, and back. */
export class Projection {
  private readonly left: number;
  private readonly bottom: number;
  private readonly rangeX: number;
  private readonly rangeY: number;
  /** Pixels a unit of the plane. */
  private readonly scaleX: number;
  private readonly scaleY: number;

  constructor(
    points: readonly Place[],
    private readonly width: number,
    private readonly height: number,
    readonly view: View,
  ) {
    const { from: left, range: rangeX } = extent(points.map(({ x }) => x));
    const { from: bottom, range: rangeY } = extent(points.map(({ y }) => y));
    [this.left, this.bottom, this.rangeX, this.rangeY] = [left, bottom, rangeX, rangeY];
    const fitX = Math.max(1, width - 2 * MARGIN) / rangeX;
    const fitY = Math.max(1, height - 2 * MARGIN) / rangeY;
    this.scaleX = Math.min(fitX, MOST_STRETCH * fitY) * view.zoom;
    this.scaleY = Math.min(fitY, MOST_STRETCH * fitX) * view.zoom;
  }

  private get centre(): Place {
    const { centreX, centreY } = this.view;
    return { x: this.left + centreX * this.rangeX, y: this.bottom + centreY * this.rangeY };
  }

  toPixels({ x, y }: Place): Place {
    const { centre } = this;
    return {
      x: this.width / 2 + (x - centre.x) * this.scaleX,
      y: this.height / 2 - (y - centre.y) * this.scaleY,
    };
  }

  toPlane({ x, y }: Place): Place {
    const { centre } = this;
    return {
      x: centre.x + (x - this.width / 2) / this.scaleX,
      y: centre.y - (y - this.height / 2) / this.scaleY,
    };
  }

  /** The view that puts `place` of the plane in the middle. */
  centredOn({ x, y }: Place, zoom = this.view.zoom): View {
    const inside = (value: number) => Math.min(1, Math.max(0, value));
    return zoom <= 1
      ? whole
      : {
          zoom,
          centreX: inside((x - this.left) / this.rangeX),
          centreY: inside((y - this.bottom) / this.rangeY),
        };
  }

  /** The view after dragging the plane by pixels. */
  moved(dx: number, dy: number): View {
    return this.centredOn(this.toPlane({ x: this.width / 2 - dx, y: this.height / 2 - dy }));
  }

  /** The view enlarged `factor` times, with what lies at `pixel` staying there. */
  zoomed(factor: number, pixel: Place): View {
    const zoom = Math.min(MOST_ZOOM, Math.max(1, this.view.zoom * factor));
    const { centre } = this;
    const fixed = this.toPlane(pixel);
    const kept = this.view.zoom / zoom;
    return this.centredOn(
      { x: fixed.x + (centre.x - fixed.x) * kept, y: fixed.y + (centre.y - fixed.y) * kept },
      zoom,
    );
  }
}

function extent(values: readonly number[]): { from: number; range: number } {
  const from = values.reduce((a, b) => Math.min(a, b), Infinity);
  const range = values.reduce((a, b) => Math.max(a, b), -Infinity) - from;
  // One point, or all in a line: it goes through the middle.
  return range > 0 ? { from, range } : { from: (values[0] ?? 0) - 0.5, range: 1 };
}

/** Index of the place nearest to `at`; −1 when none is within `reach`. */
export function nearest(places: readonly Place[], at: Place, reach: number): number {
  let best = -1;
  let least = reach;
  for (let i = 0; i < places.length; i++) {
    const distance = Math.hypot(places[i].x - at.x, places[i].y - at.y);
    if (distance <= least) [best, least] = [i, distance];
  }
  return best;
}

/** Whether a place lies in a polygon, by the even–odd rule. */
export function inside(polygon: readonly Place[], { x, y }: Place): boolean {
  let isIn = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [a, b] = [polygon[i], polygon[j]];
    if (a.y > y !== b.y > y && x < a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x)) isIn = !isIn;
  }
  return isIn;
}

/** Pixels, y downwards. */
const directions: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Where an arrow key leads from a place: to the nearest ahead, rather straight on. Null for other keys. */
export function towards(places: readonly Place[], from: number, key: string): number | null {
  const direction = directions[key];
  if (!direction || places.length === 0) return null;
  // From nowhere: the first there is.
  if (from < 0 || !Number.isFinite(places[from].x)) {
    const first = places.findIndex(({ x }) => Number.isFinite(x));
    return first >= 0 ? first : null;
  }
  const [dx, dy] = direction;
  let best = from;
  let least = Infinity;
  for (let i = 0; i < places.length; i++) {
    if (!Number.isFinite(places[i].x)) continue;
    const x = places[i].x - places[from].x;
    const y = places[i].y - places[from].y;
    const ahead = x * dx + y * dy;
    const aside = Math.abs(x * dy) + Math.abs(y * dx);
    const cost = ahead + 2 * aside;
    if (ahead > 0 && cost < least) [best, least] = [i, cost];
  }
  return best;
}
