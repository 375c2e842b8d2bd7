/** ONNX operators in operations of TensorFlow.js: float32 tensors are floats, int32 tensors int64s. */
import type { Tensor } from '@tensorflow/tfjs-core';
import {
  broadcast,
  floatAttribute,
  intAttribute,
  intsAttribute,
  sliceRange,
  textAttribute,
  wrapAxis,
} from '../../graph/shapes';
import type { OpName } from '../../graph/types';
import { DataType } from '../../onnx/modelProto';
import type { Tf } from './api';
import { numbers, pick, type Call } from './call';
import { convolution, transposedConvolution } from './convolution';
import { resize } from './resize';

type Operator = (call: Call) => Tensor | Tensor[];

const isInteger = (x: Tensor) => x.dtype === 'int32';

function elementwise(f: (tf: Tf, x: Tensor) => Tensor): Operator {
  return ({ tf, inputs }) => f(tf, inputs[0]!);
}

/** An operator of any number of inputs that takes them two by two. */
function folded(f: (tf: Tf, a: Tensor, b: Tensor) => Tensor): Operator {
  return ({ tf, inputs }) => {
    const [first, ...rest] = inputs as Tensor[];
    return rest.reduce((sum, x) => f(tf, sum, x), rest.length > 0 ? first : tf.clone(first));
  };
}

const positive = (tf: Tf, x: Tensor) => tf.relu(x);
/** eˣ − 1 below zero, 0 above. */
const decay = (tf: Tf, x: Tensor) => tf.sub(tf.exp(tf.minimum(x, 0)), 1);

/** Integers are divided as C does, towards zero. */
function divide(tf: Tf, a: Tensor, b: Tensor): Tensor {
  if (!isInteger(a)) return tf.div(a, b);
  return tf.mul(tf.mul(tf.sign(a), tf.sign(b)), tf.floorDiv(tf.abs(a), tf.abs(b)));
}

/**
 * Elements of `x` in another type. Read and written anew: TensorFlow.js's CPU backend leaves integers where
 * they are and only calls them floats, which no other backend understands.
 */
function converted(tf: Tf, x: Tensor, to: 'float32' | 'int32'): Tensor {
  if (x.dtype === to) return tf.clone(x);
  const values = x.dataSync() as ArrayLike<number>;
  return to === 'int32'
    ? tf.tensor(Int32Array.from(values), x.shape, to)
    : tf.tensor(Float32Array.from(values), x.shape, to);
}

function cast({ tf, node, inputs }: Call): Tensor {
  const [x] = inputs as [Tensor];
  const to = intAttribute(node, 'to', DataType.float);
  if (to === DataType.bool) return tf.notEqual(x, 0);
  return converted(tf, x, to === DataType.float ? 'float32' : 'int32');
}

function clip({ tf, inputs: [x, low, high] }: Call): Tensor {
  const raised = low ? tf.maximum(x!, low) : x!;
  if (high) return tf.minimum(raised, high);
  return low ? raised : tf.clone(raised);
}

/** Channels of `[n, c·b², h, w]` into pixels. */
function depthToSpace({ tf, node, inputs }: Call): Tensor {
  const [x] = inputs as [Tensor];
  const [n, channels, h, w] = x.shape;
  const b = intAttribute(node, 'blocksize', 1);
  const c = channels / b ** 2;
  const columnsFirst = textAttribute(node, 'mode', 'DCR') === 'CRD';
  const blocks: number[] = columnsFirst ? [c, b, b] : [b, b, c];
  const apart = tf.reshape(x, [n, ...blocks, h, w]);
  const together = tf.transpose(apart, columnsFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]);
  return tf.reshape(together, [n, c, h * b, w * b]);
}

