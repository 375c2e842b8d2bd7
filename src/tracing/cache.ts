/** Traces that were made before, so that the same is not computed twice. */
import type { Inr } from '../inr/types';
import type { Baseline } from './ablation';
import type { Histogram } from './statistics';
import type { Completeness, LayerTrace, Method } from './types';

/** All that took long about a trace; maps are made again when they are looked at. */
export interface Gathered {
  readonly layers: readonly {
    readonly layer: LayerTrace;
    /** Histogram of its contributions' magnitudes. */
    readonly histogram: Histogram;
    /** Of a decoder: neurons per pixel at the first α, `[H, W]`. */
    readonly above?: Float32Array;
  }[];
  readonly completeness: Completeness;
  /** `[H, W, C]`, unclamped; left out where the network has to run anyway. */
  readonly reconstruction?: Float32Array;
}

/** What a trace depends on. The network counts with all its weights, its file does not. */
export interface TraceKey {
  readonly inr: Inr;
  /** Its name with its version. */
  readonly engine: string;
  readonly layers: readonly string[];
  readonly method: Method;
  readonly baseline: Baseline;
  readonly frame: number;
}

/** `worker/diskCache.ts` is one. */
export interface TraceCache {
  /** undefined when it is not there, whatever the reason */
  find(key: TraceKey): Promise<Gathered | undefined>;
  /** Never rejects: what cannot be kept is computed again. */
  keep(key: TraceKey, gathered: Gathered): Promise<void>;
}
