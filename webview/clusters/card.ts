import { css, html, LitElement, nothing, svg } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { ClusterSummary, LayerTrace } from '../../src/tracing/types';
import type { NeuronRef } from '../../src/worker/protocol';
import { percent, plural } from '../shared/format';
import { neuronName } from '../shared/names';
import { NeuronSet, type Modifiers } from '../shared/selection';
import { base } from '../shared/styles';
import { Theme } from '../shared/theme';
import '../shared/thumbnail';
import { circle, markers } from './markers';

/**
 * What a cluster is: size, mean map, layers, and the members nearest to its middle.
 * @fires pick-member detail: { neuron: NeuronRef, modifiers: Modifiers }
 * @fires pick-members
 */
@customElement('nc-cluster-card')
export class ClusterCard extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: grid;
        grid-template-columns: auto minmax(0, 1fr);
        gap: 0 10px;
        padding: 6px 8px;
        border: 1px solid transparent;
        border-radius: 4px;
      }
      :host(:hover) {
        background: var(--vscode-list-hoverBackground);
        border-color: var(--vscode-contrastActiveBorder, transparent);
      }
      .mean {
        width: var(--mean-width, 96px);
        align-self: center;
      }
      .about {
        display: flex;
        flex-direction: column;
        gap: 5px;
        min-width: 0;
      }
      .title {
        display: flex;
        align-items: center;
        gap: 6px;
        min-width: 0;
      }
      .title .link {
        margin-left: auto;
        white-space: nowrap;
      }
      svg {
        flex: none;
        width: 12px;
        height: 12px;
      }
      .mix {
        display: flex;
        gap: 1px;
        height: 6px;
        overflow: hidden;
        border-radius: 2px;
      }
      .mix > div {
        min-width: 2px;
      }
      ul {
        display: flex;
        flex-wrap: wrap;
        gap: 3px;
        height: 26px;
        margin: 0;
        padding: 1px;
        overflow: hidden;
        list-style: none;
      }
      li {
        display: flex;
      }
      li button {
        padding: 0;
        border-radius: 2px;
        line-height: 0;
      }
      li nc-thumbnail {
        height: 24px;
      }
      li button:hover {
        outline: 1px solid var(--vscode-foreground);
      }
      li button[aria-pressed='true'] {
        outline: 2px solid var(--vscode-focusBorder);
        outline-offset: -1px;
      }
      li button:focus-visible {
        outline: 2px solid var(--vscode-focusBorder);
        outline-offset: 0;
      }
    `,
  ];

  /** From 0. */
  @property({ attribute: false }) index = 0;
  @property({ attribute: false }) summary!: ClusterSummary;
  @property({ attribute: false }) layers: readonly (LayerTrace | undefined)[] = [];
  @property({ attribute: false }) names: readonly string[] = [];
  @property({ attribute: false }) selection: readonly NeuronRef[] = [];
  private readonly theme = new Theme(this);

  override render() {
    const { index, summary, theme } = this;
    const { meanMap, size, nearest } = summary;
    const selected = new NeuronSet(this.selection);
    const shape = theme.highContrast ? markers[index % markers.length] : circle;
    return html`
      <nc-thumbnail
        class="mean"
        role="img"
        aria-label="Mean map of cluster ${index + 1}"
        title="Mean of the members' |maps|: dark is its least value, bright its largest"
        style="aspect-ratio: ${meanMap.width} / ${meanMap.height}"
        .meanMap=${meanMap}
        .colours=${theme.magnitude}
      ></nc-thumbnail>
      <div class="about">
        <div class="title">
          <svg viewBox="-1.5 -1.5 3 3" aria-hidden="true">
            ${svg`<path d=${shape} fill=${theme.category(index)}></path>`}
          </svg>
          <strong>${index + 1}</strong>
          <span class="muted number ellipsis">${plural(size, 'neuron')}</span>
          <button
            type="button"
            class="link"
            aria-label="Select members of cluster ${index + 1}"
            data-testid="cluster-select"
            @click=${() => this.dispatchEvent(new CustomEvent('pick-members'))}
          >
            Select members
          </button>
        </div>
        ${this.mix()}
        <ul aria-label="Members nearest to the middle">
          ${nearest.map((neuron) => this.member(neuron, selected))}
        </ul>
      </div>
    `;
  }

  private mix() {
    const { summary, names, theme, layers } = this;
    const parts = summary.layerMix.map(({ layer, count }) => ({ layer, count, part: count / summary.size }));
    const words = parts.map(({ layer, part }) => `${names[layer]} ${percent(part, 0)}`).join(', ');
    return html`<div class="mix" role="img" aria-label="Layers: ${words}" title=${words}>
      ${parts.map(
        ({ layer, count }) =>
          html`<div style="flex: ${count}; background: ${theme.depth(layer, layers.length)}"></div>`,
      )}
    </div>`;
  }

  private member(neuron: NeuronRef, selected: NeuronSet) {
    const atlas = this.layers[neuron.layer]?.previews;
    if (!atlas) return nothing;
    const name = neuronName(this.names[neuron.layer], neuron.neuron);
    const pick = ({ ctrlKey, metaKey, shiftKey }: MouseEvent) => {
      const modifiers: Modifiers = { ctrlKey: ctrlKey || shiftKey, metaKey, shiftKey: false };
      this.dispatchEvent(new CustomEvent('pick-member', { detail: { neuron, modifiers } }));
    };
    return html`<li>
      <button
        type="button"
        title=${name}
        aria-label=${name}
        aria-pressed=${selected.has(neuron.layer, neuron.neuron)}
        data-testid="cluster-member"
        data-layer=${neuron.layer}
        data-neuron=${neuron.neuron}
        @click=${pick}
      >
        <nc-thumbnail
          style="aspect-ratio: ${atlas.width} / ${atlas.height}"
          .atlas=${atlas}
          .neuron=${neuron.neuron}
          .colours=${this.theme.signed}
        ></nc-thumbnail>
      </button>
    </li>`;
  }
}
