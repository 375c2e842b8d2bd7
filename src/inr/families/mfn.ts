import { GraphBuilder } from '../../graph/build';
import type { Tensor } from '../../checkpoint/types';
import { finalAct } from '../activations';
import type { Settings } from '../assumptions';
import type { Candidate, Family, Network } from '../family';
import { sizeInside } from '../inside';
import type { Affine } from '../layers';
import { MAX_CHANNELS, unexplained } from '../layouts';
import { numberOfParameters, summaryOf } from '../mlp';
import { picture } from '../picture';
import { finalActivation, integerSetting } from '../settings';
import type { Activation, LayerSummary, TracedLayer } from '../types';

/** z₀ = g₀(x), zᵢ = gᵢ(x)·(Lᵢ zᵢ₋₁ + bᵢ), y = L_out z_n: filters gᵢ are sines, or sines in a Gaussian window. */
interface Filters {
  readonly filters: readonly Affine[];
  readonly linear: readonly Affine[];
  /** Output layers by the number of filters passed; usually one, after the last. */
  readonly outputs: ReadonlyMap<number, Affine>;
  readonly windows: readonly { readonly mu: Tensor; readonly gamma: Tensor }[] | undefined;
}

/** The number in a name that says which of a list it is. */
const indexOf = (layer: Affine) => Number(/(\d+)(?!.*\d)/.exec(layer.name)?.[1] ?? Number.NaN);

/** Layers under a list whose name matches, in order. */
const list = (layers: readonly Affine[], pattern: RegExp) =>
  layers.filter((layer) => pattern.test(layer.name)).toSorted((a, b) => indexOf(a) - indexOf(b));

function filtersIn(candidate: Candidate): Filters | undefined {
  const { layers, others } = candidate;
  const filters = list(layers, /(^|\.)(gabor_|gabon_|fourier_)?filters\.\d+\.linear$/);
  if (filters.length < 2) return undefined;
  let linear = list(layers, /(^|\.)linear\.\d+$/);
  let heads = list(layers, /(^|\.)(output_linear|out)(\.\d+)?$/);
  // WIRE's copy keeps the output layer as the last of `linear`; one may be missing where heads exist.
  if (heads.length === 0 && linear.length === filters.length) {
    heads = linear.slice(-1);
    linear = linear.slice(0, -1);
  }
  if (linear.length !== filters.length - 1 || heads.length === 0) return undefined;
  const last = filters.length - 1;
  const outputs = new Map<number, Affine>(
    heads.length === 1 ? [[last, heads[0]]] : heads.map((head) => [indexOf(head), head]),
  );
  const width = filters[0].outputs;
  const { inputs } = filters[0];
  const fits =
    inputs <= 3 &&
    filters.every((filter) => filter.inputs === inputs && filter.outputs === width) &&
    linear.every((layer) => layer.inputs === width && layer.outputs === width) &&
    outputs.has(last) &&
    [...outputs.values()].every((head) => head.inputs === width && head.outputs <= MAX_CHANNELS);
  if (!fits) return undefined;
  const windows = filters.map(({ path }) => {
    const module = path.slice(0, -1).join('.');
    return { mu: others.get(`${module}.mu`), gamma: others.get(`${module}.gamma`) };
  });
  if (windows.every(({ mu, gamma }) => !mu && !gamma))
    return { filters, linear, outputs, windows: undefined };
  const complete = windows.filter(
    (window): window is { mu: Tensor; gamma: Tensor } =>
      window.mu?.size === width * inputs && window.gamma?.size === width,
  );
  return complete.length === filters.length ? { filters, linear, outputs, windows: complete } : undefined;
}

/** Whether all frequencies are multiples of 2π (or π), as BACON's frozen ones are. */
function quantised(filters: readonly Affine[]): boolean {
  return filters.every((filter) => {
    const weights = filter.weight();
    return (
      weights.some((w) => w !== 0) &&
      // Half-precision files round them.
      weights.every((w) => {
        const n = w / Math.PI;
        return Math.abs(n - Math.round(n)) < 1e-3 + 4e-3 * Math.abs(n);
      })
    );
  });
}

