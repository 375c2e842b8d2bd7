import type { Tensor } from '../checkpoint/types';
import type { Between } from './between';

/** An affine layer y = Wx + b as the checkpoint stores it. */
export interface Affine {
  /** Module name as in the checkpoint, with its prefix: `model.net.2.linear`. */
  readonly name: string;
  /** `name` taken apart. */
  readonly path: readonly string[];
  readonly inputs: number;
  readonly outputs: number;
  readonly complex: boolean;
  /** W, row-major `[outputs, inputs]`; complex weights interleave (re, im). */
  weight(): Float32Array;
  /** b `[outputs]`, or null. */
  bias(): Float32Array | null;
  readonly hasBias: boolean;
  /** Tensors it consists of. */
  readonly keys: readonly string[];
  /** What follows it beside an activation without parameters. */
  readonly between?: Between;
}

export const pathOf = (name: string): string[] => name.split(/[./]/);

/** Shape without the trailing ones of 1×1 convolutions. */
function matrixShape(shape: readonly number[]): readonly [number, number] | undefined {
  if (shape.length < 2 || shape.length > 5) return undefined;
  return shape.slice(2).every((n) => n === 1) ? [shape[0], shape[1]] : undefined;
}

/** Row-major [rows, columns] → [columns, rows]; `parts` numbers an element. */
export function transpose(data: Float32Array, rows: number, columns: number, parts = 1): Float32Array {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      for (let k = 0; k < parts; k++) out[(c * rows + r) * parts + k] = data[(r * columns + c) * parts + k];
    }
  }
  return out;
}

/** PyTorch's weight norm: each row of v scaled to the length g. */
function weightNorm(g: Float32Array, v: Float32Array, rows: number): Float32Array {
  const columns = v.length / rows;
  const out = new Float32Array(v.length);
  for (let r = 0; r < rows; r++) {
    let square = 0;
    for (let c = 0; c < columns; c++) square += v[r * columns + c] ** 2;
    const factor = g[r] / Math.sqrt(square);
    for (let c = 0; c < columns; c++) out[r * columns + c] = v[r * columns + c] * factor;
  }
  return out;
}

/** W / (uᵀWv): PyTorch keeps the vectors of its power iteration, so the norm is what it computed with. */
function spectralNorm(w: Float32Array, u: Float32Array, v: Float32Array): Float32Array {
  let norm = 0;
  for (let r = 0; r < u.length; r++) {
    for (let c = 0; c < v.length; c++) norm += u[r] * w[r * v.length + c] * v[c];
  }
  return w.map((value) => value / norm);
}

/** `net.2` before `net.10`. */
const naturalOrder = new Intl.Collator('en', { numeric: true });

interface Spelling {
  /** Matches the key of the weight; `$1` is the module's name. */
  readonly weight: RegExp;
  /** Keys of the bias, given the module's name (and number). */
  bias(name: string, number: string): string[];
  /** Stored [inputs, outputs], as Keras, Flax, Haiku and plain NumPy code do. */
  readonly transposed: boolean;
}

const SPELLINGS: readonly Spelling[] = [
  { weight: /^(.*?)[./]?weight$/, bias: (name) => [`${name}.bias`, `${name}/bias`], transposed: false },
  {
    weight: /^(.*?)[./]?kernel(?::0)?$/,
    bias: (name) => [`${name}.bias`, `${name}/bias`, `${name}/bias:0`],
    transposed: true,
  },
  {
    weight: /^(.*?)[./][wW]$/,
    bias: (name) => [`${name}.b`, `${name}/b`, `${name}.B`, `${name}/B`],
    transposed: true,
  },
  {
    weight: /^(.*?)(?:W|w|weight|weights|kernel)[._]?(\d+)$/,
    bias: (name, number) =>
      ['b', 'bias', 'biases'].flatMap((b) =>
        ['', '.', '_'].map((separator) => name + b + separator + number),
      ),
    transposed: true,
  },
];

