/**
 * A strict, synchronous zip reader with random access. Format: PKWARE APPNOTE.TXT 6.3.10.
 * Libraries for it are asynchronous or want the whole file in memory; checkpoints need neither.
 */
import zlib from 'node:zlib';
import { CheckpointError } from '../errors';
import { bytesSource, quote, sliceSource } from './source';
import type { ByteSource } from './types';

const maxEntries = 200_000;
const maxDirectoryBytes = 64 * 2 ** 20;
/** A compressed entry may expand to four times its size, and this much more. */
const maxExpansion = 32 * 2 ** 20;
/** Bit 1, 2: compression options; 3: sizes follow the data; 11: UTF-8 names. */
const knownFlags = 0b1000_0000_1110;
const crcChunk = 2 ** 20;

interface Entry {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  /** Bytes when expanded. */
  readonly size: number;
  /** Position of the local header in the source. */
  readonly header: number;
  /** Where the next entry, or the directory, begins. */
  limit: number;
}

export class ZipArchive {
  private readonly verified = new Set<string>();

  private constructor(
    private readonly source: ByteSource,
    private readonly entries: ReadonlyMap<string, Entry>,
    /** What was odd but survivable. */
    readonly warnings: readonly string[],
  ) {}

  /** @throws CheckpointError when the directory is missing, damaged or contradicts itself. */
  static open(source: ByteSource): ZipArchive {
    const warnings: string[] = [];
    const end = findEnd(source, warnings);
    const entries = readDirectory(source, end);
    return new ZipArchive(source, entries, warnings);
  }

  /** Names of the files, in the directory's order. */
  get names(): readonly string[] {
    return [...this.entries.keys()];
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  /** Bytes of a file when expanded; undefined when there is none of this name. */
  size(name: string): number | undefined {
    return this.entries.get(name)?.size;
  }

  /** A whole file, expanded and checked. */
  read(name: string): Uint8Array<ArrayBuffer> {
    const file = this.open(name);
    return file.read(0, file.size);
  }

  /**
   * A file as a source of its own; stored files are read on demand.
   * @param verify checks the sum first. Without, only look at what is checked again later.
   */
  open(name: string, verify = true): ByteSource {
    const entry = this.entries.get(name);
    if (!entry) throw this.error(`has no entry ${quote(name)}`);
    if (entry.flags & 0b0010_0000_0100_0001) {
      throw this.error(`is encrypted (${quote(name)})`, 'save it without a password');
    }
    if (entry.flags & ~knownFlags) throw this.damaged(name, 'has unknown flags');
    const packed = sliceSource(this.source, name, this.dataStart(entry), entry.packed);
    switch (entry.method) {
      case 0:
        if (entry.size !== entry.packed) throw this.damaged(name, 'has two different sizes');
        return verify ? this.verify(entry, packed) : packed;
      case 8:
        return this.inflate(entry, packed);
      default:
        throw this.error(
          `compresses ${quote(name)} by method ${entry.method}, which is not supported`,
          'save it without compression',
        );
    }
  }

  private inflate(entry: Entry, packed: ByteSource): ByteSource {
    if (entry.size > 4 * entry.packed + maxExpansion) {
      throw this.error(
        `expands ${quote(entry.name)} from ${entry.packed} to ${entry.size} bytes, which is suspicious`,
        'save it without compression',
      );
    }
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = zlib.inflateRawSync(packed.read(0, packed.size), { maxOutputLength: Math.max(entry.size, 1) });
    } catch (error) {
      if (error instanceof CheckpointError) throw error;
      throw this.damaged(entry.name, 'cannot be expanded');
    }
    if (bytes.length !== entry.size) throw this.damaged(entry.name, 'has another size than its header says');
    return this.verify(entry, bytesSource(entry.name, bytes));
  }

  /** Checks the sum, once an entry, in pieces so that a large file is never held whole. */
  private verify(entry: Entry, file: ByteSource): ByteSource {
    // PyTorch can be told not to compute check sums; it then writes 0.
    if (entry.crc === 0 || this.verified.has(entry.name)) return file;
    if (file.size <= crcChunk) file = bytesSource(entry.name, file.read(0, file.size));
    let crc = 0;
    for (let at = 0; at < file.size; at += crcChunk) {
      crc = zlib.crc32(file.read(at, Math.min(crcChunk, file.size - at)), crc);
    }
    if (crc !== entry.crc) throw this.damaged(entry.name, 'has a wrong check sum');
    this.verified.add(entry.name);
    return file;
  }

