/** Messages between the host and the table of a sweep. */
import type { SweepRow } from './row';

export interface SweepView {
  /** Name of the folder, and its address for finding it again. */
  readonly name: string;
  readonly folder: string;
  readonly rows: readonly SweepRow[];
  readonly total: number;
  readonly state: 'running' | 'done' | 'cancelled' | 'failed';
  /** Why it failed, as a sentence. */
  readonly message: string;
}

export type SweepToView = { readonly type: 'sweep'; readonly sweep: SweepView };

export type SweepFromView =
  | { readonly type: 'ready' }
  /** `file` as in its row. */
  | { readonly type: 'open'; readonly file: string }
  | { readonly type: 'save' }
  | { readonly type: 'cancel' }
  | { readonly type: 'again' };
