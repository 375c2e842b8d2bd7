import { ShapeInference, type Shape } from './shapes';
import type { Attribute, Constant, Dimension, Graph, GraphInput, GraphNode, OpName } from './types';

type Attributes = Readonly<Record<string, Attribute>>;

/** Real and imaginary parts of a complex value, each a value of the same shape. */
export interface Complex {
  readonly re: string;
  readonly im: string;
}

/**
 * Writes a graph node by node. Every method adds what it needs and returns the name of its result;
 * shapes are followed, so that a layer that does not fit throws where it is added.
 */
export class GraphBuilder {
  private readonly inputs: GraphInput[] = [];
  private readonly nodes: GraphNode[] = [];
  private readonly constants = new Map<string, Constant>();
  private readonly inference = new ShapeInference();
  private readonly scalars = new Map<number, string>();
  private count = 0;

  private fresh(kind: string): string {
    return `${kind}_${this.count++}`;
  }

  /** A graph input; a text dimension (`'P'`) is settled when the graph runs. */
  input(name: string, shape: readonly Dimension[]): string {
    this.inputs.push({ name, shape });
    this.inference.input(name, shape);
    return name;
  }

  constant(data: Constant['data'], shape: readonly number[]): string {
    const size = shape.reduce((a, b) => a * b, 1);
    if (size !== data.length) throw new Error(`${data.length} elements do not fill [${shape.join(', ')}]`);
    const name = this.fresh('constant');
    this.constants.set(name, { data, shape });
    this.inference.constant(name, { data, shape });
    return name;
  }

  /** A number that broadcasts; the same number is stored once. */
  scalar(value: number): string {
    let name = this.scalars.get(value);
    if (name === undefined) {
      name = this.constant(Float32Array.of(value), []);
      this.scalars.set(value, name);
    }
    return name;
  }

  /** A vector of int64, as Reshape, Slice and others take. */
  integers(values: readonly number[]): string {
    return this.constant(BigInt64Array.from(values, BigInt), [values.length]);
  }

  /** Any operator with one result. */
  op(op: OpName, inputs: readonly string[], attributes?: Attributes): string {
    return this.ops(op, inputs, 1, attributes)[0];
  }

  /** Any operator with several results. */
  ops(op: OpName, inputs: readonly string[], results: number, attributes?: Attributes): string[] {
    const outputs = Array.from({ length: results }, () => this.fresh(op));
    const node: GraphNode = { op, inputs, outputs, ...(attributes && { attributes }) };
    this.inference.add(node);
    this.nodes.push(node);
    return outputs;
  }

  /** @throws Error when the rank of the value cannot be told before running */
  shapeOf(value: string): Shape {
    const shape = this.inference.shapeOf(value);
    if (!shape) throw new Error(`the shape of ${value} is not known`);
    return shape;
  }

  /** The finished graph with `output` as the network's result. */
  build(output: string): Graph {
    return { inputs: this.inputs, nodes: this.nodes, constants: this.constants, output };
  }

  /**
   * W·x + b for all pixels: `[inputs, P]` → `[outputs, P]`. MatMul and Add, which onnxruntime runs as
   * fast as Gemm with a broadcast bias, or faster (docs/decisions/0002-layout-and-tiles.md).
   * @param weight row-major `[outputs, inputs]`
   */
  linear(
    x: string,
    weight: Float32Array,
    bias: Float32Array | null,
    outputs: number,
    inputs: number,
  ): string {
    const z = this.op('MatMul', [this.constant(weight, [outputs, inputs]), x]);
    return bias ? this.op('Add', [z, this.constant(bias, [outputs, 1])]) : z;
  }

  /**
   * W·x + b in complex numbers.
   * @param x a real value's name, or both parts
   * @param weight row-major `[outputs, inputs]`, likewise `bias` `[outputs]`
   */
  complexLinear(
    x: string | Complex,
    weight: { readonly re: Float32Array; readonly im: Float32Array },
    bias: { readonly re: Float32Array; readonly im: Float32Array } | null,
    outputs: number,
    inputs: number,
  ): Complex {
    const times = (w: Float32Array, value: string, b: Float32Array | null = null) =>
      this.linear(value, w, b, outputs, inputs);
    if (typeof x === 'string') {
      return { re: times(weight.re, x, bias?.re), im: times(weight.im, x, bias?.im) };
    }
    return {
      re: this.op('Sub', [times(weight.re, x.re, bias?.re), times(weight.im, x.im)]),
      im: this.op('Add', [times(weight.re, x.im, bias?.im), times(weight.im, x.re)]),
    };
  }

