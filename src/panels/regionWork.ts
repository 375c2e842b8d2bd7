import { CancelledError } from '../errors';
import type { Region, RegionStatistics } from '../tracing/regionMask';
import type { WorkerClient } from '../worker/client';
import type { HostMessage, RegionView } from './protocol';

/** Measures the neurons in the marked region, one region at a time, and tells the views as layers arrive. */
export class RegionWork {
  private view: RegionView | null = null;
  private error: string | null = null;
  private work: AbortController | null = null;

  constructor(
    private readonly client: WorkerClient,
    private readonly tell: (message: HostMessage) => void,
  ) {}

  get message(): HostMessage {
    return { type: 'region', region: this.view, error: this.error };
  }

  /** @param first traced-layer index to begin with */
  async measure(trace: string, region: Region | null, first: number): Promise<void> {
    this.work?.abort();
    const work = (this.work = new AbortController());
    this.error = null;
    if (!region) {
      this.view = null;
      this.tell(this.message);
      return;
    }
    const show = (view: RegionView | null) => {
      if (this.work !== work) return;
      this.view = view;
      this.tell(this.message);
    };
    const layers: (RegionStatistics | undefined)[] = [];
    try {
      await this.client.call(
        'region',
        { trace, region, first },
        {
          signal: work.signal,
          onEvent: (event) => {
            if (event.type === 'mask') show({ mask: event.mask, layers: [], working: true });
            else if (this.work === work && this.view) {
              layers[event.layer] = event.statistics;
              show({ ...this.view, layers: [...layers] });
            }
          },
        },
      );
      if (this.view) show({ ...this.view, working: false });
    } catch (error) {
      if (error instanceof CancelledError || this.work !== work) return;
      this.error = error instanceof Error ? error.message : String(error);
      show(null);
    }
  }

  /** Forgets what a trace that is gone had. */
  reset(): void {
    this.cancel();
    this.view = null;
    this.error = null;
  }

  cancel(): void {
    this.work?.abort();
    this.work = null;
  }
}
