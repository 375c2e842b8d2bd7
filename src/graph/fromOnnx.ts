import { CheckpointError } from '../errors';
import {
  DataType,
  packedFloats,
  packedVarints,
  type AttributeValue,
  type ModelProto,
  type NodeProto,
  type TensorProto,
} from '../onnx/modelProto';
import { operators, type Attribute, type Constant, type Graph, type GraphNode, type OpName } from './types';

export interface OnnxOptions {
  /** Which of the model's outputs is the network's; its first when omitted. */
  readonly output?: string;
  /** Bytes of a tensor kept in another file; `length` undefined means to the file's end. */
  readonly external?: (location: string, offset: number, length: number | undefined) => Uint8Array;
}

const oldestOpset = 7;

/**
 * Makes a graph of an ONNX model. Older operator sets are brought to opset 20, Constant and Dropout
 * nodes disappear, every floating type becomes float32 and every integer int64, nodes are sorted and
 * those that the output does not need are dropped.
 * @throws CheckpointError naming what is missing, unknown or not supported
 */
export function fromOnnx(model: ModelProto, options: OnnxOptions = {}): Graph {
  const { graph } = model;
  const opset = model.opsets.get('') ?? 1;
  if (opset < oldestOpset) {
    throw unusable(`uses operator set ${opset}`, `export it again with opset ${oldestOpset} or later`);
  }
  const output = options.output ?? graph.outputs[0]?.name;
  if (!output) throw unusable('has no output', 'export it again');

  const constants = new Map<string, Constant>();
  const tensors = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const inputs = new Map(graph.inputs.filter(({ name }) => !tensors.has(name)).map((i) => [i.name, i]));
  const makers = new Map<string, NodeProto>();
  for (const node of graph.nodes) {
    for (const name of node.outputs) {
      if (!name) continue;
      if (makers.has(name) || tensors.has(name) || inputs.has(name)) {
        throw unusable(`computes "${name}" twice`, 'export it again');
      }
      makers.set(name, node);
    }
  }

  const nodes: GraphNode[] = [];
  const converter = new NodeConverter(opset, nodes, constants, options);
  for (const node of neededNodes(output, makers, (name, reader) => {
    const tensor = tensors.get(name);
    if (tensor) {
      if (!constants.has(name)) constants.set(name, constantOf(tensor, options.external));
    } else if (!inputs.has(name)) {
      const by = reader ? ` that node "${reader.name || reader.opType}" reads` : '';
      throw unusable(`lacks the tensor "${name}"${by}`, 'export it with its weights');
    }
  })) {
    converter.add(node);
  }
  return {
    inputs: Array.from(inputs.values(), ({ name, shape }) => ({
      name,
      // An unnamed dimension gets its own symbol.
      shape: (shape ?? []).map((d, i) => (d === '' ? `${name}_${i}` : d)),
    })),
    nodes,
    constants,
    output,
  };
}

function unusable(what: string, next: string): CheckpointError {
  return new CheckpointError(`This ONNX model ${what}; ${next}.`);
}

/**
 * The nodes that `output` needs, each after those it reads (depth first, without recursion).
 * @param leaf called for every value that no node makes
 */
function neededNodes(
  output: string,
  makers: ReadonlyMap<string, NodeProto>,
  leaf: (name: string, reader?: NodeProto) => void,
): NodeProto[] {
  const sorted: NodeProto[] = [];
  const state = new Map<NodeProto, 'open' | 'done'>();
  const stack: { readonly name: string; readonly reader?: NodeProto; readonly close?: NodeProto }[] = [
    { name: output },
  ];
  for (let item = stack.pop(); item; item = stack.pop()) {
    if (item.close) {
      state.set(item.close, 'done');
      sorted.push(item.close);
      continue;
    }
    const node = makers.get(item.name);
    if (!node) {
      leaf(item.name, item.reader);
      continue;
    }
    const visited = state.get(node);
    if (visited === 'open') throw unusable(`has a cycle through "${item.name}"`, 'export it again');
    if (visited === 'done') continue;
    state.set(node, 'open');
    stack.push({ name: item.name, close: node });
    for (const name of node.inputs.toReversed()) if (name) stack.push({ name, reader: node });
  }
  return sorted;
}

const known: ReadonlySet<string> = new Set(operators);

/** Writes nodes of one opset as nodes of opset 20. */
class NodeConverter {
  constructor(
    private readonly opset: number,
    private readonly nodes: GraphNode[],
    private readonly constants: Map<string, Constant>,
    private readonly options: OnnxOptions,
  ) {}