function gather(call: Call): Tensor {
  const { tf, node, inputs } = call;
  const [x, index] = inputs as [Tensor, Tensor];
  const axis = wrapAxis(intAttribute(node, 'axis', 0), x.rank);
  const size = x.shape[axis];
  const indices = numbers(call, 1)!.map((i) => (i < 0 ? i + size : i));
  const outside = indices.find((i) => i < 0 || i >= size);
  if (outside !== undefined) throw new Error(`there is no element ${outside} of ${size}`);
  const picked = pick(tf, x, axis, indices);
  return tf.reshape(picked, [...x.shape.slice(0, axis), ...index.shape, ...x.shape.slice(axis + 1)]);
}

function gelu({ tf, node, inputs }: Call): Tensor {
  const [x] = inputs as [Tensor];
  const cubic = () => tf.add(x, tf.mul(tf.mul(tf.mul(x, x), x), 0.044715));
  const bell =
    textAttribute(node, 'approximate', 'none') === 'tanh'
      ? tf.tanh(tf.mul(cubic(), Math.sqrt(2 / Math.PI)))
      : tf.erf(tf.mul(x, Math.SQRT1_2));
  return tf.mul(tf.mul(x, 0.5), tf.add(bell, 1));
}

function gemm({ tf, node, inputs }: Call): Tensor {
  const [a, b, c] = inputs as [Tensor, Tensor, Tensor | undefined];
  const flag = (name: string) => intAttribute(node, name, 0) !== 0;
  const scaled = (x: Tensor, factor: number) => (factor === 1 ? x : tf.mul(x, factor));
  const turned = (x: Tensor, turn: boolean) => (turn ? tf.transpose(x, [1, 0]) : x);
  // Transposed factors take a slow kernel of the WASM backend.
  const product = tf.matMul(turned(a, flag('transA')), turned(b, flag('transB')));
  const sum = scaled(product, floatAttribute(node, 'alpha', 1));
  return c ? tf.add(sum, scaled(c, floatAttribute(node, 'beta', 1))) : sum;
}

function hardSigmoid(tf: Tf, x: Tensor, alpha: number, beta: number): Tensor {
  return tf.minimum(tf.maximum(tf.add(tf.mul(x, alpha), beta), 0), 1);
}

/** (x − mean) / √(variance + ε) over `axes`, with what it was divided by. */
function normalised(tf: Tf, x: Tensor, axes: number[], epsilon: number) {
  const mean = tf.mean(x, axes, true);
  const centred = tf.sub(x, mean);
  const deviation = tf.sqrt(tf.add(tf.mean(tf.mul(centred, centred), axes, true), epsilon));
  return { values: tf.div(centred, deviation), mean, deviation };
}

function instanceNormalization({ tf, node, inputs }: Call): Tensor {
  const [x, scale, bias] = inputs as [Tensor, Tensor, Tensor];
  const spatial = x.shape.map((_, i) => i).slice(2);
  const { values } = normalised(tf, x, spatial, floatAttribute(node, 'epsilon', 1e-5));
  const channels = x.shape.map((size, i) => (i === 1 ? size : 1));
  return tf.add(tf.mul(values, tf.reshape(scale, channels)), tf.reshape(bias, channels));
}

function layerNormalization({ tf, node, inputs }: Call): Tensor[] {
  const [x, scale, bias] = inputs as [Tensor, Tensor, Tensor | undefined];
  const first = wrapAxis(intAttribute(node, 'axis', -1), x.rank);
  const axes: number[] = x.shape.map((_, i) => i).slice(first);
  const { values, mean, deviation } = normalised(tf, x, axes, floatAttribute(node, 'epsilon', 1e-5));
  const scaled = tf.mul(values, scale);
  return [bias ? tf.add(scaled, bias) : scaled, mean, tf.reciprocal(deviation)];
}

