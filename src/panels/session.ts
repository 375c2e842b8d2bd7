import path from 'node:path';
import * as vscode from 'vscode';
import { CancelledError, NotRecognisedError } from '../errors';
import { mapOfPreviews, type PastSave, type SaveFigures } from '../live/figures';
import type { LayerTrace, Method } from '../tracing/types';
import type { WorkerClient } from '../worker/client';
import { ClusterWork, type Grouping } from './clusterWork';
import { FindingsWork, type FindingsChange } from './findingsWork';
import type { FloatMap, Inspection, Picture, TraceEvent, TraceResult } from '../worker/protocol';
import { FrameWork } from './frameWork';
import { RegionWork } from './regionWork';
import type { Resources, TracingPurpose } from './resources';
import { MOST_MAPS, sharpMaps } from './sharpMaps';
import type { LinkView } from './link';
import { RemovalWork } from './removalWork';
import type {
  HistoryView,
  HostCallName,
  HostMessage,
  Selection,
  SessionStatus,
  SessionView,
  ViewCallName,
  ViewCalls,
} from './protocol';

/** Longest side of a preview, pixels. */
const PREVIEW_SIDE = 256;

/** How many neurons a pixel probe names. */
const PROBE_TOP = 10;

export interface SessionHost {
  readonly client: WorkerClient;
  readonly log: vscode.LogOutputChannel;
  /** Names and values the person corrected for this file. */
  corrections(file: vscode.Uri): Readonly<Record<string, string>>;
  resources(purpose?: TracingPurpose): Resources;
  /** Whether findings are computed before anybody asks for them. */
  analyseUnasked(): boolean;
  /** Remembers what was selected, so that it is found again after a reload. */
  remember(file: vscode.Uri, selection: Selection): void;
  remembered(file: vscode.Uri): Selection | undefined;
  /** An earlier save of the file, if it is still kept. */
  past(file: vscode.Uri, save: string): Promise<Past | undefined>;
}

export interface Past extends PastSave {
  readonly figures: SaveFigures;
}

/** How long a frame is looked at before its neurons are grouped, milliseconds. */
const CLUSTERS_AFTER = 1500;
const nothing: Selection = { layer: -1, neurons: [], pixel: null, region: null, frame: 0 };

type CodeMessage = Extract<HostMessage, { type: 'code' }>;

/**
 * One checkpoint being looked at. It is the truth that the panels show: they get `HostMessage`s from
 * `onMessage`, and everything so far from `replay` when they open late.
 */
export class TraceSession implements vscode.Disposable {
  private static count = 0;
  /** Names the live trace in the worker; a new one each time, so late answers to an old one are told apart. */
  private trace = '';
  private status: SessionStatus = { state: 'tracing', detail: 'Waiting', fraction: 0 };
  private inspection: Inspection | null = null;
  private result: TraceResult | null = null;
  private psnr: number | null = null;
  private reconstruction: Picture | null = null;
  private target: Picture | null = null;
  private layers: (LayerTrace | undefined)[] = [];
  private work: AbortController | null = null;
  private chosen: Selection;
  private code: CodeMessage = { type: 'code', known: [], caret: [] };
  private readonly clusters: ClusterWork;
  private readonly region: RegionWork;
  private readonly frames: FrameWork;
  private tracedNames: readonly string[] | null = null;
  /** Names, once the person has asked for all. */
  private allLayers: readonly string[] | null = null;
  private readonly removals: RemovalWork;
  readonly findings: FindingsWork;
  /** What a neuron's map is; a new trace keeps it. */
  private method: Method = 'xinc';
  private history: HistoryView | null = null;
  /** The earlier save that is shown in place of the current one. */
  private past: Past | null = null;
  private wantedLook: string | null = null;
  private looking: Promise<void> | null = null;
  private disposed = false;

  private readonly emitter = new vscode.EventEmitter<HostMessage>();
  readonly onMessage = this.emitter.event;

