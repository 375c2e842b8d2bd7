/** What is seen, as a picture for a paper: at a chosen scale, with scale bar, colour bar and caption. */
import { decibel, significant } from '../shared/format';
import { signedMap, type ColourMap } from '../shared/colourMaps';
import { createMapRenderer } from '../shared/mapRenderer';
import { neuronOrder, clustersOf, sheetSorts } from '../shared/order';
import type { Canvas } from './canvas';
import { arrange } from './grid';

import type { Bitmap } from './picture';
import { transformOf } from './viewTransform';

export interface FigureOptions {
  /** The picture as it is zoomed, or the layer's contact sheet. */
  readonly content: 'picture' | 'maps';
  /** Pixels of the figure a CSS pixel of the view. */
  readonly scale: number;
  readonly scaleBar: boolean;
  readonly caption: boolean;
  /** Black on white, with the colours of a light theme. */
  readonly forPrint: boolean;
}

/** Maps in a figure of the contact sheet: more than can be told apart on a page. */
const MOST_MAPS = 400;
/** Width of the contact sheet's figure, CSS pixels. */
const SHEET_WIDTH = 720;
/** Browsers draw no larger canvas. */
const LARGEST_SIDE = 16_000;

interface Ink {
  readonly text: string;
  readonly muted: string;
  readonly background: string;
  readonly font: string;
}

/** A length of the picture that is easy to read, about a fifth of what is seen: 1, 2 or 5 times a power of ten. */
export function roundLength(pixels: number): number {
  const wanted = Math.max(1, pixels / 5);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const factor = wanted / power;
  return Math.max(1, power * (factor >= 5 ? 5 : factor >= 2 ? 2 : 1));
}

/** @throws Error with a sentence when there is nothing to draw or it would be too large */
export function figure(canvas: Canvas, options: FigureOptions): HTMLCanvasElement {
  const { theme } = canvas;
  const own = { signed: theme.signed, brightness: theme.brightness };
  if (options.forPrint) Object.assign(theme, { signed: signedMap('light'), brightness: 'light' });
  try {
    const ink: Ink = options.forPrint
      ? { text: '#000000', muted: '#444444', background: '#ffffff', font: 'Helvetica, Arial, sans-serif' }
      : {
          text: theme.foreground,
          muted: theme.muted,
          background: theme.background,
          font: theme.colour('font-family', 'sans-serif'),
        };
    return options.content === 'maps'
      ? sheetFigure(canvas, options, ink)
      : pictureFigure(canvas, options, ink);
  } finally {
    Object.assign(theme, own);
  }
}

function surface(width: number, height: number, scale: number, { background }: Ink) {
  const out = document.createElement('canvas');
  [out.width, out.height] = [Math.round(width * scale), Math.round(height * scale)];
  if (out.width === 0 || out.height === 0) throw new Error('There is no picture to export yet.');
  if (Math.max(out.width, out.height) > LARGEST_SIDE) {
    throw new Error(`The figure would be ${out.width} × ${out.height} pixels; choose a smaller scale.`);
  }
  const pen = out.getContext('2d')!;
  pen.fillStyle = background;
  pen.fillRect(0, 0, out.width, out.height);
  pen.scale(scale, scale);
  pen.textBaseline = 'alphabetic';
  return { out, pen };
}