function matMul({ tf, inputs }: Call): Tensor {
  const [a, b] = inputs as [Tensor, Tensor];
  const rank = Math.max(a.rank, b.rank);
  const raised = (x: Tensor) => [...new Array<number>(rank - x.rank).fill(1), ...x.shape];
  const [shapeA, shapeB] = [raised(a), raised(b)];
  const batch = broadcast(shapeA.slice(0, -2), shapeB.slice(0, -2)) as number[];
  // The kernels repeat a single matrix, and get other repetitions wrong.
  const spread = (x: Tensor, shape: number[]) => {
    const own = shape.slice(0, -2);
    const plain = own.every((n) => n === 1) || own.every((n, i) => n === batch[i]);
    const matrices = tf.reshape(x, shape);
    return plain ? matrices : tf.broadcastTo(matrices, [...batch, ...shape.slice(-2)]);
  };
  return tf.matMul(spread(a, shapeA), spread(b, shapeB));
}

function pad(call: Call): Tensor {
  const { tf, node, inputs } = call;
  const [x] = inputs as [Tensor];
  const pads = numbers(call, 1)!;
  const [value = 0] = numbers(call, 2) ?? [];
  const axes = numbers(call, 3)?.map((axis) => wrapAxis(axis, x.rank)) ?? x.shape.map((_, i) => i);
  const mode = textAttribute(node, 'mode', 'constant');
  const before = new Array<number>(x.rank).fill(0);
  const after = new Array<number>(x.rank).fill(0);
  axes.forEach((axis, i) => {
    before[axis] = pads[i];
    after[axis] = pads[i + axes.length];
  });
  if (mode !== 'constant') {
    return x.shape.reduce((result, size, axis) => {
      if (before[axis] === 0 && after[axis] === 0) return result;
      const length = before[axis] + size + after[axis];
      const indices = Array.from({ length }, (_, i) => mirrored(i - before[axis], size, mode));
      return pick(tf, result, axis, indices);
    }, tf.clone(x));
  }
  // Negative padding crops.
  const cropped = tf.slice(
    x,
    before.map((n) => Math.max(0, -n)),
    x.shape.map((size, i) => size + Math.min(0, before[i]) + Math.min(0, after[i])),
  );
  const grow = before.map((n, i): [number, number] => [Math.max(0, n), Math.max(0, after[i])]);
  return tf.pad(cropped, grow, value);
}

/** Which element stands at place `i`, outside of 0 to `size` − 1 too. */
function mirrored(i: number, size: number, mode: string): number {
  if (mode === 'edge') return Math.min(Math.max(i, 0), size - 1);
  const modulo = (n: number, m: number) => ((n % m) + m) % m;
  if (mode === 'wrap') return modulo(i, size);
  const period = Math.max(1, 2 * (size - 1));
  const at = modulo(i, period);
  return Math.min(at, period - at);
}

function power({ tf, inputs }: Call): Tensor {
  const [x, exponent] = inputs as [Tensor, Tensor];
  const result = tf.pow(x, exponent);
  return converted(tf, result, isInteger(x) ? 'int32' : 'float32');
}

function range(call: Call): Tensor {
  const [start, limit, step] = [0, 1, 2].map((index) => numbers(call, index)![0]);
  const count = Math.max(0, Math.ceil((limit - start) / step));
  const values = Float64Array.from({ length: count }, (_, i) => start + i * step);
  return isInteger(call.inputs[0]!)
    ? call.tf.tensor(Int32Array.from(values), [count], 'int32')
    : call.tf.tensor(Float32Array.from(values), [count], 'float32');
}

function reduction(f: 'mean' | 'sum'): Operator {
  return (call) => {
    const { tf, node, inputs } = call;
    const [x] = inputs as [Tensor];
    const given = numbers(call, 1);
    const all = x.shape.map((_, i) => i);
    const none = intAttribute(node, 'noop_with_empty_axes', 0) !== 0;
    const axes = given?.length ? given.map((axis) => wrapAxis(axis, x.rank)) : none ? [] : all;
    if (axes.length === 0) return tf.clone(x);
    const result = tf[f](x, axes, intAttribute(node, 'keepdims', 1) !== 0);
    return converted(tf, result, isInteger(x) ? 'int32' : 'float32');
  };
}