  /** Start of the data, after checking that the local header agrees with the directory. */
  private dataStart(entry: Entry): number {
    const { name } = entry;
    if (entry.header + 30 > entry.limit) throw this.damaged(name, 'overlaps another entry');
    const local = dataView(this.source.read(entry.header, 30));
    if (local.getUint32(0, true) !== 0x04034b50) throw this.damaged(name, 'has no header');
    const nameLength = local.getUint16(26, true);
    const start = entry.header + 30 + nameLength + local.getUint16(28, true);
    if (start + entry.packed > entry.limit) throw this.damaged(name, 'overlaps another entry');
    const localName = decodeName(this.source.read(entry.header + 30, nameLength));
    const sizesFollow = (entry.flags & 0b1000) !== 0;
    const agrees =
      localName === name &&
      local.getUint16(6, true) === entry.flags &&
      local.getUint16(8, true) === entry.method &&
      (sizesFollow || local.getUint32(14, true) === entry.crc) &&
      (sizesFollow || sameSize(local.getUint32(18, true), entry.packed)) &&
      (sizesFollow || sameSize(local.getUint32(22, true), entry.size));
    if (!agrees) throw this.damaged(name, 'has a header that disagrees with the directory');
    return start;
  }

  private damaged(name: string, what: string): CheckpointError {
    return this.error(`is damaged: its entry ${quote(name)} ${what}`);
  }

  private error(what: string, next = 'copy or save it again'): CheckpointError {
    return new CheckpointError(`${this.source.name} ${what}; ${next}.`);
  }
}

interface End {
  /** Where the directory starts in the source. */
  readonly directory: number;
  readonly bytes: number;
  readonly entries: number;
  /** Bytes before the archive; offsets in the directory count from here. */
  readonly prefix: number;
}

/** Finds and checks the record that ends an archive. */
function findEnd(source: ByteSource, warnings: string[]): End {
  const damaged = (what: string) =>
    new CheckpointError(`${source.name} is a damaged zip archive: ${what}; copy or save it again.`);
  const tailStart = Math.max(0, source.size - 22 - 0xffff);
  const tail = source.read(tailStart, source.size - tailStart);
  const view = dataView(tail);
  let at = -1;
  for (let i = tail.length - 22; i >= 0; i--) {
    if (view.getUint32(i, true) !== 0x06054b50) continue;
    const after = tail.length - (i + 22 + view.getUint16(i + 20, true));
    if (after === 0) {
      at = i;
      break;
    }
    if (after > 0 && at < 0) at = i;
  }
  if (at < 0) {
    throw new CheckpointError(
      `${source.name} is a zip archive that ends before its directory, so it was only partly written or copied; save or copy it again.`,
    );
  }
  const trailing = tail.length - (at + 22 + view.getUint16(at + 20, true));
  if (trailing > 0) warnings.push(`${trailing} bytes after the end of the archive were ignored.`);
  const position = tailStart + at;
  let end = position;
  let entries = view.getUint16(at + 10, true);
  let bytes = view.getUint32(at + 12, true);
  let directory = view.getUint32(at + 16, true);
  if (view.getUint16(at + 4, true) % 0xffff !== 0 || view.getUint16(at + 8, true) !== entries) {
    throw damaged('it is split over several files');
  }
  if (position >= 76 && dataView(source.read(position - 20, 4)).getUint32(0, true) === 0x07064b50) {
    end = position - 76;
    const large = dataView(source.read(end, 56));
    if (large.getUint32(0, true) !== 0x06064b50) throw damaged('its zip64 record is missing');
    const exact = [
      safe(large.getBigUint64(32, true)),
      safe(large.getBigUint64(40, true)),
      safe(large.getBigUint64(48, true)),
    ];
    const agrees =
      (entries === 0xffff || entries === exact[0]) &&
      sameSize(bytes, exact[1]) &&
      sameSize(directory, exact[2]);
    if (!agrees) throw damaged('its two end records disagree');
    [entries, bytes, directory] = exact;
  } else if (entries === 0xffff || bytes === 0xffffffff || directory === 0xffffffff) {
    throw damaged('its zip64 record is missing');
  }
  if (entries > maxEntries || bytes > maxDirectoryBytes) {
    throw damaged(`its directory of ${entries} entries and ${bytes} bytes is larger than any checkpoint's`);
  }
  const start = end - bytes;
  const prefix = start - directory;
  if (start < 0 || !(prefix >= 0) || entries * 46 > bytes) throw damaged('its directory does not fit');
  if (prefix > 0) warnings.push(`${prefix} bytes before the start of the archive were ignored.`);
  return { directory: start, bytes, entries, prefix };
}

