import { askActivations } from '../ask';
import { fourierFeatures, positionalEncoding } from '../encodings';
import type { Candidate, Family } from '../family';
import { joiningChain, unexplained } from '../layouts';
import { buildMlp, type Encoding } from '../mlp';

/** The stored encoding: buffer `B` (Fourier) or `freq_bands` (NeRF order with the coordinates). */
function encodingOf(candidate: Candidate, kind: 'fourier' | 'nerf', fanIn: number): Encoding | undefined {
  const suffix = kind === 'fourier' ? 'positional_encoding.B' : 'positional_encoding.freq_bands';
  const buffer = [...candidate.others].find(([name]) => name === suffix || name.endsWith(`.${suffix}`))?.[1];
  if (!buffer) return undefined;
  if (kind === 'fourier') {
    const [count, dims] = buffer.shape;
    if (buffer.shape.length !== 2 || dims > 3 || 2 * count !== fanIn) return undefined;
    return fourierFeatures(buffer.read(), dims, { transposed: false, factor: 2 * Math.PI, cosFirst: false });
  }
  const dims = fanIn / (2 * buffer.size + 1);
  if (buffer.shape.length !== 1 || ![1, 2, 3].includes(dims)) return undefined;
  return positionalEncoding({
    dims,
    frequencies: [...buffer.read()],
    order: 'nerf',
    includeInput: true,
  });
}

const family = (kind: 'fourier' | 'nerf', title: string): Family => ({
  id: `xinc-${kind}`,
  title,
  match: (candidate) => {
    const net = joiningChain(candidate);
    if (net?.layout !== 'all-linear') return undefined;
    const encoding = encodingOf(candidate, kind, net.inputs);
    if (!encoding) return undefined;
    if (unexplained(candidate.others, (name) => /positional_encoding\.(B|freq_bands)$/.test(name)).length) {
      return undefined;
    }
    return {
      score: 0.98,
      build: (settings) => {
        const acts = askActivations(settings, net.layers, {
          hidden: { value: 'relu', source: 'default', confidence: 0.9 },
          final: {
            value: 'identity',
            source: 'default',
            confidence: 0.8,
            choices: ['identity', 'sigmoid', 'tanh'],
          },
        });
        return buildMlp(
          {
            layers: net.layers,
            acts,
            encoding,
            picture: {
              coords: {
                value: 'rc-longest',
                source: 'default',
                confidence: 0.7,
                detail: 'as XINC’s training code does',
              },
              range: { value: '0..1', source: 'default', confidence: 0.85 },
            },
          },
          settings,
        );
      },
    };
  },
});

/** Feed-forward nets of XINC (CVPR 2024): every layer named `.linear`, the encoding a buffer. */
export const xinc: readonly Family[] = [
  family('fourier', 'Fourier-feature network (XINC layout)'),
  family('nerf', 'Positional-encoding network (XINC layout)'),
];
