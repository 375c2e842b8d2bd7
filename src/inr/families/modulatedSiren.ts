import type { Tensor } from '../../checkpoint/types';
import { GraphBuilder } from '../../graph/build';
import { finalAct, sine } from '../activations';
import type { Settings } from '../assumptions';
import type { Candidate, Family, Match, Near, Network } from '../family';
import { gridInside } from '../inside';
import type { Affine } from '../layers';
import { coordinateChain, unexplained, type CoordinateChain } from '../layouts';
import { numberOfParameters, summaryOf } from '../mlp';
import { picture } from '../picture';
import { finalActivation, hiddenOmega, omega0 } from '../settings';
import { LayerWriter } from '../writer';

interface Modulated {
  readonly net: CoordinateChain;
  /** One a hidden layer: relu(W·[before, z] + b), times the sine. */
  readonly modulator: readonly Affine[];
  readonly latent: Tensor;
}

const isModulator = (name: string) => /(^|\.)modulator\./.test(name);
const isLatent = (name: string) => /(^|[._])(latents?|codes?|z|mods?)(\.weight)?$/i.test(name);

function modulatedIn(candidate: Candidate): Modulated | Near | undefined {
  const modulator = candidate.layers.filter(({ name }) => isModulator(name));
  if (modulator.length === 0) return undefined;
  const net = coordinateChain(
    candidate,
    candidate.layers.filter((layer) => !modulator.includes(layer) && !isLatent(layer.keys[0])),
  );
  if (!net || net.inputs > 3 || modulator.length !== net.layers.length - 1) return undefined;
  const length = modulator[0].inputs;
  const latent = [...candidate.tensors].find(
    ([name, { size, isComplex }]) => isLatent(name) && size >= length && size % length === 0 && !isComplex,
  )?.[1];
  if (!latent) {
    return {
      likeness: 0.9,
      missing: `the code of ${length} numbers that modulates it is not in the file; save it in the same dictionary, as latent`,
      certain: true,
    };
  }
  const fits = modulator.every(
    (layer, i) =>
      layer.outputs === net.layers[i].outputs &&
      layer.inputs === length + (i === 0 ? 0 : modulator[i - 1].outputs),
  );
  return fits ? { net, modulator, latent } : undefined;
}

/** What the modulator makes of the code: one factor a neuron of each hidden layer. */
function factors({ modulator, latent }: Modulated): Float32Array[] {
  const z = latent.read().subarray(0, modulator[0].inputs);
  const all: Float32Array[] = [];
  modulator.forEach((layer, i) => {
    const input = i === 0 ? z : Float32Array.of(...all[i - 1], ...z);
    const [weight, bias] = [layer.weight(), layer.bias()];
    all.push(
      Float32Array.from({ length: layer.outputs }, (_, row) => {
        let sum = bias?.[row] ?? 0;
        for (let k = 0; k < layer.inputs; k++) sum += weight[row * layer.inputs + k] * input[k];
        return Math.max(0, sum);
      }),
    );
  });
  return all;
}

function build(found: Modulated, candidate: Candidate, settings: Settings): Network {
  const { net, modulator } = found;
  const first = settings.get(omega0, { value: 30, source: 'default', confidence: 0.7 });
  const hidden = settings.get(hiddenOmega, { value: 1, source: 'default', confidence: 0.7 });
  const final = finalAct(
    settings.get(finalActivation, {
      value: 'identity',
      source: 'default',
      confidence: 0.6,
      choices: ['identity', 'sigmoid', 'tanh'],
    }),
    hidden,
  );
  const grid = gridInside(candidate);
  const shown = picture(settings, net.inputs, net.channels, {
    coords: grid?.coords ?? { value: 'rc-per-side', source: 'default', confidence: 0.5 },
    range: { value: '0..1', source: 'default', confidence: 0.6 },
    ...(grid && { size: grid.size }),
  });
  const graph = new GraphBuilder();
  const writer = new LayerWriter(graph);
  const scales = factors(found);
  let value = shown.coordinates(graph);
  net.layers.forEach((layer, i) => {
    if (i === modulator.length) value = writer.layer(layer, value, final, true);
    else {
      const sines = writer.layer(layer, value, sine(i === 0 ? first : hidden));
      value = graph.op('Mul', [sines, graph.constant(scales[i], [layer.outputs, 1])]);
    }
  });
  return {
    parameters: numberOfParameters([...net.layers, ...modulator]) + found.latent.size,
    signal: shown.signal,
    domain: shown.domain,
    encoding: 'none',
    activation: 'sine',
    graph: graph.build(value),
    outputRange: shown.outputRange,
    summary: writer.layers.map(summaryOf),
    layers: writer.layers,
  };
}

/** siren-pytorch's SIREN with a Modulator (Mehta et al. 2021). */
export const modulatedSiren: Family = {
  id: 'siren-modulated',
  title: 'Modulated SIREN (siren-pytorch layout)',
  signal: 'image',
  match: (candidate): Match | Near | undefined => {
    const found = modulatedIn(candidate);
    if (!found || 'likeness' in found) return found;
    if (unexplained(candidate.others, isLatent).length) return undefined;
    return { score: 0.93, build: (settings) => build(found, candidate, settings) };
  },
};
