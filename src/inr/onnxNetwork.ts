/**
 * A coordinate network from an ONNX file or a TensorFlow.js graph model: the graph says everything but which picture it paints.
 * It runs as exported; around it stand a change from and to our layout (features × pixels), and every
 * affine layer found in it is traced.
 */
import { CheckpointError } from '../errors';
import { GraphBuilder } from '../graph/build';
import { inferShapes, intAttribute, type Shape } from '../graph/shapes';
import type { Constant, Graph, GraphInput, GraphNode } from '../graph/types';
import { plainActs } from './activations';
import type { Fallback, Settings } from './assumptions';
import type { Network } from './family';
import { transpose } from './layers';
import { MAX_BANDS } from './layouts';
import { summaryOf } from './mlp';
import { picture } from './picture';
import { MAX_SIDE, sizeText, type RangeName } from './settings';
import type { Activation, TracedLayer } from './types';

/** Prefix of the file's own names, so that they cannot meet ours. */
const OWN = 'model/';

/** What keeps a graph from being a coordinate network, one clause. */
export class UnsuitableGraph extends Error {}

/** Where a value's features are; its other axes are pixels. */
interface Layout {
  readonly rank: number;
  readonly features: number;
}

/** An affine layer as the graph spells it. */
interface FoundLayer {
  readonly name: string;
  readonly input: string;
  readonly preActivation: string;
  readonly inputs: number;
  readonly outputs: number;
  /** Row-major `[outputs, inputs]`. */
  readonly weight: Float32Array;
  readonly bias: Float32Array | null;
  readonly layout: Layout;
  /** The nodes it consists of. */
  readonly nodes: readonly GraphNode[];
}

/** A coordinate network ready to be built once its settings are known. */
export interface OnnxNetwork {
  build(settings: Settings): Network;
}

/**
 * Reads a graph as a coordinate network: one input `[pixels, coordinates]` (any
 * number of further pixel axes, or features first), one output `[pixels, channels]` alike.
 * @throws UnsuitableGraph when it is another kind of network
 */
export function onnxNetwork(given: Graph): OnnxNetwork {
  if (given.inputs.length !== 1) {
    throw new UnsuitableGraph(
      `it takes ${given.inputs.length} inputs instead of one tensor of coordinates [pixels, coordinates]`,
    );
  }
  const declared = given.inputs[0].shape;
  const layout = inputLayout(declared);
  const dims = declared[layout.features] as number;

  const shape = Array.from({ length: layout.rank }, (_, i) => (i === layout.features ? dims : 1));
  const pixelAxis = layout.features === layout.rank - 1 ? layout.rank - 2 : layout.rank - 1;
  const graph = renamed(given, { name: given.inputs[0].name, shape: shape.with(pixelAxis, 'P' as never) });
  let shapes: ReadonlyMap<string, Shape>;
  try {
    shapes = inferShapes(graph);
  } catch {
    throw new UnsuitableGraph(
      `it only takes ${declared.join(' × ')} numbers; export it for any number of pixels (dynamic_axes of torch.onnx.export)`,
    );
  }
  const output = outputLayout(shapes.get(graph.output), layout);
  const consumers = consumersOf(graph);
  const layers = affineLayersOf(graph, shapes, consumers);
  if (layers.length === 0)
    throw new UnsuitableGraph('no layer with weights leads from its input to its output');
  const channels = shapes.get(graph.output)![output.features] as number;
  const acts = layers.map((layer) => activationAfter(layer, layers, consumers));
  const lastActs = acts[acts.length - 1];

  return {
    build: (settings) => {
      const builder = new GraphBuilder();
      const size = declaredSize(declared, layout);
      const { signal, domain, outputRange, coordinates } = picture(settings, dims, channels, {
        coords: {
          value: 'rc-per-side',
          source: 'default',
          confidence: 0.4,
          detail: 'a graph does not say what its coordinates mean',
        },
        range: rangeFrom(lastActs.kind),
        ...(size && { size }),
      });
      const coords = coordinates(builder);
      const prefix = builder.build(coords);
      const around = new Around(prefix, graph);
      around.enter(coords, dims, layout);
      const traced = layers.map((layer, i): TracedLayer => {
        const act = acts[i];
        return {
          name: layer.name,
          kind: 'linear',
          inputs: layer.inputs,
          outputs: layer.outputs,
          input: around.through(layer.input, layer.inputs, layer.layout),
          preActivation: around.read(layer.preActivation, layer.outputs, layer.layout),
          weight: layer.weight,
          bias: layer.bias,
          activation: act.kind,
          ...(act.scalar && { activate: act.scalar }),
          last: i === layers.length - 1,
        };
      });
      const result = around.read(graph.output, channels, output);
      return {
        parameters: [...graph.constants.values()].reduce(
          (sum, { data, shape: dimensions }) =>
            sum + (data instanceof Float32Array && dimensions.length > 0 ? data.length : 0),
          0,
        ),
        signal,
        domain,
        encoding: encodingBefore(layers[0], graph, dims),
        activation: acts[0].kind,
        graph: around.build(result),
        outputRange,
        summary: traced.map(summaryOf),
        layers: traced,
      };
    },
  };
}

