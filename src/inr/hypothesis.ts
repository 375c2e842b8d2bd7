/** What a search for hypotheses takes and finds. */
import type { EngineTensor } from '../engine/types';
import type { SettingValue } from './settings';
import type { Evidence, Inr } from './types';

/**
 * Runs a network once: `feed` is its one graph input (`coords` `[2, n]` or `t` `[1, 1]`), the result its
 * output, `[channels, n]` or `[1, channels, H, W]`.
 */
export type Evaluate = (inr: Inr, feed: EngineTensor) => Promise<EngineTensor>;

export interface Hypothesis {
  /** The settings that were open, by name. */
  readonly values: Readonly<Record<string, SettingValue>>;
  /** dB against the target on a sample of its pixels; undefined without a target. */
  readonly psnr?: number;
}

export interface Hypotheses {
  readonly recognised: true;
  /** The network under the best hypothesis. */
  readonly inr: Inr;
  /** What the search added to the context to get there. */
  readonly evidence: readonly Evidence[];
  /** Best first. */
  readonly ranked: readonly Hypothesis[];
  /** Those the evidence cannot tell apart, the best included: two to four to choose from, or none. */
  readonly tied: readonly Hypothesis[];
}
