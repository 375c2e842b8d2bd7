/** The network with one layer's weights out of another network of the same build. */
import { behind } from '../../graph/cut';
import type { Constant, Graph } from '../../graph/types';
import type { Inr, TracedLayer } from '../../inr/types';

/** Whether two networks differ in nothing but numbers. */
export function sameBuild(a: Inr, b: Inr): boolean {
  const nodes = ({ graph }: Inr) =>
    JSON.stringify(graph.nodes.map(({ op, inputs, outputs }) => [op, inputs, outputs]));
  const shapes = ({ graph }: Inr) =>
    JSON.stringify(
      [...graph.constants].map(([name, { shape, data }]) => [name, shape, data.constructor.name]),
    );
  const layers = ({ layers }: Inr) =>
    JSON.stringify(layers.map(({ inputs, outputs, kind }) => [inputs, outputs, kind]));
  return layers(a) === layers(b) && nodes(a) === nodes(b) && shapes(a) === shapes(b);
}

const valuesOf = ({ input, inputImaginary }: TracedLayer) =>
  inputImaginary ? [input, inputImaginary] : [input];

const sameNumbers = (a: Constant['data'], b: Float32Array | null | undefined) =>
  b !== null && b !== undefined && a.length === b.length && a.every((v, i) => v === b[i]);

/** Names of the constants that are a layer's weights and biases. */
function constantsOf(graph: Graph, layer: TracedLayer): string[] {
  const alone = behind({ ...graph, output: layer.preActivation }, valuesOf(layer));
  const own = [layer.weight, layer.weightImaginary, layer.bias, layer.biasImaginary];
  return [...graph.constants]
    .filter(
      ([name, { data }]) =>
        data instanceof Float32Array &&
        data.length > 1 &&
        // The imaginary parts of a complex layer lie on another path, but are the same numbers.
        (alone.constants.has(name) || (layer.weightImaginary && own.some((part) => sameNumbers(data, part)))),
    )
    .map(([name]) => name);
}

/** Where each of a's units is in b. */
export interface Units {
  /** Index in b, −1 for none. */
  readonly partner: Int32Array;
  /** −1 where b's unit puts out the opposite of what a's does, and its outgoing weights are turned as well. */
  readonly sign: Int8Array;
}

/** Activations of which σ(−z) = −σ(z): a unit with all its weights turned paints the same. */
const odd: readonly string[] = ['sine', 'tanh', 'finer', 'identity'];

/** Whether a unit of the layer's input and its opposite are the same unit, with all its weights turned. */
export const signIsFree = ({ layers }: Inr, index: number) =>
  index > 0 && odd.includes(layers[index - 1].activation);

/**
 * The units of a layer's input as they were matched. A map is the unit's activation times the sum of its
 * outgoing weights, so the activations correlate as the maps do, times the signs of these sums.
 * @param correlation of each unit's map with its partner's
 */
export function unitsOf(
  a: Inr,
  b: Inr,
  index: number,
  partner: Int32Array,
  correlation: Float64Array,
): Units {
  const sums = ({ weight, inputs, outputs }: TracedLayer) => {
    const out = new Float64Array(inputs);
    for (let j = 0; j < outputs; j++) for (let i = 0; i < inputs; i++) out[i] += weight[j * inputs + i];
    return out;
  };
  const [first, second] = [sums(a.layers[index]), sums(b.layers[index])];
  const free = signIsFree(a, index);
  const sign = Int8Array.from(partner, (k, i) =>
    free && first[i] * second[k] * correlation[i] < 0 ? -1 : 1,
  );
  return { partner, sign };
}

/**
 * Network a with a layer of b: b's neurons stand where a has theirs.
 * @param inputs the layer's input units; null where they are the same in both
 * @param outputs the same for its output units
 */
export function withLayerOf(
  a: Inr,
  b: Inr,
  index: number,
  inputs: Units | null,
  outputs: Units | null,
): Graph {
  const constants = new Map(a.graph.constants);
  const layer = b.layers[index];
  for (const name of constantsOf(a.graph, a.layers[index])) {
    constants.set(name, ordered(b.graph.constants.get(name)!, layer, inputs, outputs));
  }
  return { ...a.graph, constants };
}

/** Weights `[outputs, inputs]` (or turned) and biases `[outputs]` in another order of units. */
function ordered(
  constant: Constant,
  layer: TracedLayer,
  inputs: Units | null,
  outputs: Units | null,
): Constant {
  const { data, shape } = constant;
  if (!inputs && !outputs) return constant;
  const [m, n] = [layer.outputs, layer.inputs];
  const row = (j: number) => outputs?.partner[j] ?? j;
  const column = (i: number) => inputs?.partner[i] ?? i;
  const turned = (j: number, i: number) => (outputs?.sign[j] ?? 1) * (inputs?.sign[i] ?? 1);
  const out = new Float32Array(data.length);
  if (data.length === m * n) {
    const transposed =
      shape[0] === n &&
      (m !== n || !(sameNumbers(data, layer.weight) || sameNumbers(data, layer.weightImaginary)));
    for (let j = 0; j < m; j++) {
      for (let i = 0; i < n; i++) {
        const [to, from] = transposed
          ? [i * m + j, column(i) * m + row(j)]
          : [j * n + i, row(j) * n + column(i)];
        out[to] = Number(data[from]) * turned(j, i);
      }
    }
  } else if (data.length === m) {
    for (let j = 0; j < m; j++) out[j] = Number(data[row(j)]) * (outputs?.sign[j] ?? 1);
  } else return constant;
  return { shape, data: out };
}

/**
 * Decoder a with a convolution of b, whose channels are put where a has theirs.
 * @param inputs b's channel for each that the layer reads; the same where undefined
 * @param outputs the same for those it writes, behind PixelShuffle
 */
export function convolutionOf(
  a: Inr,
  b: Inr,
  index: number,
  inputs: Int32Array | undefined,
  outputs: Int32Array | undefined,
): Graph {
  const constants = new Map(a.graph.constants);
  const layer = b.layers[index];
  const phases = (layer.shuffle ?? 1) ** 2;
  const row = (o: number) => (outputs ? outputs[Math.floor(o / phases)] * phases + (o % phases) : o);
  const column = (i: number) => inputs?.[i] ?? i;
  const size = layer.weight.length / (layer.inputs * layer.outputs);
  const { input, preActivation } = a.layers[index];
  // The convolution's weights and biases, and what scales and shifts its channels if anything does.
  for (const name of behind({ ...a.graph, output: preActivation }, [input]).constants.keys()) {
    const { data, shape } = b.graph.constants.get(name)!;
    if (!(data instanceof Float32Array)) continue;
    const out = new Float32Array(data.length);
    if (data.length === layer.outputs) out.forEach((_, o) => (out[o] = data[row(o)]));
    else if (data.length === layer.outputs / phases)
      out.forEach((_, c) => (out[c] = data[outputs?.[c] ?? c]));
    else {
      for (let o = 0; o < layer.outputs; o++) {
        for (let i = 0; i < layer.inputs; i++) {
          const [to, from] = [o * layer.inputs + i, row(o) * layer.inputs + column(i)];
          for (let k = 0; k < size; k++) out[to * size + k] = data[from * size + k];
        }
      }
    }
    constants.set(name, { shape, data: out });
  }
  return { ...a.graph, constants };
}
