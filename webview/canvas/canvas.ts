/** What all parts of the canvas share: the session, what the person chose, and what is asked of the host. */
import type { LitElement } from 'lit';
import type { LayerTrace } from '../../src/tracing/types';
import type { LinkView } from '../../src/panels/link';
import type { ViewCalls } from '../../src/panels/protocol';
import type { Ablation, FloatMap, Picture, PixelProbe } from '../../src/worker/protocol';
import { Intent, merged } from '../shared/intent';
import { Latest } from '../shared/host';
import { Memo } from '../shared/memo';
import { Session } from '../shared/session';
import { Theme } from '../shared/theme';
import { switchedOff } from './ablationChoice';
import { bounded, defaults, linkedNames } from './linkedView';
import { modeOf, type Need, type PictureMode } from './modes';
import type { Pixel } from './picture';
import type { Size, Transform } from './viewTransform';

/** Longest side of the first picture without neurons, pixels. */
const ABLATION_SIDE = 256;

/** Part of the total that falls below the threshold of “neurons per pixel”. */
export const ALPHA = 0.1;

/**
 * One answer of the host that follows what is wanted: asked again when that changes, late answers dropped.
 */
export class Wanted<P, R> {
  value: R | null = null;
  private key = '';
  private readonly latest: Latest<P, R>;

  /** @param changed called with the answer, or with why there is none */
  constructor(ask: (params: P) => Promise<R>, changed: (problem: string | null, params: P | null) => void) {
    this.latest = new Latest<P, R>(
      ask,
      (value, params) => {
        this.value = value;
        changed(null, params);
      },
      (error) => changed(error instanceof Error ? error.message : String(error), null),
    );
  }

  /** @param trace the live trace: a new one of the same file has new answers */
  want(params: P | null, trace: string | undefined): void {
    const key = params ? `${trace}${JSON.stringify(params)}` : '';
    if (key === this.key) return;
    this.key = key;
    this.latest.forget();
    if (params) this.latest.request(params);
    else this.value = null;
  }

  /** Another answer to the same question, such as the whole picture after the small one. */
  refine(params: P): void {
    this.latest.request(params);
  }
}

type AblationWanted = ViewCalls['without']['params'];

export class Canvas {
  readonly session: Session;
  readonly theme: Theme;
  readonly intent: Intent<typeof defaults>;
  /** Why the last question to the host had no answer. */
  problem: string | null = null;
  /** Top neurons at the pixel under the pointer, or at the kept one. */
  probe: PixelProbe | null = null;
  /** The form that changes what was assumed is open. */
  changing = false;
  /** The dialogue for figures and files is open. */
  exporting = false;
  /** Last thing done, for screen readers and the toolbar. */
  said = '';

  /** Where the picture lies in its frame, CSS pixels: x = transform.x + transform.scale · column. */
  transform: Transform | null = null;
  /** Size of that frame, CSS pixels. */
  frame: Size = { width: 0, height: 0 };

  private readonly neurons: Wanted<{ readonly layer: number; readonly neurons: readonly number[] }, FloatMap>;
  private readonly counts: Wanted<{ readonly layer: number; readonly alpha: number }, FloatMap>;
  private readonly ablations: Wanted<AblationWanted, Ablation>;
  private readonly probes: Latest<Pixel, PixelProbe>;
  /** Selection as last seen, to tell a new one from the host's echo; null before the first. */
  private lastNeurons: string | null = null;
  private hovering = false;
  private probedFor = '';

  constructor(private readonly element: LitElement) {
    const session = (this.session = new Session(element));
    this.theme = new Theme(element);
    this.intent = new Intent(session.host.api, defaults);
    session.onChange = () => {
      this.changing = true;
      element.requestUpdate();
    };
    session.onView = (view) => {
      this.set(merged(this.intent.value, bounded(view)));
    };
    const changed = (problem: string | null) => {
      this.problem = problem;
      element.requestUpdate();
    };
    const { host } = session;
    this.neurons = new Wanted(
      ({ layer, neurons }) =>
        neurons.length === 1
          ? host.call('map', { neuron: { layer, neuron: neurons[0] } })
          : host.call('sum', { layer, neurons }),
      changed,
    );
    this.counts = new Wanted((wanted) => host.call('neuronsPerPixel', wanted), changed);
    // First a small picture, then the whole one.
    this.ablations = new Wanted(
      (wanted) => host.call('without', wanted),
      (problem, wanted) => {
        changed(problem);
        const { width = 0, height = 0 } = session.reconstruction ?? {};
        if (wanted?.side === undefined || wanted.side >= Math.max(width, height)) return;
        const { side: _, ...whole } = wanted;
        this.ablations.refine(whole);
      },
    );
    this.probes = new Latest<Pixel, PixelProbe>(
      (pixel) => host.call('probe', pixel),
      (probe) => this.setProbe(probe),
      () => this.setProbe(null),
    );
  }

  private setProbe(probe: PixelProbe | null): void {
    this.probe = probe;
    this.element.requestUpdate();
  }

  /** Tells the person, in a sentence, what has been done or why not. */
  say(sentence: string): void {
    this.said = sentence;
    this.element.requestUpdate();
  }

  private scrubbing = false;

  /** The frame looked at is not (yet) the one that maps are of. */
  get moving(): boolean {
    const { view, selection } = this.session;
    if (this.scrubbing) return true;
    return typeof view?.frame === 'number' && view.frame !== selection.frame && !view.frameError;
  }

  scrub(moving: boolean): void {
    this.scrubbing = moving;
    this.element.requestUpdate();
  }