/** gᵢ(x) = sin(Wx + b), times exp(−γ/2·|x − μ|²) with a window. */
function filter(graph: GraphBuilder, x: string, found: Filters, i: number): string {
  const { inputs, outputs, ...layer } = found.filters[i];
  const sines = graph.op('Sin', [graph.linear(x, layer.weight(), layer.bias(), outputs, inputs)]);
  const window = found.windows?.[i];
  if (!window) return sines;
  // |x − μ|² = |x|² − 2 μ·x + |μ|², one row a neuron.
  const [mu, gamma] = [window.mu.read(), window.gamma.read()];
  const square = graph.linear(
    graph.op('Mul', [x, x]),
    new Float32Array(outputs * inputs).fill(1),
    Float32Array.from({ length: outputs }, (_, k) => {
      let sum = 0;
      for (let j = 0; j < inputs; j++) sum += mu[k * inputs + j] ** 2;
      return sum;
    }),
    outputs,
    inputs,
  );
  const product = graph.linear(
    x,
    mu.map((value) => -2 * value),
    null,
    outputs,
    inputs,
  );
  const exponent = graph.op('Mul', [
    graph.op('Add', [square, product]),
    graph.constant(
      gamma.map((value) => -0.5 * value),
      [outputs, 1],
    ),
  ]);
  return graph.op('Mul', [sines, graph.op('Exp', [exponent])]);
}

const outputLayer = integerSetting('outputLayer', ['output_layer'], 0, 1000);

function build(found: Filters, candidate: Candidate, bacon: boolean, settings: Settings): Network {
  const { filters, linear, outputs } = found;
  const depth =
    outputs.size > 1
      ? settings.get(outputLayer, {
          value: filters.length - 1,
          source: 'default',
          confidence: 0.9,
          detail: 'the finest scale',
          choices: [...outputs.keys()],
        })
      : filters.length - 1;
  const head = outputs.get(depth) ?? outputs.get(filters.length - 1)!;
  const final = finalAct(
    settings.get(finalActivation, {
      value: 'identity',
      source: 'default',
      confidence: 0.85,
      choices: ['identity', 'sine', 'sigmoid'],
    }),
    1,
  );
  const size = sizeInside(candidate);
  const shown = picture(settings, filters[0].inputs, head.outputs, {
    coords: { value: bacon ? 'rc-per-side-centres' : 'rc-per-side', source: 'default', confidence: 0.6 },
    range: { value: bacon ? '0..1' : '-1..1', source: 'default', confidence: 0.6 },
    // BACON's coordinates lie in [−0.5, 0.5].
    ...(bacon && { coordScale: 0.5 }),
    ...(size && { size }),
  });

  const graph = new GraphBuilder();
  const x = shown.coordinates(graph);
  const layers: TracedLayer[] = [];
  const affine = (layer: Affine, input: string, activation: Activation, last: boolean): string => {
    const [weight, bias] = [layer.weight(), layer.bias()];
    const preActivation = graph.linear(input, weight, bias, layer.outputs, layer.inputs);
    const { name, inputs, outputs: units } = layer;
    layers.push({
      name,
      kind: 'linear',
      inputs,
      outputs: units,
      input,
      preActivation,
      weight,
      bias,
      activation,
      last,
    });
    return preActivation;
  };
  let value = filter(graph, x, found, 0);
  for (let i = 1; i <= Math.min(depth, filters.length - 1); i++) {
    value = graph.op('Mul', [filter(graph, x, found, i), affine(linear[i - 1], value, 'other', false)]);
  }
  value = final.apply(graph, affine(head, value, final.kind, true));
  return {
    parameters:
      numberOfParameters([...filters, ...linear, ...outputs.values()]) +
      (found.windows ?? []).reduce((sum, { mu, gamma }) => sum + mu.size + gamma.size, 0),
    signal: shown.signal,
    domain: shown.domain,
    encoding: 'none',
    activation: 'other',
    graph: graph.build(value),
    outputRange: shown.outputRange,
    summary: [
      ...filters.map(({ name, inputs, outputs: units }): LayerSummary => ({
        name,
        kind: found.windows ? 'Gabor filter' : 'Fourier filter',
        inputs,
        outputs: units,
        neurons: 0,
        activation: found.windows ? 'gabor' : 'sine',
      })),
      ...layers.map(summaryOf),
    ],
    layers,
  };
}

const family = (kind: 'fourier' | 'gabor' | 'bacon', id: string, title: string): Family => ({
  id,
  title,
  match: (candidate) => {
    const found = filtersIn(candidate);
    if (!found || (kind === 'gabor') !== (found.windows !== undefined)) return undefined;
    const bacon = found.windows === undefined && (found.outputs.size > 1 || quantised(found.filters));
    if (kind !== 'gabor' && (kind === 'bacon') !== bacon) return undefined;
    if (unexplained(candidate.others, (name) => /\.(mu|gamma)$/.test(name)).length) return undefined;
    return { score: 0.95, build: (settings) => build(found, candidate, bacon, settings) };
  },
});

/** Multiplicative filter networks (Fathony et al. 2021) and BACON (Lindell et al. 2022). */
export const mfn: readonly Family[] = [
  family('fourier', 'mfn-fourier', 'Multiplicative filter network (Fourier)'),
  family('gabor', 'mfn-gabor', 'Multiplicative filter network (Gabor)'),
  family('bacon', 'bacon', 'BACON'),
];
