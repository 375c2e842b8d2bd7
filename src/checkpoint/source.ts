/** Random access to the bytes of a file, or of a part of one. */
import fs from 'node:fs';
import path from 'node:path';
import { CheckpointError } from '../errors';
import type { ByteSource } from './types';

/**
 * Opens a regular file for reading. Close it when its tensors are no longer needed: they are read on demand.
 * @throws CheckpointError when there is no such file, it is a folder or device, or it may not be read.
 */
export function fileSource(file: string): ByteSource {
  return new FileSource(file);
}

/** Bytes already in memory. `read` returns views of `bytes`, which must not be changed. */
export function bytesSource(name: string, bytes: Uint8Array<ArrayBuffer>): ByteSource {
  return {
    name,
    size: bytes.length,
    read(offset, length) {
      checkRange(this, offset, length);
      return bytes.subarray(offset, offset + length);
    },
    close() {},
  };
}

/** The bytes `[offset, offset + size)` of another source, which stays the owner of the file. */
export function sliceSource(source: ByteSource, name: string, offset: number, size: number): ByteSource {
  checkRange(source, offset, size);
  return {
    name,
    size,
    read(start, length) {
      checkRange(this, start, length);
      return source.read(offset + start, length);
    },
    sibling: (sibling) => openSibling(source, sibling),
    close() {},
  };
}

/**
 * Opens a file that `source` names, which must lie in the same folder or below it.
 * @throws CheckpointError when it leads elsewhere, is missing, or the source has no folder.
 */
export function openSibling(source: ByteSource, relative: string): ByteSource {
  if (!source.sibling) {
    throw new CheckpointError(
      `${source.name} names another file, ${quote(relative)}, that is not at hand; open it from its folder.`,
    );
  }
  return source.sibling(relative);
}

/** The file may have become a pipe since it was looked at; Windows has no such flag. */
const READ = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0);

/** Text of a file, quoted and shortened for a message. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}

class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  private readonly fd: number;
  private readonly modified: number;
  private readonly siblings: ByteSource[] = [];
  private closed = false;

  constructor(private readonly file: string) {
    this.name = path.basename(file);
    const status = attempt(this.name, 'open', () => fs.statSync(file));
    if (status.isDirectory()) {
      throw new CheckpointError(`${this.name} is a folder; choose a checkpoint file inside it.`);
    }
    // Opening a pipe or device could wait for ever.
    if (!status.isFile()) {
      throw new CheckpointError(`${this.name} is not a regular file; choose a checkpoint file.`);
    }
    this.fd = attempt(this.name, 'open', () => fs.openSync(file, READ));
    const opened = fs.fstatSync(this.fd);
    this.size = opened.size;
    this.modified = opened.mtimeMs;
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    checkRange(this, offset, length);
    if (this.closed) throw new CheckpointError(`${this.name} was closed while being read; open it again.`);
    this.checkUnchanged();
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const count = attempt(this.name, 'read', () =>
        // One call may transfer at most 2³¹ − 1 bytes.
        fs.readSync(this.fd, bytes, done, Math.min(length - done, 0x40000000), offset + done),
      );
      if (count === 0)
        throw new CheckpointError(`${this.name} became shorter while it was read; open it again.`);
      done += count;
    }
    return bytes;
  }

  sibling(relative: string): ByteSource {
    const source = new FileSource(insideFolder(path.dirname(this.file), relative, this.name));
    this.siblings.push(source);
    return source;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    fs.closeSync(this.fd);
    for (const sibling of this.siblings) sibling.close();
  }

  /** A training run may overwrite the file in place; mixing old and new weights would show a wrong picture. */
  private checkUnchanged(): void {
    const now = fs.fstatSync(this.fd);
    if (now.size < this.size) {
      throw new CheckpointError(`${this.name} became shorter while it was read; open it again.`);
    }
    if (now.size !== this.size || now.mtimeMs !== this.modified) {
      throw new CheckpointError(`${this.name} was changed while it was read; open it again.`);
    }
  }
}

function checkRange(source: ByteSource, offset: number, length: number): void {
  const inside =
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    offset + length <= source.size;
  if (!inside) {
    throw new CheckpointError(
      `${source.name} ends at byte ${source.size}, but ${length} bytes are expected at ${offset}; copy or save the file again.`,
    );
  }
}

/** Absolute path of `relative`, with links followed, checked to lie in `folder`. */
function insideFolder(folder: string, relative: string, name: string): string {
  const outside = new CheckpointError(
    `${name} names the file ${quote(relative)} outside its own folder, which is not read; put the files together.`,
  );
  if (relative.includes('\0') || path.isAbsolute(relative) || path.win32.isAbsolute(relative)) throw outside;
  const file = path.resolve(folder, relative.replaceAll('\\', '/'));
  if (!isInside(folder, file)) throw outside;
  const real = attempt(path.basename(file), 'open', () => fs.realpathSync(file));
  if (!isInside(fs.realpathSync(folder), real)) throw outside;
  return real;
}

/** Whether `file` lies below `folder`; both absolute. */
export function isInside(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== '' && relative.split(path.sep)[0] !== '..' && !path.isAbsolute(relative);
}

function attempt<T>(name: string, what: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new CheckpointError(`${name} does not exist; check its name and folder.`);
    }
    if (code === 'EACCES' || code === 'EPERM') {
      throw new CheckpointError(`${name} may not be read; check its permissions.`);
    }
    if (code === 'ENAMETOOLONG') {
      throw new CheckpointError(
        `${quote(name)} lies under a name that is too long; shorten it or its folders.`,
      );
    }
    throw new CheckpointError(
      `${name} cannot be ${what === 'open' ? 'opened' : 'read'} (${code ?? String(error)}).`,
    );
  }
}
