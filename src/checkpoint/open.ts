/** Opens any supported file. The reader is chosen by content, never by extension alone. */
import { CheckpointError } from '../errors';
import { signature as hdf5Signature } from './hdf5/file';
import { parseJson } from './json';
import { isKeras, readH5, readKeras } from './keras';
import { beginsWithMap, readMsgpack } from './msgpack';
import { isNpy, readNpy, readNpz } from './numpy';
import { beginsAsModel, readOnnx } from './onnx';
import { findPickle, readArchive } from './pytorch/archive';
import { readPickleFile } from './pytorch/legacy';
import { readTar } from './pytorch/tar';
import { headerLength, readSafetensors } from './safetensors';
import { readShards, weightMap } from './shards';
import { openSibling } from './source';
import { readTfjs, weightsManifest } from './tfjs';
import { Opaque, Tensor, type ByteSource, type Checkpoint, type Value } from './types';
import { ZipArchive } from './zip';

export interface Format {
  readonly id: string;
  readonly title: string;
  /** Usual extensions, with their dot; for file dialogs and file icons only. */
  readonly extensions: readonly string[];
}

/** What `openCheckpoint` reads. */
export const formats: readonly Format[] = [
  { id: 'pytorch-zip', title: 'PyTorch, Lightning', extensions: ['.pt', '.pth', '.ckpt', '.bin', '.tar'] },
  { id: 'pytorch-legacy', title: 'PyTorch before 1.6', extensions: ['.pt', '.pth', '.ckpt', '.bin', '.tar'] },
  { id: 'pytorch-tar', title: 'PyTorch before 0.2', extensions: ['.pt', '.pth'] },
  { id: 'torchscript', title: 'TorchScript (weights)', extensions: ['.pt', '.pth', '.ts'] },
  { id: 'pickle', title: 'Pickle of arrays (also dill)', extensions: ['.pkl', '.pickle', '.npz'] },
  { id: 'safetensors', title: 'safetensors', extensions: ['.safetensors'] },
  { id: 'safetensors-sharded', title: 'safetensors in shards, with index', extensions: ['.json'] },
  { id: 'pytorch-sharded', title: 'PyTorch in shards, with index', extensions: ['.json'] },
  { id: 'onnx', title: 'ONNX', extensions: ['.onnx'] },
  { id: 'tfjs', title: 'TensorFlow.js', extensions: ['.json'] },
  { id: 'keras', title: 'Keras 3', extensions: ['.keras'] },
  { id: 'hdf5', title: 'Keras and other HDF5', extensions: ['.h5', '.hdf5'] },
  { id: 'npz', title: 'NumPy arrays', extensions: ['.npz'] },
  { id: 'npy', title: 'NumPy array', extensions: ['.npy'] },
  { id: 'flax-msgpack', title: 'Flax msgpack', extensions: ['.msgpack', '.flax'] },
];

const maxJson = 64 * 2 ** 20;
const maxRepeated = 256 * 2 ** 20;

/**
 * Reads the structure of a checkpoint; tensors are read on demand, so keep `source` open for them.
 * @throws CheckpointError with one sentence that says what the file is instead, or where it is damaged.
 */
export function openCheckpoint(source: ByteSource): Checkpoint {
  const files = [source];
  const checkpoint = open(noting(source, files), true);
  const stored = files.reduce((sum, { size }) => sum + size, 0);
  const claimed = bytesWhenRead(checkpoint.root);
  if (claimed > 8 * stored + maxRepeated) {
    throw new CheckpointError(
      `${source.name} has ${stored} bytes, but its tensors take ${claimed} when read, because they repeat the same ones; save copies of the weights alone.`,
    );
  }
  return checkpoint;
}

/** A source that notes the files which are opened through it. */
function noting(source: ByteSource, files: ByteSource[]): ByteSource {
  const { name, size } = source;
  return {
    name,
    size,
    read: (offset, length) => source.read(offset, length),
    sibling(relative) {
      const sibling = noting(openSibling(source, relative), files);
      files.push(sibling);
      return sibling;
    },
    close: () => source.close(),
  };
}

/** Bytes of all tensors as float32. A small file may refer to the same bytes from many. */
function bytesWhenRead(root: Value): number {
  const seen = new Set<Value>();
  let bytes = 0;
  const pending = [root];
  const add = (value: Value) => {
    if (typeof value === 'object' && value !== null && !seen.has(value)) {
      seen.add(value);
      pending.push(value);
    }
  };
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (value instanceof Tensor) bytes += 4 * value.size * (value.isComplex ? 2 : 1);
    else if (value instanceof Map)
      for (const child of (value as ReadonlyMap<string, Value>).values()) add(child);
    else if (Array.isArray(value)) for (const child of value as readonly Value[]) add(child);
    else if (value instanceof Opaque) [...value.args, value.state].forEach(add);
  }
  return bytes;
}

