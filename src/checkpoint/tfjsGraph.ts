/**
 * TensorFlow.js graph models: the GraphDef of `model.json`, as the converter writes it, becomes a graph of
 * our operators. Weights are Const nodes whose values the manifest holds under the node's name.
 */
import { CheckpointError } from '../errors';
import type { Attribute, Constant, Dimension, Graph, GraphInput, GraphNode, OpName } from '../graph/types';
import { quote } from './source';
import { Tensor, type DType, type Value } from './types';

/** Whether the topology is a GraphDef: `format` says so, or it lists nodes as layers models never do. */
export function isGraphModel(model: ReadonlyMap<string, Value>): boolean {
  return model.get('format') === 'graph-model' || Array.isArray(entry(model.get('modelTopology'), 'node'));
}

/**
 * The graph that leads to the first output.
 * @param name of the file, for messages
 * @throws CheckpointError naming what is missing, broken or not supported
 */
export function graphOfTfjs(
  name: string,
  model: ReadonlyMap<string, Value>,
  weights: ReadonlyMap<string, Value>,
): Graph {
  return new GraphDef(name, model, weights).convert();
}

interface Node {
  readonly name: string;
  readonly op: string;
  /** Values it reads, without control dependencies. */
  readonly inputs: readonly string[];
  readonly attr: ReadonlyMap<string, Value>;
}

/** As far as a slice reaches when no bound is given; 32 bits, as TensorFlow's own. */
const FAR = 2 ** 31 - 1;
const MOST_NAMED = 6;

const floats: ReadonlySet<DType> = new Set(['float32', 'float16']);
const integers: ReadonlySet<DType> = new Set(['int32', 'uint8', 'uint16']);

/** `DT_…` by its text or, as protobuf allows, by its number. */
const castTargets = new Map<Value | undefined, number>([
  ...['DT_FLOAT', 'DT_HALF', 'DT_DOUBLE', 'DT_BFLOAT16', 1, 2, 14, 19].map((type) => [type, 1] as const),
  ...['DT_INT32', 'DT_INT64', 'DT_UINT8', 3, 9, 4].map((type) => [type, 7] as const),
  ['DT_BOOL', 9],
  [10, 9],
]);

/** Operators that are ours under another name or the same. */
const direct = new Map<string, OpName>([
  ...(
    ['Abs', 'Cos', 'Elu', 'Erf', 'Exp', 'Floor', 'Log', 'Neg', 'Pow', 'Relu', 'Selu', 'Shape'] as const
  ).map((op) => [op, op] as const),
  ...(['Sigmoid', 'Sin', 'Softmax', 'Softplus', 'Sqrt', 'Sub', 'Tanh', 'Mul', 'Add'] as const).map(
    (op) => [op, op] as const,
  ),
  ['AddV2', 'Add'],
  ['RealDiv', 'Div'],
  ['Div', 'Div'],
  ['Maximum', 'Max'],
  ['Minimum', 'Min'],
  ['Reciprocal', 'Reciprocal'],
  ['Inv', 'Reciprocal'],
  ['ClipByValue', 'Clip'],
  ['Reshape', 'Reshape'],
  ['BroadcastTo', 'Expand'],
  ['Select', 'Where'],
  ['SelectV2', 'Where'],
]);

/** Operators with a method of their own below. */
type Writer = (node: Node) => void;

class GraphDef {
  private readonly nodes = new Map<string, Node>();
  private readonly written: GraphNode[] = [];
  private readonly constants = new Map<string, Constant>();
  private readonly inputs: GraphInput[] = [];

  constructor(
    private readonly file: string,
    private readonly model: ReadonlyMap<string, Value>,
    private readonly weights: ReadonlyMap<string, Value>,
  ) {
    const list = entry(model.get('modelTopology'), 'node');
    if (!Array.isArray(list)) throw this.unusable('has no list of nodes', 'convert the model again');
    for (const item of list as readonly Value[]) {
      const node = nodeOf(item);
      if (!node) throw this.unusable('has a node without a name or operator', 'convert the model again');
      if (this.nodes.has(node.name)) {
        throw this.unusable(`has two nodes ${quote(node.name)}`, 'convert the model again');
      }
      this.nodes.set(node.name, node);
    }
  }

