/** Writes zip archives, honest or not. */
import zlib from 'node:zlib';

export interface ZipFile {
  readonly name: string;
  readonly data: Uint8Array;
  readonly deflate?: boolean;
  /** Fields of the central directory that lie. */
  readonly central?: Partial<Fields>;
  /** Fields of the local header that lie. */
  readonly local?: Partial<Fields>;
  /** Name in the local header, when another. */
  readonly localName?: string;
}

interface Fields {
  flags: number;
  method: number;
  crc: number;
  packed: number;
  size: number;
  offset: number;
}

export interface ZipOptions {
  readonly before?: Uint8Array;
  readonly after?: Uint8Array;
  /** Adds a zip64 end record with these values, and all ones in the usual one. */
  readonly zip64?: Partial<{ entries: bigint; bytes: bigint; offset: bigint }>;
  readonly comment?: string;
}

export function makeZip(files: readonly ZipFile[], options: ZipOptions = {}): Uint8Array<ArrayBuffer> {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const file of files) {
    const body = file.deflate ? zlib.deflateRawSync(file.data) : Buffer.from(file.data);
    const honest: Fields = {
      flags: 0x800,
      method: file.deflate ? 8 : 0,
      crc: zlib.crc32(file.data),
      packed: body.length,
      size: file.data.length,
      offset,
    };
    const local = Buffer.concat([
      header(0x04034b50, { ...honest, ...file.local }, Buffer.from(file.localName ?? file.name), 'local'),
      body,
    ]);
    central.push(header(0x02014b50, { ...honest, ...file.central }, Buffer.from(file.name), 'central'));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const comment = Buffer.from(options.comment ?? '');
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(options.zip64 ? 0xffff : files.length, 8);
  end.writeUInt16LE(options.zip64 ? 0xffff : files.length, 10);
  end.writeUInt32LE(options.zip64 ? 0xffffffff : directory.length, 12);
  end.writeUInt32LE(options.zip64 ? 0xffffffff : offset, 16);
  end.writeUInt16LE(comment.length, 20);
  const large = options.zip64
    ? zip64End(options.zip64, files.length, directory.length, offset)
    : Buffer.alloc(0);
  const parts = [options.before ?? [], ...locals, directory, large, end, comment, options.after ?? []];
  return new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part))));
}

function header(signature: number, fields: Fields, name: Buffer, kind: 'local' | 'central'): Buffer {
  const shift = kind === 'central' ? 2 : 0;
  const bytes = Buffer.alloc(kind === 'central' ? 46 : 30);
  bytes.writeUInt32LE(signature, 0);
  bytes.writeUInt16LE(fields.flags, 6 + shift);
  bytes.writeUInt16LE(fields.method, 8 + shift);
  bytes.writeUInt32LE(fields.crc, 14 + shift);
  bytes.writeUInt32LE(fields.packed, 18 + shift);
  bytes.writeUInt32LE(fields.size, 22 + shift);
  bytes.writeUInt16LE(name.length, 26 + shift);
  if (kind === 'central') bytes.writeUInt32LE(fields.offset, 42);
  return Buffer.concat([bytes, name]);
}

function zip64End(
  lies: NonNullable<ZipOptions['zip64']>,
  entries: number,
  bytes: number,
  offset: number,
): Buffer {
  const record = Buffer.alloc(76);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeBigUInt64LE(lies.entries ?? BigInt(entries), 24);
  record.writeBigUInt64LE(lies.entries ?? BigInt(entries), 32);
  record.writeBigUInt64LE(lies.bytes ?? BigInt(bytes), 40);
  record.writeBigUInt64LE(lies.offset ?? BigInt(offset), 48);
  record.writeUInt32LE(0x07064b50, 56);
  record.writeBigUInt64LE(BigInt(offset + bytes), 64);
  record.writeUInt32LE(1, 72);
  return record;
}
