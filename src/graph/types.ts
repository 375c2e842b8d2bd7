/**
 * A network as a short list of ONNX operators. Coordinate networks are laid out features × pixels
 * (`[n, P]`): W·X gives each neuron's values over all pixels as one contiguous row, so that a
 * contribution map is a row, scaled and shifted, and never has to be transposed.
 */

/** Operators a graph may hold, by their ONNX names (opset 20). */
export const operators = [
  'Abs',
  'Add',
  'Cast',
  'Clip',
  'Concat',
  'Conv',
  'ConvTranspose',
  'Cos',
  'DepthToSpace',
  'Div',
  'Elu',
  'Erf',
  'Exp',
  'Expand',
  'Flatten',
  'Floor',
  'Gather',
  'Gelu',
  'Gemm',
  'HardSigmoid',
  'HardSwish',
  'Identity',
  'InstanceNormalization',
  'LayerNormalization',
  'LeakyRelu',
  'Log',
  'MatMul',
  'Max',
  'Min',
  'Mul',
  'Neg',
  'Pad',
  'Pow',
  'Range',
  'Reciprocal',
  'ReduceMean',
  'ReduceSum',
  'Relu',
  'Reshape',
  'Resize',
  'Selu',
  'Shape',
  'Sigmoid',
  'Sin',
  'Slice',
  'Softmax',
  'Softplus',
  'Split',
  'Sqrt',
  'Squeeze',
  'Sub',
  'Tanh',
  'Transpose',
  'Unsqueeze',
  'Where',
] as const;
export type OpName = (typeof operators)[number];

export type Attribute =
  number | string | readonly number[] | { readonly int: number } | { readonly ints: readonly number[] };

/** In attributes a bare number (or list) is float; integers are wrapped: `{ int: 2 }`, `{ ints: [1, 1] }`. */
export interface GraphNode {
  readonly op: OpName;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

export interface Constant {
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

/** A dimension is a size or a symbol; `P` is the number of pixels of the tile at hand. */
export type Dimension = number | string;

export interface GraphInput {
  readonly name: string;
  readonly shape: readonly Dimension[];
}

export interface Graph {
  readonly inputs: readonly GraphInput[];
  /** In execution order. */
  readonly nodes: readonly GraphNode[];
  readonly constants: ReadonlyMap<string, Constant>;
  /** Name of the network's output value. */
  readonly output: string;
}
