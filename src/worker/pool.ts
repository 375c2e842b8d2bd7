/**
 * Threads that share a pass over a picture, tile by tile, or a round over a decoder's kernels, some
 * channels at a time. One single-threaded engine each scales better
 * than one engine with threads inside its operators, which wait for each other at every layer
 * (docs/decisions/0005-threads-share-tiles.md).
 */
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { EngineChoice } from '../engine/choices';
import { nativeCalls } from '../engine/nativeCalls';
import { refuseTelemetry } from '../engine/telemetry';
import { CancelledError, type CancelToken } from '../errors';
import { drawnSize, type PassShare, type PassTile, type PassRunner } from '../tracing/pass';
import {
  contributionsOf,
  inThisThread,
  sharesOf,
  type RoundShare,
  type RunRound,
} from '../tracing/video/statistics';
import { reviveError } from './errors';
import { NEXT, STOP, type Job, type Reply, type ThreadData } from './poolProtocol';

/** Fewest pixels that make another thread worth its while. */
const PIXELS_A_THREAD = 4096;
/** A round of some 100 ms in one thread: waiting for the slower of two costs more than they save (docs/video.md). */
const SMALLEST_ROUND = 2 ** 25;
/** Milliseconds after which idle threads end. */
const GRACE = 30_000;
/** Milliseconds between looks at the token of the pass under way. */
const POLL = 10;

/** The threads; they start with the first pass and end when there was none for a while. */
export class Pool implements PassRunner {
  private threads: Worker[] = [];
  /** Ends with the last pass asked for: passes take turns, each on all threads. */
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private grace: NodeJS.Timeout | undefined;
  /** The engine of the next passes. */
  choice: EngineChoice = 'auto';

  /**
   * @param script the bundle of `tiles.ts`
   * @param size threads; by default one a core, but for one where threads cannot be told to give way
   * @param smallestRound contributions (kernels × pixels) below which a round stays in the caller's thread
   */
  constructor(
    private readonly script: string,
    private readonly size = os.availableParallelism() - (process.platform === 'linux' ? 0 : 1),
    private readonly smallestRound = SMALLEST_ROUND,
  ) {}

  /** Starts the threads, so that a pass that is about to come need not wait for them. */
  warm(): void {
    while (this.threads.length < this.size) this.threads.push(this.start());
    this.rest();
  }

  get busy(): boolean {
    return this.waiting > 0;
  }

  /** Whether a pass over that many pixels is faster here than in the caller's thread. */
  worthwhile(pixels: number): boolean {
    return this.size > 1 && pixels >= 2 * PIXELS_A_THREAD;
  }

  /** @throws CancelledError */
  readonly run: PassRunner['run'] = (pass, cancel, onTile) => {
    const { height, width } = drawnSize(pass);
    const threads = Math.ceil((height * width) / PIXELS_A_THREAD);
    return this.inTurn(cancel, () => this.together<PassShare>({ pass }, threads, cancel, { onTile }));
  };

  /** @throws CancelledError */
  readonly runRound: RunRound = (round, cancel, progress) => {
    if (contributionsOf(round.kernels) < this.smallestRound) return inThisThread(round, cancel, progress);
    const { count } = sharesOf(round.kernels.layers[0]);
    const onClaimed = (next: number) => progress(Math.min(next / count, 1));
    return this.inTurn(cancel, () => this.together<RoundShare>({ round }, count, cancel, { onClaimed }));
  };

  private async inTurn<T>(cancel: CancelToken, run: () => Promise<T>): Promise<T> {
    this.waiting++;
    clearTimeout(this.grace);
    const turn = this.last.then(() => {
      cancel.throwIfCancelled();
      return run();
    });
    this.last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.waiting--;
      this.rest();
    }
  }

  private async together<Share extends PassShare | RoundShare>(
    work: Job['work'],
    threads: number,
    cancel: CancelToken,
    { onTile = () => undefined, onClaimed }: Watch,
  ): Promise<readonly Share[]> {
    const state = new Int32Array(new SharedArrayBuffer(8));
    const { choice } = this;
    const poll = setInterval(() => {
      if (cancel.cancelled) Atomics.store(state, STOP, 1);
      else onClaimed?.(Atomics.load(state, NEXT));
    }, POLL);
    try {
      this.warm();
      const shares = this.threads
        .slice(0, threads)
        .map((thread) => share(thread, { work, choice, state }, onTile));
      // All must have stopped before the threads are free again: a failure stops the others.
      const settled = await Promise.allSettled(
        shares.map((one) =>
          one.catch((error: unknown) => {
            Atomics.store(state, STOP, 1);
            throw error;
          }),
        ),
      );
      const failures = settled
        .filter((one) => one.status === 'rejected')
        .map(({ reason }) => reason as Error);
      // The others were only stopped by the first.
      if (failures.length > 0)
        throw failures.find((error) => !(error instanceof CancelledError)) ?? failures[0];
      return settled.map((one) => (one as PromiseFulfilledResult<Share>).value);
    } finally {
      clearInterval(poll);
    }
  }

  private start(): Worker {
    refuseTelemetry();
    const workerData: ThreadData = { nativeCalls: nativeCalls.shared };
    const thread = new Worker(this.script, { name: 'neural-canvas tiles', workerData });
    // The command line ends when its work is done, whatever threads are waiting.
    thread.unref();
    const forget = () => (this.threads = this.threads.filter((other) => other !== thread));
    thread.on('error', forget);
    thread.on('exit', forget);
    return thread;
  }

  private rest(): void {
    clearTimeout(this.grace);
    if (this.waiting > 0) return;
    this.grace = setTimeout(() => void this.dispose(), GRACE);
    this.grace.unref();
  }

  /** Ends the threads once the passes under way have ended: native code must not lose its thread. */
  async dispose(): Promise<void> {
    clearTimeout(this.grace);
    await this.last;
    const { threads } = this;
    this.threads = [];
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

interface Watch {
  readonly onTile?: (tile: PassTile) => void;
  /** What has been claimed so far, now and then. */
  readonly onClaimed?: (next: number) => void;
}

/** One thread's part of a job. Rejects when the thread ends before it is done. */
function share(thread: Worker, job: Job, onTile: (tile: PassTile) => void): Promise<PassShare | RoundShare> {
  return new Promise((resolve, reject) => {
    thread.ref();
    const settle = () => {
      thread.off('message', take).off('error', fail).off('exit', ended);
      thread.unref();
    };
    const fail = (error: Error) => {
      settle();
      reject(error);
    };
    const ended = (code: number) => fail(new Error(`a tracing thread ended (exit code ${code})`));
    // The thread is free again only when it has answered, so what goes wrong here is told then.
    let failure: Error | undefined;
    const take = (reply: Reply) => {
      if ('tile' in reply) {
        try {
          if (!failure) onTile(reply.tile);
        } catch (error) {
          failure = error as Error;
          Atomics.store(job.state, STOP, 1);
        }
      } else if ('error' in reply) fail(failure ?? reviveError(reply.error));
      else if (failure) fail(failure);
      else {
        settle();
        resolve(reply.share);
      }
    };
    thread.on('message', take).on('error', fail).on('exit', ended);
    thread.postMessage(job);
  });
}

/** Where the bundle of the pool's threads lies, beside the one that is running. */
export const tilesScript = () => path.join(__dirname, 'tiles.js');