/** Lines of words separated by middle dots, none wider than `width` unless a single one is. */
function wrapped(text: string, width: number, font: string): string[] {
  const pen = document.createElement('canvas').getContext('2d')!;
  pen.font = font;
  const lines: string[] = [];
  for (const word of text.split(' · ')) {
    const longer = lines.length > 0 ? `${lines.at(-1)} · ${word}` : word;
    if (lines.length > 0 && pen.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

interface Caption {
  readonly title: string;
  readonly lines: readonly string[];
  readonly height: number;
}

function captionOf(title: string, text: string, width: number, ink: Ink): Caption {
  const lines = wrapped(text, width, `11px ${ink.font}`);
  return { title, lines, height: 24 + 15 * lines.length };
}

function pictureFigure(canvas: Canvas, options: FigureOptions, ink: Ink): HTMLCanvasElement {
  const { session, intent, frame, layout } = canvas;
  const { reconstruction } = session;
  if (!reconstruction || frame.width === 0) throw new Error('There is no picture to export yet.');
  const { zoom, centreX, centreY, wipe } = intent.value;
  const transform = transformOf({ zoom, centreX, centreY }, reconstruction, frame);
  // Only the picture, not the empty room around it.
  const left = Math.max(0, transform.x);
  const top = Math.max(0, transform.y);
  const width = Math.min(frame.width, transform.x + reconstruction.width * transform.scale) - left;
  const height = Math.min(frame.height, transform.y + reconstruction.height * transform.scale) - top;
  const shown = layout === 'beside' ? [canvas.mode, canvas.otherMode!] : [canvas.mode];
  const gap = 8;
  const whole = shown.length * (width + gap) - gap;
  const captions = shown.map((mode, i) =>
    captionOf(mode.name(canvas), i === 0 ? about(canvas) : '', width, ink),
  );
  const below = options.caption ? Math.max(...captions.map((entry) => entry.height)) : 0;
  const { out, pen } = surface(whole, height + below, options.scale, ink);
  shown.forEach((mode, i) => {
    const x = i * (width + gap);
    const draw = (bitmap: Bitmap, from = 0) => {
      pen.save();
      pen.beginPath();
      pen.rect(x + from, 0, width - from, height);
      pen.clip();
      pen.imageSmoothingEnabled = transform.scale * options.scale < 1;
      const place = [x + transform.x - left, transform.y - top] as const;
      pen.drawImage(
        asCanvas(bitmap),
        ...place,
        bitmap.width * transform.scale,
        bitmap.height * transform.scale,
      );
      pen.restore();
    };
    draw(mode.paint(canvas) ?? reconstruction);
    if (layout === 'wipe') {
      const at = transform.x + wipe * reconstruction.width * transform.scale - left;
      draw(canvas.otherMode!.paint(canvas) ?? reconstruction, Math.max(0, at));
      pen.fillStyle = '#ffffff';
      pen.fillRect(at - 0.5, 0, 1, height);
    }
    if (options.scaleBar && i === 0) scaleBar(pen, ink, transform.scale, width, height);
    const range = mode.range?.(canvas);
    if (range && options.scaleBar) {
      // Where both do not fit side by side, above each other.
      colourBar(pen, ink, range, x + width, width < 300 ? 38 : height);
    }
    if (options.caption) drawCaption(pen, ink, x, height, width, captions[i]);
  });
  return out;
}

function asCanvas({ width, height, rgba }: Bitmap): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext('2d')!.putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), 0, 0);
  return canvas;
}

/** Checkpoint, network and quality in a line. */
function about({ session: { view } }: Canvas): string {
  const inspection = view?.inspection;
  return [
    view?.name ?? '',
    ...(inspection ? [inspection.title, `${inspection.signal.height}×${inspection.signal.width}`] : []),
    ...(view && view.psnr !== null ? [decibel(view.psnr)] : []),
  ].join(' · ');
}

function drawCaption(
  pen: CanvasRenderingContext2D,
  ink: Ink,
  x: number,
  y: number,
  width: number,
  { title, lines }: Caption,
) {
  pen.textAlign = 'left';
  pen.fillStyle = ink.text;
  pen.font = `600 12px ${ink.font}`;
  pen.fillText(title, x, y + 16, width);
  pen.fillStyle = ink.muted;
  pen.font = `11px ${ink.font}`;
  lines.forEach((line, i) => pen.fillText(line, x, y + 32 + 15 * i, width));
}

/** At the bottom left, as long as a round number of the picture's pixels. */
function scaleBar(pen: CanvasRenderingContext2D, ink: Ink, scale: number, width: number, height: number) {
  const pixels = roundLength(width / scale);
  const length = pixels * scale;
  const words = `${significant(pixels)} px`;
  pen.font = `11px ${ink.font}`;
  const room = Math.max(length, pen.measureText(words).width) + 16;
  pen.fillStyle = ink.background;
  pen.globalAlpha = 0.8;
  pen.fillRect(8, height - 36, room, 28);
  pen.globalAlpha = 1;
  pen.fillStyle = ink.text;
  pen.textAlign = 'left';
  pen.fillText(words, 16, height - 21);
  pen.fillRect(16, height - 15, length, 2.5);
}