  convert(): Graph {
    const output = this.output();
    const needed = this.needed(output);
    const unknown = new Set(needed.filter(({ op }) => !this.isKnown(op)).map(({ op }) => op));
    if (unknown.size > 0) {
      const names = [...unknown].slice(0, MOST_NAMED).map((op) => quote(op));
      const rest = unknown.size > names.length ? ` and ${unknown.size - names.length} more` : '';
      throw this.unusable(
        `uses the operator${unknown.size > 1 ? 's' : ''} ${names.join(', ')}${rest}, which we cannot run`,
        'export the network without them, or as ONNX',
      );
    }
    for (const node of needed) this.write(node);
    return this.shortNamed({
      inputs: this.inputs,
      nodes: this.written,
      constants: this.constants,
      output,
    });
  }

  /** The first output that the signature names, else the only node that nobody reads. */
  private output(): string {
    const signature =
      this.model.get('signature') ?? entry(this.model.get('userDefinedMetadata'), 'signature');
    const outputs = entry(signature, 'outputs');
    if (outputs instanceof Map && outputs.size > 0) {
      const [first] = (outputs as ReadonlyMap<string, Value>).values();
      const name = entry(first, 'name');
      if (typeof name !== 'string') {
        throw this.unusable('has a signature whose output has no name', 'convert the model again');
      }
      return valueName(name);
    }
    const read = new Set([...this.nodes.values()].flatMap((node) => node.inputs.map(ownerOf)));
    const ends = [...this.nodes.values()].filter(
      ({ name, op }) => !read.has(name) && !['Const', 'Placeholder', 'NoOp'].includes(op),
    );
    if (ends.length !== 1) {
      throw this.unusable(
        ends.length ? `has ${ends.length} outputs and no signature that names one` : 'has no output',
        'convert the model again with its signature',
      );
    }
    return ends[0].name;
  }

  /** The nodes that `output` needs, each after those it reads (depth first, without recursion). */
  private needed(output: string): Node[] {
    const sorted: Node[] = [];
    const state = new Map<Node, 'open' | 'done'>();
    const stack: { readonly value: string; readonly reader?: Node; readonly close?: Node }[] = [
      { value: output },
    ];
    for (let item = stack.pop(); item; item = stack.pop()) {
      if (item.close) {
        state.set(item.close, 'done');
        sorted.push(item.close);
        continue;
      }
      const node = this.nodes.get(ownerOf(item.value));
      if (!node) {
        const by = item.reader ? `node ${quote(item.reader.name)} reads` : 'its signature names';
        throw this.unusable(`lacks the node ${quote(ownerOf(item.value))} that ${by}`, 'convert it again');
      }
      const visited = state.get(node);
      if (visited === 'open')
        throw this.unusable(`has a cycle through ${quote(node.name)}`, 'convert it again');
      if (visited === 'done') continue;
      state.set(node, 'open');
      stack.push({ value: item.value, close: node });
      for (const value of node.inputs.toReversed()) stack.push({ value, reader: node });
    }
    return sorted;
  }

  private isKnown(op: string): boolean {
    return direct.has(op) || this.writers.has(op);
  }

  private write(node: Node): void {
    const own = this.writers.get(node.op);
    if (own) own(node);
    else {
      const least = leastInputs.get(node.op) ?? 1;
      if (node.inputs.length < least) throw this.lacksInput(node);
      this.emit(direct.get(node.op)!, node.inputs, node.name);
    }
  }

