/** Keras: `.h5` of Keras 2, and `.keras` of Keras 3, a zip of `config.json` and `model.weights.h5`. */
import { CheckpointError } from '../errors';
import { readHdf5 } from './hdf5/file';
import { fromJson, parseJson } from './json';
import { Tensor, type ByteSource, type Checkpoint, type Value } from './types';
import type { ZipArchive } from './zip';

const weightsName = 'model.weights.h5';
const maxConfig = 16 * 2 ** 20;

/** Attributes of Keras 2 that are JSON. */
const jsonAttributes = ['model_config', 'training_config'];

type Group = ReadonlyMap<string, Value>;

/** An HDF5 file; Keras's configuration in it becomes values. */
export function readH5(source: ByteSource): Checkpoint {
  const { root: group, warnings } = readHdf5(source);
  const root = withNames(group, []);
  for (const name of jsonAttributes) {
    const text = root.get(name);
    if (typeof text === 'string') root.set(name, jsonOr(text));
  }
  return { format: 'hdf5', root, opaque: [], warnings };
}

/** Other code may use the same names for text. */
function jsonOr(text: string): Value {
  try {
    return fromJson('An attribute', text);
  } catch (error) {
    if (error instanceof CheckpointError) return text;
    throw error;
  }
}

export const isKeras = (archive: ZipArchive): boolean => archive.has(weightsName);

/** `{config, metadata, weights}`. */
export function readKeras(source: ByteSource, archive: ZipArchive): Checkpoint {
  const root = new Map<string, Value>();
  for (const name of ['config', 'metadata']) {
    const file = `${name}.json`;
    if ((archive.size(file) ?? Infinity) > maxConfig) continue;
    root.set(name, parseJson(archive.read(file), `${file} in ${source.name}`));
  }
  const { root: group, warnings } = readHdf5(archive.open(weightsName));
  root.set('weights', withNames(group, [...layerNames(root.get('config') ?? null)]));
  return { format: 'keras', root, opaque: [], warnings: [...archive.warnings, ...warnings] };
}

/** Names of the layers in a model's configuration, in its order. */
function* layerNames(value: Value): Generator<string> {
  if (Array.isArray(value)) for (const item of value as Value[]) yield* layerNames(item);
  if (!(value instanceof Map)) return;
  const { name, layers, config } = Object.fromEntries(value as Group);
  if (typeof name === 'string') yield name;
  yield* layerNames(layers ?? null);
  yield* layerNames(config ?? null);
}

/**
 * Groups with their layers in the model's order, each as `NAME/kernel` and `NAME/bias`. HDF5 sorts by name;
 * Keras 2 keeps the order, and where a layer's variables are (`dense/siren/dense/kernel:0`), in attributes.
 * Keras 3 numbers them, `dense_1/vars/0`, under the name of the class; the layer's own is an attribute.
 */
function withNames(
  group: Group,
  modelOrder: readonly string[],
  // Links may lead in circles.
  done = new Map<Group, Map<string, Value>>(),
): Map<string, Value> {
  const known = done.get(group);
  if (known) return known;
  const result = new Map<string, Value>();
  done.set(group, result);
  const listed = group.get('layer_names');
  const order = Array.isArray(listed) ? (listed as Value[]) : modelOrder;
  const rank = (name: string) => (order.indexOf(name) + order.length + 1) % (order.length + 1);
  for (const [variable, tensor] of listedVariables(group)) result.set(variable, tensor);
  if (result.size > 0) return result;
  const children = [...group]
    .map(([key, child]) => ({ key, child, name: (key !== 'optimizer' && ownName(child, group)) || key }))
    .sort((a, b) => rank(a.name) - rank(b.name) || naturalOrder.compare(a.key, b.key));
  for (const { key, child, name } of children) {
    if (!(child instanceof Map)) result.set(key, child);
    else {
      const layer = withNames(child as Group, modelOrder, done);
      const variables = kernelAndBias(layer.get('vars'));
      if (variables) layer.delete('vars');
      for (const [variable, tensor] of variables ?? []) layer.set(variable, tensor);
      result.set(result.has(name) ? key : name, layer);
    }
  }
  return result;
}

/** A layer's variables as Keras 2 lists them, by the last part of their names; none unless these differ. */
function listedVariables(layer: Group): Map<string, Tensor> {
  const variables = new Map<string, Tensor>();
  const listed = layer.get('weight_names');
  for (const name of Array.isArray(listed) ? (listed as Value[]) : []) {
    if (typeof name !== 'string') continue;
    let value: Value | undefined = layer;
    const parts = name.split('/');
    for (const part of parts) value = value instanceof Map ? (value as Group).get(part) : undefined;
    const variable = parts.at(-1)!.replace(/:0$/, '');
    if (!(value instanceof Tensor) || variables.has(variable)) return new Map();
    variables.set(variable, value);
  }
  return variables;
}

/** `net.2` before `net.10`. */
const naturalOrder = new Intl.Collator('en', { numeric: true });

function ownName(layer: Value, among: Group): string | undefined {
  const vars: unknown = layer instanceof Map ? layer.get('vars') : undefined;
  const name: unknown = vars instanceof Map ? vars.get('name') : undefined;
  return typeof name === 'string' && !among.has(name) ? name : undefined;
}

/** What shapes show of a layer's numbered variables; undefined when they are not these. */
function kernelAndBias(vars: Value | undefined): [name: string, tensor: Tensor][] | undefined {
  if (!(vars instanceof Map)) return undefined;
  const tensors = [...(vars as Group).values()].filter((value) => value instanceof Tensor);
  const [kernel, bias] = tensors;
  if (tensors.length < 1 || tensors.length > 2 || kernel.shape.length < 2) return undefined;
  if (!bias) return [['kernel', kernel]];
  const fits = bias.shape.length === 1 && bias.shape[0] === kernel.shape.at(-1);
  return fits
    ? [
        ['kernel', kernel],
        ['bias', bias],
      ]
    : undefined;
}
