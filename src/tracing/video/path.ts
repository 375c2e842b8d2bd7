import type { TracedLayer } from '../../inr/types';
import { fitted } from '../previews';
import { activationOf, type Activate } from './activation';
import { Taps } from './taps';

/** Acts on both axes of a picture; `offset` is what σ(0) of the values left out adds, by row and column. */
export interface Stage {
  readonly rows: Taps;
  readonly columns: Taps;
  readonly offset: { readonly rows: Float32Array; readonly columns: Float32Array } | null;
}

export interface Branch {
  /** Each followed by σ. */
  readonly stages: readonly Stage[];
  /** To the frame; nothing follows. */
  readonly last: Stage;
  /** The same, and area-averaged to the size of a preview. */
  readonly preview: Stage;
}

export const kernelSize = ({ weight, inputs, outputs }: TracedLayer): number =>
  Math.sqrt(weight.length / (inputs * outputs));

const strideOf = ({ shuffle }: TracedLayer): number => shuffle ?? 1;

function branchOf(
  rows: readonly Taps[],
  columns: readonly Taps[],
  offset: Stage['offset'],
  toPreview: { readonly rows: Taps; readonly columns: Taps },
): Branch {
  const stages = rows.map((taps, k): Stage => ({
    rows: taps,
    columns: columns[k],
    offset: k === 0 ? offset : null,
  }));
  const last = stages.at(-1)!;
  return {
    stages: stages.slice(0, -1),
    last,
    preview: {
      rows: toPreview.rows.after(last.rows),
      columns: toPreview.columns.after(last.columns),
      offset: last.offset && {
        rows: toPreview.rows.along(last.offset.rows),
        columns: toPreview.columns.along(last.offset.columns),
      },
    },
  };
}

/**
 * How the result of one kernel of a layer reaches the frame (tracing.md §1): PixelShuffle puts it at one
 * phase, σ follows, and the layers behind are imitated by mean filters and nearest up-sampling. The
 * order is: phase, σ, for each later block {mean filter, up-sampling, σ}, mean filter of the head. σ of an
 * up-sampled picture is the up-sampled σ, so everything happens at the lowest resolution it can; and what
 * lies between two σ is linear along each axis, so it is one `Taps` each.
 */
export class KernelPath {
  /** Of the layer's own input and of the convolution's result. */
  readonly height: number;
  readonly width: number;
  readonly frameHeight: number;
  readonly frameWidth: number;
  readonly previewSize: { readonly height: number; readonly width: number };
  readonly branches: readonly Branch[];
  readonly activate: Activate | undefined;
  private readonly shuffle: number;
  private readonly temporary: Float32Array;
  private readonly spare: readonly [Float32Array, Float32Array];
  /** Values before the last stage and their size, of the kernel handed to `descend` last. */
  private low: Float32Array = new Float32Array(0);
  private lowFrom = 0;
  private branch: Branch;

  /**
   * @param layer index among `layers`, which end with the head
   * @param size height and width of the layer's input
   * @param previewSide longest side of a preview, pixels
   */
  constructor(
    layers: readonly TracedLayer[],
    layer: number,
    size: { readonly height: number; readonly width: number },
    previewSide: number,
  ) {
    const own = layers[layer];
    const later = layers.slice(layer + 1);
    const [height, width] = [size.height, size.width];
    this.height = height;
    this.width = width;
    this.shuffle = strideOf(own);
    const total = layers.slice(layer).reduce((scale, l) => scale * strideOf(l), 1);
    this.frameHeight = height * total;
    this.frameWidth = width * total;
    this.previewSize = fitted(this.frameHeight, this.frameWidth, previewSide);
    this.activate = activationOf(own);
    const { shuffle } = this;
    const phases = Array.from({ length: shuffle }, (_, phase) => phase);
    const rows = phases.map((phase) => this.axis(later, height, phase));
    const columns = phases.map((phase) => this.axis(later, width, phase));
    const offset = this.offsetOf(later);
    const toPreview = {
      rows: Taps.cells(this.frameHeight, this.previewSize.height),
      columns: Taps.cells(this.frameWidth, this.previewSize.width),
    };
    this.branches = rows.flatMap((row) => columns.map((column) => branchOf(row, column, offset, toPreview)));
    this.branch = this.branches[0];
    const sizes = this.branches[0].stages.map(({ rows, columns }) => rows.outputs * columns.outputs);
    const largest = Math.max(0, ...sizes);
    this.spare = [new Float32Array(largest), new Float32Array(sizes.length > 1 ? largest : 0)];
    this.temporary = new Float32Array(Math.max(this.frameWidth, width));
  }

