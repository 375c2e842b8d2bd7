import { CancelledError } from '../errors';
import type { WorkerClient } from '../worker/client';
import type { HostMessage, RemovalsView } from './protocol';

/** Measures what each neuron of a layer is worth, one layer at a time, in the background. */
export class RemovalWork {
  private layers: (RemovalsView | undefined)[] = [];
  private work: { readonly layer: number; readonly abort: AbortController } | null = null;

  constructor(
    private readonly client: WorkerClient,
    private readonly tell: (message: HostMessage) => void,
  ) {}

  get message(): HostMessage {
    return { type: 'removals', layers: [...this.layers] };
  }

  async measure(trace: string, layer: number, neurons: number, baseline: 'zero' | 'mean'): Promise<void> {
    this.cancel();
    const work = (this.work = { layer, abort: new AbortController() });
    const change = new Float64Array(neurons).fill(NaN);
    const show = (view: RemovalsView | undefined) => {
      if (this.work !== work) return;
      this.layers[layer] = view;
      this.tell(this.message);
    };
    const begun = { baseline, result: null, problem: null };
    show({ ...begun, change, working: 0 });
    try {
      const result = await this.client.call(
        'removals',
        { trace, layer, baseline },
        {
          signal: work.abort.signal,
          onEvent: (event) => {
            change.set(event.change, event.from);
            show({ ...begun, change: change.slice(), working: event.fraction });
          },
        },
      );
      show({ ...begun, change: result.change, result, working: null });
    } catch (error) {
      if (error instanceof CancelledError) return;
      const problem = error instanceof Error ? error.message : String(error);
      show({ ...begun, change, working: null, problem });
    } finally {
      if (this.work === work) this.work = null;
    }
  }

  /** Stops; half a layer's numbers cannot be ranked, so they go. */
  cancel(): void {
    const { work } = this;
    this.work = null;
    if (!work) return;
    work.abort.abort();
    this.layers[work.layer] = undefined;
    this.tell(this.message);
  }

  /** Forgets what a trace that is gone had. */
  reset(): void {
    this.work?.abort.abort();
    this.work = null;
    this.layers = [];
  }
}
