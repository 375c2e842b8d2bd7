/**
 * Messages between a client (extension host or command line) and the worker thread.
 * Call, result and event types all derive from `Calls`, so that a caller cannot drift from its handler.
 */
import type { Assumption, LayerSummary, Signal } from '../inr/types';
import type {
  Clustering,
  ClusterOptions,
  Completeness,
  LayerTrace,
  Method,
  RegionFeature,
} from '../tracing/types';
import type { Plain } from '../checkpoint/types';
import type { EngineChoice } from '../engine/choices';
import type { FindingsDocument } from '../findings/document';
import type { Mask, Region, RegionStatistics } from '../tracing/regionMask';
import type { Comparison } from '../tracing/compare/compare';
import type { Labels } from './labels';
import type { Segmentation } from './regions';

/** What to open and how; the same file with the same corrections is the same model. */
export interface Source {
  /** Absolute path. */
  readonly file: string;
  /** `--config` file, absolute. */
  readonly config?: string;
  /** `--set` names and values, including `coords` and `size`. */
  readonly corrections: Readonly<Record<string, string>>;
  /** Picture, or folder of a video's frames, to compare with; absolute path. */
  readonly target?: string;
}

/** A hypothesis about what the file does not say. */
export interface Alternative {
  /** Settings by their `--set` names. */
  readonly values: Readonly<Record<string, string | number | boolean>>;
  /** dB against the target on a sample of its pixels, when there is a target. */
  readonly psnr?: number;
}

/** What `inspect --json` prints. */
export interface Inspection {
  readonly file: string;
  /** What the person corrected, by `--set` names; `target` is a picture relative to the file. */
  readonly corrections: Readonly<Record<string, string>>;
  /** Corrections beside the file that were read, absolute path. */
  readonly correctionsFile?: string;
  /** Hypotheses, best first: scored against the target, or those that nothing tells apart. */
  readonly alternatives: readonly Alternative[];
  readonly format: string;
  readonly family: string;
  readonly title: string;
  readonly confidence: number;
  readonly parameters: number;
  readonly signal: Signal;
  readonly encoding: string;
  readonly activation: string;
  readonly layers: readonly LayerSummary[];
  readonly assumptions: readonly Assumption[];
  readonly hyperParameters: Readonly<Record<string, Plain>>;
  readonly opaque: readonly string[];
  readonly warnings: readonly string[];
  /** Why a network whose family is certain can only be described, one clause; absent where it can be traced. */
  readonly untraceable?: string;
}

/** Not an error: the file was read, and this is what the person can do next. */
export interface NotAnInr {
  readonly file: string;
  readonly format: string;
  readonly message: string;
  readonly seen: string;
  readonly closest?: { readonly title: string; readonly missing: string };
  /** What `inspect` tells of a network whose family is certain. */
  readonly known?: Omit<Inspection, 'corrections'>;
  readonly nextStep: string;
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape: readonly number[];
  }[];
}

export interface TraceOptions extends Source {
  readonly method: Method;
  /** Dotted names of the layers wanted; all when undefined. */
  readonly layers?: readonly string[];
  /** What `ablation` puts in a neuron's place; zero when undefined. */
  readonly baseline?: 'zero' | 'mean';
  /** Bytes the activations may take before they are recomputed on demand. */
  readonly memoryBudget: number;
  /** Where traces are kept and earlier ones found: an absolute folder and the bytes it may take. */
  readonly cache?: { readonly folder: string; readonly bytes: number };
  /** Frame of a video, the first when undefined; or its time from 0 to 1. */
  readonly frame?: number;
  readonly time?: number;
  /** The last frame instead of one that the video does not have. */
  readonly nearestFrame?: boolean;
}

/** Display-ready picture, 8-bit RGBA, row-major. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8ClampedArray;
}

export type Phase =
  'reading' | 'recognising' | 'reconstructing' | 'tracing' | 'clustering' | 'findings' | 'comparing';

export type TraceEvent =
  | {
      readonly type: 'phase';
      readonly phase: Phase;
      readonly detail: string;
      /** 0–1 over the whole trace. */ readonly fraction: number;
    }
  /** @param traced names of the layers that are going to be traced, by traced-layer index */
  | { readonly type: 'inspected'; readonly inspection: Inspection; readonly traced: readonly string[] }
  | {
      readonly type: 'reconstruction';
      readonly picture: Picture;
      readonly psnr?: number;
      readonly target?: Picture;
    }
  | { readonly type: 'layer'; readonly index: number; readonly layer: LayerTrace };

