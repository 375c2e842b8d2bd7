import type { Checkpoint, Tensor } from '../checkpoint/types';
import type { Settings } from './assumptions';
import type { Configuration } from './configuration';
import type { Affine } from './layers';
import type { HiddenActivation } from './settings';
import type { Inr, Signal } from './types';

/** A dictionary of tensors that may be a network. */
export interface Candidate {
  readonly checkpoint: Checkpoint;
  /** Name → tensor, names as in the checkpoint. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Its affine layers, in the dictionary's order. */
  readonly layers: readonly Affine[];
  /** The tensors that belong to no affine layer. */
  readonly others: ReadonlyMap<string, Tensor>;
  readonly configuration: Configuration;
  /** The hidden layers' activation as the person or a configuration states it. */
  readonly activation: HiddenActivation | undefined;
  /** The person gave a picture or a setting: there is something to paint. */
  readonly meant: boolean;
}

/** What a family makes of a candidate and its settings. */
export type Network = Omit<Inr, 'family' | 'title' | 'confidence' | 'assumptions' | 'hyperParameters'>;

export interface Match {
  /** 0–1: how sure the family is, given names, shapes and extra tensors. */
  readonly score: number;
  /** Asks `settings` for what the tensors do not say, and builds. @throws UsageError */
  build(settings: Settings): Network;
}

/** A candidate that resembles the family but lacks something. */
export interface Near {
  /** 0–1, to choose the closest of several. */
  readonly likeness: number;
  /** What is missing, one clause: “the matrix B, which this code base does not save”. */
  readonly missing: string;
  /** The family is beyond doubt: only something that is not in the file keeps it from being run. */
  readonly certain?: true;
}

/** One way in which code bases write and save an INR. */
export interface Family {
  /** e.g. `siren-coin`. */
  readonly id: string;
  /** For people, e.g. `SIREN (COIN layout)`. */
  readonly title: string;
  /** What it represents, where it can only be named; a field when left out. */
  readonly signal?: Signal['kind'];
  match(candidate: Candidate): Match | Near | undefined;
}

export const isMatch = (result: Match | Near | undefined): result is Match =>
  result !== undefined && 'build' in result;
