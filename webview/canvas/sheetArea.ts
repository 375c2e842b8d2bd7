/** Layers as tabs, and every neuron's map of the one shown. */
import { html, nothing } from 'lit';
import type { LayerTrace, Method } from '../../src/tracing/types';
import { unitOf } from '../../src/tracing/units';
import { integer, percent, plural } from '../shared/format';
import { Memo } from '../shared/memo';
import { clustersOf, neuronOrder, sheetSorts, type SheetSort } from '../shared/order';
import { ALPHA, type Canvas } from './canvas';
import { channelSheet, neuronNames, ofOpenedChannel, openChannel } from './channels';
import { inSlot } from './parts';
import '../shared/disclosure';
import type { Look, SharpMaps } from '../shared/mapRenderer';
import type { Theme } from '../shared/theme';
import type { SheetColours } from './sheet';
import './sheet';

const sortNames: Readonly<Record<SheetSort, string>> = {
  share: 'share',
  index: 'index',
  cluster: 'cluster',
  region: 'region',
};

// The sheet is drawn anew when one of these is another object, so they are kept.
const order = new Memo<Uint32Array>();
const looks = new Memo<Look>();
const sheetColours = new Memo<SheetColours>();

const coloursOf = (theme: Theme): SheetColours => ({
  text: theme.foreground,
  muted: theme.muted,
  selected: theme.colour('list-activeSelectionBackground', '#0a64ad'),
  selectedText: theme.colour('list-activeSelectionForeground', theme.foreground),
  focus: theme.colour('focusBorder', '#0078d4'),
  hover: theme.muted,
  font: `11px ${theme.colour('font-family', 'sans-serif')}`,
});

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
      const caret = layer !== undefined && canvas.session.code.caret.includes(layer.name);
      const title = layer ? `${layer.name}: ${layer.neurons} neurons → ${layer.outputs} outputs` : name;
      return html`<button
        role="tab"
        data-testid="layer-${index}"
        aria-selected=${current}
        tabindex=${current ? 0 : -1}
        ?disabled=${!layer}
        class=${caret ? 'caret' : ''}
        title=${caret ? `${title}. At the caret in the code` : title}
        @click=${() => choose(index)}
      >
        <span class="ellipsis">${name}</span>
        ${caret ? html`<span class="visually-hidden">at the caret in the code</span>` : nothing}
        <span class="count muted">${layer ? integer(layer.neurons) : '…'}</span>
      </button>`;
    })}
  </div>`;
}

const smallest = 12;
const largestSize = 240;

function controls(canvas: Canvas) {
  const { sort, signed, shared, hideDead, size, gamma } = canvas.intent.value;
  const chosen = (event: Event) => (event.target as HTMLSelectElement).value;
  const number = (event: Event) => Number((event.target as HTMLInputElement).value);
  const dead = canvas.layer?.distributedness.dead ?? 0;
  return html`<div class="controls">
    <label
      >Sort
      <select data-testid="sort" @change=${(event: Event) => canvas.set({ sort: chosen(event) })}>
        ${sheetSorts.map((name) => html`<option value=${name} ?selected=${name === sort}>${sortNames[name]}</option>`)}
      </select></label
    >
    <label title="Size of the maps (Ctrl and wheel over them)"
      ><vscode-icon name="zoom-in" aria-hidden="true"></vscode-icon
      ><span class="visually-hidden">Size of the maps</span
      ><input
        type="range"
        data-testid="size"
        min=${smallest}
        max=${largestSize}
        step="1"
        .value=${String(size)}
        @input=${(event: Event) => canvas.set({ size: number(event) })}
    /></label>
    <nc-disclosure class="display" label="How maps are shown">
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
          title="The ends of the colours: each map’s own largest contribution, or the layer’s"
          @change=${(event: Event) => canvas.set({ shared: chosen(event) === 'shared' })}
        >
          <option value="own" ?selected=${!shared}>own</option>
          <option value="shared" ?selected=${shared}>shared</option>
        </select></label
      >
      <label title="Below 1 weak contributions show, above 1 only strong ones; double-click for 1"
        >Gamma
        <input
          type="range"
          data-testid="gamma"
          min="0.2"
          max="2"
          step="0.05"
          aria-valuetext=${gamma.toFixed(2)}
          .value=${String(gamma)}
          @input=${(event: Event) => canvas.set({ gamma: number(event) })}
          @dblclick=${() => canvas.set({ gamma: 1 })}
        /><span class="value number">${gamma.toFixed(2)}</span></label
      >
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
      ${inSlot(canvas, 'sheetControls')}
    </nc-disclosure>
  </div>`;
}

/** How far the maps go, to follow “it”. */
function reachOf({ last, convolution }: LayerTrace, method: Method): string {
  if (method === 'gradient') return 'reaches the pixel, exactly for small changes';
  if (method === 'ablation') return 'is what the pixel loses without it';
  if (last) return 'adds up to the pixel exactly';
  return convolution
    ? 'reaches the frame through the layers behind it, imitated'
    : 'reaches the next layer, not yet the pixel';
}

function note(canvas: Canvas, layer: LayerTrace) {
  const { distributedness: d, neurons, neuronsPerPixel } = layer;
  const share = neuronsPerPixel.find(({ alpha }) => alpha === ALPHA);
  const stats = [
    `Gini ${d.gini.toFixed(2)}`,
    `${plural(d.neuronsFor50, unitOf(layer))} hold half, ${integer(d.neuronsFor90)} hold 90 %`,
    ...(d.dead > 0 ? [`${integer(d.dead)} dead`] : []),
    ...(share ? [`${percent(share.mean)} count at a pixel`] : []),
  ];
  const method = canvas.session.view?.method ?? 'xinc';
  const reach = reachOf(layer, method);
  const coordinates =
    canvas.layerIndex === 0 && neurons <= 3 && canvas.session.view?.inspection?.encoding === 'none';
  const shares = method === 'xinc' && !layer.convolution ? ', with c_ij its share in output j' : '';
  const title = `A ${unitOf(layer)}’s map is ${layer.mapDefinition}${shares}. It ${reach}.`;
  return html`<p class="note muted" data-testid="note" title=${title}>
    <span class="ellipsis">${stats.join(' · ')}</span>
    ${
      canvas.session.code.known.includes(layer.name)
        ? html`<button
            class="link"
            data-testid="reveal-code"
            title="Show the line of code that builds ${layer.name}"
            @click=${() => canvas.session.host.post({ type: 'revealCode', layer: layer.name })}
          >
            <vscode-icon name="go-to-file" aria-hidden="true"></vscode-icon>Code
          </button>`
        : nothing
    }
    <span class="reach">${coordinates ? 'neurons are the coordinates; the map ' : 'map '}${reach}</span>
  </p>`;
}

const sharpeners = new Memo<(neurons: readonly number[], side: number) => Promise<SharpMaps>>();

/** Asks for maps of a layer with more pixels than their previews have. */
const sharpener = ({ session, layerIndex }: Canvas, layer: LayerTrace) =>
  sharpeners.get([layer], () => async (neurons, side) => {
    const maps = await session.host.call('sharpMaps', { layer: layerIndex, neurons, side });
    const shown = Float32Array.from(neurons, (neuron) => layer.previews.limit[neuron]);
    return { ...maps, neurons, asked: side, shown };
  });

function sheet(canvas: Canvas) {
  const { layer, theme, session } = canvas;
  if (!layer) {
    return html`<div class="fill muted">
      ${session.view?.status.state === 'tracing' ? 'Tracing this layer …' : 'This layer was not traced.'}
    </div>`;
  }
  const { sort, hideDead, signed, shared, size, gamma } = canvas.intent.value;
  const inRegion = session.region?.layers[canvas.layerIndex]?.share;
  const channels = channelSheet(canvas);
  const all = order.get([layer, sort, hideDead, session.clustering, inRegion], () => {
    const known = sheetSorts.find((name) => name === sort) ?? 'share';
    const clusters = clustersOf(session.clustering, canvas.layerIndex, layer.neurons);
    return neuronOrder(layer, known, hideDead, clusters, inRegion);
  });
  const shown = channels?.order ?? ofOpenedChannel(canvas, all);
  const atlas = channels?.atlas ?? layer.previews;
  const look = looks.get([atlas, theme.signed, signed, shared, gamma], () => ({
    colours: signed ? theme.signed : theme.magnitude,
    signed,
    limit: shared ? atlas.limit.reduce((a, b) => Math.max(a, b), 0) : null,
    gamma,
  }));
  return html`${note(canvas, layer)}
  ${
    shown.length === 0
      ? html`<div class="fill muted">
          <span>All neurons of this layer are dead: their maps are zero everywhere.</span>
          <button class="link" @click=${() => canvas.set({ hideDead: false })}>Show them</button>
        </div>`
      : html`<nc-sheet
          .atlas=${atlas}
          .order=${shown}
          .name=${channels?.name ?? neuronNames(layer)}
          .share=${channels?.share ?? layer.statistics.share}
          .look=${look}
          .sharpen=${channels ? null : sharpener(canvas, layer)}
          .size=${size}
          .selected=${channels ? [] : canvas.selected}
          .colours=${sheetColours.get([theme.signed, theme.muted, theme.background], () => coloursOf(theme))}
          label="Contribution maps of ${layer.name}, by ${sort}"
          @size-change=${({ detail }: CustomEvent<number>) =>
            canvas.set({ size: Math.round(Math.max(smallest, Math.min(largestSize, detail))) })}
          @select-neurons=${({ detail }: CustomEvent<number[]>) => {
            if (!channels) canvas.choose(detail);
            else if (detail.length > 0) openChannel(canvas, detail.at(-1)!);
          }}
        ></nc-sheet>`
  }`;
}