/** Finds the axis of the coordinates: 1 to 3 of them, on the last axis or, with features first, behind the batch. */
function inputLayout(shape: GraphInput['shape']): Layout {
  const rank = shape.length;
  if (rank < 2 || rank > 4) {
    throw new UnsuitableGraph(
      `its input has ${rank} ${rank === 1 ? 'axis' : 'axes'} instead of [pixels, coordinates]`,
    );
  }
  const isCoordinates = (axis: number) => [1, 2, 3].includes(shape[axis] as number);
  const candidates = rank === 2 ? [1, 0] : [rank - 1, rank === 4 ? 1 : rank - 2];
  // Two or three coordinates say more than a single one, which may be a batch.
  const features =
    candidates.find((axis) => isCoordinates(axis) && shape[axis] !== 1) ?? candidates.find(isCoordinates);
  if (features === undefined) {
    throw new UnsuitableGraph(`its input [${shape.join(', ')}] holds no two or three coordinates`);
  }
  return { rank, features };
}

function outputLayout(shape: Shape | undefined, input: Layout): Layout {
  const found = `its output is [${shape?.join(', ') ?? 'of unknown shape'}] instead of [pixels, channels]`;
  if (!shape || shape.length !== input.rank) throw new UnsuitableGraph(found);
  const channels = shape[input.features];
  const pixels = shape.filter((_, axis) => axis !== input.features);
  if (typeof channels !== 'number' || channels > MAX_BANDS || channels < 1) throw new UnsuitableGraph(found);
  if (!pixels.includes('P') || pixels.some((d) => d !== 'P' && d !== 1)) throw new UnsuitableGraph(found);
  return input;
}

/** Height and width where the exporter fixed them. */
function declaredSize(shape: GraphInput['shape'], { features }: Layout): Fallback<string> | undefined {
  const pixels = shape.filter((d, axis) => axis !== features && d !== 1);
  if (!pixels.every((d) => typeof d === 'number' && d > 1 && d <= MAX_SIDE ** 2)) return undefined;
  const detail = `the exported input is [${shape.join(', ')}]`;
  if (pixels.length === 2) {
    const [height, width] = pixels as number[];
    return { value: sizeText({ height, width }), source: 'state dict', confidence: 0.95, detail };
  }
  const side = pixels.length === 1 ? Math.sqrt(pixels[0] as number) : NaN;
  if (!Number.isInteger(side) || side < 8) return undefined;
  return { value: sizeText({ height: side, width: side }), source: 'inferred', confidence: 0.6, detail };
}

