import { css, html, LitElement, nothing, svg } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { ClusterSummary, LayerTrace, ModelNeuron, RegionFeature } from '../../src/tracing/types';
import type { NeuronRef } from '../../src/worker/protocol';
import { percent, plural, significant } from '../shared/format';
import { neuronName } from '../shared/names';
import { NeuronSet, type Modifiers } from '../shared/selection';
import { base } from '../shared/styles';
import { Theme } from '../shared/theme';
import '../shared/thumbnail';
import { circle, markers } from './markers';

const regions: Readonly<Record<RegionFeature, string>> = { color: 'colours', edge: 'edges', space: 'places' };

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
      .affinities {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 12px;
        font-size: 11px;
        color: var(--muted);
      }
      .affinities > span {
        display: flex;
        align-items: center;
        gap: 4px;
      }
      .affinities i {
        position: relative;
        width: 36px;
        height: 5px;
        border-radius: 2px;
        background: color-mix(in srgb, var(--vscode-foreground) 12%, transparent);
      }
      .affinities i::before {
        content: '';
        position: absolute;
        inset: 0 auto 0 0;
        width: var(--value);
        border-radius: 2px;
        background: var(--vscode-charts-blue);
      }
      .affinities i::after {
        content: '';
        position: absolute;
        top: -2px;
        bottom: -2px;
        left: var(--random);
        border-left: 1px solid var(--vscode-foreground);
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
  /** Layers of the other checkpoint, where neurons of two are grouped, and the largest affinity of all clusters. */
  @property({ attribute: false }) otherLayers: readonly LayerTrace[] = [];
  @property({ attribute: false }) largestAffinity = 1;
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
            Select
          </button>
        </div>
        ${this.mix()} ${this.affinities()}
        <ul aria-label="Members nearest to the middle">
          ${nearest.map((neuron) => this.member(neuron, selected))}
        </ul>
      </div>
    `;
  }

  private mix() {
    const { summary, names, theme, layers } = this;
    const parts = summary.layerMix.map((entry) => ({ ...entry, part: entry.count / summary.size }));
    const whose = (model: number | undefined, layer: number) =>
      model
        ? `B: ${this.otherLayers[layer]?.name ?? ''}`
        : this.otherLayers.length > 0
          ? `A: ${names[layer]}`
          : names[layer];
    const words = parts
      .map(({ layer, model, part }) => `${whose(model, layer)} ${percent(part, 0)}`)
      .join(', ');
    return html`<div class="mix" role="img" aria-label="Layers: ${words}" title=${words}>
      ${parts.map(
        ({ layer, model, count }) =>
          html`<div
            style="flex: ${count}; background: ${theme.depth(layer, model ? this.otherLayers.length : layers.length)}; opacity: ${model ? 0.55 : 1}"
          ></div>`,
      )}
    </div>`;
  }

  /** What the members care about: mean |δ| as a bar, that of random regions as a mark. */
  private affinities() {
    const { affinities, motion } = this.summary;
    if (affinities.length === 0) return nothing;
    const width = (value: number) =>
      `${Math.min(100, (100 * value) / Math.max(this.largestAffinity, 1e-12))}%`;
    return html`<div class="affinities" data-testid="cluster-affinities">
      ${affinities.map(({ feature, value, random }) => {
        const times = random > 0 ? `${(value / random).toFixed(1)}×` : '–';
        const title = `How unevenly the members lie over ${regions[feature]}: mean |δ| ${significant(value)}, over random regions of the same sizes ${significant(random)}`;
        return html`<span title=${title}
          >${regions[feature]}<i style="--value: ${width(value)}; --random: ${width(random)}"></i
          ><span class="number">${times}</span></span
        >`;
      })}
      ${motion ? this.motion(motion) : nothing}
    </div>`;
  }

  /** How well the members' change agrees with motion: r as a bar, that with motion moved elsewhere as a mark. */
  private motion({ correlation, elsewhere }: NonNullable<ClusterSummary['motion']>) {
    const width = (r: number) => `${100 * Math.min(1, Math.max(0, r))}%`;
    const title = `Correlation of the members' change with optical flow: r ${significant(correlation)}, with the flow moved around the frame ${significant(elsewhere)}`;
    return html`<span title=${title} data-testid="cluster-motion"
      >motion<i style="--value: ${width(correlation)}; --random: ${width(elsewhere)}"></i
      ><span class="number">r ${correlation.toFixed(2).replace('-', '−')}</span></span
    >`;
  }

  private member(neuron: ModelNeuron, selected: NeuronSet) {
    const layer = (neuron.model ? this.otherLayers : this.layers)[neuron.layer];
    const atlas = layer?.previews;
    if (!atlas) return nothing;
    if (neuron.model) {
      const name = `B: ${neuronName(layer.name, neuron.neuron)}`;
      return html`<li title=${name}>
        <nc-thumbnail
          style="aspect-ratio: ${atlas.width} / ${atlas.height}; opacity: 0.7"
          role="img"
          aria-label=${name}
          .atlas=${atlas}
          .neuron=${neuron.neuron}
          .colours=${this.theme.signed}
        ></nc-thumbnail>
      </li>`;
    }
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
