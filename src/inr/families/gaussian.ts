import { scalarFamily } from './scalar';

/** exp(−(s·z)²) with PyTorch's own initialisation and the names of the SIREN notebook (WIRE, FINER). */
export const gaussian = scalarFamily({
  id: 'gaussian',
  title: 'Gaussian network',
  activations: ['gaussian'],
  score: (net) => (net.layout === 'notebook' && net.scale === 'default' ? 0.55 : 0),
  coords: 'rc-per-side',
  range: '0..1',
  scale: 10,
});