  /** The stages along one axis, the last one to the frame. */
  private axis(later: readonly TracedLayer[], n: number, phase: number): Taps[] {
    const stages: Taps[] = [];
    let pending = this.shuffle > 1 ? Taps.embedding(n, this.shuffle, phase) : Taps.identity(n);
    for (const layer of later) {
      const filtered = Taps.mean(pending.outputs, kernelSize(layer)).after(pending);
      if (layer.last) pending = filtered;
      else {
        stages.push(filtered);
        pending = Taps.nearest(filtered.outputs, strideOf(layer));
      }
    }
    return [...stages, pending];
  }

  /** σ(0) at the phases that a kernel does not reach, by way of the first mean filter. */
  private offsetOf([next]: readonly TracedLayer[]): Stage['offset'] {
    const { shuffle, activate } = this;
    if (shuffle === 1 || !activate || activate.atZero === 0 || !next) return null;
    const ones = (n: number) => Taps.mean(n * shuffle, kernelSize(next)).ones();
    return { rows: ones(this.height).map((v) => v * activate.atZero), columns: ones(this.width) };
  }

  /**
   * Takes the result of a kernel's convolution, `[height, width]` from index `from` on, and goes on to what
   * `row` and `preview` read; overwrites it.
   */
  descend(values: Float32Array, from: number, output: number): void {
    const { activate } = this;
    this.branch = this.branches[output % this.branches.length];
    const { stages, last } = this.branch;
    const end = from + this.height * this.width;
    activate?.(values, from, end);
    const lacking = (stages[0] ?? last).offset && activate ? activate.atZero : 0;
    if (lacking !== 0) for (let k = from; k < end; k++) values[k] -= lacking;
    let low = values;
    let start = from;
    for (const [k, stage] of stages.entries()) {
      const out = this.spare[k % 2];
      const width = stage.columns.outputs;
      for (let y = 0; y < stage.rows.outputs; y++) this.stageRow(stage, low, start, y, out, y * width);
      activate?.(out, 0, stage.rows.outputs * width);
      low = out;
      start = 0;
    }
    this.low = low;
    this.lowFrom = start;
  }

  /** Values before the last stage. */
  get lowSize(): number {
    const { rows, columns } = this.branches[0].last;
    return rows.inputs * columns.inputs;
  }

  /** Copies what `row` and `preview` read, to be given back by `take`. */
  keep(values: Float32Array, at: number): void {
    values.set(this.low.subarray(this.lowFrom, this.lowFrom + this.lowSize), at);
  }

  take(values: Float32Array, from: number, output: number): void {
    this.branch = this.branches[output % this.branches.length];
    this.low = values;
    this.lowFrom = from;
  }

  private stageRow(
    { rows, columns, offset }: Stage,
    values: Float32Array,
    from: number,
    y: number,
    out: Float32Array,
    at: number,
  ): void {
    rows.down(y, values, from, columns.inputs, this.temporary);
    columns.across(this.temporary, out, at);
    if (offset) {
      const factor = offset.rows[y];
      for (let x = 0; x < columns.outputs; x++) out[at + x] += factor * offset.columns[x];
    }
  }

  /** True when row `y` of the frame is zero for every kernel of the phase handed over last. */
  isZeroRow(y: number): boolean {
    const { rows, offset } = this.branch.last;
    return !offset && rows.isZero(y);
  }

  /** Row `y` of the map. */
  row(y: number, out: Float32Array, at = 0): void {
    this.stageRow(this.branch.last, this.low, this.lowFrom, y, out, at);
  }

  /** The map, area-averaged, `[previewSize]`. */
  preview(out: Float32Array): void {
    const { preview } = this.branch;
    for (let y = 0; y < preview.rows.outputs; y++) {
      this.stageRow(preview, this.low, this.lowFrom, y, out, y * preview.columns.outputs);
    }
  }

  /** The whole map. */
  map(out: Float32Array, at = 0): void {
    for (let y = 0; y < this.frameHeight; y++) this.row(y, out, at + y * this.frameWidth);
  }
}
