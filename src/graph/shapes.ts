import type { Attribute, Constant, Dimension, Graph, GraphNode } from './types';

/** A size that depends on data or on arithmetic with symbols. */
export const unknown = '?';

export type Shape = readonly Dimension[];

/** What is known of a value before running; `values` for the few numbers that steer shapes. */
interface Known {
  readonly shape: Shape | undefined;
  readonly values?: readonly Dimension[];
}

/**
 * Shapes of all values of a graph; a value whose rank cannot be told is absent.
 * @throws Error when operands do not fit each other, naming the node
 */
export function inferShapes(graph: Graph): Map<string, Shape> {
  const inference = new ShapeInference();
  for (const input of graph.inputs) inference.input(input.name, input.shape);
  for (const [name, constant] of graph.constants) inference.constant(name, constant);
  for (const node of graph.nodes) inference.add(node);
  return inference.shapes();
}

/** Follows a graph node by node, in execution order. */
export class ShapeInference {
  private readonly known = new Map<string, Known>();

  input(name: string, shape: Shape): void {
    this.known.set(name, { shape });
  }

  constant(name: string, { shape, data }: Constant): void {
    this.known.set(name, { shape, ...(data.length <= 16 && { values: Array.from(data, Number) }) });
  }

  shapeOf(name: string): Shape | undefined {
    return this.known.get(name)?.shape;
  }

  shapes(): Map<string, Shape> {
    return new Map([...this.known].flatMap(([name, { shape }]) => (shape ? [[name, shape] as const] : [])));
  }

