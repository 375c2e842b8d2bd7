import { GraphBuilder } from '../graph/build';
import type { Act } from './activations';
import type { Settings } from './assumptions';
import { normalise, normPlaces } from './between';
import type { Network } from './family';
import { joinsAt, type Affine } from './layers';
import { picture, type PictureDefaults } from './picture';
import { choiceSetting } from './settings';
import type { LayerSummary, TracedLayer } from './types';

/** What comes between the coordinates and the first affine layer. */
export interface Encoding {
  /** `none`, or e.g. `Fourier features, 104 frequencies`. */
  readonly label: string;
  /** Number of coordinates it takes. */
  readonly dims: number;
  /** `[dims, P]` → `[first layer's inputs, P]`. */
  apply(graph: GraphBuilder, coordinates: string): string;
}

export const noEncoding = (dims: number): Encoding => ({ label: 'none', dims, apply: (_, x) => x });

export interface MlpPlan {
  readonly layers: readonly Affine[];
  /** One for each layer. */
  readonly acts: readonly Act[];
  readonly encoding: Encoding;
  readonly picture: PictureDefaults;
}

/** Elements of weights and biases; a complex one counts once. */
export const numberOfParameters = (layers: readonly Affine[]) =>
  layers.reduce((sum, layer) => sum + layer.outputs * (layer.inputs + (layer.hasBias ? 1 : 0)), 0);

/** Which comes first where the input joins again: NeRF's code puts the input there, DeepSDF's the hidden values. */
const skipOrders = ['input-first', 'hidden-first'] as const;
const skipOrder = choiceSetting<(typeof skipOrders)[number]>('skipOrder', ['skip_order'], skipOrders);

const normPlace = choiceSetting('normPlace', ['norm_order', 'norm_place'], normPlaces);

/** A coordinate MLP: coordinates → encoding → affine layers, each with its activation → channels. */
export function buildMlp(plan: MlpPlan, settings: Settings): Network {
  const { layers, acts, encoding } = plan;
  const channels = layers[layers.length - 1].outputs;
  const { signal, domain, outputRange, coordinates } = picture(
    settings,
    encoding.dims,
    channels,
    plan.picture,
  );

  const graph = new GraphBuilder();
  const input = encoding.apply(graph, coordinates(graph));
  const joins = layers.map((_, i) => joinsAt(layers, i) && layers[i].inputs !== layers[i - 1].outputs);
  const inputFirst =
    joins.includes(true) &&
    settings.get(skipOrder, {
      value: 'input-first',
      source: 'default',
      confidence: 0.6,
      choices: skipOrders,
    }) === 'input-first';
  const norms = layers.flatMap(({ between }) => between?.norm ?? []);
  const normsAfter =
    norms.length > 0 &&
    settings.get(normPlace, {
      value: norms[0].place ?? 'before-activation',
      source: norms[0].place ? 'inferred' : 'default',
      confidence: norms[0].place ? 0.9 : 0.6,
    }) === 'after-activation';
  let value = input;
  const traced: TracedLayer[] = [];
  layers.forEach((layer, i) => {
    if (joins[i]) value = graph.concat(inputFirst ? [input, value] : [value, input], 0);
    const [weight, bias, act] = [layer.weight(), layer.bias(), acts[i]];
    const norm = layer.between?.norm;
    const preActivation = graph.linear(value, weight, bias, layer.outputs, layer.inputs);
    traced.push({
      name: layer.name,
      kind: 'linear',
      inputs: layer.inputs,
      outputs: layer.outputs,
      input: value,
      preActivation,
      weight,
      bias,
      activation: act.kind,
      ...(act.scalar && !norm && { activate: act.scalar }),
      last: i === layers.length - 1,
    });
    value = preActivation;
    if (norm && !normsAfter) value = normalise(graph, value, norm);
    value = act.apply(graph, value);
    if (norm && normsAfter) value = normalise(graph, value, norm);
  });
  return {
    parameters: numberOfParameters(layers),
    signal,
    domain,
    encoding: encoding.label,
    activation: acts[0].kind,
    graph: graph.build(value),
    outputRange,
    summary: traced.map(summaryOf),
    layers: traced,
  };
}

/** A traced layer as `inspect` lists it. */
export const summaryOf = (layer: TracedLayer): LayerSummary => ({
  name: layer.name,
  kind: layer.kind,
  inputs: layer.inputs,
  outputs: layer.outputs,
  neurons: layer.kind === 'linear' ? layer.inputs : layer.inputs * layer.outputs,
  activation: layer.activation,
});
