/** Channels of a decoder's convolutions: what kernels are grouped by. */
import type { CancelToken } from '../../errors';
import type { TracedLayer } from '../../inr/types';
import type { Runs } from '../regionMask';

/**
 * The channels that a layer's kernels are taken together by: those that they write (behind PixelShuffle), or in the
 * head, whose outputs are the colours, those that they read.
 */
export class Channels {
  readonly unit: 'output channel' | 'input channel';
  readonly count: number;

  /** @param kernels whether the traced neurons are kernels; else they are the channels that the layer reads */
  constructor(
    private readonly layer: TracedLayer,
    private readonly kernels = true,
  ) {
    const { last, inputs, outputs, shuffle = 1 } = layer;
    this.unit = last || !kernels ? 'input channel' : 'output channel';
    this.count = this.unit === 'input channel' ? inputs : outputs / shuffle ** 2;
  }

  /** The channel of a traced neuron; kernel (input, output) is `input · outputs + output`. */
  of(neuron: number): number {
    return this.kernels ? this.ofKernel(neuron) : neuron;
  }

  private ofKernel(kernel: number): number {
    const { outputs, shuffle = 1 } = this.layer;
    return this.unit === 'input channel'
      ? Math.floor(kernel / outputs)
      : Math.floor((kernel % outputs) / shuffle ** 2);
  }

  /** Σ over each channel's neurons. */
  sums(neurons: ArrayLike<number>): Float64Array {
    const out = new Float64Array(this.count);
    for (let k = 0; k < neurons.length; k++) out[this.of(k)] += neurons[k];
    return out;
  }

  /** ‖·‖₂ of the weights of each channel's kernels. */
  norms(): Float64Array {
    const { weight, inputs, outputs } = this.layer;
    const size = weight.length / (inputs * outputs);
    const squares = new Float64Array(this.count);
    weight.forEach((w, k) => {
      const [output, input] = [Math.floor(k / (inputs * size)), Math.floor(k / size) % inputs];
      squares[this.ofKernel(input * outputs + output)] += w * w;
    });
    return squares.map(Math.sqrt);
  }
}

/** Σ over each channel's kernels of their maps at some pixels, `[channels, pixels]`. @throws CancelledError */
export async function channelMaps(
  trace: Runs,
  index: number,
  channels: Channels,
  pixels: Uint32Array,
  cancel: CancelToken,
): Promise<Float32Array> {
  const maps = new Float32Array(channels.count * pixels.length);
  await trace.eachRun(index, cancel, (kernel, start, values) => {
    const from = channels.of(kernel) * pixels.length;
    for (let p = 0; p < pixels.length; p++) {
      const at = pixels[p] - start;
      if (at >= 0 && at < values.length) maps[from + p] += values[at];
    }
  });
  return maps;
}