function reshape(call: Call): Tensor {
  const [x] = call.inputs as [Tensor];
  const zeroStays = intAttribute(call.node, 'allowzero', 0) === 0;
  const shape = numbers(call, 1)!.map((d, i) => (d === 0 && zeroStays ? x.shape[i] : d));
  return call.tf.reshape(x, shape);
}

function shape({ tf, node, inputs }: Call): Tensor {
  const [x] = inputs as [Tensor];
  const end = node.attributes?.end === undefined ? undefined : intAttribute(node, 'end', 0);
  const sizes = x.shape.slice(intAttribute(node, 'start', 0), end);
  return tf.tensor(Int32Array.from(sizes), [sizes.length], 'int32');
}

function slice(call: Call): Tensor {
  const { tf, inputs } = call;
  const [x] = inputs as [Tensor];
  const starts = numbers(call, 1)!;
  const ends = numbers(call, 2)!;
  const axes = numbers(call, 3) ?? starts.map((_, i) => i);
  const steps = numbers(call, 4) ?? starts.map(() => 1);
  const begin = new Array<number>(x.rank).fill(0);
  const size = [...x.shape];
  const strided: [axis: number, indices: number[]][] = [];
  axes.forEach((given, i) => {
    const axis = wrapAxis(given, x.rank);
    const { start, count } = sliceRange(starts[i], ends[i], steps[i], x.shape[axis]);
    if (steps[i] === 1) {
      begin[axis] = start;
      size[axis] = count;
    } else {
      strided.push([axis, Array.from({ length: count }, (_, k) => start + k * steps[i])]);
    }
  });
  const part = tf.slice(x, begin, size);
  return strided.reduce((result, [axis, indices]) => pick(tf, result, axis, indices), part);
}

function softmax({ tf, node, inputs }: Call): Tensor {
  const [x] = inputs as [Tensor];
  const axis = wrapAxis(intAttribute(node, 'axis', -1), x.rank);
  const raised = tf.exp(tf.sub(x, tf.max(x, axis, true)));
  return tf.div(raised, tf.sum(raised, axis, true));
}

function split(call: Call): Tensor[] {
  const { tf, node, inputs } = call;
  const [x] = inputs as [Tensor];
  const axis = wrapAxis(intAttribute(node, 'axis', 0), x.rank);
  const parts = node.outputs.length;
  const even = Math.ceil(x.shape[axis] / parts);
  const sizes =
    numbers(call, 1) ?? node.outputs.map((_, i) => Math.max(0, Math.min(even, x.shape[axis] - i * even)));
  let start = 0;
  return sizes.map((size) => {
    const begin = x.shape.map((_, i) => (i === axis ? start : 0));
    start += size;
    return tf.slice(x, begin, x.shape.with(axis, size));
  });
}

function squeeze(call: Call): Tensor {
  const [x] = call.inputs as [Tensor];
  const axes = numbers(call, 1)?.map((axis) => wrapAxis(axis, x.rank));
  return call.tf.reshape(
    x,
    x.shape.filter((size, i) => (axes ? !axes.includes(i) : size !== 1)),
  );
}

function unsqueeze(call: Call): Tensor {
  const [x] = call.inputs as [Tensor];
  const given = numbers(call, 1)!;
  const rank = x.rank + given.length;
  const axes = given.map((axis) => wrapAxis(axis, rank));
  const rest = [...x.shape];
  return call.tf.reshape(
    x,
    Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : rest.shift()!)),
  );
}

