import path from 'node:path';
import type * as vscode from 'vscode';
import { CancelledError } from '../errors';
import type { Clustering, LayerTrace, RegionFeature } from '../tracing/types';
import type { HostMessage } from './protocol';
import type { SessionHost } from './session';

export interface Grouping {
  /** How many; suggested when omitted. */
  readonly clusters?: number;
  readonly features: RegionFeature;
}

/** Groups the neurons of a trace, alone or with those of another checkpoint, in the background. */
export class ClusterWork {
  private static count = 0;
  private clustering: Clustering | null = null;
  /** As last asked for; a new trace is grouped the same way. */
  private grouping: Grouping = { features: 'edge' };
  /** The checkpoint that is grouped with; without layers until it is traced. */
  private other: { readonly uri: vscode.Uri; readonly trace: string; layers: readonly LayerTrace[] } | null =
    null;
  private work: AbortController | null = null;
  private detail = '';
  private error: string | null = null;

  constructor(
    private readonly host: SessionHost,
    /** Says that `message` has changed. */
    private readonly tell: () => void,
  ) {}

  get message(): HostMessage {
    return {
      type: 'clustering',
      clustering: this.clustering,
      other: this.other && { name: path.basename(this.other.uri.path), layers: this.other.layers },
      working: this.work ? this.detail : null,
      error: this.error,
    };
  }

  /**
   * Groups anew; what is under way is given up. Never rejects: an error is part of the message.
   * @param grouping as before when omitted
   */
  async group(trace: string, layers: number, grouping = this.grouping): Promise<void> {
    this.cancel();
    const work = (this.work = new AbortController());
    const tell = (detail: string) => {
      if (this.work !== work || detail === this.detail) return;
      this.detail = detail;
      this.tell();
    };
    this.grouping = grouping;
    this.error = null;
    this.detail = '';
    tell('Grouping neurons');
    try {
      const others = await this.traceOther(work.signal, tell);
      const clustering = await this.host.client.call(
        'cluster',
        { trace, with: others, options: { ...grouping, seed: 0, layers: [...Array(layers).keys()] } },
        { signal: work.signal, onEvent: ({ detail }) => tell(detail) },
      );
      if (this.work === work) this.clustering = clustering;
    } catch (error) {
      if (!(error instanceof CancelledError)) {
        this.host.log.error(String(error));
        if (this.work === work) {
          this.error = error instanceof Error ? error.message : String(error);
          // What cannot be grouped with is not asked for again, nor kept.
          void this.use(null);
        }
      }
    } finally {
      if (this.work === work) {
        this.work = null;
        this.tell();
      }
    }
  }

  /** The checkpoint to group with from now on; null for none. */
  async use(uri: vscode.Uri | null): Promise<void> {
    const before = this.other;
    this.other = uri && { uri, trace: `${uri.toString()}#with${++ClusterWork.count}`, layers: [] };
    if (before) await this.host.client.call('close', { trace: before.trace }).catch(() => null);
  }

  /** Traces the other checkpoint when it is not yet. @throws Error with a sentence */
  private async traceOther(signal: AbortSignal, tell: (detail: string) => void): Promise<string[]> {
    const { other, host } = this;
    if (!other) return [];
    if (other.layers.length === 0) {
      tell(`Tracing ${path.basename(other.uri.path)}`);
      const options = {
        file: other.uri.fsPath,
        corrections: host.corrections(other.uri),
        method: 'xinc',
        ...host.resources({ sharers: 2 }),
      } as const;
      const result = await host.client.call('trace', { trace: other.trace, options }, { signal });
      if ('notAnInr' in result) throw new Error(result.notAnInr.message);
      other.layers = result.layers;
    }
    return [other.trace];
  }

  cancel(): void {
    this.work?.abort();
  }

  /** Forgets what a trace that is gone had. @param keepGroups until there are new ones: the neurons are the same */
  reset(keepGroups = false): void {
    this.work?.abort();
    this.work = null;
    if (!keepGroups) this.clustering = null;
    this.error = null;
  }

  /** Closes the other checkpoint's trace too. */
  dispose(): void {
    this.cancel();
    const trace = this.other?.trace;
    if (trace) void this.host.client.call('close', { trace }).catch(() => undefined);
  }
}
