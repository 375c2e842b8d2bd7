/**
 * Messages between the extension host and its three webviews. The host's session is the one truth:
 * views show it and ask it to change; they never tell each other anything.
 */
import type { Mask, Region, RegionStatistics } from '../tracing/regionMask';
import type { LinkView } from './link';
import type { Sharp } from './sharpMaps';
import type { FindingsDocument } from '../findings/document';
import type { FindingsChange } from './findingsWork';
import type { KeptSave } from '../live/historyStore';
import type { Clustering, LayerTrace, Method, RegionFeature } from '../tracing/types';
import type { Labels } from '../worker/labels';
import type { Segmentation } from '../worker/regions';
import type {
  Ablation,
  FloatMap,
  Motion,
  ObjectsThroughTime,
  OverClip,
  Series,
  Inspection,
  NeuronRef,
  NotAnInr,
  Picture,
  PixelProbe,
  Preview,
  Removals,
} from '../worker/protocol';

/** What the person has chosen; shared by all views, kept across reloads. */
export interface Selection {
  /** Index of the traced layer shown, −1 before there is one. */
  readonly layer: number;
  /** Selected neurons, the one clicked last at the end. */
  readonly neurons: readonly NeuronRef[];
  /** Probed pixel. */
  readonly pixel: { readonly row: number; readonly column: number } | null;
  /** Marked part of the picture. */
  readonly region: Region | null;
  /** Frame of a video; 0 of a picture. */
  readonly frame: number;
}

/** What is known about the selection's region. */
export interface RegionView {
  readonly mask: Mask;
  /** By traced-layer index; layers still to be measured are missing. */
  readonly layers: readonly (RegionStatistics | undefined)[];
  readonly working: boolean;
}

/** What removing each neuron of a layer alone costs. */
export interface RemovalsView {
  readonly baseline: 'zero' | 'mean';
  /** dB, one a neuron; NaN where still to be measured. */
  readonly change: Float64Array;
  /** How it was measured, when it is complete. */
  readonly result: Removals | null;
  /** 0–1 while it is under way. */
  readonly working: number | null;
  readonly problem: string | null;
}

export type SessionStatus =
  | { readonly state: 'tracing'; readonly detail: string; readonly fraction: number }
  | { readonly state: 'ready' }
  | { readonly state: 'cancelled' }
  | { readonly state: 'failed'; readonly message: string }
  | { readonly state: 'not-an-inr'; readonly report: NotAnInr };

/** Everything about a session that is small. */
export interface SessionView {
  readonly id: string;
  /** File name for titles, and path relative to the workspace for tooltips. */
  readonly name: string;
  readonly path: string;
  readonly status: SessionStatus;
  readonly inspection: Inspection | null;
  readonly psnr: number | null;
  readonly traceMilliseconds: number | null;
  /** Taken from the cache. */
  readonly restored: boolean;
  readonly engine: string | null;
  readonly largestResidual: number | null;
  readonly hasTarget: boolean;
  /** What a neuron's map is. */
  readonly method: Method;
  /** The earlier save that is shown instead of the current one. */
  readonly past: { readonly id: string; readonly savedAt: number } | null;
  /** Frame whose maps are shown; null while there are none, undefined for a picture. */
  readonly frame?: number | null;
  /** Why the frame that was moved to could not be traced, as a sentence. */
  readonly frameError?: string | null;
  /** Names of the layers that are traced, by traced-layer index; null until it is known. */
  readonly traced: readonly string[] | null;
}

/** How a checkpoint is followed. */
export type Following =
  | 'following'
  /** A new save is being traced. */
  | 'tracing'
  /** The person asked to wait. */
  | 'paused'
  | 'on-battery'
  /** Switched off in the settings. */
  | 'off';

/** A checkpoint's saves, oldest first. */
export interface HistoryView {
  readonly saves: readonly KeptSave[];
  /** The save that the newest trace is of. */
  readonly current: string | null;
  readonly following: Following;
  /** What keeps the newest save from being shown, as a sentence. */
  readonly note: string | null;
}

/** Host → view, unasked. After `ready` the host sends the whole state in this order. */
export type HostMessage =
  | { readonly type: 'session'; readonly session: SessionView | null }
  | { readonly type: 'picture'; readonly which: 'reconstruction' | 'target'; readonly picture: Picture }
  | { readonly type: 'layer'; readonly index: number; readonly layer: LayerTrace }
  | { readonly type: 'selection'; readonly selection: Selection }
  /** Null when no region is marked, or `error` says why there is nothing. */
  | { readonly type: 'region'; readonly region: RegionView | null; readonly error: string | null }
  /** By traced-layer index; layers that nobody asked about are missing. */
  | { readonly type: 'removals'; readonly layers: readonly (RemovalsView | undefined)[] }
  | {
      readonly type: 'clustering';
      readonly clustering: Clustering | null;
      /** Another checkpoint whose neurons are grouped with these: points of model 1. */
      readonly other: { readonly name: string; readonly layers: readonly LayerTrace[] } | null;
      /** What is being done while neurons are being grouped. */
      readonly working: string | null;
      /** Why the last attempt gave nothing, as a sentence. */
      readonly error: string | null;
    }
  /** The person asked, in the palette, to change what was assumed. */
  | { readonly type: 'change' }
  /** Layers that the workspace's code builds, and those at the caret in an editor, by their names. */
  | { readonly type: 'code'; readonly known: readonly string[]; readonly caret: readonly string[] }
  /** A link was opened: what it says about zoom, mode and the like. Canvases only. */
  | { readonly type: 'view'; readonly view: LinkView }
  /** To the findings page only. */
  | {
      readonly type: 'findings';
      readonly findings: FindingsDocument | null;
      /** What is being done; null when all is known, or nobody has asked yet. */
      readonly working: { readonly detail: string; readonly fraction: number } | null;
      readonly error: string | null;
      /** Label picture, or a folder of them, relative to the checkpoint. */
      readonly objects: string | null;
      /** Whether they are over the clip, not of a frame. */
      readonly clip: boolean;
    }
  /** A new trace of the session began: drop pictures, layers and clusters. */
  | { readonly type: 'reset' }
  /** Everything anew at once, without a moment in which nothing is there. */
  | { readonly type: 'replace'; readonly messages: readonly HostMessage[] }
  | { readonly type: 'history'; readonly history: HistoryView };