function affine(key: string, tensors: ReadonlyMap<string, Tensor>): Affine | undefined {
  const tensor = tensors.get(key)!;
  const shape = matrixShape(tensor.shape);
  if (!shape) return undefined;
  for (const spelling of SPELLINGS) {
    const match = spelling.weight.exec(key);
    if (!match) continue;
    const number = match[2] as string | undefined;
    const name = number === undefined ? match[1] : match[1] + number;
    const biasKey = spelling
      .bias(match[1], number ?? '')
      .find((candidate) => tensors.get(candidate)?.shape.length === 1);
    const biasSize = biasKey === undefined ? undefined : tensors.get(biasKey)!.size;
    // A bias tells the orientation where it can.
    const transposed =
      biasSize !== undefined && shape[0] !== shape[1] ? biasSize === shape[1] : spelling.transposed;
    const [outputs, inputs] = transposed ? [shape[1], shape[0]] : shape;
    if (biasSize !== undefined && biasSize !== outputs) return undefined;
    return {
      name,
      path: pathOf(name),
      inputs,
      outputs,
      complex: tensor.isComplex,
      weight: () =>
        transposed ? transpose(tensor.read(), shape[0], shape[1], tensor.isComplex ? 2 : 1) : tensor.read(),
      bias: () => (biasKey === undefined ? null : tensors.get(biasKey)!.read()),
      hasBias: biasKey !== undefined,
      keys: biasKey === undefined ? [key] : [key, biasKey],
    };
  }
  return undefined;
}

/** `weight_g` and `weight_v`, or `parametrizations.weight.original0` and `1`. */
function normalised(key: string, tensors: ReadonlyMap<string, Tensor>): Affine | undefined {
  const match = /^(.*?)\.(?:weight_v|parametrizations\.weight\.original1)$/.exec(key);
  if (!match) return undefined;
  const gKey = key.endsWith('weight_v')
    ? `${match[1]}.weight_g`
    : `${match[1]}.parametrizations.weight.original0`;
  const [g, v] = [tensors.get(gKey), tensors.get(key)!];
  const shape = matrixShape(v.shape);
  if (!g || !shape || g.size !== shape[0]) return undefined;
  const biasKey = `${match[1]}.bias`;
  const bias = tensors.get(biasKey);
  return {
    name: match[1],
    path: pathOf(match[1]),
    inputs: shape[1],
    outputs: shape[0],
    complex: false,
    weight: () => weightNorm(g.read(), v.read(), shape[0]),
    bias: () => bias?.read() ?? null,
    hasBias: bias !== undefined,
    keys: bias ? [gKey, key, biasKey] : [gKey, key],
  };
}

/**
 * Matrices and vectors without names, in turn: lists of (W, b) as JAX code keeps them (`0.0`, `0.1`, `2.0` …)
 * or NumPy saves them (`arr_0`, `arr_1` …).
 */
function unnamedLayers(tensors: ReadonlyMap<string, Tensor>): Affine[] {
  // A matrix B may lie beside the list, under a name.
  const keys = [...tensors.keys()].filter((key) => /\d$/.test(key)).sort(naturalOrder.compare);
  const prefix = (key: string) => /^(.*?)\d+([._]\d+)*$/.exec(key)?.[1];
  if (keys.length < 2 || keys.some((key) => prefix(key) !== prefix(keys[0]))) return [];
  const layers: { weight: string; bias?: string }[] = [];
  for (const key of keys) {
    const { shape, isComplex } = tensors.get(key)!;
    const last = layers.at(-1);
    if (shape.length === 2 && !isComplex) layers.push({ weight: key });
    else if (shape.length === 1 && last && last.bias === undefined) last.bias = key;
    else return [];
  }
  // One orientation for all: the one in which each layer feeds the next, [inputs, outputs] if both do.
  const shapes = layers.map(({ weight }) => tensors.get(weight)!.shape);
  const fits = (transposed: boolean) =>
    layers.every(({ bias }, i) => {
      const [outputs] = transposed ? [shapes[i][1]] : shapes[i];
      const next = i + 1 < shapes.length ? shapes[i + 1][transposed ? 0 : 1] : outputs;
      return next === outputs && (bias === undefined || tensors.get(bias)!.shape[0] === outputs);
    });
  const transposed = fits(true);
  if (!transposed && !fits(false)) return [];
  return layers.map(({ weight, bias }, i) => {
    const [rows, columns] = shapes[i];
    const read = () => tensors.get(weight)!.read();
    return {
      name: weight,
      path: pathOf(weight),
      inputs: transposed ? rows : columns,
      outputs: transposed ? columns : rows,
      complex: false,
      weight: () => (transposed ? transpose(read(), rows, columns) : read()),
      bias: () => (bias === undefined ? null : tensors.get(bias)!.read()),
      hasBias: bias !== undefined,
      keys: bias === undefined ? [weight] : [weight, bias],
    };
  });
}

/**
 * Spectral norm: the weight divided by uᵀWv; `weight_orig`, `_u` and `_v`, or `parametrizations.weight.original`
 * beside `parametrizations.weight.0._u` and `_v`.
 */
