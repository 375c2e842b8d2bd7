/** Messages between the extension host and the panel that compares two checkpoints. */
import type { Comparison } from '../../tracing/compare/compare';
import type { PreviewAtlas } from '../../tracing/types';
import type { Picture } from '../../worker/protocol';

export interface ComparedSide {
  /** File name, and path relative to the workspace. */
  readonly name: string;
  readonly path: string;
  /** Family, once it is known. */
  readonly title: string | null;
  readonly picture: Picture | null;
  /** What is shown of each layer's units: of a convolution the maps of channels, for kernels may be megabytes of maps. */
  readonly previews: readonly PreviewAtlas[];
}

export type CompareStatus =
  | { readonly state: 'working'; readonly detail: string; readonly fraction: number }
  | { readonly state: 'ready' }
  | { readonly state: 'cancelled' }
  | { readonly state: 'failed'; readonly message: string };

export type CompareMessage =
  | {
      readonly type: 'status';
      readonly status: CompareStatus;
      /** Of the files, to find them again after a reload. */
      readonly uris: readonly [string, string];
      readonly names: readonly [string, string];
    }
  | {
      readonly type: 'result';
      readonly sides: readonly [ComparedSide, ComparedSide];
      readonly comparison: Comparison;
    };

export type CompareRequest =
  | { readonly type: 'ready' | 'cancel' | 'again' | 'exchange' | 'save' | 'copyCommandLine' }
  | { readonly type: 'open'; readonly side: 0 | 1 };
