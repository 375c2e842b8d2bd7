/** The findings of one trace with all that a page, a report or another program needs; JSON as it is. */
import type { Feature, Findings } from '../tracing/findings';
import type { NeuronRef } from '../worker/protocol';

export interface Figures {
  /** PNG pictures as data URIs. */
  readonly picture: string;
  readonly target: string | null;
  /** The picture's regions, by what it was divided by. */
  readonly partitions: Partial<Record<Feature, string>>;
  /** |C| of neurons that are named. */
  readonly maps: readonly (NeuronRef & { readonly png: string })[];
}

/** PNG pictures as data URIs: the motion at one of the frames, and each layer's change. */
export interface MotionFigure {
  readonly frame: number;
  readonly motion: string;
  readonly changes: readonly string[];
}

/** Do neurons change where the picture moves? By layer of the findings, over some frames. */
export type MotionFinding =
  | {
      /** Each is compared with the frame before it. */
      readonly frames: readonly number[];
      /** What optical flow is that of. */
      readonly of: 'frames' | 'reconstruction';
      /** Random shifts of the flow that chance is taken from. */
      readonly shifts: number;
      readonly layers: readonly {
        /** Of change and flow, mean over the frames; NaN when nothing moves or changes. */
        readonly pearson: number;
        readonly spearman: number;
        /** Pearson's, with the flow moved around the frame. */
        readonly shifted: number;
        readonly pValue: number;
      }[];
      readonly figure: MotionFigure;
    }
  /** Why there is no answer, as a sentence. */
  | { readonly missing: string };

export interface FindingsDocument extends Findings {
  readonly document: 'neural-canvas findings';
  readonly version: 1;
  /** File name, without its folders. */
  readonly file: string;
  /** Family for people, and what it is made of. */
  readonly title: string;
  readonly parameters: number;
  readonly encoding: string;
  readonly activation: string;
  readonly target: string | null;
  readonly engine: string;
  /** Milliseconds that the analysis took; null while it runs. */
  readonly milliseconds: number | null;
  readonly figures: Figures;
  /** Of videos; null while it is being computed. */
  readonly motion?: MotionFinding | null;
}
