/** What the threads of a pool are given, and what they answer. */
import type { EngineChoice } from '../engine/choices';
import type { Pass, PassShare, PassTile } from '../tracing/pass';
import type { Round, RoundShare } from '../tracing/video/statistics';
import type { SerialisedError } from './protocol';

/** `workerData` of all our threads. */
export interface ThreadData {
  /** `NativeCalls.shared` of the thread that may end it. */
  readonly nativeCalls: SharedArrayBuffer;
}

export interface Job {
  readonly work: { readonly pass: Pass } | { readonly round: Round };
  readonly choice: EngineChoice;
  /** Shared: next pixel or share of the kernels that nobody has claimed, and whether to stop. */
  readonly state: Int32Array<SharedArrayBuffer>;
}
export const NEXT = 0;
export const STOP = 1;

export type Reply =
  | { readonly tile: PassTile }
  | { readonly share: PassShare | RoundShare }
  | { readonly error: SerialisedError };