  constructor(
    readonly uri: vscode.Uri,
    private readonly host: SessionHost,
  ) {
    this.chosen = { ...nothing, ...host.remembered(uri) };
    const tell = (message: HostMessage) => this.emitter.fire(message);
    this.clusters = new ClusterWork(host, () => tell(this.clusteringMessage()));
    this.frames = new FrameWork(host.client, host.log);
    this.region = new RegionWork(host.client, tell);
    this.removals = new RemovalWork(host.client, tell);
    this.findings = new FindingsWork(host.client, path.dirname(uri.fsPath), tell);
  }

  get view(): SessionView {
    const { past } = this;
    const shown = {
      // Maps of another frame are other maps.
      id: this.frames.traced === null ? this.trace : `${this.trace}@${this.frames.traced}`,
      name: path.basename(this.uri.path),
      path: vscode.workspace.asRelativePath(this.uri),
      status: this.status,
      inspection: this.inspection,
      psnr: this.psnr,
      traceMilliseconds: this.result?.timings.trace ?? null,
      restored: this.result?.restored ?? false,
      engine: this.result?.engine ?? null,
      largestResidual: this.result?.completeness.largest ?? null,
      hasTarget: this.target !== null,
      method: this.method,
      past: past && { id: past.figures.id, savedAt: past.figures.savedAt },
      ...(this.inspection &&
        this.inspection.signal.frames > 1 && { frame: this.frames.traced, frameError: this.frames.error }),
      traced: this.tracedNames,
    };
    if (!past) return shown;
    return {
      ...shown,
      id: `${this.trace}@${past.figures.id}`,
      inspection: past.inspection,
      psnr: past.figures.psnr,
      traceMilliseconds: null,
      restored: false,
      largestResidual: null,
    };
  }

  /** Layers as shown, by index; those not traced yet are undefined. */
  private get shownLayers(): readonly (LayerTrace | undefined)[] {
    return this.past?.layers ?? this.layers;
  }

  /** Everything a view needs that opens now. */
  *replay(): Generator<HostMessage> {
    const picture = this.past?.picture ?? this.reconstruction;
    yield { type: 'session', session: this.view };
    if (picture) yield { type: 'picture', which: 'reconstruction', picture };
    if (this.target) yield { type: 'picture', which: 'target', picture: this.target };
    for (const [index, layer] of this.shownLayers.entries()) if (layer) yield { type: 'layer', index, layer };
    yield { type: 'selection', selection: this.chosen };
    yield this.code;
    yield this.clusteringMessage();
    yield this.regionMessage();
    yield this.removalsMessage();
    yield this.findings.message;
    if (this.history) yield { type: 'history', history: this.history };
  }

  private regionMessage(): HostMessage {
    if (!this.past) return this.region.message;
    const error = this.chosen.region ? 'Regions are measured for the current save only.' : null;
    return { type: 'region', region: null, error };
  }

  private removalsMessage(): HostMessage {
    return this.past ? { type: 'removals', layers: [] } : this.removals.message;
  }

  private clusteringMessage(): HostMessage {
    if (this.past) {
      const error = 'An earlier save is shown; neurons are grouped for the current one.';
      return { type: 'clustering', clustering: null, other: null, working: null, error };
    }
    return this.clusters.message;
  }

  private changed(status?: SessionStatus): void {
    if (status) this.status = status;
    this.emitter.fire({ type: 'session', session: this.view });
  }

