import { css, html, LitElement, type PropertyValues } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import { base } from '../shared/styles';
import { fit, panBy, pixelAt, transformOf, zoomAt, type Transform, type View } from './viewTransform';

/** What is to be drawn, at its natural size. */
export interface Bitmap {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8ClampedArray;
}

export interface Pixel {
  readonly row: number;
  readonly column: number;
}

/** CSS pixels that a pixel has to have for its value to be written on it. */
const VALUES_FROM = 40;

/** Factor of one press of + or one notch of the wheel. */
const STEP = 1.25;

/**
 * A picture with zoom, pan and a pixel probe.
 * @fires hover-pixel detail: Pixel or null, as the pointer moves
 * @fires pick-pixel detail: Pixel or null, when clicked or moved by keyboard
 * @fires view-change detail: View
 * @fires transform-change detail: Transform, CSS pixels, whenever the picture lies elsewhere
 */
@customElement('nc-picture')
export class PictureView extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        position: relative;
        min-height: 0;
        overflow: hidden;
        background: var(--vscode-editorWidget-background, transparent);
        border: 1px solid var(--line);
        border-radius: 4px;
      }
      canvas.screen {
        display: block;
        position: absolute;
        inset: 0;
        width: 100%;
        height: 100%;
        cursor: crosshair;
        touch-action: none;
      }
      canvas.screen:focus-visible {
        outline-offset: -2px;
      }
    `,
  ];

  @property({ attribute: false }) bitmap: Bitmap | null = null;
  /** The network's own picture, kept beside what is drawn. */
  @property({ attribute: false }) reconstruction: Bitmap | null = null;
  @property({ attribute: false }) pixel: Pixel | null = null;
  @property({ attribute: false }) view: View = fit;
  /** Another bitmap, shown right of the slider. */
  @property({ attribute: false }) second: Bitmap | null = null;
  /** Where the slider is, 0–1 of the picture's width. */
  @property({ type: Number }) wipe = 0.5;
  /** What is written on pixels that are large enough, a line each. */
  @property({ attribute: false }) values: ((row: number, column: number) => readonly string[]) | null = null;
  @property() label = '';
  @query('canvas.screen') private readonly screen!: HTMLCanvasElement;
  @query('canvas.source') private readonly source!: HTMLCanvasElement;

  private drawSecond(
    context: CanvasRenderingContext2D,
    { scale, x, y }: Transform,
    { width, height }: Bitmap,
  ): void {
    const at = x + this.wipe * width * scale;
    context.save();
    context.beginPath();
    context.rect(at, 0, context.canvas.width, context.canvas.height);
    context.clip();
    context.drawImage(this.behind!, x, y, width * scale, height * scale);
    context.restore();
  }

  private drag: { readonly x: number; readonly y: number; moved: boolean } | null = null;
  private frame = 0;
  private readonly resized = new ResizeObserver(() => this.draw());

  override render() {
    return html`<canvas
        class="screen"
        tabindex="0"
        role="img"
        data-testid="picture"
        aria-label=${this.label}
        aria-keyshortcuts="+ - 0 ArrowUp ArrowDown ArrowLeft ArrowRight"
        @pointermove=${this.pointerMove}
        @pointerdown=${this.pointerDown}
        @pointerup=${this.pointerUp}
        @pointerleave=${() => this.emit('hover-pixel', null)}
        @dblclick=${() => this.change(fit)}
        @keydown=${this.key}
      ></canvas
      ><canvas class="source" hidden data-testid="reconstruction"></canvas><slot></slot>`;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    // On the host: what lies over the picture is zoomed through.
    this.addEventListener('wheel', this.wheel, { passive: false });
    this.resized.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resized.disconnect();
    this.removeEventListener('wheel', this.wheel);
    cancelAnimationFrame(this.frame);
  }

  private overlay: HTMLCanvasElement | null = null;
  private behind: HTMLCanvasElement | null = null;

  override updated(changed: PropertyValues<this>): void {
    if (changed.has('reconstruction') && this.reconstruction) paint(this.source, this.reconstruction);
    if (changed.has('bitmap') || changed.has('reconstruction')) {
      if (this.bitmap && this.bitmap !== this.reconstruction) {
        this.overlay ??= document.createElement('canvas');
        paint(this.overlay, this.bitmap);
      } else this.overlay = null;
    }
    if (changed.has('second')) {
      if (this.second) paint((this.behind ??= document.createElement('canvas')), this.second);
      else this.behind = null;
    }
    this.draw();
  }

  private draw(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.drawNow());
  }

  private get size() {
    return { width: this.clientWidth, height: this.clientHeight };
  }

  private drawNow(): void {
    const { screen, bitmap } = this;
    const ratio = window.devicePixelRatio;
    const { width, height } = this.size;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (screen.width !== w || screen.height !== h) [screen.width, screen.height] = [w, h];
    const context = screen.getContext('2d')!;
    context.clearRect(0, 0, w, h);
    if (!bitmap || w === 0 || h === 0) return;
    this.tellTransform(transformOf(this.view, bitmap, { width, height }));
    const { scale, x, y } = transformOf(this.view, bitmap, { width: w, height: h });
    // Enlarged pixels are what one comes to see; reduced ones must not flicker.
    context.imageSmoothingEnabled = scale < 1;
    context.imageSmoothingQuality = 'high';
    const from = this.overlay ?? this.source;
    context.drawImage(from, x, y, bitmap.width * scale, bitmap.height * scale);
    if (this.behind) this.drawSecond(context, { scale, x, y }, bitmap);
    if (this.values && scale >= VALUES_FROM * ratio) {
      drawValues(context, { scale, x, y }, bitmap, this.values, getComputedStyle(this).fontFamily);
    }
    if (this.pixel) drawMark(context, this.pixel, { scale, x, y }, ratio);
  }

  private told: Transform | null = null;

  private tellTransform(transform: Transform): void {
    const { told } = this;
    if (told?.scale === transform.scale && told.x === transform.x && told.y === transform.y) return;
    this.told = transform;
    this.emit('transform-change', transform);
  }

  private change(view: View): void {
    this.view = view;
    this.emit('view-change', view);
  }

  private emit(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  private at(event: PointerEvent): Pixel | null {
    const { bitmap, size } = this;
    if (!bitmap) return null;
    return pixelAt(transformOf(this.view, bitmap, size), bitmap, event.offsetX, event.offsetY);
  }

  private pointerDown(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.screen.setPointerCapture(event.pointerId);
    this.drag = { x: event.clientX, y: event.clientY, moved: false };
  }

  private pointerMove(event: PointerEvent): void {
    const { drag, bitmap } = this;
    if (drag && bitmap) {
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (!drag.moved && Math.hypot(dx, dy) < 4) return;
      this.drag = { x: event.clientX, y: event.clientY, moved: true };
      this.change(panBy(this.view, bitmap, this.size, dx, dy));
      return;
    }
    this.emit('hover-pixel', this.at(event));
  }

  private pointerUp(event: PointerEvent): void {
    const { drag } = this;
    this.drag = null;
    if (drag && !drag.moved) this.emit('pick-pixel', this.at(event));
  }

  private readonly wheel = (event: WheelEvent): void => {
    if (!this.bitmap) return;
    event.preventDefault();
    const box = this.screen.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const notches = -event.deltaY / (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 100 : 3);
    this.change(zoomAt(this.view, this.bitmap, this.size, x, y, STEP ** notches));
  };

  private key(event: KeyboardEvent): void {
    const { bitmap, size } = this;
    if (!bitmap || event.ctrlKey || event.metaKey || event.altKey) return;
    const zoom = (factor: number) =>
      this.change(zoomAt(this.view, bitmap, size, size.width / 2, size.height / 2, factor));
    const step = event.shiftKey ? 10 : 1;
    const move = (rows: number, columns: number) => {
      const from = this.pixel ?? { row: bitmap.height >> 1, column: bitmap.width >> 1 };
      const clamp = (value: number, length: number) => Math.max(0, Math.min(length - 1, value));
      const row = clamp(from.row + rows * step, bitmap.height);
      this.emit('pick-pixel', { row, column: clamp(from.column + columns * step, bitmap.width) });
    };
    const actions: Readonly<Record<string, () => void>> = {
      '+': () => zoom(STEP),
      '=': () => zoom(STEP),
      '-': () => zoom(1 / STEP),
      '0': () => this.change(fit),
      ArrowUp: () => move(-1, 0),
      ArrowDown: () => move(1, 0),
      ArrowLeft: () => move(0, -1),
      ArrowRight: () => move(0, 1),
      Escape: () => this.emit('pick-pixel', null),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

function paint(canvas: HTMLCanvasElement, { width, height, rgba }: Bitmap): void {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  canvas.getContext('2d')!.putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), 0, 0);
}

/** A ring around the pixel, dark under light so that it shows on every picture. */
function drawMark(
  context: CanvasRenderingContext2D,
  { row, column }: Pixel,
  { scale, x, y }: { readonly scale: number; readonly x: number; readonly y: number },
  ratio: number,
): void {
  const [cx, cy] = [x + (column + 0.5) * scale, y + (row + 0.5) * scale];
  for (const [width, colour] of [
    [3.5, '#000a'],
    [1.5, '#fff'],
  ] as const) {
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    context.beginPath();
    if (scale >= 10 * ratio) context.rect(cx - scale / 2, cy - scale / 2, scale, scale);
    else context.arc(cx, cy, 6 * ratio, 0, 2 * Math.PI);
    context.stroke();
  }
}

/** Writes on every pixel in sight what it says, dark on light and light on dark. */
function drawValues(
  context: CanvasRenderingContext2D,
  { scale, x, y }: Transform,
  bitmap: Bitmap,
  values: (row: number, column: number) => readonly string[],
  font: string,
): void {
  const { width, height } = context.canvas;
  const first = (offset: number) => Math.max(0, Math.floor(-offset / scale));
  const size = Math.round(scale / 4.6);
  context.font = `${size}px ${font}`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  for (let row = first(y); row < bitmap.height && y + row * scale < height; row++) {
    for (let column = first(x); column < bitmap.width && x + column * scale < width; column++) {
      const [red, green, blue] = bitmap.rgba.subarray(4 * (row * bitmap.width + column));
      context.fillStyle = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 140 ? '#000' : '#fff';
      const lines = values(row, column);
      lines.forEach((line, i) =>
        context.fillText(
          line,
          x + (column + 0.5) * scale,
          y + (row + 0.5) * scale + (i - (lines.length - 1) / 2) * size * 1.15,
          scale - 4,
        ),
      );
    }
  }
}