export const table: Readonly<Record<OpName, Operator>> = {
  Abs: elementwise((tf, x) => tf.abs(x)),
  Add: folded((tf, a, b) => tf.add(a, b)),
  Cast: cast,
  Clip: clip,
  Concat: ({ tf, node, inputs }) =>
    inputs.length === 1
      ? tf.clone(inputs[0]!)
      : tf.concat(inputs as Tensor[], wrapAxis(intAttribute(node, 'axis', 0), inputs[0]!.rank)),
  Conv: convolution,
  ConvTranspose: transposedConvolution,
  Cos: elementwise((tf, x) => tf.cos(x)),
  DepthToSpace: depthToSpace,
  Div: folded(divide),
  Elu: ({ tf, node, inputs: [x] }) =>
    tf.add(positive(tf, x!), tf.mul(decay(tf, x!), floatAttribute(node, 'alpha', 1))),
  Erf: elementwise((tf, x) => tf.erf(x)),
  Exp: elementwise((tf, x) => tf.exp(x)),
  Expand: (call) =>
    call.tf.broadcastTo(call.inputs[0]!, broadcast(call.inputs[0]!.shape, numbers(call, 1)!) as number[]),
  Flatten: ({ tf, node, inputs: [x] }) => {
    const axis = intAttribute(node, 'axis', 1);
    const rows = x!.shape.slice(0, axis).reduce((a, b) => a * b, 1);
    return tf.reshape(x!, [rows, x!.size / rows]);
  },
  Floor: elementwise((tf, x) => tf.floor(x)),
  Gather: gather,
  Gelu: gelu,
  Gemm: gemm,
  HardSigmoid: ({ tf, node, inputs: [x] }) =>
    hardSigmoid(tf, x!, floatAttribute(node, 'alpha', 0.2), floatAttribute(node, 'beta', 0.5)),
  HardSwish: elementwise((tf, x) => tf.mul(x, hardSigmoid(tf, x, 1 / 6, 0.5))),
  Identity: elementwise((tf, x) => tf.clone(x)),
  InstanceNormalization: instanceNormalization,
  LayerNormalization: layerNormalization,
  LeakyRelu: ({ tf, node, inputs: [x] }) =>
    tf.add(tf.maximum(x!, 0), tf.mul(tf.minimum(x!, 0), floatAttribute(node, 'alpha', 0.01))),
  Log: elementwise((tf, x) => tf.log(x)),
  MatMul: matMul,
  Max: folded((tf, a, b) => tf.maximum(a, b)),
  Min: folded((tf, a, b) => tf.minimum(a, b)),
  Mul: folded((tf, a, b) => tf.mul(a, b)),
  Neg: elementwise((tf, x) => tf.neg(x)),
  Pad: pad,
  Pow: power,
  Range: range,
  Reciprocal: elementwise((tf, x) => tf.reciprocal(x)),
  ReduceMean: reduction('mean'),
  ReduceSum: reduction('sum'),
  Relu: elementwise((tf, x) => tf.relu(x)),
  Reshape: reshape,
  Resize: resize,
  Selu: ({ tf, node, inputs: [x] }) => {
    const alpha = floatAttribute(node, 'alpha', 1.67326319217681884765625);
    const gamma = floatAttribute(node, 'gamma', 1.05070102214813232421875);
    return tf.mul(tf.add(positive(tf, x!), tf.mul(decay(tf, x!), alpha)), gamma);
  },
  Shape: shape,
  Sigmoid: elementwise((tf, x) => tf.sigmoid(x)),
  Sin: elementwise((tf, x) => tf.sin(x)),
  Slice: slice,
  Softmax: softmax,
  Softplus: elementwise((tf, x) => tf.softplus(x)),
  Split: split,
  Sqrt: elementwise((tf, x) => tf.sqrt(x)),
  Squeeze: squeeze,
  Sub: folded((tf, a, b) => tf.sub(a, b)),
  Tanh: elementwise((tf, x) => tf.tanh(x)),
  Transpose: ({ tf, node, inputs: [x] }) => {
    const reversed = x!.shape.map((_, i) => x!.rank - 1 - i);
    return tf.transpose(x!, [...intsAttribute(node, 'perm', reversed)]);
  },
  Unsqueeze: unsqueeze,
  Where: ({ tf, inputs }) => {
    const [condition, a, b] = inputs as [Tensor, Tensor, Tensor];
    return tf.where(condition.dtype === 'bool' ? condition : tf.notEqual(condition, 0), a, b);
  },
};
