/** Opens any supported file. The reader is chosen by content, never by extension alone. */
import { CheckpointError } from '../errors';
import { findPickle, readArchive } from './pytorch/archive';
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
  {
    id: 'pytorch-zip',
    title: 'PyTorch (zip), Lightning',
    extensions: ['.pt', '.pth', '.ckpt', '.tar', '.bin'],
  },
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
  throw unsupported(source, head);
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
function unsupported(source: ByteSource, head: Uint8Array): CheckpointError {
  const { name } = source;
  const text = Buffer.from(head).toString('latin1').trimStart();
  const say = (what: string) => new CheckpointError(`${name} ${what}.`);
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