function rangeFrom(last: Activation): Fallback<RangeName> {
  if (last === 'sigmoid') {
    return { value: '0..1', source: 'inferred', confidence: 0.95, detail: 'the graph ends in a sigmoid' };
  }
  if (last === 'tanh' || last === 'sine') {
    const detail = `the graph ends in a ${last === 'sine' ? 'sine' : 'tanh'}`;
    return { value: '-1..1', source: 'inferred', confidence: 0.8, detail };
  }
  return { value: '0..1', source: 'default', confidence: 0.5 };
}

/** The same graph with all names prefixed and its input declared over pixels `P`. */
function renamed(graph: Graph, input: GraphInput): Graph {
  const own = (name: string) => (name ? OWN + name : '');
  return {
    inputs: [{ ...input, name: own(input.name) }],
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(own),
      outputs: node.outputs.map(own),
    })),
    constants: new Map([...graph.constants].map(([name, constant]) => [own(name), constant])),
    output: own(graph.output),
  };
}

/** Our nodes between those of the file. */
class Around {
  private readonly before: GraphNode[];
  /** By the value of the file that they follow. */
  private readonly behind = new Map<string, GraphNode[]>();
  /** What the file's nodes read instead of a value. */
  private readonly instead = new Map<string, string>();
  private readonly constants: Map<string, Constant>;

  constructor(
    private readonly prefix: Graph,
    private readonly graph: Graph,
  ) {
    this.before = [...prefix.nodes];
    this.constants = new Map([...prefix.constants, ...graph.constants]);
  }

  private shapeConstant(sizes: readonly number[]): string {
    const name = `shape ${sizes.join(' ')}`;
    this.constants.set(name, { shape: [sizes.length], data: BigInt64Array.from(sizes, BigInt) });
    return name;
  }

  /** `[n, P]` → a value in the file's layout. */
  private fromOurs(value: string, result: string, n: number, { rank, features }: Layout): GraphNode[] {
    const last = features === rank - 1;
    const nodes = last ? [transposed(value, `${result} turned`)] : [];
    const sizes = Array.from({ length: rank }, (_, axis) => (axis === features ? n : 1));
    const shape = this.shapeConstant(sizes.with(last ? rank - 2 : rank - 1, -1));
    return [...nodes, { op: 'Reshape', inputs: [nodes[0]?.outputs[0] ?? value, shape], outputs: [result] }];
  }

  /** A value in the file's layout → `[n, P]`. */
  private toOurs(value: string, result: string, n: number, { rank, features }: Layout): GraphNode[] {
    if (features !== rank - 1) {
      return [{ op: 'Reshape', inputs: [value, this.shapeConstant([n, -1])], outputs: [result] }];
    }
    const flat = `${value} flat`;
    return [
      { op: 'Reshape', inputs: [value, this.shapeConstant([-1, n])], outputs: [flat] },
      transposed(flat, result),
    ];
  }

  /** `[dims, P]` → the file's input. */
  enter(coords: string, dims: number, layout: Layout): void {
    this.before.push(...this.fromOurs(coords, this.graph.inputs[0].name, dims, layout));
  }

  /** A value of the file as `[n, P]`. */
  read(value: string, n: number, layout: Layout): string {
    const result = `${value} by neuron`;
    if (!this.behind.has(value)) this.behind.set(value, this.toOurs(value, result, n, layout));
    return result;
  }

  /** The same, and the file's nodes read it too, so that it can be replaced. The engine cancels the turns. */
  through(value: string, n: number, layout: Layout): string {
    const result = this.read(value, n, layout);
    if (!this.instead.has(value)) {
      const again = `${value} again`;
      this.behind.get(value)!.push(...this.fromOurs(result, again, n, layout));
      this.instead.set(value, again);
    }
    return result;
  }

