/**
 * Reverse-mode differentiation as graph nodes: one more run of the engine gives, for all pixels at once,
 * how the output changes with any value inside the network.
 */
import {
  floatAttribute,
  convolutionPads,
  intAttribute,
  intsAttribute,
  ShapeInference,
  textAttribute,
  wrapAxis,
  type Shape,
} from './shapes';
import type { Attribute, Constant, Graph, GraphNode, OpName } from './types';

export interface GradientGraph {
  /** The graph with what computes the gradients behind it; its output is the same. */
  readonly graph: Graph;
  /** Name of ∂y/∂v for each value v asked for, of v's shape; absent when y does not depend on v. */
  readonly gradients: ReadonlyMap<string, string>;
}

/** An operator, or a form of it, whose derivative is not known. */
export class NoDerivativeError extends Error {
  override name = 'NoDerivativeError';
}

/**
 * Adds ∂(Σ weights·output)/∂v for some values v.
 * @param weights of the output's channels, along `axis`: a one and zeros for one channel, ones for their sum
 * @throws NoDerivativeError
 */
export function withGradients(
  graph: Graph,
  values: readonly string[],
  weights: readonly number[],
  axis: number,
): GradientGraph {
  const backward = new Backward(graph);
  const gradients = backward.run(values, () => backward.seed(weights, axis));
  return { graph: backward.graph(), gradients };
}

/**
 * Adds ∂⟨seed, output⟩/∂v for some values v.
 * @param seed a value of the output's shape
 * @throws NoDerivativeError
 */
export function withGradientsOf(graph: Graph, values: readonly string[], seed: string): GradientGraph {
  const backward = new Backward(graph);
  const gradients = backward.run(values, () => seed);
  return { graph: backward.graph(), gradients };
}

/** Large enough that any usual number times it leaves [−1, 1], and finite times all of them. */
const STEEP = 1e30;

class Backward {
  private readonly inference = new ShapeInference();
  private readonly nodes: GraphNode[];
  private readonly constants: Map<string, Constant>;
  private readonly scalars = new Map<number, string>();
  /** Of names; those of a graph that has gradients already are below. */
  private count: number;

  constructor(private readonly source: Graph) {
    this.count = source.nodes.length + source.constants.size;
    for (const input of source.inputs) this.inference.input(input.name, input.shape);
    for (const [name, constant] of source.constants) this.inference.constant(name, constant);
    for (const node of source.nodes) this.inference.add(node);
    this.nodes = [...source.nodes];
    this.constants = new Map(source.constants);
  }

  graph(): Graph {
    return { ...this.source, nodes: this.nodes, constants: this.constants };
  }

  private fresh(kind: string): string {
    return `gradient_${kind}_${this.count++}`;
  }

  private constant(data: Constant['data'], shape: readonly number[]): string {
    const name = this.fresh('constant');
    this.constants.set(name, { data, shape });
    this.inference.constant(name, { data, shape });
    return name;
  }

  private scalar(value: number): string {
    let name = this.scalars.get(value);
    if (name === undefined) {
      name = this.constant(Float32Array.of(value), []);
      this.scalars.set(value, name);
    }
    return name;
  }

  private integers(values: readonly number[]): string {
    return this.constant(BigInt64Array.from(values, BigInt), [values.length]);
  }

  private op(op: OpName, inputs: readonly string[], attributes?: Record<string, Attribute>): string {
    const output = this.fresh(op);
    const node: GraphNode = { op, inputs, outputs: [output], ...(attributes && { attributes }) };
    this.inference.add(node);
    this.nodes.push(node);
    return output;
  }

  private shapeOf(value: string): Shape {
    const shape = this.inference.shapeOf(value);
    if (!shape) throw new NoDerivativeError(`the shape of ${value} is not known`);
    return shape;
  }

  private sizes(value: string, node: GraphNode): number[] {
    return this.shapeOf(value).map((d) => {
      if (typeof d !== 'number') throw unsupported(node, 'of a size that is not known before running');
      return d;
    });
  }

  private mul = (a: string, b: string) => this.op('Mul', [a, b]);
  private add = (a: string, b: string) => this.op('Add', [a, b]);
  private sub = (a: string, b: string) => this.op('Sub', [a, b]);
  private neg = (a: string) => this.op('Neg', [a]);
  private times = (a: string, factor: number) => this.mul(a, this.scalar(factor));
  /** 1 where positive, else 0. */
  private step = (x: string) => this.op('Clip', [this.times(x, STEEP), this.scalar(0), this.scalar(1)]);
  private oneMinus = (x: string) => this.sub(this.scalar(1), x);

