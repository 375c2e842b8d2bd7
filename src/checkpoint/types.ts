/** What every reader returns: the file's content as data. Nothing in it can run. */

import type { Graph } from '../graph/types';
import type { ModelProto } from '../onnx/modelProto';

export type DType =
  | 'float16'
  | 'bfloat16'
  | 'float32'
  | 'float64'
  | 'complex64'
  | 'complex128'
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'uint32'
  | 'int32'
  | 'uint64'
  | 'int64'
  | 'bool';

/**
 * A tensor whose bytes are read on demand, so that opening a 2 GB file whose INR is small reads
 * only what is needed. Shape, strides and extent were checked against the storage before this exists.
 */
export class Tensor {
  constructor(
    readonly dtype: DType,
    /** Sizes, row-major; empty for a scalar. */
    readonly shape: readonly number[],
    /** Reads the elements as float32, row-major, contiguous. Complex: interleaved (re, im), twice the length. */
    private readonly load: () => Float32Array,
  ) {}

  /** Number of elements (a complex element counts once). */
  get size(): number {
    return this.shape.reduce((product, n) => product * n, 1);
  }

  get isComplex(): boolean {
    return this.dtype === 'complex64' || this.dtype === 'complex128';
  }

  private values: WeakRef<Float32Array> | undefined;

  /**
   * Elements as float32, row-major, contiguous; complex tensors interleave (re, im).
   * Not to be written to. @throws CheckpointError when the file no longer holds the bytes.
   */
  read(): Float32Array {
    const cached = this.values?.deref();
    if (cached) return cached;
    const loaded = this.load();
    this.values = new WeakRef(loaded);
    return loaded;
  }
}

/** Something a pickle named that we do not construct: kept as data, never imported or called. */
export class Opaque {
  constructor(
    readonly module: string,
    readonly name: string,
    readonly args: readonly Value[] = [],
    /** State that BUILD attached. */
    public state: Value = null,
  ) {}
}

/** Any value of a checkpoint. Dictionaries are Maps: `__proto__` is just a key. Non-string keys become their text. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Tensor
  | Opaque
  | readonly Value[]
  | ReadonlyMap<string, Value>;

/** JSON-like values only; objects have a null prototype. */
export type Plain = null | boolean | number | string | readonly Plain[] | { readonly [key: string]: Plain };

export interface Checkpoint {
  /** Identifier as `formats` lists it, e.g. `pytorch-zip`. */
  readonly format: string;
  /** Everything the file holds; tensors are leaves. A safetensors file is a Map of name → Tensor. */
  readonly root: Value;
  /** Distinct opaque classes, as `module.name`. */
  readonly opaque: readonly string[];
  /** What was odd but survivable, one sentence each. */
  readonly warnings: readonly string[];
  /** Of an ONNX file: its graph and the way to its external data, as `fromOnnx` takes them. */
  readonly onnx?: {
    readonly model: ModelProto;
    readonly external: (location: string, offset: number, length: number | undefined) => Uint8Array;
  };
  /** Of another file that holds what it computes: its graph. @throws CheckpointError when it cannot run */
  readonly graph?: () => Graph;
}

/** One configuration file found beside a checkpoint (or given by `--config`). */
export interface Sidecar {
  /** Path as shown to the person. */
  readonly path: string;
  readonly values: Plain;
}

/**
 * Random access to a file's bytes; synchronous because it is only used in the worker or the command line.
 * `read` throws CheckpointError when the range lies outside the file or the file shrank.
 */
export interface ByteSource {
  /** Name for messages, without folders. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
  /**
   * Opens a file that this one names (a shard, external data); only inside this file's own folder.
   * Absent when the bytes come from no folder. Closed together with this source.
   */
  sibling?(relative: string): ByteSource;
  close(): void;
}