  build(output: string): Graph {
    const ours = (name: string) => this.behind.get(name) ?? [];
    const file = this.graph.nodes.flatMap((node) => [
      { ...node, inputs: node.inputs.map((name) => this.instead.get(name) ?? name) },
      ...node.outputs.flatMap(ours),
    ]);
    return {
      inputs: this.prefix.inputs,
      nodes: [...this.before, ...ours(this.graph.inputs[0].name), ...file],
      constants: this.constants,
      output,
    };
  }
}

const transposed = (value: string, result: string): GraphNode => ({
  op: 'Transpose',
  inputs: [value],
  outputs: [result],
  attributes: { perm: { ints: [1, 0] } },
});

function consumersOf(graph: Graph): ReadonlyMap<string, readonly GraphNode[]> {
  const consumers = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    for (const name of new Set(node.inputs)) {
      const list = consumers.get(name);
      if (list) list.push(node);
      else consumers.set(name, [node]);
    }
  }
  return consumers;
}

type Consumers = ReadonlyMap<string, readonly GraphNode[]>;

/** Constants, and what Transpose and Identity make of them (exporters leave those in without folding). */
function constantValues(
  graph: Graph,
): (name: string) => { readonly name: string; readonly value: Constant } | undefined {
  const makers = new Map(graph.nodes.map((node) => [node.outputs[0], node]));
  const find = (name: string): { readonly name: string; readonly value: Constant } | undefined => {
    const value = graph.constants.get(name);
    if (value) return { name, value };
    const node = makers.get(name);
    if (node?.op === 'Identity') return find(node.inputs[0]);
    if (node?.op !== 'Transpose') return undefined;
    const from = find(node.inputs[0]);
    if (!from || from.value.shape.length !== 2 || !(from.value.data instanceof Float32Array))
      return undefined;
    const [rows, columns] = from.value.shape;
    return {
      name: from.name,
      value: { shape: [columns, rows], data: transpose(from.value.data, rows, columns) },
    };
  };
  return find;
}

/** The affine layers between input and output whose weights are constants, in the order they run. */
function affineLayersOf(
  graph: Graph,
  shapes: ReadonlyMap<string, Shape>,
  consumers: Consumers,
): FoundLayer[] {
  const constant = constantValues(graph);
  const found: FoundLayer[] = [];
  for (const node of graph.nodes) {
    const layer = affineNode(node, shapes, constant);
    if (!layer || feedsSineAndCosine(layer.preActivation, graph, consumers)) continue;
    // A bias is an addition of its own behind a MatMul.
    const next = layer.bias ? undefined : consumers.get(layer.preActivation);
    const add = next?.length === 1 && next[0].op === 'Add' ? next[0] : undefined;
    const other = add?.inputs.find((name) => name !== layer.preActivation);
    const bias = other === undefined ? undefined : constant(other);
    const data = bias?.value.data;
    if (add && bias && data instanceof Float32Array && data.length === layer.outputs) {
      found.push({
        ...layer,
        name: biasName(bias.name) ?? layer.name,
        preActivation: add.outputs[0],
        bias: data,
        nodes: [node, add],
      });
    } else {
      found.push(layer);
    }
  }
  return found;
}

/** `model/net.0.bias` → `net.0`. */
function biasName(name: string): string | undefined {
  const match = /^model\/(.+?)[._/](?:bias|b|BiasAdd\/ReadVariableOp(?:\/resource)?(?::\d+)?)$/i.exec(name);
  return match?.[1];
}

/** A layer's name: its weight's, else its node's place in the network, without what exporters add. */
function layerName(weight: string, node: GraphNode): string {
  const own = /^model\/(.+?)[._/](?:weight|kernel|w)$/i.exec(weight)?.[1];
  if (own !== undefined && !own.includes('::')) return own;
  // `model//net/net.0/linear/MatMul_output_0` → `net.0.linear`: torch repeats the path in each name.
  const parts = node.outputs[0]
    .slice(OWN.length)
    .split('/')
    .filter((part) => part && !/^(MatMul|Gemm|Conv|Add)(_\d+)?(_output_\d+)?(:\d+)?$/.test(part));
  return (
    parts.reduce(
      (path, part) => (part.startsWith(`${path}.`) ? part : path ? `${path}.${part}` : part),
      '',
    ) || node.op
  );
}

