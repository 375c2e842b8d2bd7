/** Earlier saves of the checkpoint, below the picture: curves to scrub through. */
import '@vscode-elements/elements/dist/vscode-icon/index.js';
import { css, html, LitElement, nothing, svg } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { ref } from 'lit/directives/ref.js';
import type { Following, HistoryView } from '../../src/panels/protocol';
import type { ColourMap } from '../shared/colourMaps';
import { controls } from '../shared/controls';
import { percent, plural } from '../shared/format';
import { shortNames } from '../shared/names';
import { base } from '../shared/styles';
import type { Canvas } from './canvas';
import { curve, inWords, largestChange, moved, rowsOf, saveAt, timeOf } from './historyRows';

const ID = 'history';
const defaults = { open: true };

/** More points than this run into each other. */
const MOST_POINTS = 80;

/** The part of the canvas; nothing until there is something to look back at. */
export function history(canvas: Canvas) {
  const { session, theme } = canvas;
  const { history: known, view, host } = session;
  if (!known) return nothing;
  const waits = known.following !== 'following' && known.following !== 'tracing';
  if (known.saves.length < 2 && !known.note && !(waits && known.following !== 'off')) return nothing;
  return html`<nc-history
    .history=${known}
    .past=${view?.past?.id ?? null}
    .colours=${theme.magnitude}
    .open=${canvas.kept(ID, defaults).open}
    @toggle-open=${({ detail }: CustomEvent<boolean>) => canvas.keep(ID, { open: detail })}
    @look=${({ detail }: CustomEvent<string | null>) => host.post({ type: 'look', save: detail })}
    @pause=${({ detail }: CustomEvent<boolean>) =>
      host.post({ type: 'command', command: detail ? 'pauseLive' : 'resumeLive' })}
  ></nc-history>`;
}

const states: Readonly<Record<Following, { icon: string; text: string; title: string }>> = {
  following: { icon: 'eye', text: 'Live', title: 'Traced again when it is saved' },
  tracing: { icon: 'sync', text: 'Tracing the newest save', title: 'The picture stays until it is complete' },
  paused: { icon: 'debug-pause', text: 'Paused', title: 'New saves wait until you resume' },
  'on-battery': { icon: 'plug', text: 'Paused on battery', title: 'New saves wait for power' },
  off: { icon: 'eye-closed', text: 'Live is off', title: 'Switched off in the settings' },
};

/**
 * @fires look detail: id of a save, or null for the current one
 * @fires pause detail: whether to pause
 * @fires toggle-open detail: whether all rows are shown
 */
@customElement('nc-history')
export class HistoryStrip extends LitElement {
  static override styles = [
    base,
    controls,
    css`
      :host {
        display: block;
        padding: 2px 12px 4px;
        font-size: 12px;
        border-top: 1px solid var(--line);
        container-type: inline-size;
      }
      .head {
        display: flex;
        align-items: center;
        gap: 8px;
        min-height: 24px;
        min-width: 0;
      }
      .head .disclose {
        padding: 0;
        flex: none;
      }
      .head vscode-icon {
        flex: none;
      }
      .state {
        display: flex;
        align-items: center;
        gap: 4px;
        margin-left: auto;
        flex: none;
        white-space: nowrap;
      }
      .note {
        color: var(--vscode-editorWarning-foreground, inherit);
      }
      .charts {
        --name: 52px;
        --value: 104px;
        position: relative;
        display: grid;
        grid-template-columns: var(--name) minmax(0, 1fr) var(--value);
        column-gap: 8px;
        align-items: center;
      }
      .charts > .value {
        text-align: right;
        white-space: nowrap;
      }
      .curve {
        height: 18px;
      }
      svg,
      canvas {
        display: block;
        width: 100%;
        height: 100%;
        overflow: visible;
      }
      canvas {
        image-rendering: pixelated;
        border-radius: 2px;
      }
      path {
        fill: none;
        stroke: var(--vscode-charts-blue, var(--accent));
        stroke-width: 1.5px;
        vector-effect: non-scaling-stroke;
        stroke-linejoin: round;
      }
      path.points {
        stroke-width: 4px;
        stroke-linecap: round;
      }
      .scrub {
        /* Over all curves; in the grid it would push them out of their column. */
        position: absolute;
        inset-block: 0;
        left: calc(var(--name) + 8px);
        right: calc(var(--value) + 8px);
        cursor: ew-resize;
        touch-action: none;
        border-radius: 2px;
        z-index: 1;
      }
      .cursor {
        position: absolute;
        inset-block: 0;
        width: 2px;
        margin-left: -1px;
        background: var(--vscode-foreground);
        opacity: 0.75;
      }
      @container (max-width: 420px) {
        .charts {
          --name: 44px;
          --value: 64px;
        }
        .layer {
          display: none;
        }
      }
    `,
  ];

