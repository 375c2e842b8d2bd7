import path from 'node:path';
import * as vscode from 'vscode';
import { CancelledError } from '../errors';
import type { Clustering, LayerTrace, Method, RegionFeature } from '../tracing/types';
import type { WorkerClient } from '../worker/client';
import { FindingsWork } from './findingsWork';
import type { FloatMap, Inspection, Picture, TraceEvent, TraceResult } from '../worker/protocol';
import { RegionWork } from './regionWork';
import { MOST_MAPS, sharpMaps } from './sharpMaps';
import type { LinkView } from './link';
import { RemovalWork } from './removalWork';
import type {
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
  memoryBudget(): number;
  /** Whether findings are computed before anybody asks for them. */
  analyseUnasked(): boolean;
  /** Remembers what was selected, so that it is found again after a reload. */
  remember(file: vscode.Uri, selection: Selection): void;
  remembered(file: vscode.Uri): Selection | undefined;
}

const nothing: Selection = { layer: -1, neurons: [], pixel: null, region: null };

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
  private clustering: Clustering | null = null;
  private clusteringWork: AbortController | null = null;
  private clusteringDetail = '';
  private clusteringError: string | null = null;
  /** How neurons were last grouped; a new trace groups them the same way. */
  private grouping: { readonly clusters?: number; readonly features: RegionFeature } = { features: 'edge' };
  private work: AbortController | null = null;
  private chosen: Selection;
  private readonly region: RegionWork;
  private readonly removals: RemovalWork;
  readonly findings: FindingsWork;
  /** What a neuron's map is; a new trace keeps it. */
  private method: Method = 'xinc';

  private readonly emitter = new vscode.EventEmitter<HostMessage>();
  readonly onMessage = this.emitter.event;

  constructor(
    readonly uri: vscode.Uri,
    private readonly host: SessionHost,
  ) {
    this.chosen = { ...nothing, ...host.remembered(uri) };
    const tell = (message: HostMessage) => this.emitter.fire(message);
    this.region = new RegionWork(host.client, tell);
    this.removals = new RemovalWork(host.client, tell);
    this.findings = new FindingsWork(host.client, path.dirname(uri.fsPath), tell);
  }

  get view(): SessionView {
    return {
      id: this.trace,
      name: path.basename(this.uri.path),
      path: vscode.workspace.asRelativePath(this.uri),
      status: this.status,
      inspection: this.inspection,
      psnr: this.psnr,
      traceMilliseconds: this.result?.timings.trace ?? null,
      engine: this.result?.engine ?? null,
      largestResidual: this.result?.completeness.largest ?? null,
      hasTarget: this.target !== null,
      method: this.method,
    };
  }

  /** Everything a view needs that opens now. */
  *replay(): Generator<HostMessage> {
    yield { type: 'session', session: this.view };
    if (this.reconstruction) {
      yield { type: 'picture', which: 'reconstruction', picture: this.reconstruction };
    }
    if (this.target) yield { type: 'picture', which: 'target', picture: this.target };
    for (const [index, layer] of this.layers.entries()) if (layer) yield { type: 'layer', index, layer };
    yield { type: 'selection', selection: this.chosen };
    yield this.clusteringMessage();
    yield this.region.message;
    yield this.removals.message;
    yield this.findings.message;
  }

  private clusteringMessage(): HostMessage {
    return {
      type: 'clustering',
      clustering: this.clustering,
      working: this.clusteringWork ? this.clusteringDetail : null,
      error: this.clusteringError,
    };
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
    this.inspection = this.result = this.reconstruction = this.target = this.clustering = this.psnr = null;
    this.layers = [];
    this.clusteringError = null;
    this.region.reset();
    this.removals.reset();
    this.findings.reset();
    this.emitter.fire({ type: 'reset' });
    this.changed({ state: 'tracing', detail: 'Reading', fraction: 0 });
    try {
      if (previous) await this.host.client.call('close', { trace: previous });
      const result = await this.host.client.call(
        'trace',
        {
          trace,
          options: {
            file: this.uri.fsPath,
            corrections: this.host.corrections(this.uri),
            method: this.method,
            memoryBudget: this.host.memoryBudget(),
          },
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
      this.host.log.info(`${this.uri.fsPath}: ${JSON.stringify(result.timings)} by ${result.engine}`);
      if (result.engineNote) this.host.log.warn(result.engineNote);
      this.changed({ state: 'ready' });
      if (this.chosen.region) this.measureRegion();
      void this.cluster(this.grouping).then(() => {
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

  private take(event: TraceEvent, onProgress: (detail: string, fraction: number) => void): void {
    switch (event.type) {
      case 'phase':
        onProgress(event.detail, event.fraction);
        this.changed({ state: 'tracing', detail: event.detail, fraction: event.fraction });
        break;
      case 'inspected':
        this.inspection = event.inspection;
        this.changed();
        break;
      case 'reconstruction':
        this.reconstruction = event.picture;
        this.psnr = event.psnr ?? null;
        this.target = event.target ?? null;
        this.emitter.fire({ type: 'picture', which: 'reconstruction', picture: event.picture });
        if (event.target) this.emitter.fire({ type: 'picture', which: 'target', picture: event.target });
        this.changed();
        break;
      case 'layer':
        this.layers[event.index] = event.layer;
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
    this.method = method;
  }

  /** @param objects label picture relative to the checkpoint, undefined to keep the present one */
  analyse(objects?: string | null): void {
    if (this.status.state !== 'ready') return;
    if (objects === undefined) this.findings.want(this.trace);
    else void this.findings.run(this.trace, objects);
  }

  /** Opens the form in the canvas. */
  askForChange(): void {
    this.emitter.fire({ type: 'change' });
  }

  cancel(): void {
    this.work?.abort();
    this.clusteringWork?.abort();
    this.region.cancel();
    this.removals.cancel();
    this.findings.cancel();
  }

  /** Measures what each neuron of a layer is worth; null stops that. */
  measureRemovals(layer: number, baseline: 'zero' | 'mean' | null): void {
    const neurons = this.layers[layer]?.neurons;
    if (baseline === null) this.removals.cancel();
    else if (neurons !== undefined && this.status.state === 'ready') {
      void this.removals.measure(this.trace, layer, neurons, baseline);
    }
  }

  private measureRegion(): void {
    // The worker knows the trace when it is complete; then it is asked.
    if (this.status.state !== 'ready' && this.chosen.region) return;
    void this.region.measure(this.trace, this.chosen.region, this.chosen.layer);
  }

  select(change: Partial<Selection>): void {
    this.chosen = { ...this.chosen, ...change };
    this.host.remember(this.uri, this.chosen);
    this.emitter.fire({ type: 'selection', selection: this.chosen });
    if (change.region !== undefined) this.measureRegion();
  }

  async cluster(options: TraceSession['grouping']): Promise<void> {
    this.clusteringWork?.abort();
    const work = (this.clusteringWork = new AbortController());
    const { trace } = this;
    const current = () => this.clusteringWork === work && this.trace === trace;
    const tell = (detail: string) => {
      if (!current() || detail === this.clusteringDetail) return;
      this.clusteringDetail = detail;
      this.emitter.fire(this.clusteringMessage());
    };
    this.grouping = options;
    this.clusteringError = null;
    this.clusteringDetail = '';
    tell('Grouping neurons');
    try {
      const clustering = await this.host.client.call(
        'cluster',
        { trace, options: { ...options, seed: 0, layers: [...this.layers.keys()] } },
        { signal: work.signal, onEvent: ({ detail }) => tell(detail) },
      );
      if (current()) this.clustering = clustering;
    } catch (error) {
      if (!(error instanceof CancelledError)) {
        this.host.log.error(String(error));
        if (current()) this.clusteringError = error instanceof Error ? error.message : String(error);
      }
    } finally {
      if (this.clusteringWork === work) {
        this.clusteringWork = null;
        this.emitter.fire(this.clusteringMessage());
      }
    }
  }

  /** Answers a view's request. @throws Error with a sentence for the view */
  async answer(
    call: Exclude<ViewCallName, HostCallName>,
    params: unknown,
  ): Promise<ViewCalls[ViewCallName]['result']> {
    const { trace } = this;
    const { client } = this.host;
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
    this.cancel();
    if (this.trace) void this.host.client.call('close', { trace: this.trace }).catch(() => undefined);
    this.emitter.dispose();
  }
}
