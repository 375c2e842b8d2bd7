import type { TracedLayer } from '../../inr/types';

/** Graph value that a layer's convolution makes. */
export const convolved = ({ preActivation, instanceNorm }: TracedLayer): string =>
  instanceNorm?.of ?? preActivation;

/**
 * A layer as it is at one frame. What an instance norm does to a frame is a gain and a shift for each channel; with
 * both worked into weights and biases, the kernels add up to what the norm hands on.
 * @param made the convolution's values at the frame, `[outputs, h, w]`, where the layer has such a norm
 * @returns the layer, and the gain of each row of its weights
 */
export function atFrame(
  layer: TracedLayer,
  made: Float32Array | undefined,
): { readonly layer: TracedLayer; readonly gain: Float32Array | undefined } {
  const { instanceNorm: norm, outputs, weight, bias } = layer;
  if (!norm || !made) return { layer, gain: undefined };
  const channels = norm.scale.length;
  const [phases, size, row] = [outputs / channels, made.length / channels, weight.length / outputs];
  const gain = new Float32Array(outputs);
  const shift = new Float32Array(outputs);
  for (let c = 0; c < channels; c++) {
    const values = made.subarray(c * size, (c + 1) * size);
    let mean = 0;
    for (const v of values) mean += v / size;
    let variance = 0;
    for (const v of values) variance += (v - mean) ** 2 / size;
    const g = norm.scale[c] / Math.sqrt(variance + norm.epsilon);
    gain.fill(g, c * phases, (c + 1) * phases);
    shift.fill(norm.shift[c] - mean * g, c * phases, (c + 1) * phases);
  }
  return {
    gain,
    layer: {
      ...layer,
      weight: weight.map((w, k) => w * gain[Math.floor(k / row)]),
      bias: shift.map((s, o) => s + (bias?.[o] ?? 0) * gain[o]),
    },
  };
}
