import type {
  HostMessage,
  HostToView,
  ViewCallName,
  ViewCalls,
  ViewMessage,
  ViewToHost,
} from '../../src/panels/protocol';
import { read } from '../../src/panels/numbers';

/** What VS Code gives a webview, once. */
export interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

/** The answer is about a trace that is gone; nobody should show it, nor be told of it. */
export class OutdatedError extends Error {
  override name = 'OutdatedError';
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** The view's end of `protocol.ts`. Every call settles; when a new trace begins, open calls are outdated. */
export class Host {
  private readonly pending = new Map<number, Pending>();
  private lastCall = 0;

  constructor(
    readonly api: VsCodeApi,
    private readonly show: (message: HostMessage) => void,
    source: EventTarget = window,
  ) {
    source.addEventListener('message', (event) =>
      this.receive(read((event as MessageEvent<HostToView>).data)),
    );
  }

  static connect(show: (message: HostMessage) => void): Host {
    return new Host(acquireVsCodeApi(), show);
  }

  post(message: ViewMessage): void {
    this.send(message);
  }

  /** @throws Error with the host's sentence, or OutdatedError */
  call<K extends ViewCallName>(call: K, params: ViewCalls[K]['params']): Promise<ViewCalls[K]['result']> {
    const id = ++this.lastCall;
    return new Promise<ViewCalls[K]['result']>((resolve, reject) => {
      this.pending.set(id, { resolve: (result) => resolve(result as ViewCalls[K]['result']), reject });
      this.send({ type: 'call', id, call, params });
    });
  }

  private send(message: ViewToHost): void {
    this.api.postMessage(message);
  }

  private receive(message: HostToView): void {
    if (message.type !== 'reply') {
      if (message.type === 'reset' || message.type === 'replace') this.outdate();
      this.show(message);
      return;
    }
    const call = this.pending.get(message.id);
    this.pending.delete(message.id);
    if ('error' in message) call?.reject(new Error(message.error));
    else call?.resolve(message.result);
  }

  private outdate(): void {
    const calls = [...this.pending.values()];
    this.pending.clear();
    for (const call of calls) call.reject(new OutdatedError('A new trace began.'));
  }
}

/**
 * Keeps one request under way; of those made meanwhile only the newest is asked next, so that a hover
 * follows the pointer at the speed of the host and never builds a queue.
 */
export class Latest<P, R> {
  private busy = false;
  private next: { readonly params: P } | null = null;
  private generation = 0;

  constructor(
    private readonly ask: (params: P) => Promise<R>,
    private readonly show: (result: R, params: P) => void,
    private readonly fail: (error: unknown) => void,
  ) {}

  request(params: P): void {
    if (this.busy) this.next = { params };
    else void this.run(params);
  }

  /** The answers to everything requested so far are no longer wanted. */
  forget(): void {
    this.generation++;
    this.next = null;
  }

  private async run(params: P): Promise<void> {
    const { generation } = this;
    this.busy = true;
    try {
      const result = await this.ask(params);
      if (generation === this.generation) this.show(result, params);
    } catch (error) {
      if (generation === this.generation && !(error instanceof OutdatedError)) this.fail(error);
    } finally {
      this.busy = false;
      const { next } = this;
      this.next = null;
      if (next) void this.run(next.params);
    }
  }
}
