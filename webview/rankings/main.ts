import '@vscode-elements/elements/dist/vscode-icon/index.js';
import { html, LitElement, nothing } from 'lit';
import { customElement, query, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import type { LayerTrace } from '../../src/tracing/types';
import type { NeuronRef, OverClip } from '../../src/worker/protocol';
import { rankingsDrawing } from '../shared/drawings';
import { integer, percent, plural } from '../shared/format';
import { OutdatedError } from '../shared/host';
import { Intent } from '../shared/intent';
import { Memo } from '../shared/memo';
import { neuronName } from '../shared/names';
import { fillPage } from '../shared/page';
import { NeuronSet, select, type Modifiers } from '../shared/selection';
import { Session } from '../shared/session';
import { progressBar, sessionNotice } from '../shared/status';
import './charts';
import type { Bar, Curve } from './charts';
import { csv } from './csv';
import { examples, parseFilter } from './filter';
import { lorenz } from './lorenz';
import { arrange, knownKeys, makeRows, type Rows, type SortKey } from './rows';
import { styles } from './styles';
import './table';
import type { RankingsTable } from './table';

/** Bars of the chart: as many as still have room for a number below. */
const TOP = 20;

const byShare: SortKey = { column: 'share', descending: true };

const defaults = {
  filter: '',
  keys: [byShare] as readonly SortKey[],
  /** All layers, or the one shown. */
  all: false,
  charts: true,
  /** Of a video: over the clip, or of the frame shown. */
  clip: false,
};

/** Neurons by what they contribute: a table, the largest shares, and how evenly the work is spread. */
@customElement('nc-rankings')
export class RankingsView extends LitElement {
  static override styles = styles;

  private readonly session = new Session(this);
  private readonly intent = new Intent(this.session.host.api, defaults);

  private readonly rowsMemo = new Memo<Rows>();
  private readonly orderMemo = new Memo<Uint32Array>();
  private readonly strongestMemo = new Memo<Uint32Array>();
  private readonly barsMemo = new Memo<readonly Bar[]>();
  private readonly curvesMemo = new Memo<readonly Curve[]>();
  private readonly layersMemo = new Memo<readonly (LayerTrace | undefined)[]>();
  private rows = makeRows([], null);
  /** Layers with the statistics that are shown. */
  private layers: readonly (LayerTrace | undefined)[] = [];
  /** The clip's statistics; without a result while they are being computed. */
  private whole: { readonly trace: string; readonly result?: OverClip; readonly problem?: string } | null =
    null;
  private order: Uint32Array = new Uint32Array(0);
  /** Why the filter is not understood; until it is, the last that was stays in force. */
  private filterError: string | null = null;
  private understood = '';
  @state() private message: string | null = null;

  @query('nc-rankings-table') private readonly table!: RankingsTable | null;

  constructor() {
    super();
    // An earlier version of the view may have kept other columns.
    this.intent.set({ keys: knownKeys(this.intent.value.keys) });
  }

  private set(change: Partial<typeof defaults>): void {
    this.message = null;
    this.intent.set(change);
    this.requestUpdate();
  }

  /** Traced-layer index shown: the chosen one, or the newest while nothing is chosen. */
  private get layer(): number {
    const { selection, layers } = this.session;
    return selection.layer >= 0 ? selection.layer : layers.length - 1;
  }

  /** Dotted names as in the checkpoint. */
  private get layerNames(): string[] {
    return Array.from(this.session.layers, (layer) => layer?.name ?? '');
  }

  protected override willUpdate(): void {
    const { clustering, removals } = this.session;
    this.followClip();
    const over = this.overClip?.result;
    const layers = (this.layers = this.layersMemo.get([this.session.layers, over], () =>
      over
        ? this.session.layers.map((layer, k) => layer && { ...layer, ...over.layers[k] })
        : this.session.layers,
    ));
    const region = this.session.region?.layers;
    const { filter, keys, all } = this.intent.value;
    this.rows = this.rowsMemo.get([layers, clustering, removals, region], () =>
      makeRows(layers, clustering, { removals, ...(region && { region }) }),
    );
    const { rows, layer } = this;
    this.order = this.orderMemo.get([rows, filter, keys, all || layer], () => {
      const parsed = parseFilter(filter, rows, this.layerNames);
      this.filterError = 'error' in parsed ? parsed.error : null;
      if (!this.filterError) this.understood = filter;
      const inForce = 'error' in parsed ? parseFilter(this.understood, rows, this.layerNames) : parsed;
      const passes = 'filter' in inForce ? inForce.filter : () => true;
      return arrange(rows, (row) => (all || rows.layer[row] === layer) && passes(row), keys);
    });
  }

  /** The trace whose frames these are; null for what is no video. */
  private get clip(): string | null {
    const { view } = this.session;
    if (view?.inspection?.signal.kind !== 'video' || view.frame === undefined || view.past) return null;
    return view.id.replace(/@[^@]*$/, '');
  }

  /** What is to be shown instead of the frame, or is waited for. */
  private get overClip() {
    return this.intent.value.clip && this.whole?.trace === this.clip ? this.whole : null;
  }

  /** Asks for the clip's statistics where they are wanted and not known. */
  private followClip(): void {
    const { clip: trace } = this;
    const ready = this.session.view?.status.state === 'ready';
    if (!this.intent.value.clip || trace === null || !ready || this.whole?.trace === trace) return;
    const tell = (answer: Omit<NonNullable<RankingsView['whole']>, 'trace'>) => {
      if (this.whole?.trace === trace) this.whole = { trace, ...answer };
      this.requestUpdate();
    };
    this.whole = { trace };
    this.session.host.call('overClip', null).then(
      (result) => tell({ result }),
      (error: unknown) => {
        if (error instanceof OutdatedError) this.whole = null;
        else tell({ problem: error instanceof Error ? error.message : String(error) });
      },
    );
  }

  private neuron(row: number): NeuronRef {
    return { layer: this.rows.layer[row], neuron: this.rows.neuron[row] };
  }

  /** The rows shown that have the largest shares. */
  private get strongest(): Uint32Array {
    const { order, rows } = this;
    return this.strongestMemo.get([order, rows], () =>
      order.toSorted((a, b) => rows.share[b] - rows.share[a] || a - b).subarray(0, TOP),
    );
  }

  private get bars(): readonly Bar[] {
    const { rows, strongest } = this;
    const { names, selection } = this.session;
    return this.barsMemo.get([strongest, names, selection.neurons], () => {
      const selected = new NeuronSet(selection.neurons);
      return Array.from(strongest, (row) => {
        const { layer, neuron } = this.neuron(row);
        return {
          label: String(neuron),
          name: neuronName(names[layer], neuron),
          share: rows.share[row],
          selected: selected.has(layer, neuron),
        };
      });
    });
  }

  private get curves(): readonly Curve[] {
    const { layers } = this;
    const { names } = this.session;
    const shown = this.intent.value.all ? [...layers.keys()] : [this.layer];
    return this.curvesMemo.get([layers, names, shown.join()], () =>
      shown.flatMap((index) => {
        const layer = layers[index];
        if (!layer) return [];
        const points = lorenz(layer.statistics.total);
        return [{ layer: index, name: names[index], gini: layer.distributedness.gini, points }];
      }),
    );
  }

  private pick(neurons: readonly NeuronRef[]): void {
    const last = neurons.at(-1);
    this.session.select({ neurons, ...(last && { layer: last.layer }) });
  }

  private pickBar(index: number, modifiers: Modifiers): void {
    const entry = (at: number) => this.neuron(this.strongest[at]);
    this.pick(select(this.session.selection.neurons, entry, index, -1, modifiers));
  }

  private async save(): Promise<void> {
    const name = this.session.view?.name.replace(/\.[^.]*$/, '') ?? 'neurons';
    const bytes = new TextEncoder().encode(csv(this.rows, this.order, this.layerNames));
    try {
      const suggestedName = `${name}${this.overClip?.result ? '-clip' : ''}-neurons.csv`;
      const saved = await this.session.host.call('save', { suggestedName, bytes });
      this.message = saved && `Saved ${plural(this.order.length, 'row')} to ${saved}.`;
    } catch (error) {
      if (error instanceof OutdatedError) return;
      this.message = `The table could not be saved: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  override render() {
    const { view } = this.session;
    const notice = sessionNotice(
      this.session,
      'Ranks the neurons of a checkpoint by what they contribute.',
      rankingsDrawing(),
    );
    const state = view?.status.state;
    // What a cancelled trace got to is worth looking at.
    if (notice && (this.rows.count === 0 || state === 'failed' || state === 'not-an-inr')) return notice;
    const { charts } = this.intent.value;
    return html`<main class="panel">
      ${this.toolbar()}
      ${
        view?.status.state === 'tracing'
          ? html`<div class="pending">${progressBar(view.status.detail, view.status.fraction)}</div>`
          : nothing
      }
      <div class="content ${charts ? 'charts' : ''}">
        <div class="table">
          <nc-rankings-table
            .rows=${this.rows}
            .order=${this.order}
            .keys=${this.intent.value.keys}
            .selection=${this.session.selection.neurons}
            .layers=${this.layers}
            .names=${this.session.names}
            .hasRegion=${this.session.region !== null}
            .hasRemovals=${this.session.removals.some((layer) => layer !== undefined)}
            .removalsAreChanges=${this.session.view?.hasTarget ?? false}
            @sort=${({ detail }: CustomEvent<SortKey[]>) => this.set({ keys: detail })}
            @pick=${({ detail }: CustomEvent<NeuronRef[]>) => this.pick(detail)}
          ></nc-rankings-table>
          ${this.order.length === 0 ? this.nothingPasses() : nothing}
        </div>
        ${
          charts
            ? html`<nc-rankings-charts
                .bars=${this.bars}
                .curves=${this.curves}
                .layerCount=${this.session.layers.length}
                @pick-bar=${({ detail }: CustomEvent<{ index: number; modifiers: Modifiers }>) =>
                  this.pickBar(detail.index, detail.modifiers)}
              ></nc-rankings-charts>`
            : nothing
        }
      </div>
      <div class="visually-hidden" role="status">${this.announcement()}</div>
    </main>`;
  }

  private announcement(): string {
    const { length } = this.session.selection.neurons;
    return length > 1 ? `${integer(length)} neurons selected` : '';
  }

  private nothingPasses() {
    if (!this.understood)
      return html`<div class="none muted" role="status">This layer is still to be traced.</div>`;
    return html`<div class="none muted" role="status" data-testid="rankings-none">
      No neuron passes this filter.
      <button type="button" class="link" @click=${() => this.filter('')}>Clear the filter</button>
    </div>`;
  }

  private filter(text: string): void {
    this.set({ filter: text });
  }

  private toolbar() {
    const { charts } = this.intent.value;
    return html`<div class="toolbar">
      ${this.filterBox()} ${this.scope()} ${this.frames()}
      <span
        class="summary ellipsis muted number"
        data-testid="rankings-summary"
        role="status"
        title=${this.summary()}
        >${this.summary()}</span
      >
      ${this.removalsButton()}
      <button
        type="button"
        class="icon toggle-charts"
        title=${charts ? 'Hide Charts' : 'Show Charts'}
        aria-label="Charts"
        aria-pressed=${charts}
        data-testid="rankings-toggle-charts"
        @click=${() => this.set({ charts: !charts })}
      >
        <vscode-icon name="graph"></vscode-icon>
      </button>
      <button
        type="button"
        class="icon"
        title="Save These Rows as CSV…"
        aria-label="Save these rows as CSV"
        data-testid="rankings-export"
        @click=${() => this.save()}
      >
        <vscode-icon name="save"></vscode-icon>
      </button>
    </div>`;
  }

  /** Measures the layer shown, or stops that. */
  private removalsButton() {
    const { removals, view, host } = this.session;
    const { layer } = this;
    const ask = (baseline: 'zero' | 'mean' | null) => host.post({ type: 'removals', layer, baseline });
    const under = removals.find((other) => typeof other?.working === 'number');
    if (under) {
      return html`<span class="muted number removals" role="status"
        >Removing each neuron, ${percent(under.working ?? 0, 0)}
        <button type="button" class="link" data-testid="removals-cancel" @click=${() => ask(null)}>
          Cancel
        </button></span
      >`;
    }
    return html`<button
      type="button"
      class="icon"
      title="Measure What Each Neuron of This Layer Is Worth: the PSNR If It Alone Is Removed"
      aria-label="Measure what each neuron of this layer is worth"
      data-testid="rankings-removals"
      ?disabled=${view?.status.state !== 'ready'}
      @click=${() => ask('zero')}
    >
      <vscode-icon name="beaker"></vscode-icon>
    </button>`;
  }

  private filterBox() {
    const { filterError } = this;
    const press = (event: KeyboardEvent) => {
      if (event.key === 'Escape') this.filter('');
      else if (event.key === 'ArrowDown') this.table?.focus();
      else return;
      event.preventDefault();
    };
    return html`<div class="filter">
      <vscode-icon name="filter"></vscode-icon>
      <input
        type="text"
        placeholder="Filter, such as dead:no share>1%"
        aria-label="Filter neurons"
        aria-invalid=${filterError !== null}
        aria-describedby="filter-error"
        spellcheck="false"
        autocomplete="off"
        data-testid="rankings-filter"
        .value=${live(this.intent.value.filter)}
        @input=${(event: Event) => this.filter((event.target as HTMLInputElement).value)}
        @keydown=${press}
      />
      <button
        type="button"
        class="icon help"
        title="What Can Be Filtered By"
        aria-label="What can be filtered by"
        popovertarget="examples"
        data-testid="rankings-filter-help"
      >
        <vscode-icon name="question"></vscode-icon>
      </button>
      <div
        class="error"
        id="filter-error"
        role="alert"
        data-testid="rankings-filter-error"
        ?hidden=${!filterError}
      >
        ${filterError}
      </div>
      <div class="examples" id="examples" popover>
        <p>Words separated by spaces; a neuron passes when all hold.</p>
        <dl>
          ${examples.map(
            ({ text, meaning }) =>
              html`<dt>
                  <button
                    type="button"
                    class="link"
                    popovertarget="examples"
                    popovertargetaction="hide"
                    @click=${() => this.filter(text)}
                  >
                    <code>${text}</code>
                  </button>
                </dt>
                <dd>${meaning}</dd>`,
          )}
        </dl>
      </div>
    </div>`;
  }

  private scope() {
    const { layers, names } = this.session;
    const { all } = this.intent.value;
    const choose = (event: Event) => {
      const { value } = event.target as HTMLSelectElement;
      this.set({ all: value === 'all' });
      if (value !== 'all') this.session.select({ layer: Number(value) });
    };
    return html`<select
      class="scope"
      aria-label="Layers shown"
      data-testid="rankings-scope"
      @change=${choose}
    >
      <option value="all" .selected=${live(all)}>All layers</option>
      ${names.map(
        (name, index) =>
          html`<option
            value=${index}
            .selected=${live(!all && index === this.layer)}
            ?disabled=${!layers[index]}
          >
            ${name}
          </option>`,
      )}
    </select>`;
  }

  /** Of a video: what the statistics are over. */
  private frames() {
    if (this.clip === null) return nothing;
    const { clip } = this.intent.value;
    const choose = (event: Event) => {
      if (this.whole?.problem) this.whole = null;
      this.set({ clip: (event.target as HTMLSelectElement).value === 'clip' });
    };
    return html`<select
      class="frames"
      aria-label="Frames that the statistics are over"
      data-testid="rankings-frames"
      @change=${choose}
    >
      <option value="frame" .selected=${live(!clip)}>Frame ${this.session.view?.frame ?? ''}</option>
      <option value="clip" .selected=${live(clip)}>Whole clip</option>
    </select>`;
  }

  /** Which frames are shown, when it is not the one that the canvas shows. */
  private whichFrames(): string[] {
    const { overClip } = this;
    if (!overClip) return [];
    if (overClip.problem) return [overClip.problem];
    if (!overClip.result) return ['tracing frames of the clip, still of one'];
    return [`over ${overClip.result.frames.length} frames`];
  }

  /** On what removals were measured, and how sure they are. */
  private howRemoved(all: boolean): string[] {
    const measured = all ? this.session.removals : [this.session.removals[this.layer]];
    const problem = measured.find((layer) => layer?.problem)?.problem;
    if (problem) return [problem];
    const result = measured.find((layer) => layer?.result)?.result;
    if (!result) return [];
    const { sample, pixels, error } = result;
    const largest = error.reduce((most, value) => Math.max(most, value), 0);
    return [
      sample === pixels
        ? 'removals set to zero, on all pixels'
        : `removals set to zero, on ${integer(sample)} random pixels, ±${largest.toFixed(2)} dB at most`,
    ];
  }

  private summary(): string {
    if (this.message) return this.message;
    const { layers } = this;
    const { all } = this.intent.value;
    const shown = (all ? layers : [layers[this.layer]]).filter((layer) => layer !== undefined);
    const neurons = shown.reduce((sum, layer) => sum + layer.neurons, 0);
    const dead = shown.reduce((sum, layer) => sum + layer.distributedness.dead, 0);
    const one = shown.length === 1 ? shown[0].distributedness : null;
    return [
      ...this.whichFrames(),
      this.order.length === neurons
        ? plural(neurons, 'neuron')
        : `${integer(this.order.length)} of ${plural(neurons, 'neuron')}`,
      ...(one ? [`${integer(one.neuronsFor50)} hold half`, `Gini ${one.gini.toFixed(2)}`] : []),
      `${integer(dead)} dead`,
      ...this.howRemoved(all),
      ...(this.session.view?.status.state === 'cancelled' ? ['trace cancelled'] : []),
    ].join(' · ');
  }
}

fillPage();
