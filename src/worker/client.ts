import { Worker } from 'node:worker_threads';
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineChoice } from '../engine/choices';
import { endNativeCalls, NativeCalls } from '../engine/nativeCalls';
import { refuseTelemetry } from '../engine/telemetry';
import { CancelledError } from '../errors';
import { reviveError } from './errors';
import type { ThreadData } from './poolProtocol';
import type { CallMessage, CallName, EventOf, Params, Result, WorkerMessage } from './protocol';

const HEAP_MEGABYTES = 2048;
const OUT_OF_MEMORY = 'ERR_WORKER_OUT_OF_MEMORY';

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
  onEvent?(event: unknown): void;
}

export interface CallOptions<K extends CallName> {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: EventOf<K>) => void;
}

export interface ClientOptions {
  /** Asked at every call. */
  readonly engine?: () => EngineChoice;
  /** Megabytes that JavaScript's own values may take in the thread; arrays of numbers lie outside. */
  readonly heapMegabytes?: () => number;
  /** Is told, in a sentence, of what went wrong beside a call that goes on. */
  readonly warn?: (message: string) => void;
}

/** The worker ended while it was working; what it held is lost, and the next call starts a new one. */
export class WorkerDiedError extends Error {
  override name = 'WorkerDiedError';
}

/**
 * Calls the worker thread and starts it on first use. Every call settles: with a result, an error, a
 * cancellation, or `WorkerDiedError` when the thread ends.
 */
export class WorkerClient {
  private worker: Worker | undefined;
  private nativeCalls = new NativeCalls();
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;

  /** @param script absolute path of the bundled worker */
  constructor(
    private readonly script: string,
    private readonly options: ClientOptions = {},
  ) {}

  call<K extends CallName>(call: K, params: Params<K>, options: CallOptions<K> = {}): Promise<Result<K>> {
    const { signal, onEvent } = options;
    if (signal?.aborted) return Promise.reject(new CancelledError());
    const worker = (this.worker ??= this.start());
    const id = ++this.lastId;
    const cancel = new SharedArrayBuffer(4);
    const abort = () => Atomics.store(new Int32Array(cancel), 0, 1);
    signal?.addEventListener('abort', abort, { once: true });
    return new Promise<Result<K>>((resolve, reject) => {
      this.pending.set(id, {
        resolve: (result) => resolve(result as Result<K>),
        reject,
        ...(onEvent && { onEvent: (event: unknown) => onEvent(event as EventOf<K>) }),
      });
      worker.postMessage({
        id,
        call,
        params,
        cancel,
        engine: this.options.engine?.() ?? 'auto',
      } satisfies CallMessage<K>);
    }).finally(() => signal?.removeEventListener('abort', abort));
  }

  private start(): Worker {
    refuseTelemetry();
    const nativeCalls = new NativeCalls();
    this.nativeCalls = nativeCalls;
    const worker = new Worker(this.script, {
      name: 'neural-canvas',
      workerData: { nativeCalls: nativeCalls.shared } satisfies ThreadData,
      resourceLimits: { maxOldGenerationSizeMb: this.options.heapMegabytes?.() ?? HEAP_MEGABYTES },
    });
    worker.on('message', (message: WorkerMessage) => {
      if ('warning' in message) {
        this.options.warn?.(message.warning);
        return;
      }
      const pending = this.pending.get(message.id);
      if (!pending) return;
      if ('event' in message) {
        pending.onEvent?.(message.event);
        return;
      }
      this.pending.delete(message.id);
      if ('error' in message) pending.reject(reviveError(message.error));
      else pending.resolve(message.result);
    });
    worker.on('error', (error: NodeJS.ErrnoException) =>
      this.ended(worker, error.code === OUT_OF_MEMORY ? OUT_OF_MEMORY : error.message),
    );
    // Node ends all threads when the process exits, wherever they are.
    const exiting = () => endNativeCalls(nativeCalls);
    process.once('exit', exiting);
    worker.on('exit', (code) => {
      process.off('exit', exiting);
      this.ended(worker, `exit code ${code}`);
    });
    return worker;
  }

  private ended(worker: Worker, reason: string): void {
    if (worker !== this.worker) return;
    this.worker = undefined;
    const error = new WorkerDiedError(
      reason === OUT_OF_MEMORY
        ? 'The trace needed more memory than it may take and was ended; trace fewer layers or a smaller size.'
        : `The tracing worker ended (${reason}); trace again to restart it.`,
    );
    for (const pending of this.pending.values()) pending.reject(error);
    this.pending.clear();
  }

  /** Ends the thread as soon as it is outside native code; calls under way are rejected at once. */
  async dispose(): Promise<void> {
    const { worker, nativeCalls } = this;
    if (!worker) return;
    this.ended(worker, 'closed');
    nativeCalls.shut();
    let exited = false;
    worker.once('exit', () => (exited = true));
    while (nativeCalls.any && !exited) await delay(5);
    await worker.terminate();
  }
}