/** At the bottom right: what the colours mean. */
function colourBar(
  pen: CanvasRenderingContext2D,
  ink: Ink,
  { low, high, colours }: { readonly low: string; readonly high: string; readonly colours: ColourMap },
  right: number,
  height: number,
) {
  pen.font = `11px ${ink.font}`;
  const [before, after] = [pen.measureText(low).width, pen.measureText(high).width];
  const bar = 72;
  const room = before + after + bar + 28;
  const x = right - 8 - room;
  pen.fillStyle = ink.background;
  pen.globalAlpha = 0.8;
  pen.fillRect(x, height - 30, room, 22);
  pen.globalAlpha = 1;
  pen.fillStyle = ink.text;
  pen.textAlign = 'left';
  pen.fillText(low, x + 8, height - 15);
  pen.fillText(high, x + 20 + before + bar, height - 15);
  for (let i = 0; i < bar; i++) {
    const entry = 4 * Math.round((255 * i) / (bar - 1));
    pen.fillStyle = `rgb(${colours.subarray(entry, entry + 3).join(',')})`;
    pen.fillRect(x + 14 + before + i, height - 23, 1.5, 8);
  }
}

function sheetFigure(canvas: Canvas, options: FigureOptions, ink: Ink): HTMLCanvasElement {
  const { layer, session, theme, intent, layerIndex } = canvas;
  if (!layer) throw new Error('This layer is still to be traced.');
  const { sort, hideDead, signed, shared, size, gamma } = intent.value;
  const clusters = clustersOf(session.clustering, layerIndex, layer.neurons);
  const known = sheetSorts.find((name) => name === sort) ?? 'share';
  const order = neuronOrder(layer, known, hideDead, clusters);
  const count = Math.min(MOST_MAPS, order.length);
  const grid = arrange(
    count,
    SHEET_WIDTH,
    Math.min(size, SHEET_WIDTH - 24),
    layer.previews.height / layer.previews.width,
  );
  const which = count < order.length ? `first ${count} of ${order.length} neurons` : `${count} neurons`;
  const title = `Contribution maps of ${layer.name}, ${which} by ${known}`;
  const words = captionOf(title, about(canvas), SHEET_WIDTH - 24, ink);
  const { out, pen } = surface(
    SHEET_WIDTH,
    grid.height + (options.caption ? words.height : 8),
    options.scale,
    ink,
  );
  const maps = document.createElement('canvas');
  [maps.width, maps.height] = [out.width, Math.round(grid.height * options.scale)];
  const renderer = createMapRenderer(maps, false);
  renderer.setAtlas(layer.previews);
  const tiles = Array.from(order.subarray(0, count), (neuron, i) => {
    const { x, y } = grid.place(i);
    const by = (value: number) => Math.round(value * options.scale);
    return { neuron, x: by(x), y: by(y), width: by(grid.mapWidth), height: by(grid.mapHeight) };
  });
  const limit = shared ? layer.previews.limit.reduce((a, b) => Math.max(a, b), 0) : null;
  renderer.draw(tiles, { colours: signed ? theme.signed : theme.magnitude, signed, limit, gamma });
  pen.drawImage(maps, 0, 0, SHEET_WIDTH, maps.height / options.scale);
  renderer.dispose();
  if (grid.labels) {
    pen.font = `11px ${ink.font}`;
    for (let i = 0; i < count; i++) {
      const { x, y } = grid.place(i);
      pen.fillStyle = ink.text;
      pen.textAlign = 'left';
      pen.fillText(String(order[i]), x + 1, y + grid.tileHeight - 5);
      if (grid.mapWidth < 64) continue;
      pen.fillStyle = ink.muted;
      pen.textAlign = 'right';
      pen.fillText(
        `${(100 * layer.statistics.share[order[i]]).toFixed(1)} %`,
        x + grid.mapWidth - 1,
        y + grid.tileHeight - 5,
      );
    }
  }
  if (options.caption) drawCaption(pen, ink, 12, grid.height, SHEET_WIDTH - 24, words);
  return out;
}

/** @throws Error with a sentence */
export const png = (canvas: HTMLCanvasElement): Promise<Blob> =>
  new Promise((resolve, reject) =>
    canvas.toBlob(
      (blob) =>
        blob ? resolve(blob) : reject(new Error('The figure is too large; choose a smaller scale.')),
      'image/png',
    ),
  );