export interface Timings {
  /** Milliseconds by phase; `trace` is reconstruction and maps with statistics, inside the worker. */
  readonly read: number;
  readonly recognise: number;
  readonly trace: number;
  readonly total: number;
}

export interface Preview {
  readonly inspection: Inspection;
  readonly picture: Picture;
  /** dB against the target at the pixels drawn. */
  readonly psnr?: number;
  /** Corrections that were left out. */
  readonly dropped: readonly string[];
}

export interface TraceResult {
  readonly inspection: Inspection;
  readonly psnr?: number;
  /** Name of the picture that `psnr` compares with. */
  readonly target?: string;
  /** Of a video only. */
  readonly frame?: number;
  /** Frames that the layers' statistics are over, if not that one. */
  readonly over?: readonly number[];
  readonly layers: readonly LayerTrace[];
  readonly completeness: Completeness;
  readonly timings: Timings;
  /** Whether it was made earlier and only read now. */
  readonly restored: boolean;
  readonly engine: string;
  /** Why another engine than the usual one ran; a sentence. */
  readonly engineNote?: string;
}

/** A trace of a video whose layers have statistics over several frames. */
export const resultOverClip = (result: TraceResult, { frames, layers }: OverClip): TraceResult => ({
  ...result,
  over: frames,
  layers: result.layers.map((layer, index) => ({ ...layer, ...layers[index] })),
});

/** One frame of a video, traced after the first. */
export type FrameResult = Required<Pick<TraceResult, 'frame'>> &
  Pick<TraceResult, 'psnr' | 'target' | 'layers' | 'completeness'>;

/** What changed from the frame before, and what moved. */
export interface Motion {
  /** The later one of the two. */
  readonly frame: number;
  /** What the optical flow was found in. */
  readonly of: 'frames' | 'reconstruction';
  /** Length of the displacement of each pixel, pixels. */
  readonly flow: FloatMap;
  /** Displacement along columns and rows. */
  readonly direction: { readonly x: Float32Array; readonly y: Float32Array };
  readonly layers: readonly {
    readonly layer: number;
    /** Σ over neurons of ||C(t)| − |C(t − 1)||. */
    readonly change: FloatMap;
    /** Correlation of the change with the length of the flow; NaN when nothing changes or moves. */
    readonly pearson: number;
    readonly spearman: number;
  }[];
}

/** Neurons over the frames of a clip. */
export interface Series {
  readonly layer: number;
  readonly frames: readonly number[];
  readonly neurons: readonly {
    readonly neuron: number;
    /** Σ over pixels of |C|. */ readonly totals: Float64Array;
  }[];
}

/** The traced layers over several frames of a clip. */
export interface OverClip {
  readonly frames: readonly number[];
  readonly layers: readonly Pick<LayerTrace, 'statistics' | 'distributedness' | 'neuronsPerPixel'>[];
}

export interface ObjectsThroughTime {
  readonly folder: string;
  readonly layer: number;
  readonly frames: readonly number[];
  readonly objects: readonly {
    /** Value of its pixels in the label images. */
    readonly label: number;
    /** Pixels, by frame. */
    readonly areas: readonly number[];
    /** Σ over its pixels of |C| of all neurons, divided by its area; NaN where it is not in the frame. */
    readonly density: readonly number[];
    /** The same, divided by its mean over the clip. */
    readonly normalised: readonly number[];
    /** Neurons that do most for it. */
    readonly top: readonly {
      readonly neuron: number;
      readonly density: number;
      readonly normalised: readonly number[];
    }[];
  }[];
}

type PhaseEvent = {
  readonly type: 'phase';
  readonly phase: Phase;
  readonly detail: string;
  readonly fraction: number;
};

/** A neuron by traced-layer index and its index in that layer. */
export interface NeuronRef {
  readonly layer: number;
  readonly neuron: number;
}

export interface FloatMap {
  readonly width: number;
  readonly height: number;
  /** Signed contributions, row-major. */
  readonly data: Float32Array;
}

