/** Contents of HDF5 datasets: in one piece, or in chunks that may be compressed. */
import zlib from 'node:zlib';
import { CheckpointError } from '../../errors';
import type { Cursor } from '../cursor';
import { elementCount, makeTensor, rowMajorStrides } from '../tensor';
import type { Tensor } from '../types';
import type { Datatype } from './datatype';
import type { Hdf5File } from './file';

/** The undefined address. */
export const nowhere = -1;

const maxChunks = 100_000;
/** A dataset may be this much larger than four times its stored bytes. */
const maxExpansion = 32 * 2 ** 20;
const Filter = { deflate: 1, shuffle: 2, checksum: 3 } as const;

export interface Dataset {
  readonly datatype: Datatype & { readonly kind: 'number' };
  readonly shape: readonly number[];
  readonly what: string;
}

export function contiguousTensor(
  { datatype: { dtype, order }, shape, what }: Dataset,
  bytes: number,
  read: (offset: number, length: number) => Uint8Array<ArrayBuffer>,
): Tensor {
  return makeTensor({ dtype, shape, order }, { what, bytes, read });
}

interface Chunk {
  readonly address: number;
  /** Bytes as stored. */
  readonly bytes: number;
  /** Filters that were left out, a bit each. */
  readonly skipped: number;
  /** First element, by axis. */
  readonly start: readonly number[];
}

/**
 * @param layout after its version and class
 * @returns undefined when not all chunks were written
 */
export function chunkedTensor(
  file: Hdf5File,
  dataset: Dataset,
  layout: Cursor,
  filterMessage: Cursor | undefined,
): Tensor | undefined {
  const { datatype, shape, what } = dataset;
  const rank = layout.uint8() - 1;
  const index = file.address(layout);
  const sizes = Array.from({ length: rank + 1 }, () => layout.uint32());
  const chunkShape = sizes.slice(0, rank);
  if (rank !== shape.length || sizes[rank] !== datatype.size || chunkShape.includes(0)) {
    return layout.fail('a dataset contradicts its chunks');
  }
  const filters = readFilters(file, filterMessage);
  const chunks: Chunk[] = [];
  const keyWidth = 8 + 8 * (rank + 1);
  if (index !== nowhere) {
    file.tree(
      index,
      1,
      (address, key) => {
        if (chunks.length >= maxChunks) throw file.unsupported(`more than ${maxChunks} chunks`);
        const bytes = key.uint32();
        const skipped = key.uint32();
        chunks.push({ address, bytes, skipped, start: Array.from({ length: rank }, () => key.uint64()) });
      },
      keyWidth,
    );
  }
  const total = elementCount(shape, what) * datatype.size;
  const chunkBytes = elementCount(chunkShape, what) * datatype.size;
  const wanted = shape.reduce((count, size, axis) => count * Math.ceil(size / chunkShape[axis]), 1);
  if (chunks.length < wanted) return undefined;
  const stored = Math.min(
    chunks.reduce((sum, chunk) => sum + chunk.bytes, 0),
    file.size,
  );
  const least = 4 * stored + maxExpansion;
  if (total > least || chunkBytes > least) {
    throw new CheckpointError(
      `${what} of shape [${shape.join(', ')}] needs ${total} bytes, but ${stored} are stored; save it again without chunks.`,
    );
  }
  return makeTensor(
    { dtype: datatype.dtype, shape, order: datatype.order },
    {
      what,
      bytes: total,
      read(offset, length) {
        const whole = new Uint8Array(total);
        for (const chunk of chunks) {
          const bytes = expand(file, chunk, filters, chunkBytes, datatype.size);
          place(bytes, chunk.start, chunkShape, whole, shape, datatype.size);
        }
        return whole.subarray(offset, offset + length);
      },
    },
  );
}

/** The filters' numbers, in the order in which they were applied. */
function readFilters(file: Hdf5File, message: Cursor | undefined): number[] {
  if (!message) return [];
  const version = message.uint8();
  const count = message.uint8();
  if (version === 1) message.skip(6);
  else if (version !== 2) message.fail('a filter has an unknown version');
  return Array.from({ length: count }, () => {
    const filter = message.uint16();
    const nameLength = version === 1 || filter >= 256 ? message.uint16() : 0;
    message.skip(2);
    const values = message.uint16();
    message.skip(version === 1 ? Math.ceil(nameLength / 8) * 8 : nameLength);
    message.skip(4 * values + (version === 1 && values % 2 === 1 ? 4 : 0));
    if (!Object.values<number>(Filter).includes(filter)) throw file.unsupported(`the compression ${filter}`);
    return filter;
  });
}

function expand(
  file: Hdf5File,
  chunk: Chunk,
  filters: readonly number[],
  expected: number,
  width: number,
): Uint8Array<ArrayBuffer> {
  const cursor = file.cursor(chunk.address, chunk.bytes);
  let bytes = cursor.bytes;
  for (let i = filters.length - 1; i >= 0; i--) {
    if (chunk.skipped & (1 << i)) continue;
    if (filters[i] === Filter.checksum) bytes = bytes.subarray(0, Math.max(0, bytes.length - 4));
    else if (filters[i] === Filter.shuffle) bytes = unshuffle(bytes, width);
    else {
      try {
        // A check sum may still follow the content.
        bytes = zlib.inflateSync(bytes, { maxOutputLength: expected + 4 });
      } catch {
        return cursor.fail('a chunk cannot be expanded');
      }
    }
  }
  return bytes.length === expected ? bytes : cursor.fail('a chunk has another size');
}

/** Bytes were sorted by their place in an element. */
function unshuffle(bytes: Uint8Array, width: number): Uint8Array<ArrayBuffer> {
  const count = Math.floor(bytes.length / width);
  const result = new Uint8Array(bytes);
  for (let place = 0; place < width; place++) {
    for (let i = 0; i < count; i++) result[i * width + place] = bytes[place * count + i];
  }
  return result;
}

/** Copies the part of a chunk that lies inside the dataset, row by row. */
function place(
  chunk: Uint8Array,
  start: readonly number[],
  chunkShape: readonly number[],
  whole: Uint8Array,
  shape: readonly number[],
  width: number,
): void {
  const rank = shape.length;
  const inside = chunkShape.map((size, axis) => Math.min(size, shape[axis] - start[axis]));
  if (inside.some((size) => size <= 0)) return;
  const from = rowMajorStrides(chunkShape);
  const to = rowMajorStrides(shape);
  const row = inside[rank - 1] ?? 1;
  const index = new Array<number>(rank).fill(0);
  for (;;) {
    let source = 0;
    let target = 0;
    for (let axis = 0; axis < rank - 1; axis++) {
      source += index[axis] * from[axis];
      target += (start[axis] + index[axis]) * to[axis];
    }
    target += start[rank - 1] ?? 0;
    whole.set(chunk.subarray(source * width, (source + row) * width), target * width);
    let axis = rank - 2;
    while (axis >= 0 && ++index[axis] === inside[axis]) index[axis--] = 0;
    if (axis < 0) return;
  }
}