  private readonly writers = new Map<string, Writer>([
    ['Placeholder', (node) => this.placeholder(node)],
    ['Const', (node) => this.constants.set(node.name, this.weight(node))],
    ...['Identity', 'StopGradient', 'Snapshot', 'PreventGradient'].map((op): [string, Writer] => [
      op,
      (node) => this.identity(node),
    ]),
    ['MatMul', (node) => this.matMul(node, node.name)],
    ...['BatchMatMul', 'BatchMatMulV2', 'BatchMatMulV3'].map((op): [string, Writer] => [
      op,
      (node) => this.matMul(node, node.name),
    ]),
    ['_FusedMatMul', (node) => this.fusedMatMul(node)],
    ['BiasAdd', (node) => this.biasAdd(node)],
    ['Square', (node) => this.emit('Mul', [this.input(node, 0), this.input(node, 0)], node.name)],
    [
      'SquaredDifference',
      (node) => {
        const difference = this.emit('Sub', this.pair(node), `${node.name} difference`);
        this.emit('Mul', [difference, difference], node.name);
      },
    ],
    [
      'Rsqrt',
      (node) =>
        this.emit('Reciprocal', [this.emit('Sqrt', [this.input(node, 0)], `${node.name} root`)], node.name),
    ],
    ['Relu6', (node) => this.activation('Relu6', node, this.input(node, 0), node.name)],
    ['LeakyRelu', (node) => this.activation('LeakyRelu', node, this.input(node, 0), node.name, 'alpha')],
    ['AddN', (node) => this.addN(node)],
    ['Cast', (node) => this.cast(node)],
    ['Concat', (node) => this.concat(node, node.inputs.slice(1), 0)],
    ['ConcatV2', (node) => this.concat(node, node.inputs.slice(0, -1), node.inputs.length - 1)],
    ['Pack', (node) => this.pack(node)],
    ['Split', (node) => this.split(node)],
    ['SplitV', (node) => this.splitV(node)],
    ['Transpose', (node) => this.transpose(node)],
    ['ExpandDims', (node) => this.emit('Unsqueeze', [this.input(node, 0), this.list(node, 1)], node.name)],
    ['Squeeze', (node) => this.squeeze(node)],
    ['Slice', (node) => this.slice(node)],
    ['StridedSlice', (node) => this.stridedSlice(node)],
    ['Sum', (node) => this.reduce('ReduceSum', node)],
    ['Mean', (node) => this.reduce('ReduceMean', node)],
  ]);

  private placeholder(node: Node): void {
    const shape = entry(node.attr.get('shape'), 'shape');
    const dims = entry(shape, 'dim') ?? [];
    if (!Array.isArray(dims)) throw this.broken(node, 'shape');
    this.inputs.push({
      name: node.name,
      shape: (dims as readonly Value[]).map((dim, i): Dimension => {
        const size = Number(entry(dim, 'size') ?? 0);
        if (!Number.isSafeInteger(size)) throw this.broken(node, 'shape');
        return size > 0 ? size : `${node.name}_${i}`;
      }),
    });
  }

  private weight(node: Node): Constant {
    const tensor = this.weights.get(node.name);
    if (!(tensor instanceof Tensor)) {
      throw this.unusable(`has no values for the constant ${quote(node.name)}`, 'copy all of it again');
    }
    const { dtype, shape } = tensor;
    if (floats.has(dtype)) return { shape, data: Float32Array.from(tensor.read()) };
    if (integers.has(dtype)) return { shape, data: BigInt64Array.from(tensor.read(), BigInt) };
    throw this.unusable(
      `keeps the constant ${quote(node.name)} in the type ${dtype}`,
      'convert it with float32',
    );
  }

  private identity(node: Node): void {
    const from = this.input(node, 0);
    // Frozen variables are read through an Identity; the reader should see the constant.
    const constant = this.constants.get(from);
    if (constant) this.constants.set(node.name, constant);
    else this.emit('Identity', [from], node.name);
  }