  @property({ attribute: false }) history!: HistoryView;
  /** Save that is shown in place of the current one. */
  @property({ attribute: false }) past: string | null = null;
  @property({ attribute: false }) colours!: ColourMap;
  @property({ type: Boolean }) open = true;
  private asked: string | null | undefined;

  private tell(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** Index of the save that is shown; the newest when it is not known. */
  private get at(): number {
    const { saves, current } = this.history;
    const shown = this.past ?? current;
    const at = saves.findIndex(({ id }) => id === shown);
    return at < 0 ? saves.length - 1 : at;
  }

  private look(at: number): void {
    const { saves, current } = this.history;
    const save = saves[at];
    const wanted = save.id === current ? null : save.id;
    if (!save.kept && wanted !== null) return;
    if (wanted === this.asked) return;
    this.asked = wanted;
    this.tell('look', wanted);
  }

  override willUpdate(): void {
    this.asked = this.past;
  }

  override render() {
    const { saves } = this.history;
    return html`${this.head()} ${saves.length > 1 ? this.charts() : nothing}`;
  }

  private head() {
    const { history, past, open } = this;
    const { saves, following, note } = history;
    const state = states[following];
    const paused = following === 'paused';
    const shown = saves[this.at];
    const words = past
      ? html`<b>Save ${this.at + 1} of ${saves.length}</b>
          <span class="muted ellipsis">${timeOf(shown.savedAt)}</span>
          <button class="link" data-testid="history-current" @click=${() => this.tell('look', null)}>
            Back to the current one
          </button>`
      : note
        ? html`<vscode-icon name="warning" class="note" size="14"></vscode-icon>
            <span class="ellipsis" title=${note} data-testid="history-note">${note}</span>`
        : html`<span class="ellipsis muted" data-testid="history-saves"
            >${plural(saves.length, 'save')}${shown ? `, the last at ${timeOf(saves.at(-1)!.savedAt)}` : ''}</span
          >`;
    return html`<div class="head">
      <button
        class="disclose"
        aria-expanded=${open}
        aria-label="Curves of all saves"
        ?hidden=${saves.length < 2}
        @click=${() => this.tell('toggle-open', !open)}
      >
        <vscode-icon name=${open ? 'chevron-down' : 'chevron-right'}></vscode-icon>
      </button>
      ${words}
      <span class="state muted" title=${state.title} data-testid="history-state" data-state=${following}>
        <vscode-icon name=${state.icon} size="14"></vscode-icon>${state.text}
        ${
          following === 'off' || following === 'on-battery'
            ? nothing
            : html`<button
                class="icon"
                title=${paused ? 'Resume Live Tracing' : 'Pause Live Tracing'}
                aria-label=${paused ? 'Resume live tracing' : 'Pause live tracing'}
                data-testid="history-pause"
                @click=${() => this.tell('pause', !paused)}
              >
                <vscode-icon name=${paused ? 'play' : 'debug-pause'}></vscode-icon>
              </button>`
        }
      </span>
    </div>`;
  }

  private charts() {
    const { saves } = this.history;
    const rows = rowsOf(saves).slice(0, this.open ? undefined : 1);
    const { at } = this;
    const shown = saves[at];
    return html`<div class="charts number" data-testid="history-charts">
      ${rows.map((row) => {
        const { line, points } = curve(saves.map((save) => row.value(save)));
        const value = row.value(shown);
        return html`<span class="muted" title=${row.title}>${row.name}</span>
          <div class="curve" aria-hidden="true">
            <svg viewBox="0 0 ${saves.length} 1" preserveAspectRatio="none">
              ${svg`<path d=${line}></path>`}
              ${saves.length <= MOST_POINTS ? svg`<path class="points" d=${points}></path>` : nothing}
            </svg>
          </div>
          <span class="value" data-testid="history-${row.id}"
            >${value === null ? '–' : row.text(value)}</span
          >`;
      })}
      ${this.open ? this.changes() : nothing} ${this.scrub(at)}
    </div>`;
  }

  /** One line a layer, one column a save. */
  private changes() {
    const { saves } = this.history;
    const largest = largestChange(saves[this.at]);
    const layers = saves[this.at].layers.length;
    const name = largest && this.layerName(largest.name);
    return html`<span
        class="muted"
        title="How much each layer’s maps have changed since the save before, relative to their size; the first layer is on top"
        >Change</span
      >
      <div class="curve" style="height: ${Math.max(10, Math.min(28, 4 * layers))}px" aria-hidden="true">
        <canvas ${ref((canvas) => this.paint(canvas as HTMLCanvasElement | undefined))}></canvas>
      </div>
      <span
        class="value ellipsis"
        title=${largest ? `Most in ${largest.name}` : ''}
        data-testid="history-change"
        >${largest ? html`<span class="muted layer">${name} </span>${percent(largest.change)}` : '–'}</span
      >`;
  }

  private layerName(full: string): string {
    const names = this.history.saves[this.at].layers.map(({ name }) => name);
    return shortNames(names)[names.indexOf(full)] ?? full;
  }

  private paint(canvas: HTMLCanvasElement | undefined): void {
    const { saves } = this.history;
    const context = canvas?.getContext('2d');
    if (!canvas || !context) return;
    const layers = Math.max(...saves.map((save) => save.layers.length));
    if (layers === 0) return;
    [canvas.width, canvas.height] = [saves.length, layers];
    const image = context.createImageData(saves.length, layers);
    // A run's first saves change so much that later ones would all look the same.
    const scale = (change: number) => Math.sqrt(change);
    const most = Math.max(1e-12, ...saves.map((save) => scale(largestChange(save)?.change ?? 0)));
    for (const [x, save] of saves.entries()) {
      for (const [y, { change }] of save.layers.entries()) {
        if (change === null) continue;
        const entry = 4 * Math.min(255, Math.round((255 * scale(change)) / most));
        image.data.set(this.colours.subarray(entry, entry + 3), 4 * (y * saves.length + x));
        image.data[4 * (y * saves.length + x) + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }

  private scrub(at: number) {
    const { saves } = this.history;
    const pointed = (event: PointerEvent) => {
      const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
      this.look(saveAt((event.clientX - box.left) / box.width, saves.length));
    };
    const down = (event: PointerEvent) => {
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
      pointed(event);
    };
    const move = (event: PointerEvent) => {
      if ((event.currentTarget as HTMLElement).hasPointerCapture(event.pointerId)) pointed(event);
    };
    const key = (event: KeyboardEvent) => {
      const to = moved(event.key, at, saves.length);
      if (to === undefined) return;
      event.preventDefault();
      this.look(event.key === 'Escape' ? this.currentIndex : this.nearestKept(to, to < at ? -1 : 1));
    };
    return html`<div
      class="scrub"
      role="slider"
      tabindex="0"
      aria-label="Save shown"
      aria-valuemin="1"
      aria-valuemax=${saves.length}
      aria-valuenow=${at + 1}
      aria-valuetext=${inWords(saves[at], at, saves.length, (layer) => this.layerName(layer))}
      data-testid="history-scrub"
      @pointerdown=${down}
      @pointermove=${move}
      @keydown=${key}
    >
      <div class="cursor" style="left: ${(100 * (at + 0.5)) / saves.length}%"></div>
    </div>`;
  }

  private get currentIndex(): number {
    const at = this.history.saves.findIndex(({ id }) => id === this.history.current);
    return at < 0 ? this.history.saves.length - 1 : at;
  }

  /** The next save in a direction that can still be looked at. */
  private nearestKept(from: number, step: number): number {
    const { saves, current } = this.history;
    const can = (i: number) => saves[i].kept || saves[i].id === current;
    for (let i = from; i >= 0 && i < saves.length; i += step) if (can(i)) return i;
    return this.at;
  }
}
