import '@vscode-elements/elements/dist/vscode-icon/index.js';
import { css, html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import type { LayerTrace } from '../../src/tracing/types';
import type { NeuronRef } from '../../src/worker/protocol';
import { integer, percent, significant } from '../shared/format';
import { Memo } from '../shared/memo';
import { distinctStarts, neuronName } from '../shared/names';
import { moved, sameNeuron, select, type Modifiers } from '../shared/selection';
import { base } from '../shared/styles';
import { Theme } from '../shared/theme';
import '../shared/thumbnail';
import { clickedHeader, rowOf, shownColumns, type Column, type Rows, type SortKey } from './rows';
import { drawn, scrolledTo } from './window';

const ROW_HEIGHT = 24;
const HEADER_HEIGHT = 24;
/** Rows drawn beyond each edge, so that a slow frame while scrolling shows no gap. */
const EXTRA_ROWS = 6;

const headers: Readonly<Record<Column, { readonly label: string; readonly title: string }>> = {
  neuron: { label: 'Neuron', title: 'Index in its layer' },
  layer: { label: 'Layer', title: 'Layer that the neuron feeds' },
  total: { label: 'Total', title: 'Sum of |C| over all pixels' },
  share: { label: 'Share', title: "Part of the layer's total" },
  mean: { label: 'Mean |C|', title: 'Mean of |C| over all pixels' },
  max: { label: 'Max |C|', title: 'Largest |C| at any pixel' },
  pixels: { label: 'Pixels', title: 'Pixels where the neuron holds more than an equal part of the layer' },
  dead: { label: 'Dead', title: 'Contributes nothing anywhere' },
  cluster: { label: 'Cluster', title: 'Group of neurons that contribute to like regions' },
  removed: { label: 'If removed', title: 'Change of the PSNR, dB, when this neuron alone is removed' },
  regionShare: { label: 'In region', title: "Part of the layer's total in the marked region" },
  affinity: {
    label: 'vs even',
    title: 'How much more of the region the neuron paints than if it were spread evenly over the picture',
  },
};

/** Width of each column; a narrow panel sets some of them. */
const widths: Readonly<Record<Column, string>> = {
  neuron: 'var(--w-neuron, minmax(100px, 1.2fr))',
  layer: 'var(--w-layer, minmax(56px, 1fr))',
  total: 'var(--w-total, 64px)',
  share: 'var(--w-share, minmax(104px, 2fr))',
  mean: '72px',
  max: '68px',
  pixels: '68px',
  dead: '46px',
  cluster: '62px',
  removed: '86px',
  regionShare: '76px',
  affinity: '72px',
};

const moving = ['ArrowUp', 'ArrowDown', 'PageUp', 'PageDown', 'Home', 'End'];
const plain: Modifiers = { ctrlKey: false, metaKey: false, shiftKey: false };

/**
 * The ranking as a grid that draws only the rows in sight; up to a million fit what browsers can scroll.
 * @fires sort detail: SortKey[]
 * @fires pick detail: NeuronRef[], the one clicked last at the end
 */
@customElement('nc-rankings-table')
export class RankingsTable extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        --surface: var(--vscode-panel-background, var(--vscode-editor-background));
        display: block;
        overflow: auto;
        overflow-anchor: none;
        background: var(--surface);
      }
      [role='grid'] {
        min-width: 640px;
        outline: none;
      }
      [role='row'] {
        display: grid;
        grid-template-columns: var(--columns);
        height: ${ROW_HEIGHT}px;
        --tint: transparent;
      }
      .header {
        position: sticky;
        top: 0;
        z-index: 2;
        height: ${HEADER_HEIGHT}px;
        background: var(--surface);
        border-bottom: 1px solid var(--line);
      }
      .body {
        position: relative;
      }
      .body [role='row'] {
        position: absolute;
        inset: 0 0 auto;
        cursor: pointer;
        contain: strict;
        background: var(--tint);
      }
      [role='gridcell'],
      [role='columnheader'] {
        display: flex;
        align-items: center;
        gap: 8px;
        min-width: 0;
        padding: 0 8px;
        white-space: nowrap;
      }
      [role='columnheader'] {
        padding: 0 2px;
      }
      /* Stays when a narrow panel scrolls sideways. */
      .neuron {
        position: sticky;
        left: 0;
        z-index: 1;
        padding-left: 12px;
        background: linear-gradient(var(--tint), var(--tint)), var(--surface);
      }
      [role='columnheader'].neuron {
        padding-left: 6px;
      }
      .total,
      .mean,
      .max,
      .pixels,
      .removed,
      .regionShare,
      .affinity {
        justify-content: flex-end;
        font-variant-numeric: tabular-nums;
      }
      .header button {
        display: flex;
        align-items: center;
        min-width: 0;
        height: 20px;
        padding: 0 6px;
        font-size: 11px;
        color: var(--muted);
      }
      .header button:hover,
      [aria-sort] button {
        color: var(--vscode-foreground);
      }
      .total button,
      .mean button,
      .max button,
      .pixels button,
      .removed button,
      .regionShare button,
      .affinity button {
        flex-direction: row-reverse;
      }
      .order {
        margin-left: 1px;
        font-size: 9px;
      }
      .body [role='row']:hover {
        --tint: var(--vscode-list-hoverBackground);
      }
      .body [aria-selected='true'] {
        --tint: var(--vscode-list-inactiveSelectionBackground);
        color: var(--vscode-list-inactiveSelectionForeground, inherit);
      }
      [role='grid']:focus-within .body [aria-selected='true'] {
        --tint: var(--vscode-list-activeSelectionBackground);
        color: var(--vscode-list-activeSelectionForeground, inherit);
      }
      .body [aria-selected='true'] {
        outline: 1px dotted var(--vscode-contrastActiveBorder, transparent);
        outline-offset: -1px;
      }
      [role='grid']:focus-visible .active {
        outline: 1px solid var(--vscode-list-focusOutline, var(--vscode-focusBorder));
        outline-offset: -1px;
        z-index: 1;
      }
      .dead-neuron:not([aria-selected='true']) {
        color: var(--vscode-disabledForeground, var(--muted));
      }
      nc-thumbnail {
        height: 20px;
      }
      .track {
        flex: 1;
        min-width: 16px;
        height: 6px;
        overflow: hidden;
        border-radius: 2px;
        background: color-mix(in srgb, var(--vscode-foreground) 12%, transparent);
      }
      .track > div {
        height: 100%;
        border-radius: 2px;
        background: var(--vscode-charts-blue);
      }
      [role='gridcell'].share span {
        width: 52px;
        text-align: right;
        font-variant-numeric: tabular-nums;
      }
      .chip {
        flex: none;
        width: 8px;
        height: 8px;
        border-radius: 50%;
      }
    `,
  ];

  @property({ attribute: false }) rows!: Rows;
  /** Rows shown, in this order. */
  @property({ attribute: false }) order!: Uint32Array;
  @property({ attribute: false }) keys: readonly SortKey[] = [];
  @property({ attribute: false }) selection: readonly NeuronRef[] = [];
  @property({ attribute: false }) layers: readonly (LayerTrace | undefined)[] = [];
  /** Layer names as shown, by traced-layer index. */
  @property({ attribute: false }) names: readonly string[] = [];

  /** Columns that were asked for: of the marked region, and of removed neurons. */
  @property({ attribute: false }) hasRegion = false;
  @property({ attribute: false }) hasRemovals = false;
  /** Whether removals are compared with the target (a change) or with the picture itself (a likeness). */
  @property({ attribute: false }) removalsAreChanges = true;

  @state() private viewport = { top: 0, height: 0 };
  /** Where the keyboard is, and where a range that Shift extends begins. */
  @state() private active: NeuronRef | undefined;
  private anchor: NeuronRef | undefined;
  @state() private focusedHeader: Column = 'neuron';
  /** 1 for the selected rows. */
  private selected = new Uint8Array(0);
  /** Position of each row in `order`, −1 for those not shown. */
  private positions = new Int32Array(0);
  private largestShare = 0;
  private revealActive = false;

  @query('[role=grid]') private readonly grid!: HTMLElement;
  private readonly theme = new Theme(this);
  private readonly startsMemo = new Memo<readonly string[]>();
  private readonly resized = new ResizeObserver(() => this.look());

  override connectedCallback(): void {
    super.connectedCallback();
    this.resized.observe(this);
    this.addEventListener('scroll', this.look);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resized.disconnect();
    this.removeEventListener('scroll', this.look);
  }

  private readonly look = () => {
    this.viewport = { top: this.scrollTop, height: Math.max(0, this.clientHeight - HEADER_HEIGHT) };
  };

  override focus(): void {
    this.grid.focus();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('rows') || changed.has('selection')) {
      this.selected = new Uint8Array(this.rows.count);
      for (const neuron of this.selection) {
        const row = rowOf(this.rows, neuron);
        if (row >= 0) this.selected[row] = 1;
      }
    }
    if (changed.has('rows') || changed.has('order')) {
      this.positions = new Int32Array(this.rows.count).fill(-1);
      this.largestShare = 0;
      for (let position = 0; position < this.order.length; position++) {
        const row = this.order[position];
        this.positions[row] = position;
        this.largestShare = Math.max(this.largestShare, this.rows.share[row]);
      }
    }
    const chosen = this.selection.at(-1);
    if (changed.has('selection') && chosen && !sameNeuron(chosen, this.active)) {
      // Chosen in another panel, or before the page was loaded again.
      this.active = this.anchor = chosen;
      this.revealActive = true;
    }
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has('keys') && changed.get('keys')) this.scrollTop = 0;
    const position = this.position(this.active);
    if (this.revealActive && position >= 0 && this.viewport.height > 0) {
      this.revealActive = false;
      this.scrollTop = scrolledTo(position, this.viewport, ROW_HEIGHT);
    }
  }

  /** −1 when it is not shown. */
  private position(neuron: NeuronRef | undefined): number {
    return neuron ? (this.positions[rowOf(this.rows, neuron)] ?? -1) : -1;
  }

  private readonly entry = (position: number): NeuronRef => {
    const row = this.order[position];
    return { layer: this.rows.layer[row], neuron: this.rows.neuron[row] };
  };

  private pick(neurons: readonly NeuronRef[]): void {
    this.dispatchEvent(new CustomEvent('pick', { detail: neurons }));
  }

  private choose(position: number, modifiers: Modifiers): void {
    const neurons = select(this.selection, this.entry, position, this.position(this.anchor), modifiers);
    this.active = this.entry(position);
    if (!modifiers.shiftKey) this.anchor = this.active;
    this.revealActive = true;
    this.pick(neurons);
  }

  private clicked(event: MouseEvent): void {
    const row = (event.target as Element).closest<HTMLElement>('[aria-rowindex]');
    if (row) this.choose(Number(row.ariaRowIndex) - 2, event);
  }

  private pressed(event: KeyboardEvent): void {
    if (event.target !== this.grid || event.altKey) return;
    const { key } = event;
    const command = event.ctrlKey || event.metaKey;
    const at = this.position(this.active);
    if (moving.includes(key)) {
      const page = Math.max(1, Math.floor(this.viewport.height / ROW_HEIGHT) - 1);
      const to = moved(key, at, this.order.length, 1, page);
      if (to === null) return;
      if (command && !event.shiftKey) {
        this.active = this.entry(to);
        this.revealActive = true;
      } else {
        this.choose(to, { ...plain, shiftKey: event.shiftKey });
      }
    } else if ((key === 'Enter' || key === ' ') && at >= 0) {
      this.choose(at, event);
    } else if (key === 'a' && command) {
      this.pick(Array.from(this.order, (_, position) => this.entry(position)));
    } else if (key === 'Escape') {
      this.pick([]);
    } else {
      return;
    }
    event.preventDefault();
  }

  private pressedInHeader(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const { columns } = this;
    const at = columns.indexOf(this.focusedHeader) + step;
    this.focusedHeader = columns[Math.max(0, Math.min(columns.length - 1, at))];
    this.grid.querySelector<HTMLElement>(`[data-column=${this.focusedHeader}]`)?.focus();
  }

  private get columns(): Column[] {
    return shownColumns(this.hasRegion, this.hasRemovals);
  }

  override render() {
    const { rows, order, active, columns } = this;
    const { from, to } = drawn(this.viewport, order.length, ROW_HEIGHT, EXTRA_ROWS);
    const activeAt = this.position(active);
    return html`
      <div
        role="grid"
        tabindex="0"
        aria-label="Neuron rankings"
        aria-multiselectable="true"
        aria-rowcount=${order.length + 1}
        aria-colcount=${columns.length}
        aria-activedescendant=${activeAt >= from && activeAt < to ? `row-${order[activeAt]}` : nothing}
        data-testid="rankings-table"
        style="--columns: ${columns.map((column) => widths[column]).join(' ')}"
        @keydown=${this.pressed}
      >
        <div role="row" class="header" aria-rowindex="1" @keydown=${this.pressedInHeader}>
          ${columns.map((column) => this.header(column))}
        </div>
        <div
          role="rowgroup"
          class="body"
          style="height: ${order.length * ROW_HEIGHT}px"
          @click=${this.clicked}
        >
          ${repeat(
            Array.from({ length: to - from }, (_, i) => from + i),
            (position) => order[position],
            (position) => this.row(order[position], position, position === activeAt, rows),
          )}
        </div>
      </div>
    `;
  }

  private removed(value: number) {
    if (Number.isNaN(value)) return nothing;
    if (value === Infinity) return 'no change';
    const text = `${value.toFixed(2).replace('-', '−')} dB`;
    return this.removalsAreChanges && value > 0 ? `+${text}` : text;
  }

  private header(column: Column) {
    const { label, title } = headers[column];
    const rank = this.keys.findIndex((key) => key.column === column);
    const direction = rank < 0 ? null : this.keys[rank].descending ? 'descending' : 'ascending';
    const sort = (event: MouseEvent) => {
      this.focusedHeader = column;
      const keys = clickedHeader(this.keys, column, event.shiftKey);
      this.dispatchEvent(new CustomEvent('sort', { detail: keys }));
    };
    return html`
      <div role="columnheader" class=${column} aria-sort=${rank === 0 ? direction! : nothing}>
        <button
          type="button"
          title="${title}. Click to sort, Shift+click to sort by it next."
          tabindex=${column === this.focusedHeader ? 0 : -1}
          data-column=${column}
          @click=${sort}
        >
          <span class="ellipsis">${label}</span>${
            rank > 0
              ? html`<span class="visually-hidden">, sorted ${direction} as number ${rank + 1}</span>`
              : nothing
          }
          ${
            direction &&
            html`<vscode-icon
                name=${direction === 'descending' ? 'arrow-small-down' : 'arrow-small-up'}
                size="14"
              ></vscode-icon
              >${this.keys.length > 1 ? html`<span class="order" aria-hidden="true">${rank + 1}</span>` : nothing}`
          }
        </button>
      </div>
    `;
  }

  private row(row: number, position: number, isActive: boolean, rows: Rows) {
    const { layer, neuron } = { layer: rows.layer[row], neuron: rows.neuron[row] };
    const name = this.names[layer];
    const starts = this.startsMemo.get([this.names], () => distinctStarts(this.names));
    const atlas = this.layers[layer]?.previews;
    const share = rows.share[row];
    const cluster = rows.cluster[row];
    const dead = rows.dead[row] === 1;
    return html`
      <div
        role="row"
        id="row-${row}"
        class="${isActive ? 'active' : ''} ${dead ? 'dead-neuron' : ''}"
        style="transform: translateY(${position * ROW_HEIGHT}px)"
        aria-rowindex=${position + 2}
        aria-selected=${this.selected[row] === 1}
        data-testid="rankings-row"
        data-layer=${layer}
        data-neuron=${neuron}
      >
        <div role="gridcell" class="neuron" title=${neuronName(name, neuron)}>
          <nc-thumbnail
            style="width: ${atlas ? (20 * atlas.width) / atlas.height : 20}px"
            .atlas=${atlas}
            .neuron=${neuron}
            .colours=${this.theme.signed}
          ></nc-thumbnail>
          <span>#${neuron}</span>
        </div>
        <div role="gridcell" class="layer">
          <span class="ellipsis start" title=${name}><bdi>${starts[layer]}</bdi></span>
        </div>
        <div role="gridcell" class="total">${significant(rows.total[row])}</div>
        <div role="gridcell" class="share">
          <div class="track">
            <div style="width: ${this.largestShare > 0 ? (100 * share) / this.largestShare : 0}%"></div>
          </div>
          <span>${share > 0 && share < 0.00005 ? '<0.01 %' : percent(share, 2)}</span>
        </div>
        <div role="gridcell" class="mean">${significant(rows.mean[row])}</div>
        <div role="gridcell" class="max">${significant(rows.max[row])}</div>
        <div role="gridcell" class="pixels">${integer(rows.pixels[row])}</div>
        <div role="gridcell" class="dead">${dead ? 'dead' : ''}</div>
        <div role="gridcell" class="cluster">
          ${
            Number.isNaN(cluster)
              ? nothing
              : html`<span class="chip" style="background: ${this.theme.category(cluster)}"></span
                  >${cluster + 1}`
          }
        </div>
        ${
          this.hasRemovals
            ? html`<div role="gridcell" class="removed">${this.removed(rows.removed[row])}</div>`
            : nothing
        }
        ${
          this.hasRegion
            ? html`<div role="gridcell" class="regionShare">${known(rows.regionShare[row], percent)}</div>
                <div role="gridcell" class="affinity">
                  ${known(rows.affinity[row], (value) => `${value > 0 ? '+' : ''}${percent(value, 0)}`)}
                </div>`
            : nothing
        }
      </div>
    `;
  }
}

const known = (value: number, show: (value: number) => string) =>
  Number.isNaN(value) ? nothing : show(value);