  /** WIRE's complex Gabor wavelet exp(jωz − |sz|²). */
  gabor({ re, im }: Complex, omega: number, scale: number): Complex {
    const energy = this.op('Add', [this.op('Mul', [re, re]), this.op('Mul', [im, im])]);
    const decay = this.op('Add', [this.scale(energy, -(scale ** 2)), this.scale(im, -omega)]);
    const envelope = this.op('Exp', [decay]);
    const phase = this.scale(re, omega);
    return {
      re: this.op('Mul', [envelope, this.op('Cos', [phase])]),
      im: this.op('Mul', [envelope, this.op('Sin', [phase])]),
    };
  }

  /** x times a number; nothing is added for 1. */
  scale(x: string, factor: number): string {
    return factor === 1 ? x : this.op('Mul', [x, this.scalar(factor)]);
  }

  /** Rows of a `[n, P]` value in the given order. */
  gatherRows(x: string, rows: readonly number[]): string {
    return this.op('Gather', [x, this.integers(rows)], { axis: { int: 0 } });
  }

  /** Elements `start` to `end` (exclusive) along an axis. */
  slice(x: string, axis: number, start: number, end: number): string {
    return this.op('Slice', [x, this.integers([start]), this.integers([end]), this.integers([axis])]);
  }

  concat(values: readonly string[], axis: number): string {
    return this.op('Concat', values, { axis: { int: axis } });
  }

  /** A dimension of −1 takes what is left. */
  reshape(x: string, shape: readonly number[]): string {
    return this.op('Reshape', [x, this.integers(shape)]);
  }

  /** GELU by the error function, or by its tanh approximation. */
  gelu(z: string, approximate: 'none' | 'tanh' = 'none'): string {
    return this.op('Gelu', [z], { approximate });
  }

  /**
   * `[1, inputs, h, w]` → `[1, outputs, h', w']`.
   * @param weight `[outputs, inputs / groups, kernel height, kernel width]`
   * @param padding zeros on each side, or above, left, below and right
   */
  conv2d(
    x: string,
    weight: Constant,
    bias: Float32Array | null,
    options: {
      readonly padding?: number | readonly [number, number, number, number];
      readonly stride?: number;
      readonly groups?: number;
    } = {},
  ): string {
    const { padding = 0, stride = 1, groups = 1 } = options;
    const inputs = [x, this.constant(weight.data, weight.shape)];
    if (bias) inputs.push(this.constant(bias, [bias.length]));
    return this.op('Conv', inputs, {
      pads: { ints: typeof padding === 'number' ? [padding, padding, padding, padding] : padding },
      strides: { ints: [stride, stride] },
      group: { int: groups },
    });
  }

  /** PixelShuffle: `[1, c·block², h, w]` → `[1, c, h·block, w·block]`. */
  depthToSpace(x: string, block: number): string {
    return this.op('DepthToSpace', [x], { blocksize: { int: block }, mode: 'CRD' });
  }

  /** Scales height and width as PyTorch's `interpolate` does. */
  resize(
    x: string,
    factors: readonly [number, number],
    mode: 'nearest' | 'linear',
    alignCorners = false,
  ): string {
    const scales = this.constant(Float32Array.of(1, 1, ...factors), [4]);
    return this.op('Resize', [x, '', scales], {
      mode,
      coordinate_transformation_mode:
        mode === 'nearest' ? 'asymmetric' : alignCorners ? 'align_corners' : 'pytorch_half_pixel',
      ...(mode === 'nearest' && { nearest_mode: 'floor' }),
    });
  }

  /** Normalises each channel of `[1, c, h, w]` over its pixels. */
  instanceNorm(x: string, scale: Float32Array, bias: Float32Array, epsilon: number): string {
    const constants = [scale, bias].map((data) => this.constant(data, [data.length]));
    return this.op('InstanceNormalization', [x, ...constants], { epsilon });
  }

  /** Normalises each pixel (column) of `[n, P]` over its features, as LayerNorm does to a row. */
  layerNorm(x: string, scale: Float32Array, bias: Float32Array, epsilon: number): string {
    const features = this.integers([0]);
    const centred = this.op('Sub', [x, this.op('ReduceMean', [x, features])]);
    const variance = this.op('ReduceMean', [this.op('Mul', [centred, centred]), features]);
    const deviation = this.op('Sqrt', [this.op('Add', [variance, this.scalar(epsilon)])]);
    const scaled = this.op('Mul', [
      this.op('Div', [centred, deviation]),
      this.constant(scale, [scale.length, 1]),
    ]);
    return this.op('Add', [scaled, this.constant(bias, [bias.length, 1])]);
  }
}
