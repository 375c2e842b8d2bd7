import type { LayerTrace } from './types';

/** What a layer's maps are of: units of a linear layer, a convolution's kernels, or the channels that it reads. */
export type Unit = 'neuron' | 'kernel' | 'channel';

export const unitOf = ({ kind, convolution }: Pick<LayerTrace, 'kind' | 'convolution'>): Unit =>
  kind === 'linear' ? 'neuron' : convolution ? 'kernel' : 'channel';