/** @param mayBeIndex false for a shard, which names no further files. */
function open(source: ByteSource, mayBeIndex: boolean): Checkpoint {
  if (source.size === 0) {
    throw new CheckpointError(`${source.name} is empty; save or copy it again.`);
  }
  const head = source.read(0, Math.min(source.size, 4096));
  if (startsWith(head, 'PK\x03\x04') || startsWith(head, 'PK\x05\x06')) return openZip(source);
  // Before pickles: the length of a header may begin as they do.
  const header = headerLength(source);
  if (header !== undefined) return readSafetensors(source, header);
  if (head[0] === 0x80 && head[1] <= 5) return readPickleFile(source);
  if (startsWith(head, hdf5Signature)) return readH5(source);
  if (startsWith(head, '\x93NUMPY')) return readNpy(source);
  if (startsWith(head.subarray(257), 'ustar')) return readTar(source);
  if (beginsAsModel(head)) return readOnnx(source);
  if (beginsWithMap(head)) return readMsgpack(source);
  return (mayBeIndex ? openJson(source, head) : undefined) ?? tryUnmarked(source) ?? refuse(source, head);
}

function openZip(source: ByteSource): Checkpoint {
  const archive = ZipArchive.open(source);
  const pickle = findPickle(archive, source);
  if (pickle !== undefined) return readArchive(source, archive, pickle);
  if (isKeras(archive)) return readKeras(source, archive);
  if (archive.names.some(isNpy)) return readNpz(archive);
  throw new CheckpointError(
    `${source.name} is a zip archive without a checkpoint of a known format in it; unpack it and choose the checkpoint inside.`,
  );
}

/** Files of JSON that name where the weights are. */
function openJson(source: ByteSource, head: Uint8Array): Checkpoint | undefined {
  if (!/^\s*\{\s*"/.test(Buffer.from(head).toString('latin1')) || source.size > maxJson) return undefined;
  const value = parseJson(source.read(0, source.size), source.name);
  const files = weightMap(value);
  if (files) return readShards(source, files, (shard) => open(shard, false));
  const groups = weightsManifest(value);
  return groups && readTfjs(source, value as ReadonlyMap<string, Value>, groups);
}

/** Pickles of protocols 0 and 1 have no signature, but they begin and end in few ways. */
function tryUnmarked(source: ByteSource): Checkpoint | undefined {
  const first = String.fromCharCode(source.read(0, 1)[0]);
  const last = String.fromCharCode(source.read(source.size - 1, 1)[0]);
  if (!'(]})cilp'.includes(first) || last !== '.') return undefined;
  try {
    return readPickleFile(source);
  } catch (error) {
    if (error instanceof CheckpointError) return undefined;
    throw error;
  }
}

/** One sentence for what a file is that no reader takes. */
function refuse(source: ByteSource, head: Uint8Array): never {
  const text = Buffer.from(head).toString('latin1').trimStart();
  const say = (what: string): never => {
    throw new CheckpointError(`${source.name} ${what}.`);
  };
  if (text.startsWith('version https://git-lfs')) {
    return say('is a Git LFS pointer, not the file itself; run “git lfs pull” to fetch it');
  }
  if (/^(<!doctype html|<html|<\?xml|<head)/i.test(text)) {
    return say('is a web page, not a checkpoint; download the file itself');
  }
  if (startsWith(head, '\x1f\x8b') || startsWith(head, 'BZh') || startsWith(head, '\xfd7zXZ')) {
    return say('is compressed; unpack it first');
  }
  if (startsWith(head, "7z\xbc\xaf'") || startsWith(head, 'Rar!')) {
    return say('is an archive of another kind; unpack it and choose the checkpoint inside');
  }
  if (/\.(index|data-\d{5}-of-\d{5})$/.test(source.name)) {
    return say(
      'is part of a TensorFlow checkpoint; save the weights as HDF5, model.save_weights("model.weights.h5")',
    );
  }
  if (!head.includes(0) && isText(head))
    return say('is a text file, not a checkpoint; choose the file with the weights');
  if (head.every((byte) => byte === 0)) {
    return say('begins with zeros only, so it was not written completely; save or copy it again');
  }
  return say(
    'is not a checkpoint of a known format; save the weights with torch.save, as safetensors, or export an ONNX file',
  );
}

function startsWith(bytes: Uint8Array, signature: string): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(signature.length, bytes.length)).equals(
    Buffer.from(signature, 'latin1'),
  );
}

function isText(bytes: Uint8Array): boolean {
  const decoded = new TextDecoder('utf-8').decode(bytes, { stream: true });
  // eslint-disable-next-line no-control-regex
  return !decoded.includes('\ufffd') && !/[\x00-\x08\x0e-\x1a\x1c-\x1f]/.test(decoded);
}
