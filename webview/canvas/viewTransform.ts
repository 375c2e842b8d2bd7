/** Zoom and pan of a picture in a frame, independent of the frame's size so that it survives a resize. */
export interface View {
  /** 1 shows the whole picture. */
  readonly zoom: number;
  /** The point of the picture in the middle of the frame, 0–1 of its width and height. */
  readonly centreX: number;
  readonly centreY: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Frame pixel = offset + scale · picture pixel. */
export interface Transform {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

export const fit: View = { zoom: 1, centreX: 0.5, centreY: 0.5 };

/** Frame pixels that one picture pixel may grow to. */
const LARGEST_SCALE = 64;

const fitScale = (picture: Size, frame: Size) =>
  Math.min(frame.width / picture.width, frame.height / picture.height);

const clamp = (value: number, low: number, high: number) => Math.max(low, Math.min(high, value));

export function transformOf(view: View, picture: Size, frame: Size): Transform {
  const scale = fitScale(picture, frame) * view.zoom;
  // Where the picture is smaller than the frame it stays in the middle, elsewhere it covers the frame.
  const place = (frameSide: number, pictureSide: number, centre: number) => {
    const room = frameSide - scale * pictureSide;
    return room >= 0 ? room / 2 : clamp(frameSide / 2 - centre * scale * pictureSide, room, 0);
  };
  return {
    scale,
    x: Math.round(place(frame.width, picture.width, view.centreX)),
    y: Math.round(place(frame.height, picture.height, view.centreY)),
  };
}

/** The view in which frame pixel (x, y) shows the same picture pixel as before, `factor` times larger. */
export function zoomAt(view: View, picture: Size, frame: Size, x: number, y: number, factor: number): View {
  const before = transformOf(view, picture, frame);
  const base = fitScale(picture, frame);
  const zoom = clamp(view.zoom * factor, 1, Math.max(1, LARGEST_SCALE / base));
  const scale = base * zoom;
  const centre = (at: number, offset: number, frameSide: number, pictureSide: number) =>
    ((at - offset) / before.scale + (frameSide / 2 - at) / scale) / pictureSide;
  return {
    zoom,
    centreX: clamp(centre(x, before.x, frame.width, picture.width), 0, 1),
    centreY: clamp(centre(y, before.y, frame.height, picture.height), 0, 1),
  };
}

/** The view moved by frame pixels: the picture follows the pointer. */
export function panBy(view: View, picture: Size, frame: Size, dx: number, dy: number): View {
  const { scale } = transformOf(view, picture, frame);
  const moved = (centre: number, delta: number, frameSide: number, pictureSide: number) => {
    const half = Math.min(0.5, frameSide / scale / pictureSide / 2);
    return clamp(clamp(centre, half, 1 - half) - delta / scale / pictureSide, half, 1 - half);
  };
  return {
    zoom: view.zoom,
    centreX: moved(view.centreX, dx, frame.width, picture.width),
    centreY: moved(view.centreY, dy, frame.height, picture.height),
  };
}

/** Zoom at which one picture pixel is one frame pixel; never smaller than the whole picture. */
export const actualSize = (view: View, picture: Size, frame: Size): View => ({
  ...view,
  zoom: Math.max(1, 1 / fitScale(picture, frame)),
});

/** The picture pixel under a frame pixel, null outside the picture. */
export function pixelAt(
  { scale, x, y }: Transform,
  picture: Size,
  frameX: number,
  frameY: number,
): { readonly row: number; readonly column: number } | null {
  const column = Math.floor((frameX - x) / scale);
  const row = Math.floor((frameY - y) / scale);
  return column >= 0 && row >= 0 && column < picture.width && row < picture.height ? { row, column } : null;
}
