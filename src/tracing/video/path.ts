import type { TracedLayer } from '../../inr/types';
import { fitted } from '../previews';
import { activationOf, type Activation } from './activation';
import { KernelConvolution, kernelSize } from './convolution';
import { Loops, type Gathered, type Stage } from './loops';
import { Taps } from './taps';

interface Size {
  readonly height: number;
  readonly width: number;
}

export interface Branch {
  /** Each followed by σ. */
  readonly stages: readonly Stage[];
  /** To the frame; nothing follows. */
  readonly last: Stage;
  /** The same, and area-averaged to the size of a preview. */
  readonly preview: Stage;
}

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
  readonly previewSize: Size;
  /** Of a single kernel's preview; the others are for sums of kernels. */
  readonly kernelPreviewSize: Size;
  readonly branches: readonly Branch[];
  readonly activation: Activation | undefined;
  private readonly shuffle: number;
  readonly loops: Loops;
  private readonly convolution: KernelConvolution;
  /** From a preview to a kernel's; undefined where they are as large. */
  private readonly reduction: Stage | undefined;
  /** Addresses of what stages make in turn, and of a map. */
  private readonly spare: readonly [number, number];
  private readonly whole: number;
  /** Address of the values before the last stage, of the kernel handed to `descend` last. */
  private low: number;
  private branch: Branch;

  /**
   * @param layers from the one whose kernels these are to the head
   * @param size height and width of the layer's input
   * @param previewSide longest side of a preview, pixels
   * @param kernelSide the same of a single kernel's, not longer
   */
  constructor(layers: readonly TracedLayer[], size: Size, previewSide: number, kernelSide = previewSide) {
    const [own, ...later] = layers;
    const [height, width] = [size.height, size.width];
    this.height = height;
    this.width = width;
    this.shuffle = strideOf(own);
    const total = layers.reduce((scale, l) => scale * strideOf(l), 1);
    this.frameHeight = height * total;
    this.frameWidth = width * total;
    this.previewSize = fitted(this.frameHeight, this.frameWidth, previewSide);
    this.kernelPreviewSize = fitted(this.frameHeight, this.frameWidth, kernelSide);
    this.activation = activationOf(own);
    const { shuffle } = this;
    const phases = Array.from({ length: shuffle }, (_, phase) => phase);
    const rows = phases.map((phase) => this.axis(later, height, phase, 0));
    const columns = phases.map((phase) => this.axis(later, width, phase, 1));
    const offset = this.offsetOf(later);
    const toPreview = {
      rows: Taps.cells(this.frameHeight, this.previewSize.height),
      columns: Taps.cells(this.frameWidth, this.previewSize.width),
    };
    this.branches = rows.flatMap((row) => columns.map((column) => branchOf(row, column, offset, toPreview)));
    this.branch = this.branches[0];
    const [large, small] = [this.previewSize, this.kernelPreviewSize];
    if (small.width < large.width || small.height < large.height) {
      this.reduction = {
        rows: Taps.cells(large.height, small.height),
        columns: Taps.cells(large.width, small.width),
        offset: null,
      };
    }
    const sizes = this.branches[0].stages.map(({ rows, columns }) => 4 * rows.outputs * columns.outputs);
    const loops = (this.loops = new Loops(this.activation));
    this.convolution = new KernelConvolution(loops, own, size);
    const largest = Math.max(0, ...sizes);
    this.low = this.convolution.result;
    this.spare = [loops.allocate(largest), loops.allocate(sizes.length > 1 ? largest : 0)];
    this.whole = loops.allocate(4 * this.frameHeight * this.frameWidth);
    loops.prepare([
      ...this.branches.flatMap(({ stages, last, preview }) => [...stages, last, preview]),
      ...(this.reduction ? [this.reduction] : []),
    ]);
  }

  /** The stages along one axis (rows 0, columns 1), the last one to the frame. */
  private axis(later: readonly TracedLayer[], n: number, phase: number, axis: 0 | 1): Taps[] {
    const stages: Taps[] = [];
    let pending = this.shuffle > 1 ? Taps.embedding(n, this.shuffle, phase) : Taps.identity(n);
    for (const layer of later) {
      const filtered = Taps.mean(pending.outputs, kernelSize(layer)[axis]).after(pending);
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
    const { shuffle, activation } = this;
    if (shuffle === 1 || !activation || activation.atZero === 0 || !next) return null;
    const [rows, columns] = kernelSize(next);
    const ones = (n: number, kernel: number) => Taps.mean(n * shuffle, kernel).ones();
    return {
      rows: ones(this.height, rows).map((v) => v * activation.atZero),
      columns: ones(this.width, columns),
    };
  }

  /** The affine result of a kernel, good until the next call. @param plane see `KernelConvolution.run` */
  convolve(plane: Float32Array, input: number, output: number, bias?: number): Float32Array {
    this.convolution.run(plane, input, output, bias);
    return this.loops.floats(this.convolution.result, this.height * this.width);
  }

  /** Goes on from what `convolve` made to what `map`, `preview` and the rounds of statistics read. */
  descend(output: number): void {
    const { activation, loops, convolution } = this;
    this.branch = this.branches[output % this.branches.length];
    const { stages, last } = this.branch;
    const area = this.height * this.width;
    this.low = convolution.result;
    loops.activate(this.low, area);
    const lacking = (stages[0] ?? last).offset && activation ? activation.atZero : 0;
    if (lacking !== 0) {
      const own = loops.floats(this.low, area);
      for (let k = 0; k < area; k++) own[k] -= lacking;
    }
    for (const [k, stage] of stages.entries()) {
      const out = this.spare[k % 2];
      loops.run(stage, this.low, out);
      loops.activate(out, stage.rows.outputs * stage.columns.outputs);
      this.low = out;
    }
  }

  /** Adds what `convolve` made to float64 sums at an address. */
  accumulate(sums: number): void {
    this.loops.accumulate(this.convolution.result, this.height * this.width, sums);
  }

  /** First round of the map's statistics. @returns [Σ|C|, largest |C|] */
  first(gathered: Gathered, every: number): readonly [number, number] {
    return this.loops.first(this.branch.last, this.low, gathered, every);
  }

  /** Second round. @returns pixels where |C| is above an equal share */
  second(gathered: Gathered, threshold: number): number {
    return this.loops.second(this.branch.last, this.low, gathered, threshold);
  }

  /** The map, area-averaged, `[previewSize]`, at an address. */
  preview(out: number): void {
    this.loops.run(this.branch.preview, this.low, out);
  }

  /** A preview as small as a kernel's, `[kernelPreviewSize]`. @returns where it is: there already if it is so small */
  reduced(preview: number, out: number): number {
    if (!this.reduction) return preview;
    this.loops.run(this.reduction, preview, out);
    return out;
  }

  /** The whole map; the array is overwritten by the next. */
  map(): Float32Array {
    this.loops.run(this.branch.last, this.low, this.whole);
    return this.loops.floats(this.whole, this.frameHeight * this.frameWidth);
  }
}
