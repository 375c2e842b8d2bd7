import { GraphBuilder } from '../../graph/build';
import type { Act } from '../activations';
import { relu, tanh } from '../activations';
import type { Settings } from '../assumptions';
import { positionalEncoding } from '../encodings';
import type { Candidate, Family, Match, Near, Network } from '../family';
import type { Affine } from '../layers';
import { unexplained } from '../layouts';
import { numberOfParameters, summaryOf } from '../mlp';
import { picture } from '../picture';
import { choiceSetting, numberSetting } from '../settings';
import { LayerWriter } from '../writer';

/** Layers `lin0`, `lin1`, …; where one gives fewer values than the next takes, the input joins again. */
interface Distance {
  readonly layers: readonly Affine[];
  /** Values of the encoded position. */
  readonly position: number;
  /** Values of the shape's code, before the position (DeepSDF). */
  readonly code: number;
  /** The layer that the input joins before; −1 for none. */
  readonly skip: number;
}

function distanceIn(candidate: Candidate): Distance | Near | undefined {
  const lists = new Map<string, Affine[]>();
  for (const layer of candidate.layers) {
    const match = /^(.*?)lin_?(\d+)$/.exec(layer.name);
    if (match) lists.set(match[1], [...(lists.get(match[1]) ?? []), layer]);
  }
  // NeuS keeps a colour network beside the distance's.
  const prefix = [...lists.keys()].find((text) => /sdf|implicit/.test(text)) ?? [...lists.keys()][0];
  if (prefix === undefined) return undefined;
  const layers = lists.get(prefix)!.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  if (layers.length < 3) return undefined;
  const [{ inputs }] = layers;
  const joints = layers.flatMap((layer, i) => (i > 0 && layers[i - 1].outputs !== layer.inputs ? [i] : []));
  const [skip = -1] = joints;
  if (joints.length > 1 || (skip > 0 && layers[skip].inputs !== layers[skip - 1].outputs + inputs)) {
    return { likeness: 0.5, missing: 'its layers do not follow one another with one skip connection' };
  }
  const encoded = inputs % 3 === 0 && (inputs / 3) % 2 === 1;
  const levels = (inputs / 3 - 1) / 2;
  if (encoded && levels <= 10) return { layers, position: inputs, code: 0, skip };
  if (inputs > 3) return { layers, position: 3, code: inputs - 3, skip };
  return undefined;
}

const distanceActs = ['softplus100', 'relu', 'softplus'] as const;
const distanceAct = choiceSetting<(typeof distanceActs)[number]>(
  'activation',
  ['act_fn', 'beta'],
  distanceActs,
  {
    '100': 'softplus100',
  },
);
const distanceFinal = choiceSetting('finalActivation', ['final_act'], ['identity', 'tanh']);
/** Half the side of the square that the slice shows. */
const extent = numberSetting('extent', ['bound', 'bounds'], { choices: [1, 1.5, 2] });

/** log(1 + exp(β·z)) / β */
const softplus = (beta: number): Act => ({
  kind: 'softplus',
  apply: (graph, z) => graph.scale(graph.op('Softplus', [graph.scale(z, beta)]), 1 / beta),
  scalar: (z) => (Math.max(beta * z, 0) + Math.log1p(Math.exp(-Math.abs(beta * z)))) / beta,
});

function build(
  { layers, position, code, skip }: Distance,
  candidate: Candidate,
  settings: Settings,
): Network {
  // DeepSDF normalises its weights and uses ReLU, a tanh at the end, and joins without a factor.
  const normalised = [...candidate.tensors.keys()].some((name) => /weight_g$|original0$/.test(name));
  const neus = position > 3;
  const deepSdf = code > 0 || (normalised && !neus && layers.at(-1)!.outputs === 1);
  const kind = settings.get(distanceAct, {
    value: deepSdf ? 'relu' : 'softplus100',
    source: 'default',
    confidence: 0.6,
    choices: distanceActs,
  });
  const act = kind === 'relu' ? relu : softplus(kind === 'softplus' ? 1 : 100);
  const final = settings.get(distanceFinal, {
    value: deepSdf ? 'tanh' : 'identity',
    source: 'default',
    confidence: 0.7,
  });
  const half = settings.get(extent, { value: 1, source: 'default', confidence: 0.6 });
  const shown = picture(settings, 3, 1, {
    coords: { value: 'xy-per-side', source: 'default', confidence: 0.6 },
    range: { value: '-1..1', source: 'default', confidence: 0.9, detail: 'a distance: 0 is the surface' },
    size: { value: '200x200', source: 'default', confidence: 0.5, detail: 'a slice may have any size' },
  });
  const graph = new GraphBuilder();
  const writer = new LayerWriter(graph);
  const place = graph.scale(shown.coordinates(graph), half);
  let input = place;
  if (position > 3) {
    input = positionalEncoding({
      dims: 3,
      frequencies: Array.from({ length: (position / 3 - 1) / 2 }, (_, k) => 2 ** k),
      order: 'nerf',
      includeInput: true,
    }).apply(graph, place);
  }
  if (code > 0) {
    // Without a shape's code the mean one, which is zero.
    const zeros = graph.linear(place, new Float32Array(code * 3), null, code, 3);
    input = graph.concat([zeros, input], 0);
  }
  let value = input;
  layers.forEach((layer, i) => {
    if (i === skip) {
      const joined = graph.concat([value, input], 0);
      value = kind === 'relu' ? joined : graph.scale(joined, Math.SQRT1_2);
    }
    const last = i === layers.length - 1;
    if (!last) value = writer.layer(layer, value, act);
    else {
      const distance = headOf(layer);
      const z = writer.affine(distance, value, final === 'tanh' ? tanh : { ...act, kind: 'identity' }, true);
      value = final === 'tanh' ? tanh.apply(graph, z) : z;
    }
  });
  return {
    parameters: numberOfParameters(layers),
    signal: { ...shown.signal, kind: 'volume' },
    domain: shown.domain,
    encoding: position > 3 ? `positional encoding, ${(position / 3 - 1) / 2} frequencies` : 'none',
    activation: act.kind,
    graph: graph.build(value),
    outputRange: shown.outputRange,
    summary: writer.layers.map(summaryOf),
    layers: writer.layers,
  };
}

/** The first output is the distance; NeuS puts features for its colour network behind it. */
function headOf(layer: Affine): Affine {
  if (layer.outputs === 1) return layer;
  return {
    ...layer,
    outputs: 1,
    weight: () => layer.weight().slice(0, layer.inputs),
    bias: () => layer.bias()?.slice(0, 1) ?? null,
  };
}

/** Signed distances: DeepSDF (Park et al. 2019), IGR (Gropp et al. 2020), NeuS (Wang et al. 2021). */
export const sdf: Family = {
  id: 'sdf',
  title: 'Signed distance field',
  match: (candidate): Match | Near | undefined => {
    const found = distanceIn(candidate);
    if (!found || 'likeness' in found) return found;
    const own = new Set(found.layers.flatMap(({ keys }) => keys));
    const beside = unexplained(
      candidate.others,
      (name) => own.has(name) || /variance|deviation|bn\d/.test(name),
    );
    return beside.length
      ? undefined
      : { score: 0.88, build: (settings) => build(found, candidate, settings) };
  },
};
