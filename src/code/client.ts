import { Worker } from 'node:worker_threads';
import type { CodeCallMessage, CodeCallName, CodeParams, CodeReply, CodeResult } from './protocol';

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/**
 * Calls the thread that reads code, and starts it on first use. Every call settles; when the thread ends,
 * `onEnd` is told, since what it knew is lost.
 */
export class CodeClient {
  private worker: Worker | undefined;
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  onEnd: () => void = () => {};

  /** @param script absolute path of the bundled worker */
  constructor(private readonly script: string) {}

  call<K extends CodeCallName>(call: K, params: CodeParams<K>): Promise<CodeResult<K>> {
    const worker = (this.worker ??= this.start());
    const id = ++this.lastId;
    return new Promise<CodeResult<K>>((resolve, reject) => {
      this.pending.set(id, { resolve: (result) => resolve(result as CodeResult<K>), reject });
      worker.postMessage({ id, call, params } satisfies CodeCallMessage<K>);
    });
  }

  private start(): Worker {
    const worker = new Worker(this.script, { name: 'neural-canvas-code' });
    worker.on('message', (reply: CodeReply) => {
      const pending = this.pending.get(reply.id);
      this.pending.delete(reply.id);
      if ('error' in reply) pending?.reject(Object.assign(new Error(reply.error.message), reply.error));
      else pending?.resolve(reply.result);
    });
    worker.on('error', (error: Error) => this.ended(worker, error.message));
    worker.on('exit', (code) => this.ended(worker, `exit code ${code}`));
    return worker;
  }

  private ended(worker: Worker, reason: string): void {
    if (worker !== this.worker) return;
    this.worker = undefined;
    for (const pending of this.pending.values()) {
      pending.reject(new Error(`The thread that reads code ended (${reason}).`));
    }
    this.pending.clear();
    this.onEnd();
  }

  async dispose(): Promise<void> {
    const worker = this.worker;
    if (!worker) return;
    this.onEnd = () => {};
    this.ended(worker, 'closed');
    await worker.terminate();
  }
}
