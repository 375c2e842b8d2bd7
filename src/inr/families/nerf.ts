import { GraphBuilder } from '../../graph/build';
import { relu, sigmoid } from '../activations';
import type { Settings } from '../assumptions';
import { positionalEncoding } from '../encodings';
import type { Candidate, Family, Match, Near, Network } from '../family';
import type { Affine } from '../layers';
import { numberOfParameters, summaryOf } from '../mlp';
import { depth, picture } from '../picture';
import { numberSetting } from '../settings';
import type { TracedLayer } from '../types';

/** The layers of a radiance field, by what they do. */
interface Field {
  /** Position to features; a skip connection joins the encoded position again. */
  readonly trunk: readonly Affine[];
  readonly feature: Affine | undefined;
  readonly density: Affine | undefined;
  readonly views: Affine | undefined;
  /** Colour, or colour and density of a field without view directions. */
  readonly rgb: Affine;
  /** Encoded position and direction. */
  readonly position: number;
  readonly direction: number;
}

/** Names of nerf-pytorch and of nerf_pl; the fine network is the one to show. */
const SPELLINGS = [
  {
    trunk: /^(.*?)pts_linears\.(\d+)$/,
    feature: 'feature_linear',
    density: 'alpha_linear',
    views: 'views_linears.0',
    rgb: 'rgb_linear',
  },
  {
    trunk: /^(.*?)xyz_encoding_(\d+)\.0$/,
    feature: 'xyz_encoding_final',
    density: 'sigma',
    views: 'dir_encoding.0',
    rgb: 'rgb.0',
  },
] as const;

/** A layer of which only the first outputs are looked at. */
const firstOutputs = (layer: Affine, outputs: number): Affine => ({
  ...layer,
  outputs,
  weight: () => layer.weight().slice(0, outputs * layer.inputs),
  bias: () => layer.bias()?.slice(0, outputs) ?? null,
});

/** Layers of one width over encoded positions, which may join again. */
function isTrunk(layers: readonly Affine[]): boolean {
  const [{ inputs: position, outputs: width }] = layers;
  return (
    position % 3 === 0 &&
    (position / 3) % 2 === 1 &&
    layers.every(
      ({ inputs, outputs }, i) =>
        outputs === width && (i === 0 || inputs === width || inputs === width + position),
    )
  );
}

function fieldIn({ layers }: Candidate): Field | 'incomplete' | undefined {
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  for (const spelling of SPELLINGS) {
    const trunk = layers
      .map((layer) => ({ layer, match: spelling.trunk.exec(layer.name) }))
      .filter(({ match }) => match);
    if (trunk.length === 0) continue;
    // nerf_pl keeps `nerf_coarse` and `nerf_fine`.
    const prefixes = [...new Set(trunk.map(({ match }) => match![1]))];
    const prefix = prefixes.find((text) => text.includes('fine')) ?? prefixes[0];
    const own = trunk
      .filter(({ match }) => match![1] === prefix)
      .sort((a, b) => Number(a.match![2]) - Number(b.match![2]))
      .map(({ layer }) => layer);
    const [feature, density, views, rgb] = [
      spelling.feature,
      spelling.density,
      spelling.views,
      spelling.rgb,
    ].map((name) => byName.get(prefix + name));
    const output = byName.get(`${prefix}output_linear`);
    if (output?.outputs === 4 && !rgb && isTrunk(own)) {
      // use_viewdirs=False: `views_linears` is there, but not used.
      const [{ inputs: position }] = own;
      return {
        trunk: own,
        feature: undefined,
        density: undefined,
        views: undefined,
        rgb: firstOutputs(output, 3),
        position,
        direction: 0,
      };
    }
    if (!feature || !density || !views || !rgb) return 'incomplete';
    const position = own[0].inputs;
    const direction = views.inputs - feature.outputs;
    const width = own[0].outputs;
    const fits =
      isTrunk(own) &&
      width === feature.inputs &&
      direction % 3 === 0 &&
      (direction / 3) % 2 === 1 &&
      density.outputs === 1 &&
      views.outputs === rgb.inputs &&
      rgb.outputs === 3;
    return fits ? { trunk: own, feature, density, views, rgb, position, direction } : 'incomplete';
  }
  return undefined;
}

