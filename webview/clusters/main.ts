import '@vscode-elements/elements/dist/vscode-icon/index.js';
import { html, LitElement, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import type { Clustering, RegionFeature } from '../../src/tracing/types';
import type { NeuronRef } from '../../src/worker/protocol';
import { clustersDrawing } from '../shared/drawings';
import { integer, significant } from '../shared/format';
import { lassoIcon } from '../shared/icons';
import { Intent } from '../shared/intent';
import { Memo } from '../shared/memo';
import { fillPage } from '../shared/page';
import { select, type Modifiers } from '../shared/selection';
import { Session } from '../shared/session';
import { notice, progressBar, sessionNotice } from '../shared/status';
import { Theme } from '../shared/theme';
import './card';
import { whole, type View } from './plane';
import './scatter';
import type { Facet, Tool } from './scatter';
import { styles } from './styles';

const features: Readonly<Record<RegionFeature, { readonly name: string; readonly title: string }>> = {
  edge: { name: 'By edges', title: 'Neurons that contribute where edges are alike lie close' },
  color: { name: 'By colours', title: 'Neurons that contribute where colours are alike lie close' },
  space: { name: 'By place', title: 'Neurons that contribute at the same places lie close' },
};

/** Numbers of clusters to choose from. */
const counts = Array.from({ length: 11 }, (_, i) => i + 2);

const defaults = {
  tool: 'lasso' as string,
  by: 'cluster' as string,
  /** A plot for each layer, or each cluster, in place of one of all. */
  multiples: false,
  ...whole,
  /** Points that the view was chosen for. */
  viewOf: '',
  /** How the person had a file's neurons grouped; `clusters` 0 leaves their number to the silhouette. */
  path: '',
  features: 'edge' as string,
  clusters: 0,
};

/** Neurons by likeness: a scatter plot, and what each cluster is. */
@customElement('nc-clusters')
export class ClustersView extends LitElement {
  static override styles = styles;

  private readonly session = new Session(this);
  private readonly theme = new Theme(this);
  private readonly intent = new Intent(this.session.host.api, defaults);
  /** Whether what the person chose before the page was loaded has been compared with what the host shows. */
  private restored = false;
  @state() private emphasised = -1;

  private set(change: Partial<typeof defaults>): void {
    this.intent.set(change);
    this.requestUpdate();
  }

  protected override willUpdate(): void {
    const { clustering, view } = this.session;
    if (!clustering || !view) return;
    if (!this.restored) {
      this.restored = true;
      const { path, features: wanted, clusters } = this.intent.value;
      const same =
        clustering.features === wanted && (clustering.suggested ? 0 : clustering.clusters) === clusters;
      if (path === view.path && wanted in features && !same) this.group(wanted as RegionFeature, clusters);
    }
    // Another number of clusters leaves the points where they are, and what is looked at too.
    const viewOf = `${view.path} ${clustering.features} ${clustering.points.length}`;
    if (viewOf !== this.intent.value.viewOf) this.intent.set({ ...whole, viewOf });
  }

  /** @param clusters 0 to have their number suggested */
  private group(wanted: RegionFeature, clusters: number): void {
    this.set({ path: this.session.view?.path ?? '', features: wanted, clusters });
    this.session.host.post({ type: 'cluster', features: wanted, ...(clusters > 0 && { clusters }) });
  }

  /** The canvas shows the layer of the neuron chosen last: the one shown now if it has any of them. */
  private pick(neurons: readonly NeuronRef[]): void {
    const current = this.session.selection.layer;
    const last = neurons.findLast(({ layer }) => layer === current) ?? neurons.at(-1);
    if (!last) this.session.select({ neurons: [] });
    else {
      const others = neurons.filter((neuron) => neuron !== last);
      this.session.select({ neurons: [...others, last], layer: last.layer });
    }
  }

  private pickMember(neuron: NeuronRef, modifiers: Modifiers): void {
    const neurons = select(this.session.selection.neurons, () => neuron, 0, -1, modifiers);
    this.session.select({ neurons, layer: neuron.layer });
  }

  override render() {
    const purpose = 'Groups the neurons of a checkpoint by the regions of the picture they contribute to.';
    const early = sessionNotice(this.session, purpose, clustersDrawing());
    if (early) return early;
    const { clustering, clusteringWork: work, clusteringError: error, selection } = this.session;
    return html`<main class="panel">
      ${this.toolbar()}
      ${work && clustering ? html`<div class="pending">${progressBar(work, null)}</div>` : nothing}
      ${clustering ? this.content(clustering) : this.missing()}
      <div class="visually-hidden" role="status">
        ${work ?? error ?? (selection.neurons.length > 1 ? `${integer(selection.neurons.length)} neurons selected` : '')}
      </div>
    </main>`;
  }

  private missing() {
    const { clusteringWork: work, clusteringError: error } = this.session;
    if (work)
      return notice(
        'clustering',
        html`<p>${work}</p>
          ${progressBar(work, null)}`,
      );
    if (error) return notice('clustering-failed', html`<p>${error}</p>`);
    const { features: wanted, clusters } = this.intent.value;
    const known = wanted in features ? (wanted as RegionFeature) : 'edge';
    return notice(
      'not-clustered',
      html`<p>The neurons are not grouped yet.</p>
        <vscode-button @click=${() => this.group(known, clusters)}>Group Neurons</vscode-button>`,
    );
  }

  private content({ points, summaries }: Clustering) {
    const { layers, names, selection, clusteringWork, clusteringOther: other } = this.session;
    const { multiples } = this.intent.value;
    const largestAffinity = Math.max(
      0,
      ...summaries.flatMap(({ affinities }) => affinities.flatMap(({ value, random }) => [value, random])),
    );
    return html`<div class="content ${clusteringWork ? 'stale' : ''}" aria-busy=${clusteringWork !== null}>
      ${multiples ? this.multiples(points) : this.scatter(points, null)}
      <div class="cards">
        ${this.layerKey()}
        <ol aria-label="Clusters">
          ${summaries.map(
            (summary, index) =>
              html`<li
                data-testid="cluster-card"
                data-cluster=${index}
                @mouseenter=${() => (this.emphasised = index)}
                @mouseleave=${() => (this.emphasised = -1)}
              >
                <nc-cluster-card
                  .index=${index}
                  .summary=${summary}
                  .layers=${layers}
                  .names=${names}
                  .selection=${selection.neurons}
                  .otherLayers=${other?.layers ?? []}
                  .largestAffinity=${largestAffinity}
                  @pick-members=${() => this.pick(membersOf(points, index))}
                  @pick-member=${({ detail }: CustomEvent<{ neuron: NeuronRef; modifiers: Modifiers }>) =>
                    this.pickMember(detail.neuron, detail.modifiers)}
                ></nc-cluster-card>
              </li>`,
          )}
        </ol>
      </div>
    </div>`;
  }

  /** @param facet what of the points the plot is about; null for all */
  private scatter(points: Clustering['points'], facet: Facet | null) {
    const { layers, names, selection, clusteringOther: other } = this.session;
    const { tool, by, zoom, centreX, centreY } = this.intent.value;
    return html`<nc-clusters-scatter
      .points=${points}
      .layers=${layers}
      .names=${names}
      .selection=${selection.neurons}
      .view=${{ zoom, centreX, centreY }}
      .tool=${tool === 'move' ? 'move' : 'lasso'}
      .otherLayers=${other?.layers ?? []}
      .by=${by === 'layer' || (by === 'model' && other) ? by : 'cluster'}
      .facet=${facet}
      .emphasised=${this.emphasised}
      @pick=${({ detail }: CustomEvent<NeuronRef[]>) => this.pick(detail)}
      @view-change=${({ detail }: CustomEvent<View>) => this.set({ ...detail })}
    ></nc-clusters-scatter>`;
  }

  private readonly facets = new Memo<readonly Facet[]>();

  /** The same plane for each layer, or for each cluster while colours tell the layers. */
  private multiples(points: Clustering['points']) {
    const { names } = this.session;
    const of = this.intent.value.by === 'layer' ? 'cluster' : 'layer';
    const facets = this.facets.get([points, names, of], () => {
      const values = [...new Set(points.map((point) => point[of]))].sort((a, b) => a - b);
      return values.map((value) => ({
        of,
        value,
        name: of === 'layer' ? names[value] : `cluster ${value + 1}`,
      }));
    });
    return html`<ul class="multiples" aria-label="A plot for each ${of}" data-testid="clusters-multiples">
      ${facets.map(
        (facet) =>
          html`<li>
            <span class="ellipsis muted" title=${facet.name}>${facet.name}</span>
            ${this.scatter(points, facet)}
          </li>`,
      )}
    </ul>`;
  }

  private layerKey() {
    const { layers, names } = this.session;
    return html`<div class="layers muted" role="group" aria-label="Colours of layers">
      ${names.map(
        (name, layer) =>
          html`<span><i style="background: ${this.theme.depth(layer, layers.length)}"></i>${name}</span>`,
      )}
    </div>`;
  }

  private toolbar() {
    const { clustering, clusteringWork, clusteringError } = this.session;
    const { by, zoom, multiples } = this.intent.value;
    const now = clustering?.features ?? this.intent.value.features;
    const asked = clustering ? (clustering.suggested ? 0 : clustering.clusters) : this.intent.value.clusters;
    const chosen = (event: Event) => (event.target as HTMLSelectElement).value;
    const auto = clustering?.suggested ? `${clustering.clusters} clusters (suggested)` : 'Suggested number';
    return html`<div class="toolbar">
      <select
        aria-label="What neurons are grouped by"
        title=${now in features ? features[now as RegionFeature].title : ''}
        data-testid="clusters-features"
        @change=${(event: Event) => this.group(chosen(event) as RegionFeature, asked)}
      >
        ${Object.entries(features).map(
          ([feature, { name }]) =>
            html`<option value=${feature} .selected=${live(feature === now)}>${name}</option>`,
        )}
      </select>
      <select
        aria-label="Number of clusters"
        title="Number of clusters. Suggested is the most of those whose silhouette is within 0.05 of the best"
        data-testid="clusters-count"
        @change=${(event: Event) => this.group(now as RegionFeature, Number(chosen(event)))}
      >
        <option value="0" .selected=${live(asked === 0)}>${auto}</option>
        ${counts.map(
          (count) =>
            html`<option value=${count} .selected=${live(count === asked)}>
              ${count} clusters${rankOf(clustering, count)}
            </option>`,
        )}
      </select>
      <select
        aria-label="Colours of the points"
        data-testid="clusters-colour"
        @change=${(event: Event) => this.set({ by: chosen(event) })}
      >
        <option value="cluster" .selected=${live(by !== 'layer' && by !== 'model')}>Colour by cluster</option>
        <option value="layer" .selected=${live(by === 'layer')}>Colour by layer</option>
        ${
          this.session.clusteringOther
            ? html`<option value="model" .selected=${live(by === 'model')}>Colour by checkpoint</option>`
            : nothing
        }
      </select>
      ${this.others()}
      <div class="group" role="group" aria-label="Pointer">
        ${this.toolButton('lasso', 'Select', 'Drag to Select with a Lasso', lassoIcon)}
        ${this.toolButton('move', 'Move', 'Drag to Move the View', html`<vscode-icon name="move"></vscode-icon>`)}
        <button
          type="button"
          class="icon"
          title="One Plot for Each Layer, or Each Cluster"
          aria-label="Small multiples"
          aria-pressed=${multiples}
          data-testid="clusters-toggle-multiples"
          @click=${() => this.set({ multiples: !multiples })}
        >
          <vscode-icon name="table"></vscode-icon>
        </button>
        <button
          type="button"
          class="icon"
          title="Show All Neurons (0)"
          aria-label="Show all neurons"
          ?disabled=${zoom === 1}
          data-testid="clusters-reset"
          @click=${() => this.set({ ...whole })}
        >
          <vscode-icon name="screen-normal"></vscode-icon>
        </button>
      </div>
      <span
        class="facts ellipsis number ${clustering && clusteringError ? 'failed' : 'muted'}"
        title=${clusteringError ?? (clustering ? facts(clustering) : '')}
        data-testid="clusters-facts"
      >
        ${clustering ? (clusteringWork ?? clusteringError ?? facts(clustering)) : ''}
      </span>
    </div>`;
  }

  /** Another checkpoint of the same picture. */
  private others() {
    const { clusteringOther: other, view } = this.session;
    const post = (which: 'pick' | 'none') => {
      this.set({ by: which === 'pick' ? 'model' : 'cluster' });
      this.session.host.post({ type: 'clusterWith', other: which });
    };
    if (!other) {
      return html`<button
        type="button"
        class="icon"
        title="Group with the Neurons of Another Checkpoint…"
        aria-label="Group with the neurons of another checkpoint"
        data-testid="clusters-with"
        @click=${() => post('pick')}
      >
        <vscode-icon name="git-compare"></vscode-icon>
      </button>`;
    }
    return html`<span class="others muted" data-testid="clusters-others">
      <span style="color: ${this.theme.category(0)}">●</span> A ${view?.name}
      <span style="color: ${this.theme.category(1)}">■</span> B ${other.name}
      <button
        type="button"
        class="icon"
        title="Group Without the Other Checkpoint"
        aria-label="Group without the other checkpoint"
        data-testid="clusters-alone"
        @click=${() => post('none')}
      >
        <vscode-icon name="close"></vscode-icon>
      </button>
    </span>`;
  }

  private toolButton(name: Tool, label: string, title: string, icon: unknown) {
    const { tool } = this.intent.value;
    return html`<button
      type="button"
      class="icon"
      title=${title}
      aria-label=${label}
      aria-pressed=${(tool === 'move') === (name === 'move')}
      data-testid="clusters-tool-${name}"
      @click=${() => this.set({ tool: name })}
    >
      ${icon}
    </button>`;
  }
}

const facts = ({ silhouette, deadLeftOut, weakLeftOut = 0, seed }: Clustering) =>
  [
    `Silhouette ${significant(silhouette, 2)}`,
    ...(deadLeftOut > 0 ? [`${integer(deadLeftOut)} dead left out`] : []),
    ...(weakLeftOut > 0 ? [`${integer(weakLeftOut)} weakest left out`] : []),
    `seed ${seed}`,
  ].join(' · ');

/** Silhouette of a number of clusters, and its place among those tried. */
function rankOf(clustering: Clustering | null, count: number): string {
  const suggestions = clustering?.suggestions ?? [];
  const place = suggestions.findIndex(({ clusters }) => clusters === count);
  if (place < 0) return '';
  return ` · silhouette ${significant(suggestions[place].silhouette, 2)}${place < 3 ? `, ${['best', '2nd', '3rd'][place]}` : ''}`;
}

const membersOf = (points: Clustering['points'], cluster: number): NeuronRef[] =>
  points
    .filter((point) => point.cluster === cluster && !point.model)
    .map(({ layer, neuron }) => ({ layer, neuron }));

fillPage();