  /**
   * Traces the file anew; a trace under way is cancelled first. Never rejects: the outcome is the status.
   * @param onProgress for the notification
   */
  async run(signal: AbortSignal, onProgress: (detail: string, fraction: number) => void): Promise<void> {
    this.cancel();
    const work = (this.work = new AbortController());
    const abort = () => work.abort();
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    const previous = this.trace;
    const trace = (this.trace = `${this.uri.toString()}#${++TraceSession.count}`);
    this.inspection = this.result = this.reconstruction = this.target = this.psnr = null;
    this.layers = [];
    this.tracedNames = null;
    this.clusters.reset();
    this.frames.reset();
    this.region.reset();
    this.removals.reset();
    this.findings.reset();
    this.past = null;
    this.emitter.fire({ type: 'reset' });
    this.changed({ state: 'tracing', detail: 'Reading', fraction: 0 });
    try {
      if (previous) await this.host.client.call('close', { trace: previous });
      const result = await this.host.client.call(
        'trace',
        {
          trace,
          options: this.options(),
        },
        {
          signal: work.signal,
          onEvent: (event) => {
            if (this.trace === trace) this.take(event, onProgress);
          },
        },
      );
      if (this.trace !== trace) return;
      if ('notAnInr' in result) {
        this.host.log.warn(result.notAnInr.message);
        this.changed({ state: 'not-an-inr', report: result.notAnInr });
        return;
      }
      this.result = result;
      this.frames.traced = result.frame ?? null;
      // Moved on while it was being traced; back where it cannot be.
      const wanted = Math.min(this.chosen.frame, result.inspection.signal.frames - 1);
      if (this.chosen.frame !== wanted) this.select({ frame: Math.max(0, wanted) });
      const how = result.restored ? `from the cache, made by ${result.engine}` : `by ${result.engine}`;
      this.host.log.info(`${this.uri.fsPath}: ${JSON.stringify(result.timings)} ${how}`);
      if (result.engineNote) this.host.log.warn(result.engineNote);
      this.changed({ state: 'ready' });
      if (result.frame !== undefined && result.frame !== this.chosen.frame)
        void this.moveTo(this.chosen.frame);
      if (this.chosen.region) this.measureRegion();
      void this.cluster().then(() => {
        if (this.trace === trace && this.host.analyseUnasked()) this.findings.want(trace);
      });
    } catch (error) {
      if (this.trace !== trace) return;
      if (error instanceof CancelledError) {
        this.changed({ state: 'cancelled' });
      } else {
        const failure = error instanceof Error ? error : new Error(String(error));
        this.host.log.error(failure);
        this.changed({ state: 'failed', message: failure.message });
      }
    } finally {
      signal.removeEventListener('abort', abort);
      if (this.work === work) this.work = null;
    }
  }

  private options(purpose?: TracingPurpose) {
    return {
      file: this.uri.fsPath,
      corrections: this.host.corrections(this.uri),
      method: this.method,
      ...this.host.resources(purpose),
      ...(this.chosen.frame > 0 && { frame: this.chosen.frame, nearestFrame: true }),
      ...(this.allLayers && { layers: this.allLayers }),
    };
  }

  /** Keeps what an event of the trace says. */
  private note(event: TraceEvent): void {
    switch (event.type) {
      case 'inspected':
        this.inspection = event.inspection;
        this.tracedNames = event.traced;
        break;
      case 'reconstruction':
        this.reconstruction = event.picture;
        this.psnr = event.psnr ?? null;
        this.target = event.target ?? null;
        break;
      case 'layer':
        this.layers[event.index] = event.layer;
        break;
      case 'phase':
        break;
    }
  }

  private take(event: TraceEvent, onProgress: (detail: string, fraction: number) => void): void {
    this.note(event);
    switch (event.type) {
      case 'phase':
        onProgress(event.detail, event.fraction);
        this.changed({ state: 'tracing', detail: event.detail, fraction: event.fraction });
        break;
      case 'inspected':
        this.changed();
        break;
      case 'reconstruction':
        this.emitter.fire({ type: 'picture', which: 'reconstruction', picture: event.picture });
        if (event.target) this.emitter.fire({ type: 'picture', which: 'target', picture: event.target });
        this.changed();
        break;
      case 'layer':
        this.emitter.fire(event);
        // The last layer is the one that reaches the pixels: show it until the person chooses.
        if (this.chosen.layer < 0 && event.layer.last) this.select({ layer: event.index });
        break;
    }
  }

  get selection(): Selection {
    return this.chosen;
  }

  private wantedView: LinkView | null = null;