/** Half the side of the square that the slice shows, in the scene's units. */
const extent = numberSetting('extent', ['bound', 'bounds'], { choices: [1, 1.5, 2, 4] });

/** Colours in a plane z = depth, seen along −z: a field needs cameras to be a picture. */
function build(field: Field, settings: Settings): Network {
  const half = settings.get(extent, { value: 1.5, source: 'default', confidence: 0.3 });
  const z = settings.get(depth, {
    value: 0,
    source: 'default',
    confidence: 0.3,
    detail: 'a slice through the middle',
  });
  const shown = picture(settings, 2, 3, {
    coords: { value: 'xy-per-side', source: 'default', confidence: 0.6 },
    range: { value: '0..1', source: 'default', confidence: 1 },
    size: { value: '200x200', source: 'default', confidence: 0.5, detail: 'a slice may have any size' },
  });
  const graph = new GraphBuilder();
  const xy = graph.scale(shown.coordinates(graph), half);
  const constant = (value: number) =>
    graph.op('Add', [graph.scale(graph.slice(xy, 0, 0, 1), 0), graph.scalar(value)]);
  const encode = (value: string, features: number) =>
    positionalEncoding({
      dims: 3,
      frequencies: Array.from({ length: (features / 3 - 1) / 2 }, (_, k) => 2 ** k),
      order: 'nerf',
      includeInput: true,
    }).apply(graph, value);
  // Rows of a picture go down, y goes up.
  const y = graph.op('Neg', [graph.slice(xy, 0, 1, 2)]);
  const position = encode(graph.concat([graph.slice(xy, 0, 0, 1), y, constant(z)], 0), field.position);

  const layers: TracedLayer[] = [];
  const affine = (layer: Affine, input: string, last: boolean): string => {
    const { name, inputs, outputs } = layer;
    const [weight, bias] = [layer.weight(), layer.bias()];
    const preActivation = graph.linear(input, weight, bias, outputs, inputs);
    const act = last ? sigmoid : layer === field.feature ? undefined : relu;
    layers.push({
      name,
      kind: 'linear',
      inputs,
      outputs,
      input,
      preActivation,
      weight,
      bias,
      activation: act?.kind ?? 'identity',
      ...(act?.scalar && { activate: act.scalar }),
      last,
    });
    return act ? act.apply(graph, preActivation) : preActivation;
  };
  let value = position;
  field.trunk.forEach((layer, i) => {
    const skip = i > 0 && layer.inputs > field.trunk[i - 1].outputs;
    value = affine(layer, skip ? graph.concat([position, value], 0) : value, false);
  });
  if (field.feature && field.views) {
    const view = graph.concat([constant(0), constant(0), constant(-1)], 0);
    value = affine(field.feature, value, false);
    value = affine(field.views, graph.concat([value, encode(view, field.direction)], 0), false);
  }
  value = affine(field.rgb, value, true);
  const { trunk, feature, density, views, rgb } = field;
  return {
    parameters: numberOfParameters(
      [...trunk, feature, density, views, rgb].filter((layer) => layer !== undefined),
    ),
    signal: { ...shown.signal, kind: 'field' },
    domain: shown.domain,
    encoding:
      `positional encoding, ${(field.position / 3 - 1) / 2} frequencies of position` +
      (views ? `, ${(field.direction / 3 - 1) / 2} of direction` : ''),
    activation: 'relu',
    graph: graph.build(value),
    outputRange: shown.outputRange,
    summary: [
      ...layers.map(summaryOf),
      ...(density && views
        ? [
            {
              name: density.name,
              kind: 'linear',
              inputs: density.inputs,
              outputs: 1,
              neurons: 0,
              activation: 'relu' as const,
            },
          ]
        : []),
    ],
    layers,
  };
}

/** NeRF (Mildenhall et al. 2020): a slice of the field; a picture would need the dataset's cameras. */
export const nerf: Family = {
  id: 'nerf',
  title: 'NeRF (radiance field)',
  match: (candidate): Match | Near | undefined => {
    const field = fieldIn(candidate);
    if (!field) return undefined;
    if (field === 'incomplete') {
      return { likeness: 0.8, missing: 'its layers are not those of a field with view directions' };
    }
    return { score: 0.95, build: (settings) => build(field, settings) };
  },
};