function spectral(key: string, tensors: ReadonlyMap<string, Tensor>): Affine | undefined {
  const match = /^(.*?)\.(weight_orig|parametrizations\.weight\.original)$/.exec(key);
  if (!match) return undefined;
  const [, name, spelling] = match;
  const stem = `${name}.${spelling === 'weight_orig' ? 'weight' : 'parametrizations.weight.0.'}`;
  const [w, u, v] = [tensors.get(key)!, tensors.get(`${stem}_u`), tensors.get(`${stem}_v`)];
  const shape = matrixShape(w.shape);
  if (!shape || u?.size !== shape[0] || v?.size !== shape[1]) return undefined;
  const biasKey = `${name}.bias`;
  const bias = tensors.get(biasKey);
  return {
    name,
    path: pathOf(name),
    inputs: shape[1],
    outputs: shape[0],
    complex: false,
    weight: () => spectralNorm(w.read(), u.read(), v.read()),
    bias: () => bias?.read() ?? null,
    hasBias: bias !== undefined,
    keys: [key, `${stem}_u`, `${stem}_v`, ...(bias ? [biasKey] : [])],
  };
}

/** All affine layers of a state dict, in its own order (which in PyTorch is the order of registration). */
export function affineLayers(tensors: ReadonlyMap<string, Tensor>): Affine[] {
  const layers: Affine[] = unnamedLayers(tensors);
  if (layers.length > 1) return layers;
  layers.length = 0;
  for (const key of tensors.keys()) {
    const layer = affine(key, tensors) ?? normalised(key, tensors) ?? spectral(key, tensors);
    if (layer && layer.inputs * layer.outputs > 0) layers.push(layer);
  }
  return layers;
}

/** Whether the network's input joins again before layer `i` (NeRF's and DeepSDF's skip connection). */
export const joinsAt = (layers: readonly Affine[], i: number) =>
  i > 0 && layers[i].inputs === layers[i - 1].outputs + layers[0].inputs;

const links = (layers: readonly Affine[], joins: boolean) =>
  layers.every(
    (layer, i) => i === 0 || layers[i - 1].outputs === layer.inputs || (joins && joinsAt(layers, i)),
  );

/**
 * The layers in the order in which each feeds the next, or undefined when they form no chain.
 * Numbers in names give the order within a list of layers; the dictionary's order is tried first for the
 * rest, and where a file has sorted its keys the place of `last_layer` follows from the shapes.
 * @param joins the network's input may join again before a layer
 */
export function chain(layers: readonly Affine[], joins = false): readonly Affine[] | undefined {
  if (layers.length < 2) return undefined;
  const lists = new Map<string, Affine[]>();
  for (const layer of layers) {
    const list = layer.name.replace(/\d+/g, '#');
    lists.set(list, [...(lists.get(list) ?? []), layer]);
  }
  const sorted = [...lists.values()].map((list) =>
    list.toSorted((a, b) => naturalOrder.compare(a.name, b.name)),
  );
  const numbered = [...lists.values()].every((list, i) => list.every((layer, k) => layer === sorted[i][k]));
  if (numbered && links(layers, joins)) return layers;
  if (sorted.length > 6) return undefined;
  const arrange = (rest: readonly Affine[][], done: readonly Affine[]): readonly Affine[] | undefined => {
    if (rest.length === 0) return done;
    for (const list of rest) {
      const next = [...done, ...list];
      const found =
        links(next, joins) &&
        arrange(
          rest.filter((other) => other !== list),
          next,
        );
      if (found) return found;
    }
    return undefined;
  };
  return arrange(sorted, []);
}

/** The tokens that all paths begin with. */
export function commonPrefix(paths: readonly (readonly string[])[]): string[] {
  const [first = [], ...others] = paths;
  let length = first.length;
  for (const path of others) {
    let same = 0;
    while (same < length && same < path.length && path[same] === first[same]) same++;
    length = same;
  }
  return first.slice(0, length);
}

/** Layers that follow one another and are named alike but for their number. */
export interface NameRun {
  /** What the names have in common, without what the whole chain has in common: `#.linear`. */
  readonly shape: string;
  readonly numbers: readonly number[];
}

/** `net.0.linear, net.1.linear, net.2` → `#.linear` with 0 and 1, `#` with 2. */
export function nameRuns(layers: readonly Affine[]): NameRun[] {
  const prefix = commonPrefix(layers.map((layer) => layer.path)).length;
  const runs: { shape: string; numbers: number[] }[] = [];
  for (const layer of layers) {
    const rest = layer.path.slice(prefix).join('.');
    const shape = rest.replace(/\d+/, '#');
    const number = Number(/\d+/.exec(rest)?.[0] ?? 0);
    const last = runs.at(-1);
    if (last?.shape === shape) last.numbers.push(number);
    else runs.push({ shape, numbers: [number] });
  }
  return runs;
}
