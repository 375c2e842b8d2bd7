import '@vscode-elements/elements/dist/vscode-button/index.js';
import '@vscode-elements/elements/dist/vscode-icon/index.js';
import { html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import type { LayerTrace } from '../../src/tracing/types';
import type { Ablation, FloatMap, Inspection, PixelProbe } from '../../src/worker/protocol';
import type { ViewCalls } from '../../src/panels/protocol';
import {
  decibel,
  duration,
  integer,
  parameterName,
  percent,
  plural,
  signed,
  significant,
} from '../shared/format';
import { Latest } from '../shared/host';
import { Intent } from '../shared/intent';
import { clustersOf, neuronOrder, sheetSorts, type SheetSort } from '../shared/order';
import { Session } from '../shared/session';
import { Theme } from '../shared/theme';
import { enlarged, errorMap, largest, paintMagnitude, paintOverlay } from './paint';
import './changeForm';
import type { Change } from './changeForm';
import type { Bitmap, Pixel } from './picture';
import './picture';
import './probe';
import './sheet';
import * as states from './states';
import { styles } from './styles';
import { fit, type View } from './viewTransform';

const modes = {
  reconstruction: 'Reconstruction',
  target: 'Target',
  error: 'Error',
  map: 'Selected neurons',
  without: 'Without them',
  perPixel: 'Neurons per pixel',
} as const;
type Mode = keyof typeof modes;

const sortNames: Readonly<Record<SheetSort, string>> = { share: 'share', index: 'index', cluster: 'cluster' };

/** Longest side of the first picture without neurons, pixels. */
const ABLATION_SIDE = 256;

/** Part of the total that falls below the threshold of “neurons per pixel”. */
const ALPHA = 0.1;

const defaults = {
  mode: 'reconstruction' as string,
  sort: 'share' as string,
  hideDead: false,
  signed: true,
  shared: false,
  size: 88,
  cover: 0.5,
  baseline: 'zero' as string,
  /** Height of the picture, as a part of the panel's. */
  split: 0.5,
  zoom: 1,
  centreX: 0.5,
  centreY: 0.5,
  assumptionsOpen: false,
};

type MapWanted =
  | { readonly what: 'neurons'; readonly layer: number; readonly neurons: readonly number[] }
  | { readonly what: 'perPixel'; readonly layer: number };

type AblationWanted = ViewCalls['without']['params'];

/** The neural canvas: the picture above, every neuron's map of a layer below. */
@customElement('nc-canvas')
export class CanvasView extends LitElement {
  static override styles = styles;

  private readonly session = new Session(this);
  private readonly theme = new Theme(this);
  private readonly intent = new Intent(this.session.host.api, defaults);
  @state() private map: { readonly key: string; readonly map: FloatMap } | null = null;
  @state() private ablation: Ablation | null = null;
  private ablationKey = '';
  @state() private probe: PixelProbe | null = null;
  @state() private problem: string | null = null;
  @state() private changing = false;
  private wantedKey = '';
  /** Selection as last seen, to tell a new one from the host's echo; null before the first. */
  private lastNeurons: string | null = null;
  private hovering = false;
  private bitmapKey: readonly unknown[] = [];
  private bitmap: Bitmap | null = null;
  private orderKey: readonly unknown[] = [];
  private order: Uint32Array = new Uint32Array(0);

  private readonly maps = new Latest<MapWanted, FloatMap>(
    (wanted) => this.ask(wanted),
    (map, wanted) => {
      this.problem = null;
      this.map = { key: JSON.stringify(wanted), map };
    },
    (error) => (this.problem = error instanceof Error ? error.message : String(error)),
  );
  /** First a small picture, then the whole one. */
  private readonly ablations = new Latest<AblationWanted, Ablation>(
    (wanted) => this.session.host.call('without', wanted),
    (ablation, wanted) => {
      this.problem = null;
      this.ablation = ablation;
      const { side: _, ...whole } = wanted;
      const { width = 0, height = 0 } = this.session.reconstruction ?? {};
      if (wanted.side !== undefined && wanted.side < Math.max(width, height)) this.ablations.request(whole);
    },
    (error) => (this.problem = error instanceof Error ? error.message : String(error)),
  );
  private readonly probes = new Latest<Pixel, PixelProbe>(
    (pixel) => this.session.host.call('probe', pixel),
    (probe) => (this.probe = probe),
    () => (this.probe = null),
  );

  private readonly actions: states.Actions = {
    command: (command) => this.session.host.post({ type: 'command', command }),
    retrace: () => this.session.host.post({ type: 'retrace' }),
    cancel: () => this.session.host.post({ type: 'cancel' }),
  };

  constructor() {
    super();
    this.session.onChange = () => (this.changing = true);
  }

  private ask(wanted: MapWanted): Promise<FloatMap> {
    const { host } = this.session;
    if (wanted.what === 'perPixel')
      return host.call('neuronsPerPixel', { layer: wanted.layer, alpha: ALPHA });
    const { layer, neurons } = wanted;
    return neurons.length === 1
      ? host.call('map', { neuron: { layer, neuron: neurons[0] } })
      : host.call('sum', { layer, neurons });
  }

  /** Traced-layer index shown: the chosen one, or the newest while nothing is chosen. */
  private get layerIndex(): number {
    const { selection, layers } = this.session;
    return selection.layer >= 0 ? selection.layer : layers.length - 1;
  }

  private get layer(): LayerTrace | undefined {
    return this.session.layers[this.layerIndex];
  }

  /** Selected neurons of the layer shown. */
  private get selected(): number[] {
    const { layerIndex } = this;
    return this.session.selection.neurons
      .filter(({ layer }) => layer === layerIndex)
      .map(({ neuron }) => neuron);
  }

  private get mode(): Mode {
    const { session } = this;
    const wanted = (this.intent.value.mode in modes ? this.intent.value.mode : 'reconstruction') as Mode;
    const possible: Readonly<Record<Mode, boolean>> = {
      reconstruction: true,
      target: session.target !== null,
      error: session.target !== null,
      map: this.selected.length > 0,
      without: this.selected.length > 0,
      perPixel: this.layer !== undefined,
    };
    return possible[wanted] ? wanted : 'reconstruction';
  }

  private set(change: Partial<typeof defaults>): void {
    this.intent.set(change);
    this.requestUpdate();
  }

  override willUpdate(_: PropertyValues): void {
    const { session } = this;
    const { neurons } = session.selection;
    const chosen = neurons.map(({ layer, neuron }) => `${layer}/${neuron}`).join();
    if (chosen !== this.lastNeurons) {
      const last = neurons.at(-1);
      const first = this.lastNeurons === null;
      this.lastNeurons = chosen;
      // Neurons chosen in another panel: show their layer, and them over the picture.
      if (last && !first) {
        if (this.intent.value.mode !== 'without') this.intent.set({ mode: 'map' });
        if (last.layer !== this.layerIndex) session.select({ layer: last.layer });
      }
    }
    this.updateMap();
    this.updateAblation();
    this.updateProbe();
  }

  private get wantedMap(): MapWanted | null {
    const { mode, layerIndex: layer, selected } = this;
    if (!this.layer) return null;
    if (mode === 'perPixel') return { what: 'perPixel', layer };
    return mode === 'map' ? { what: 'neurons', layer, neurons: selected } : null;
  }

  private updateMap(): void {
    const wanted = this.wantedMap;
    // A new trace of the same file has new maps.
    const key = wanted ? `${this.session.view?.id}${JSON.stringify(wanted)}` : '';
    if (key === this.wantedKey) return;
    this.wantedKey = key;
    this.maps.forget();
    if (wanted) this.maps.request(wanted);
    else this.map = null;
  }

  private get baseline(): 'zero' | 'mean' {
    return this.intent.value.baseline === 'mean' ? 'mean' : 'zero';
  }

  private updateAblation(): void {
    const { mode, layerIndex: layer, selected: neurons, baseline } = this;
    const key = mode === 'without' ? JSON.stringify([this.session.view?.id, layer, neurons, baseline]) : '';
    if (key === this.ablationKey) return;
    this.ablationKey = key;
    this.ablations.forget();
    if (key) this.ablations.request({ layer, neurons, baseline, side: ABLATION_SIDE });
    else this.ablation = null;
  }

  private probedFor = '';

  private updateProbe(): void {
    const { selection, layers, view } = this.session;
    if (this.hovering) return;
    const { pixel } = selection;
    const key = pixel && layers.length > 0 ? `${view?.id} ${pixel.row} ${pixel.column} ${layers.length}` : '';
    if (key === this.probedFor) return;
    this.probedFor = key;
    this.probes.forget();
    if (pixel && key) this.probes.request({ row: pixel.row, column: pixel.column });
    else this.probe = null;
  }

  override render() {
    const { view } = this.session;
    if (view === undefined) return nothing;
    if (view === null) return states.nothingOpen(this.actions);
    const { status } = view;
    if (status.state === 'not-an-inr') return states.notAnInr(view, status.report, this.actions);
    if (status.state === 'failed') return states.failed(view, status.message, this.actions);
    if (!this.session.reconstruction) {
      return status.state === 'tracing'
        ? states.tracing(status.detail, status.fraction, this.actions)
        : states.cancelled(view, this.actions);
    }
    if (this.changing && view.inspection) return this.changeForm(view.name, view.inspection);
    const { split } = this.intent.value;
    return html`${this.header()} ${this.banner()}
      <main style="grid-template-rows: minmax(120px, ${split}fr) auto minmax(120px, ${1 - split}fr)">
        <section class="top" aria-label="Picture">${this.picture()} ${this.probeView()}</section>
        ${this.divider()}
        <section class="bottom" aria-label="Contribution maps">${this.tabs()} ${this.sheet()}</section>
      </main>
      <div class="visually-hidden" role="status" aria-live="polite">${this.announcement()}</div>`;
  }

  private changeForm(name: string, inspection: Inspection) {
    return html`<nc-change-form
      .host=${this.session.host}
      .inspection=${inspection}
      .name=${name}
      @close=${() => (this.changing = false)}
      @apply=${({ detail }: CustomEvent<Change>) => {
        this.changing = false;
        this.session.host.post({ type: 'apply', ...detail });
      }}
    ></nc-change-form>`;
  }

  private header() {
    const { view, target } = this.session;
    const { mode } = this;
    const shown = (Object.keys(modes) as Mode[]).filter(
      (name) => target !== null || (name !== 'target' && name !== 'error'),
    );
    const { selected } = this;
    const needsNeurons = (which: Mode) => which === 'map' || which === 'without';
    const name = (which: Mode) =>
      which === 'without'
        ? selected.length > 1
          ? `Without ${selected.length} neurons`
          : selected.length === 1
            ? `Without neuron ${selected[0]}`
            : 'Without neuron'
        : which !== 'map'
          ? modes[which]
          : selected.length === 1
            ? `Neuron ${selected[0]} over picture`
            : selected.length > 1
              ? `Sum of ${selected.length} neurons`
              : 'Neuron over picture';
    return html`<header>
      <div class="modes" role="radiogroup" aria-label="What the picture shows">
        ${shown.map(
          (which) =>
            html`<button
              role="radio"
              data-testid="mode-${which}"
              aria-checked=${which === mode}
              ?disabled=${(needsNeurons(which) && selected.length === 0) || (which === 'perPixel' && !this.layer)}
              title=${needsNeurons(which) && selected.length === 0 ? 'Select a neuron below' : ''}
              @click=${() => this.set({ mode: which })}
            >
              ${name(which)}
            </button>`,
        )}
      </div>
      <div class="facts ellipsis muted" data-testid="facts" title=${view?.path ?? ''}>${this.facts()}</div>
      ${this.status()}
    </header>`;
  }

  private facts(): string {
    const { view } = this.session;
    const inspection = view?.inspection;
    if (!view || !inspection) return '';
    const { signal, parameters, title } = inspection;
    return [
      title,
      `${signal.height}×${signal.width}${signal.frames > 1 ? ` × ${signal.frames} frames` : ''}`,
      plural(parameters, 'parameter'),
      ...(view.psnr === null ? [] : [decibel(view.psnr)]),
      ...(view.traceMilliseconds === null ? [] : [`traced in ${duration(view.traceMilliseconds)}`]),
    ].join(' · ');
  }

  private status() {
    const status = this.session.view?.status;
    if (status?.state === 'tracing') {
      return html`<div class="row status" data-testid="status">
        <span class="ellipsis muted">${status.detail}</span>
        <div class="progress small" aria-hidden="true"><i style="width: ${100 * status.fraction}%"></i></div>
        <button class="link" @click=${() => this.actions.cancel()}>Cancel</button>
      </div>`;
    }
    if (status?.state === 'cancelled') {
      return html`<div class="row status" data-testid="status">
        <span class="muted">Cancelled</span>
        <button class="link" @click=${() => this.actions.retrace()}>Trace again</button>
      </div>`;
    }
    return nothing;
  }

  /** What had to be assumed; small when everything is known. */
  private banner() {
    const inspection = this.session.view?.inspection;
    if (!inspection) return nothing;
    // Everything else was read in the file, beside it, or said by the person.
    const guessed = inspection.assumptions.filter(
      ({ source }) => source === 'inferred' || source === 'default' || source === 'training code',
    );
    const { warnings } = inspection;
    if (guessed.length === 0 && warnings.length === 0) return nothing;
    const open = this.intent.value.assumptionsOpen;
    const short = guessed.slice(0, 3).map(({ name, value }) => `${parameterName(name)} = ${value}`);
    const rest = guessed.length > 3 ? ` and ${guessed.length - 3} more` : '';
    return html`<div class="banner" data-testid="banner">
      <div class="row">
        <button
          class="disclose"
          aria-expanded=${open}
          aria-label="Assumptions"
          @click=${() => this.set({ assumptionsOpen: !open })}
        >
          <vscode-icon name=${open ? 'chevron-down' : 'chevron-right'}></vscode-icon>
        </button>
        <span class="ellipsis">
          ${
            guessed.length > 0 ? html`Assumed ${short.join(', ')}${rest}` : plural(warnings.length, 'warning')
          }
        </span>
        <button class="link" data-testid="change" @click=${() => (this.changing = true)}>Change…</button>
      </div>
      ${
        open
          ? html`<table>
                ${inspection.assumptions.map(
                  (assumption) =>
                    html`<tr>
                      <th scope="row">${parameterName(assumption.name)}</th>
                      <td class="number">${String(assumption.value)}</td>
                      <td class="muted">
                        ${assumption.source}, ${percent(assumption.confidence, 0)}
                        sure${assumption.detail ? html` — ${assumption.detail}` : nothing}
                      </td>
                    </tr>`,
                )}
              </table>
              ${warnings.map((warning) => html`<p>${warning}</p>`)}`
          : nothing
      }
    </div>`;
  }

  /** The bitmap of the mode; the same object as long as nothing it depends on changes. */
  private shownBitmap(): Bitmap | null {
    const { session, mode, map, theme } = this;
    const { reconstruction, target } = session;
    if (!reconstruction) return null;
    const { cover } = this.intent.value;
    const key = [reconstruction, target, mode, map?.map, this.ablation, theme.signed, cover];
    if (key.every((part, i) => part === this.bitmapKey[i])) return this.bitmap;
    this.bitmapKey = key;
    this.bitmap = this.paint(reconstruction, mode, cover);
    return this.bitmap;
  }

  private paint(reconstruction: Bitmap, mode: Mode, cover: number): Bitmap {
    const { theme, map } = this;
    const { target } = this.session;
    if (mode === 'target' && target) return target;
    if (mode === 'without' && this.ablation) return enlarged(this.ablation.picture, reconstruction);
    if (mode === 'error' && target) {
      const error = errorMap(reconstruction, target);
      return { ...error, rgba: paintMagnitude(error, largest(error), theme.magnitude) };
    }
    if (mode === 'map' && map) {
      const { width, height } = reconstruction;
      const rgba = paintOverlay(reconstruction, map.map, largest(map.map), theme.signed, cover);
      return { width, height, rgba };
    }
    if (mode === 'perPixel' && map) {
      const { width, height } = map.map;
      return { width, height, rgba: paintMagnitude(map.map, largest(map.map), theme.magnitude) };
    }
    return reconstruction;
  }

  private picture() {
    const { zoom, centreX, centreY } = this.intent.value;
    const { session, mode } = this;
    const bitmap = this.shownBitmap();
    return html`<nc-picture
      .bitmap=${bitmap}
      .reconstruction=${session.reconstruction}
      .pixel=${session.selection.pixel}
      .view=${{ zoom, centreX, centreY }}
      label="${modes[mode]} of ${session.view?.name ?? ''}, ${bitmap?.height ?? 0} by ${bitmap?.width ?? 0}
      pixels. Arrow keys move the probe, plus and minus zoom."
      @view-change=${({ detail }: CustomEvent<View>) => this.set({ ...detail })}
      @hover-pixel=${({ detail }: CustomEvent<Pixel | null>) => this.hover(detail)}
      @pick-pixel=${({ detail }: CustomEvent<Pixel | null>) => session.select({ pixel: detail })}
    >
      ${this.legend()}
      ${
        zoom > 1
          ? html`<button
              class="overlay zoom"
              title="Show the whole picture (0)"
              @click=${() => this.set({ ...fit })}
            >
              ${significant(zoom, 2)}×
            </button>`
          : nothing
      }
      ${
        mode === 'map'
          ? html`<label class="overlay cover"
              ><span class="visually-hidden">How much the map covers the picture</span
              ><input
                type="range"
                min="0"
                max="1"
                step="0.05"
                title="How much the map covers the picture"
                .value=${String(this.intent.value.cover)}
                @input=${(event: Event) => this.set({ cover: Number((event.target as HTMLInputElement).value) })}
            /></label>`
          : nothing
      }
      ${this.problem ? html`<div class="overlay problem" role="alert">${this.problem}</div>` : nothing}
    </nc-picture>`;
  }

  private hover(pixel: Pixel | null): void {
    if (this.session.layers.length === 0) return;
    this.hovering = pixel !== null;
    if (pixel) this.probes.request(pixel);
    else {
      this.probedFor = '?';
      this.requestUpdate();
    }
  }

  private legend() {
    const { mode, map, theme } = this;
    const signed = mode === 'map';
    if (mode === 'reconstruction' || mode === 'target') return nothing;
    if (mode === 'without') return this.cost();
    let ends: [string, string];
    if (mode === 'error') {
      const { reconstruction, target } = this.session;
      if (!reconstruction || !target) return nothing;
      ends = ['0', significant(largest(errorMap(reconstruction, target)), 2)];
    } else {
      if (!map) return nothing;
      const limit = largest(map.map);
      ends =
        mode === 'perPixel'
          ? ['0', percent(limit, 0)]
          : [`−${significant(limit, 2)}`, `+${significant(limit, 2)}`];
    }
    return html`<div class="overlay legend number">
      <span>${ends[0]}</span><i style="background: ${gradient(signed ? theme.signed : theme.magnitude)}"></i
      ><span>${ends[1]}</span>
    </div>`;
  }

  /** What taking the neurons away costs. */
  private cost() {
    const { ablation, baseline } = this;
    const change = (event: Event) => this.set({ baseline: (event.target as HTMLSelectElement).value });
    const loss =
      ablation?.psnr !== undefined && ablation.psnrBefore !== undefined
        ? `${decibel(ablation.psnr)}, ${signed(ablation.psnr - ablation.psnrBefore, 2)} dB`
        : ablation
          ? `${decibel(ablation.likeness)} to the whole picture`
          : 'Drawing …';
    return html`<div class="overlay legend number" data-testid="ablation" role="status">
      <span>${loss}</span>
      <label
        >set to
        <select data-testid="baseline" @change=${change}>
          <option value="zero" ?selected=${baseline === 'zero'}>zero</option>
          <option value="mean" ?selected=${baseline === 'mean'}>their mean</option>
        </select></label
      >
    </div>`;
  }

  private probeView() {
    const { probe, layer, session, theme } = this;
    const { reconstruction } = session;
    const at = probe && reconstruction ? 4 * (probe.row * reconstruction.width + probe.column) : -1;
    const rgb = at >= 0 && reconstruction ? reconstruction.rgba.subarray(at, at + 3) : [];
    const colour = (index: number) => `rgb(${theme.signed.subarray(4 * index, 4 * index + 3).join(',')})`;
    return html`<nc-probe
      .probe=${probe}
      .layer=${this.layerIndex}
      .neurons=${layer?.neurons ?? 0}
      .selected=${new Set(this.selected)}
      .colour=${`rgb(${[...rgb].join(',')})`}
      .colours=${[colour(8), colour(247)]}
      @pick-neuron=${({ detail }: CustomEvent<number>) =>
        session.select({ neurons: [{ layer: this.layerIndex, neuron: detail }] })}
    ></nc-probe>`;
  }

  private divider() {
    const { split } = this.intent.value;
    const clamp = (value: number) => Math.max(0.15, Math.min(0.85, value));
    const drag = (event: PointerEvent) => {
      const handle = event.currentTarget as HTMLElement;
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const box = handle.parentElement!.getBoundingClientRect();
      this.set({ split: clamp((event.clientY - box.top) / box.height) });
    };
    const key = (event: KeyboardEvent) => {
      const step = { ArrowUp: -0.05, ArrowDown: 0.05 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      this.set({ split: clamp(split + step) });
    };
    return html`<div
      class="divider"
      role="separator"
      aria-orientation="horizontal"
      aria-label="Height of the picture"
      aria-valuenow=${Math.round(100 * split)}
      tabindex="0"
      @pointerdown=${(event: PointerEvent) =>
        (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId)}
      @pointermove=${drag}
      @keydown=${key}
      @dblclick=${() => this.set({ split: defaults.split })}
    ></div>`;
  }

  private tabs() {
    const { names, layers } = this.session;
    const choose = (index: number) => this.session.select({ layer: index });
    const key = (event: KeyboardEvent) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const to = (this.layerIndex + step + names.length) % names.length;
      if (layers[to]) choose(to);
      void this.updateComplete.then(() =>
        this.renderRoot.querySelector<HTMLElement>('[role=tab][aria-selected=true]')?.focus(),
      );
    };
    return html`<div class="bar">
      <div class="tabs" role="tablist" aria-label="Layers" @keydown=${key}>
        ${names.map((name, index) => {
          const layer = layers[index];
          const current = index === this.layerIndex;
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
      </div>
      ${this.controls()}
    </div>`;
  }

  private controls() {
    const { sort, signed, shared, hideDead, size } = this.intent.value;
    const chosen = (event: Event) => (event.target as HTMLSelectElement).value;
    const dead = this.layer?.distributedness.dead ?? 0;
    return html`<div class="controls">
      <label
        >Sort
        <select data-testid="sort" @change=${(event: Event) => this.set({ sort: chosen(event) })}>
          ${sheetSorts.map((name) => html`<option value=${name} ?selected=${name === sort}>${sortNames[name]}</option>`)}
        </select></label
      >
      <label
        >Colours
        <select
          data-testid="colours"
          @change=${(event: Event) => this.set({ signed: chosen(event) === 'signed' })}
        >
          <option value="signed" ?selected=${signed}>signed</option>
          <option value="magnitude" ?selected=${!signed}>magnitude</option>
        </select></label
      >
      <label
        >Scale
        <select
          data-testid="scale"
          @change=${(event: Event) => this.set({ shared: chosen(event) === 'shared' })}
        >
          <option value="own" ?selected=${!shared}>own</option>
          <option value="shared" ?selected=${shared}>shared</option>
        </select></label
      >
      ${
        dead > 0
          ? html`<label
              ><input
                type="checkbox"
                .checked=${hideDead}
                @change=${(event: Event) => this.set({ hideDead: (event.target as HTMLInputElement).checked })}
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
          @input=${(event: Event) => this.set({ size: Number((event.target as HTMLInputElement).value) })}
      /></label>
    </div>`;
  }

  private note(layer: LayerTrace) {
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
      this.layerIndex === 0 && neurons <= 3 && this.session.view?.inspection?.encoding === 'none';
    const title = `A neuron’s map is ${layer.mapDefinition}, with c_ij its share in output j. It ${reach}.`;
    return html`<p class="note muted" data-testid="note" title=${title}>
      <span class="ellipsis">${stats.join(' · ')}</span>
      <span class="reach">${coordinates ? 'neurons are the coordinates; the map ' : 'map '}${reach}</span>
    </p>`;
  }

  private sheet() {
    const { layer, theme, session } = this;
    if (!layer) {
      return html`<div class="fill muted">
        ${session.view?.status.state === 'tracing' ? 'Tracing this layer …' : 'This layer was not traced.'}
      </div>`;
    }
    const { sort, hideDead, signed, shared, size } = this.intent.value;
    const key = [layer, sort, hideDead, session.clustering];
    if (!key.every((part, i) => part === this.orderKey[i])) {
      this.orderKey = key;
      const known = sheetSorts.find((name) => name === sort) ?? 'share';
      const clusters = clustersOf(session.clustering, this.layerIndex, layer.neurons);
      this.order = neuronOrder(layer, known, hideDead, clusters);
    }
    const limit = shared ? layer.previews.limit.reduce((a, b) => Math.max(a, b), 0) : null;
    return html`${this.note(layer)}
    ${
      this.order.length === 0
        ? html`<div class="fill muted">
            <span>All neurons of this layer are dead: their maps are zero everywhere.</span>
            <button class="link" @click=${() => this.set({ hideDead: false })}>Show them</button>
          </div>`
        : html`<nc-sheet
            .atlas=${layer.previews}
            .order=${this.order}
            .share=${layer.statistics.share}
            .look=${{ colours: signed ? theme.signed : theme.magnitude, signed, limit }}
            .size=${size}
            .selected=${this.selected}
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
            @select-neurons=${({ detail }: CustomEvent<number[]>) => this.choose(detail)}
          ></nc-sheet>`
    }`;
  }

  private choose(neurons: readonly number[]): void {
    const layer = this.layerIndex;
    this.session.select({ neurons: neurons.map((neuron) => ({ layer, neuron })) });
  }

  private announcement(): string {
    const { selected, layer } = this;
    if (!layer || selected.length === 0) return '';
    if (selected.length > 1) return `${selected.length} neurons selected`;
    return `Neuron ${selected[0]} selected, share ${percent(layer.statistics.share[selected[0]])}`;
  }
}

/** A colour map as a CSS gradient. */
function gradient(colours: Uint8Array): string {
  const stops = Array.from({ length: 9 }, (_, i) => {
    const entry = 4 * Math.round((i / 8) * 255);
    return `rgb(${colours.subarray(entry, entry + 3).join(',')})`;
  });
  return `linear-gradient(to right, ${stops.join(', ')})`;
}
