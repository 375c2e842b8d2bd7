/**
 * Pickles that are files of their own: PyTorch's format before 1.6 (pickles, then the storages), and
 * plain ones (`pickle.dump`, dill), whatever their extension. Source: torch/serialization.py.
 */
import { CheckpointError } from '../../errors';
import type { ByteSource, Checkpoint } from '../types';
import { keyText, PickleEndError, unpickle, unpickleItem, type Item } from './pickle';
import { TorchConstructors, type StorageFile } from './torch';

/** PROTO 2, then LONG1 of 10 bytes: the number 0x1950a86a20f9469cfc6c. */
const magicNumber = Buffer.from('80028a0a6cfc9c46f9206aa85019', 'hex');
const firstWindow = 16 * 2 ** 20;
/** Storages inside a plain pickle are files of their own; those are not expected to hold another. */
const maxFilesInside = 2;

/** @throws CheckpointError when the file is no pickle, or a damaged one. */
export function readPickleFile(source: ByteSource): Checkpoint {
  return inWindow(source, 0, firstWindow, (bytes) =>
    isLegacy(bytes) ? readLegacy(source, bytes) : readPlain(bytes),
  );
}

/**
 * Applies `read` to the bytes from `offset`, to more of them whenever a pickle goes on behind them:
 * storages lie between pickles and may be large, so that not all is read at once.
 */
export function inWindow<T>(
  source: ByteSource,
  offset: number,
  first: number,
  read: (bytes: Uint8Array<ArrayBuffer>) => T,
): T {
  for (let window = first; ; window *= 4) {
    const rest = source.size - offset;
    const bytes = source.read(offset, Math.min(window, rest));
    try {
      return read(bytes);
    } catch (error) {
      if (!(error instanceof PickleEndError) || bytes.length === rest) throw error;
    }
  }
}

export const noStorages: StorageFile = {
  order: 'little',
  size: () => undefined,
  read: () => new Uint8Array(0),
};

/** Whether the first pickle is PyTorch's magic number. */
function isLegacy(bytes: Uint8Array): boolean {
  return magicNumber.equals(bytes.subarray(0, magicNumber.length));
}

/** A pickle alone. */
export function readPlain(bytes: Uint8Array<ArrayBuffer>): Checkpoint {
  const opaque = new Set<string>();
  const constructors = new TorchConstructors(noStorages, (inner) => loadStorage(inner, opaque, 1));
  const { value, end } = unpickle(bytes, constructors, opaque);
  const rest = bytes.length - end;
  const warnings = rest > 0 ? [`${rest} bytes after the end of the pickle were ignored.`] : [];
  return { format: 'pickle', root: value, opaque: [...opaque], warnings };
}

function readLegacy(source: ByteSource, bytes: Uint8Array<ArrayBuffer>): Checkpoint {
  const opaque = new Set<string>();
  const storages = new LegacyStorages(source);
  const { constructors, value } = readPickles(bytes, opaque, storages, unpickle);
  constructors.checkStorages();
  return { format: 'pytorch-legacy', root: value.value, opaque: [...opaque], warnings: [] };
}

/** The storage that a complete file of PyTorch inside a pickle holds. */
function loadStorage(bytes: Uint8Array<ArrayBuffer>, opaque: Set<string>, depth: number): Item {
  if (depth > maxFilesInside || !isLegacy(bytes)) {
    throw new CheckpointError(
      'The pickle inside the file holds a malformed tensor; save it with torch.save.',
    );
  }
  const source: ByteSource = {
    name: 'a tensor inside the pickle',
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
    close() {},
  };
  const { constructors, value } = readPickles(bytes, opaque, new LegacyStorages(source), unpickleItem, depth);
  constructors.checkStorages();
  return value.item;
}

/** Magic number, protocol, system, content, keys of the storages; then each storage as a count and bytes. */
function readPickles<T extends { end: number }>(
  bytes: Uint8Array<ArrayBuffer>,
  opaque: Set<string>,
  storages: LegacyStorages,
  read: (
    bytes: Uint8Array<ArrayBuffer>,
    constructors: TorchConstructors,
    opaque: Set<string>,
    start: number,
  ) => T,
  depth = 0,
): { constructors: TorchConstructors; value: T } {
  const constructors = new TorchConstructors(storages, (inner) => loadStorage(inner, opaque, depth + 1));
  let at = 0;
  for (let i = 0; i < 3; i++) at = unpickle(bytes, constructors, opaque, at).end;
  const value = read(bytes, constructors, opaque, at);
  const keys = unpickle(bytes, constructors, opaque, value.end);
  if (!Array.isArray(keys.value)) {
    throw new CheckpointError(
      'The file does not list its storages, so it is damaged; save the checkpoint again.',
    );
  }
  storages.locate(
    keys.value.map((key) => keyText(key as Item)),
    keys.end,
    constructors.declared,
  );
  return { constructors, value };
}

class LegacyStorages implements StorageFile {
  /** Converted when they are written. */
  readonly order = 'little';
  private readonly places = new Map<string, { offset: number; bytes: number }>();

  constructor(private readonly source: ByteSource) {}

  locate(keys: readonly string[], start: number, declared: ReadonlyMap<string, number>): void {
    let offset = start;
    for (const key of keys) {
      const bytes = declared.get(key);
      if (bytes === undefined || Number.isNaN(bytes)) {
        throw new CheckpointError(
          `${this.source.name} holds a storage of an unknown type; save it with a newer torch.save.`,
        );
      }
      // A count of elements comes first; the pickle already told it.
      this.places.set(key, { offset: offset + 8, bytes });
      offset += 8 + bytes;
    }
    if (offset > this.source.size) {
      throw new CheckpointError(
        `${this.source.name} ends at byte ${this.source.size}, but its storages reach to ${offset}, so it was only partly written or copied; save or copy it again.`,
      );
    }
  }

  size(key: string): number | undefined {
    return this.places.get(key)?.bytes;
  }

  read(key: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
    return this.source.read(this.places.get(key)!.offset + offset, length);
  }
}