  add(node: NodeProto): void {
    const label = node.name || node.outputs[0];
    if (node.domain === '' && node.opType === 'Constant') {
      this.constants.set(node.outputs[0], this.constantNode(node));
      return;
    }
    const dropout = node.domain === '' && node.opType === 'Dropout';
    const op = dropout ? 'Identity' : node.opType;
    if (node.domain !== '' || !known.has(op)) {
      const name = node.domain ? `${node.domain}.${op}` : op;
      throw unusable(
        `uses the operator ${name} (node "${label}"), which we cannot run`,
        'export the network without it',
      );
    }
    const attributes: Record<string, Attribute> = {};
    for (const [name, value] of dropout ? [] : node.attributes) attributes[name] = attribute(value, label);
    const inputs = dropout ? node.inputs.slice(0, 1) : [...node.inputs];
    const outputs = dropout ? node.outputs.slice(0, 1) : [...node.outputs];
    this.modernise(op as OpName, inputs, outputs.length, attributes, label);
    this.nodes.push({
      op: op as OpName,
      inputs,
      outputs,
      ...(Object.keys(attributes).length > 0 && { attributes }),
    });
  }

  private constantNode(node: NodeProto): Constant {
    for (const value of node.attributes.values()) {
      if (value.type === 'tensor') return constantOf(value.value, this.options.external);
      if (value.type === 'float') return { shape: [], data: Float32Array.of(value.value) };
      if (value.type === 'floats')
        return { shape: [value.value.length], data: Float32Array.from(value.value) };
      if (value.type === 'int') return { shape: [], data: BigInt64Array.of(value.value) };
      if (value.type === 'ints')
        return { shape: [value.value.length], data: BigInt64Array.from(value.value) };
    }
    throw unusable(`has a constant "${node.outputs[0]}" that is no tensor`, 'export it again');
  }

  /** Turns what older operator sets keep in attributes into the inputs of opset 20. */
  private modernise(
    op: OpName,
    inputs: string[],
    outputs: number,
    attributes: Record<string, Attribute>,
    label: string,
  ): void {
    const { opset } = this;
    const move = (attributeName: string, position: number) => {
      const value = attributes[attributeName];
      if (value === undefined) return;
      while (inputs.length <= position) inputs.push('');
      const name = `${label}.${attributeName}`;
      this.constants.set(name, attributeConstant(value));
      inputs[position] = name;
      delete attributes[attributeName];
    };
    if (op === 'Cast') attributes.to = { int: castTarget(attributes.to, label) };
    if (op === 'Clip' && opset < 11) {
      move('min', 1);
      move('max', 2);
    }
    if ((op === 'Squeeze' || op === 'Unsqueeze' || op === 'ReduceSum') && opset < 13) move('axes', 1);
    if (op === 'ReduceMean' && opset < 18) move('axes', 1);
    if (op === 'Split' && opset < 13) move('split', 1);
    // Before opset 18 equal parts were told by the number of outputs alone.
    if (op === 'Split' && !inputs[1]) attributes.num_outputs = { int: outputs };
    if (op === 'Pad' && opset < 11) {
      move('pads', 1);
      move('value', 2);
    }
    if (op === 'Slice' && opset < 10) {
      move('starts', 1);
      move('ends', 2);
      move('axes', 3);
    }
    if (op === 'Softmax' && opset < 13 && !isLastAxis(attributes.axis)) {
      throw unusable(`uses Softmax of operator set ${opset} (node "${label}")`, 'export it with opset 13');
    }
    if (op === 'Resize' && opset < 11) {
      throw unusable(`uses Resize of operator set ${opset} (node "${label}")`, 'export it with opset 13');
    }
  }
}

/** Before opset 13 Softmax flattened all axes from `axis` on, which is today's only for the last one. */
const isLastAxis = (axis: Attribute | undefined) =>
  typeof axis === 'object' && 'int' in axis && axis.int === -1;

function attributeConstant(value: Attribute): Constant {
  if (typeof value === 'number') return { shape: [], data: Float32Array.of(value) };
  if (typeof value === 'object' && 'ints' in value) {
    return { shape: [value.ints.length], data: BigInt64Array.from(value.ints, int64) };
  }
  throw new Error('only numbers become constants');
}

/** Bounds such as 2⁶³ − 1 are beyond exact numbers and mean "to the end". */
const int64 = (value: number) =>
  value >= 2 ** 63 ? 2n ** 63n - 1n : value <= -(2 ** 63) ? -(2n ** 63n) : BigInt(value);

function attribute(value: AttributeValue, label: string): Attribute {
  switch (value.type) {
    case 'float':
    case 'string':
    case 'floats':
      return value.value;
    case 'int':
      return { int: Number(value.value) };
    case 'ints':
      return { ints: value.value.map(Number) };
    default:
      throw unusable(`has an attribute of node "${label}" that we do not read`, 'export it again');
  }
}

/** Every float computes as float32 and every integer as int64. */
function castTarget(to: Attribute | undefined, label: string): number {
  const type = typeof to === 'object' && 'int' in to ? to.int : 0;
  if (floatTypes.has(type)) return DataType.float;
  if (integerTypes.has(type)) return DataType.int64;
  if (type === DataType.bool) return type;
  throw unusable(`casts to data type ${type} (node "${label}")`, 'export it in float32');
}

