import { apply, PER_UNIT, REACH, type Activation } from './activation';
import { wasm } from './loops.wasm';
import type { Taps } from './taps';

/** Exports of loops.wat, where their parameters have names. */
interface Functions extends Record<
  'convolve' | 'activate' | 'accumulate' | 'across' | 'down' | 'first' | 'second' | 'summarise' | 'encode',
  (...parameters: number[]) => number
> {
  readonly memory: WebAssembly.Memory;
}

const PAGE = 1 << 16;
let compiled: WebAssembly.Module | undefined;

/** Values a row, padded for four at a time. */
export const padded = (width: number): number => (width + 3) & ~3;

/** A stage of `KernelPath`, ready to run: along the columns into `wide`, then down the rows. */
interface Placed {
  readonly width: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly starts: number;
  readonly weightsAcross: number;
  readonly across: number;
  readonly addresses: number;
  readonly weightsDown: number;
  readonly down: number;
}

/** Acts on both axes of a picture; `offset` is what σ(0) of the values left out adds, by row and column. */
export interface Stage {
  readonly rows: Taps;
  readonly columns: Taps;
  readonly offset: { readonly rows: Float32Array; readonly columns: Float32Array } | null;
}

/** What `first` gathers and `second` compares with, one value a pixel, rows padded. */
export interface Gathered {
  /** float64: Σ|C| */
  readonly sums: number;
  /** int32: histogram of magnitudes' bits */
  readonly counts: number;
  /** int32: bits of an equal share */
  readonly fair: number;
  /** int32 */
  readonly above: number;
}

/**
 * The loops over every kernel and pixel, in WebAssembly (loops.wat), and the memory they work in. Addresses
 * are numbers; a view on them is good until the next `allocate`.
 */
export class Loops {
  private readonly functions: Functions;
  private end = 0;
  private readonly result: number;
  private readonly stages = new Map<Stage, Placed>();
  /** A stage's values after the columns and before the rows; and one row of a map. */
  private wide = 0;
  private row = 0;
  private readonly table: number = 0;

  /** @param activation what `activate` applies */
  constructor(private readonly activation?: Activation) {
    compiled ??= new WebAssembly.Module(Buffer.from(wasm, 'base64'));
    const js = { activate: activation?.of ?? ((z: number) => z) };
    this.functions = new WebAssembly.Instance(compiled, { js }).exports as unknown as Functions;
    this.result = this.allocate(16);
    const { table } = activation ?? {};
    if (!table) return;
    this.table = this.allocate(table.byteLength);
    this.floats(this.table, table.length).set(table);
  }

  /** Zeros. */
  allocate(bytes: number): number {
    const at = this.end;
    // Loops read and write a few values behind the end.
    this.end += (bytes + 79) & ~15;
    const { memory } = this.functions;
    const lacking = this.end - memory.buffer.byteLength;
    if (lacking > 0) memory.grow(Math.ceil(lacking / PAGE));
    return at;
  }

  floats(at: number, length: number): Float32Array {
    return new Float32Array(this.functions.memory.buffer, at, length);
  }

  ints(at: number, length: number): Int32Array {
    return new Int32Array(this.functions.memory.buffer, at, length);
  }

  doubles(at: number, length: number): Float64Array {
    return new Float64Array(this.functions.memory.buffer, at, length);
  }

  /** Makes stages ready. Call it once, with all of them. */
  prepare(stages: readonly Stage[]): void {
    const most = (size: (stage: Stage) => number) => Math.max(0, ...stages.map(size));
    this.wide = this.allocate(4 * most(({ rows, columns }) => rows.inputs * padded(columns.outputs)));
    this.row = this.allocate(4 * most(({ columns }) => padded(columns.outputs)));
    const along = new Map<Taps, { readonly starts: number; readonly weights: number }>();
    for (const stage of stages) {
      const { rows, columns, offset } = stage;
      let placed = along.get(columns);
      if (!placed) along.set(columns, (placed = this.placeColumns(columns)));
      const stride = 4 * padded(columns.outputs);
      const down = rows.width + (offset ? 1 : 0);
      const addresses = this.allocate(4 * rows.outputs * down);
      const weights = this.allocate(4 * rows.outputs * down);
      const constant = offset ? this.allocate(stride) : 0;
      if (offset) this.floats(constant, columns.outputs).set(offset.columns);
      const [to, factors] = [
        this.ints(addresses, rows.outputs * down),
        this.floats(weights, rows.outputs * down),
      ];
      for (let y = 0, at = 0; y < rows.outputs; y++) {
        for (let k = 0; k < rows.width; k++, at++) {
          to[at] = this.wide + (rows.start[y] + k) * stride;
          factors[at] = rows.weights[y * rows.width + k];
        }
        if (!offset) continue;
        to[at] = constant;
        factors[at++] = offset.rows[y];
      }
      this.stages.set(stage, {
        width: columns.outputs,
        inputs: rows.inputs,
        outputs: rows.outputs,
        starts: placed.starts,
        weightsAcross: placed.weights,
        across: columns.width,
        addresses,
        weightsDown: weights,
        down,
      });
    }
  }

