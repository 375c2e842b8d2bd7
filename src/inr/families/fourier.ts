import type { Tensor } from '../../checkpoint/types';
import { askActivations } from '../ask';
import { fourierFeatures } from '../encodings';
import type { Candidate, Family } from '../family';
import type { Affine } from '../layers';
import { coordinateChain, joiningChain, unexplained, type CoordinateChain } from '../layouts';
import { buildMlp } from '../mlp';
import { choiceSetting, frequencyFactor, frequencyFactors } from '../settings';

/** Whether the sines or the cosines come first. */
const encoding = choiceSetting('encoding', ['encoding_order'], ['sin-cos', 'cos-sin']);

/** A stored matrix of frequencies and the network that takes its sines and cosines. */
interface Frequencies {
  readonly name: string;
  readonly tensor: Tensor;
  readonly dims: number;
  /** Stored as `[dims, frequencies]`. */
  readonly transposed: boolean;
  readonly net: CoordinateChain;
}

/** Reads a matrix as frequencies if twice their number is what the network takes. */
function fit(name: string, tensor: Tensor, net: CoordinateChain): Frequencies | undefined {
  if (tensor.shape.length !== 2 || tensor.isComplex) return undefined;
  const [rows, columns] = tensor.shape;
  if (2 * rows === net.inputs && columns <= 3) return { name, tensor, dims: columns, transposed: false, net };
  if (2 * columns === net.inputs && rows <= 3) return { name, tensor, dims: rows, transposed: true, net };
  return undefined;
}

export function frequenciesIn(candidate: Candidate): Frequencies | undefined {
  const net = joiningChain(candidate);
  if (net) {
    for (const [name, tensor] of candidate.others) {
      const found = fit(name, tensor, net);
      if (found) return found;
    }
    return undefined;
  }
  // A frozen nn.Linear without bias may hold the frequencies.
  for (const layer of candidate.layers.filter(({ keys, inputs }) => keys.length === 1 && inputs <= 3)) {
    const rest = coordinateChain(
      candidate,
      candidate.layers.filter((other: Affine) => other !== layer),
    );
    const found = rest && fit(layer.keys[0], candidate.tensors.get(layer.keys[0])!, rest);
    if (found) return found;
  }
  return undefined;
}

/** Gaussian Fourier features (Tancik et al. 2020) before an MLP, with B stored under any name. */
export const fourier: Family = {
  id: 'fourier',
  title: 'Fourier-feature network',
  match: (candidate) => {
    const found = frequenciesIn(candidate);
    if (!found) {
      const net = joiningChain(candidate);
      // Some hundreds of even inputs, three channels: the picture of a network whose B is elsewhere.
      return net?.channels === 3 && net.inputs >= 64 && net.inputs % 2 === 0
        ? {
            likeness: 0.4,
            missing:
              `the matrix B of its ${net.inputs / 2} frequencies is not in the file; ` +
              'keep it as a buffer (register_buffer) and save again',
          }
        : undefined;
    }
    const { name, tensor, dims, transposed, net } = found;
    if (unexplained(candidate.others, (other) => other === name).length) return undefined;
    return {
      score: 0.85,
      build: (settings) => {
        const order = settings.get(encoding, { value: 'sin-cos', source: 'default', confidence: 0.8 });
        const factor = settings.get(frequencyFactor, { value: '2pi', source: 'default', confidence: 0.85 });
        const acts = askActivations(settings, net.layers, {
          hidden: { value: 'relu', source: 'default', confidence: 0.85 },
          final: {
            value: 'identity',
            source: 'default',
            confidence: 0.5,
            choices: ['identity', 'sigmoid', 'tanh'],
          },
        });
        return buildMlp(
          {
            layers: net.layers,
            acts,
            encoding: fourierFeatures(tensor.read(), dims, {
              transposed,
              factor: frequencyFactors[factor],
              cosFirst: order === 'cos-sin',
            }),
            picture: {
              coords: {
                value: 'xy-per-side-01-open',
                source: 'default',
                confidence: 0.4,
                detail: 'as the paper’s code does',
              },
              range: { value: '0..1', source: 'default', confidence: 0.8 },
            },
          },
          settings,
        );
      },
    };
  },
};
