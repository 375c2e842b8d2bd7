/** Messages between the extension host and the thread that reads code. Types derive from `CodeCalls`. */
import type { SerialisedError } from '../worker/protocol';
import type { Span } from './python/syntax';
import type { CheckpointNames } from './places';

export interface Place {
  /** Absolute path. */
  readonly file: string;
  readonly row: number;
  readonly column: number;
}

/** Layers at a place, in checkpoints whose layers are named and shaped alike. */
export interface PlaceFound {
  readonly span: Span;
  readonly label: string;
  readonly layers: readonly string[];
  readonly checkpoints: readonly string[];
}

/** Something to say above a line. */
export interface CodeLine {
  readonly kind: 'class' | 'save' | 'load';
  readonly row: number;
  readonly column: number;
  /** Checkpoints that fit: by their layers, or by the path that the line names. */
  readonly checkpoints: readonly string[];
  /** Whether the line itself names the checkpoints. */
  readonly named: boolean;
  /** Layers of a class, in each of the checkpoints that have them. */
  readonly layers: readonly string[];
}

export interface CodeCalls {
  /** Texts of open editors; null when an editor closed or a file is gone: what is on disk counts then. */
  texts: {
    params: { readonly changes: readonly { readonly file: string; readonly text: string | null }[] };
    result: null;
  };
  /** The workspace's Python files, which the thread reads itself, in the background. */
  files: {
    params: { readonly files: readonly string[]; readonly roots: readonly string[] };
    result: { readonly read: number };
  };
  checkpoints: { params: { readonly checkpoints: readonly CheckpointNames[] }; result: null };
  at: { params: Place; result: readonly PlaceFound[] };
  lines: { params: { readonly file: string }; result: readonly CodeLine[] };
  /** The line that makes a layer; null when no code does. */
  reveal: {
    params: { readonly checkpoint: string; readonly layer: string };
    result: { readonly file: string; readonly span: Span } | null;
  };
  /** Layers of a checkpoint that some code makes. */
  known: { params: { readonly checkpoint: string }; result: readonly string[] };
}

export type CodeCallName = keyof CodeCalls;
export type CodeParams<K extends CodeCallName> = CodeCalls[K]['params'];
export type CodeResult<K extends CodeCallName> = CodeCalls[K]['result'];

export interface CodeCallMessage<K extends CodeCallName = CodeCallName> {
  readonly id: number;
  readonly call: K;
  readonly params: CodeParams<K>;
}

export type CodeReply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: SerialisedError };