  run(values: readonly string[], seed: () => string): Map<string, string> {
    const wanted = new Set(values);
    const depends = this.dependent(wanted);
    const gradients = new Map<string, string>();
    if (depends.has(this.source.output)) {
      gradients.set(this.source.output, seed());
    }
    for (const node of this.source.nodes.toReversed()) {
      if (!node.outputs.some((name) => gradients.has(name))) continue;
      const needed = node.inputs.map((name) => name !== '' && depends.has(name));
      if (!needed.some(Boolean)) continue;
      const passed = this.pass(
        node,
        node.outputs.map((name) => gradients.get(name)),
        needed,
      );
      node.inputs.forEach((name, i) => {
        const gradient = needed[i] ? passed[i] : undefined;
        if (gradient === undefined) return;
        const before = gradients.get(name);
        gradients.set(name, before === undefined ? gradient : this.add(before, gradient));
      });
    }
    return new Map(
      [...wanted].flatMap((name) => {
        const gradient = gradients.get(name);
        return gradient === undefined ? [] : [[name, gradient] as const];
      }),
    );
  }

  /** Values that some of `roots` have a part in. */
  private dependent(roots: ReadonlySet<string>): Set<string> {
    const depends = new Set(roots);
    for (const { op, inputs, outputs } of this.source.nodes) {
      if (op === 'Shape' || op === 'Floor') continue;
      if (inputs.some((name) => depends.has(name))) for (const name of outputs) depends.add(name);
    }
    return depends;
  }

  seed(weights: readonly number[], axis: number): string {
    const { output } = this.source;
    const rank = this.shapeOf(output).length;
    const shape = Array.from({ length: rank }, (_, i) => (i === axis ? weights.length : 1));
    return this.op('Expand', [this.constant(Float32Array.from(weights), shape), this.op('Shape', [output])]);
  }

  /** Sums a gradient over what was broadcast, so that it has the shape of `like`. */
  private fit(gradient: string, like: string): string {
    const [from, to] = [this.shapeOf(gradient), this.shapeOf(like)];
    const extra = from.length - to.length;
    const axes = from.flatMap((d, i) => (i < extra || (to[i - extra] === 1 && d !== 1) ? [i] : []));
    if (axes.length === 0) return gradient;
    const sum = this.op('ReduceSum', [gradient, this.integers(axes)], { keepdims: { int: 1 } });
    return extra > 0 ? this.like(sum, like) : sum;
  }

  private like(x: string, other: string): string {
    return this.op('Reshape', [x, this.op('Shape', [other])]);
  }

  private values(name: string): number[] | undefined {
    const constant = this.constants.get(name);
    return constant && Array.from(constant.data, Number);
  }

