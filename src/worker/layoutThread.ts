/** A thread that lays one set of vectors out and ends: nobody waits for it but who asked. */
import { parentPort, workerData } from 'node:worker_threads';
import { neverCancelled } from '../errors';
import { layOutHere } from '../tracing/layout';

export interface LayoutTask {
  readonly vectors: number[][];
  readonly seed: number;
}

export type LayoutReply = { readonly fraction: number } | { readonly points: [number, number][] };

const port = parentPort;
if (!port) throw new Error('layout.js runs in a thread only.');

const { vectors, seed } = workerData as LayoutTask;
const post = (reply: LayoutReply) => port.postMessage(reply);
// Who no longer wants it ends the thread.
void layOutHere(vectors, seed, neverCancelled, (fraction) => post({ fraction })).then((points) =>
  post({ points }),
);
