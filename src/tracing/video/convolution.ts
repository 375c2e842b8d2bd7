import type { TracedLayer } from '../../inr/types';
import type { Loops } from './loops';

/** Height and width of a layer's kernels. */
export function kernelSize({ kernel, weight, inputs, outputs }: TracedLayer): readonly [number, number] {
  if (kernel) return kernel;
  const side = Math.sqrt(weight.length / (inputs * outputs));
  return [side, side];
}

/** Neighbours before a value that a kernel so long reads: PyTorch's padding `same`, whose odd zero is at the end. */
export const reachBefore = (kernel: number): number => (kernel - 1) >> 1;

/** What single kernels of a layer make of a plane: `conv2d(x, W[o, i]) + b_o / n`, `[h, w]`. */
export class KernelConvolution {
  /** Address of the result; it may be overwritten. */
  readonly result: number;
  private readonly kernel: readonly [height: number, width: number];
  private readonly taps: number;
  /** Of the padded plane. */
  private readonly width: number;
  private readonly plane: number;
  private readonly offsets: number;
  private readonly weights: number;
  private taken: Float32Array | undefined;

  constructor(
    private readonly loops: Loops,
    private readonly layer: TracedLayer,
    private readonly size: { readonly height: number; readonly width: number },
  ) {
    const [rows, columns] = (this.kernel = kernelSize(layer));
    const taps = (this.taps = rows * columns);
    const width = (this.width = size.width + columns - 1);
    this.plane = loops.allocate(4 * width * (size.height + rows - 1));
    this.weights = loops.allocate(4 * taps);
    this.offsets = loops.allocate(4 * taps);
    this.result = loops.allocate(4 * size.height * size.width);
    const offsets = loops.ints(this.offsets, taps);
    for (let k = 0; k < taps; k++) offsets[k] = 4 * (Math.floor(k / columns) * width + (k % columns));
  }

  /** @param plane `[h, w]`, of the input channel or another; not read again while it is the same array */
  run(plane: Float32Array, input: number, output: number, bias = this.share(output)): void {
    const { loops, kernel, taps, layer, size, width } = this;
    if (plane !== this.taken) {
      this.taken = plane;
      const [above, left] = kernel.map(reachBefore);
      const inside = loops.floats(this.plane, width * (size.height + kernel[0] - 1));
      for (let y = 0; y < size.height; y++) {
        inside.set(plane.subarray(y * size.width, (y + 1) * size.width), (y + above) * width + left);
      }
    }
    const from = (output * layer.inputs + input) * taps;
    loops.floats(this.weights, taps).set(layer.weight.subarray(from, from + taps));
    loops.convolve(this.plane, 4 * width, this.offsets, this.weights, taps, bias, size, this.result);
  }

  /** A kernel's share of its output channel's bias. */
  private share(output: number): number {
    return (this.layer.bias?.[output] ?? 0) / this.layer.inputs;
  }
}