  /** Gradients of a node's inputs from those of its outputs. */
  private pass(
    node: GraphNode,
    given: readonly (string | undefined)[],
    needed: readonly boolean[],
  ): (string | undefined)[] {
    const [a, b, c] = node.inputs;
    const [y] = node.outputs;
    if (node.op === 'Split') return [this.passSplit(node, given)];
    const g = given[0]!;
    const only = (gradient: string) => [gradient];
    switch (node.op) {
      case 'Identity':
        return only(g);
      case 'Cast':
        return intAttribute(node, 'to', 1) === 1 ? only(g) : [];
      case 'Floor':
      case 'Shape':
      case 'Range':
        return [];
      case 'Add':
        return [needed[0] ? this.fit(g, a) : undefined, needed[1] ? this.fit(g, b) : undefined];
      case 'Sub':
        return [needed[0] ? this.fit(g, a) : undefined, needed[1] ? this.fit(this.neg(g), b) : undefined];
      case 'Mul':
        return [
          needed[0] ? this.fit(this.mul(g, b), a) : undefined,
          needed[1] ? this.fit(this.mul(g, a), b) : undefined,
        ];
      case 'Div':
        return [
          needed[0] ? this.fit(this.op('Div', [g, b]), a) : undefined,
          needed[1] ? this.fit(this.neg(this.op('Div', [this.mul(g, y), b])), b) : undefined,
        ];
      case 'Max':
      case 'Min':
        return this.passExtreme(node, g, needed);
      case 'Where':
        return [
          undefined,
          needed[1] ? this.fit(this.op('Where', [a, g, this.scalar(0)]), b) : undefined,
          needed[2] ? this.fit(this.op('Where', [a, this.scalar(0), g]), c) : undefined,
        ];
      case 'Pow': {
        const exponent = this.values(b);
        if (needed[1] || exponent?.length !== 1) throw unsupported(node, 'with an exponent that changes');
        const [p] = exponent;
        if (p === 2) return only(this.fit(this.mul(g, this.times(a, 2)), a));
        const power = this.op('Pow', [a, this.scalar(p - 1)]);
        return only(this.fit(this.mul(g, this.times(power, p)), a));
      }
      case 'MatMul':
        return [
          needed[0] ? this.fit(this.op('MatMul', [g, this.swapped(b)]), a) : undefined,
          needed[1] ? this.fit(this.op('MatMul', [this.swapped(a), g]), b) : undefined,
        ];
      case 'Gemm':
        return this.passGemm(node, g, needed);
      case 'Concat':
        return this.passConcat(node, g, needed);
      case 'Gather':
        return only(this.passGather(node, g));
      case 'Slice':
        return only(this.passSlice(node, g));
      case 'Pad':
        return only(this.passPad(node, g));
      case 'Reshape':
      case 'Flatten':
      case 'Squeeze':
      case 'Unsqueeze':
        return only(this.like(g, a));
      case 'Expand':
        return only(this.fit(g, a));
      case 'Transpose': {
        const rank = this.shapeOf(a).length;
        const perm = intsAttribute(
          node,
          'perm',
          Array.from({ length: rank }, (_, i) => rank - 1 - i),
        );
        const inverse = perm.map((_, i) => perm.indexOf(i));
        return only(this.op('Transpose', [g], { perm: { ints: inverse } }));
      }
      case 'ReduceSum':
      case 'ReduceMean':
        return only(this.passReduce(node, g));
      case 'Conv':
      case 'ConvTranspose':
        if (needed[1] || needed[2]) throw unsupported(node, 'with weights that change');
        return only(this.passConvolution(node, g));
      case 'DepthToSpace':
        return only(this.spaceToDepth(node, g));
      case 'Resize':
        return only(this.passResize(node, g));
      case 'Softmax':
        return only(this.passSoftmax(node, g));
      case 'LayerNormalization':
      case 'InstanceNormalization':
        if (needed[1] || needed[2]) throw unsupported(node, 'with weights that change');
        return only(this.passNormalisation(node, g));
      default:
        return only(this.mul(g, this.slope(node)));
    }
  }

  /** dy/dx of an operator on each number alone. */
  private slope(node: GraphNode): string {
    const [x, low, high] = node.inputs;
    const [y] = node.outputs;
    switch (node.op) {
      case 'Neg':
        return this.scalar(-1);
      case 'Abs':
        return this.op('Clip', [this.times(x, STEEP), this.scalar(-1), this.scalar(1)]);
      case 'Relu':
        return this.step(x);
      case 'LeakyRelu': {
        const alpha = floatAttribute(node, 'alpha', 0.01);
        return this.add(this.times(this.step(x), 1 - alpha), this.scalar(alpha));
      }
      case 'Elu': {
        const alpha = this.scalar(floatAttribute(node, 'alpha', 1));
        const positive = this.step(x);
        return this.add(positive, this.mul(this.oneMinus(positive), this.add(y, alpha)));
      }
      case 'Selu': {
        const alpha = floatAttribute(node, 'alpha', 1.6732632423543772);
        const gamma = floatAttribute(node, 'gamma', 1.0507009873554805);
        const positive = this.step(x);
        const negative = this.add(y, this.scalar(alpha * gamma));
        return this.add(this.times(positive, gamma), this.mul(this.oneMinus(positive), negative));
      }
      case 'Sigmoid':
        return this.mul(y, this.oneMinus(y));
      case 'Tanh':
        return this.oneMinus(this.mul(y, y));
      case 'Softplus':
        return this.op('Sigmoid', [x]);
      case 'Sin':
        return this.op('Cos', [x]);
      case 'Cos':
        return this.neg(this.op('Sin', [x]));
      case 'Exp':
        return y;
      case 'Log':
        return this.op('Reciprocal', [x]);
      case 'Sqrt':
        return this.op('Div', [this.scalar(0.5), y]);
      case 'Reciprocal':
        return this.neg(this.mul(y, y));
      case 'Erf':
        return this.times(this.op('Exp', [this.neg(this.mul(x, x))]), 2 / Math.sqrt(Math.PI));
      case 'Gelu':
        return textAttribute(node, 'approximate', 'none') === 'tanh'
          ? this.slopeOfTanhGelu(x)
          : this.slopeOfGelu(x);
      case 'HardSigmoid':
        return this.slopeOfHardSigmoid(
          x,
          floatAttribute(node, 'alpha', 0.2),
          floatAttribute(node, 'beta', 0.5),
        );
      case 'HardSwish': {
        const gate = this.op('HardSigmoid', [x], { alpha: 1 / 6, beta: 0.5 });
        return this.add(gate, this.mul(x, this.slopeOfHardSigmoid(x, 1 / 6, 0.5)));
      }
      case 'Clip': {
        // The ends belong to the range, as in PyTorch.
        let inside = this.scalar(1);
        if (low) inside = this.sub(inside, this.step(this.sub(low, x)));
        if (high) inside = this.sub(inside, this.step(this.sub(x, high)));
        return inside;
      }
      default:
        throw unsupported(node, '');
    }
  }

