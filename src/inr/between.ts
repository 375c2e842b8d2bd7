/** What stands between the affine layers of an MLP and has parameters: normalisations and PReLU. */
import type { Tensor } from '../checkpoint/types';
import type { GraphBuilder } from '../graph/build';
import { chain, pathOf, type Affine } from './layers';

/** Normalisation of a hidden layer's values. */
export interface Norm {
  /** Over the features of each pixel, or by the means and variances that training kept for each feature. */
  readonly kind: 'layer' | 'batch';
  /** γ and β `[features]`; for a batch norm with its mean and variance worked in. */
  scale(): Float32Array;
  shift(): Float32Array;
  readonly epsilon: number;
  /** Where the names tell: on the layer's result, or on what its activation makes of it. */
  readonly place?: NormPlace;
}

export const normPlaces = ['before-activation', 'after-activation'] as const;
export type NormPlace = (typeof normPlaces)[number];

/** What follows one affine layer. */
export interface Between {
  readonly norm?: Norm;
  /** PReLU's slopes below zero: one, or one for each feature. */
  readonly slopes?: () => Float32Array;
}

/** A batch norm as it is after training: γ (x − mean) / √(variance + ε) + β as `scale · x + shift`. */
export function batchNorm(
  gamma: Float32Array,
  beta: Float32Array,
  mean: Float32Array,
  variance: Float32Array,
  epsilon: number,
): { readonly scale: Float32Array; readonly shift: Float32Array } {
  const scale = gamma.map((g, i) => g / Math.sqrt(variance[i] + epsilon));
  return { scale, shift: beta.map((b, i) => b - mean[i] * scale[i]) };
}

/** Adds a normalisation of `[features, P]` to the graph. */
export function normalise(graph: GraphBuilder, x: string, norm: Norm): string {
  const [scale, shift] = [norm.scale(), norm.shift()];
  if (norm.kind === 'layer') return graph.layerNorm(x, scale, shift, norm.epsilon);
  const column = (values: Float32Array) => graph.constant(values, [values.length, 1]);
  return graph.op('Add', [graph.op('Mul', [x, column(scale)]), column(shift)]);
}

/** A module that is no affine layer: its tensors, by the last token of their names. */
interface Module {
  readonly path: readonly string[];
  readonly parts: ReadonlyMap<string, string>;
}

function modulesOf(others: ReadonlyMap<string, Tensor>): Module[] {
  const modules = new Map<string, Module & { readonly parts: Map<string, string> }>();
  for (const name of others.keys()) {
    const path = pathOf(name);
    const key = path.slice(0, -1).join('.');
    const module = modules.get(key) ?? { path: path.slice(0, -1), parts: new Map<string, string>() };
    module.parts.set(path.at(-1)!.replace(/:0$/, ''), name);
    modules.set(key, module);
  }
  return [...modules.values()];
}

/** Numbers in a path, and the path without them. */
const numbersIn = (path: readonly string[]) => [...path.join('.').matchAll(/\d+/g)].map(([n]) => Number(n));
const shapeOf = (path: readonly string[]) => path.join('.').replace(/\d+/g, '#');

/** The layer that a module follows, and the numbers of their list that lie between the two. */
interface Place {
  readonly at: number;
  readonly skipped?: readonly number[];
}

/**
 * The layer a module follows: by its number in the same list (`net.1` follows `net.0`), as the part of one
 * block (`net.0.norm` beside `net.0.linear`), or as the k-th of a list of its own (`norms.0`).
 */
function followed(module: Module, modules: readonly Module[], layers: readonly Affine[]): Place | undefined {
  const numbers = numbersIn(module.path);
  const number = numbers.at(-1);
  if (number === undefined) return undefined;
  const shape = shapeOf(module.path);
  const before = layers.flatMap((layer, at) => {
    const own = numbersIn(layer.path);
    const same = shapeOf(layer.path) === shape && own.slice(0, -1).join() === numbers.slice(0, -1).join();
    return same && own.at(-1)! < number ? [{ at, own: own.at(-1)! }] : [];
  });
  if (before.length > 0) {
    const { at, own } = before.reduce((a, b) => (b.own > a.own ? b : a));
    return { at, skipped: Array.from({ length: number - own - 1 }, (_, i) => own + 1 + i) };
  }
  const block = /^.*\d+/.exec(module.path.join('.'))![0];
  const within = layers.flatMap(({ path }, at) => (`${path.join('.')}.`.startsWith(`${block}.`) ? [at] : []));
  if (within.length === 1) return { at: within[0] };
  const list = modules
    .filter(({ path }) => shapeOf(path) === shape)
    .map(({ path }) => numbersIn(path).at(-1)!)
    .sort((a, b) => a - b);
  const at = list.indexOf(number);
  return within.length === 0 && at < layers.length - 1 ? { at } : undefined;
}