  /** Shows zoom, mode and the like in the canvases, or in the first one when there is none yet. */
  show(view: LinkView): void {
    this.wantedView = view;
    this.emitter.fire({ type: 'view', view });
  }

  /** What a canvas that opens now is to show; once. */
  takeView(): LinkView | null {
    const view = this.wantedView;
    this.wantedView = null;
    return view;
  }

  /** Writes all maps as NPZ. @param file absolute path */
  async exportMaps(file: string): Promise<void> {
    await this.host.client.call('export', { trace: this.trace, maps: file });
  }

  /** Takes effect with the next trace. */
  useMethod(method: Method): void {
    // A kernel's number is another thing than a channel's.
    const decoder = this.layers.some((layer) => layer?.kind === 'convolution');
    if (decoder && (method === 'xinc') !== (this.method === 'xinc')) this.select({ neurons: [] });
    this.method = method;
  }

  /** Absolute; null when there is none and the person chose none. */
  labelFolder(): Promise<string | null> {
    return this.frames.labels(this.trace, this.uri);
  }

  /** @param change undefined where what is known will do */
  analyse(change?: FindingsChange): void {
    if (this.status.state !== 'ready') return;
    if (change === undefined) this.findings.want(this.trace);
    else void this.findings.run(this.trace, change);
  }

  /**
   * Traces what the file holds now without a word: what is shown stays until the new trace is complete and
   * then gives way at once. Selection, zoom and time stay.
   * @returns what was traced; null when the person traced anew meanwhile, or closed the canvas
   * @throws Error as the worker says it; nothing has changed then
   */
  async refresh(signal: AbortSignal): Promise<TraceResult | null> {
    const { client } = this.host;
    const previous = this.trace;
    const trace = `${this.uri.toString()}#${++TraceSession.count}`;
    const events: TraceEvent[] = [];
    const result = await client.call(
      'trace',
      { trace, options: this.options({ passing: true }) },
      { signal, onEvent: (event) => event.type !== 'phase' && events.push(event) },
    );
    if ('notAnInr' in result) throw new NotRecognisedError(result.notAnInr.message);
    if (this.disposed || this.trace !== previous || this.work) {
      await client.call('close', { trace });
      return null;
    }
    const comparable = sameLayers(this.layers, result.layers);
    this.trace = trace;
    this.reconstruction = this.target = this.psnr = null;
    this.layers = [];
    for (const event of events) this.note(event);
    this.result = result;
    this.status = { state: 'ready' };
    // The groups of before are near enough until there are new ones, as long as the neurons are the same.
    this.clusters.reset(comparable);
    this.removals.reset();
    this.findings.reset();
    this.chosen = withinReach(this.chosen, result.layers, this.reconstruction);
    if (!this.chosen.region) this.region.reset();
    this.emitter.fire({ type: 'replace', messages: [...this.replay()] });
    if (this.chosen.region) this.measureRegion();
    if (previous) await client.call('close', { trace: previous }).catch(() => undefined);
    return result;
  }

  /** Groups neurons and finds what there is to find again, for what `refresh` has brought. */
  async regroup(): Promise<void> {
    const { trace } = this;
    await this.cluster();
    if (this.trace === trace && this.host.analyseUnasked()) this.findings.want(trace);
  }

  /** Shows an earlier save, or, given null, the current one. */
  async look(save: string | null): Promise<void> {
    this.wantedLook = save;
    // Scrubbing asks for more than can be read: the newest wins.
    await (this.looking ??= this.follow().finally(() => (this.looking = null)));
  }

  private async follow(): Promise<void> {
    let save: string | null;
    do {
      save = this.wantedLook;
      const past =
        save === null || save === this.history?.current ? null : await this.host.past(this.uri, save);
      if (this.disposed) return;
      if (past !== undefined) this.showSave(past);
    } while (save !== this.wantedLook);
  }

  private showSave(past: Past | null): void {
    if (past?.figures.id === this.past?.figures.id) return;
    this.past = past;
    const picture = past?.picture ?? this.reconstruction;
    this.chosen = withinReach(this.chosen, past?.layers ?? this.layers, picture);
    this.emitter.fire({ type: 'replace', messages: [...this.replay()] });
    if (!past && this.chosen.region) this.measureRegion();
  }