  /** Φ(x) + x·φ(x) */
  private slopeOfGelu(x: string): string {
    const cumulative = this.times(
      this.add(this.op('Erf', [this.times(x, Math.SQRT1_2)]), this.scalar(1)),
      0.5,
    );
    const density = this.op('Exp', [this.times(this.mul(x, x), -0.5)]);
    return this.add(cumulative, this.times(this.mul(x, density), 1 / Math.sqrt(2 * Math.PI)));
  }

  /** Of x/2·(1 + tanh u), u = √(2/π)(x + 0.044715x³). */
  private slopeOfTanhGelu(x: string): string {
    const k = Math.sqrt(2 / Math.PI);
    const square = this.mul(x, x);
    const inner = this.mul(this.times(x, k), this.add(this.times(square, 0.044715), this.scalar(1)));
    const t = this.op('Tanh', [inner]);
    const rise = this.times(this.add(this.times(square, 3 * 0.044715), this.scalar(1)), k);
    const left = this.times(this.add(t, this.scalar(1)), 0.5);
    const right = this.mul(this.mul(this.times(x, 0.5), this.oneMinus(this.mul(t, t))), rise);
    return this.add(left, right);
  }

  private slopeOfHardSigmoid(x: string, alpha: number, beta: number): string {
    const line = this.add(this.times(x, alpha), this.scalar(beta));
    return this.times(this.mul(this.step(line), this.step(this.oneMinus(line))), alpha);
  }

  /** Shared evenly among those that are the extreme one. */
  private passExtreme(node: GraphNode, g: string, needed: readonly boolean[]): (string | undefined)[] {
    const [y] = node.outputs;
    const differs = (x: string) =>
      this.op('Clip', [this.times(this.op('Abs', [this.sub(y, x)]), STEEP), this.scalar(0), this.scalar(1)]);
    const is = node.inputs.map((x) => this.oneMinus(differs(x)));
    const count = is.reduce((sum, one) => this.add(sum, one));
    return node.inputs.map((x, i) =>
      needed[i] ? this.fit(this.mul(g, this.op('Div', [is[i], count])), x) : undefined,
    );
  }

  /** The last two axes exchanged. */
  private swapped(x: string): string {
    const rank = this.shapeOf(x).length;
    const perm = Array.from({ length: rank }, (_, i) => i);
    perm.splice(rank - 2, 2, rank - 1, rank - 2);
    return this.op('Transpose', [x], { perm: { ints: perm } });
  }

  private passGemm(node: GraphNode, g: string, needed: readonly boolean[]): (string | undefined)[] {
    const [a, b, c] = node.inputs;
    const alpha = floatAttribute(node, 'alpha', 1);
    const beta = floatAttribute(node, 'beta', 1);
    const [transA, transB] = ['transA', 'transB'].map((name) => intAttribute(node, name, 0) !== 0);
    const scaled = alpha === 1 ? g : this.times(g, alpha);
    const turned = (x: string, turn: boolean) => (turn ? this.swapped(x) : x);
    // Y = A′·B′, where ′ may turn: ∂A′ = G·B′ᵀ, ∂B′ = A′ᵀ·G.
    return [
      needed[0] ? turned(this.op('MatMul', [scaled, turned(b, !transB)]), transA) : undefined,
      needed[1] ? turned(this.op('MatMul', [turned(a, !transA), scaled]), transB) : undefined,
      needed[2] && c ? this.fit(beta === 1 ? g : this.times(g, beta), c) : undefined,
    ];
  }

