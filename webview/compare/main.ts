import '@vscode-elements/elements/dist/vscode-button/index.js';
import '@vscode-elements/elements/dist/vscode-icon/index.js';
import { css, html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import type {
  CompareMessage,
  CompareRequest,
  ComparedSide,
  CompareStatus,
} from '../../src/panels/compare/protocol';
import type { Comparison, LayerComparison, NeuronPair } from '../../src/tracing/compare/compare';
import { largest, paintMagnitude } from '../canvas/paint';
import { controls } from '../shared/controls';
import { clipText } from '../../src/worker/comparisonText';
import { decibel, integer, percent, plural, signed } from '../shared/format';
import { connect } from './host';
import { shortNames } from '../shared/names';
import { fillPage } from '../shared/page';
import { progressBar, statusStyles } from '../shared/status';
import { base } from '../shared/styles';
import { Theme } from '../shared/theme';
import '../shared/thumbnail';
import './picture';

/** Pairs of neurons shown at first, and with each “more”. */
const PAIRS = 24;

/** Two checkpoints: what they paint, what changed in each layer, and the neurons that changed most. */
@customElement('nc-compare')
export class CompareView extends LitElement {
  static override styles = [
    base,
    controls,
    statusStyles,
    css`
      :host {
        display: flex;
        flex-direction: column;
        height: 100vh;
        overflow: hidden;
        container-type: inline-size;
        background: var(--vscode-editor-background);
      }
      header {
        display: flex;
        align-items: center;
        gap: 8px 12px;
        padding: 8px 12px;
        border-bottom: 1px solid var(--line);
      }
      header .names {
        flex: 1;
        min-width: 0;
        display: flex;
        align-items: baseline;
        gap: 8px;
      }
      header .names button {
        min-width: 0;
      }
      .badge {
        flex: none;
        display: inline-block;
        width: 16px;
        font-weight: 600;
        text-align: center;
      }
      main {
        flex: 1;
        min-height: 0;
        overflow: auto;
        padding: 12px;
        display: flex;
        flex-direction: column;
        gap: 16px;
      }
      main > * {
        flex: none;
      }
      .pictures {
        display: grid;
        grid-template-columns: repeat(3, minmax(0, 1fr));
        gap: 12px;
      }
      figure {
        margin: 0;
        min-width: 0;
        display: flex;
        flex-direction: column;
        gap: 5px;
      }
      nc-compare-picture {
        max-height: clamp(120px, 30vh, 320px);
      }
      figcaption {
        display: flex;
        align-items: center;
        gap: 6px;
        min-width: 0;
      }
      figcaption .amount {
        margin-left: auto;
        white-space: nowrap;
      }
      .missing {
        height: clamp(120px, 30vh, 320px);
        display: grid;
        place-items: center;
        padding: 12px;
        text-align: center;
        border: 1px dashed var(--line);
        border-radius: 4px;
      }
      .scroll {
        overflow-x: auto;
      }
      table {
        width: 100%;
        border-collapse: collapse;
      }
      th {
        font-size: 11px;
        font-weight: normal;
        color: var(--muted);
        text-align: right;
        padding: 3px 10px;
        white-space: nowrap;
        border-bottom: 1px solid var(--line);
      }
      td {
        padding: 3px 10px;
        text-align: right;
        white-space: nowrap;
      }
      th:first-child,
      td:first-child {
        text-align: left;
      }
      tbody tr {
        cursor: pointer;
      }
      tbody tr:hover {
        background: var(--vscode-list-hoverBackground);
      }
      tbody tr[aria-selected='true'] {
        background: var(--vscode-list-inactiveSelectionBackground);
        outline: 1px dotted var(--vscode-contrastActiveBorder, transparent);
        outline-offset: -1px;
      }
      td button {
        padding: 0;
        text-align: left;
      }
      tbody tr[aria-selected='true'] .from {
        color: inherit;
      }
      .from {
        color: var(--muted);
      }
      .reason {
        margin: 4px 0 8px;
        max-width: 90ch;
      }
      .pairs {
        list-style: none;
        margin: 0;
        padding: 0;
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(270px, 1fr));
        gap: 10px 16px;
      }
      .pairs li {
        display: grid;
        grid-template-columns: 1fr 1fr;
        gap: 3px 6px;
        min-width: 0;
      }
      .pairs nc-thumbnail {
        width: 100%;
      }
      .pairs .about {
        grid-column: 1 / -1;
        display: flex;
        gap: 8px;
        font-size: 12px;
        min-width: 0;
      }
      .pairs .about .muted {
        margin-left: auto;
      }
      .notes {
        margin: 0;
        max-width: 90ch;
      }
      .notes p {
        margin: 0 0 4px;
      }
      @container (max-width: 620px) {
        .pictures {
          grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
        }
        .optional {
          display: none;
        }
      }
    `,
  ];

  private readonly theme = new Theme(this);
  private readonly host = connect<CompareRequest, CompareMessage>((message) => this.take(message));
  @state() private status: CompareStatus | null = null;
  @state() private names: readonly [string, string] = ['', ''];
  @state() private result: Extract<CompareMessage, { type: 'result' }> | null = null;
  @state() private chosen = -1;
  @state() private shown = PAIRS;

  override connectedCallback(): void {
    super.connectedCallback();
    this.host.post({ type: 'ready' });
  }

  private take(message: CompareMessage): void {
    if (message.type === 'result') {
      this.result = message;
      this.chosen = mostChanged(message.comparison);
      this.shown = PAIRS;
      return;
    }
    this.status = message.status;
    this.names = message.names;
    this.host.keep({ uris: message.uris });
    if (message.status.state !== 'ready') this.result = null;
  }

  protected override updated(_: PropertyValues): void {
    document.title = `${this.names[0]} and ${this.names[1]}`;
  }

  override render() {
    const { status, result } = this;
    if (!status) return nothing;
    return html`${this.header()}
    ${result ? this.content(result.sides, result.comparison) : this.notice(status)}`;
  }

  private header() {
    const file = (side: 0 | 1) =>
      html`<span class="badge">${'AB'[side]}</span
        ><button
          type="button"
          class="link ellipsis"
          title="Trace ${this.result?.sides[side].path ?? this.names[side]} alone"
          @click=${() => this.host.post({ type: 'open', side })}
        >
          ${this.names[side]}
        </button>`;
    const button = (type: 'exchange' | 'save' | 'copyCommandLine', icon: string, title: string) =>
      html`<button
        type="button"
        class="icon"
        title=${title}
        aria-label=${title}
        data-testid="compare-${type}"
        ?disabled=${type === 'save' && !this.result}
        @click=${() => this.host.post({ type })}
      >
        <vscode-icon name=${icon}></vscode-icon>
      </button>`;
    return html`<header>
      <div class="names">${file(0)} ${file(1)}</div>
      ${button('exchange', 'arrow-swap', 'Exchange A and B')}
      ${button('copyCommandLine', 'terminal', 'Copy Command Line')} ${button('save', 'save', 'Save as JSON…')}
    </header>`;
  }

  private notice(status: CompareStatus) {
    const again = html`<vscode-button secondary @click=${() => this.host.post({ type: 'again' })}
      >Compare Again</vscode-button
    >`;
    return html`<div class="status" role="status" data-testid="compare-${status.state}">
      ${
        status.state === 'working'
          ? html`<p>${status.detail}</p>
              ${progressBar('Comparing', status.fraction)}
              <vscode-button secondary @click=${() => this.host.post({ type: 'cancel' })}
                >Cancel</vscode-button
              >`
          : status.state === 'failed'
            ? html`<p>${status.message}</p>
                ${again}`
            : html`<p>The comparison was cancelled.</p>
                ${again}`
      }
    </div>`;
  }

  private content(sides: readonly [ComparedSide, ComparedSide], comparison: Comparison) {
    const layer = comparison.layers[this.chosen];
    return html`<main>
      ${this.pictures(sides, comparison)} ${this.table(comparison)}
      ${layer ? this.pairs(sides, layer) : nothing}
      <div class="notes muted" data-testid="compare-notes">
        <p>
          ${
            comparison.sample === comparison.pixels
              ? 'Neurons were compared on all pixels.'
              : `Neurons were compared on ${integer(comparison.sample)} of ${integer(comparison.pixels)} pixels, the same for both.`
          }
        </p>
        ${comparison.clip ? html`<p data-testid="compare-clip">${clipText(comparison.clip)}.</p>` : nothing}
        ${comparison.notCompared.map((sentence) => html`<p>${sentence}</p>`)}
      </div>
    </main>`;
  }

  private pictures(sides: readonly [ComparedSide, ComparedSide], { output, psnr }: Comparison) {
    const side = (k: 0 | 1) =>
      html`<figure>
        <nc-compare-picture
          .picture=${sides[k].picture}
          label="Picture of ${sides[k].name}"
        ></nc-compare-picture>
        <figcaption>
          <strong>${'AB'[k]}</strong
          ><span class="muted ellipsis" title=${sides[k].title ?? ''}>${sides[k].title}</span>
          ${psnr[k] === null ? nothing : html`<span class="amount number">${decibel(psnr[k])}</span>`}
        </figcaption>
      </figure>`;
    if (!output) {
      return html`<section class="pictures" aria-label="Pictures">
        ${side(0)} ${side(1)}
        <div class="missing muted">The pictures differ in size.</div>
      </section>`;
    }
    const limit = largest(output.difference);
    const { width, height } = output.difference;
    const rgba = paintMagnitude(output.difference, limit, this.theme.magnitude);
    return html`<section class="pictures" aria-label="Pictures">
      ${side(0)} ${side(1)}
      <figure>
        <nc-compare-picture
          .picture=${{ width, height, rgba }}
          label="Absolute difference of the pictures"
        ></nc-compare-picture>
        <figcaption>
          <strong>|A − B|</strong><span class="muted ellipsis">up to ${output.largest.toFixed(3)}</span>
          <span class="amount number" data-testid="compare-psnr" title="PSNR between the two pictures"
            >${decibel(output.psnr)}</span
          >
        </figcaption>
      </figure>
    </section>`;
  }

  private table({ layers }: Comparison) {
    const names = shortNames(layers.map(({ name }) => name[0]));
    const both = <T>([a, b]: readonly [T, T], show: (value: T) => string) =>
      show(a) === show(b) ? show(a) : html`<span class="from">${show(a)} →</span> ${show(b)}`;
    return html`<div class="scroll">
      <table data-testid="compare-layers">
        <thead>
          <tr>
            <th scope="col">Layer</th>
            <th scope="col">${layers.every(({ unit }) => unit === 'neuron') ? 'Neurons' : 'Kernels'}</th>
            <th scope="col" title="How neurons of A and B were matched">Matched by</th>
            <th scope="col" title="Mean Pearson correlation of matched maps">Correlation</th>
            <th scope="col" title="How much of the layer’s contributions moved: Σ|A − B| / Σ|A|">Moved</th>
            <th scope="col" title="How unevenly the layer’s work is spread">Gini</th>
            <th scope="col" class="optional" title="Fewest neurons that hold half of the layer’s total">
              Hold half
            </th>
            <th scope="col" class="optional">Dead</th>
            <th scope="col" title="What A loses with this layer’s weights of B in place of its own">
              Swapped in
            </th>
          </tr>
        </thead>
        <tbody>
          ${layers.map(
            (layer, k) =>
              html`<tr
                aria-selected=${k === this.chosen}
                data-testid="compare-layer"
                @click=${() => this.choose(k)}
              >
                <td>
                  <button type="button" title=${layer.name.join(' ↔ ')} @click=${() => this.choose(k)}>
                    ${names[k]}
                  </button>
                </td>
                <td class="number">${both(layer.neurons, integer)}</td>
                <td title=${layer.reason}>${layer.matched === 'identity' ? 'place' : 'likeness'}</td>
                <td class="number">
                  ${Number.isNaN(layer.meanCorrelation) ? '–' : layer.meanCorrelation.toFixed(3).replace('-', '−')}
                </td>
                <td class="number">${percent(movedOf(layer))}</td>
                <td class="number">${both(layer.gini, (value) => value.toFixed(2))}</td>
                <td class="number optional">${both(layer.neuronsFor50, integer)}</td>
                <td class="number optional">${both(layer.dead, integer)}</td>
                <td class="number">${swapText(layer)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
  }

  private choose(layer: number): void {
    this.chosen = layer;
    this.shown = PAIRS;
  }

  private pairs(sides: readonly [ComparedSide, ComparedSide], layer: LayerComparison) {
    const [a, b] = layer.layer.map((index, side) => sides[side].previews[index]);
    const { unmatched } = layer;
    const left = unmatched[0].length + unmatched[1].length;
    const pair = ({ a: i, b: k, correlation, difference, shareA, shareB }: NeuronPair) =>
      html`<li data-testid="compare-pair">
        ${[
          { atlas: a, unit: i },
          { atlas: b, unit: k },
        ].map(
          ({ atlas, unit }) =>
            html`<nc-thumbnail
              style="aspect-ratio: ${atlas.width} / ${atlas.height}"
              .atlas=${atlas}
              .neuron=${unit}
              .colours=${this.theme.signed}
            ></nc-thumbnail>`,
        )}
        <div class="about number">
          <span>${i === k ? `#${i}` : `#${i} → #${k}`}</span>
          <span class="muted" title="Correlation of the maps"
            >r ${correlation === null ? '–' : correlation.toFixed(2).replace('-', '−')} · share
            ${percent(shareA)} → ${percent(shareB)} · differs ${percent(difference, 0)}</span
          >
        </div>
      </li>`;
    const { unit } = layer;
    return html`<section aria-label="Most changed ${unit}s">
      <h2>Most changed ${unit}s of ${layer.name[0]}</h2>
      <p class="reason muted" data-testid="compare-reason">
        ${layer.reason}
        ${left > 0 ? `${plural(unmatched[0].length, unit)} of A and ${unmatched[1].length} of B have no partner.` : ''}
      </p>
      <ol class="pairs">
        ${layer.pairs.slice(0, this.shown).map(pair)}
      </ol>
      ${
        layer.pairs.length > this.shown
          ? html`<button type="button" class="link" @click=${() => (this.shown += 4 * PAIRS)}>
              Show more of ${integer(layer.pairs.length)}
            </button>`
          : nothing
      }
    </section>`;
  }
}

/** Σ|C_a − C_b| of matched neurons as a part of the layer's Σ|C_a|. */
const movedOf = ({ pairs }: LayerComparison) => pairs.reduce((sum, { moved }) => sum + moved, 0);

/** The layer that costs most when it is swapped in, else the one that moved most. */
function mostChanged({ layers }: Comparison): number {
  const cost = (layer: LayerComparison) => (layer.swap ? -layer.swap.likeness : movedOf(layer));
  return layers.reduce((best, layer, k) => (cost(layer) > cost(layers[best]) ? k : best), 0);
}

function swapText({ swap }: LayerComparison) {
  if (!swap) return html`<span class="muted" title="See below">–</span>`;
  if (swap.likeness === Infinity) return html`<span class="muted">no change</span>`;
  const title = `PSNR ${decibel(swap.likeness)} to A’s own picture`;
  return swap.change === undefined
    ? html`<span title=${title}>${decibel(swap.likeness)}</span>`
    : html`<span title=${title}>${signed(swap.change, 3)} dB</span>`;
}

fillPage();