/** A checkpoint file with all its bytes. */
export interface SavedFile {
  /** Of the content, hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
  /** When it was written, ms since 1970. */
  readonly modified: number;
}

export interface Ablation {
  readonly picture: Picture;
  /** PSNR of the picture without the neurons against the picture with them, dB; Infinity when equal. */
  readonly likeness: number;
  /** PSNR against the target without and with the neurons, dB, when there is a target. */
  readonly psnr?: number;
  readonly psnrBefore?: number;
}

/** What removing each neuron of a layer alone does to the picture. */
export interface Removals {
  readonly layer: number;
  readonly baseline: 'zero' | 'mean';
  /** What the picture is compared with: its target, or itself with all neurons. */
  readonly reference: 'target' | 'reconstruction';
  /** Pixels that it was measured on, and those of the picture. */
  readonly sample: number;
  readonly pixels: number;
  /**
   * One a neuron, dB: change of the PSNR against the target, or the PSNR of the picture without the neuron
   * against the one with it (Infinity where nothing changes).
   */
  readonly change: Float64Array;
  /** Standard error that the sample leaves, dB; 0 when it is the whole picture. */
  readonly error: Float64Array;
}

export interface PixelProbe {
  readonly row: number;
  readonly column: number;
  /** The network's output there, unclamped, one number a channel. */
  readonly value: readonly number[];
  /** For each traced layer: strongest |C| first. */
  readonly layers: readonly {
    readonly layer: number;
    readonly top: readonly { readonly neuron: number; readonly contribution: number }[];
    /** Fraction of Σ|C| at this pixel that the listed neurons hold. */
    readonly held: number;
  }[];
}

