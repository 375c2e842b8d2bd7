import { css, html, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { RegionView } from '../../src/panels/protocol';
import { integer, percent, signed } from '../shared/format';
import { base } from '../shared/styles';

const TOP = 10;

/**
 * The neurons that hold most of the marked region, and how much more than an even spread would give them.
 * @fires pick-neuron detail: number
 */
@customElement('nc-region-neurons')
export class RegionNeurons extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        min-width: 0;
        overflow: auto;
      }
      ol {
        list-style: none;
        margin: 4px 0 0;
        padding: 0;
      }
      .line {
        display: grid;
        grid-template-columns: 3.2em 1fr 4em 4.6em;
        gap: 8px;
        align-items: center;
        width: 100%;
        height: 22px;
        padding: 0 4px;
        text-align: left;
      }
      button:hover {
        background: var(--vscode-list-hoverBackground);
      }
      button[aria-pressed='true'] {
        background: var(--vscode-list-activeSelectionBackground);
        color: var(--vscode-list-activeSelectionForeground);
      }
      .name {
        color: var(--vscode-textLink-foreground);
      }
      [aria-pressed='true'] .name {
        color: inherit;
      }
      .bar {
        height: 8px;
        border-radius: 2px;
        background: var(--vscode-editorWidget-background, #8882);
      }
      .bar i {
        display: block;
        height: 100%;
        border-radius: 2px;
        background: var(--vscode-charts-blue, #3794ff);
      }
      .amount {
        text-align: right;
      }
      .head {
        height: 18px;
        font-size: 11px;
      }
      p {
        margin: 6px 4px 0;
      }
    `,
  ];

  @property({ attribute: false }) region!: RegionView;
  @property({ type: Number }) layer = -1;
  @property({ attribute: false }) selected: ReadonlySet<number> = new Set();

  override render() {
    const { region, layer } = this;
    const part = region.mask.area / region.mask.data.length;
    const measured = region.layers[layer];
    return html`<h2 data-testid="region-title">Region, ${percent(part)} of the picture</h2>
      ${measured ? this.list(measured) : html`<p class="muted">Ranking the neurons in it …</p>`}`;
  }

  private list({ share, affinity }: NonNullable<RegionView['layers'][number]>) {
    const order = Array.from(share.keys()).sort((a, b) => share[b] - share[a] || a - b);
    const top = order.slice(0, TOP);
    const largest = Math.max(share[top[0]] ?? 0, 1e-30);
    const held = top.reduce((sum, neuron) => sum + share[neuron], 0);
    return html`<div class="line head muted" aria-hidden="true">
        <span></span><span></span><span class="amount">share</span
        ><span class="amount" title="How much more (or less) than an even spread over the picture would give"
          >vs even</span
        >
      </div>
      <ol data-testid="region-neurons">
        ${top.map((neuron) => {
          const more = `${signed(100 * affinity[neuron], 2)} %`;
          return html`<li>
            <button
              class="line"
              aria-pressed=${this.selected.has(neuron)}
              aria-label="Neuron ${neuron}: ${percent(share[neuron])} of the region, ${more} against an even spread"
              @click=${() => this.dispatchEvent(new CustomEvent('pick-neuron', { detail: neuron }))}
            >
              <span class="name number">${neuron}</span>
              <span class="bar"><i style="width: ${(100 * share[neuron]) / largest}%"></i></span>
              <span class="amount number">${percent(share[neuron])}</span>
              <span class="amount number">${more}</span>
            </button>
          </li>`;
        })}
      </ol>
      ${
        order.length > 0
          ? html`<p class="muted">
              ${top.length} of ${integer(order.length)} neurons hold ${percent(held, 0)} of it
            </p>`
          : nothing
      }`;
  }
}
