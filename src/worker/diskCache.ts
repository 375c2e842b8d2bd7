/**
 * Traces on disk, each under a hash of the network and of how it was traced, bounded in bytes: the one not used
 * for longest goes first. `<hash>.trace` is the SHA-256 of what follows, and what follows as V8 writes it.
 */
import { createHash, type Hash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import v8 from 'node:v8';
import { readRegularFile, replaceFile, writeWhole } from '../files';
import type { Cache, CacheKey } from '../tracing/cache';

const ENDING = '.trace';
const CHECKSUM = 32;
/** One trace takes at most this part of the whole, so that it does not drive out all others. */
const LARGEST_PART = 1 / 4;
/** Milliseconds after which nobody writes a file any more that is not whole. */
const ABANDONED = 3_600_000;

/** Another build may compute something else. */
const program = () => {
  const { size, mtimeMs } = fs.statSync(__filename);
  return [size, mtimeMs, process.versions.v8];
};

export class DiskCache implements Cache {
  /** @param warn is told of files that were damaged or could not be written; sentences */
  constructor(
    private readonly folder: string,
    /** Bytes that all files may take; 0 keeps nothing. */
    private readonly most: number,
    private readonly warn: (message: string) => void,
  ) {}

  find<T>(key: CacheKey): Promise<T | undefined> {
    return Promise.resolve(this.most > 0 ? (this.read(this.fileOf(key)) as T) : undefined);
  }

  private read(file: string): unknown {
    let bytes: Buffer;
    try {
      bytes = readRegularFile(file, this.most);
      const now = new Date();
      // Used: it goes later.
      fs.utimesSync(file, now, now);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.warn(`A trace in the cache could not be read: ${String(error)}.`);
      return undefined;
    }
    const content = bytes.subarray(CHECKSUM);
    if (checksum(content).equals(bytes.subarray(0, CHECKSUM))) return deserialise(content);
    this.warn(`A damaged trace in the cache was dropped: ${path.basename(file)}.`);
    fs.rmSync(file, { force: true });
    return undefined;
  }

  async keep(key: CacheKey, value: unknown): Promise<void> {
    if (this.most <= 0) return;
    try {
      const content = serialise(value);
      if (content.length > this.most * LARGEST_PART) return;
      fs.mkdirSync(this.folder, { recursive: true });
      await replaceFile(this.fileOf(key), (descriptor) => {
        writeWhole(descriptor, checksum(content));
        writeWhole(descriptor, content);
      });
      this.shrink();
    } catch (error) {
      this.warn(`The trace could not be written to the cache: ${String(error)}.`);
    }
  }

  private fileOf(key: CacheKey): string {
    const hash = createHash('sha256');
    feed(hash, [program(), key]);
    return path.join(this.folder, `${hash.digest('hex')}${ENDING}`);
  }

  private shrink(): void {
    const files = fs.readdirSync(this.folder).flatMap((name) => {
      const file = path.join(this.folder, name);
      // Another window may have removed it.
      const status = fs.statSync(file, { throwIfNoEntry: false });
      return status?.isFile() ? [{ file, bytes: status.size, used: status.mtimeMs }] : [];
    });
    let total = 0;
    for (const { file, bytes, used } of files.sort((a, b) => b.used - a.used)) {
      const abandoned = !file.endsWith(ENDING) && Date.now() - used > ABANDONED;
      total += bytes;
      if (abandoned || total > this.most) fs.rmSync(file, { force: true });
    }
  }
}

const checksum = (content: Uint8Array): Buffer => createHash('sha256').update(content).digest();

/** Unlike `v8.serialize`, whose arrays would come back as views of one buffer, which is copied whole for each message. */
function serialise(value: unknown): Buffer {
  const serializer = new v8.Serializer();
  serializer.writeHeader();
  serializer.writeValue(value);
  return serializer.releaseBuffer();
}

function deserialise(content: Uint8Array): unknown {
  const deserializer = new v8.Deserializer(content);
  deserializer.readHeader();
  return deserializer.readValue() as unknown;
}

/** Adds plain data to a hash, without functions; the order of keys does not matter. */
function feed(hash: Hash, value: unknown): void {
  if (ArrayBuffer.isView(value)) {
    hash.update(`${value.constructor.name} ${value.byteLength}:`);
    hash.update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  } else if (Array.isArray(value) || value instanceof Map) {
    hash.update('[');
    for (const item of value as Iterable<unknown>) feed(hash, item);
    hash.update(']');
  } else if (typeof value === 'object' && value !== null) {
    hash.update('{');
    for (const [key, item] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (typeof item === 'function' || item === undefined) continue;
      feed(hash, key);
      feed(hash, item);
    }
    hash.update('}');
  } else hash.update(typeof value === 'string' ? JSON.stringify(value) : `${typeof value} ${String(value)};`);
}
