/** TensorFlow.js: `model.json` with the topology and a manifest, and the weights in shards beside it. */
import { CheckpointError } from '../errors';
import { itemSize } from './elements';
import { openSibling, quote } from './source';
import { elementCount, isSize, makeTensor } from './tensor';
import { graphOfTfjs, isGraphModel } from './tfjsGraph';
import { Tensor, type ByteSource, type Checkpoint, type DType, type Value } from './types';

const maxShards = 1000;

const dtypes = new Map<string, DType>([
  ['float32', 'float32'],
  ['float16', 'float16'],
  ['int32', 'int32'],
  ['uint8', 'uint8'],
  ['uint16', 'uint16'],
  ['bool', 'bool'],
  ['complex64', 'complex64'],
]);

/** The manifest, when `value` is a `model.json`. */
export function weightsManifest(value: Value): readonly Value[] | undefined {
  const manifest: unknown = value instanceof Map ? value.get('weightsManifest') : undefined;
  return Array.isArray(manifest) ? (manifest as readonly Value[]) : undefined;
}

/**
 * The file's own entries (`modelTopology`, `format` …) with `weights`, the tensors by name.
 * @throws CheckpointError when a shard is missing, short or outside the folder.
 */
export function readTfjs(
  source: ByteSource,
  model: ReadonlyMap<string, Value>,
  groups: readonly Value[],
): Checkpoint {
  const weights = new Map<string, Value>();
  const opened = new Set<string>();
  const open = (path: Value) => {
    if (typeof path !== 'string' || opened.size >= maxShards) throw malformed(source);
    if (opened.has(path)) {
      throw new CheckpointError(`${source.name} names ${quote(path)} twice; convert the model again.`);
    }
    opened.add(path);
    return openSibling(source, path);
  };
  for (const group of groups) {
    const paths = entry(group, 'paths');
    const specs = entry(group, 'weights');
    if (!Array.isArray(paths) || !Array.isArray(specs)) throw malformed(source);
    const shards = (paths as readonly Value[]).map(open);
    readGroup(source, new Joined(source.name, shards), specs as readonly Value[], weights);
  }
  return {
    format: 'tfjs',
    root: new Map([...model, ['weights', weights]]),
    opaque: [],
    warnings: [],
    ...(isGraphModel(model) && { graph: () => graphOfTfjs(source.name, model, weights) }),
  };
}

/** Weights of a group follow one another over its shards. */
function readGroup(
  source: ByteSource,
  bytes: Joined,
  specs: readonly Value[],
  weights: Map<string, Value>,
): void {
  let at = 0;
  for (const spec of specs) {
    const name = entry(spec, 'name');
    const shape = entry(spec, 'shape');
    const quantization = entry(spec, 'quantization');
    const type = entry(quantization ?? spec, 'dtype');
    const dtype = typeof type === 'string' ? dtypes.get(type) : undefined;
    const sizes = Array.isArray(shape) && shape.every(isSize) ? shape : undefined;
    if (typeof name !== 'string' || !sizes) throw malformed(source);
    if (!dtype) {
      throw new CheckpointError(
        `${source.name} has the weight ${quote(name)} of type ${quote(typeof type === 'string' ? type : '')}, which is not supported; convert it to float32.`,
      );
    }
    if (weights.has(name))
      throw new CheckpointError(`${source.name} has two weights ${quote(name)}; convert the model again.`);
    const what = `Weight ${quote(name)}`;
    const length = elementCount(sizes, what) * itemSize[dtype];
    const start = at;
    if (start + length > bytes.size) {
      throw new CheckpointError(
        `${source.name} has shards of ${bytes.size} bytes, but ${what} reaches to ${start + length}; copy all shards again.`,
      );
    }
    const stored = makeTensor(
      { dtype, shape: sizes },
      { what, bytes: length, read: (offset, count) => bytes.read(start + offset, count) },
    );
    weights.set(name, dequantised(stored, quantization));
    at += length;
  }
}

/** `value · scale + min`; float16 is only narrower. */
function dequantised(stored: Tensor, quantization: Value | undefined): Tensor {
  const scale = entry(quantization, 'scale');
  const min = entry(quantization, 'min');
  if (typeof scale !== 'number' || typeof min !== 'number') return stored;
  return new Tensor('float32', stored.shape, () => stored.read().map((value) => value * scale + min));
}

/** Several files read as one. */
class Joined {
  readonly size: number;

  constructor(
    private readonly name: string,
    private readonly parts: readonly ByteSource[],
  ) {
    this.size = parts.reduce((sum, part) => sum + part.size, 0);
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const result = new Uint8Array(length);
    let start = 0;
    for (const part of this.parts) {
      const from = Math.max(offset, start);
      const to = Math.min(offset + length, start + part.size);
      if (from < to) result.set(part.read(from - start, to - from), from - offset);
      start += part.size;
    }
    if (offset + length > start)
      throw new CheckpointError(`${this.name} has too short shards; copy them again.`);
    return result;
  }
}

function entry(value: Value | undefined, key: string): Value | undefined {
  return value instanceof Map ? (value as ReadonlyMap<string, Value>).get(key) : undefined;
}

function malformed(source: ByteSource): CheckpointError {
  return new CheckpointError(`${source.name} does not describe its weights; convert the model again.`);
}
