import type { Tensor } from '../../checkpoint/types';
import { GraphBuilder } from '../../graph/build';
import { finalAct } from '../activations';
import type { Settings } from '../assumptions';
import type { Candidate, Family, Network } from '../family';
import type { Affine } from '../layers';
import { coordinateChain, unexplained, type CoordinateChain } from '../layouts';
import { numberOfParameters, summaryOf } from '../mlp';
import { picture } from '../picture';
import { finalActivation, hiddenOmega, omega0, scale } from '../settings';
import type { TracedLayer } from '../types';

/** A complex value as two graph values; `im` is absent while it is zero. */
interface Complex {
  readonly re: string;
  readonly im?: string;
}

/** Real and imaginary parts of interleaved pairs. */
function parts(data: Float32Array, complex: boolean): { re: Float32Array; im?: Float32Array } {
  if (!complex) return { re: data };
  return {
    re: Float32Array.from({ length: data.length / 2 }, (_, i) => data[2 * i]),
    im: Float32Array.from({ length: data.length / 2 }, (_, i) => data[2 * i + 1]),
  };
}

/** W·x + b; the imaginary part is absent while it is zero. */
function affine(graph: GraphBuilder, x: Complex, layer: Affine): Complex {
  const { inputs, outputs, complex } = layer;
  const data = layer.bias();
  const [weight, bias] = [parts(layer.weight(), complex), data && parts(data, complex)];
  if (!weight.im) {
    const re = graph.linear(x.re, weight.re, bias?.re ?? null, outputs, inputs);
    return x.im === undefined ? { re } : { re, im: graph.linear(x.im, weight.re, null, outputs, inputs) };
  }
  return graph.complexLinear(
    x.im === undefined ? x.re : { re: x.re, im: x.im },
    { re: weight.re, im: weight.im },
    bias && { re: bias.re, im: bias.im ?? new Float32Array(outputs) },
    outputs,
    inputs,
  );
}

/** |z|² */
function squared(graph: GraphBuilder, { re, im }: Complex): string {
  const square = (value: string) => graph.op('Mul', [value, value]);
  return im === undefined ? square(re) : graph.op('Add', [square(re), square(im)]);
}

/** exp(jωz − s²·(|z|² + |orthogonal|²)): modulus exp(−ω·Im z − s²|z|² …), argument ω·Re z. */
function gabor(
  graph: GraphBuilder,
  z: Complex,
  orthogonal: Complex | undefined,
  omega: number,
  s: number,
): Complex {
  let square = squared(graph, z);
  if (orthogonal) square = graph.op('Add', [square, squared(graph, orthogonal)]);
  let exponent = graph.scale(square, -s * s);
  if (z.im !== undefined) exponent = graph.op('Sub', [exponent, graph.scale(z.im, omega)]);
  const modulus = graph.op('Exp', [exponent]);
  const argument = graph.scale(z.re, omega);
  return {
    re: graph.op('Mul', [modulus, graph.op('Cos', [argument])]),
    im: graph.op('Mul', [modulus, graph.op('Sin', [argument])]),
  };
}

interface Parts {
  readonly net: CoordinateChain;
  /** `scale_orth` beside each layer (WIRE2D), by the layer's module. */
  readonly orthogonal: ReadonlyMap<string, Affine>;
}

const moduleOf = (layer: Affine) => layer.path.slice(0, -1).join('.');

function partsOf(candidate: Candidate): Parts | undefined {
  const orthogonal = candidate.layers.filter((layer) => layer.path.at(-1) === 'scale_orth');
  const net = coordinateChain(
    candidate,
    candidate.layers.filter((layer) => !orthogonal.includes(layer)),
  );
  if (!net || net.inputs > 3 || net.layers[0].complex || !net.layers.at(-1)!.complex) return undefined;
  return { net, orthogonal: new Map(orthogonal.map((layer) => [moduleOf(layer), layer])) };
}

/** The constant stored beside a layer, e.g. `net.1.omega_0`. */
function stored(others: ReadonlyMap<string, Tensor>, layer: Affine, name: string): number | undefined {
  const tensor = others.get(`${moduleOf(layer)}.${name}`);
  return tensor?.size === 1 ? tensor.read()[0] : undefined;
}