  private matMul(node: Node, result: string): string {
    const operand = (position: number, ...flags: string[]) => {
      const value = this.input(node, position);
      if (!flags.some((flag) => this.flag(node, flag))) return value;
      const constant = this.constants.get(value);
      if (node.op.startsWith('Batch') && constant?.shape.length !== 2) {
        throw this.unusable(
          `uses ${node.op} on a turned batch (node ${quote(node.name)}), which we cannot run`,
          'export the network as ONNX',
        );
      }
      return this.emit('Transpose', [value], `${result} operand ${position}`, { perm: { ints: [1, 0] } });
    };
    const a = operand(0, 'transpose_a', 'adj_x');
    return this.emit('MatMul', [a, operand(1, 'transpose_b', 'adj_y')], result);
  }

  private fusedMatMul(node: Node): void {
    const list = entry(entry(node.attr.get('fused_ops'), 'list'), 's');
    if (!Array.isArray(list) || !list.every((item) => typeof item === 'string')) {
      throw this.broken(node, 'fused_ops');
    }
    // Bytes are base64 in the JSON of protobuf.
    const fused = (list as readonly string[]).map((text) => Buffer.from(text, 'base64').toString('latin1'));
    const other = fused.find((op) => op !== 'BiasAdd' && !fusable.has(op));
    if (other !== undefined || fused.indexOf('BiasAdd') > 0 || fused.length > 2) {
      throw this.unusable(
        `fuses ${quote(fused.join(', '))} into node ${quote(node.name)}, which we cannot run`,
        'convert it without fusing',
      );
    }
    const acts = fused.filter((op) => op !== 'BiasAdd');
    const biased = acts.length < fused.length;
    let value = this.matMul(node, fused.length ? `${node.name} product` : node.name);
    if (biased) {
      value = this.emit('Add', [value, this.input(node, 2)], acts.length ? `${node.name} sum` : node.name);
    }
    acts.forEach((act, i) => {
      const result = i === acts.length - 1 ? node.name : `${node.name} ${i}`;
      value = this.activation(act, node, value, result, 'leakyrelu_alpha');
    });
  }

  /** An activation that TensorFlow also fuses into a layer. */
  private activation(op: string, node: Node, value: string, result: string, alpha = ''): string {
    if (op === 'Relu6') {
      const [low, high] = [0, 6].map((bound) =>
        this.constant(`${result} ${bound}`, Float32Array.of(bound), []),
      );
      return this.emit('Clip', [value, low, high], result);
    }
    if (op === 'LeakyRelu') return this.emit(op, [value], result, { alpha: this.float(node, alpha, 0.2) });
    return this.emit(op as OpName, [value], result);
  }

  private biasAdd(node: Node): void {
    const format = entry(node.attr.get('data_format'), 's');
    if (typeof format === 'string' && Buffer.from(format, 'base64').toString('latin1') === 'NCHW') {
      throw this.unusable(
        `adds a bias to channels that come first (node ${quote(node.name)})`,
        'convert it with channels last',
      );
    }
    this.emit('Add', this.pair(node), node.name);
  }

  private addN(node: Node): void {
    let sum = this.input(node, 0);
    if (node.inputs.length === 1) this.emit('Identity', [sum], node.name);
    node.inputs.slice(1).forEach((value, i, rest) => {
      sum = this.emit('Add', [sum, value], i === rest.length - 1 ? node.name : `${node.name} ${i}`);
    });
  }

  private cast(node: Node): void {
    const to = castTargets.get(entry(node.attr.get('DstT'), 'type'));
    if (to === undefined) throw this.broken(node, 'DstT');
    this.emit('Cast', [this.input(node, 0)], node.name, { to: { int: to } });
  }

  private concat(node: Node, values: readonly string[], axisAt: number): void {
    if (values.length === 0) throw this.lacksInput(node);
    const axis = { int: this.numbers(node, axisAt, 1)[0] };
    this.emit('Concat', values, node.name, { axis });
  }

  private pack(node: Node): void {
    if (node.inputs.length === 0) throw this.lacksInput(node);
    const axis = this.integer(node, 'axis', 0);
    const at = this.constant(`${node.name} axis`, BigInt64Array.of(BigInt(axis)), [1]);
    const parts = node.inputs.map((value, i) =>
      this.emit('Unsqueeze', [value, at], `${node.name} part ${i}`),
    );
    this.emit('Concat', parts, node.name, { axis: { int: axis } });
  }

