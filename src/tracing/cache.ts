/** What was computed before, so that the same is not computed twice. */
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

/** Plain data that decides a result: the same, the same result. Functions in it do not count. */
export type CacheKey = Readonly<Record<string, unknown>>;

/** `worker/diskCache.ts` is one. */
export interface Cache {
  /** What was kept under the key; undefined when nothing is there, whatever the reason. */
  find<T>(key: CacheKey): Promise<T | undefined>;
  /** Never rejects: what cannot be kept is computed again. @param value plain data */
  keep(key: CacheKey, value: unknown): Promise<void>;
}

export interface HowTraced {
  readonly engine: string;
  /** Names of its layers. */
  readonly layers: readonly string[];
  readonly method: Method;
  readonly baseline: Baseline;
  readonly frame: number;
}

/** What a trace depends on. The network counts with all its weights, its file does not. */
export const traceKey = ({ graph, signal, domain, outputRange, layers }: Inr, how: HowTraced): CacheKey => ({
  what: 'trace',
  graph,
  signal,
  domain,
  outputRange,
  layers,
  how,
});

/** What is in the cache, or is computed and put there. */
export async function cached<T>(
  cache: Cache | undefined,
  key: CacheKey,
  compute: () => Promise<T>,
): Promise<T> {
  const known = await cache?.find<T>(key);
  if (known) return known;
  const value = await compute();
  await cache?.keep(key, value);
  return value;
}