  /** Another frame's picture, before the host has traced it. */
  showStill(picture: Picture): void {
    this.session.reconstruction = picture;
    this.element.requestUpdate();
  }

  requestUpdate(): void {
    this.element.requestUpdate();
  }

  /** Keeps what the person chose about this view, and shows it. */
  set(change: Partial<typeof defaults>): void {
    this.intent.set(change);
    this.element.requestUpdate();
  }

  /** What differs from the defaults, for a link that shows the same to somebody else. */
  get linkView(): LinkView {
    const { value } = this.intent;
    const entries = Object.entries(value).filter(
      ([name, own]) => linkedNames.has(name) && own !== defaults[name as keyof typeof defaults],
    );
    return Object.fromEntries(entries) as LinkView;
  }

  /** What a part keeps of the person's intent across reloads; change it with `keep`. */
  kept<T extends object>(id: string, defaults: T): T {
    return merged(defaults, this.intent.value.parts[id]);
  }

  keep(id: string, change: object): void {
    const { parts } = this.intent.value;
    this.set({ parts: { ...parts, [id]: { ...parts[id], ...change } } });
  }

  /** Traced-layer index shown: the chosen one, or the newest while nothing is chosen. */
  get layerIndex(): number {
    const { selection, layers } = this.session;
    return selection.layer >= 0 ? selection.layer : layers.length - 1;
  }

  get layer(): LayerTrace | undefined {
    return this.session.layers[this.layerIndex];
  }

  private readonly selectedMemo = new Memo<readonly number[]>();

  /** Selected neurons of the layer shown; the same array while they are the same. */
  get selected(): readonly number[] {
    const { layerIndex } = this;
    const { neurons } = this.session.selection;
    return this.selectedMemo.get([neurons, layerIndex], () =>
      neurons.filter(({ layer }) => layer === layerIndex).map(({ neuron }) => neuron),
    );
  }

  /** What the picture shows: what was chosen as far as it is possible now. */
  get mode(): PictureMode {
    return modeOf(this, this.moving ? 'reconstruction' : this.intent.value.mode);
  }

  get layout(): 'one' | 'beside' | 'wipe' {
    const { layout } = this.intent.value;
    return layout === 'beside' || layout === 'wipe' ? layout : 'one';
  }

  /** What the second picture shows, while there are two. */
  get otherMode(): PictureMode | null {
    return this.layout === 'one' ? null : modeOf(this, this.intent.value.other);
  }

  /** Rows and columns of the picture that are in its frame; null while that is all of them. */
  get visible(): {
    readonly top: number;
    readonly bottom: number;
    readonly left: number;
    readonly right: number;
  } | null {
    const { transform, frame } = this;
    const { width, height } = this.session.reconstruction ?? { width: 0, height: 0 };
    if (!transform || this.intent.value.zoom <= 1) return null;
    const side = (offset: number, room: number, length: number) => [
      Math.max(0, Math.floor(-offset / transform.scale)),
      Math.min(length, Math.ceil((room - offset) / transform.scale)),
    ];
    const [left, right] = side(transform.x, frame.width, width);
    const [top, bottom] = side(transform.y, frame.height, height);
    return { top, bottom, left, right };
  }

  /** Sum of the selected neurons' maps; null until it has come. */
  get map(): FloatMap | null {
    return this.neurons.value;
  }

  get neuronsPerPixel(): FloatMap | null {
    return this.counts.value;
  }

  get ablation(): Ablation | null {
    return this.ablations.value;
  }

  get baseline(): 'zero' | 'mean' {
    return this.intent.value.baseline === 'mean' ? 'mean' : 'zero';
  }

  /** Selects neurons of the layer shown. */
  choose(neurons: readonly number[]): void {
    const layer = this.layerIndex;
    this.session.select({ neurons: neurons.map((neuron) => ({ layer, neuron })) });
  }

  hover(pixel: Pixel | null): void {
    if (this.session.layers.length === 0) return;
    this.hovering = pixel !== null;
    if (pixel) this.probes.request(pixel);
    else {
      this.probedFor = '?';
      this.element.requestUpdate();
    }
  }

  /** Before each rendering: asks the host for what is going to be shown. */
  update(): void {
    this.followSelection();
    const { session, layerIndex: layer, selected: neurons, baseline } = this;
    const trace = session.view?.id;
    const shown = [this.mode, this.otherMode];
    const needs = (need: Need) =>
      this.layer !== undefined && shown.some((mode) => mode?.needs.includes(need));
    this.neurons.want(needs('selection') ? { layer, neurons } : null, trace);
    this.counts.want(needs('neuronsPerPixel') ? { layer, alpha: ALPHA } : null, trace);
    const off = needs('ablation') ? switchedOff(this) : [];
    this.ablations.want(off.length > 0 ? { neurons: off, baseline, side: ABLATION_SIDE } : null, trace);
    this.updateProbe();
  }

  /** Neurons chosen in another panel: show their layer, and them over the picture. */
  private followSelection(): void {
    const { session } = this;
    const { neurons } = session.selection;
    const chosen = neurons.map(({ layer, neuron }) => `${layer}/${neuron}`).join();
    if (chosen === this.lastNeurons) return;
    const last = neurons.at(-1);
    const first = this.lastNeurons === null;
    this.lastNeurons = chosen;
    if (!last || first) return;
    // Whoever has chosen something else to look at keeps it.
    if (this.intent.value.mode === 'reconstruction') this.intent.set({ mode: 'map' });
    if (last.layer !== this.layerIndex) session.select({ layer: last.layer });
  }

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
}
