/** safetensors: a JSON header, then the tensors' bytes. Format: github.com/huggingface/safetensors, README. */
import { CheckpointError } from '../errors';
import { itemSize } from './elements';
import { decodeJson, duplicateKey, fromJson } from './json';
import { elementCount, isSize, makeTensor } from './tensor';
import { quote } from './source';
import { Opaque, type ByteSource, type Checkpoint, type DType, type Value } from './types';

const maxHeader = 16 * 2 ** 20;

const dtypes = new Map<string, DType>([
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['F32', 'float32'],
  ['F64', 'float64'],
  ['C64', 'complex64'],
  ['U8', 'uint8'],
  ['I8', 'int8'],
  ['U16', 'uint16'],
  ['I16', 'int16'],
  ['U32', 'uint32'],
  ['I32', 'int32'],
  ['U64', 'uint64'],
  ['I64', 'int64'],
  ['BOOL', 'bool'],
]);

/** Length of the header, which may lie, when the file begins as a safetensors file does. */
export function headerLength(source: ByteSource): number | undefined {
  if (source.size < 10) return undefined;
  const head = source.read(0, 10);
  const length = Number(new DataView(head.buffer, head.byteOffset).getBigUint64(0, true));
  const text = Buffer.from(head).toString('latin1');
  // JSON may have brackets in the same place.
  const isJson = /^\s*\{/.test(text) && length > source.size;
  return /\{["} ]$/.test(text) && !isJson ? length : undefined;
}

/** @throws CheckpointError when the header is damaged, or the tensors do not cover the file exactly. */
export function readSafetensors(source: ByteSource, length: number): Checkpoint {
  const fail = (what: string): never => {
    throw new CheckpointError(
      `${source.name} is a damaged safetensors file: ${what}; copy or save it again.`,
    );
  };
  if (length > source.size - 8) fail(`its header of ${length} bytes reaches past its end`);
  if (length > maxHeader) fail(`its header of ${length} bytes is larger than any checkpoint's`);
  const text = decodeJson(source.read(8, length), `The header of ${source.name}`);
  const header = fromJson(`The header of ${source.name}`, text);
  const twice = duplicateKey(text);
  if (twice !== undefined) fail(`it has two tensors ${quote(twice)}`);
  if (!(header instanceof Map)) return fail('its header is no list of tensors');

  const start = 8 + length;
  const root = new Map<string, Value>();
  const opaque = new Set<string>();
  const ranges: [begin: number, end: number, name: string][] = [];
  for (const [name, entry] of header as ReadonlyMap<string, Value>) {
    if (name === '__metadata__') {
      root.set(name, metadata(entry));
      continue;
    }
    if (!(entry instanceof Map)) return fail(`its tensor ${quote(name)} is not described`);
    const { dtype, shape, data_offsets: offsets } = Object.fromEntries(entry) as Record<string, Value>;
    const pair = Array.isArray(offsets) && offsets.length === 2 && offsets.every(isSize) ? offsets : [];
    const [begin, end] = pair;
    if (typeof dtype !== 'string' || !Array.isArray(shape) || !shape.every(isSize) || !(begin <= end)) {
      return fail(`its tensor ${quote(name)} is not described`);
    }
    ranges.push([begin, end, name]);
    const what = `Tensor ${quote(name)}`;
    const known = dtypes.get(dtype);
    if (!known) {
      opaque.add(`safetensors.${dtype.slice(0, 20)}`);
      root.set(name, new Opaque('safetensors', dtype.slice(0, 20), [shape]));
    } else if (elementCount(shape, what) * itemSize[known] !== end - begin) {
      return fail(`its tensor ${quote(name)} of shape [${shape.join(', ')}] has ${end - begin} bytes`);
    } else {
      const read = (offset: number, bytes: number) => source.read(start + begin + offset, bytes);
      root.set(name, makeTensor({ dtype: known, shape }, { what, bytes: end - begin, read }));
    }
  }

  ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let covered = 0;
  for (const [begin, end, name] of ranges) {
    if (begin !== covered) fail(`its tensor ${quote(name)} overlaps another or leaves a hole before it`);
    covered = end;
  }
  if (covered !== source.size - start) {
    fail(`its tensors take ${covered} bytes, but ${source.size - start} are there`);
  }
  return { format: 'safetensors', root, opaque: [...opaque], warnings: [] };
}

/** Metadata is text only, so that numbers and settings in it are written as JSON. */
function metadata(entry: Value): Value {
  if (!(entry instanceof Map)) return null;
  return new Map(
    [...(entry as ReadonlyMap<string, Value>)].map(([key, value]): [string, Value] => {
      if (typeof value !== 'string' || !/^\s*([-\d[{]|true|false|null)/.test(value)) return [key, value];
      try {
        return [key, fromJson('Metadata', value)];
      } catch {
        return [key, value];
      }
    }),
  );
}
