/** Whether a file is a complete checkpoint, and a hash of its content. */
import { createHash, type Hash } from 'node:crypto';
import fs from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { openCheckpoint } from '../checkpoint/open';
import { fileSource, openSibling } from '../checkpoint/source';
import type { ByteSource } from '../checkpoint/types';
import type { CancelToken } from '../errors';
import type { SavedFile } from './protocol';

/** Read at a time: a few milliseconds of hashing, so that other calls have their turns. */
const CHUNK = 4 << 20;

/**
 * Opens the file as a checkpoint and hashes it, with the files it names. A file that is being written is told
 * by its structure, or by changing while it is read.
 * @throws CheckpointError @throws CancelledError
 */
export async function digest(file: string, cancel: CancelToken): Promise<SavedFile> {
  const source = fileSource(file);
  try {
    const { mtimeMs } = fs.statSync(file);
    const parts: ByteSource[] = [source];
    openCheckpoint({
      name: source.name,
      size: source.size,
      read: (offset, length) => source.read(offset, length),
      sibling(relative) {
        const sibling = openSibling(source, relative);
        parts.push(sibling);
        return sibling;
      },
      close() {},
    });
    const hash = createHash('sha256');
    for (const part of parts) await add(hash, part, cancel);
    return {
      sha256: hash.digest('hex'),
      bytes: parts.reduce((sum, { size }) => sum + size, 0),
      modified: mtimeMs,
    };
  } finally {
    source.close();
  }
}

async function add(hash: Hash, source: ByteSource, cancel: CancelToken): Promise<void> {
  for (let at = 0; at < source.size; at += CHUNK) {
    cancel.throwIfCancelled();
    hash.update(source.read(at, Math.min(CHUNK, source.size - at)));
    await turn();
  }
}