/** `trace` names the live trace that later calls refer to; the client chooses it. */
export interface Calls {
  inspect: { params: Source; result: Inspection | { readonly notAnInr: NotAnInr }; event: never };
  trace: {
    params: { readonly trace: string; readonly options: TraceOptions };
    result: TraceResult | { readonly notAnInr: NotAnInr };
    event: TraceEvent;
  };
  /**
   * Draws the picture under other settings, small; nothing is kept, and corrections beside the file do not
   * count. With `assumed`, the values that the
   * search found before, at once: corrections that the network then does not have are left out. With null
   * what is open is searched anew.
   */
  preview: {
    params: Source & {
      readonly assumed: Readonly<Record<string, string | number | boolean>> | null;
      /** Longest side, pixels. */
      readonly side: number;
    };
    result: Preview | { readonly notAnInr: NotAnInr };
    event: never;
  };
  /** Another frame of a video takes the place of the one traced. @param first layer traced before the others */
  frame: {
    params: { readonly trace: string; readonly frame: number; readonly first?: string };
    result: FrameResult;
    event: TraceEvent;
  };
  /** A frame of a video without its maps. */
  still: {
    params: { readonly trace: string; readonly frame: number };
    result: { readonly picture: Picture; readonly psnr?: number };
    event: never;
  };
  /** The traced frame against the one before. */
  motion: { params: { readonly trace: string }; result: Motion; event: PhaseEvent };
  series: {
    params: { readonly trace: string; readonly layer: number; readonly neurons: readonly number[] };
    result: Series;
    event: PhaseEvent;
  };
  /** A folder of label images that lies beside the checkpoint, absolute. */
  findLabels: { params: { readonly trace: string }; result: string | null; event: never };
  objects: {
    params: { readonly trace: string; readonly layer: number; readonly folder: string };
    result: ObjectsThroughTime;
    event: PhaseEvent;
  };
  cluster: {
    params: {
      readonly trace: string;
      /** Live traces of the same picture whose neurons are grouped together with these, all of their layers. */
      readonly with?: readonly string[];
      readonly options: ClusterOptions;
    };
    result: Clustering;
    event: {
      readonly type: 'phase';
      readonly phase: Phase;
      readonly detail: string;
      readonly fraction: number;
    };
  };
  map: {
    params: { readonly trace: string; readonly neuron: NeuronRef; readonly channel?: number };
    result: FloatMap;
    event: never;
  };
  /** Sum of several neurons' maps of one layer. */
  sum: {
    params: { readonly trace: string; readonly layer: number; readonly neurons: readonly number[] };
    result: FloatMap;
    event: never;
  };
  /** Fraction of the layer's neurons that count at each pixel. */
  neuronsPerPixel: {
    params: { readonly trace: string; readonly layer: number; readonly alpha: number };
    result: FloatMap;
    event: never;
  };
  /** The picture without some neurons, of whichever layers; its change is measured on the pixels drawn. */
  without: {
    params: {
      readonly trace: string;
      readonly neurons: readonly NeuronRef[];
      readonly baseline: 'zero' | 'mean';
      /** Longest side of the picture, pixels, fewer where that takes long; whole when undefined. */
      readonly side?: number;
    };
    result: Ablation;
    event: never;
  };
  /** What removing each neuron of a layer alone costs, on a sample of pixels. */
  removals: {
    params: { readonly trace: string; readonly layer: number; readonly baseline: 'zero' | 'mean' };
    result: Removals;
    /** Neurons `from` … are known now. */
    event: {
      readonly type: 'neurons';
      readonly from: number;
      readonly change: Float64Array;
      readonly fraction: number;
    };
  };
  /** What the picture is divided into, for clicking on: the label of each pixel. */
  segments: {
    params: { readonly trace: string; readonly by: Segmentation };
    result: Labels;
    event: never;
  };
  /** The neurons of every layer in a region; `first` is the layer measured first. */
  region: {
    params: { readonly trace: string; readonly region: Region; readonly first: number };
    result: { readonly area: number };
    event:
      | { readonly type: 'mask'; readonly mask: Mask }
      | { readonly type: 'layer'; readonly layer: number; readonly statistics: RegionStatistics };
  };
  probe: {
    params: { readonly trace: string; readonly row: number; readonly column: number; readonly top: number };
    result: PixelProbe;
    event: never;
  };
  /** Two live traces side by side. */
  compare: {
    params: { readonly a: string; readonly b: string };
    result: Comparison;
    event: { readonly detail: string; readonly fraction: number };
  };
  /** Writes maps and/or reconstruction to files, streaming. Paths absolute. */
  export: {
    params: { readonly trace: string; readonly maps?: string; readonly reconstruction?: string };
    result: { readonly written: readonly string[] };
    event: never;
  };
  /** What the trace says about its network, with the faithfulness card; parts as they become known. */
  findings: {
    params: {
      readonly trace: string;
      /** Label picture, absolute path. */
      readonly objects?: string;
      /** Over several frames of a video instead of the one traced; then `objects` is a folder of label pictures. */
      readonly clip?: boolean;
      /** Of all samples and random partitions; 0 when undefined. */
      readonly seed?: number;
    };
    result: FindingsDocument;
    event:
      | {
          readonly type: 'phase';
          readonly phase: Phase;
          readonly detail: string;
          readonly fraction: number;
        }
      | { readonly type: 'part'; readonly findings: FindingsDocument };
  };
  /** Statistics of the traced layers over several frames of a video. */
  overClip: {
    params: { readonly trace: string };
    result: OverClip;
    event: PhaseEvent;
  };
  /** Whether the file is written completely, and what tells its content from another. Reads all of it. */
  digest: { params: { readonly file: string }; result: SavedFile; event: never };
  /** Forgets a trace and frees its memory. */
  close: { params: { readonly trace: string }; result: null; event: never };
}

export type CallName = keyof Calls;
export type Params<K extends CallName> = Calls[K]['params'];
export type Result<K extends CallName> = Calls[K]['result'];
export type EventOf<K extends CallName> = Calls[K]['event'];

/** Client → worker. `cancel` is an Int32 of shared memory: non-zero asks the call to stop. */
export interface CallMessage<K extends CallName = CallName> {
  readonly id: number;
  readonly call: K;
  readonly params: Params<K>;
  readonly cancel: SharedArrayBuffer;
  readonly engine: EngineChoice;
}

export interface SerialisedError {
  readonly name: string;
  readonly message: string;
  /** Present for errors that are the input's fault. */
  readonly exitCode?: number;
  readonly stack?: string;
}

/** Worker → client: any number of events, then exactly one result or error; and warnings that belong to no call. */
export type WorkerMessage =
  | { readonly warning: string }
  | { readonly id: number; readonly event: unknown }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: SerialisedError };

export type { RegionFeature };