/** ω and s of each hidden layer: as stored, unless the person gave others. */
function constants(
  { net }: Parts,
  { others }: Candidate,
  settings: Settings,
): { omega: number; s: number }[] {
  const hidden = net.layers.slice(0, -1);
  const own = hidden.map((layer) => ({
    omega: stored(others, layer, 'omega_0'),
    s: stored(others, layer, 'scale_0'),
  }));
  const ask = (setting: typeof omega0, i: number, key: 'omega' | 's', usual: number) => {
    const value = own[i][key];
    return value === undefined
      ? settings.get(setting, { value: usual, source: 'default', confidence: 0.4 })
      : settings.get(setting, {
          value,
          source: 'state dict',
          confidence: 1,
          detail: `${moduleOf(hidden[i])}.${key === 'omega' ? 'omega_0' : 'scale_0'}`,
        });
  };
  const first = ask(omega0, 0, 'omega', 20);
  const later = hidden.length > 1 ? ask(hiddenOmega, 1, 'omega', first) : first;
  const s = ask(scale, 0, 's', 10);
  return own.map((layer, i) => {
    const [asked, reference] = i === 0 ? [first, own[0].omega] : [later, own[1].omega];
    return {
      omega: asked === reference ? (layer.omega ?? asked) : asked,
      s: s === own[0].s ? (layer.s ?? s) : s,
    };
  });
}

function build(found: Parts, candidate: Candidate, settings: Settings): Network {
  const { net, orthogonal } = found;
  const each = constants(found, candidate, settings);
  const final = finalAct(
    settings.get(finalActivation, {
      value: 'identity',
      source: 'default',
      confidence: 0.9,
      choices: ['identity', 'sigmoid'],
    }),
    30,
  );
  const shown = picture(settings, net.inputs, net.channels, {
    coords: {
      value: 'xy-per-side',
      source: 'default',
      confidence: 0.6,
      detail: 'as WIRE’s code does',
    },
    range: { value: '0..1', source: 'default', confidence: 0.8 },
  });

  const graph = new GraphBuilder();
  let value: Complex = { re: shown.coordinates(graph) };
  const layers: TracedLayer[] = [];
  net.layers.forEach((layer, i) => {
    const z = affine(graph, value, layer);
    const last = i === net.layers.length - 1;
    const weight = parts(layer.weight(), layer.complex);
    const bias = layer.bias();
    const biasParts = bias && parts(bias, layer.complex);
    layers.push({
      name: layer.name,
      kind: 'linear',
      inputs: layer.inputs,
      outputs: layer.outputs,
      input: value.re,
      ...(value.im !== undefined && { inputImaginary: value.im }),
      preActivation: z.re,
      weight: weight.re,
      ...(weight.im && { weightImaginary: weight.im }),
      bias: biasParts?.re ?? null,
      ...(biasParts?.im && { biasImaginary: biasParts.im }),
      activation: last ? final.kind : 'gabor',
      last,
    });
    if (last) value = { re: final.apply(graph, z.re) };
    else {
      const beside = orthogonal.get(moduleOf(layer));
      value = gabor(graph, z, beside && affine(graph, value, beside), each[i].omega, each[i].s);
    }
  });
  return {
    parameters: numberOfParameters([...net.layers, ...orthogonal.values()]),
    signal: shown.signal,
    domain: shown.domain,
    encoding: 'none',
    activation: 'gabor',
    graph: graph.build(value.re),
    outputRange: shown.outputRange,
    summary: layers.map(summaryOf),
    layers,
  };
}

const family = (two: boolean): Family => ({
  id: two ? 'wire2d' : 'wire',
  title: two ? 'WIRE 2-D' : 'WIRE',
  match: (candidate) => {
    const found = partsOf(candidate);
    if (!found || found.orthogonal.size !== (two ? found.net.layers.length - 1 : 0)) return undefined;
    if (unexplained(candidate.others, (name) => /(^|\.)(omega_0|scale_0)$/.test(name)).length)
      return undefined;
    return { score: 0.97, build: (settings) => build(found, candidate, settings) };
  },
});

/** Complex Gabor wavelets (Saragadam et al. 2023); no other family has complex weights. */
export const wires: readonly Family[] = [family(false), family(true)];
