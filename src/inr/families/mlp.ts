import { regular } from '../layouts';
import { hiddenActivations } from '../settings';
import { scalarFamily } from './scalar';

/** Names that only coordinate networks have. */
const HINT = /^(inr|siren|coord|coordinate|implicit|nerf|sdf|field|pixel)/;

/** A plain MLP on coordinates: ReLU unless something says otherwise. */
export const mlp = scalarFamily({
  id: 'mlp',
  title: 'Plain coordinate MLP',
  activations: ['relu', ...hiddenActivations.filter((name) => !['relu', 'sine', 'finer'].includes(name))],
  score: (net, candidate) => {
    // Two inputs and three outputs is also a small control policy: hidden layers of one width, and enough of them.
    const hinted = [...net.words].some((word) => HINT.test(word));
    const pictureLike = net.inputs === 2 && (net.channels === 3 || net.channels === 1 || candidate.meant);
    const fieldLike = net.inputs === 3 && net.channels !== 2;
    if (!hinted && (net.layers.length < 3 || !regular(net) || !(pictureLike || fieldLike))) return 0;
    const base = hinted ? 0.7 : net.channels === 3 ? 0.5 : 0.42;
    return net.scale === 'sine' ? base * 0.7 : base;
  },
  coords: 'rc-per-side',
  range: '0..1',
});