  add(node: GraphNode): void {
    const inputs = node.inputs.map((name) => this.known.get(name) ?? { shape: undefined });
    let outputs: Known[];
    try {
      outputs = infer(node, inputs);
    } catch (error) {
      const shapes = inputs.map(({ shape }) => `[${shape?.join(', ') ?? '…'}]`).join(' and ');
      throw new Error(
        `${node.op} (${node.outputs[0]}) does not take ${shapes}: ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    }
    node.outputs.forEach((name, i) => this.known.set(name, outputs[i] ?? { shape: undefined }));
  }
}

const isInt = (a: Attribute | undefined): a is { readonly int: number } =>
  typeof a === 'object' && 'int' in a;
const isInts = (a: Attribute | undefined): a is { readonly ints: readonly number[] } =>
  typeof a === 'object' && 'ints' in a;

/** The integer attribute `name` of a node. */
export function intAttribute(node: GraphNode, name: string, fallback: number): number {
  const value = node.attributes?.[name];
  return isInt(value) ? value.int : fallback;
}

/** The integer-list attribute `name` of a node. */
export function intsAttribute(node: GraphNode, name: string, fallback: readonly number[]): readonly number[] {
  const value = node.attributes?.[name];
  return isInts(value) ? value.ints : fallback;
}

/** The text attribute `name` of a node. */
export function textAttribute(node: GraphNode, name: string, fallback: string): string {
  const value = node.attributes?.[name];
  return typeof value === 'string' ? value : fallback;
}

/** The float attribute `name` of a node. */
export function floatAttribute(node: GraphNode, name: string, fallback: number): number {
  const value = node.attributes?.[name];
  return typeof value === 'number' ? value : fallback;
}

/** A negative axis counts from the end. */
export function wrapAxis(axis: number, rank: number): number {
  const wrapped = axis < 0 ? axis + rank : axis;
  if (wrapped < 0 || wrapped >= rank) throw new Error(`axis ${axis} does not exist`);
  return wrapped;
}

const isSize = (d: Dimension): d is number => typeof d === 'number';

function product(sizes: Shape): Dimension {
  if (sizes.every(isSize)) return sizes.reduce((a, b) => a * b, 1);
  const others = sizes.filter((d) => d !== 1);
  return others.length === 1 ? others[0] : unknown;
}

/** NumPy broadcasting. */
export function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x === 1 || x === y) return y;
    if (y === 1) return x;
    if (isSize(x) && isSize(y)) throw new Error(`${x} and ${y} do not broadcast`);
    return isSize(x) ? x : y;
  });
}

function same(a: Dimension, b: Dimension): void {
  if (isSize(a) && isSize(b) && a !== b) throw new Error(`${a} is not ${b}`);
}

/** `f(size)` when the size is a number. */
const sized = (d: Dimension, f: (n: number) => number): Dimension => (isSize(d) ? f(d) : unknown);

function matMul(a: Shape, b: Shape): Shape {
  // A vector is one row on the left, one column on the right, and leaves no axis.
  if (a.length === 1) return matMul([1, ...a], b).toSpliced(-2, 1);
  if (b.length === 1) return matMul(a, [...b, 1]).slice(0, -1);
  if (a.length === 0 || b.length === 0) throw new Error('a number is no matrix');
  same(a[a.length - 1], b[b.length - 2]);
  return [...broadcast(a.slice(0, -2), b.slice(0, -2)), a[a.length - 2], b[b.length - 1]];
}

function reshape(from: Shape, to: readonly Dimension[]): Shape {
  const target = to.map((d, i) => (d === 0 ? from[i] : d));
  const open = target.indexOf(-1);
  if (open < 0) {
    same(product(from), product(target));
    return target;
  }
  // What cancels on both sides leaves the open dimension, so that 'P' survives.
  const rest = target.filter((_, i) => i !== open);
  const left = from.filter((d) => isSize(d) || !removeOnce(rest, d));
  const divisor = product(rest);
  const total = product(left);
  if (isSize(total) && isSize(divisor)) {
    if (divisor === 0 || total % divisor) throw new Error(`${total} elements do not fill [${to.join(', ')}]`);
    target[open] = total / divisor;
  } else {
    const symbols = left.filter((d) => !isSize(d));
    const sizes = product(left.filter(isSize));
    target[open] = symbols.length === 1 && sizes === divisor ? symbols[0] : unknown;
  }
  return target;
}

function removeOnce(list: Dimension[], value: Dimension): boolean {
  const i = value === unknown ? -1 : list.indexOf(value);
  if (i >= 0) list.splice(i, 1);
  return i >= 0;
}

/** Output size of a window (convolution) along one axis. */
function windowed(
  size: Dimension,
  kernel: number,
  stride: number,
  dilation: number,
  pads: number,
): Dimension {
  if (stride === 1 && pads === dilation * (kernel - 1)) return size;
  return sized(size, (n) => Math.floor((n + pads - dilation * (kernel - 1) - 1) / stride) + 1);
}

/** Padding before and after each spatial axis of a (transposed) convolution, ends behind all begins. */
export function convolutionPads(node: GraphNode, rank: number): readonly number[] {
  const auto = textAttribute(node, 'auto_pad', 'NOTSET');
  if (auto !== 'NOTSET' && auto !== 'VALID') throw new Error(`auto_pad ${auto} is not supported`);
  return intsAttribute(node, 'pads', new Array<number>(2 * rank).fill(0));
}

function convolution(node: GraphNode, x: Shape, w: Shape): Shape {
  const spatial = x.slice(2);
  const ones = spatial.map(() => 1);
  const kernel = w.slice(2);
  const strides = intsAttribute(node, 'strides', ones);
  const dilations = intsAttribute(node, 'dilations', ones);
  const pads = convolutionPads(node, spatial.length);
  const group = intAttribute(node, 'group', 1);
  const transposed = node.op === 'ConvTranspose';
  const extra = intsAttribute(
    node,
    'output_padding',
    ones.map(() => 0),
  );
  same(x[1], transposed ? w[0] : sized(w[1], (n) => n * group));
  const sizes = spatial.map((size, i) => {
    const [k, padded] = [kernel[i], pads[i] + pads[i + spatial.length]];
    if (!isSize(k)) return unknown;
    return transposed
      ? sized(size, (n) => (n - 1) * strides[i] + extra[i] + (k - 1) * dilations[i] + 1 - padded)
      : windowed(size, k, strides[i], dilations[i], padded);
  });
  return [x[0], transposed ? sized(w[1], (n) => n * group) : w[0], ...sizes];
}

function reduced(node: GraphNode, x: Shape, axes: readonly Dimension[] | undefined): Shape | undefined {
  const noAxes = intAttribute(node, 'noop_with_empty_axes', 0) ? [] : x.map((_, i) => i);
  if (node.inputs[1] && !axes) return undefined;
  const wanted = new Set((axes ?? noAxes).map((axis) => wrapAxis(Number(axis), x.length)));
  if (intAttribute(node, 'keepdims', 1)) return x.map((d, i) => (wanted.has(i) ? 1 : d));
  return x.filter((_, i) => !wanted.has(i));
}

/** Start, end (exclusive) and step on an axis of known size, clamped as ONNX says. */
export function sliceRange(
  start: number,
  end: number,
  step: number,
  size: number,
): { readonly start: number; readonly count: number } {
  const clamp = (value: number, low: number, high: number) =>
    Math.min(Math.max(value < 0 ? value + size : value, low), high);
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const from = clamp(start, 0, high);
  const to = clamp(end, low, high);
  return { start: from, count: Math.max(0, Math.ceil((to - from) / step)) };
}

function slice([x, starts, ends, axesInput, stepsInput]: readonly Known[]): Known {
  const { shape } = x;
  if (!shape || !starts?.values || !ends?.values) return { shape: undefined };
  const axes = axesInput?.values ?? starts.values.map((_, i) => i);
  const steps = stepsInput?.values ?? starts.values.map(() => 1);
  const result = [...shape];
  let values = x.values;
  axes.forEach((axisOf, i) => {
    const axis = wrapAxis(Number(axisOf), shape.length);
    const [start, end, step] = [starts.values![i], ends.values![i], steps[i]];
    if (!isSize(start) || !isSize(end) || !isSize(step)) {
      result[axis] = unknown;
      values = undefined;
      return;
    }
    const size = shape[axis];
    if (!isSize(size)) {
      if (start !== 0 || end < 2 ** 31 - 1 || step !== 1) result[axis] = unknown;
      return;
    }
    const range = sliceRange(start, end, step, size);
    result[axis] = range.count;
    values = values && Array.from({ length: range.count }, (_, k) => values![range.start + k * step]);
  });
  return { shape: result, ...(values && { values }) };
}

/** Arithmetic on shapes, as exporters write it. */
function arithmetic(op: string, a: readonly Dimension[], b: readonly Dimension[]): Dimension[] {
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_, i) => {
    const [x, y] = [a[a.length === 1 ? 0 : i], b[b.length === 1 ? 0 : i]];
    if (!isSize(x) || !isSize(y)) {
      return (op === 'Mul' || op === 'Div') && y === 1 ? x : op === 'Mul' && x === 1 ? y : unknown;
    }
    return op === 'Add' ? x + y : op === 'Sub' ? x - y : op === 'Mul' ? x * y : Math.trunc(x / y);
  });
}

function resize([x, , scales, sizes]: readonly Known[]): Shape | undefined {
  const rank = x.shape?.length;
  if (sizes?.values?.length === rank) return sizes?.values;
  return x.shape?.map((d, i) => {
    const scale = scales?.values?.[i] ?? unknown;
    return scale === 1 ? d : isSize(scale) ? sized(d, (n) => Math.floor(n * scale)) : unknown;
  });
}

function pad([x, pads, , axes]: readonly Known[]): Shape | undefined {
  const rank = x.shape?.length ?? 0;
  const wanted = axes?.values ?? Array.from({ length: rank }, (_, i) => i);
  const result = x.shape && [...x.shape];
  wanted.forEach((axis, i) => {
    const [before, after] = [pads.values?.[i] ?? unknown, pads.values?.[i + wanted.length] ?? unknown];
    const at = wrapAxis(Number(axis), rank);
    if (result) {
      result[at] =
        isSize(before) && isSize(after)
          ? before + after === 0
            ? result[at]
            : sized(result[at], (n) => n + before + after)
          : unknown;
    }
  });
  return result;
}

function split(node: GraphNode, x: Shape, sizes: readonly Dimension[] | undefined): Known[] {
  const axis = wrapAxis(intAttribute(node, 'axis', 0), x.length);
  const parts = node.outputs.length;
  return node.outputs.map((_, i) => {
    // Without sizes all parts are equal, the last one shorter when they cannot be.
    const even = sized(x[axis], (n) => {
      const part = Math.ceil(n / parts);
      return Math.min(part, n - i * part);
    });
    return { shape: x.with(axis, node.inputs[1] ? (sizes?.[i] ?? unknown) : even) };
  });
}

function infer(node: GraphNode, inputs: readonly Known[]): Known[] {
  const [a, b, c] = inputs;
  const one = (shape: Shape | undefined): Known[] => [{ shape }];
  const x = a?.shape;
  const y = b?.shape;
  switch (node.op) {
    case 'Abs':
    case 'Clip':
    case 'Cos':
    case 'Elu':
    case 'Erf':
    case 'Exp':
    case 'Floor':
    case 'Gelu':
    case 'HardSigmoid':
    case 'HardSwish':
    case 'InstanceNormalization':
    case 'LayerNormalization':
    case 'LeakyRelu':
    case 'Log':
    case 'Neg':
    case 'Reciprocal':
    case 'Relu':
    case 'Selu':
    case 'Sigmoid':
    case 'Sin':
    case 'Softmax':
    case 'Softplus':
    case 'Sqrt':
    case 'Tanh':
      return one(x);
    case 'Cast':
    case 'Identity':
      return [a];
    case 'Add':
    case 'Sub':
    case 'Mul':
    case 'Div': {
      const values = a.values && b.values && arithmetic(node.op, a.values, b.values);
      return [{ shape: x && y && broadcast(x, y), ...(values && { values }) }];
    }
    case 'Pow':
    case 'Max':
    case 'Min':
      return one(inputs.reduce<Shape | undefined>((s, i) => s && i.shape && broadcast(s, i.shape), []));
    case 'Where':
      return one(x && y && c.shape && broadcast(broadcast(x, y), c.shape));
    case 'MatMul':
      return one(x && y && matMul(x, y));
    case 'Gemm': {
      if (!x || !y) return one(undefined);
      const left = intAttribute(node, 'transA', 0) ? x.toReversed() : x;
      const right = intAttribute(node, 'transB', 0) ? y.toReversed() : y;
      const shape = matMul(left, right);
      if (c?.shape) broadcast(shape, c.shape);
      return one(shape);
    }
    case 'Conv':
    case 'ConvTranspose':
      return one(x && y && convolution(node, x, y));
    case 'Concat': {
      if (!x) return one(undefined);
      const axis = wrapAxis(intAttribute(node, 'axis', 0), x.length);
      const sizes = inputs.map(({ shape }) => shape?.[axis] ?? unknown);
      const total = sizes.every(isSize) ? sizes.reduce((s, n) => s + n, 0) : unknown;
      for (const { shape } of inputs)
        shape?.forEach((d, i) => {
          if (i !== axis) same(d, x[i]);
        });
      const values = inputs.every((i) => i.values) ? inputs.flatMap((i) => i.values!) : undefined;
      return [{ shape: x.with(axis, total), ...(values && { values }) }];
    }
    case 'DepthToSpace': {
      const block = intAttribute(node, 'blocksize', 1);
      if (!x) return one(undefined);
      const larger = (d: Dimension) => sized(d, (n) => n * block);
      return one([x[0], sized(x[1], (n) => n / block ** 2), larger(x[2]), larger(x[3])]);
    }
    case 'Expand':
      return one(x && b.values && broadcast(x, b.values));
    case 'Flatten': {
      const axis = intAttribute(node, 'axis', 1);
      return one(x && [product(x.slice(0, axis)), product(x.slice(axis))]);
    }
    case 'Gather': {
      if (!x || !y) return one(undefined);
      const axis = wrapAxis(intAttribute(node, 'axis', 0), x.length);
      const values = b.values?.map((i) => a.values?.at(Number(i)) ?? unknown);
      const shape = [...x.slice(0, axis), ...y, ...x.slice(axis + 1)];
      return [{ shape, ...(a.values && values && { values }) }];
    }
    case 'Pad':
      return one(pad(inputs));
    case 'ReduceMean':
    case 'ReduceSum':
      return one(x && reduced(node, x, b?.values));
    case 'Reshape':
      return one(x && b.values && reshape(x, b.values));
    case 'Resize':
      return one(resize(inputs));
    case 'Shape':
      return [{ shape: x && [x.length], ...(x && { values: x }) }];
    case 'Slice':
      return [slice(inputs)];
    case 'Split':
      return x ? split(node, x, b?.values) : [];
    case 'Squeeze': {
      const axes = b?.values?.map((axis) => wrapAxis(Number(axis), x?.length ?? 0));
      const shape = x?.filter((d, i) => (axes ? !axes.includes(i) : d !== 1));
      return [{ shape, ...(a.values && { values: a.values }) }];
    }
    case 'Unsqueeze': {
      const rank = (x?.length ?? 0) + (b.values?.length ?? 0);
      const axes = b.values?.map((axis) => wrapAxis(Number(axis), rank));
      if (!x || !axes) return one(undefined);
      const rest = [...x];
      const shape = Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : rest.shift()!));
      return [{ shape, ...(a.values && { values: a.values }) }];
    }
    case 'Transpose': {
      const reversed = x?.map((_, i) => x.length - 1 - i) ?? [];
      return one(x && intsAttribute(node, 'perm', reversed).map((axis) => x[axis]));
    }
    case 'Range':
      return one(undefined);
  }
}
