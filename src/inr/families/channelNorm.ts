/** Normalisation of a decoder's channels, between a convolution with its PixelShuffle and the activation. */
import type { Tensor } from '../../checkpoint/types';
import type { GraphBuilder } from '../../graph/build';
import type { Settings } from '../assumptions';
import { batchNorm } from '../between';
import { choiceSetting, type Setting } from '../settings';

/** What a state dict says of the normalisation of some channels. */
export interface StoredNorm {
  /** Of a batch norm, as it is after training: `scale · x + shift`; else γ and β of one that uses the frame's own. */
  readonly scale: () => Float32Array;
  readonly shift: () => Float32Array;
  readonly batch: boolean;
}

/** By each channel's mean and variance over the frame. */
export interface InstanceNorm {
  readonly scale: Float32Array;
  readonly shift: Float32Array;
  readonly epsilon: number;
}

/** PyTorch's. */
const EPSILON = 1e-5;

/** The normalisation stored under a module's name; null when what is there is none that is known. */
export function storedNorm(
  tensors: ReadonlyMap<string, Tensor>,
  name: string,
  channels: number,
): StoredNorm | undefined | null {
  const own = [...tensors].filter(([key]) => key.startsWith(`${name}.`));
  if (own.length === 0) return undefined;
  const parts = new Map(own.map(([key, tensor]) => [key.slice(name.length + 1), tensor]));
  parts.delete('num_batches_tracked');
  const vectors = [...parts.values()].every(({ shape }) => shape.length === 1 && shape[0] === channels);
  const has = (...names: string[]) => parts.size === names.length && names.every((part) => parts.has(part));
  const read = (part: string) => parts.get(part)!.read();
  if (!vectors) return null;
  if (has('weight', 'bias')) {
    return { batch: false, scale: () => read('weight'), shift: () => read('bias') };
  }
  if (!has('weight', 'bias', 'running_mean', 'running_var')) return null;
  const folded = () =>
    batchNorm(read('weight'), read('bias'), read('running_mean'), read('running_var'), EPSILON);
  return { batch: true, scale: () => folded().scale, shift: () => folded().shift };
}

type Kind = 'none' | 'batch' | 'instance';

/**
 * What normalises the blocks. A batch norm is seen by its running means; an instance norm without γ and β has no
 * tensors at all, and only the configuration tells.
 * @param stored of all blocks
 */
export function askNorm(settings: Settings, stored: readonly (StoredNorm | undefined)[]): Kind {
  const found = stored.find((norm) => norm !== undefined);
  const choices: readonly Kind[] = !found ? ['none', 'instance'] : found.batch ? ['batch'] : ['instance'];
  const setting: Setting<Kind> = choiceSetting('norm', ['norm'], choices, {
    ...(choices.includes('instance') && { in: 'instance' }),
    ...(choices.includes('batch') && { bn: 'batch' }),
  });
  if (!found) return settings.get(setting, { value: 'none', source: 'default', confidence: 0.9 });
  return settings.get(
    setting,
    found.batch
      ? { value: 'batch', source: 'state dict', confidence: 1, detail: 'with its running means' }
      : { value: 'instance', source: 'default', confidence: 0.5, detail: 'scales without running means' },
  );
}

/** A batch norm worked into the weights and biases of the convolution before it; `outputs / channels` rows each. */
export function foldBatchNorm(
  weight: Float32Array,
  bias: Float32Array | null,
  outputs: number,
  norm: StoredNorm,
): { readonly weight: Float32Array; readonly bias: Float32Array } {
  const [scale, shift] = [norm.scale(), norm.shift()];
  const [phases, row] = [outputs / scale.length, weight.length / outputs];
  const channel = (o: number) => Math.floor(o / phases);
  return {
    weight: weight.map((w, k) => w * scale[channel(Math.floor(k / row))]),
    bias: Float32Array.from({ length: outputs }, (_, o) => {
      return (bias?.[o] ?? 0) * scale[channel(o)] + shift[channel(o)];
    }),
  };
}

export function instanceNorm(norm: StoredNorm | undefined, channels: number): InstanceNorm {
  return {
    scale: norm?.scale() ?? new Float32Array(channels).fill(1),
    shift: norm?.shift() ?? new Float32Array(channels),
    epsilon: EPSILON,
  };
}

/** Adds an instance norm to the graph, of `[1, channels · phases, h, w]` as it is before PixelShuffle. */
export function normalisePhases(
  graph: GraphBuilder,
  x: string,
  { scale, shift, epsilon }: InstanceNorm,
  shape: { readonly outputs: number; readonly height: number; readonly width: number },
): string {
  const { outputs, height, width } = shape;
  const channels = scale.length;
  if (channels === outputs) return graph.instanceNorm(x, scale, shift, epsilon);
  // PixelShuffle only moves values: the phases of a channel have its mean and variance before it, too.
  const together = graph.reshape(x, [1, channels, (outputs / channels) * height, width]);
  return graph.reshape(graph.instanceNorm(together, scale, shift, epsilon), [1, outputs, height, width]);
}
