import type { CancelToken } from '../../errors';

/** Milliseconds after which the event loop gets its turn. */
const TURN = 40;

/** Gives the event loop its turn now and then. */
export class Turn {
  private began = performance.now();
  private calls = 0;

  constructor(private readonly cancel: CancelToken) {}

  get due(): boolean {
    // The clock is asked now and then only.
    return (++this.calls & 7) === 0 && performance.now() - this.began > TURN;
  }

  /** @throws CancelledError */
  async pause(progress: () => void): Promise<void> {
    this.cancel.throwIfCancelled();
    progress();
    await new Promise((resolve) => setImmediate(resolve));
    this.began = performance.now();
  }
}
