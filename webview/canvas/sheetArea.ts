/** Layers as tabs, and every neuron's map of the one shown. */
import { html, nothing } from 'lit';
import type { LayerTrace } from '../../src/tracing/types';
import { integer, percent, plural } from '../shared/format';
import { Memo } from '../shared/memo';
import { clustersOf, neuronOrder, sheetSorts, type SheetSort } from '../shared/order';
import { ALPHA, type Canvas } from './canvas';
import { inSlot } from './parts';
import './sheet';

const sortNames: Readonly<Record<SheetSort, string>> = {
  share: 'share',
  index: 'index',
  cluster: 'cluster',
  region: 'region',
};

const order = new Memo<Uint32Array>();

export const sheetArea = (canvas: Canvas) =>
  html`<section class="bottom" aria-label="Contribution maps">
    <div class="bar">${tabs(canvas)} ${controls(canvas)}</div>
    ${inSlot(canvas, 'overSheet')} ${sheet(canvas)}
  </section>`;

function tabs(canvas: Canvas) {
  const { names, layers } = canvas.session;
  const choose = (index: number) => canvas.session.select({ layer: index });
  const key = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const list = event.currentTarget as HTMLElement;
    const to = (canvas.layerIndex + step + names.length) % names.length;
    if (layers[to]) choose(to);
    setTimeout(() => list.querySelector<HTMLElement>('[role=tab][aria-selected=true]')?.focus());
  };
  return html`<div class="tabs" role="tablist" aria-label="Layers" @keydown=${key}>
    ${names.map((name, index) => {
      const layer = layers[index];
      const current = index === canvas.layerIndex;
      return html`<button
        role="tab"
        data-testid="layer-${index}"
        aria-selected=${current}
        tabindex=${current ? 0 : -1}
        ?disabled=${!layer}
        title=${layer ? `${layer.name}: ${layer.neurons} neurons → ${layer.outputs} outputs` : name}
        @click=${() => choose(index)}
      >
        <span class="ellipsis">${name}</span>
        <span class="count muted">${layer ? integer(layer.neurons) : '…'}</span>
      </button>`;
    })}
  </div>`;
}

function controls(canvas: Canvas) {
  const { sort, signed, shared, hideDead, size } = canvas.intent.value;
  const chosen = (event: Event) => (event.target as HTMLSelectElement).value;
  const dead = canvas.layer?.distributedness.dead ?? 0;
  return html`<div class="controls">
    <label
      >Sort
      <select data-testid="sort" @change=${(event: Event) => canvas.set({ sort: chosen(event) })}>
        ${sheetSorts.map((name) => html`<option value=${name} ?selected=${name === sort}>${sortNames[name]}</option>`)}
      </select></label
    >
    <label
      >Colours
      <select
        data-testid="colours"
        @change=${(event: Event) => canvas.set({ signed: chosen(event) === 'signed' })}
      >
        <option value="signed" ?selected=${signed}>signed</option>
        <option value="magnitude" ?selected=${!signed}>magnitude</option>
      </select></label
    >
    <label
      >Scale
      <select
        data-testid="scale"
        @change=${(event: Event) => canvas.set({ shared: chosen(event) === 'shared' })}
      >
        <option value="own" ?selected=${!shared}>own</option>
        <option value="shared" ?selected=${shared}>shared</option>
      </select></label
    >
    ${inSlot(canvas, 'sheetControls')}
    ${
      dead > 0
        ? html`<label
            ><input
              type="checkbox"
              .checked=${hideDead}
              @change=${(event: Event) =>
                canvas.set({ hideDead: (event.target as HTMLInputElement).checked })}
            />Hide ${integer(dead)} dead</label
          >`
        : nothing
    }
    <label title="Size of the maps"
      ><vscode-icon name="zoom-in" aria-hidden="true"></vscode-icon
      ><span class="visually-hidden">Size of the maps</span
      ><input
        type="range"
        min="24"
        max="240"
        step="4"
        .value=${String(size)}
        @input=${(event: Event) => canvas.set({ size: Number((event.target as HTMLInputElement).value) })}
    /></label>
  </div>`;
}

function note(canvas: Canvas, layer: LayerTrace) {
  const { distributedness: d, neurons, last, neuronsPerPixel } = layer;
  const share = neuronsPerPixel.find(({ alpha }) => alpha === ALPHA);
  const stats = [
    `Gini ${d.gini.toFixed(2)}`,
    `${plural(d.neuronsFor50, 'neuron')} hold half, ${integer(d.neuronsFor90)} hold 90 %`,
    ...(d.dead > 0 ? [`${integer(d.dead)} dead`] : []),
    ...(share ? [`${percent(share.mean)} count at a pixel`] : []),
  ];
  const reach = last ? 'adds up to the pixel exactly' : 'reaches the next layer, not yet the pixel';
  const coordinates =
    canvas.layerIndex === 0 && neurons <= 3 && canvas.session.view?.inspection?.encoding === 'none';
  const title = `A neuron’s map is ${layer.mapDefinition}, with c_ij its share in output j. It ${reach}.`;
  return html`<p class="note muted" data-testid="note" title=${title}>
    <span class="ellipsis">${stats.join(' · ')}</span>
    <span class="reach">${coordinates ? 'neurons are the coordinates; the map ' : 'map '}${reach}</span>
  </p>`;
}

function sheet(canvas: Canvas) {
  const { layer, theme, session } = canvas;
  if (!layer) {
    return html`<div class="fill muted">
      ${session.view?.status.state === 'tracing' ? 'Tracing this layer …' : 'This layer was not traced.'}
    </div>`;
  }
  const { sort, hideDead, signed, shared, size } = canvas.intent.value;
  const inRegion = session.region?.layers[canvas.layerIndex]?.share;
  const shown = order.get([layer, sort, hideDead, session.clustering, inRegion], () => {
    const known = sheetSorts.find((name) => name === sort) ?? 'share';
    const clusters = clustersOf(session.clustering, canvas.layerIndex, layer.neurons);
    return neuronOrder(layer, known, hideDead, clusters, inRegion);
  });
  const limit = shared ? layer.previews.limit.reduce((a, b) => Math.max(a, b), 0) : null;
  return html`${note(canvas, layer)}
  ${
    shown.length === 0
      ? html`<div class="fill muted">
          <span>All neurons of this layer are dead: their maps are zero everywhere.</span>
          <button class="link" @click=${() => canvas.set({ hideDead: false })}>Show them</button>
        </div>`
      : html`<nc-sheet
          .atlas=${layer.previews}
          .order=${shown}
          .share=${layer.statistics.share}
          .look=${{ colours: signed ? theme.signed : theme.magnitude, signed, limit }}
          .size=${size}
          .selected=${canvas.selected}
          .colours=${{
            text: theme.foreground,
            muted: theme.muted,
            selected: theme.colour('list-activeSelectionBackground', '#0a64ad'),
            selectedText: theme.colour('list-activeSelectionForeground', theme.foreground),
            focus: theme.colour('focusBorder', '#0078d4'),
            hover: theme.muted,
            font: `11px ${theme.colour('font-family', 'sans-serif')}`,
          }}
          label="Contribution maps of ${layer.name}, by ${sort}"
          @select-neurons=${({ detail }: CustomEvent<number[]>) => canvas.choose(detail)}
        ></nc-sheet>`
  }`;
}
