import type { Activation } from '../inr/types';

export type Method = 'xinc' | 'gradient' | 'ablation';

/** Statistics of one layer's neurons, one entry a neuron (tracing.md §2); sums are float64. */
export interface NeuronStatistics {
  /** Σ over pixels of |C|. */
  readonly total: Float64Array;
  /** total / Σ total of the layer; 0 when the whole layer is dead. */
  readonly share: Float64Array;
  /** Mean of |C| over pixels. */
  readonly mean: Float64Array;
  /** Mean of C over pixels, signed. */
  readonly signedMean: Float64Array;
  /** Largest |C|. */
  readonly max: Float64Array;
  /** Number of pixels where |C_i| / Σ_k |C_k| > 1/n. */
  readonly pixels: Uint32Array;
  /** 1 when the map is zero everywhere. */
  readonly dead: Uint8Array;
}

export interface Distributedness {
  /** Gini coefficient of `total`: 0 when all neurons carry the same, → 1 when one carries all. */
  readonly gini: number;
  /** Fewest neurons that hold half, and nine tenths, of the layer's total. */
  readonly neuronsFor50: number;
  readonly neuronsFor90: number;
  /** exp(entropy of the shares). */
  readonly effectiveNeurons: number;
  readonly dead: number;
}

/** How many neurons matter at each pixel (tracing.md §2). */
export interface NeuronsPerPixel {
  readonly alpha: number;
  /** The |C| above which a contribution counts. */
  readonly threshold: number;
  /** Largest relative error of `threshold` from the histogram it was read off; 0 when exact. */
  readonly thresholdError: number;
  /** Fraction of the layer's neurons that count at a pixel, averaged over pixels. */
  readonly mean: number;
}

/** Small signed 8-bit pictures of every map of a layer, for contact sheets. */
export interface PreviewAtlas {
  readonly width: number;
  readonly height: number;
  /** `[neurons, height, width]`; 128 is zero, 1 and 255 are −limit and +limit of that neuron. */
  readonly data: Uint8Array;
  /** |C| that the ends of each neuron's 8-bit range stand for. */
  readonly limit: Float32Array;
}

export interface ConvolutionShape {
  readonly inputs: number;
  /** Output channels of the convolution; PixelShuffle makes `outputs / shuffle²` of them. */
  readonly outputs: number;
  /** Height and width of a kernel. */
  readonly kernel: readonly [number, number];
  /** Factor of the PixelShuffle behind it; 1 without one. */
  readonly shuffle: number;
}

export interface LayerTrace {
  /** Dotted module name as in the checkpoint. */
  readonly name: string;
  readonly kind: 'linear' | 'convolution';
  /** Units, or kernels: of a convolution kernel (input i, output o) is neuron i · outputs + o. */
  readonly neurons: number;
  readonly outputs: number;
  /** Of a convolution only. */
  readonly convolution?: ConvolutionShape;
  /** Activation that follows the layer. */
  readonly activation: Activation;
  readonly last: boolean;
  /** What the map is, in words: `σ(Σ_j c_ij) with σ = ReLU`, `Σ_j c_ij`, … */
  readonly mapDefinition: string;
  readonly statistics: NeuronStatistics;
  readonly distributedness: Distributedness;
  readonly neuronsPerPixel: readonly NeuronsPerPixel[];
  readonly previews: PreviewAtlas;
  /** Present when maps were computed at some pixels only, each standing for those around it. */
  readonly sample?: {
    readonly pixels: number;
    readonly of: number;
    /** Standard error of each neuron's total. */
    readonly standardError: Float64Array;
  };
  /** Of a convolution: Σ of the maps of all kernels that read an input, or write an output after PixelShuffle. */
  readonly channelPreviews?: { readonly inputs: PreviewAtlas; readonly outputs: PreviewAtlas };
}

/** Largest and mean |Σ contributions − network output before its final activation|, last layer. */
export interface Completeness {
  readonly layer: string;
  readonly largest: number;
  readonly mean: number;
  /** Of a decoder: every traced layer's sum, PixelShuffle and σ against what the next layer is given. */
  readonly layers?: readonly LayerResidual[];
}

export interface LayerResidual extends Omit<Completeness, 'layers'> {
  /** Mean magnitude of what the next layer is given. */
  readonly scale: number;
}

export type RegionFeature = 'edge' | 'color' | 'space';

export interface ClusterOptions {
  /** Number of clusters; chosen by silhouette when undefined. */
  readonly clusters?: number;
  readonly features: RegionFeature;
  readonly seed: number;
  /** Indices of the traced layers to cluster together. */
  readonly layers: readonly number[];
}

/** A neuron among those of one or more networks. */
export interface ModelNeuron {
  readonly layer: number;
  readonly neuron: number;
  /** Which network it is of; the first, 0, when left out. */
  readonly model?: number;
}

export interface ClusterPoint extends ModelNeuron {
  /** UMAP coordinates. */
  readonly x: number;
  readonly y: number;
  readonly cluster: number;
}

export interface ClusterSummary {
  readonly size: number;
  /** Mean of the members' min–max normalised |map|, 8-bit, at the clustering's picture size. */
  readonly meanMap: { readonly width: number; readonly height: number; readonly data: Uint8Array };
  /** Members nearest to the centre first, at most 12. */
  readonly nearest: readonly ModelNeuron[];
  /** Number of members by traced layer index, and by network where there are several. */
  readonly layerMix: readonly { readonly layer: number; readonly count: number; readonly model?: number }[];
  /**
   * How much the members care about regions of each kind: mean |δ| over members and regions, and the same for
   * random regions of the same sizes (tracing.md §3).
   */
  readonly affinities: readonly {
    readonly feature: RegionFeature;
    readonly value: number;
    readonly random: number;
  }[];
  /**
   * Of a video: Pearson's correlation of a member's change to the frame beside this one with the optical flow, mean
   * over members, and the same with the flow moved around the frame.
   */
  readonly motion?: { readonly correlation: number; readonly elsewhere: number };
}

export interface Clustering {
  readonly features: RegionFeature;
  readonly seed: number;
  readonly clusters: number;
  /** True when `clusters` was suggested by the silhouette, false when it was asked for. */
  readonly suggested: boolean;
  readonly silhouette: number;
  /** Numbers of clusters that were tried, the best silhouette first; empty until a number was suggested. */
  readonly suggestions: readonly { readonly clusters: number; readonly silhouette: number }[];
  /** Dead neurons, left out. */
  readonly deadLeftOut: number;
  /** Neurons of very large layers with the smallest totals, left out too. */
  readonly weakLeftOut?: number;
  readonly points: readonly ClusterPoint[];
  readonly summaries: readonly ClusterSummary[];
}
