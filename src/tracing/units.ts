import type { LayerTrace } from './types';

/** What a layer's maps are of: units of a linear layer, a convolution's kernels, or the channels that it reads. */
export const unitOf = ({ kind, convolution }: Pick<LayerTrace, 'kind' | 'convolution'>) =>
  kind === 'linear' ? 'neuron' : convolution ? 'kernel' : 'channel';