function readDirectory(source: ByteSource, end: End): Map<string, Entry> {
  const damaged = (what: string) =>
    new CheckpointError(`${source.name} is a damaged zip archive: ${what}; copy or save it again.`);
  const bytes = source.read(end.directory, end.bytes);
  const view = dataView(bytes);
  const entries = new Map<string, Entry>();
  const all: Entry[] = [];
  let at = 0;
  for (let i = 0; i < end.entries; i++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== 0x02014b50) {
      throw damaged('its directory ends early');
    }
    const nameEnd = at + 46 + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const next = extraEnd + view.getUint16(at + 32, true);
    if (next > bytes.length) throw damaged('its directory ends early');
    const name = decodeName(bytes.subarray(at + 46, nameEnd));
    let size = view.getUint32(at + 24, true);
    let packed = view.getUint32(at + 20, true);
    let header = view.getUint32(at + 42, true);
    if (size === 0xffffffff || packed === 0xffffffff || header === 0xffffffff) {
      const large = zip64Values(bytes.subarray(nameEnd, extraEnd));
      if (size === 0xffffffff) size = large.shift() ?? NaN;
      if (packed === 0xffffffff) packed = large.shift() ?? NaN;
      if (header === 0xffffffff) header = large.shift() ?? NaN;
    }
    header += end.prefix;
    // Also refuses NaN, from a zip64 field that is missing or beyond 2⁵³.
    if (!(header + 30 + packed <= end.directory && size <= Number.MAX_SAFE_INTEGER)) {
      throw damaged(`its entry ${quote(name)} lies outside the file`);
    }
    if (isUnsafe(name)) throw damaged(`its entry ${quote(name)} leads out of the archive`);
    if (entries.has(name)) throw damaged(`it has two entries ${quote(name)}`);
    const entry: Entry = {
      name,
      flags: view.getUint16(at + 8, true),
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packed,
      size,
      header,
      limit: end.directory,
    };
    all.push(entry);
    if (!name.endsWith('/')) entries.set(name, entry);
    at = next;
  }
  if (at !== bytes.length) throw damaged('its directory holds more than it lists');
  all.sort((a, b) => a.header - b.header);
  for (let i = 0; i + 1 < all.length; i++) {
    all[i].limit = all[i + 1].header;
    if (all[i].header + 30 + all[i].packed > all[i].limit) {
      throw damaged(`its entries ${quote(all[i].name)} and ${quote(all[i + 1].name)} overlap`);
    }
  }
  return entries;
}

/** The 64-bit numbers of the zip64 extra field. */
function zip64Values(extra: Uint8Array): number[] {
  const view = dataView(extra);
  for (let at = 0; at + 4 <= extra.length;) {
    const end = at + 4 + view.getUint16(at + 2, true);
    if (end > extra.length) break;
    if (view.getUint16(at, true) === 1) {
      const values: number[] = [];
      for (let i = at + 4; i + 8 <= end; i += 8) values.push(safe(view.getBigUint64(i, true)));
      return values;
    }
    at = end;
  }
  return [];
}

/** A 32-bit field, all ones when the real value is in a zip64 field, against the real value. */
function sameSize(field: number, value: number): boolean {
  return field === 0xffffffff || field === value;
}

function safe(value: bigint): number {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : NaN;
}

function isUnsafe(name: string): boolean {
  return /^[/\\]|^[a-zA-Z]:|\0/.test(name) || name.split(/[/\\]/).includes('..');
}

function decodeName(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}

function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