function affineNode(
  node: GraphNode,
  shapes: ReadonlyMap<string, Shape>,
  constant: ReturnType<typeof constantValues>,
): FoundLayer | undefined {
  const matrix = (name: string | undefined) => {
    const found = name === undefined ? undefined : constant(name);
    const data = found?.value.data;
    return found && data instanceof Float32Array
      ? { name: found.name, shape: found.value.shape, data }
      : undefined;
  };
  const overPixels = (name: string) => shapes.get(name)?.includes('P') === true;
  const rankOf = (name: string) => shapes.get(name)!.length;
  const finish = (
    weightName: string,
    input: string,
    [outputs, inputs]: readonly [number, number],
    weight: Float32Array,
    bias: Float32Array | null,
    layout: Layout,
  ): FoundLayer => ({
    name: layerName(weightName, node),
    input,
    preActivation: node.outputs[0],
    inputs,
    outputs,
    weight,
    bias,
    layout,
    nodes: [node],
  });

  const [a, b, c] = node.inputs;
  if (node.op === 'MatMul') {
    const right = matrix(b);
    if (right?.shape.length === 2 && overPixels(a)) {
      const [inputs, outputs] = right.shape;
      const rank = rankOf(a);
      const weight = transpose(right.data, inputs, outputs);
      return finish(right.name, a, [outputs, inputs], weight, null, { rank, features: rank - 1 });
    }
    const left = matrix(a);
    if (left?.shape.length === 2 && overPixels(b) && rankOf(b) <= 3) {
      const rank = rankOf(b);
      const [outputs, inputs] = left.shape;
      return finish(left.name, b, [outputs, inputs], left.data, null, { rank, features: rank - 2 });
    }
    return undefined;
  }
  if (node.op === 'Gemm') {
    const right = matrix(b);
    const plain = ['alpha', 'beta'].every((name) =>
      [undefined, 1].includes(node.attributes?.[name] as number),
    );
    if (!right || !plain || intAttribute(node, 'transA', 0) || !overPixels(a)) return undefined;
    const [rows, columns] = right.shape;
    const stored = intAttribute(node, 'transB', 0) === 1;
    const [outputs, inputs] = stored ? [rows, columns] : [columns, rows];
    const bias = c ? matrix(c) : undefined;
    if (c && bias?.data.length !== outputs) return undefined;
    const weight = stored ? right.data : transpose(right.data, rows, columns);
    return finish(right.name, a, [outputs, inputs], weight, bias?.data ?? null, { rank: 2, features: 1 });
  }
  if (node.op === 'Conv') {
    const kernel = matrix(b);
    const bias = c ? matrix(c) : undefined;
    if (!kernel || !kernel.shape.slice(2).every((n) => n === 1) || intAttribute(node, 'group', 1) !== 1)
      return undefined;
    if (!overPixels(a) || (c && !bias)) return undefined;
    const [outputs, inputs] = kernel.shape;
    const layout = { rank: kernel.shape.length, features: 1 };
    return finish(kernel.name, a, [outputs, inputs], kernel.data, bias?.data ?? null, layout);
  }
  return undefined;
}

/** Operators that pass a value on, by itself or scaled. */
const PASSING = new Set([
  'Mul',
  'Div',
  'Identity',
  'Reshape',
  'Cast',
  'Unsqueeze',
  'Squeeze',
  'Flatten',
  'Add',
  'Sub',
]);

