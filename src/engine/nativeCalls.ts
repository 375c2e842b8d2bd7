/**
 * A thread that is ended while it is inside onnxruntime takes the whole process with it: the call comes back
 * to a JavaScript that is no more, throws there, and nobody catches. So the calls that are under way are
 * counted, across all threads that may be ended together, and nobody ends a thread before they are back.
 */
import { CancelledError } from '../errors';

const INSIDE = 0;
const SHUT = 1;
/** Most milliseconds that an exit waits for the calls under way. */
const EXIT_WAIT = 5000;

export class NativeCalls {
  private readonly state: Int32Array<SharedArrayBuffer>;

  /** @param shared what another thread's `shared` was, to be counted with it */
  constructor(readonly shared = new SharedArrayBuffer(8)) {
    this.state = new Int32Array(shared);
  }

  /** @throws CancelledError when no more calls may begin */
  async during<T>(call: () => Promise<T> | T): Promise<T> {
    this.enter();
    try {
      return await call();
    } finally {
      this.leave();
    }
  }

  /** @throws CancelledError when no more calls may begin */
  duringSync<T>(call: () => T): T {
    this.enter();
    try {
      return call();
    } finally {
      this.leave();
    }
  }

  private enter(): void {
    Atomics.add(this.state, INSIDE, 1);
    // Counted first: who shuts and then sees nobody inside can be sure of it.
    if (Atomics.load(this.state, SHUT) === 0) return;
    this.leave();
    throw new CancelledError();
  }

  private leave(): void {
    Atomics.sub(this.state, INSIDE, 1);
    Atomics.notify(this.state, INSIDE);
  }

  /** No call begins any more. */
  shut(): void {
    Atomics.store(this.state, SHUT, 1);
  }

  /** Whether a call is under way. */
  get any(): boolean {
    return Atomics.load(this.state, INSIDE) > 0;
  }

  /** Blocks until no call is under way, at most that many milliseconds. */
  wait(milliseconds: number): void {
    const until = performance.now() + milliseconds;
    for (let left = milliseconds; left > 0; left = until - performance.now()) {
      const inside = Atomics.load(this.state, INSIDE);
      if (inside === 0) return;
      Atomics.wait(this.state, INSIDE, inside, left);
    }
  }
}

/** Those of this thread; of a thread of ours, counted with those of the thread that started it. */
export let nativeCalls = new NativeCalls();

/** For the end of a process or thread, when nothing can be waited for but by blocking. */
export function endNativeCalls(calls: NativeCalls): void {
  calls.shut();
  calls.wait(EXIT_WAIT);
}

/** Counts the calls of this thread with those of another, from now on. */
export function countNativeCallsWith(shared: SharedArrayBuffer): NativeCalls {
  return (nativeCalls = new NativeCalls(shared));
}
