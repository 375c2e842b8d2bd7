import type { Checkpoint, Sidecar } from '../checkpoint/types';
import type { Graph } from '../graph/types';

/** Where a setting of the network came from, the most trusted first. */
export type AssumptionSource =
  | 'correction' // the person said so: --set, the form, <checkpoint>.inr.json
  | 'state dict'
  | 'hyper-parameters' // inside the file
  | 'sidecar file'
  | 'target' // scored against a picture
  | 'training code'
  | 'inferred' // from the weights
  | 'default';

/** One thing the tensors alone do not say. */
export interface Assumption {
  /** Name that `--set` takes, e.g. `omega0`, `coords`, `size`. */
  readonly name: string;
  readonly value: string | number | boolean;
  readonly source: AssumptionSource;
  /** 0–1. 1 is certain; below 0.8 the panel shows a banner. */
  readonly confidence: number;
  /** Where exactly or why, one short clause: `exp_config.yaml: network.final_act`. */
  readonly detail?: string;
  /** Values the person may choose from, when there are few. */
  readonly choices?: readonly string[];
}

export type Activation =
  | 'identity'
  | 'relu'
  | 'sine'
  | 'gaussian'
  | 'gabor'
  | 'finer'
  | 'gelu'
  | 'tanh'
  | 'sigmoid'
  | 'swish'
  | 'softplus'
  | 'elu'
  | 'selu'
  | 'leaky-relu'
  | 'other';

/** Named in docs: axis order (rc = row, column; xy = column, row) and scale. See `coordinates.ts`. */
export type CoordinateConvention =
  `${'rc' | 'xy'}-${'longest' | 'per-side' | 'height'}${'' | '-01'}${'' | '-open' | '-centres'}`;

/** A layer whose weights connect neurons to the signal; its neurons are its input units (or kernels). */
export interface TracedLayer {
  /** Dotted module name as in the checkpoint, e.g. `model.net.2.linear`. */
  readonly name: string;
  readonly kind: 'linear' | 'convolution';
  readonly inputs: number;
  readonly outputs: number;
  /** Graph value that holds the neurons' activations: `[inputs, P]` (linear) or `[1, inputs, h, w]`. */
  readonly input: string;
  /** Imaginary part of `input`, for layers whose input is complex. */
  readonly inputImaginary?: string;
  /** Graph value of the affine result before the activation: `[outputs, P]` or `[1, outputs, h, w]`. */
  readonly preActivation: string;
  /** Row-major `[outputs, inputs]`, or `[outputs, inputs, height, width]`. For complex layers the real part. */
  readonly weight: Float32Array;
  /** Height and width of a convolution's kernels; square when omitted. */
  readonly kernel?: readonly [height: number, width: number];
  readonly weightImaginary?: Float32Array;
  readonly bias: Float32Array | null;
  readonly biasImaginary?: Float32Array;
  /** PixelShuffle's factor between this convolution and its activation, when there is one. */
  readonly shuffle?: number;
  /**
   * Of a convolution whose channels are normalised by their own mean and variance over the frame: `preActivation` is
   * what comes out, `of` the graph value that goes in, of which γ and β have an element for each channel behind
   * PixelShuffle.
   */
  readonly instanceNorm?: {
    readonly of: string;
    readonly scale: Float32Array;
    readonly shift: Float32Array;
    readonly epsilon: number;
  };
  /** What follows this layer inside the network. */
  readonly activation: Activation;
  /** The activation as a scalar function of the affine result, when it is one (σ of tracing.md §1). */
  readonly activate?: (z: number) => number;
  readonly last: boolean;
}

/** A layer as `inspect` lists it, traced or not. */
export interface LayerSummary {
  readonly name: string;
  readonly kind: string;
  readonly inputs: number;
  readonly outputs: number;
  /** How many neurons a trace of it would show; 0 when it is not traced. */
  readonly neurons: number;
  readonly activation: Activation;
}

export interface Signal {
  readonly kind: 'image' | 'video' | 'volume' | 'audio' | 'field';
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** 1 for a picture. */
  readonly frames: number;
}

/** What a run of the graph needs besides weights. */
export type Domain =
  | {
      /** Graph input `coords` `[dims, P]`, one column a pixel, row-major over the picture. */
      readonly kind: 'pixels';
      readonly dims: number;
      readonly convention: CoordinateConvention;
    }
  | {
      /** Graph input `t` `[1, 1]`; one run gives a frame `[1, channels, H, W]`. Frame k has t = k / frames, or k / (frames − 1). */
      readonly kind: 'frames';
      readonly divisor: number;
    };

/** A checkpoint understood: a graph that can be run, and what was assumed to get there. */
export interface Inr {
  /** Identifier, e.g. `siren-coin`. */
  readonly family: string;
  /** For people, e.g. `SIREN (COIN layout)`. */
  readonly title: string;
  /** 0–1: how sure the family is. */
  readonly confidence: number;
  readonly parameters: number;
  readonly signal: Signal;
  readonly domain: Domain;
  /** `none`, or e.g. `Fourier features, 104 frequencies`. */
  readonly encoding: string;
  readonly activation: Activation;
  readonly graph: Graph;
  /** Network output values shown as black and as white: `[0, 1]` or `[-1, 1]`. */
  readonly outputRange: readonly [number, number];
  /** All layers in order, for `inspect`. */
  readonly summary: readonly LayerSummary[];
  /** In order from input to output; the last one writes the channels. */
  readonly layers: readonly TracedLayer[];
  readonly assumptions: readonly Assumption[];
  readonly hyperParameters: Readonly<Record<string, unknown>>;
}

/** A setting's value as found outside the file and its configurations. */
export interface Evidence {
  readonly name: string;
  readonly value: string | number | boolean;
  readonly source: Extract<AssumptionSource, 'training code' | 'target' | 'inferred'>;
  readonly confidence: number;
  readonly detail?: string;
}

/** What the person or the surroundings say about a file. */
export interface RecognitionContext {
  readonly sidecars: readonly Sidecar[];
  /** `--set` names and values, `coords`, `size`; the strongest source. */
  readonly corrections: ReadonlyMap<string, string>;
  /** From scoring against a picture (`hypotheses.ts`) or from the training code. */
  readonly evidence?: readonly Evidence[];
}

/** A network whose family is certain and whose layers can be listed, but not run. */
export interface Known {
  readonly family: string;
  readonly title: string;
  readonly parameters: number;
  readonly signal: Signal['kind'];
  readonly layers: readonly LayerSummary[];
  readonly hyperParameters: Readonly<Record<string, unknown>>;
}

/** What was found when no family fits; enough for the page and the message. */
export interface NotRecognised {
  readonly recognised: false;
  /** One sentence: what the file holds. */
  readonly seen: string;
  /** Closest family's title and what is missing for it, if any comes close. */
  readonly closest?: { readonly title: string; readonly missing: string };
  /** A family that is beyond doubt, though the network cannot be run from what is in the file. */
  readonly known?: Known;
  /** One sentence. */
  readonly nextStep: string;
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape: readonly number[];
  }[];
}

export type Recognition = { readonly recognised: true; readonly inr: Inr } | NotRecognised;

export type Recognise = (checkpoint: Checkpoint, context: RecognitionContext) => Recognition;