  private split(node: Node): void {
    const count = this.integer(node, 'num_split', 0);
    if (count < 1 || count > 10_000) throw this.broken(node, 'num_split');
    const axis = { int: this.numbers(node, 0, 1)[0] };
    const inputs = [this.input(node, 1)];
    this.emitAll('Split', inputs, outputsOf(node, count), { axis, num_outputs: { int: count } });
  }

  private splitV(node: Node): void {
    const sizes = this.numbers(node, 1);
    if (sizes.some((size) => size < 0)) throw this.broken(node, 'size_splits');
    const axis = { int: this.numbers(node, 2, 1)[0] };
    const inputs = [this.input(node, 0), this.list(node, 1)];
    this.emitAll('Split', inputs, outputsOf(node, sizes.length), { axis });
  }

  private transpose(node: Node): void {
    this.emit('Transpose', [this.input(node, 0)], node.name, { perm: { ints: this.numbers(node, 1) } });
  }

  private squeeze(node: Node): void {
    const attribute = node.attr.get('squeeze_dims') ?? node.attr.get('axis');
    const list = entry(entry(attribute, 'list'), 'i') ?? [];
    if (!Array.isArray(list)) throw this.broken(node, 'squeeze_dims');
    const axes = (list as readonly Value[]).map(Number);
    if (!axes.every(Number.isSafeInteger)) throw this.broken(node, 'squeeze_dims');
    const inputs = [this.input(node, 0)];
    if (axes.length) {
      inputs.push(this.constant(`${node.name} axes`, BigInt64Array.from(axes, BigInt), [axes.length]));
    }
    this.emit('Squeeze', inputs, node.name);
  }

  private slice(node: Node): void {
    const begin = this.numbers(node, 1);
    const size = this.numbers(node, 2, begin.length);
    const end = begin.map((from, i) => (size[i] < 0 ? FAR : from + size[i]));
    const lists = this.lists(node, { begin, end, axes: begin.map((_, i) => i) });
    this.emit('Slice', [this.input(node, 0), ...lists], node.name);
  }

  /** `x[a:b:c, …]` as Slice, then Squeeze of plain indices, then Unsqueeze of new axes. */
  private stridedSlice(node: Node): void {
    const begin = this.numbers(node, 1);
    const count = begin.length;
    const end = this.numbers(node, 2, count);
    const strides = this.numbers(node, 3, count);
    const masked = (name: string) => {
      const mask = this.integer(node, name, 0);
      return (i: number) => i < 31 && ((mask >> i) & 1) === 1;
    };
    const [begins, ends, ellipsis, fresh, shrunk] = [
      'begin_mask',
      'end_mask',
      'ellipsis_mask',
      'new_axis_mask',
      'shrink_axis_mask',
    ].map(masked);
    const all = Array.from({ length: count }, (_, i) => i);
    const open = all.find(ellipsis) ?? count;
    // Behind an ellipsis axes count from the end. A new axis is none of the input's, an index none of the result's.
    const place = (i: number, counts: (j: number) => boolean) =>
      i < open ? all.slice(0, i).filter(counts).length : -all.slice(i).filter(counts).length;
    const ofInput = (i: number) => !fresh(i);
    const index = (i: number) => shrunk(i) && !fresh(i);
    const cuts = all.filter((i) => i !== open && ofInput(i) && !(begins(i) && ends(i) && strides[i] === 1));
    if (cuts.some((i) => strides[i] === 0)) throw this.broken(node, 'strides');
    const from = (i: number) => (begins(i) && !index(i) ? (strides[i] < 0 ? FAR : 0) : begin[i]);
    const to = (i: number) => {
      if (index(i)) return begin[i] === -1 ? FAR : begin[i] + 1;
      return ends(i) ? (strides[i] < 0 ? -FAR : FAR) : end[i];
    };
    const squeezed = all.filter((i) => i !== open && index(i)).map((i) => place(i, ofInput));
    const added = all.filter((i) => i !== open && fresh(i)).map((i) => place(i, (j) => !index(j)));
    const steps: [OpName, readonly string[]][] = [];
    if (cuts.length) {
      const lists = this.lists(node, {
        begin: cuts.map(from),
        end: cuts.map(to),
        axes: cuts.map((i) => place(i, ofInput)),
        steps: cuts.map((i) => (index(i) ? 1 : strides[i])),
      });
      steps.push(['Slice', lists]);
    }
    if (squeezed.length) steps.push(['Squeeze', this.lists(node, { squeezed })]);
    if (added.length) steps.push(['Unsqueeze', this.lists(node, { added })]);
    if (!steps.length) steps.push(['Identity', []]);
    let value = this.input(node, 0);
    steps.forEach(([op, rest], i) => {
      value = this.emit(op, [value, ...rest], i === steps.length - 1 ? node.name : `${node.name} ${op}`);
    });
  }

