import path from 'node:path';
import { CancelledError } from '../errors';
import type { FindingsDocument } from '../findings/document';
import type { WorkerClient } from '../worker/client';
import type { HostMessage } from './protocol';

export interface FindingsChange {
  /** Label picture, or of a video a folder of them, relative to the checkpoint; null for none. */
  readonly objects?: string | null;
  /** Over the frames of a video instead of the one shown. */
  readonly clip?: boolean;
}

/** Computes a trace's findings in the background and tells the findings page as they become known. */
export class FindingsWork {
  private findings: FindingsDocument | null = null;
  private working: { readonly detail: string; readonly fraction: number } | null = null;
  private error: string | null = null;
  private work: AbortController | null = null;
  private objects: string | null = null;
  private clip = false;

  /** @param folder of the checkpoint; masks are found from there */
  constructor(
    private readonly client: WorkerClient,
    private readonly folder: string,
    private readonly tell: (message: HostMessage) => void,
  ) {}

  get message(): HostMessage {
    const { findings, working, error, objects, clip } = this;
    return { type: 'findings', findings, working, error, objects, clip };
  }

  /** What is known or under way is not asked for again. */
  want(trace: string): void {
    if (this.findings?.milliseconds === undefined && !this.work) void this.run(trace, {});
  }

  /** Anew; what is not said stays as it was. */
  async run(trace: string, { clip = this.clip, objects = this.objects }: FindingsChange): Promise<void> {
    this.work?.abort();
    const work = (this.work = new AbortController());
    const current = () => this.work === work;
    // What one picture says of one frame, it does not say of others; a folder has one for each.
    this.objects = clip && objects !== null && /\.png$/i.test(objects) ? null : objects;
    this.clip = clip;
    const file = this.objects === null ? undefined : path.resolve(this.folder, this.objects);
    this.error = null;
    this.working = { detail: 'Waiting', fraction: 0 };
    this.tell(this.message);
    try {
      const findings = await this.client.call(
        'findings',
        { trace, clip, ...(file !== undefined && { objects: file }) },
        {
          signal: work.signal,
          onEvent: (event) => {
            if (!current()) return;
            if (event.type === 'part') this.findings = event.findings;
            else this.working = { detail: event.detail, fraction: event.fraction };
            this.tell(this.message);
          },
        },
      );
      if (current()) this.findings = findings;
    } catch (error) {
      if (!current()) return;
      if (!(error instanceof CancelledError)) {
        this.error = error instanceof Error ? error.message : String(error);
      } else if (this.findings === null) {
        this.error = 'The analysis was cancelled.';
      }
    } finally {
      if (current()) {
        this.work = null;
        this.working = null;
        this.tell(this.message);
      }
    }
  }

  /** Stops; what is known stays. */
  cancel(): void {
    this.work?.abort();
  }

  /** Forgets what a trace that is gone had. */
  reset(): void {
    this.work?.abort();
    this.work = null;
    this.working = this.findings = this.error = null;
  }
}
