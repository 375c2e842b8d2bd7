/** PyTorch's zip files: one folder with `data.pkl`, `data/<key>`, `version` and perhaps `byteorder`. */
import { CheckpointError } from '../../errors';
import { quote } from '../source';
import type { ByteSource, Checkpoint } from '../types';
import type { ZipArchive } from '../zip';
import { unpickle } from './pickle';
import { TorchConstructors, type StorageFile } from './torch';

const maxPickleBytes = 512 * 2 ** 20;

/** Name of the entry that holds the pickle; undefined when the archive is not PyTorch's. */
export function findPickle(archive: ZipArchive, source: ByteSource): string | undefined {
  const found = archive.names.filter((name) => /^([^/]+\/)?data\.pkl$/.test(name));
  if (found.length > 1) {
    const names = found.map(quote).join(' and ');
    throw new CheckpointError(`${source.name} holds two checkpoints, ${names}; save one of them alone.`);
  }
  return found[0];
}

export function readArchive(source: ByteSource, archive: ZipArchive, pickle: string): Checkpoint {
  const root = pickle.slice(0, -'data.pkl'.length);
  const bytes = archive.size(pickle)!;
  if (bytes > maxPickleBytes) {
    throw new CheckpointError(
      `${source.name} has a pickle of ${bytes} bytes; save the weights as tensors, not lists.`,
    );
  }
  const opaque = new Set<string>();
  const constructors = new TorchConstructors(new ArchiveStorages(archive, root));
  const { value, end } = unpickle(archive.read(pickle), constructors, opaque);
  constructors.checkStorages();
  const warnings = [...archive.warnings];
  if (end < bytes) warnings.push(`${bytes - end} bytes after the end of the pickle were ignored.`);
  const scripted = archive.names.some((name) => name.startsWith(`${root}code/`));
  return { format: scripted ? 'torchscript' : 'pytorch-zip', root: value, opaque: [...opaque], warnings };
}

class ArchiveStorages implements StorageFile {
  readonly order;

  constructor(
    private readonly archive: ZipArchive,
    private readonly root: string,
  ) {
    const name = `${root}byteorder`;
    const text = archive.has(name)
      ? Buffer.from(archive.open(name).read(0, Math.min(archive.size(name)!, 16)))
      : '';
    this.order = String(text) === 'big' ? ('big' as const) : ('little' as const);
  }

  size(key: string): number | undefined {
    return this.archive.size(`${this.root}data/${key}`);
  }

  read(key: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
    return this.archive.open(`${this.root}data/${key}`).read(offset, length);
  }
}