/** View → host requests that get an answer. */
export interface ViewCalls {
  /** Puts text on the clipboard. */
  copyText: { params: { readonly text: string }; result: null };
  map: { params: { readonly neuron: NeuronRef }; result: FloatMap };
  sum: { params: { readonly layer: number; readonly neurons: readonly number[] }; result: FloatMap };
  /** Maps of some neurons of a layer in up to `side` pixels, for those drawn larger than their previews. */
  sharpMaps: {
    params: { readonly layer: number; readonly neurons: readonly number[]; readonly side: number };
    result: Sharp;
  };
  neuronsPerPixel: { params: { readonly layer: number; readonly alpha: number }; result: FloatMap };
  /** The picture without some neurons; `side` is its longest side, pixels, the whole when undefined. */
  without: {
    params: {
      readonly neurons: readonly NeuronRef[];
      readonly baseline: 'zero' | 'mean';
      readonly side?: number;
    };
    result: Ablation;
  };
  /** A frame of a video without its maps. */
  still: {
    params: { readonly frame: number };
    result: { readonly picture: Picture; readonly psnr?: number };
  };
  /** The frame shown against the one before. */
  motion: { params: null; result: Motion };
  series: { params: { readonly layer: number; readonly neurons: readonly number[] }; result: Series };
  /** Statistics over several frames of the video. */
  overClip: { params: null; result: OverClip };
  /** From a folder of label images beside the checkpoint, or one that the person is asked for. */
  objects: { params: { readonly layer: number }; result: ObjectsThroughTime };
  probe: { params: { readonly row: number; readonly column: number }; result: PixelProbe };
  segments: { params: { readonly by: Segmentation }; result: Labels };
  /** The picture under other settings; see the worker's `preview`. */
  preview: {
    params: {
      readonly corrections: CorrectionValues;
      readonly assumed: Readonly<Record<string, string | number | boolean>> | null;
    };
    result: Preview;
  };
  /** Asks for a picture to compare with; its path relative to the checkpoint, or null. */
  pickTarget: { params: null; result: string | null };
  /** The same for an object mask, or a folder of one a frame. */
  pickMask: { params: { readonly folder: boolean }; result: string | null };
  /** Writes all maps to a file that the person chooses, as NPZ; its name or null. */
  saveMaps: { params: null; result: string | null };
  /** Puts a link that reopens what is seen on the clipboard; the link. */
  copyLink: { params: { readonly view: LinkView }; result: string };
  /** Table as CSV, PNG bytes, …: the host asks where to save. Resolves to the chosen name or null. */
  save: { params: { readonly suggestedName: string; readonly bytes: Uint8Array }; result: string | null };
}
export type ViewCallName = keyof ViewCalls;
/** Calls that the extension answers, not the session. */
export type HostCallName = 'save' | 'pickTarget' | 'pickMask' | 'saveMaps' | 'copyLink' | 'copyText';

/** Settings the person gives, by their `--set` names. */
export type CorrectionValues = Readonly<Record<string, string>>;

/** View → host, no answer. */
export type ViewMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'select'; readonly selection: Partial<Selection> }
  | { readonly type: 'cluster'; readonly clusters?: number; readonly features: RegionFeature }
  /** Groups the neurons with those of another checkpoint, which the host asks for; or without one again. */
  | { readonly type: 'clusterWith'; readonly other: 'pick' | 'none' }
  /** Measures what each neuron of a layer is worth; null stops that. */
  | { readonly type: 'removals'; readonly layer: number; readonly baseline: 'zero' | 'mean' | null }
  /** @param allLayers those too that are left out unasked because they have very many kernels */
  | { readonly type: 'retrace'; readonly allLayers?: boolean }
  /** Computes findings that are not known yet, or anew with what is changed. */
  | { readonly type: 'analyse'; readonly change?: FindingsChange }
  /** Stops computing findings; what is known stays. */
  | { readonly type: 'stopAnalysing' }
  /** Traces anew with these corrections instead of the present ones; `save` keeps them beside the file. */
  | { readonly type: 'apply'; readonly corrections: CorrectionValues; readonly save: boolean }
  | { readonly type: 'cancel' }
  /** Shows an earlier save, or the current one. */
  | { readonly type: 'look'; readonly save: string | null }
  /** Shows the line of code that builds a layer. */
  | { readonly type: 'revealCode'; readonly layer: string }
  /** Runs one of the extension's own commands from a fixed list. */
  | {
      readonly type: 'command';
      readonly command:
        | 'showLog'
        | 'copyCommandLine'
        | 'openSample'
        | 'pickCheckpoint'
        | 'insertExportSnippet'
        | 'showFindings'
        | 'pickMethod'
        | 'pauseLive'
        | 'resumeLive';
    };

export type ViewToHost =
  | ViewMessage
  | { readonly type: 'call'; readonly id: number; readonly call: ViewCallName; readonly params: unknown };

export type HostToView =
  | HostMessage
  | { readonly type: 'reply'; readonly id: number; readonly result: unknown }
  | { readonly type: 'reply'; readonly id: number; readonly error: string };
