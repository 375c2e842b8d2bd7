/** Opens any supported file. The reader is chosen by content, never by extension alone. */
import { CheckpointError } from '../errors';
import { findPickle, readArchive } from './pytorch/archive';
import { readPickleFile } from './pytorch/legacy';
import { readTar } from './pytorch/tar';
import type { ByteSource, Checkpoint } from './types';
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
];

/**
 * Reads the structure of a checkpoint; tensors are read on demand, so keep `source` open for them.
 * @throws CheckpointError with one sentence that says what the file is instead, or where it is damaged.
 */
export function openCheckpoint(source: ByteSource): Checkpoint {
  if (source.size === 0) {
    throw new CheckpointError(`${source.name} is empty; save or copy it again.`);
  }
  const head = source.read(0, Math.min(source.size, 4096));
  if (startsWith(head, 'PK\x03\x04') || startsWith(head, 'PK\x05\x06')) return openZip(source);
  if (head[0] === 0x80 && head[1] <= 5) return readPickleFile(source);
  if (startsWith(head.subarray(257), 'ustar')) return readTar(source);
  return tryUnmarked(source) ?? refuse(source, head);
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

function openZip(source: ByteSource): Checkpoint {
  const archive = ZipArchive.open(source);
  const pickle = findPickle(archive, source);
  if (pickle !== undefined) return readArchive(source, archive, pickle);
  throw new CheckpointError(
    `${source.name} is a zip archive without a checkpoint in it; choose the checkpoint file itself.`,
  );
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
