/** NumPy's `.npy` and `.npz`. Format: numpy/lib/format.py. */
import { itemSize } from './elements';
import { Cursor } from './cursor';
import { numpyText, numpyType, type NumpyType } from './pytorch/numpy';
import { readPlain } from './pytorch/legacy';
import { quote } from './source';
import { columnMajorStrides, elementCount, isSize, makeTensor } from './tensor';
import type { ByteSource, Checkpoint, Value } from './types';
import type { ZipArchive } from './zip';

const maxHeader = 2 ** 16;
const maxText = 2 ** 20;

interface Header {
  readonly type: NumpyType;
  readonly fortran: boolean;
  readonly shape: readonly number[];
  /** Where the elements begin. */
  readonly start: number;
}

/** One array, as `{array: tensor}`; an array of objects is what its pickle holds. */
export function readNpy(source: ByteSource): Checkpoint {
  const { value, opaque, warnings } = readArray(source, 'array');
  const root = value instanceof Map ? (value as ReadonlyMap<string, Value>) : new Map([['array', value]]);
  return { format: 'npy', root, opaque, warnings };
}

/** Arrays by name, without `.npy`. Other entries of the archive are ignored. */
export function readNpz(archive: ZipArchive): Checkpoint {
  const root = new Map<string, Value>();
  const opaque = new Set<string>();
  const warnings = [...archive.warnings];
  for (const name of archive.names.filter(isNpy)) {
    const key = name.slice(0, -'.npy'.length);
    const array = readArray(reopened(archive, name), key, archive.open(name, false));
    root.set(key, array.value);
    for (const item of array.opaque) opaque.add(item);
    warnings.push(...array.warnings);
  }
  return { format: 'npz', root, opaque: [...opaque], warnings };
}

/** Opens the entry, and checks its sum, only when its content is read; expanded bytes are not kept. */
function reopened(archive: ZipArchive, name: string): ByteSource {
  const size = archive.size(name)!;
  return { name, size, read: (offset, length) => archive.open(name).read(offset, length), close() {} };
}

export const isNpy = (name: string): boolean => name.endsWith('.npy');

/** @param head the same bytes, for the header. */
function readArray(
  source: ByteSource,
  name: string,
  head = source,
): { value: Value; opaque: readonly string[]; warnings: readonly string[] } {
  const what = `Array ${quote(name)}`;
  const { type, fortran, shape, start } = readHeader(head, what);
  const bytes = source.size - start;
  if (type.code === 'O') {
    const { root, opaque, warnings } = readPlain(source.read(start, bytes));
    return { value: root, opaque, warnings };
  }
  if (type.dtype) {
    const strides = fortran ? { strides: columnMajorStrides(shape) } : {};
    const value = makeTensor(
      { dtype: type.dtype, shape, order: type.order, ...strides },
      { what, bytes, read: (offset, length) => source.read(start + offset, length) },
    );
    const rest = bytes - elementCount(shape, what) * itemSize[type.dtype];
    const warnings = rest > 0 ? [`${rest} bytes after the end of ${quote(name)} were ignored.`] : [];
    return { value, opaque: [], warnings };
  }
  const text = numpyText(type, shape, source.read(start, Math.min(bytes, maxText)));
  return { value: text, opaque: [], warnings: [] };
}

function readHeader(source: ByteSource, name: string): Header {
  const head = new Cursor(source.read(0, Math.min(source.size, 12)), `${name} is damaged`);
  head.skip(6);
  const version = head.uint8();
  head.skip(1);
  if (version < 1 || version > 3) return head.fail(`its version ${version} is not known`);
  const length = version === 1 ? head.uint16() : head.uint32();
  const start = head.at + length;
  if (length > maxHeader || start > source.size) return head.fail('it ends early');
  const text = Buffer.from(source.read(head.at, length)).toString('utf8');
  const descr = /'descr'\s*:\s*'([^']{1,40})'/.exec(text)?.[1];
  const fortran = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([\d\s,L]*)\)/.exec(text)?.[1];
  if (fortran === undefined || shape === undefined) return head.fail('its header cannot be read');
  const sizes = shape.split(',').map((size) => size.trim().replace('L', ''));
  const numbers = sizes.filter((size) => size !== '').map(Number);
  if (!numbers.every(isSize)) return head.fail('its shape is impossible');
  // A structure's descriptor is a list.
  return { type: numpyType(descr ?? 'structures'), fortran: fortran === 'True', shape: numbers, start };
}