  private slice(x: string, axis: number, start: number, end: number): string {
    return this.op('Slice', [x, this.integers([start]), this.integers([end]), this.integers([axis])]);
  }

  private passConcat(node: GraphNode, g: string, needed: readonly boolean[]): (string | undefined)[] {
    const axis = wrapAxis(intAttribute(node, 'axis', 0), this.shapeOf(g).length);
    let start = 0;
    return node.inputs.map((name, i) => {
      const size = this.sizeOn(name, axis, node);
      const from = start;
      start += size;
      return needed[i] ? this.slice(g, axis, from, start) : undefined;
    });
  }

  private sizeOn(name: string, axis: number, node: GraphNode): number {
    const size = this.shapeOf(name)[axis];
    if (typeof size !== 'number')
      throw unsupported(node, 'along an axis whose size is not known before running');
    return size;
  }

  private passSplit(node: GraphNode, given: readonly (string | undefined)[]): string {
    const axis = intAttribute(node, 'axis', 0);
    const parts = node.outputs.map((name, i) => given[i] ?? this.times(name, 0));
    return this.op('Concat', parts, { axis: { int: wrapAxis(axis, this.shapeOf(node.inputs[0]).length) } });
  }

  /** Indices are constants here: the gradient goes back through a matrix of ones and zeros. */
  private passGather(node: GraphNode, g: string): string {
    const [x, at] = node.inputs;
    const indices = this.values(at);
    if (!indices) throw unsupported(node, 'with indices that change');
    const rank = this.shapeOf(x).length;
    const axis = wrapAxis(intAttribute(node, 'axis', 0), rank);
    const size = this.sizeOn(x, axis, node);
    const ranks = this.constants.get(at)!.shape.length;
    if (ranks > 1) throw unsupported(node, 'with a table of indices');
    const gathered = ranks === 0 ? this.op('Unsqueeze', [g, this.integers([axis])]) : g;
    const wrapped = indices.map((i) => (i < 0 ? i + size : i));
    if (wrapped.length === size && new Set(wrapped).size === size) {
      const inverse = Array.from({ length: size }, (_, i) => wrapped.indexOf(i));
      return this.op('Gather', [gathered, this.integers(inverse)], { axis: { int: axis } });
    }
    const scatter = new Float32Array(size * wrapped.length);
    wrapped.forEach((i, k) => (scatter[i * wrapped.length + k] = 1));
    return this.along(gathered, axis, scatter, size, wrapped.length);
  }

  /** A matrix `[to, from]` applied along one axis. */
  private along(x: string, axis: number, matrix: Float32Array, to: number, from: number): string {
    const rank = this.shapeOf(x).length;
    const weights = this.constant(matrix, [to, from]);
    if (axis === rank - 2) return this.op('MatMul', [weights, x]);
    if (axis === rank - 1) return this.op('MatMul', [x, this.swapped(weights)]);
    const perm = Array.from({ length: rank }, (_, i) => i);
    [perm[axis], perm[rank - 2]] = [perm[rank - 2], perm[axis]];
    const turn = (value: string) => this.op('Transpose', [value], { perm: { ints: perm } });
    return turn(this.op('MatMul', [weights, turn(x)]));
  }

  private passSlice(node: GraphNode, g: string): string {
    const [x, startsName, endsName, axesName, stepsName] = node.inputs;
    const starts = this.values(startsName);
    const ends = this.values(endsName);
    const shape = this.shapeOf(x);
    const axes = axesName ? this.values(axesName) : starts?.map((_, i) => i);
    const steps = stepsName ? this.values(stepsName) : starts?.map(() => 1);
    if (!starts || !ends || !axes || !steps) throw unsupported(node, 'with limits that change');
    let out = g;
    axes.forEach((axisOf, i) => {
      const axis = wrapAxis(axisOf, shape.length);
      const size = shape[axis];
      if (typeof size !== 'number') {
        if (starts[i] === 0 && ends[i] >= 2 ** 31 - 1 && steps[i] === 1) return;
        throw unsupported(node, 'along an axis whose size is not known before running');
      }
      const count = this.sizeOn(g, axis, node);
      const step = steps[i];
      const wrapped = starts[i] < 0 ? starts[i] + size : starts[i];
      const start = Math.min(Math.max(wrapped, 0), step > 0 ? size : size - 1);
      const scatter = new Float32Array(size * count);
      for (let k = 0; k < count; k++) scatter[(start + k * step) * count + k] = 1;
      if (step === 1 && count === size) return;
      if (step === 1) {
        const pads = new Array<number>(2 * shape.length).fill(0);
        pads[axis] = start;
        pads[shape.length + axis] = size - start - count;
        out = this.op('Pad', [out, this.integers(pads)]);
      } else {
        out = this.along(out, axis, scatter, size, count);
      }
    });
    return out;
  }