  private placeColumns({ width: taps, outputs, start, weights }: Taps) {
    const n = padded(outputs);
    const placed = { starts: this.allocate(4 * n), weights: this.allocate(4 * n * taps) };
    const starts = this.ints(placed.starts, n);
    const byTap = this.floats(placed.weights, n * taps);
    for (let x = 0; x < outputs; x++) {
      starts[x] = 4 * start[x];
      for (let k = 0; k < taps; k++) byTap[k * n + x] = weights[x * taps + k];
    }
    return placed;
  }

  /** Correlates a padded plane with a kernel; all addresses, strides in bytes. */
  convolve(
    plane: number,
    stride: number,
    offsets: number,
    weights: number,
    taps: number,
    bias: number,
    { height, width }: { readonly height: number; readonly width: number },
    out: number,
  ): void {
    this.functions.convolve(plane, stride, offsets, weights, taps, bias, height, width, out);
  }

  /** σ in place. */
  activate(at: number, count: number): void {
    if (!this.activation) return;
    if (this.table) this.functions.activate(at, count, this.table, REACH, PER_UNIT);
    else apply(this.activation, this.floats(at, count));
  }

  /** Adds float32 values to float64 sums. */
  accumulate(values: number, count: number, sums: number): void {
    this.functions.accumulate(values, count, sums);
  }

  /** Adds values to two sums. @returns [Σ, largest magnitude] */
  summarise(values: number, count: number, a: number, b: number): readonly [number, number] {
    this.functions.summarise(values, count, a, b, this.result);
    return [this.doubles(this.result, 1)[0], this.floats(this.result + 8, 1)[0]];
  }

  /** 8-bit values, 128 for zero. */
  encode(values: number, count: number, factor: number, out: number): Uint8Array {
    this.functions.encode(values, count, factor, out);
    return new Uint8Array(this.functions.memory.buffer, out, count);
  }

  private across(stage: Stage, values: number): Placed {
    const placed = this.stages.get(stage)!;
    const { inputs, starts, weightsAcross, across, width } = placed;
    const inStride = 4 * stage.columns.inputs;
    const stride = 4 * padded(width);
    this.functions.across(values, inStride, inputs, starts, weightsAcross, across, this.wide, stride);
    return placed;
  }

  /** Values at one address through a stage to another. */
  run(stage: Stage, values: number, out: number): void {
    const { addresses, weightsDown, down, outputs, width } = this.across(stage, values);
    this.functions.down(addresses, weightsDown, down, outputs, 4 * padded(width), out, 4 * width);
  }

  /** Adds |C| of a map to what has been gathered; the histogram counts every n-th row. @returns [Σ|C|, largest |C|] */
  first(stage: Stage, values: number, { sums, counts }: Gathered, every: number): readonly [number, number] {
    const { addresses, weightsDown, down, outputs, width } = this.across(stage, values);
    const { row, result, functions } = this;
    const stride = 4 * padded(width);
    functions.first(addresses, weightsDown, down, outputs, stride, width, row, sums, counts, every, result);
    return [this.doubles(result, 1)[0], this.floats(result + 8, 1)[0]];
  }

  /** Counts pixels of a map above the equal share and, pixel by pixel, those above a threshold (bits of a float32). */
  second(stage: Stage, values: number, { fair, above }: Gathered, threshold: number): number {
    const { addresses, weightsDown, down, outputs, width } = this.across(stage, values);
    const stride = 4 * padded(width);
    return this.functions.second(
      addresses,
      weightsDown,
      down,
      outputs,
      stride,
      this.row,
      fair,
      above,
      threshold,
    );
  }
}
