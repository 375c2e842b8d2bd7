import { Zip, ZipPassThrough } from 'fflate';
import { replaceFile, writeWhole } from '../files';

/** One float32 array of an NPZ file, handed over in pieces so that it need not be in memory as a whole. */
export interface NpzArray {
  readonly name: string;
  readonly shape: readonly number[];
  readonly pieces: AsyncIterable<Float32Array> | Iterable<Float32Array>;
}

/** `.npy` header, version 1.0 (numpy's NEP 1), padded so that the data begin at a multiple of 64 bytes. */
export function npyHeader(shape: readonly number[]): Uint8Array {
  const dimensions = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${dimensions}), }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const header = Buffer.alloc(10 + length, ' ');
  header.write('\x93NUMPY\x01\x00', 0, 'latin1');
  header.writeUInt16LE(length, 8);
  header.write(text, 10, 'latin1');
  header[header.length - 1] = 10;
  return header;
}

const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** Writes an uncompressed NPZ that `numpy.load` reads. @throws the file system's error */
export async function writeNpz(file: string, arrays: Iterable<NpzArray>): Promise<void> {
  await replaceFile(file, async (descriptor) => {
    let failure: Error | undefined;
    const zip = new Zip((error, chunk) => {
      if (error) failure = error;
      else writeWhole(descriptor, chunk);
    });
    for (const { name, shape, pieces } of arrays) {
      const entry = new ZipPassThrough(`${name}.npy`);
      zip.add(entry);
      entry.push(npyHeader(shape));
      for await (const piece of pieces) entry.push(bytesOf(piece));
      entry.push(new Uint8Array(0), true);
      if (failure) throw failure;
    }
    zip.end();
  });
}

/** Writes one float32 array as `.npy`. @throws the file system's error */
export async function writeNpy(file: string, shape: readonly number[], values: Float32Array): Promise<void> {
  await replaceFile(file, (descriptor) => {
    writeWhole(descriptor, npyHeader(shape));
    writeWhole(descriptor, bytesOf(values));
    return Promise.resolve();
  });
}
