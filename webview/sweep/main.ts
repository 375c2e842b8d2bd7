import '@vscode-elements/elements/dist/vscode-button/index.js';
import '@vscode-elements/elements/dist/vscode-icon/index.js';
import { css, html, LitElement, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import type { SweepFromView, SweepToView, SweepView } from '../../src/sweep/protocol';
import type { SweepRow } from '../../src/sweep/row';
import { controls } from '../shared/controls';
import { plural } from '../shared/format';
import { merged } from '../shared/intent';
import { fillPage } from '../shared/page';
import { progressBar, statusStyles } from '../shared/status';
import { base } from '../shared/styles';
import { columns, filtered, sorted } from './table';

declare function acquireVsCodeApi(): {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
};

const defaults = { folder: '', sort: 'file' as string, descending: false, filter: '', tracedOnly: false };

/** All checkpoints of a folder, one a row. */
@customElement('nc-sweep')
export class SweepTable extends LitElement {
  static override styles = [
    base,
    controls,
    statusStyles,
    css`
      :host {
        display: flex;
        flex-direction: column;
        height: 100vh;
        min-width: 0;
      }
      .toolbar {
        flex-wrap: nowrap;
        padding: 8px 12px;
      }
      .toolbar input[type='text'] {
        flex: 0 1 220px;
      }
      .toolbar .facts {
        margin-left: auto;
      }
      .progress {
        flex: none;
        width: 100%;
      }
      .scroll {
        flex: 1;
        overflow: auto;
        min-height: 0;
      }
      table {
        border-collapse: collapse;
        width: 100%;
        color: inherit;
        font-size: 12px;
      }
      th {
        position: sticky;
        top: 0;
        padding: 0;
        font-weight: normal;
        text-align: left;
        background: var(--vscode-editor-background);
        box-shadow: inset 0 -1px var(--line);
        z-index: 1;
      }
      th button {
        display: flex;
        align-items: center;
        gap: 2px;
        width: 100%;
        padding: 5px 12px;
        color: var(--muted);
        white-space: nowrap;
      }
      th.number button {
        justify-content: flex-end;
      }
      th button:hover,
      th[aria-sort] button {
        color: var(--vscode-foreground);
      }
      td {
        padding: 2px 12px;
        height: 24px;
        max-width: 260px;
        white-space: nowrap;
        overflow: hidden;
        text-overflow: ellipsis;
      }
      td.number {
        text-align: right;
      }
      tbody tr:hover {
        background: var(--vscode-list-hoverBackground);
      }
      tr.other {
        color: var(--muted);
      }
      td button.link {
        max-width: 100%;
        overflow: hidden;
        text-overflow: ellipsis;
        padding: 0;
        display: block;
      }
      .error {
        color: var(--vscode-errorForeground);
      }
    `,
  ];

  @state() private sweep: SweepView | null = null;
  private readonly api = acquireVsCodeApi();
  private intent = merged(defaults, this.api.getState());

  override connectedCallback(): void {
    super.connectedCallback();
    window.addEventListener('message', ({ data }: MessageEvent<SweepToView>) => {
      this.sweep = data.sweep;
      if (this.intent.folder !== data.sweep.folder) this.set({ folder: data.sweep.folder });
    });
    this.post({ type: 'ready' });
  }

  private post(message: SweepFromView): void {
    this.api.postMessage(message);
  }

  private set(change: Partial<typeof defaults>): void {
    this.intent = { ...this.intent, ...change };
    this.api.setState(this.intent);
    this.requestUpdate();
  }

  override render() {
    const { sweep, intent } = this;
    if (!sweep) return nothing;
    const { rows, total, state } = sweep;
    const sort = columns.find(({ id }) => id === intent.sort)?.id ?? 'file';
    const shown = sorted(
      filtered(rows, intent.filter).filter(({ status }) => !intent.tracedOnly || status === 'traced'),
      sort,
      intent.descending,
    );
    if (total === 0 && state !== 'running') return this.empty(sweep);
    return html`${this.toolbar(sweep, shown.length)}
      <div class="scroll">
        <table aria-label="Checkpoints of ${sweep.name}" data-testid="sweep-table">
          <thead>
            <tr>
              ${columns.map((column) => this.heading(column, sort))}
            </tr>
          </thead>
          <tbody class="number">
            ${repeat(
              shown,
              ({ file }) => file,
              (row) => this.row(row),
            )}
          </tbody>
        </table>
      </div>`;
  }

  private empty({ state, message, name }: SweepView) {
    return html`<div class="status" role="status" data-testid="sweep-empty">
      <p class=${state === 'failed' ? 'error' : ''}>
        ${state === 'failed' ? message : `There are no checkpoint files in ${name} or the folders below it.`}
      </p>
      <vscode-button secondary @click=${() => this.post({ type: 'again' })}>Look Again</vscode-button>
    </div>`;
  }

  private toolbar({ rows, total, state, message }: SweepView, shown: number) {
    const { filter, tracedOnly } = this.intent;
    const traced = rows.filter(({ status }) => status === 'traced').length;
    const facts =
      state === 'failed'
        ? message
        : state === 'running'
          ? `${rows.length} of ${total}`
          : [
              ...(shown < rows.length ? [`${shown} shown`] : []),
              `${traced} of ${plural(total, 'checkpoint')} traced`,
              ...(state === 'cancelled' ? ['cancelled'] : []),
            ].join(' · ');
    return html`<div class="toolbar">
        <input
          type="text"
          placeholder="Filter"
          aria-label="Filter by file or model"
          data-testid="sweep-filter"
          .value=${filter}
          @input=${(event: Event) => this.set({ filter: (event.target as HTMLInputElement).value })}
        />
        <label
          ><input
            type="checkbox"
            .checked=${tracedOnly}
            @change=${(event: Event) => this.set({ tracedOnly: (event.target as HTMLInputElement).checked })}
          />Traced only</label
        >
        <span
          class="facts ellipsis number ${state === 'failed' ? 'error' : 'muted'}"
          role="status"
          data-testid="sweep-facts"
          data-state=${state}
          >${facts}</span
        >
        ${
          state === 'running'
            ? html`<button class="link" @click=${() => this.post({ type: 'cancel' })}>Cancel</button>`
            : html`<button
                class="icon"
                title="Trace What Is New or Changed"
                aria-label="Trace what is new or changed"
                @click=${() => this.post({ type: 'again' })}
              >
                <vscode-icon name="refresh"></vscode-icon>
              </button>`
        }
        <button
          class="icon"
          title="Save as CSV"
          aria-label="Save as CSV"
          ?disabled=${rows.length === 0}
          @click=${() => this.post({ type: 'save' })}
        >
          <vscode-icon name="save-as"></vscode-icon>
        </button>
      </div>
      ${state === 'running' ? progressBar('Tracing the folder', total > 0 ? rows.length / total : null) : nothing}`;
  }

  private heading({ id, name, title, number }: (typeof columns)[number], sort: keyof SweepRow) {
    const { descending } = this.intent;
    const current = id === sort;
    // Of numbers the largest are looked for first.
    const click = () => this.set({ sort: id, descending: current ? !descending : number });
    return html`<th
      scope="col"
      class=${number ? 'number' : ''}
      aria-sort=${current ? (descending ? 'descending' : 'ascending') : nothing}
      title=${title || nothing}
    >
      <button data-testid="sweep-sort-${id}" @click=${click}>
        ${name}${current ? html`<vscode-icon name=${descending ? 'chevron-down' : 'chevron-up'} size="12"></vscode-icon>` : nothing}
      </button>
    </th>`;
  }

  private row(row: SweepRow) {
    const traced = row.status === 'traced';
    return html`<tr class=${traced ? '' : 'other'} data-testid="sweep-row">
      ${columns.map((column) => {
        const text = column.text(row);
        if (column.id !== 'file') {
          return html`<td class=${column.number ? 'number' : ''} title=${column.number ? nothing : text}>
            ${text}
          </td>`;
        }
        return html`<td title=${text}>
          <button class="link" @click=${() => this.post({ type: 'open', file: row.file })}>${text}</button>
        </td>`;
      })}
    </tr>`;
  }
}

fillPage();
