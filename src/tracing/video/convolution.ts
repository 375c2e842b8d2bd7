import type { TracedLayer } from '../../inr/types';
import type { Loops } from './loops';

export const kernelSize = ({ weight, inputs, outputs }: TracedLayer): number =>
  Math.sqrt(weight.length / (inputs * outputs));

/** What single kernels of a layer make of a plane: `conv2d(x, W[o, i]) + b_o / n`, `[h, w]`. */
export class KernelConvolution {
  /** Address of the result; it may be overwritten. */
  readonly result: number;
  private readonly kernel: number;
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
    const kernel = (this.kernel = kernelSize(layer));
    const width = (this.width = size.width + kernel - 1);
    this.plane = loops.allocate(4 * width * (size.height + kernel - 1));
    this.weights = loops.allocate(4 * kernel ** 2);
    this.offsets = loops.allocate(4 * kernel ** 2);
    this.result = loops.allocate(4 * size.height * size.width);
    const offsets = loops.ints(this.offsets, kernel ** 2);
    for (let k = 0; k < offsets.length; k++) offsets[k] = 4 * (Math.floor(k / kernel) * width + (k % kernel));
  }

  /** @param plane `[h, w]`, of the input channel or another; not read again while it is the same array */
  run(plane: Float32Array, input: number, output: number, bias = this.share(output)): void {
    const { loops, kernel, layer, size, width } = this;
    if (plane !== this.taken) {
      this.taken = plane;
      const reach = (kernel - 1) / 2;
      const inside = loops.floats(this.plane, width * (size.height + kernel - 1));
      for (let y = 0; y < size.height; y++) {
        inside.set(plane.subarray(y * size.width, (y + 1) * size.width), (y + reach) * width + reach);
      }
    }
    const from = (output * layer.inputs + input) * kernel ** 2;
    loops.floats(this.weights, kernel ** 2).set(layer.weight.subarray(from, from + kernel ** 2));
    loops.convolve(this.plane, 4 * width, this.offsets, this.weights, kernel ** 2, bias, size, this.result);
  }

  /** A kernel's share of its output channel's bias. */
  private share(output: number): number {
    return (this.layer.bias?.[output] ?? 0) / this.layer.inputs;
  }
}