  private passPad(node: GraphNode, g: string): string {
    const [x, padsName, , axesName] = node.inputs;
    const pads = this.values(padsName);
    const rank = this.shapeOf(x).length;
    const axes = axesName ? this.values(axesName) : Array.from({ length: rank }, (_, i) => i);
    if (!pads || !axes) throw unsupported(node, 'with widths that change');
    if (textAttribute(node, 'mode', 'constant') !== 'constant') throw unsupported(node, 'that mirrors');
    let out = g;
    axes.forEach((axisOf, i) => {
      const axis = wrapAxis(axisOf, rank);
      const [before, after] = [pads[i], pads[i + axes.length]];
      if (before === 0 && after === 0) return;
      out = this.slice(out, axis, before, before + this.sizeOn(x, axis, node));
    });
    return out;
  }

  private passReduce(node: GraphNode, g: string): string {
    const [x, axesName] = node.inputs;
    const shape = this.shapeOf(x);
    const given = axesName ? this.values(axesName) : undefined;
    if (axesName && !given) throw unsupported(node, 'over axes that change');
    if (!given && intAttribute(node, 'noop_with_empty_axes', 0)) return g;
    const axes = (given ?? shape.map((_, i) => i)).map((axis) => wrapAxis(axis, shape.length));
    const kept =
      intAttribute(node, 'keepdims', 1) || this.shapeOf(g).length === shape.length
        ? g
        : this.op('Unsqueeze', [g, this.integers(axes.toSorted((p, q) => p - q))]);
    const spread = this.op('Expand', [kept, this.op('Shape', [x])]);
    if (node.op === 'ReduceSum') return spread;
    return this.times(spread, 1 / axes.reduce((n, axis) => n * this.sizeOn(x, axis, node), 1));
  }

