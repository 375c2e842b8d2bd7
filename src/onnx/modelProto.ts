/**
 * ONNX's protobuf messages, as far as inference needs them: plain types, a strict reader and a writer.
 * Field numbers are those of onnx.proto3. Own code instead of a protobuf library because the strictness
 * is the point (a stranger's file is read) and the subset is small; docs/decisions/0003-onnx-wire-format.md.
 */
import { CheckpointError } from '../errors';

/** `TensorProto.DataType`. */
export const DataType = {
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
} as const;

export interface TensorProto {
  readonly name: string;
  readonly dims: readonly number[];
  readonly dataType: number;
  readonly content: TensorContent;
}

/** Where a tensor's elements are: little-endian bytes, one of the packed lists, or another file. */
export type TensorContent =
  | { readonly raw: Uint8Array }
  | { readonly floats: Uint8Array }
  | { readonly doubles: Uint8Array }
  | { readonly varints: Uint8Array }
  /** Keys `location`, `offset`, `length`. */
  | { readonly external: ReadonlyMap<string, string> };

export type AttributeValue =
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'int'; readonly value: bigint }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'tensor'; readonly value: TensorProto }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'ints'; readonly value: readonly bigint[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  /** Subgraphs and the like: seen, not read. */
  | { readonly type: 'unsupported' };

export interface NodeProto {
  readonly opType: string;
  readonly domain: string;
  readonly name: string;
  /** '' stands for an omitted optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeValue>;
}

export interface ValueInfoProto {
  readonly name: string;
  /** 0 when the file does not say. */
  readonly dataType: number;
  /** A size, a symbol, or '' for an unnamed unknown; undefined when there is no shape. */
  readonly shape?: readonly (number | string)[];
}

export interface GraphProto {
  readonly name: string;
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
  readonly inputs: readonly ValueInfoProto[];
  readonly outputs: readonly ValueInfoProto[];
}

export interface ModelProto {
  readonly irVersion: number;
  readonly producer: string;
  /** Operator-set version by domain; the default domain is ''. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly graph: GraphProto;
}

/** Far above any real network, far below what could exhaust memory. */
const limits = { fields: 1_000_000, rank: 16, nameBytes: 1 << 20 };

const nothing = new Uint8Array(0);
const utf8 = new TextDecoder('utf-8', { fatal: true });

function broken(what: string): CheckpointError {
  return new CheckpointError(`This ONNX file is damaged: ${what}. Export or copy it again.`);
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const signed = (value: bigint) => BigInt.asIntN(64, value);

/** Reads the varint at `at`; returns its value and the offset behind it. */
function readVarint(bytes: Uint8Array, at: number): [bigint, number] {
  if (bytes[at] < 0x80) return [BigInt(bytes[at]), at + 1];
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    if (at >= bytes.length) throw broken('a number is cut off');
    const byte = bytes[at++];
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return [BigInt.asUintN(64, value), at];
  }
  throw broken('a number is longer than ten bytes');
}

/** The signed varints of a packed list. */
export function* packedVarints(bytes: Uint8Array): Generator<bigint> {
  for (let at = 0; at < bytes.length;) {
    const [value, next] = readVarint(bytes, at);
    yield signed(value);
    at = next;
  }
}

/** The little-endian floats or doubles of a packed list. */
export function* packedFloats(bytes: Uint8Array, size: 4 | 8): Generator<number> {
  if (bytes.length % size) throw broken('a list of numbers is cut off');
  const data = view(bytes);
  for (let at = 0; at < data.byteLength; at += size) {
    yield size === 4 ? data.getFloat32(at, true) : data.getFloat64(at, true);
  }
}

interface Field {
  readonly number: number;
  /** 0 varint, 1 fixed 64, 2 length-delimited, 5 fixed 32. */
  readonly wire: number;
  readonly varint: bigint;
  readonly bytes: Uint8Array;
}

function expect(field: Field, wire: number): Field {
  if (field.wire !== wire) throw broken(`field ${field.number} has the wrong wire type`);
  return field;
}

const message = (field: Field) => expect(field, 2).bytes;

function text(field: Field): string {
  const bytes = message(field);
  if (bytes.length > limits.nameBytes) throw broken('a name is longer than a megabyte');
  try {
    return utf8.decode(bytes);
  } catch {
    throw broken('a name is not valid UTF-8');
  }
}

function size(value: bigint): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw broken(`a size of ${value} is impossible`);
  return Number(value);
}

/** A varint that must be a count or code. */
const count = (field: Field) => size(signed(expect(field, 0).varint));

/** Decodes one file; bounds how many objects its bytes may turn into. */
class Decoder {
  private fieldsLeft = limits.fields;

  /** The fields of one message in file order; nothing is copied. */
  private *fields(bytes: Uint8Array): Generator<Field> {
    let at = 0;
    while (at < bytes.length) {
      this.spend();
      let key: bigint;
      [key, at] = readVarint(bytes, at);
      const number = Number(key >> 3n);
      const wire = Number(key & 7n);
      if (number === 0 || number > 0x1fffffff) throw broken(`field number ${number} is not allowed`);
      if (wire === 0) {
        let varint: bigint;
        [varint, at] = readVarint(bytes, at);
        yield { number, wire, varint, bytes: nothing };
        continue;
      }
      let length = wire === 1 ? 8n : wire === 5 ? 4n : -1n;
      if (wire === 2) [length, at] = readVarint(bytes, at);
      if (length < 0n) throw broken(`wire type ${wire} is not used by ONNX`);
      if (length > BigInt(bytes.length - at)) throw broken('a field reaches past its end');
      const end = at + Number(length);
      yield { number, wire, varint: 0n, bytes: bytes.subarray(at, end) };
      at = end;
    }
  }

  private spend(): void {
    if (this.fieldsLeft-- === 0) throw broken(`it has more than ${limits.fields} fields`);
  }

  /** Appends a repeated varint, packed or not. */
  private appendVarints(list: bigint[], field: Field): void {
    if (field.wire !== 2) {
      list.push(signed(expect(field, 0).varint));
      return;
    }
    for (const value of packedVarints(field.bytes)) {
      this.spend();
      list.push(value);
    }
  }

  private appendFloats(list: number[], field: Field): void {
    if (field.wire !== 2) expect(field, 5);
    for (const value of packedFloats(field.bytes, 4)) {
      this.spend();
      list.push(value);
    }
  }

  private tensor(bytes: Uint8Array): TensorProto {
    const dims: bigint[] = [];
    const external = new Map<string, string>();
    let name = '';
    let dataType = 0;
    let content: TensorContent = { raw: nothing };
    let isExternal = false;
    for (const field of this.fields(bytes)) {
      if (field.number === 1) this.appendVarints(dims, field);
      else if (field.number === 2) dataType = count(field);
      else if (field.number === 4) content = { floats: message(field) };
      else if (field.number === 10) content = { doubles: message(field) };
      else if (field.number === 5 || field.number === 7 || field.number === 11) {
        content = { varints: message(field) };
      } else if (field.number === 8) name = text(field);
      else if (field.number === 9) content = { raw: message(field) };
      else if (field.number === 13) external.set(...this.entry(message(field)));
      else if (field.number === 14) isExternal = count(field) === 1;
    }
    if (dims.length > limits.rank) throw broken(`tensor "${name}" has ${dims.length} dimensions`);
    return { name, dims: dims.map(size), dataType, content: isExternal ? { external } : content };
  }

  /** A `StringStringEntryProto`. */
  private entry(bytes: Uint8Array): [string, string] {
    let key = '';
    let value = '';
    for (const field of this.fields(bytes)) {
      if (field.number === 1) key = text(field);
      else if (field.number === 2) value = text(field);
    }
    return [key, value];
  }

  private attribute(bytes: Uint8Array): [string, AttributeValue] {
    let name = '';
    let type = 0;
    let float = 0;
    let int = 0n;
    let string = '';
    let tensor: TensorProto | undefined;
    const floats: number[] = [];
    const ints: bigint[] = [];
    const strings: string[] = [];
    for (const field of this.fields(bytes)) {
      if (field.number === 1) name = text(field);
      else if (field.number === 2) [float] = packedFloats(expect(field, 5).bytes, 4);
      else if (field.number === 3) int = signed(expect(field, 0).varint);
      else if (field.number === 4) string = text(field);
      else if (field.number === 5) tensor = this.tensor(message(field));
      else if (field.number === 7) this.appendFloats(floats, field);
      else if (field.number === 8) this.appendVarints(ints, field);
      else if (field.number === 9) strings.push(text(field));
      else if (field.number === 20) type = count(field);
    }
    const values: Partial<Record<number, AttributeValue>> = {
      1: { type: 'float', value: float },
      2: { type: 'int', value: int },
      3: { type: 'string', value: string },
      ...(tensor && { 4: { type: 'tensor', value: tensor } }),
      6: { type: 'floats', value: floats },
      7: { type: 'ints', value: ints },
      8: { type: 'strings', value: strings },
    };
    return [name, values[type] ?? { type: 'unsupported' }];
  }

  private node(bytes: Uint8Array): NodeProto {
    const inputs: string[] = [];
    const outputs: string[] = [];
    const attributes = new Map<string, AttributeValue>();
    let name = '';
    let opType = '';
    let domain = '';
    for (const field of this.fields(bytes)) {
      if (field.number === 1) inputs.push(text(field));
      else if (field.number === 2) outputs.push(text(field));
      else if (field.number === 3) name = text(field);
      else if (field.number === 4) opType = text(field);
      else if (field.number === 5) attributes.set(...this.attribute(message(field)));
      else if (field.number === 7) domain = text(field);
    }
    return { opType, domain: domain === 'ai.onnx' ? '' : domain, name, inputs, outputs, attributes };
  }

  private valueInfo(bytes: Uint8Array): ValueInfoProto {
    let name = '';
    let dataType = 0;
    let shape: (number | string)[] | undefined;
    for (const field of this.fields(bytes)) {
      if (field.number === 1) name = text(field);
      if (field.number !== 2) continue;
      for (const type of this.fields(message(field))) {
        if (type.number !== 1) continue;
        for (const part of this.fields(message(type))) {
          if (part.number === 1) dataType = count(part);
          else if (part.number === 2) shape = this.shape(message(part));
        }
      }
    }
    return { name, dataType, ...(shape && { shape }) };
  }

  private shape(bytes: Uint8Array): (number | string)[] {
    const shape: (number | string)[] = [];
    for (const field of this.fields(bytes)) {
      if (field.number !== 1) continue;
      let dimension: number | string = '';
      for (const part of this.fields(message(field))) {
        if (part.number === 1) dimension = count(part);
        else if (part.number === 2) dimension = text(part);
      }
      shape.push(dimension);
    }
    if (shape.length > limits.rank) throw broken(`a value has ${shape.length} dimensions`);
    return shape;
  }

  private graph(bytes: Uint8Array): GraphProto {
    const nodes: NodeProto[] = [];
    const initializers: TensorProto[] = [];
    const inputs: ValueInfoProto[] = [];
    const outputs: ValueInfoProto[] = [];
    let name = '';
    for (const field of this.fields(bytes)) {
      if (field.number === 1) nodes.push(this.node(message(field)));
      else if (field.number === 2) name = text(field);
      else if (field.number === 5) initializers.push(this.tensor(message(field)));
      else if (field.number === 11) inputs.push(this.valueInfo(message(field)));
      else if (field.number === 12) outputs.push(this.valueInfo(message(field)));
      else if (field.number === 15) {
        throw new CheckpointError(
          'This ONNX file keeps sparse tensors, which we do not read; export it with dense weights.',
        );
      }
    }
    return { name, nodes, initializers, inputs, outputs };
  }

  model(bytes: Uint8Array): ModelProto {
    const opsets = new Map<string, number>();
    const metadata = new Map<string, string>();
    let irVersion = 0;
    let producer = '';
    let graph: GraphProto | undefined;
    for (const field of this.fields(bytes)) {
      if (field.number === 1) irVersion = count(field);
      else if (field.number === 2) producer = text(field);
      else if (field.number === 14) metadata.set(...this.entry(message(field)));
      else if (field.number === 7) {
        if (graph) throw broken('it holds two graphs');
        graph = this.graph(message(field));
      } else if (field.number === 8) {
        let domain = '';
        let version = 0;
        for (const part of this.fields(message(field))) {
          if (part.number === 1) domain = text(part);
          else if (part.number === 2) version = count(part);
        }
        opsets.set(domain === 'ai.onnx' ? '' : domain, version);
      }
    }
    if (!graph || irVersion === 0) throw broken('it holds no graph');
    return { irVersion, producer, opsets, metadata, graph };
  }
}

/**
 * Decodes the bytes of an `.onnx` file. Tensors are views of `bytes`; unknown fields are skipped.
 * @throws CheckpointError when the bytes are not a well-formed ModelProto with a graph
 */
export function decodeModel(bytes: Uint8Array): ModelProto {
  return new Decoder().model(bytes);
}

/** Encoded pieces, in order; joined once at the end so that weights are copied once. */
type Pieces = readonly Uint8Array[];

function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

const lengthOf = (pieces: Pieces) => pieces.reduce((sum, piece) => sum + piece.length, 0);
const int = (field: number, value: number | bigint): Pieces => [varint(field << 3), varint(value)];
const block = (field: number, ...content: Pieces[]): Pieces => {
  const pieces = content.flat();
  return [varint((field << 3) | 2), varint(lengthOf(pieces)), ...pieces];
};
const string = (field: number, value: string): Pieces => block(field, [new TextEncoder().encode(value)]);

function floats(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  values.forEach((value, i) => view(bytes).setFloat32(i * 4, value, true));
  return bytes;
}

function writeTensor(tensor: TensorProto): Pieces {
  if (!('raw' in tensor.content)) throw new Error(`tensor "${tensor.name}" must be raw to be written`);
  return [
    ...tensor.dims.flatMap((n) => int(1, n)),
    ...int(2, tensor.dataType),
    ...string(8, tensor.name),
    ...block(9, [tensor.content.raw]),
  ];
}

function writeAttribute(name: string, attribute: AttributeValue): Pieces {
  const named = string(1, name);
  switch (attribute.type) {
    case 'float':
      return [...named, varint((2 << 3) | 5), floats([attribute.value]), ...int(20, 1)];
    case 'int':
      return [...named, ...int(3, attribute.value), ...int(20, 2)];
    case 'string':
      return [...named, ...string(4, attribute.value), ...int(20, 3)];
    case 'tensor':
      return [...named, ...block(5, writeTensor(attribute.value)), ...int(20, 4)];
    case 'floats':
      return [...named, ...block(7, [floats(attribute.value)]), ...int(20, 6)];
    case 'ints':
      return [...named, ...block(8, attribute.value.map(varint)), ...int(20, 7)];
    case 'strings':
      return [...named, ...attribute.value.flatMap((value) => string(9, value)), ...int(20, 8)];
    case 'unsupported':
      throw new Error(`attribute "${name}" cannot be written`);
  }
}

function writeValueInfo(value: ValueInfoProto): Pieces {
  const dimensions = value.shape?.map((size) =>
    block(1, typeof size === 'number' ? int(1, size) : string(2, size)),
  );
  const tensorType = block(1, int(1, value.dataType), dimensions ? block(2, ...dimensions) : []);
  return [...string(1, value.name), ...block(2, tensorType)];
}

function writeNode(node: NodeProto): Pieces {
  return [
    ...node.inputs.flatMap((name) => string(1, name)),
    ...node.outputs.flatMap((name) => string(2, name)),
    ...string(3, node.name),
    ...string(4, node.opType),
    ...[...node.attributes].flatMap(([name, value]) => block(5, writeAttribute(name, value))),
    ...string(7, node.domain),
  ];
}

/** Encodes a model; the inverse of `decodeModel` for models whose tensors are raw. */
export function encodeModel(model: ModelProto): Uint8Array<ArrayBuffer> {
  const { graph } = model;
  const pieces: Pieces = [
    ...int(1, model.irVersion),
    ...string(2, model.producer),
    ...block(
      7,
      graph.nodes.flatMap((node) => block(1, writeNode(node))),
      string(2, graph.name),
      graph.initializers.flatMap((tensor) => block(5, writeTensor(tensor))),
      graph.inputs.flatMap((value) => block(11, writeValueInfo(value))),
      graph.outputs.flatMap((value) => block(12, writeValueInfo(value))),
    ),
    ...[...model.opsets].flatMap(([domain, version]) => block(8, string(1, domain), int(2, version))),
    ...[...model.metadata].flatMap(([key, value]) => block(14, string(1, key), string(2, value))),
  ];
  const bytes = new Uint8Array(lengthOf(pieces));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
