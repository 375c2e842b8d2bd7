import { GraphBuilder } from '../../graph/build';
import { relu, sigmoid } from '../activations';
import type { Settings } from '../assumptions';
import { positionalEncoding } from '../encodings';
import type { Candidate, Family, Match, Near, Network } from '../family';
import type { Affine } from '../layers';
import { numberOfParameters, summaryOf } from '../mlp';
import { picture } from '../picture';
import { numberSetting } from '../settings';
import type { TracedLayer } from '../types';

/** The layers of a radiance field, by what they do. */
interface Field {
  /** Position to features; a skip connection joins the encoded position again. */
  readonly trunk: readonly Affine[];
  readonly feature: Affine;
  readonly density: Affine;
  readonly views: Affine;
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
    if (!feature || !density || !views || !rgb) return 'incomplete';
    const position = own[0].inputs;
    const direction = views.inputs - feature.outputs;
    const width = own[0].outputs;
    const fits =
      own.every(({ inputs }, i) => i === 0 || inputs === width || inputs === width + position) &&
      [position, direction].every((n) => n % 3 === 0 && (n / 3) % 2 === 1) &&
      density.outputs === 1 &&
      views.outputs === rgb.inputs &&
      rgb.outputs === 3;
    return fits ? { trunk: own, feature, density, views, rgb, position, direction } : 'incomplete';
  }
  return undefined;
}

/** Half the side of the square that the slice shows, in the scene's units. */
const extent = numberSetting('extent', ['bound', 'bounds'], { choices: [1, 1.5, 2, 4] });

/** Where the slice lies. */
const depth = numberSetting('depth', [], { min: -1e6 });

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
  const direction = encode(graph.concat([constant(0), constant(0), constant(-1)], 0), field.direction);

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
  value = affine(field.feature, value, false);
  value = affine(field.views, graph.concat([value, direction], 0), false);
  value = affine(field.rgb, value, true);
  const { trunk, feature, density, views, rgb } = field;
  return {
    parameters: numberOfParameters([...trunk, feature, density, views, rgb]),
    signal: { ...shown.signal, kind: 'field' },
    domain: shown.domain,
    encoding: `positional encoding, ${(field.position / 3 - 1) / 2} frequencies of position, ${(field.direction / 3 - 1) / 2} of direction`,
    activation: 'relu',
    graph: graph.build(value),
    outputRange: shown.outputRange,
    summary: [
      ...layers.map(summaryOf),
      {
        name: density.name,
        kind: 'linear',
        inputs: density.inputs,
        outputs: 1,
        neurons: 0,
        activation: 'relu',
      },
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

/** Fields over hash grids: named, but their look-ups cannot be run from the weights alone. */
const grid = (
  id: string,
  title: string,
  isGrid: (name: string, shape: readonly number[]) => boolean,
): Family => ({
  id,
  title,
  match: ({ tensors }) =>
    [...tensors].some(([name, { shape }]) => isGrid(name, shape))
      ? {
          likeness: 0.9,
          missing:
            'its features are looked up in a hash grid whose resolutions are not in the file, so it cannot be run from the weights alone',
        }
      : undefined,
});

export const hashGrids: readonly Family[] = [
  grid('hash-grid-ngp', 'Hash-grid field (torch-ngp)', (name) => /(^|\.)encoder\w*\.embeddings$/.test(name)),
  grid(
    'hash-grid',
    'Hash-grid field (HashNeRF)',
    (name, shape) => /(^|\.)embeddings\.\d+\.weight$/.test(name) && shape[1] <= 8,
  ),
  grid(
    'hash-grid-tcnn',
    'Hash-grid field (tiny-cuda-nn)',
    (name, shape) => /(^|\.|_)params$/.test(name) && shape.length === 1,
  ),
];
