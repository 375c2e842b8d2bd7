/** Reading and writing files as a whole, whatever lies under their names. */
import fs from 'node:fs';

/** `O_NONBLOCK` does not exist on Windows, nor do pipes among its files. */
const READ = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0);

/**
 * The bytes of a regular file. A named pipe or a device, whose opening or reading could wait for ever, is
 * refused.
 * @throws Error with the file system's `code`, or EFBIG when it is larger than `most` bytes
 */
export function readRegularFile(file: string, most = Infinity): Buffer {
  const descriptor = fs.openSync(file, READ);
  try {
    const status = fs.fstatSync(descriptor);
    if (!status.isFile()) throw withCode('not a regular file', 'EINVAL');
    if (status.size > most) throw withCode('too large', 'EFBIG');
    return fs.readFileSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

const withCode = (message: string, code: string) => Object.assign(new Error(message), { code });

/** Writes all of it: one call may write less, on a disk that is almost full or beyond 2³¹ bytes. */
export function writeWhole(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const count = fs.writeSync(descriptor, bytes, done, Math.min(bytes.length - done, 0x40000000));
    if (count === 0) throw withCode('nothing more can be written', 'ENOSPC');
    done += count;
  }
}

let parts = 0;

/**
 * Writes to a file beside it first, so that a half-written one never carries the final name and what stood
 * there before stays until the new one is whole. Two windows may do so at once.
 * @throws the file system's error
 */
export async function replaceFile(
  file: string,
  write: (descriptor: number) => Promise<void> | void,
): Promise<void> {
  const part = `${file}.${process.pid}-${++parts}.part`;
  const descriptor = fs.openSync(part, 'wx');
  try {
    await write(descriptor);
    fs.closeSync(descriptor);
    fs.renameSync(part, file);
  } catch (error) {
    try {
      fs.closeSync(descriptor);
    } catch {
      // Already closed: the first error is the one that matters.
    }
    fs.rmSync(part, { force: true });
    throw error;
  }
}
