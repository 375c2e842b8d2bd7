import { css, html, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { PixelProbe } from '../../src/worker/protocol';
import { percent, signed, significant } from '../shared/format';
import { base } from '../shared/styles';

/**
 * The strongest neurons of a layer at a pixel.
 * @fires pick-neuron detail: number
 */
@customElement('nc-probe')
export class ProbeView extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        min-width: 0;
      }
      .value {
        display: flex;
        align-items: center;
        gap: 8px;
        margin: 6px 0 8px;
      }
      .swatch {
        flex: none;
        width: 18px;
        height: 18px;
        border: 1px solid var(--line);
        border-radius: 3px;
      }
      ol {
        list-style: none;
        margin: 0;
        padding: 0;
      }
      li button {
        display: grid;
        grid-template-columns: 3.2em 1fr 5em;
        gap: 8px;
        align-items: center;
        width: 100%;
        height: 22px;
        padding: 0 4px;
        text-align: left;
      }
      li button:hover {
        background: var(--vscode-list-hoverBackground);
      }
      li button[aria-pressed='true'] {
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
        position: relative;
        height: 8px;
        border-radius: 2px;
        background: var(--vscode-editorWidget-background, #8882);
      }
      .bar::after {
        content: '';
        position: absolute;
        left: 50%;
        top: -2px;
        bottom: -2px;
        border-left: 1px solid var(--muted);
        opacity: 0.5;
      }
      .bar i {
        position: absolute;
        top: 0;
        bottom: 0;
        border-radius: 2px;
      }
      .amount {
        text-align: right;
      }
      p {
        margin: 6px 4px 0;
      }
    `,
  ];

  @property({ attribute: false }) probe: PixelProbe | null = null;
  @property({ type: Number }) layer = -1;
  @property({ type: Number }) neurons = 0;
  @property({ attribute: false }) selected: ReadonlySet<number> = new Set();
  /** CSS colour of the pixel as shown. */
  @property() colour = '';
  /** CSS colours of negative and positive contributions. */
  @property({ attribute: false }) colours: readonly [string, string] = ['blue', 'orange'];

  override render() {
    const { probe } = this;
    if (!probe) {
      return html`<h2>Pixel</h2>
        <p class="muted">Point at the picture to see which neurons paint a pixel; click to keep it.</p>`;
    }
    const entry = probe.layers.find(({ layer }) => layer === this.layer);
    const largest = Math.max(...(entry?.top.map(({ contribution }) => Math.abs(contribution)) ?? []), 1e-30);
    return html`<h2 data-testid="probe-pixel">Pixel ${probe.row}, ${probe.column}</h2>
      <div class="value">
        <span class="swatch" style="background: ${this.colour}"></span>
        <span class="number ellipsis" title="The network’s output, one number a channel"
          >${probe.value.map((v) => significant(v)).join('  ')}</span
        >
      </div>
      ${
        entry
          ? html`<ol data-testid="probe">
                ${entry.top.map(({ neuron, contribution }) => this.row(neuron, contribution, largest))}
              </ol>
              <p class="muted">
                ${entry.top.length} of ${this.neurons} neurons hold ${percent(entry.held, 0)} here
              </p>`
          : nothing
      }`;
  }

  private row(neuron: number, contribution: number, largest: number) {
    const width = (50 * Math.abs(contribution)) / largest;
    const left = contribution < 0 ? 50 - width : 50;
    const colour = this.colours[contribution < 0 ? 0 : 1];
    return html`<li>
      <button
        aria-pressed=${this.selected.has(neuron)}
        aria-label="Neuron ${neuron}: ${signed(contribution)}"
        @click=${() => this.dispatchEvent(new CustomEvent('pick-neuron', { detail: neuron }))}
      >
        <span class="name number">${neuron}</span>
        <span class="bar"><i style="left: ${left}%; width: ${width}%; background: ${colour}"></i></span>
        <span class="amount number">${signed(contribution)}</span>
      </button>
    </li>`;
  }
}
