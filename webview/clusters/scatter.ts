import { css, html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import type { ClusterPoint, LayerTrace } from '../../src/tracing/types';
import type { NeuronRef } from '../../src/worker/protocol';
import { percent } from '../shared/format';
import { neuronName } from '../shared/names';
import { NeuronSet, sameNeuron, select, type Modifiers } from '../shared/selection';
import { base } from '../shared/styles';
import { Theme } from '../shared/theme';
import '../shared/thumbnail';
import { markers } from './markers';
import { inside, nearest, Projection, towards, whole, type Place, type View } from './plane';

export type Tool = 'lasso' | 'move';
export type ColourBy = 'cluster' | 'layer' | 'model';

/** Points of one layer, or of one cluster. */
export interface Facet {
  readonly of: 'layer' | 'cluster';
  readonly value: number;
  readonly name: string;
}

/** Where points lie that the pointer does not reach. */
const nowhere: Place = { x: Infinity, y: Infinity };

/** How far from a point the pointer still means it, in pixels. */
const REACH = 12;
/** A press that moves less is a click. */
const CLICK = 4;
const KEY_ZOOM = 1.4;
const TOOLTIP = { width: 172, gap: 14 };

const shapes = markers.map((path) => new Path2D(path));

/**
 * Neurons as points of the UMAP plane.
 * @fires pick detail: NeuronRef[], the one clicked last at the end
 * @fires view-change detail: View
 */
@customElement('nc-clusters-scatter')
export class ClustersScatter extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        position: relative;
        display: block;
        min-width: 0;
        min-height: 0;
        overflow: hidden;
      }
      canvas {
        position: absolute;
        inset: 0;
        width: 100%;
        height: 100%;
        touch-action: none;
      }
      canvas.lasso {
        cursor: crosshair;
      }
      canvas.move {
        cursor: grab;
      }
      canvas.over {
        cursor: pointer;
      }
      canvas.dragging {
        cursor: grabbing;
      }
      .tooltip {
        position: absolute;
        z-index: 1;
        width: ${TOOLTIP.width}px;
        padding: 6px;
        color: var(--vscode-editorHoverWidget-foreground, var(--vscode-foreground));
        background: var(--vscode-editorHoverWidget-background, var(--vscode-editor-background));
        border: 1px solid var(--vscode-editorHoverWidget-border, var(--line));
        border-radius: 3px;
        box-shadow: 0 2px 8px var(--vscode-widget-shadow, transparent);
        pointer-events: none;
      }
      .tooltip nc-thumbnail {
        display: block;
        width: 100%;
        margin-bottom: 4px;
      }
    `,
  ];

  @property({ attribute: false }) points: readonly ClusterPoint[] = [];
  @property({ attribute: false }) layers: readonly (LayerTrace | undefined)[] = [];
  @property({ attribute: false }) names: readonly string[] = [];
  @property({ attribute: false }) selection: readonly NeuronRef[] = [];
  /** Layers of the other checkpoint, whose points are of model 1; they are shown, not selected. */
  @property({ attribute: false }) otherLayers: readonly LayerTrace[] = [];
  @property({ attribute: false }) view: View = whole;
  @property({ attribute: false }) tool: Tool = 'lasso';
  @property({ attribute: false }) by: ColourBy = 'cluster';
  /** The part of the points that this plot is about; the others only show where it lies. Null for all. */
  @property({ attribute: false }) facet: Facet | null = null;
  /** Cluster that stands out; −1 for none. */
  @property({ attribute: false }) emphasised = -1;

  @state() private hovered = -1;
  /** Index of the point that the keyboard is at. */
  @state() private active = -1;
  @state() private spoken = '';
  @state() private dragging: 'lasso' | 'move' | null = null;

  @query('canvas') private readonly canvas!: HTMLCanvasElement;
  private readonly theme = new Theme(this);
  private readonly resized = new ResizeObserver(() => this.requestUpdate());
  private projection = new Projection([], 1, 1, whole);
  /** Where the points are, in CSS pixels. */
  private places: readonly Place[] = [];
  /** Those of the points this plot is about. */
  private reached: readonly Place[] = [];
  private lasso: Place[] = [];
  private pressedAt: Place | null = null;
  private frame = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    this.resized.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  override focus(): void {
    this.canvas.focus();
  }

  /** Middle of a neuron's marker, in CSS pixels from the top left; null when it is not among the points. */
  placeOf(neuron: NeuronRef): Place | null {
    return this.places[this.points.findIndex((point) => !point.model && sameNeuron(point, neuron))] ?? null;
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('points')) {
      this.hovered = -1;
      this.active = -1;
    }
    if (changed.has('points') || changed.has('selection')) {
      const chosen = this.selection.at(-1);
      const at = chosen ? this.points.findIndex((point) => !point.model && sameNeuron(point, chosen)) : -1;
      if (at >= 0) this.active = at;
    }
    this.projection = new Projection(this.points, this.clientWidth, this.clientHeight, this.view);
    this.places = this.points.map((point) => this.projection.toPixels(point));
    this.reached = this.facet
      ? this.places.map((place, i) => (this.isAbout(this.points[i]) ? place : nowhere))
      : this.places;
  }

  protected override updated(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private isAbout(point: ClusterPoint): boolean {
    return !this.facet || point[this.facet.of] === this.facet.value;
  }

  private category(point: ClusterPoint): number {
    if (this.by === 'model') return point.model ?? 0;
    return this.by === 'cluster' ? point.cluster : point.layer;
  }

  private colour(point: ClusterPoint): string {
    if (this.by === 'model') return this.theme.category(point.model ?? 0);
    return this.by === 'cluster'
      ? this.theme.category(point.cluster)
      : this.theme.depth(point.layer, this.layers.length);
  }

  private get radius(): number {
    const { length } = this.points;
    const base = length > 2000 || this.facet ? 2 : length > 300 ? 3.5 : 4.5;
    return base * Math.min(1.6, this.view.zoom ** 0.25);
  }

  private draw(): void {
    const { canvas, theme, points, places, radius } = this;
    const ratio = devicePixelRatio;
    canvas.width = Math.round(this.clientWidth * ratio);
    canvas.height = Math.round(this.clientHeight * ratio);
    const context = canvas.getContext('2d')!;
    const selected = new NeuronSet(this.selection);
    const surface = theme.colour('panel-background', theme.background);
    const sprites = new Map<number, OffscreenCanvas>();
    const ring = ({ x, y }: Place, size: number, colour: string, width: number) => {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.arc(x, y, size, 0, 2 * Math.PI);
      context.stroke();
    };
    const chosen: number[] = [];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    points.forEach((point, i) => {
      if (!this.isAbout(point)) {
        context.globalAlpha = theme.highContrast ? 0.4 : 0.2;
        context.fillStyle = theme.muted;
        context.fillRect(places[i].x - 1, places[i].y - 1, 2, 2);
        return;
      }
      if (!point.model && selected.has(point.layer, point.neuron)) chosen.push(i);
      const dimmed = this.emphasised >= 0 && point.cluster !== this.emphasised;
      context.globalAlpha = dimmed ? 0.15 : 1;
      const category = 2 * this.category(point) + (point.model ?? 0);
      let sprite = sprites.get(category);
      if (!sprite) sprites.set(category, (sprite = this.sprite(point, surface, ratio)));
      const size = (sprite.width / ratio) * (i === this.hovered ? 1.4 : 1);
      context.drawImage(sprite, places[i].x - size / 2, places[i].y - size / 2, size, size);
    });
    context.globalAlpha = 1;
    // Wide rings around many points would hide them all.
    const gap = chosen.length > 12 ? 0.75 : 2.5;
    for (const i of chosen) ring(places[i], radius + gap, theme.foreground, 1.5);
    if (this.active >= 0 && this.isAbout(points[this.active]) && canvas.matches(':focus-visible')) {
      ring(places[this.active], radius + 6, theme.colour('focusBorder', '#0078d4'), 2);
    }
    if (this.by === 'cluster' && !this.facet) this.number(context, surface);
    if (this.dragging === 'lasso') this.drawLasso(context);
  }

  /** A point's marker as a picture: copies of it are much faster than paths. */
  private sprite(point: ClusterPoint, surface: string, ratio: number): OffscreenCanvas {
    const radius = this.radius * ratio;
    const side = Math.ceil(3.2 * radius);
    const sprite = new OffscreenCanvas(side, side);
    const context = sprite.getContext('2d')!;
    // The other checkpoint's points have a shape of their own, whatever the colours mean.
    const shape = point.model
      ? shapes[1]
      : this.theme.highContrast && this.otherLayers.length === 0
        ? shapes[this.category(point) % shapes.length]
        : shapes[0];
    context.setTransform(radius, 0, 0, radius, side / 2, side / 2);
    context.fillStyle = this.colour(point);
    context.fill(shape);
    // Keeps points that lie on each other apart.
    context.strokeStyle = surface;
    context.lineWidth = (0.75 * ratio) / radius;
    context.stroke(shape);
    return sprite;
  }

  /** Each cluster's number in its middle, because colours alone do not reach everybody; above it if it is small. */
  private number(context: CanvasRenderingContext2D, surface: string): void {
    const { theme, points, places } = this;
    context.font = `600 13px ${theme.colour('font-family', 'sans-serif')}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.lineWidth = 4;
    context.lineJoin = 'round';
    context.strokeStyle = surface;
    context.fillStyle = theme.foreground;
    const members = new Map<number, Place[]>();
    for (let i = 0; i < points.length; i++) {
      const { cluster } = points[i];
      const known = members.get(cluster);
      if (known) known.push(places[i]);
      else members.set(cluster, [places[i]]);
    }
    for (const [cluster, own] of members) {
      const middle = { x: 0, y: 0 };
      let [top, bottom] = [Infinity, -Infinity];
      for (const { x, y } of own) {
        middle.x += x / own.length;
        middle.y += y / own.length;
        top = Math.min(top, y);
        bottom = Math.max(bottom, y);
      }
      const text = String(cluster + 1);
      const beside = this.radius + 9;
      const above = top - beside > 8 ? top - beside : bottom + beside;
      const y = bottom - top < 24 ? above : middle.y;
      context.strokeText(text, middle.x, y);
      context.fillText(text, middle.x, y);
    }
  }

  private drawLasso(context: CanvasRenderingContext2D): void {
    context.strokeStyle = this.theme.colour('focusBorder', '#0078d4');
    context.fillStyle = context.strokeStyle;
    context.lineWidth = 1;
    context.beginPath();
    for (const { x, y } of this.lasso) context.lineTo(x, y);
    context.closePath();
    context.stroke();
    context.globalAlpha = 0.12;
    context.fill();
    context.globalAlpha = 1;
  }

  private pixel({ offsetX: x, offsetY: y }: MouseEvent): Place {
    return { x, y };
  }

  private pick(neurons: readonly NeuronRef[]): void {
    this.dispatchEvent(new CustomEvent('pick', { detail: neurons }));
  }

  private show(view: View): void {
    this.dispatchEvent(new CustomEvent('view-change', { detail: view }));
  }

  private readonly entry = (index: number): NeuronRef => {
    const { layer, neuron } = this.points[index];
    return { layer, neuron };
  };

  /** Points have no order, so Shift adds as Ctrl does. */
  private choose(index: number, { ctrlKey, metaKey, shiftKey }: Modifiers): void {
    this.active = index;
    if (this.points[index].model) return;
    const modifiers = { ctrlKey: ctrlKey || shiftKey, metaKey, shiftKey: false };
    this.pick(select(this.selection, this.entry, index, -1, modifiers));
  }

  private pointerDown(event: PointerEvent): void {
    if (event.button > 1) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pressedAt = this.pixel(event);
    this.lasso = [this.pressedAt];
    this.dragging = null;
    // The middle button moves whatever the tool.
    if (event.button === 1) this.dragging = 'move';
  }

  private pointerMove(event: PointerEvent): void {
    const at = this.pixel(event);
    const { pressedAt } = this;
    if (!pressedAt) {
      this.hovered = nearest(this.reached, at, REACH);
      return;
    }
    const [dx, dy] = [at.x - pressedAt.x, at.y - pressedAt.y];
    if (!this.dragging && Math.hypot(dx, dy) < CLICK) return;
    this.hovered = -1;
    this.dragging ??= this.tool;
    if (this.dragging === 'move') {
      this.pressedAt = at;
      this.show(this.projection.moved(dx, dy));
    } else {
      this.lasso.push(at);
      this.requestUpdate();
    }
  }

  private pointerUp(event: PointerEvent): void {
    const { dragging, lasso, pressedAt } = this;
    this.pressedAt = this.dragging = null;
    if (!pressedAt || event.type === 'pointercancel') return;
    if (dragging === 'lasso') {
      const caught = this.points.filter((_, i) => inside(lasso, this.reached[i]));
      this.pickAll(caught, event);
    } else if (!dragging) {
      const clicked = nearest(this.reached, pressedAt, REACH);
      if (clicked >= 0) this.choose(clicked, event);
    }
  }

  private pickAll(points: readonly ClusterPoint[], { ctrlKey, metaKey, shiftKey }: Modifiers): void {
    const neurons = points.filter(({ model }) => !model).map(({ layer, neuron }) => ({ layer, neuron }));
    const caught = new NeuronSet(neurons);
    const kept =
      ctrlKey || metaKey || shiftKey
        ? this.selection.filter(({ layer, neuron }) => !caught.has(layer, neuron))
        : [];
    this.pick([...kept, ...neurons]);
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.show(this.projection.zoomed(Math.exp(-0.002 * lines * event.deltaY), this.pixel(event)));
  }

  private pressed(event: KeyboardEvent): void {
    if (event.altKey) return;
    const { key } = event;
    const command = event.ctrlKey || event.metaKey;
    const middle = { x: this.clientWidth / 2, y: this.clientHeight / 2 };
    const to = towards(this.reached, this.active, key);
    if (to !== null) this.walk(to);
    else if ((key === 'Enter' || key === ' ') && this.active >= 0) this.choose(this.active, event);
    else if (key === 'a' && command) this.pickAll(this.points, event);
    else if (key === 'Escape') this.pick([]);
    else if (key === '+' || key === '=') this.show(this.projection.zoomed(KEY_ZOOM, middle));
    else if (key === '-') this.show(this.projection.zoomed(1 / KEY_ZOOM, middle));
    else if (key === '0') this.show(whole);
    else return;
    event.preventDefault();
  }

  private walk(to: number): void {
    this.active = to;
    const { x, y } = this.places[to];
    const outside = x < 0 || y < 0 || x > this.clientWidth || y > this.clientHeight;
    if (outside) this.show(this.projection.centredOn(this.points[to]));
    const { name, details } = this.describe(to);
    const point = this.points[to];
    const selected = !point.model && new NeuronSet(this.selection).has(point.layer, point.neuron);
    this.spoken = `${name}, ${details}${selected ? ', selected' : ''}`;
  }

  private describe(index: number): { readonly name: string; readonly details: string } {
    const { layer, neuron, cluster, model } = this.points[index];
    const of = (model ? this.otherLayers : this.layers)[layer];
    const share = of?.statistics.share[neuron] ?? 0;
    const whose = this.otherLayers.length === 0 ? '' : model ? 'B: ' : 'A: ';
    return {
      name: `${whose}${neuronName(model ? (of?.name ?? '') : this.names[layer], neuron)}`,
      details: `cluster ${cluster + 1}, share ${percent(share)}`,
    };
  }

  override render() {
    const { points, hovered, dragging, tool } = this;
    const about = this.facet ? points.filter((point) => this.isAbout(point)).length : points.length;
    const label = `${about} neurons${this.facet ? ` of ${this.facet.name}` : ''} by likeness. Arrow keys move between them, Enter selects, plus and minus zoom.`;
    return html`
      <canvas
        tabindex="0"
        role="application"
        aria-roledescription="scatter plot"
        aria-label=${label}
        class="${dragging === 'move' ? 'dragging' : hovered >= 0 ? 'over' : tool}"
        data-testid="clusters-scatter"
        @pointerdown=${this.pointerDown}
        @pointermove=${this.pointerMove}
        @pointerup=${this.pointerUp}
        @pointercancel=${this.pointerUp}
        @pointerleave=${() => (this.hovered = -1)}
        @dblclick=${() => this.show(whole)}
        @wheel=${this.wheel}
        @keydown=${this.pressed}
        @focus=${() => this.requestUpdate()}
        @blur=${() => this.requestUpdate()}
      ></canvas>
      ${hovered >= 0 && !dragging ? this.tooltip(hovered) : nothing}
      <div class="visually-hidden" role="status">${this.spoken}</div>
    `;
  }

  private tooltip(index: number) {
    const { layer, neuron, model } = this.points[index];
    const atlas = (model ? this.otherLayers : this.layers)[layer]?.previews;
    const { x, y } = this.places[index];
    const { name, details } = this.describe(index);
    const height = 56 + (atlas ? ((TOOLTIP.width - 14) * atlas.height) / atlas.width : 0);
    const right = x + TOOLTIP.gap + TOOLTIP.width <= this.clientWidth;
    const left = right ? x + TOOLTIP.gap : Math.max(0, x - TOOLTIP.gap - TOOLTIP.width);
    const top = Math.max(0, Math.min(y - height / 2, this.clientHeight - height));
    return html`<div class="tooltip" style="left: ${left}px; top: ${top}px" data-testid="clusters-tooltip">
      <nc-thumbnail
        style=${atlas ? `aspect-ratio: ${atlas.width} / ${atlas.height}` : nothing}
        .atlas=${atlas}
        .neuron=${neuron}
        .colours=${this.theme.signed}
      ></nc-thumbnail>
      <div class="ellipsis"><strong>${name}</strong></div>
      <div class="muted ellipsis">${details}</div>
    </div>`;
  }
}
