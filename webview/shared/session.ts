import type { ReactiveController, ReactiveControllerHost } from 'lit';
import type { LinkView } from '../../src/panels/link';
import type {
  HistoryView,
  HostMessage,
  RegionView,
  RemovalsView,
  Selection,
  SessionView,
} from '../../src/panels/protocol';
import type { Clustering, LayerTrace } from '../../src/tracing/types';
import type { Picture } from '../../src/worker/protocol';
import { Host } from './host';
import { shortNames } from './names';

const nothing: Selection = { layer: -1, neurons: [], pixel: null, region: null, frame: 0 };

/** How long the host may take to repeat a selection made here before its own word counts again. */
const ECHO_MILLISECONDS = 1000;

/** The host's session as this view knows it; asks its element to update when it changes. */
export class Session implements ReactiveController {
  /** undefined until the host has spoken, null when no checkpoint is open. */
  view: SessionView | null | undefined;
  reconstruction: Picture | null = null;
  target: Picture | null = null;
  /** By traced-layer index; a new array whenever one arrives. Layers not traced yet are undefined. */
  layers: readonly (LayerTrace | undefined)[] = [];
  /** Names as shown, by traced-layer index; also of layers still being traced. */
  names: readonly string[] = [];
  selection: Selection = nothing;
  /** Layers that code builds, and those at the caret, by their names. */
  code: { readonly known: readonly string[]; readonly caret: readonly string[] } = { known: [], caret: [] };
  clustering: Clustering | null = null;
  clusteringWork: string | null = null;
  clusteringError: string | null = null;
  /** Another checkpoint whose neurons are grouped with these. */
  clusteringOther: { readonly name: string; readonly layers: readonly LayerTrace[] } | null = null;
  /** Neurons in the selection's region. */
  region: RegionView | null = null;
  regionError: string | null = null;
  /** What removing each neuron alone costs, by traced-layer index. */
  removals: readonly (RemovalsView | undefined)[] = [];
  /** Of the findings page only. */
  findings: Extract<HostMessage, { type: 'findings' }> | null = null;
  /** Earlier saves; null until the host has told of them. */
  history: HistoryView | null = null;
  /** Called when the palette asks to change what was assumed. */
  onChange: () => void = () => {};
  /** Called with what a link says about zoom, mode and the like. */
  onView: (view: LinkView) => void = () => {};
  readonly host: Host;
  /** Selections sent whose echo has not come back: until then an older echo must not undo a newer click. */
  private sent: { readonly selection: string; readonly time: number }[] = [];

  constructor(private readonly element: ReactiveControllerHost) {
    this.host = Host.connect((message) => this.take(message));
    element.addController(this);
  }

  hostConnected(): void {
    this.host.post({ type: 'ready' });
  }

  /** Shows the change at once and tells the host, whose answer is the truth. */
  select(change: Partial<Selection>): void {
    this.selection = { ...this.selection, ...change };
    this.sent.push({ selection: JSON.stringify(this.selection), time: performance.now() });
    this.host.post({ type: 'select', selection: change });
    this.element.requestUpdate();
  }

  private take(message: HostMessage): void {
    switch (message.type) {
      case 'session':
        this.view = message.session;
        this.rename();
        break;
      case 'picture':
        this[message.which] = message.picture;
        break;
      case 'layer':
        this.layers = Object.assign([...this.layers], { [message.index]: message.layer });
        this.rename();
        break;
      case 'selection':
        if (this.isOldEcho(message.selection)) return;
        this.selection = message.selection;
        break;
      case 'clustering':
        this.clustering = message.clustering;
        this.clusteringOther = message.other;
        this.clusteringWork = message.working;
        this.clusteringError = message.error;
        break;
      case 'removals':
        this.removals = message.layers;
        break;
      case 'region':
        this.region = message.region;
        this.regionError = message.error;
        break;
      case 'findings':
        this.findings = message;
        break;
      case 'code':
        this.code = message;
        break;
      case 'change':
        this.onChange();
        break;
      case 'view':
        this.onView(message.view);
        break;
      case 'history':
        this.history = message.history;
        break;
      case 'replace':
        this.take({ type: 'reset' });
        for (const part of message.messages) this.take(part);
        break;
      case 'reset':
        this.findings = null;
        this.reconstruction = this.target = this.clustering = null;
        this.clusteringWork = this.clusteringError = this.regionError = null;
        this.region = null;
        this.removals = [];
        this.layers = [];
        this.sent = [];
        break;
    }
    this.element.requestUpdate();
  }

  private isOldEcho(selection: Selection): boolean {
    const now = performance.now();
    this.sent = this.sent.filter(({ time }) => now - time < ECHO_MILLISECONDS);
    const key = JSON.stringify(selection);
    const echo = this.sent.findIndex((own) => own.selection === key);
    this.sent = echo < 0 ? [] : this.sent.slice(echo + 1);
    return this.sent.length > 0;
  }

  private rename(): void {
    const planned = this.view?.traced ?? [];
    const count = Math.max(planned.length, this.layers.length);
    const full = Array.from({ length: count }, (_, i) => this.layers[i]?.name ?? planned[i] ?? '');
    this.names = shortNames(full);
  }
}
