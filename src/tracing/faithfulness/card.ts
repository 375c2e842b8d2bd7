/** The faithfulness card as data (tracing.md §6): the same of coordinate networks and of decoders. */
import type { CancelToken } from '../../errors';
import type { Baseline } from '../ablation';
import type { Method } from '../types';

/** Residual of Σ contributions, by what they should add up to. */
export interface Residual {
  readonly against: string;
  readonly largest: number;
  readonly mean: number;
  /** Mean magnitude of what they should add up to. */
  readonly scale: number;
  /** At float precision: the largest residual is below 10⁻⁴ of the scale. */
  readonly exact: boolean;
}

export type Order = 'total' | 'random' | 'weights' | 'activation' | 'ablation';

export interface DeletionCurve {
  readonly order: Order;
  /** PSNR against the network's own picture without the first `counts[k]` neurons, dB. */
  readonly psnr: readonly number[];
  /** Of the sample of pixels; for `random`, of the mean over orders. */
  readonly standardError: readonly number[];
  /** Mean PSNR over the part of neurons taken away; the lower, the more the first ones matter. */
  readonly area: number;
}

/**
 * Neurons of a linear layer. A convolution's kernels are taken away by the channel: those that write an output
 * channel (behind PixelShuffle), or in the head, whose outputs are the colours, those that read an input channel.
 */
export type Unit = 'neuron' | 'output channel' | 'input channel';

export interface LayerFaithfulness {
  readonly layer: string;
  /** Traced-layer index. */
  readonly index: number;
  /** What is taken away, and how many of it there are. */
  readonly unit: Unit;
  readonly units: number;
  /** Why the maps are no exact account of the picture; null when they are. */
  readonly approximate: string | null;
  readonly completeness: readonly Residual[];
  readonly deletion: { readonly counts: readonly number[]; readonly curves: readonly DeletionCurve[] };
  /** Spearman's correlation of totals with what taking each neuron away really does. */
  readonly agreement: number;
  /** Correlation of Σ contribution with the true change over random sets of n neurons, mean over pixels. */
  readonly sensitivity: readonly {
    readonly n: number;
    readonly correlation: number;
    readonly standardError: number;
  }[];
}

export interface Randomised {
  /** Layers whose weights were shuffled: this one and all behind it. */
  readonly from: string;
  /** Spearman's correlation of each traced layer's totals before and after; NaN where nothing varies. */
  readonly correlations: readonly number[];
}

export interface FaithfulnessCard {
  readonly method: Method;
  readonly baseline: Baseline;
  readonly sample: {
    /** Of all frames. */
    readonly pixels: number;
    readonly of: number;
    readonly seed: number;
    /** Those that the card is about; as many pixels are sampled of each. None of a picture. */
    readonly frames?: readonly number[];
    /** Random kernels of each layer whose totals shuffled weights are judged by; of a decoder only. */
    readonly kernels?: number;
  };
  /** Random orders, and random sets of each size. */
  readonly repetitions: { readonly orders: number; readonly sets: number };
  readonly layers: readonly LayerFaithfulness[];
  /** From the top; empty when the weights of the graph are not told apart. */
  readonly randomised: readonly Randomised[];
  /** Layers that would take minutes, and those whose channels cannot be told apart; one sentence each. */
  readonly omitted: readonly string[];
}

export interface CardOptions {
  readonly method: Method;
  readonly baseline: Baseline;
  readonly seed: number;
  readonly cancel: CancelToken;
  /** Operations that may be spent; the sample of pixels follows. */
  readonly budget?: number;
  readonly onProgress?: (detail: string, fraction: number) => void;
  /** Results so far. */
  readonly onLayer?: (card: FaithfulnessCard) => void;
}