const floatTypes = new Set<number>([DataType.float, DataType.double, DataType.float16, DataType.bfloat16]);
const elementBytes = new Map<number, number>([
  [DataType.uint8, 1],
  [DataType.int8, 1],
  [DataType.bool, 1],
  [DataType.uint16, 2],
  [DataType.int16, 2],
  [DataType.float16, 2],
  [DataType.bfloat16, 2],
  [DataType.float, 4],
  [DataType.int32, 4],
  [DataType.uint32, 4],
  [DataType.double, 8],
  [DataType.int64, 8],
  [DataType.uint64, 8],
]);
const integerTypes = new Set<number>(
  [...elementBytes.keys()].filter((type) => !floatTypes.has(type) && type !== DataType.bool),
);

/**
 * A tensor as float32, or int64 for the integer types.
 * @throws CheckpointError when its bytes are missing, of the wrong number, or of a type we do not read
 */
export function constantOf(tensor: TensorProto, external?: OnnxOptions['external']): Constant {
  const { name, dims, dataType, content } = tensor;
  const bytesEach = elementBytes.get(dataType);
  if (bytesEach === undefined) {
    throw unusable(`keeps "${name}" in data type ${dataType}`, 'export it in float32');
  }
  const size = dims.reduce((a, b) => a * b, 1);
  if (!Number.isSafeInteger(size)) throw unusable(`claims an impossible size for "${name}"`, 'copy it again');
  const fits = (count: number) => {
    if (count !== size) {
      throw unusable(
        `holds ${count} of the ${size} elements of "${name}"`,
        'copy it again, it may be cut off',
      );
    }
  };
  const isFloat = floatTypes.has(dataType);
  if ('floats' in content || 'doubles' in content || 'varints' in content) {
    const half = dataType === DataType.float16 || dataType === DataType.bfloat16;
    const list =
      'floats' in content
        ? [...packedFloats(content.floats, 4)]
        : 'doubles' in content
          ? [...packedFloats(content.doubles, 8)]
          : undefined;
    if (list) {
      fits(list.length);
      if (!isFloat || half) throw unusable(`keeps "${name}" in an unusual way`, 'export it again');
      return { shape: dims, data: Float32Array.from(list) };
    }
    const integers = 'varints' in content ? BigInt64Array.from(packedVarints(content.varints)) : undefined!;
    fits(integers.length);
    if (!isFloat) return { shape: dims, data: integers };
    if (!half) throw unusable(`keeps "${name}" in an unusual way`, 'export it again');
    const decode = dataType === DataType.float16 ? fromHalf : fromBfloat16;
    return { shape: dims, data: Float32Array.from(integers, (bits) => decode(Number(bits) & 0xffff)) };
  }
  const bytes = 'raw' in content ? content.raw : externalBytes(name, content.external, external);
  if (bytes.length !== size * bytesEach) fits(Math.floor(bytes.length / bytesEach));
  return { shape: dims, data: elements(bytes, dataType, size) };
}

function externalBytes(
  name: string,
  entries: ReadonlyMap<string, string>,
  read: OnnxOptions['external'],
): Uint8Array {
  const location = entries.get('location') ?? '';
  if (!read) {
    throw unusable(
      `keeps "${name}" in another file, "${location}"`,
      'put that file beside it, or export it in one file',
    );
  }
  const number = (key: string) => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 0)
      throw unusable(`has a wrong ${key} for "${name}"`, 'copy it again');
    return value;
  };
  return read(location, number('offset') ?? 0, number('length'));
}

function elements(bytes: Uint8Array, dataType: number, size: number): Constant['data'] {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const floats = (read: (i: number) => number) => Float32Array.from({ length: size }, (_, i) => read(i));
  const integers = (read: (i: number) => number | bigint) =>
    BigInt64Array.from({ length: size }, (_, i) => BigInt(read(i)));
  switch (dataType) {
    case DataType.float: {
      // A copy, because weights in a file stand at any offset.
      return new Float32Array(bytes.slice().buffer);
    }
    case DataType.double:
      return floats((i) => data.getFloat64(8 * i, true));
    case DataType.float16:
      return floats((i) => fromHalf(data.getUint16(2 * i, true)));
    case DataType.bfloat16:
      return floats((i) => fromBfloat16(data.getUint16(2 * i, true)));
    case DataType.int64:
      return new BigInt64Array(bytes.slice().buffer);
    case DataType.uint64:
      return integers((i) => BigInt.asIntN(64, data.getBigUint64(8 * i, true)));
    case DataType.int32:
      return integers((i) => data.getInt32(4 * i, true));
    case DataType.uint32:
      return integers((i) => data.getUint32(4 * i, true));
    case DataType.int16:
      return integers((i) => data.getInt16(2 * i, true));
    case DataType.uint16:
      return integers((i) => data.getUint16(2 * i, true));
    case DataType.int8:
      return integers((i) => data.getInt8(i));
    default:
      return integers((i) => data.getUint8(i));
  }
}

/** IEEE 754 binary16. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

const word = new DataView(new ArrayBuffer(4));

/** bfloat16 is the upper half of a float32. */
function fromBfloat16(bits: number): number {
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}
