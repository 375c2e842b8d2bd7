/** Errors that a person reads. The message is one plain sentence that ends with the next step. */

/** Process exit codes of the command line; other tools rely on them. */
export const ExitCode = {
  done: 0,
  usage: 2,
  unreadable: 3,
  notRecognised: 4,
  cancelled: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Anything that is the input's fault, not ours; everything else is a bug and keeps its stack. */
export class UserError extends Error {
  override name = 'UserError';
  constructor(
    message: string,
    readonly exitCode: ExitCode,
  ) {
    super(message);
  }
}

/** A file that cannot be read as a checkpoint. The message names what is wrong and where in the file. */
export class CheckpointError extends UserError {
  override name = 'CheckpointError';
  constructor(message: string) {
    super(message, ExitCode.unreadable);
  }
}

/** A file that was read but holds no network that we can run as an INR. */
export class NotRecognisedError extends UserError {
  override name = 'NotRecognisedError';
  constructor(message: string) {
    super(message, ExitCode.notRecognised);
  }
}

/** An option or setting the person gave that cannot be used. */
export class UsageError extends UserError {
  override name = 'UsageError';
  constructor(message: string) {
    super(message, ExitCode.usage);
  }
}

export class CancelledError extends UserError {
  override name = 'CancelledError';
  constructor() {
    super('Cancelled.', ExitCode.cancelled);
  }
}

/**
 * Stops long computations. `throwIfCancelled` is cheap enough for inner loops (call it every few
 * milliseconds of work): in the worker it reads a shared flag, so even code that never yields stops.
 */
export interface CancelToken {
  readonly cancelled: boolean;
  throwIfCancelled(): void;
}

/** @param isCancelled asked at every look at the token */
export const cancelWhen = (isCancelled: () => boolean): CancelToken => ({
  get cancelled() {
    return isCancelled();
  },
  throwIfCancelled() {
    if (isCancelled()) throw new CancelledError();
  },
});

export const neverCancelled: CancelToken = { cancelled: false, throwIfCancelled() {} };
