/**
 * Threads that share a pass over a picture, tile by tile, or a round over a decoder's kernels, some
 * channels at a time. One single-threaded engine each scales better
 * than one engine with threads inside its operators, which wait for each other at every layer
 * (docs/decisions/0005-threads-share-tiles.md).
 */
import os from 'node:os';
import path from 'node:path';
import { Worker, type MessagePort } from 'node:worker_threads';
import { EngineChooser, enginesWith } from '../engine/choose';
import type { EngineChoice } from '../engine/choices';
import { nativeCalls } from '../engine/nativeCalls';
import { refuseTelemetry } from '../engine/telemetry';
import { CancelledError, type CancelToken } from '../errors';
import { drawnSize, runShare, type Pass, type PassShare, type PassTile, type RunPass } from '../tracing/pass';
import {
  contributionsOf,
  inThisThread,
  shareRound,
  sharesOf,
  type Round,
  type RoundShare,
  type RunRound,
} from '../tracing/video/statistics';
import { reviveError, serialiseError } from './errors';
import type { SerialisedError } from './protocol';

/** `workerData` of all our threads. */
export interface ThreadData {
  /** What the thread is there for: calls of the panels, or tiles of a pass. */
  readonly role: 'calls' | 'pool';
  /** `NativeCalls.shared` of the thread that may end it. */
  readonly nativeCalls: SharedArrayBuffer;
}

/** Fewest pixels that make another thread worth its while. */
const PIXELS_A_THREAD = 4096;
/** A round of some 100 ms in one thread: waiting for the slower of two costs more than they save (docs/video.md). */
const SMALLEST_ROUND = 2 ** 25;
/** Milliseconds after which idle threads end. */
const GRACE = 30_000;
/** Milliseconds between looks at the token of the pass under way. */
const POLL = 10;

interface Job {
  readonly work: { readonly pass: Pass } | { readonly round: Round };
  readonly choice: EngineChoice;
  /** Shared: next pixel or share of the kernels that nobody has claimed, and whether to stop. */
  readonly state: Int32Array<SharedArrayBuffer>;
}
const NEXT = 0;
const STOP = 1;

type Reply =
  | { readonly tile: PassTile }
  | { readonly share: PassShare | RoundShare }
  | { readonly error: SerialisedError };

/** The threads; they start with the first pass and end when there was none for a while. */
export class Pool {
  private threads: Worker[] = [];
  /** Ends with the last pass asked for: passes take turns, each on all threads. */
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private grace: NodeJS.Timeout | undefined;
  /** The engine of the next passes. */
  choice: EngineChoice = 'auto';

  /**
   * @param script the bundled worker, whose main file calls `servePool` in a pool thread
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

  /** Whether a pass over that many pixels is faster here than in the caller's thread. */
  worthwhile(pixels: number): boolean {
    return this.size > 1 && pixels >= 2 * PIXELS_A_THREAD;
  }

  /** @throws CancelledError */
  readonly run: RunPass = (pass, cancel, onTile) => {
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
    const workerData: ThreadData = { role: 'pool', nativeCalls: nativeCalls.shared };
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
    const take = (reply: Reply) => {
      if ('tile' in reply) onTile(reply.tile);
      else if ('error' in reply) fail(reviveError(reply.error));
      else {
        settle();
        resolve(reply.share);
      }
    };
    thread.on('message', take).on('error', fail).on('exit', ended);
    thread.postMessage(job);
  });
}

/** What a thread of the pool does: carries out its part of each job that comes. */
export function servePool(port: MessagePort): void {
  const engines = new EngineChooser(enginesWith(1));
  port.on('message', (job: Job) => {
    serve(job).then(
      (result) => {
        const large =
          'layers' in result
            ? result.layers.map(({ counts }) => counts)
            : Object.values(result).filter((value) => ArrayBuffer.isView(value));
        port.postMessage(
          { share: result } satisfies Reply,
          large.map(({ buffer }) => buffer as ArrayBuffer),
        );
      },
      (error: unknown) => port.postMessage({ error: serialiseError(error) } satisfies Reply),
    );
  });

  async function serve({ work, choice, state }: Job): Promise<PassShare | RoundShare> {
    const cancel: CancelToken = {
      get cancelled() {
        return Atomics.load(state, STOP) !== 0;
      },
      throwIfCancelled() {
        if (Atomics.load(state, STOP) !== 0) throw new CancelledError();
      },
    };
    if ('round' in work) {
      const { count } = sharesOf(work.round.kernels.layers[0]);
      const claimShare = () => {
        const next = Atomics.add(state, NEXT, 1);
        return next < count ? next : undefined;
      };
      return shareRound(work.round, claimShare, cancel, () => undefined);
    }
    const { pass } = work;
    engines.choice = choice;
    const { engine } = await engines.chosen();
    const { height, width } = drawnSize(pass);
    const pixels = height * width;
    const claim = (size: number) => {
      const start = Atomics.add(state, NEXT, size);
      return start < pixels ? ([start, Math.min(start + size, pixels)] as const) : undefined;
    };
    const send = (tile: PassTile) => {
      const buffers = [tile.output, ...tile.kept.values()].map(({ buffer }) => buffer as ArrayBuffer);
      port.postMessage({ tile } satisfies Reply, [...new Set(buffers)]);
    };
    return runShare(pass, engine, claim, cancel, send);
  }
}

/** Where the bundled worker lies, beside the bundle that is running. */
export const workerScript = () => path.join(__dirname, 'worker.js');
