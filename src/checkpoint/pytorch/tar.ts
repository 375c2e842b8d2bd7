/** PyTorch before 0.2: a tar archive with `storages`, `tensors` and `pickle`. Source: `legacy_load` in torch/serialization.py. */
import { CheckpointError } from '../../errors';
import { itemSize } from '../elements';
import { sliceSource } from '../source';
import { isSize, makeTensor } from '../tensor';
import { Opaque, type ByteSource, type Checkpoint, type DType, type Tensor, type Value } from '../types';
import { inWindow, noStorages } from './legacy';
import { keyText, unpickle, type Constructors, type Item } from './pickle';
import { storageClass, TorchConstructors } from './torch';

const maxMembers = 10_000;
const maxItems = 200_000;
const pickleWindow = 2 ** 12;

interface TarStorage {
  readonly dtype: DType;
  readonly content: ByteSource;
}

/** @throws CheckpointError when the archive is damaged or not PyTorch's. */
export function readTar(source: ByteSource): Checkpoint {
  const members = readMembers(source);
  const [storages, tensors, pickle] = ['storages', 'tensors', 'pickle'].map((name) => members.get(name));
  if (!storages || !tensors || !pickle) {
    throw new CheckpointError(
      `${source.name} is a tar archive, not a checkpoint; unpack it and choose the checkpoint inside.`,
    );
  }
  const opaque = new Set<string>();
  const byKey = readTensors(tensors, readStorages(storages));
  const plain = new TorchConstructors(noStorages);
  const constructors: Constructors = {
    find: (module, name) => plain.find(module, name),
    isKnown: (module, name) => plain.isKnown(module, name),
    // A class with its source code, or the number of a tensor.
    persistent: (id) => (Array.isArray(id) ? (id[0] ?? null) : (byKey.get(keyText(id)) ?? damaged(source))),
  };
  const { value } = unpickle(pickle.read(0, pickle.size), constructors, opaque);
  return { format: 'pytorch-tar', root: value, opaque: [...opaque], warnings: [] };
}

/** Regular files of the archive by name. Format: POSIX ustar. */
function readMembers(source: ByteSource): Map<string, ByteSource> {
  const members = new Map<string, ByteSource>();
  for (let at = 0, count = 0; at + 512 <= source.size && count < maxMembers; count++) {
    const header = Buffer.from(source.read(at, 512));
    const name = header.toString('utf8', 0, 100).split('\0')[0];
    if (name === '') break;
    const size = parseInt(header.toString('latin1', 124, 136), 8);
    if (!(size >= 0 && at + 512 + size <= source.size)) {
      throw new CheckpointError(
        `${source.name} is a tar archive that ends early, so it was only partly written or copied; save or copy it again.`,
      );
    }
    const regular = header[156] === 0x30 || header[156] === 0;
    if (regular && !members.has(name)) members.set(name, sliceSource(source, name, at + 512, size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return members;
}

/** How many, then for each its description and its content; then views into them. */
function readStorages(source: ByteSource): Map<string, TarStorage> {
  const reader = new Reader(source);
  const storages = new Map<string, TarStorage>();
  for (let count = reader.number(); count > 0; count--) {
    const [key, , kind] = reader.list();
    const dtype = kind instanceof Opaque ? storageClass(kind.module, kind.name) : undefined;
    if (!dtype || dtype === 'untyped') return damaged(source);
    const bytes = reader.int64() * itemSize[dtype];
    storages.set(keyText(key as Item), { dtype, content: reader.slice(bytes) });
  }
  for (const view of reader.list()) {
    const [key, root, offset, count] = (Array.isArray(view) ? view : []) as Item[];
    const storage = storages.get(keyText(root ?? null));
    if (!storage || !isSize(offset) || !isSize(count)) return damaged(source);
    const width = itemSize[storage.dtype];
    const content = sliceSource(storage.content, source.name, offset * width, count * width);
    storages.set(keyText(key), { dtype: storage.dtype, content });
  }
  return storages;
}

/** How many, then for each its description, dimensions, sizes, strides and offset. */
function readTensors(source: ByteSource, storages: ReadonlyMap<string, TarStorage>): Map<string, Tensor> {
  const reader = new Reader(source);
  const tensors = new Map<string, Tensor>();
  for (let count = reader.number(); count > 0; count--) {
    const [key, storageKey] = reader.list();
    const storage = storages.get(keyText((storageKey ?? null) as Item));
    if (!storage) return damaged(source);
    const { dtype, content } = storage;
    const dimensions = reader.dimensions();
    const shape = reader.int64s(dimensions);
    const strides = reader.int64s(dimensions);
    const offset = reader.int64();
    const tensor = makeTensor(
      { dtype, shape, strides, offset },
      { what: 'A tensor', bytes: content.size, read: (start, length) => content.read(start, length) },
    );
    tensors.set(keyText(key as Item), tensor);
  }
  return tensors;
}

/** Reads pickles and numbers one after another. */
class Reader {
  private at = 0;
  private readonly constructors = new TorchConstructors(noStorages);

  constructor(private readonly source: ByteSource) {}

  private pickle(): Value {
    const { value, end } = inWindow(this.source, this.at, pickleWindow, (bytes) =>
      unpickle(bytes, this.constructors, new Set()),
    );
    this.at += end;
    return value;
  }

  number(): number {
    const value = this.pickle();
    return isSize(value) && value <= maxItems ? value : damaged(this.source);
  }

  list(): readonly Value[] {
    const value = this.pickle();
    return Array.isArray(value) ? (value as readonly Value[]) : damaged(this.source);
  }

  slice(bytes: number): ByteSource {
    const slice = sliceSource(this.source, this.source.name, this.at, bytes);
    this.at += bytes;
    return slice;
  }

  /** A 32-bit number that takes 64 bits. */
  dimensions(): number {
    const bytes = Buffer.from(this.slice(8).read(0, 8));
    const count = bytes.readInt32LE(0);
    return count >= 0 && count <= 64 ? count : damaged(this.source);
  }

  int64(): number {
    return this.int64s(1)[0];
  }

  int64s(count: number): number[] {
    const bytes = Buffer.from(this.slice(8 * count).read(0, 8 * count));
    return Array.from({ length: count }, (_, i) => {
      const value = Number(bytes.readBigInt64LE(8 * i));
      return isSize(value) ? value : damaged(this.source);
    });
  }
}

function damaged(source: ByteSource): never {
  throw new CheckpointError(
    `${source.name} is damaged (a checkpoint in a tar archive); copy or save it again.`,
  );
}