  showHistory(history: HistoryView): void {
    this.history = history;
    this.emitter.fire({ type: 'history', history });
  }

  /** Whether there is a picture to look at, be its maps still traced. */
  get pictured(): boolean {
    return this.reconstruction !== null;
  }

  /** What the history keeps of the current trace; undefined unless it is complete. */
  get traced(): (PastSave & { readonly psnr: number | null }) | undefined {
    const { result, reconstruction, psnr } = this;
    if (!result || !reconstruction) return undefined;
    return { inspection: result.inspection, picture: reconstruction, layers: result.layers, psnr };
  }

  /** Opens the form in the canvas. */
  askForChange(): void {
    this.emitter.fire({ type: 'change' });
  }

  /** What the code says about the layers; see the message. */
  setCode(change: Partial<Omit<CodeMessage, 'type'>>): void {
    const before = this.code;
    this.code = { ...before, ...change };
    if (JSON.stringify(this.code) !== JSON.stringify(before)) this.emitter.fire(this.code);
  }

  cancel(): void {
    this.work?.abort();
    this.clusters.cancel();
    this.frames.cancel();
    this.region.cancel();
    this.removals.cancel();
    this.findings.cancel();
  }

  /** Measures what each neuron of a layer is worth; null stops that. */
  measureRemovals(layer: number, baseline: 'zero' | 'mean' | null): void {
    const neurons = this.layers[layer]?.neurons;
    if (baseline === null) this.removals.cancel();
    else if (neurons !== undefined && this.status.state === 'ready' && !this.past) {
      void this.removals.measure(this.trace, layer, neurons, baseline);
    }
  }

  private measureRegion(): void {
    // The worker knows the trace when it is complete; then it is asked.
    if (this.past || (this.status.state !== 'ready' && this.chosen.region)) return;
    void this.region.measure(this.trace, this.chosen.region, this.chosen.layer);
  }

  select(change: Partial<Selection>): void {
    this.chosen = { ...this.chosen, ...change };
    this.host.remember(this.uri, this.chosen);
    this.emitter.fire({ type: 'selection', selection: this.chosen });
    if (change.region !== undefined) this.measureRegion();
    if (change.frame !== undefined && this.status.state === 'ready') void this.moveTo(change.frame);
  }

  /** Traces another frame of the video; what is shown follows layer by layer. */
  private async moveTo(frame: number): Promise<void> {
    const { trace } = this;
    this.clusters.cancel();
    const first = this.layers[this.chosen.layer]?.name;
    const result = await this.frames.move(trace, frame, first, (event) => {
      if (this.trace === trace && event.type !== 'phase') this.take(event, () => undefined);
    });
    if (this.trace !== trace) return;
    if (result && this.result) {
      const { psnr, ...rest } = result;
      this.result = { ...this.result, ...rest };
      this.psnr = psnr ?? null;
    }
    this.changed();
    if (!result) return;
    if (this.chosen.region) this.measureRegion();
    // Whoever steps through the clip is not kept waiting by the clusters of every frame.
    await new Promise((resolve) => setTimeout(resolve, CLUSTERS_AFTER));
    if (this.disposed || this.trace !== trace || this.chosen.frame !== frame) return;
    void this.cluster();
  }

  /** Of all layers from now on, also those that have very many kernels. */
  traceAllLayers(): void {
    this.allLayers =
      this.inspection?.layers.filter(({ neurons }) => neurons > 0).map(({ name }) => name) ?? null;
  }

  /** Groups the neurons with those of another checkpoint; null groups them alone. */
  async clusterWith(uri: vscode.Uri | null): Promise<void> {
    await this.clusters.use(uri);
    await this.cluster();
  }

  /** Groups the neurons of the current trace. @param grouping as before when omitted */
  cluster(grouping?: Grouping): Promise<void> {
    return this.clusters.group(this.trace, this.layers.length, grouping);
  }

