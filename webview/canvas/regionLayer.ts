import { css, html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import type { RegionView } from '../../src/panels/protocol';
import type { Region } from '../../src/tracing/regionMask';
import type { Labels } from '../../src/worker/labels';
import { base } from '../shared/styles';
import { boundary } from './outline';
import type { Pixel } from './picture';
import { pixelAt, type Size, type Transform } from './viewTransform';

export type RegionTool = 'rectangle' | 'lasso' | 'color' | 'edge' | 'mask';

/** Frame pixels that the pointer moves before a press becomes a drag. */
const CLICK = 3;
/** Outlines of more edges are noise: then the veil alone shows what is marked. */
const MOST_EDGES = 50_000;

/**
 * Draws the marked region, veiling what lies outside, and lets the person mark another with a tool. Lies over
 * the picture.
 * @fires mark-region detail: Region or null
 * @fires leave the tool is put away
 */
@customElement('nc-region-layer')
export class RegionLayer extends LitElement {
  static override styles = [
    base,
    css`
      :host,
      canvas {
        position: absolute;
        inset: 0;
        width: 100%;
        height: 100%;
        pointer-events: none;
      }
      canvas.drawing {
        pointer-events: auto;
        cursor: crosshair;
        touch-action: none;
      }
      canvas:focus-visible {
        outline-offset: -2px;
      }
    `,
  ];

  /** Size of the picture, null while there is none, and where it lies. */
  @property({ attribute: false }) picture: Size | null = null;
  @property({ attribute: false }) transform: Transform | null = null;
  @property({ attribute: false }) region: Region | null = null;
  @property({ attribute: false }) measured: RegionView | null = null;
  /** Where the keyboard begins. */
  @property({ attribute: false }) pixel: Pixel | null = null;
  @property({ attribute: false }) tool: RegionTool | null = null;
  /** Tool in words. */
  @property() label = '';
  /** What the picture is divided into, for tools that mark a part of it. */
  @property({ attribute: false }) labels: Labels | null = null;
  /** Of the mask tool, relative to the checkpoint. */
  @property({ attribute: false }) maskFile: string | null = null;

  /** What is being drawn, in picture pixels. */
  private drawn: (readonly [number, number])[] = [];
  private pressed: { readonly x: number; readonly y: number; moved: boolean } | null = null;
  private cursor: Pixel | null = null;
  private hovered = -1;
  private frame = 0;
  private veil: {
    readonly of: unknown;
    readonly canvas: OffscreenCanvas;
    readonly edges: Path2D | null;
  } | null = null;
  @query('canvas') private readonly canvas!: HTMLCanvasElement;
  private readonly resized = new ResizeObserver(() => this.draw());

  override connectedCallback(): void {
    super.connectedCallback();
    this.resized.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has('tool')) {
      this.drawn = [];
      this.cursor = null;
      this.hovered = -1;
      if (this.tool) this.canvas.focus({ preventScroll: true });
    }
    this.draw();
  }

  private mark(region: Region | null): void {
    this.dispatchEvent(new CustomEvent('mark-region', { detail: region }));
  }

  /** Marks a part of the picture that is there, instead of drawing. */
  private get picks(): boolean {
    return this.tool === 'color' || this.tool === 'edge' || this.tool === 'mask';
  }

  // --- pointer

  private at(event: PointerEvent): readonly [number, number] {
    const { scale, x, y } = this.transform!;
    return [(event.offsetX - x) / scale, (event.offsetY - y) / scale];
  }

  private pointerDown(event: PointerEvent): void {
    if (event.button !== 0 || !this.transform) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pressed = { x: event.clientX, y: event.clientY, moved: false };
    this.cursor = null;
    this.drawn = [this.at(event)];
  }

  private pointerMove(event: PointerEvent): void {
    const { pressed, transform, picture } = this;
    if (!transform || !picture) return;
    if (!pressed) {
      if (this.picks) this.hover(pixelAt(transform, picture, event.offsetX, event.offsetY));
      return;
    }
    pressed.moved ||= Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > CLICK;
    if (!pressed.moved) return;
    const point = this.at(event);
    this.drawn = this.tool === 'lasso' ? [...this.drawn, point] : [this.drawn[0], point];
    this.draw();
  }

  private pointerUp(event: PointerEvent): void {
    const { pressed, transform, picture, drawn } = this;
    this.pressed = null;
    this.drawn = [];
    if (!pressed || !transform || !picture || event.type === 'pointercancel') {
      this.draw();
      return;
    }
    if (this.picks) {
      const pixel = pixelAt(transform, picture, event.offsetX, event.offsetY);
      if (pixel) this.pick(pixel);
    } else if (!pressed.moved) {
      // A click beside what is marked takes it away, as everywhere.
      this.mark(null);
    } else if (this.tool === 'lasso') {
      const points = drawn.map(([x, y]) => [round(x), round(y)] as const);
      this.mark({ kind: 'lasso', points });
    } else {
      this.mark(rectangle(drawn[0], drawn.at(-1)!, picture));
    }
    this.draw();
  }

  private pick(pixel: Pixel): void {
    const { tool, maskFile } = this;
    if (tool === 'color' || tool === 'edge') this.mark({ kind: 'segment', feature: tool, ...pixel });
    else if (tool === 'mask' && maskFile !== null) this.mark({ kind: 'mask', file: maskFile, pixel });
  }

  private hover(pixel: Pixel | null): void {
    const { labels } = this;
    const label = pixel && labels ? labels.labels[pixel.row * labels.width + pixel.column] : -1;
    if (label === this.hovered) return;
    this.hovered = label;
    this.draw();
  }

  // --- keyboard

  private key(event: KeyboardEvent): void {
    const { picture } = this;
    if (!picture || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 10 : 1;
    const steps: Readonly<Record<string, readonly [number, number]>> = {
      ArrowUp: [-step, 0],
      ArrowDown: [step, 0],
      ArrowLeft: [0, -step],
      ArrowRight: [0, step],
    };
    const from = this.cursor ?? this.pixel ?? { row: picture.height >> 1, column: picture.width >> 1 };
    const move = steps[event.key];
    if (move) {
      const clamp = (value: number, length: number) => Math.max(0, Math.min(length - 1, value));
      this.cursor = {
        row: clamp(from.row + move[0], picture.height),
        column: clamp(from.column + move[1], picture.width),
      };
      if (this.drawn.length > 0 && this.tool === 'rectangle')
        this.drawn = [this.drawn[0], corner(this.cursor, 1)];
      if (this.picks) this.hover(this.cursor);
    } else if (event.key === 'Enter' || event.key === ' ') {
      this.cursor = from;
      this.enter(from, picture);
    } else if (event.key === 'Escape') {
      if (this.drawn.length > 0) this.drawn = [];
      else if (this.region) this.mark(null);
      else this.dispatchEvent(new CustomEvent('leave'));
    } else return;
    event.preventDefault();
    this.draw();
  }

  /** Enter marks the segment at the cursor, a rectangle's two corners, or a lasso's points, the last one twice. */
  private enter(at: Pixel, picture: Size): void {
    if (this.picks) {
      this.pick(at);
      return;
    }
    if (this.tool === 'rectangle') {
      if (this.drawn.length === 0) {
        this.drawn = [corner(at, 0), corner(at, 1)];
        return;
      }
      this.mark(rectangle(this.drawn[0], corner(at, 1), picture));
      this.drawn = [];
      return;
    }
    const point = corner(at, 0.5);
    const last = this.drawn.at(-1);
    if (last?.[0] === point[0] && last[1] === point[1] && this.drawn.length > 2) {
      this.mark({ kind: 'lasso', points: this.drawn });
      this.drawn = [];
    } else {
      this.drawn = [...this.drawn, point];
    }
  }

  // --- drawing

  private draw(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.drawNow());
  }

  private drawNow(): void {
    const { canvas, picture, transform, measured, labels, hovered } = this;
    const ratio = window.devicePixelRatio;
    const [w, h] = [Math.round(this.clientWidth * ratio), Math.round(this.clientHeight * ratio)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    const context = canvas.getContext('2d')!;
    context.clearRect(0, 0, w, h);
    if (!picture || !transform || w === 0) return;
    const [scale, x, y] = [transform.scale * ratio, transform.x * ratio, transform.y * ratio];
    const place = () => context.setTransform(scale, 0, 0, scale, x, y);

    const marked = this.region && measured?.mask;
    if (marked) {
      this.veil = this.veil?.of === marked ? this.veil : veilOf(marked, marked.data, marked);
      place();
      context.imageSmoothingEnabled = false;
      context.drawImage(this.veil.canvas, 0, 0);
      if (this.veil.edges) this.stroke(context, this.veil.edges, scale, ratio);
    }
    if (this.picks && labels && hovered >= 0) {
      const inside = Uint8Array.from(labels.labels, (label) => (label === hovered ? 1 : 0));
      const edges = boundary(inside, labels, MOST_EDGES);
      place();
      if (edges) this.stroke(context, edges, scale, ratio);
    }
    if (this.drawn.length > 1) {
      const path = new Path2D();
      const [first, second] = this.drawn;
      if (this.tool === 'rectangle')
        path.rect(first[0], first[1], second[0] - first[0], second[1] - first[1]);
      else for (const point of this.drawn) path.lineTo(...point);
      if (this.tool === 'lasso') path.closePath();
      place();
      this.stroke(context, path, scale, ratio);
    }
    if (this.cursor) {
      place();
      const path = new Path2D();
      path.rect(this.cursor.column, this.cursor.row, 1, 1);
      this.stroke(context, path, scale, ratio);
    }
    context.resetTransform();
  }

  /** A light line in a dark one shows on every picture. */
  private stroke(context: CanvasRenderingContext2D, path: Path2D, scale: number, ratio: number): void {
    for (const [width, colour] of [
      [3, '#000a'],
      [1.25, '#fff'],
    ] as const) {
      context.lineWidth = (width * ratio) / scale;
      context.strokeStyle = colour;
      context.stroke(path);
    }
  }

  override render() {
    const { tool } = this;
    if (!this.picture) return nothing;
    return html`<canvas
      class=${tool ? 'drawing' : ''}
      tabindex=${tool ? 0 : -1}
      role="application"
      aria-hidden=${tool ? 'false' : 'true'}
      aria-label=${tool ? `${this.label}. Arrow keys move the cursor, Enter marks, Escape takes back.` : ''}
      data-testid="region-layer"
      @pointerdown=${this.pointerDown}
      @pointermove=${this.pointerMove}
      @pointerup=${this.pointerUp}
      @pointercancel=${this.pointerUp}
      @pointerleave=${() => this.hover(null)}
      @keydown=${this.key}
    ></canvas>`;
  }
}

const round = (value: number) => Math.round(10 * value) / 10;

const corner = ({ row, column }: Pixel, offset: number) => [column + offset, row + offset] as const;

/** Whole pixels that a dragged rectangle touches, inside the picture; null when it lies beside it. */
function rectangle(
  [x0, y0]: readonly [number, number],
  [x1, y1]: readonly [number, number],
  { width, height }: Size,
): Region | null {
  const clamp = (value: number, length: number) => Math.max(0, Math.min(length, value));
  const left = clamp(Math.floor(Math.min(x0, x1)), width);
  const right = clamp(Math.ceil(Math.max(x0, x1)), width);
  const top = clamp(Math.floor(Math.min(y0, y1)), height);
  const bottom = clamp(Math.ceil(Math.max(y0, y1)), height);
  if (right <= left || bottom <= top) return null;
  return { kind: 'rectangle', row: top, column: left, height: bottom - top, width: right - left };
}

function veilOf(of: unknown, inside: Uint8Array, { width, height }: Size) {
  const canvas = new OffscreenCanvas(width, height);
  const veil = new ImageData(width, height);
  for (let p = 0; p < inside.length; p++) veil.data[4 * p + 3] = inside[p] ? 0 : 140;
  canvas.getContext('2d')!.putImageData(veil, 0, 0);
  return { of, canvas, edges: boundary(inside, { width, height }, MOST_EDGES) };
}