/** Keras and Flax keep other constants than PyTorch. */
const epsilonOf = (format: string) =>
  /keras|h5|hdf5/i.test(format) ? 1e-3 : /msgpack|flax/i.test(format) ? 1e-6 : 1e-5;

/** A module's tensors as what they do to `features` values, or undefined. */
function readModule(
  { path, parts }: Module,
  others: ReadonlyMap<string, Tensor>,
  features: number,
  format: string,
): Between | undefined {
  const find = (...names: string[]) => {
    const name = names.map((each) => parts.get(each)).find((each) => each !== undefined);
    return name === undefined ? undefined : others.get(name);
  };
  const [scale, shift] = [find('weight', 'gamma', 'scale'), find('bias', 'beta')];
  const [mean, variance] = [
    find('running_mean', 'moving_mean', 'mean'),
    find('running_var', 'moving_variance', 'var'),
  ];
  const fits = (tensor: Tensor | undefined) => tensor?.shape.length === 1 && tensor.size === features;
  if (scale && !shift && !mean) {
    const slope = scale.size === 1 || fits(scale);
    return slope && parts.size === 1 && !/norm|ln|rms|scale/i.test(path.at(-1) ?? '')
      ? { slopes: () => scale.read() }
      : undefined;
  }
  if (!scale || !shift || !fits(scale) || !fits(shift)) return undefined;
  const epsilon = epsilonOf(format);
  if (!mean && !variance) {
    return parts.size === 2
      ? { norm: { kind: 'layer', scale: () => scale.read(), shift: () => shift.read(), epsilon } }
      : undefined;
  }
  if (!mean || !variance || !fits(mean) || !fits(variance)) return undefined;
  const folded = () => batchNorm(scale.read(), shift.read(), mean.read(), variance.read(), epsilon);
  return { norm: { kind: 'batch', scale: () => folded().scale, shift: () => folded().shift, epsilon } };
}

/**
 * The layers with the normalisations and PReLUs of the same state dict, and the tensors that are left;
 * undefined where there are none, or where one of them has no place.
 */
export function withBetween(
  layers: readonly Affine[],
  others: ReadonlyMap<string, Tensor>,
  format: string,
): { readonly layers: readonly Affine[]; readonly others: ReadonlyMap<string, Tensor> } | undefined {
  const ordered = chain(layers) ?? chain(layers, true);
  if (!ordered) return undefined;
  const modules = modulesOf(others);
  const found = ordered.map((): Between => ({}));
  const left = new Map(others);
  const places: Place[] = [];
  for (const module of modules) {
    const shared = numbersIn(module.path).length === 0 && readModule(module, others, 1, format)?.slopes;
    if (shared) {
      // One PReLU for all layers.
      found.slice(0, -1).forEach((between, i) => (found[i] = { ...between, slopes: shared }));
      left.delete([...module.parts.values()][0]);
      continue;
    }
    const place = followed(module, modules, ordered);
    if (!place || place.at === ordered.length - 1) continue;
    const between = readModule(module, others, ordered[place.at].outputs, format);
    if (!between) continue;
    if ((between.norm && found[place.at].norm) || (between.slopes && found[place.at].slopes))
      return undefined;
    found[place.at] = { ...found[place.at], ...between };
    if (between.norm) places.push(place);
    for (const name of module.parts.values()) left.delete(name);
  }
  if (left.size === others.size) return undefined;
  for (const { at, skipped } of places) {
    if (!skipped) continue;
    // Whatever stands between the layer and its normalisation without parameters is its activation.
    found[at] = {
      ...found[at],
      norm: { ...found[at].norm!, place: skipped.length > 0 ? 'after-activation' : 'before-activation' },
    };
  }
  const between = (layer: Affine) => found[ordered.indexOf(layer)];
  return { layers: layers.map((layer) => ({ ...layer, between: between(layer) })), others: left };
}