  /** Answers a view's request. @throws Error with a sentence for the view */
  async answer(
    call: Exclude<ViewCallName, HostCallName>,
    params: unknown,
  ): Promise<ViewCalls[ViewCallName]['result']> {
    const { trace, past } = this;
    const { client } = this.host;
    if (past && call !== 'preview') {
      if (call === 'map') {
        const { layer, neuron } = (params as ViewCalls['map']['params']).neuron;
        return mapOfPreviews(past.layers[layer].previews, [neuron]);
      }
      if (call === 'sum') {
        const { layer, neurons } = params as ViewCalls['sum']['params'];
        return mapOfPreviews(past.layers[layer].previews, neurons);
      }
      if (call === 'sharpMaps') {
        const { layer, neurons, side } = params as ViewCalls['sharpMaps']['params'];
        const { previews } = past.layers[layer];
        return sharpMaps(
          neurons.slice(0, MOST_MAPS).map((neuron) => mapOfPreviews(previews, [neuron])),
          side,
        );
      }
      throw new Error('This is known for the current save only; go to the end of the history for it.');
    }
    switch (call) {
      case 'map':
        return client.call('map', { trace, ...(params as ViewCalls['map']['params']) });
      case 'sum':
        return client.call('sum', { trace, ...(params as ViewCalls['sum']['params']) });
      case 'neuronsPerPixel':
        return client.call('neuronsPerPixel', {
          trace,
          ...(params as ViewCalls['neuronsPerPixel']['params']),
        });
      case 'without':
        return client.call('without', { trace, ...(params as ViewCalls['without']['params']) });
      case 'still':
        return client.call('still', { trace, ...(params as ViewCalls['still']['params']) });
      case 'motion':
      case 'overClip':
      case 'series':
      case 'objects':
        return this.frames.answer(call, trace, this.uri, params);
      case 'segments':
        return client.call('segments', { trace, ...(params as ViewCalls['segments']['params']) });
      case 'preview': {
        const preview = await client.call('preview', {
          file: this.uri.fsPath,
          side: PREVIEW_SIDE,
          ...(params as ViewCalls['preview']['params']),
        });
        if ('notAnInr' in preview) throw new Error(preview.notAnInr.message);
        return preview;
      }
      case 'sharpMaps': {
        const { layer, neurons, side } = params as ViewCalls['sharpMaps']['params'];
        const maps: FloatMap[] = [];
        // One after the other: a probe must not wait for all of them.
        for (const neuron of neurons.slice(0, MOST_MAPS)) {
          maps.push(await client.call('map', { trace, neuron: { layer, neuron } }));
        }
        return sharpMaps(maps, side);
      }
      case 'probe':
        return client.call('probe', {
          trace,
          top: PROBE_TOP,
          ...(params as ViewCalls['probe']['params']),
        });
    }
  }

  dispose(): void {
    this.disposed = true;
    this.cancel();
    this.clusters.dispose();
    if (this.trace) void this.host.client.call('close', { trace: this.trace }).catch(() => undefined);
    this.emitter.dispose();
  }
}

function sameLayers(before: readonly (LayerTrace | undefined)[], after: readonly LayerTrace[]): boolean {
  return (
    before.length === after.length &&
    after.every(({ name, neurons }, i) => before[i]?.name === name && before[i].neurons === neurons)
  );
}

/** The selection without what is not there: another network may have been saved under the same name. */
function withinReach(
  chosen: Selection,
  layers: readonly (LayerTrace | undefined)[],
  picture: Picture | null,
): Selection {
  const { layer, neurons, pixel } = chosen;
  const inside = pixel && picture && pixel.row < picture.height && pixel.column < picture.width;
  return {
    ...chosen,
    layer: layer < layers.length ? layer : layers.length - 1,
    neurons: neurons.filter(({ layer, neuron }) => neuron < (layers[layer]?.neurons ?? 0)),
    pixel: inside ? pixel : null,
  };
}
