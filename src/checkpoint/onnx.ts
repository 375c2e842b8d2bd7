/** ONNX files: the graph as decoded, and its initialisers as tensors. */
import { CheckpointError } from '../errors';
import { DataType, decodeModel, type ModelProto, type TensorProto } from '../onnx/modelProto';
import { openSibling, quote } from './source';
import { isSize, makeTensor } from './tensor';
import type { ByteSource, Checkpoint, DType, Value } from './types';

const maxBytes = 2 ** 31;

const dtypes = new Map<number, DType>([
  [DataType.float, 'float32'],
  [DataType.double, 'float64'],
  [DataType.float16, 'float16'],
  [DataType.bfloat16, 'bfloat16'],
  [DataType.uint8, 'uint8'],
  [DataType.int8, 'int8'],
  [DataType.uint16, 'uint16'],
  [DataType.int16, 'int16'],
  [DataType.uint32, 'uint32'],
  [DataType.int32, 'int32'],
  [DataType.uint64, 'uint64'],
  [DataType.int64, 'int64'],
  [DataType.bool, 'bool'],
]);

/** Tags of the fields that may follow the first one of a ModelProto. */
const secondTags = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42, 0x72];

/** Whether the file begins as exporters write a ModelProto: with the version of the format, below 128. */
export function beginsAsModel(head: Uint8Array): boolean {
  return head[0] === 0x08 && head[1] > 0 && head[1] < 0x80 && secondTags.includes(head[2]);
}

/** @throws CheckpointError when the file is damaged, or its external data is not beside it. */
export function readOnnx(source: ByteSource): Checkpoint {
  if (source.size > maxBytes) {
    throw new CheckpointError(`${source.name} is larger than 2 GB; export it with external data.`);
  }
  const model = decodeModel(source.read(0, source.size));
  const files = new ExternalData(source);
  const root = new Map<string, Value>([['metadata', new Map(model.metadata)]]);
  root.set('weights', weights(model, files));
  return {
    format: 'onnx',
    root,
    opaque: [],
    warnings: [],
    onnx: { model, external: (location, offset, length) => files.read(location, offset, length) },
  };
}

/** Initialisers with bytes of their own; small ones kept as lists are in the model. */
function weights(model: ModelProto, files: ExternalData): Map<string, Value> {
  const tensors = new Map<string, Value>();
  for (const tensor of model.graph.initializers) {
    const dtype = dtypes.get(tensor.dataType);
    const bytes = dtype && bytesOf(tensor, dtype, files);
    if (!bytes) continue;
    tensors.set(
      tensor.name,
      makeTensor({ dtype, shape: tensor.dims }, { what: `Tensor ${quote(tensor.name)}`, ...bytes }),
    );
  }
  return tensors;
}

interface Bytes {
  readonly bytes: number;
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
}

function bytesOf({ content, name }: TensorProto, dtype: DType, files: ExternalData): Bytes | undefined {
  if ('external' in content) return files.range(content.external, name);
  const list =
    'raw' in content
      ? content.raw
      : 'floats' in content && dtype === 'float32'
        ? content.floats
        : 'doubles' in content && dtype === 'float64'
          ? content.doubles
          : undefined;
  if (!list) return undefined;
  const stored = list as Uint8Array<ArrayBuffer>;
  return { bytes: stored.length, read: (offset, length) => stored.subarray(offset, offset + length) };
}

/** Files that hold a model's tensors, each opened once. */
class ExternalData {
  private readonly files = new Map<string, ByteSource>();

  constructor(private readonly source: ByteSource) {}

  range(entries: ReadonlyMap<string, string>, name: string): Bytes {
    const location = entries.get('location');
    if (!location) {
      throw new CheckpointError(
        `${this.source.name} does not say in which file the tensor ${quote(name)} is; export it again.`,
      );
    }
    const offset = Number(entries.get('offset') ?? 0);
    const file = this.open(location);
    const bytes = Number(entries.get('length') ?? file.size - offset);
    if (!isSize(offset) || !isSize(bytes) || offset + bytes > file.size) {
      throw new CheckpointError(
        `${quote(location)} is too short for the tensor ${quote(name)} of ${this.source.name}; copy it again.`,
      );
    }
    return { bytes, read: (start, length) => file.read(offset + start, length) };
  }

  read(location: string, offset: number, length: number | undefined): Uint8Array<ArrayBuffer> {
    const file = this.open(location);
    return file.read(offset, length ?? file.size - offset);
  }

  private open(location: string): ByteSource {
    let file = this.files.get(location);
    if (!file) {
      file = openSibling(this.source, location);
      this.files.set(location, file);
    }
    return file;
  }
}
