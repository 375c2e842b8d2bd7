import { sizeInside } from '../inside';
import { scalarFamily } from './scalar';

/** FINER: sin(ω(|z| + 1)z), with the names of the SIREN notebook and the picture inside the file. */
export const finer = scalarFamily({
  id: 'finer',
  title: 'FINER',
  activations: ['finer'],
  score: (net, candidate) => {
    if (net.layout !== 'notebook' || net.scale !== 'sine') return 0;
    return sizeInside(candidate) ? 0.88 : 0.4;
  },
  coords: 'rc-per-side',
  range: '-1..1',
});
