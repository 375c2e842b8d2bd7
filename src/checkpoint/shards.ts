/** Weights in several files, and the index that names them: `*.safetensors.index.json`, `*.bin.index.json`. */
import { CheckpointError } from '../errors';
import { openSibling, quote } from './source';
import { Tensor, type ByteSource, type Checkpoint, type Value } from './types';

const maxShards = 1000;

/** What an index says, when `value` is one: the file of each tensor. */
export function weightMap(value: Value): ReadonlyMap<string, Value> | undefined {
  const map: unknown = value instanceof Map ? value.get('weight_map') : undefined;
  return map instanceof Map ? (map as ReadonlyMap<string, Value>) : undefined;
}

/**
 * Opens every shard, which must lie in the index's folder.
 * @throws CheckpointError when one is missing, damaged or lacks a tensor.
 */
export function readShards(
  source: ByteSource,
  files: ReadonlyMap<string, Value>,
  open: (shard: ByteSource) => Checkpoint,
): Checkpoint {
  const shards = new Map<string, Checkpoint>();
  const root = new Map<string, Value>();
  for (const [name, file] of files) {
    if (typeof file !== 'string') {
      throw new CheckpointError(
        `${source.name} does not say where ${quote(name)} is; save the weights again.`,
      );
    }
    let shard = shards.get(file);
    if (!shard) {
      if (shards.size >= maxShards) {
        throw new CheckpointError(
          `${source.name} names more than ${maxShards} files; save fewer, larger ones.`,
        );
      }
      shard = open(openSibling(source, file));
      if (!/^(safetensors|pytorch-.*)$/.test(shard.format)) {
        throw new CheckpointError(
          `${quote(file)}, which ${source.name} names, holds no weights of safetensors or PyTorch; save them again.`,
        );
      }
      shards.set(file, shard);
    }
    const tensor: Value | undefined =
      shard.root instanceof Map ? (shard.root as ReadonlyMap<string, Value>).get(name) : undefined;
    if (!(tensor instanceof Tensor)) {
      throw new CheckpointError(
        `${quote(file)} lacks the tensor ${quote(name)} that ${source.name} names; copy it again.`,
      );
    }
    root.set(name, tensor);
  }
  const all = [...shards.values()];
  return {
    format: all[0]?.format.startsWith('pytorch') ? 'pytorch-sharded' : 'safetensors-sharded',
    root,
    opaque: [...new Set(all.flatMap((shard) => shard.opaque))],
    warnings: all.flatMap((shard) => shard.warnings),
  };
}
