import { css, html, LitElement, type PropertyValues } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import type { PreviewAtlas } from '../../src/tracing/types';
import { percent } from '../shared/format';
import {
  createMapRenderer,
  type Look,
  type MapRenderer,
  type SharpMaps,
  type Tile,
} from '../shared/mapRenderer';
import { moved, select, type Modifiers } from '../shared/selection';
import { base } from '../shared/styles';
import { arrange, type Grid } from './grid';

export interface SheetColours {
  readonly text: string;
  readonly muted: string;
  readonly selectedText: string;
  readonly selected: string;
  readonly focus: string;
  readonly hover: string;
  readonly font: string;
}

/** How long nothing moves before maps that are larger than their previews are asked for in full, milliseconds. */
const STILL = 150;
/** Sharp maps kept at once; more do not fit a screen at the sizes that need them. */
const MOST_SHARP = 96;

/**
 * All maps of a layer as small pictures in a grid that scrolls; only what is visible is drawn, from previews
 * while it moves and in all pixels when it is still.
 * @fires select-neurons detail: number[], the one clicked last at the end
 * @fires size-change detail: number, after zooming with Ctrl and the wheel
 */
@customElement('nc-sheet')
export class ContactSheet extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        position: relative;
        min-height: 0;
      }
      .scroll {
        position: absolute;
        inset: 0;
        overflow: hidden auto;
      }
      .scroll:focus-visible {
        outline-offset: -2px;
      }
      .window {
        position: sticky;
        top: 0;
        height: 0;
      }
      canvas {
        position: absolute;
        top: 0;
        left: 0;
        pointer-events: none;
      }
    `,
  ];

  @property({ attribute: false }) atlas: PreviewAtlas | null = null;
  /** Neurons in the order shown. */
  @property({ attribute: false }) order: Uint32Array = new Uint32Array(0);
  /** What a neuron is called. */
  @property({ attribute: false }) name: (neuron: number) => string = String;
  @property({ attribute: false }) share: Float64Array = new Float64Array(0);
  @property({ attribute: false }) look: Look | null = null;
  @property({ type: Number }) size = 88;
  @property({ attribute: false }) selected: readonly number[] = [];
  /** Asks for maps with more pixels, `side` the longest wanted; null when there are none. */
  @property({ attribute: false }) sharpen:
    ((neurons: readonly number[], side: number) => Promise<SharpMaps>) | null = null;
  @property({ attribute: false }) colours: SheetColours | null = null;
  @property() label = '';
  /** Entry that the keyboard is at. */
  @state() private active = -1;
  @state() private useGpu = true;
  @query('.scroll') private readonly scroller!: HTMLElement;
  @query('canvas.maps') private readonly maps!: HTMLCanvasElement;
  @query('canvas.text') private readonly text!: HTMLCanvasElement;
  private anchor = -1;
  private hovered = -1;
  private renderer: MapRenderer | null = null;
  private drawnAtlas: PreviewAtlas | null = null;
  private frame = 0;
  private sharp: SharpMaps | null = null;
  private drawnSharp: SharpMaps | null = null;
  /** What the maps on the screen were drawn from; hovering and selecting change only what lies over them. */
  private drawn: readonly unknown[] = [];
  private stillTimer = 0;
  private readonly resized = new ResizeObserver(() => this.requestUpdate());

  private called(neuron: number): string {
    const name = this.name(neuron);
    return name === String(neuron) ? `Neuron ${name}` : name;
  }

  private get grid(): Grid {
    const aspect = this.atlas ? this.atlas.height / this.atlas.width : 1;
    const width = this.scroller?.clientWidth ?? this.clientWidth;
    return arrange(this.order.length, width, this.size, aspect);
  }

  override render() {
    const { height } = this.grid;
    const neuron = this.order[this.active];
    return html`<div
      class="scroll"
      tabindex="0"
      role="listbox"
      aria-multiselectable="true"
      aria-label=${this.label}
      aria-activedescendant=${neuron === undefined ? '' : 'active'}
      data-testid="sheet"
      @scroll=${this.draw}
      @pointermove=${this.pointerMove}
      @pointerleave=${() => this.hover(-1)}
      @click=${this.clicked}
      @keydown=${this.key}
      @wheel=${this.wheel}
    >
      <div class="window">
        ${
          this.useGpu
            ? html`<canvas
                class="maps"
                data-testid="sheet-canvas"
                @webglcontextlost=${this.contextLost}
                @webglcontextrestored=${() => this.requestUpdate()}
              ></canvas>`
            : html`<canvas class="maps" data-testid="sheet-canvas"></canvas>`
        }<canvas class="text"></canvas>
      </div>
      <div style="height: ${height}px"></div>
      ${
        neuron === undefined
          ? ''
          : html`<div
              id="active"
              class="visually-hidden"
              role="option"
              aria-selected=${this.selected.includes(neuron)}
              aria-setsize=${this.order.length}
              aria-posinset=${this.active + 1}
            >
              ${this.called(neuron)}, share ${percent(this.share[neuron])}
            </div>`
      }
    </div>`;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.resized.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resized.disconnect();
    this.release();
  }

  private release(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.stillTimer);
    this.renderer?.dispose();
    this.renderer = this.drawnAtlas = this.drawnSharp = null;
    this.drawn = [];
  }

  private contextLost(event: Event): void {
    // Without this the browser does not give the context back.
    event.preventDefault();
    this.renderer = this.drawnAtlas = this.drawnSharp = null;
    this.drawn = [];
  }

  override updated(changed: PropertyValues<this>): void {
    if (changed.has('atlas')) this.sharp = null;
    if (changed.has('order') || changed.has('selected')) {
      const last = this.selected.at(-1);
      const at = last === undefined ? -1 : this.order.indexOf(last);
      if (at >= 0 && at !== this.active) {
        this.active = this.anchor = at;
        this.reveal(at);
      } else if (this.active >= this.order.length) this.active = this.anchor = -1;
    }
    this.draw();
  }

  /** Scrolls an entry into view, no further than needed. */
  private reveal(at: number): void {
    const { columns, pitch, tileHeight } = this.grid;
    const { scroller } = this;
    const top = Math.floor(at / columns) * pitch;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + tileHeight > scroller.scrollTop + scroller.clientHeight) {
      scroller.scrollTop = top + tileHeight + 8 - scroller.clientHeight;
    }
  }

  private readonly draw = () => {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.drawNow());
  };

  private drawNow(): void {
    const { atlas, look, colours, scroller, maps, text } = this;
    if (!scroller || !maps) return;
    const ratio = window.devicePixelRatio;
    const { clientWidth: width, clientHeight: height, scrollTop } = scroller;
    for (const canvas of [maps, text]) {
      const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
      if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const pen = text.getContext('2d')!;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!atlas || !look || !colours || width === 0 || height === 0) return;
    const { grid } = this;
    const first = Math.max(0, Math.floor((scrollTop - grid.pitch) / grid.pitch)) * grid.columns;
    const last = Math.min(this.order.length, Math.ceil((scrollTop + height) / grid.pitch) * grid.columns);
    const tiles: Tile[] = [];
    const chosen = new Set(this.selected);
    pen.font = colours.font;
    pen.textBaseline = 'middle';
    for (let at = first; at < last; at++) {
      const neuron = this.order[at];
      const { x, y } = grid.place(at);
      const top = y - scrollTop;
      tiles.push({
        neuron,
        x: Math.round(x * ratio),
        y: Math.round(top * ratio),
        width: Math.round(grid.mapWidth * ratio),
        height: Math.round(grid.mapHeight * ratio),
      });
      const isSelected = chosen.has(neuron);
      if (grid.labels) this.drawLabel(pen, colours, grid, neuron, x, top, isSelected);
      if (isSelected || at === this.hovered) {
        pen.strokeStyle = isSelected ? colours.focus : colours.hover;
        pen.lineWidth = isSelected ? 2 : 1;
        pen.strokeRect(x - 2, top - 2, grid.mapWidth + 4, grid.tileHeight + 3);
      }
      if (at === this.active && this.matches(':focus-within') && !isSelected) {
        pen.setLineDash([3, 2]);
        pen.strokeStyle = colours.focus;
        pen.lineWidth = 1;
        pen.strokeRect(x - 2.5, top - 2.5, grid.mapWidth + 5, grid.tileHeight + 4);
        pen.setLineDash([]);
      }
    }
    const { sharp, order, size } = this;
    const drawn = [atlas, look, sharp, order, size, scrollTop, width, height, ratio, this.useGpu];
    if (drawn.every((value, i) => value === this.drawn[i])) return;
    this.drawMaps(atlas, tiles, look);
    // Unless drawing failed and another kind of canvas is on its way.
    this.drawn = this.renderer ? drawn : [];
    clearTimeout(this.stillTimer);
    this.stillTimer = window.setTimeout(() => void this.sharpenTiles(atlas, tiles), STILL);
  }

  /** Asks for the maps in sight that are drawn larger than their previews. */
  private async sharpenTiles(atlas: PreviewAtlas, tiles: readonly Tile[]): Promise<void> {
    const wanted = tiles[0]?.width ?? 0;
    if (!this.sharpen || wanted < 1.25 * atlas.width || tiles.length > MOST_SHARP) return;
    const neurons = tiles.map(({ neuron }) => neuron);
    const side = Math.max(wanted, tiles[0].height);
    const has = new Set(this.sharp?.neurons);
    // Larger tiles want more pixels, as far as the picture has them; half as many again is seen.
    const enough = this.sharp && this.sharp.asked >= 0.67 * side;
    if (enough && neurons.every((neuron) => has.has(neuron))) return;
    const maps = await this.sharpen(neurons, side).catch(() => null);
    if (!maps || this.atlas !== atlas) return;
    this.sharp = maps;
    this.draw();
  }

  private wheel(event: WheelEvent): void {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const size = this.size * Math.exp(-0.002 * event.deltaY);
    this.dispatchEvent(new CustomEvent('size-change', { detail: size }));
  }

  private drawLabel(
    pen: CanvasRenderingContext2D,
    colours: SheetColours,
    { mapWidth, mapHeight, tileHeight }: Grid,
    neuron: number,
    x: number,
    top: number,
    isSelected: boolean,
  ): void {
    if (isSelected) {
      pen.fillStyle = colours.selected;
      pen.fillRect(x, top + mapHeight, mapWidth, tileHeight - mapHeight);
    }
    const middle = top + mapHeight + (tileHeight - mapHeight) / 2 + 1;
    pen.fillStyle = isSelected ? colours.selectedText : colours.text;
    pen.textAlign = 'left';
    pen.fillText(this.name(neuron), x + 2, middle);
    if (mapWidth < 64) return;
    pen.fillStyle = isSelected ? colours.selectedText : colours.muted;
    pen.textAlign = 'right';
    pen.fillText(percent(this.share[neuron]), x + mapWidth - 2, middle);
  }

  private drawMaps(atlas: PreviewAtlas, tiles: readonly Tile[], look: Look): void {
    try {
      if (!this.renderer) {
        this.renderer = createMapRenderer(this.maps, this.useGpu);
        this.drawnAtlas = this.drawnSharp = null;
      }
      if (this.drawnAtlas !== atlas) {
        this.renderer.setAtlas(atlas);
        this.drawnAtlas = atlas;
      }
      if (this.drawnSharp !== this.sharp) {
        this.renderer.setSharp(this.sharp);
        this.drawnSharp = this.sharp;
      }
      this.renderer.draw(tiles, look);
    } catch (error) {
      if (!this.useGpu) throw error;
      // A canvas keeps the kind of its first context, so the plain renderer gets a new one.
      this.release();
      this.useGpu = false;
    }
  }

  private at(event: MouseEvent): number {
    const box = this.scroller.getBoundingClientRect();
    return this.grid.hit(event.clientX - box.left, event.clientY - box.top + this.scroller.scrollTop);
  }

  private hover(at: number): void {
    if (at === this.hovered) return;
    this.hovered = at;
    const neuron = this.order[at];
    this.scroller.title =
      neuron === undefined ? '' : `${this.called(neuron)} · share ${percent(this.share[neuron], 2)}`;
    this.scroller.style.cursor = neuron === undefined ? '' : 'pointer';
    this.draw();
  }

  private pointerMove(event: PointerEvent): void {
    this.hover(this.at(event));
  }

  private clicked(event: MouseEvent): void {
    const at = this.at(event);
    if (at >= 0) this.choose(at, event);
    else if (this.selected.length > 0) this.emit([]);
  }

  private choose(at: number, modifiers: Modifiers): void {
    const entry = (index: number) => ({ layer: 0, neuron: this.order[index] });
    const current = this.selected.map((neuron) => ({ layer: 0, neuron }));
    const chosen = select(current, entry, at, this.anchor, modifiers);
    if (!modifiers.shiftKey) this.anchor = at;
    this.active = at;
    this.emit(chosen.map(({ neuron }) => neuron));
  }

  private emit(neurons: number[]): void {
    this.dispatchEvent(new CustomEvent('select-neurons', { detail: neurons }));
  }

  private key(event: KeyboardEvent): void {
    const { columns, pitch } = this.grid;
    if (event.key === ' ' || event.key === 'Enter') {
      event.preventDefault();
      if (this.active >= 0) {
        this.choose(this.active, { ctrlKey: event.key === ' ', metaKey: false, shiftKey: event.shiftKey });
      }
      return;
    }
    if (event.key === 'Escape') {
      this.emit([]);
      return;
    }
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'a') {
      event.preventDefault();
      this.emit([...this.order]);
      return;
    }
    const rows = Math.max(1, Math.floor(this.scroller.clientHeight / pitch));
    const to = moved(event.key, this.active, this.order.length, columns, rows);
    if (to === null) return;
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) this.active = to;
    else this.choose(to, event);
    this.reveal(to);
  }
}
