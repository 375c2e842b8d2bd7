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
}