  private reduce(op: OpName, node: Node): void {
    const keepdims = { int: this.flag(node, 'keep_dims') || this.flag(node, 'keepdims') ? 1 : 0 };
    this.emit(op, [this.input(node, 0), this.list(node, 1)], node.name, { keepdims });
  }

  private emit(
    op: OpName,
    inputs: readonly string[],
    output: string,
    attributes?: Readonly<Record<string, Attribute>>,
  ): string {
    this.emitAll(op, inputs, [output], attributes);
    return output;
  }

  private emitAll(
    op: OpName,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes?: Readonly<Record<string, Attribute>>,
  ): void {
    this.written.push({ op, inputs, outputs, ...(attributes && { attributes }) });
  }

  private constant(name: string, data: Constant['data'], shape: readonly number[]): string {
    this.constants.set(name, { shape, data });
    return name;
  }

  private lists(node: Node, lists: Readonly<Record<string, readonly number[]>>): string[] {
    return Object.entries(lists).map(([what, values]) =>
      this.constant(`${node.name} ${what}`, BigInt64Array.from(values, BigInt), [values.length]),
    );
  }

  private input(node: Node, position: number): string {
    if (position >= node.inputs.length) throw this.lacksInput(node);
    return node.inputs[position];
  }

  private pair(node: Node): [string, string] {
    return [this.input(node, 0), this.input(node, 1)];
  }

  /** Whole numbers that have to be known before running, such as axes; `count` of them. */
  private numbers(node: Node, position: number, count?: number): number[] {
    const constant = this.constants.get(this.input(node, position));
    if (!constant || !(constant.data instanceof BigInt64Array) || constant.shape.length > 1) {
      throw this.unusable(
        `computes input ${position} of node ${quote(node.name)} (${node.op}) instead of stating it`,
        'convert it with fixed axes',
      );
    }
    const values = Array.from(constant.data, Number);
    if (values.length > 32 || (count !== undefined && values.length !== count)) {
      throw this.unusable(`has a wrong input ${position} of node ${quote(node.name)}`, 'convert it again');
    }
    return values;
  }

  /** The same as a vector, which TensorFlow also lets be a number. */
  private list(node: Node, position: number): string {
    return this.lists(node, { [`input ${position}`]: this.numbers(node, position) })[0];
  }

  private flag(node: Node, name: string): boolean {
    const attribute = node.attr.get(name);
    const value = entry(attribute, 'b');
    if (attribute !== undefined && value !== undefined && typeof value !== 'boolean') {
      throw this.broken(node, name);
    }
    return value === true;
  }