/** Whether a product becomes both a sine and a cosine, as the matrix of Fourier features does. */
function feedsSineAndCosine(value: string, graph: Graph, consumers: Consumers): boolean {
  const seen = new Set<string>();
  const ops = new Set<string>();
  const visit = (name: string, depth: number) => {
    for (const node of consumers.get(name) ?? []) {
      if (node.op === 'Sin' || node.op === 'Cos') ops.add(node.op);
      const others = node.inputs.filter((input) => input !== name);
      const constant = others.every((input) => graph.constants.has(input));
      if (!PASSING.has(node.op) || !constant || depth === 0) continue;
      if (!seen.has(node.outputs[0])) visit(node.outputs[0], depth - 1);
      seen.add(node.outputs[0]);
    }
  };
  visit(value, 4);
  return ops.has('Sin') && ops.has('Cos');
}

/** Operators between a layer and the next ones. */
function opsAfter(layer: FoundLayer, layers: readonly FoundLayer[], consumers: Consumers) {
  const stop = new Set(layers.flatMap(({ nodes }) => nodes));
  const shapesOnly = new Set([
    'Shape',
    'Gather',
    'Concat',
    'Reshape',
    'Unsqueeze',
    'Squeeze',
    'Identity',
    'Cast',
    'Transpose',
    'Flatten',
    'Slice',
    'Split',
    'Expand',
  ]);
  const ops = new Set<string>();
  const queue = [layer.preActivation];
  const seen = new Set(queue);
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    for (const node of consumers.get(name) ?? []) {
      if (stop.has(node)) continue;
      if (!shapesOnly.has(node.op)) ops.add(node.op);
      for (const output of node.outputs) {
        if (!seen.has(output)) queue.push(output);
        seen.add(output);
      }
    }
  }
  return ops;
}

interface FoundActivation {
  readonly kind: Activation;
  readonly scalar?: (z: number) => number;
}

/** Names the activation by the operators it consists of. */
function activationAfter(
  layer: FoundLayer,
  layers: readonly FoundLayer[],
  consumers: Consumers,
): FoundActivation {
  const ops = opsAfter(layer, layers, consumers);
  const direct = new Set((consumers.get(layer.preActivation) ?? []).map((node) => node.op));
  const has = (...names: string[]) => names.some((name) => ops.has(name));
  const plain = (kind: keyof typeof plainActs): FoundActivation => {
    return { kind, scalar: plainActs[kind].scalar };
  };
  if (has('Sin')) return { kind: has('Abs') ? 'finer' : has('Exp') ? 'gabor' : 'sine' };
  if (direct.has('Relu')) return plain('relu');
  if (has('Erf', 'Gelu')) return plain('gelu');
  if (direct.has('Sigmoid')) return direct.has('Mul') ? plain('swish') : plain('sigmoid');
  if (direct.has('Tanh')) return plain('tanh');
  if (direct.has('Elu')) return { kind: 'elu' };
  if (direct.has('Selu')) return plain('selu');
  if (direct.has('LeakyRelu')) return { kind: 'leaky-relu' };
  if (direct.has('Softplus')) return plain('softplus');
  if (has('Exp') && has('Pow', 'Mul')) return { kind: 'gaussian' };
  const linear = [...ops].every((op) => ['Add', 'Sub', 'Mul', 'Div', 'Clip', 'Max', 'Min'].includes(op));
  return { kind: linear ? 'identity' : 'other' };
}

/** What happens to the coordinates before the first layer, for people. */
function encodingBefore(first: FoundLayer, graph: Graph, dims: number): string {
  if (first.inputs === dims) return 'none';
  const until = graph.nodes.indexOf(first.nodes[0]);
  const ops = new Set(graph.nodes.slice(0, until).map((node) => node.op));
  const wide = `${first.inputs} features`;
  if (ops.has('MatMul') && ops.has('Sin')) return `Fourier features, ${wide}`;
  return ops.has('Sin') ? `positional encoding, ${wide}` : `encoding, ${wide}`;
}

export const isUnsuitable = (error: unknown): error is Error =>
  error instanceof UnsuitableGraph || error instanceof CheckpointError;
