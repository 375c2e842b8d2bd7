/** Reads little-endian numbers one after another, never past the end. */
import { CheckpointError } from '../errors';

export class Cursor {
  private readonly view: DataView;

  constructor(
    readonly bytes: Uint8Array<ArrayBuffer>,
    /** Begins messages, e.g. `weights.h5 is a damaged HDF5 file`. */
    private readonly complaint: string,
    public at = 0,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** Position of the next `length` bytes, which are consumed. */
  skip(length: number): number {
    if (!(length >= 0 && length <= this.left)) this.fail('it ends early');
    const start = this.at;
    this.at += length;
    return start;
  }

  take(length: number): Uint8Array<ArrayBuffer> {
    const start = this.skip(length);
    return this.bytes.subarray(start, start + length);
  }

  uint8(): number {
    return this.bytes[this.skip(1)];
  }

  uint16(littleEndian = true): number {
    return this.view.getUint16(this.skip(2), littleEndian);
  }

  uint32(littleEndian = true): number {
    return this.view.getUint32(this.skip(4), littleEndian);
  }

  /** @throws CheckpointError beyond 2⁵³. */
  uint64(littleEndian = true): number {
    const value = this.view.getBigUint64(this.skip(8), littleEndian);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) this.fail(`it has the impossible size ${value}`);
    return Number(value);
  }

  int64(littleEndian = true): bigint {
    return this.view.getBigInt64(this.skip(8), littleEndian);
  }

  float32(littleEndian = true): number {
    return this.view.getFloat32(this.skip(4), littleEndian);
  }

  float64(littleEndian = true): number {
    return this.view.getFloat64(this.skip(8), littleEndian);
  }

  text(length: number): string {
    const bytes = this.take(length);
    return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('utf8');
  }

  fail(what: string): never {
    throw new CheckpointError(`${this.complaint}: ${what}; copy or save it again.`);
  }
}
