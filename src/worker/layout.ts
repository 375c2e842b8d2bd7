/** UMAP in a thread of its own: maps, probes and another frame are answered meanwhile. */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { CancelledError } from '../errors';
import type { LayOut } from '../tracing/layout';
import type { LayoutReply, LayoutTask } from './layoutThread';

/** Milliseconds between looks at the token. */
const POLL = 20;

/** @param script the bundle of `layoutThread.ts` */
export const layOutIn =
  (script: string): LayOut =>
  async (vectors, seed, cancel, progress) => {
    cancel.throwIfCancelled();
    const workerData: LayoutTask = { vectors, seed };
    const thread = new Worker(script, { name: 'neural-canvas layout', workerData });
    let poll: NodeJS.Timeout | undefined;
    try {
      return await new Promise<[number, number][]>((resolve, reject) => {
        poll = setInterval(() => cancel.cancelled && reject(new CancelledError()), POLL);
        thread.on('message', (reply: LayoutReply) => {
          if ('points' in reply) resolve(reply.points);
          else progress(reply.fraction);
        });
        thread.on('error', reject);
        thread.on('exit', (code) => reject(new Error(`the layout thread ended (exit code ${code})`)));
      });
    } finally {
      clearInterval(poll);
      await thread.terminate();
    }
  };

/** Where the bundle lies, beside the one that is running. */
export const layoutScript = () => path.join(__dirname, 'layout.js');