  /** 64-bit numbers are text in the JSON of protobuf. */
  private integer(node: Node, name: string, fallback: number): number {
    const attribute = node.attr.get(name);
    const value = entry(attribute, 'i');
    if (attribute === undefined || value === undefined) return fallback;
    const number = typeof value === 'string' && value ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isSafeInteger(number)) throw this.broken(node, name);
    return number;
  }

  private float(node: Node, name: string, fallback: number): number {
    const value = entry(node.attr.get(name), 'f') ?? fallback;
    if (typeof value !== 'number') throw this.broken(node, name);
    return value;
  }

  /** Without the scopes that all layers share (`StatefulPartitionedCall/model/`), which say nothing. */
  private shortNamed(graph: Graph): Graph {
    const names = graph.nodes.flatMap(({ op, inputs }) =>
      op === 'MatMul' ? inputs.filter((name) => graph.constants.has(name)) : [],
    );
    const scopes = (names[0] ?? '').split('/').slice(0, -1);
    // A network of one layer keeps its layer's name.
    const most = names.length > 1 ? scopes.length : Math.min(scopes.length, 1);
    let shared = 0;
    while (shared < most && names.every((name) => name.split('/')[shared] === scopes[shared])) shared++;
    const prefix = scopes
      .slice(0, shared)
      .map((scope) => `${scope}/`)
      .join('');
    // Names outside the scope keep a mark, so that none can meet.
    const short = (name: string) =>
      !prefix || !name ? name : name.startsWith(prefix) ? name.slice(prefix.length) : `/${name}`;
    return {
      inputs: graph.inputs.map((input) => ({ ...input, name: short(input.name) })),
      nodes: graph.nodes.map((node) => ({
        ...node,
        inputs: node.inputs.map(short),
        outputs: node.outputs.map(short),
      })),
      constants: new Map([...graph.constants].map(([name, constant]) => [short(name), constant])),
      output: short(graph.output),
    };
  }

  private lacksInput(node: Node): CheckpointError {
    return this.unusable(`has too few inputs at node ${quote(node.name)} (${node.op})`, 'convert it again');
  }

  private broken(node: Node, attribute: string): CheckpointError {
    return this.unusable(
      `has a broken attribute ${quote(attribute)} at node ${quote(node.name)} (${node.op})`,
      'convert it again',
    );
  }

  private unusable(what: string, next: string): CheckpointError {
    return new CheckpointError(`${this.file} is a TensorFlow.js graph model that ${what}; ${next}.`);
  }
}

/** Activations that TensorFlow fuses into a product. */
const fusable = new Set(['Relu', 'Relu6', 'Elu', 'LeakyRelu', 'Sigmoid', 'Tanh']);

/** Of the operators that are ours; one when absent. */
const leastInputs = new Map<string, number>([
  ...['Add', 'AddV2', 'Sub', 'Mul', 'RealDiv', 'Div', 'Pow', 'Maximum', 'Minimum'].map(
    (op) => [op, 2] as const,
  ),
  ['Reshape', 2],
  ['BroadcastTo', 2],
  ['ClipByValue', 3],
  ['Select', 3],
  ['SelectV2', 3],
]);

/** `name`, `name:1`, … as other nodes read them. */
const outputsOf = ({ name }: Node, count: number) =>
  Array.from({ length: count }, (_, i) => (i ? `${name}:${i}` : name));

/** `name:0` is the same value as `name`. */
const valueName = (text: string) => text.replace(/:0$/, '');
const ownerOf = (value: string) => value.replace(/:\d+$/, '');

function nodeOf(item: Value): Node | undefined {
  const name = entry(item, 'name');
  const op = entry(item, 'op');
  const inputs = entry(item, 'input') ?? [];
  const attr = entry(item, 'attr') ?? new Map<string, Value>();
  if (typeof name !== 'string' || !name || typeof op !== 'string' || !Array.isArray(inputs)) return undefined;
  if (!inputs.every((input) => typeof input === 'string') || !(attr instanceof Map)) return undefined;
  const values = (inputs as readonly string[]).filter((input) => !input.startsWith('^')).map(valueName);
  return { name, op, inputs: values, attr: attr as ReadonlyMap<string, Value> };
}

function entry(value: Value | undefined, key: string): Value | undefined {
  return value instanceof Map ? (value as ReadonlyMap<string, Value>).get(key) : undefined;
}