  /** A convolution's gradient is the transposed one with the same weights, and the other way round. */
  private passConvolution(node: GraphNode, g: string): string {
    const [x, w] = node.inputs;
    const [from, to, kernel] = [x, g, w].map((name) => this.sizes(name, node).slice(2));
    const ones = from.map(() => 1);
    const strides = intsAttribute(node, 'strides', ones);
    const dilations = intsAttribute(node, 'dilations', ones);
    const pads = convolutionPads(node, from.length);
    const attributes = {
      strides: { ints: strides },
      dilations: { ints: dilations },
      pads: { ints: pads },
      group: { int: intAttribute(node, 'group', 1) },
    };
    if (node.op === 'ConvTranspose') {
      const whole = this.op('Conv', [g, w], attributes);
      const found = this.sizes(whole, node).slice(2);
      return from.reduce(
        (value, size, i) => (found[i] > size ? this.slice(value, i + 2, 0, size) : value),
        whole,
      );
    }
    const rest = from.map((size, i) => {
      const reached = (to[i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1;
      return size + pads[i] + pads[i + from.length] - reached;
    });
    return this.op('ConvTranspose', [g, w], { ...attributes, output_padding: { ints: rest } });
  }

  private spaceToDepth(node: GraphNode, g: string): string {
    const s = intAttribute(node, 'blocksize', 1);
    const [n, channels, height, width] = this.sizes(node.inputs[0], node);
    const split = this.op('Reshape', [g, this.integers([n, channels / s ** 2, height, s, width, s])]);
    const perm = textAttribute(node, 'mode', 'DCR') === 'CRD' ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4];
    const turned = this.op('Transpose', [split], { perm: { ints: perm } });
    return this.op('Reshape', [turned, this.integers([n, channels, height, width])]);
  }

  /** Resizing is a matrix along each axis; its transpose goes back. */
  private passResize(node: GraphNode, g: string): string {
    const [x] = node.inputs;
    const [from, to] = [this.sizes(x, node), this.sizes(g, node)];
    let out = g;
    from.forEach((size, axis) => {
      if (size === to[axis]) return;
      const forward = resizeWeights(node, size, to[axis]);
      const back = new Float32Array(size * to[axis]);
      for (let o = 0; o < to[axis]; o++)
        for (let i = 0; i < size; i++) back[i * to[axis] + o] = forward[o * size + i];
      out = this.along(out, axis, back, size, to[axis]);
    });
    return out;
  }

  private passSoftmax(node: GraphNode, g: string): string {
    const [y] = node.outputs;
    const axis = wrapAxis(intAttribute(node, 'axis', -1), this.shapeOf(y).length);
    const sum = this.op('ReduceSum', [this.mul(g, y), this.integers([axis])], { keepdims: { int: 1 } });
    return this.mul(y, this.sub(g, sum));
  }

  private passNormalisation(node: GraphNode, g: string): string {
    const [x, scale] = node.inputs;
    const rank = this.shapeOf(x).length;
    const layer = node.op === 'LayerNormalization';
    const first = layer ? wrapAxis(intAttribute(node, 'axis', -1), rank) : 2;
    const axes = this.integers(Array.from({ length: rank - first }, (_, i) => first + i));
    const mean = (value: string) => this.op('ReduceMean', [value, axes], { keepdims: { int: 1 } });
    const centred = this.sub(x, mean(x));
    const variance = mean(this.mul(centred, centred));
    const epsilon = this.scalar(floatAttribute(node, 'epsilon', 1e-5));
    const deviation = this.op('Sqrt', [this.add(variance, epsilon)]);
    const normal = this.op('Div', [centred, deviation]);
    const channels = this.shapeOf(scale)[0] as number;
    const factor = layer
      ? scale
      : this.op('Reshape', [scale, this.integers([1, channels, ...new Array<number>(rank - 2).fill(1)])]);
    const scaled = this.mul(g, factor);
    const inner = this.sub(this.sub(scaled, mean(scaled)), this.mul(normal, mean(this.mul(scaled, normal))));
    return this.op('Div', [inner, deviation]);
  }
}

/** What each output (row) of a resize along one axis takes of each input, `[to, from]`. */
function resizeWeights(node: GraphNode, from: number, to: number): Float32Array {
  const mode = textAttribute(node, 'mode', 'nearest');
  const transformation = textAttribute(node, 'coordinate_transformation_mode', 'half_pixel');
  const weights = new Float32Array(to * from);
  for (let o = 0; o < to; o++) {
    const at = sourceCoordinate(node, transformation, o, from, to);
    if (mode === 'nearest') {
      const rounding = textAttribute(node, 'nearest_mode', 'round_prefer_floor');
      const nearest = {
        floor: Math.floor(at),
        ceil: Math.ceil(at),
        round_prefer_floor: Math.ceil(at - 0.5),
        round_prefer_ceil: Math.floor(at + 0.5),
      }[rounding];
      if (nearest === undefined) throw unsupported(node, `that rounds by ${rounding}`);
      weights[o * from + Math.min(Math.max(nearest, 0), from - 1)] = 1;
    } else if (mode === 'linear') {
      const inside = Math.min(Math.max(at, 0), from - 1);
      const low = Math.floor(inside);
      weights[o * from + low] += 1 - (inside - low);
      if (inside > low) weights[o * from + low + 1] += inside - low;
    } else {
      throw unsupported(node, `by ${mode} interpolation`);
    }
  }
  return weights;
}

function sourceCoordinate(
  node: GraphNode,
  transformation: string,
  o: number,
  from: number,
  to: number,
): number {
  switch (transformation) {
    case 'half_pixel':
      return ((o + 0.5) * from) / to - 0.5;
    case 'pytorch_half_pixel':
      return to > 1 ? ((o + 0.5) * from) / to - 0.5 : 0;
    case 'align_corners':
      return to > 1 ? (o * (from - 1)) / (to - 1) : 0;
    case 'asymmetric':
      return (o * from) / to;
    default:
      throw unsupported(node, `with ${transformation} coordinates`);
  }
}

const unsupported = (node: GraphNode, how: string) =>
  new NoDerivativeError(
    `No derivative is known of ${node.op}${how ? ` ${how}` : ''}; use the method xinc or ablation.`,
  );
