/**
 * Every operator of our graphs, in each of its variants, on TensorFlow.js against onnxruntime. Tolerance
 * 2e-6 of 1 + |value|, some float32 roundings; where an operator states more, its kernel is an approximation.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/types';
import { GraphBuilder } from '../../src/graph/build';
import { operators, type Attribute, type OpName } from '../../src/graph/types';
import { difference, engines, random, runOn } from './engines';

const tolerance = 2e-6;

interface Case {
  readonly name: string;
  readonly op: OpName;
  /** Of the float input `x`, and its values' range. */
  readonly shape: readonly number[];
  readonly range?: readonly [number, number];
  readonly tolerance?: number;
  /** Values to compare, all float. */
  readonly write: (b: GraphBuilder, x: string) => string | string[];
}

const int = (value: number) => ({ int: value });
const ints = (...values: number[]) => ({ ints: values });

/** Numbers that are the same in every run. */
const weights = (seed: number, ...shape: number[]) => {
  const next = random(seed);
  const size = shape.reduce((a, b) => a * b, 1);
  return { shape, data: Float32Array.from({ length: size }, () => 2 * next() - 1) };
};
const constant = (b: GraphBuilder, seed: number, ...shape: number[]) => {
  const { data } = weights(seed, ...shape);
  return b.constant(data, shape);
};

const cases: Case[] = [];
const add = (
  op: OpName,
  name: string,
  shape: readonly number[],
  write: Case['write'],
  more: Pick<Case, 'range' | 'tolerance'> = {},
) => cases.push({ op, name: `${op}: ${name}`, shape, write, ...more });
/** One float input, nothing else. */
const unary = (
  op: OpName,
  more: Pick<Case, 'range' | 'tolerance'> = {},
  attributes?: Record<string, Attribute>,
) => add(op, JSON.stringify(attributes ?? {}), [3, 37], (b, x) => b.op(op, [x], attributes), more);

for (const op of ['Abs', 'Elu', 'Exp', 'Floor', 'HardSigmoid', 'HardSwish', 'Identity'] as const) unary(op);
for (const op of ['LeakyRelu', 'Neg', 'Relu', 'Selu', 'Sigmoid', 'Softplus', 'Tanh'] as const) unary(op);
unary('Sigmoid', { range: [-90, 90] });
unary('Softplus', { range: [-90, 90] });
unary('Tanh', { range: [-90, 90] });
for (const op of ['Sin', 'Cos'] as const) unary(op, { range: [-300, 300] });
unary('Log', { range: [1e-6, 50] });
unary('Sqrt', { range: [0, 50] });
unary('Reciprocal', { range: [0.1, 5] });
unary('Erf');
unary('Gelu', { range: [-6, 6] });
unary('Gelu', { range: [-6, 6] }, { approximate: 'tanh' });
unary('Elu', {}, { alpha: 0.3 });
unary('HardSigmoid', {}, { alpha: 0.7, beta: 0.1 });
unary('LeakyRelu', {}, { alpha: 0.2 });
unary('Selu', {}, { alpha: 2, gamma: 0.5 });

for (const op of ['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min'] as const) {
  add(op, 'equal shapes', [3, 5], (b, x) => b.op(op, [x, constant(b, 1, 3, 5)]));
  add(op, 'a column and a row', [3, 1], (b, x) => b.op(op, [x, constant(b, 2, 4)]));
  add(op, 'a scalar', [2, 3, 4], (b, x) => b.op(op, [b.scalar(0.7), x]));
}
for (const op of ['Max', 'Min'] as const) {
  add(op, 'three inputs', [3, 5], (b, x) => b.op(op, [x, constant(b, 1, 3, 5), b.scalar(0.1)]));
  add(op, 'one input', [3, 5], (b, x) => b.op(op, [x]));
}
add('Pow', 'square', [3, 5], (b, x) => b.op('Pow', [x, b.scalar(2)]));
add('Pow', 'root', [3, 5], (b, x) => b.op('Pow', [x, b.scalar(0.5)]), { range: [0, 4] });
add('Pow', 'an integer exponent', [3, 5], (b, x) => b.op('Pow', [x, b.integers([3])]));
add('Clip', 'both', [3, 5], (b, x) => b.op('Clip', [x, b.scalar(-0.5), b.scalar(0.5)]));
add('Clip', 'low', [3, 5], (b, x) => b.op('Clip', [x, b.scalar(-0.5)]));
add('Clip', 'high', [3, 5], (b, x) => b.op('Clip', [x, '', b.scalar(0.5)]));

/** A value that came through integers is compared as float. */
const asFloat = (b: GraphBuilder, x: string) => b.op('Cast', [x], { to: int(1) });
const asInt = (b: GraphBuilder, x: string) => b.op('Cast', [x], { to: int(7) });
add('Cast', 'float to integer and back', [3, 5], (b, x) => asFloat(b, asInt(b, x)), { range: [-9, 9] });
add('Cast', 'to bool', [3, 5], (b, x) => asFloat(b, b.op('Cast', [b.op('Relu', [x])], { to: int(9) })));
add('Where', 'by sign', [3, 5], (b, x) => {
  const positive = b.op('Cast', [b.op('Relu', [x])], { to: int(9) });
  return b.op('Where', [positive, x, constant(b, 3, 1, 5)]);
});
add('Div', 'integers', [4, 4], (b, x) => asFloat(b, b.op('Div', [asInt(b, x), b.integers([3, -3, 2, 5])])), {
  range: [-20, 20],
});

for (const axis of [0, 1, -1]) {
  add('Concat', `axis ${axis}`, [2, 3], (b, x) =>
    b.op('Concat', [x, constant(b, 4, 2, 3)], { axis: int(axis) }),
  );
  add('Softmax', `axis ${axis}`, [3, 7], (b, x) => b.op('Softmax', [x], { axis: int(axis) }));
}
add('Concat', 'one', [2, 3], (b, x) => b.op('Concat', [x], { axis: int(0) }));
add('Expand', 'both ways', [3, 1], (b, x) => b.op('Expand', [x, b.integers([2, 1, 4])]));
add('Expand', 'smaller', [3, 4], (b, x) => b.op('Expand', [x, b.integers([1, 4])]));
for (const axis of [0, 1, 2]) {
  add('Flatten', `axis ${axis}`, [2, 3, 4], (b, x) => b.op('Flatten', [x], { axis: int(axis) }));
}
add('Gather', 'rows', [5, 3], (b, x) => b.gatherRows(x, [4, 0, -2, 0]));
add('Gather', 'columns by a matrix', [2, 5], (b, x) =>
  b.op('Gather', [x, b.constant(BigInt64Array.of(0n, 4n, -1n, 2n), [2, 2])], { axis: int(1) }),
);
add('Gather', 'by a number', [4, 3], (b, x) => b.op('Gather', [x, b.constant(BigInt64Array.of(2n), [])]));
add('Reshape', 'with 0 and −1', [2, 3, 4], (b, x) => b.reshape(x, [0, -1]));
add('Shape', 'whole', [2, 3], (b, x) => asFloat(b, b.op('Shape', [x])));
add('Shape', 'part', [2, 3, 4], (b, x) => asFloat(b, b.op('Shape', [x], { start: int(1), end: int(-1) })));
add('Range', 'integers', [2, 3], (b, x) => {
  const size = b.op('Gather', [b.op('Shape', [x]), b.constant(BigInt64Array.of(1n), [])]);
  const [zero, two] = [0n, 2n].map((n) => b.constant(BigInt64Array.of(n), []));
  return asFloat(b, b.op('Range', [zero, b.op('Mul', [size, two]), two]));
});
add('Range', 'floats', [1], (b) => b.op('Range', [b.scalar(1), b.scalar(-1), b.scalar(-0.25)]));
add('Slice', 'part', [4, 6], (b, x) => b.slice(x, 1, 1, -2));
add('Slice', 'to the end', [4, 6], (b, x) => b.slice(x, -1, 3, Number.MAX_SAFE_INTEGER));
add('Slice', 'backwards by two', [2, 7], (b, x) =>
  b.op('Slice', [x, b.integers([-1]), b.integers([-100]), b.integers([1]), b.integers([-2])]),
);
add('Slice', 'default axes', [4, 6], (b, x) => b.op('Slice', [x, b.integers([1, 2]), b.integers([3, 9])]));
add('Split', 'even', [3, 8], (b, x) => b.ops('Split', [x], 2, { axis: int(1), num_outputs: int(2) }));
add('Split', 'uneven', [7, 2], (b, x) => b.ops('Split', [x], 3, { axis: int(0), num_outputs: int(3) }));
add('Split', 'given', [2, 8], (b, x) => b.ops('Split', [x, b.integers([5, 1, 2])], 3, { axis: int(-1) }));
add('Squeeze', 'given', [1, 3, 1], (b, x) => b.op('Squeeze', [x, b.integers([-1])]));
add('Squeeze', 'all', [1, 3, 1], (b, x) => b.op('Squeeze', [x]));
add('Unsqueeze', 'two', [3, 4], (b, x) => b.op('Unsqueeze', [x, b.integers([0, -1])]));
add('Transpose', 'reversed', [2, 3, 4], (b, x) => b.op('Transpose', [x]));
for (const perm of [
  [1, 0],
  [2, 0, 1],
  [0, 3, 1, 2],
  [0, 2, 1, 4, 3],
  [5, 3, 1, 0, 2, 4],
]) {
  const shape = [2, 3, 4, 2, 3, 2].slice(0, perm.length);
  add('Transpose', perm.join(), shape, (b, x) => b.op('Transpose', [x], { perm: ints(...perm) }));
}
for (const op of ['ReduceMean', 'ReduceSum'] as const) {
  add(op, 'all', [2, 3, 4], (b, x) => b.op(op, [x]));
  add(op, 'some', [2, 3, 4], (b, x) => b.op(op, [x, b.integers([0, -1])]));
  add(op, 'and drops them', [2, 3, 4], (b, x) => b.op(op, [x, b.integers([1])], { keepdims: int(0) }));
  add(op, 'none', [2, 3], (b, x) => b.op(op, [x, b.integers([])], { noop_with_empty_axes: int(1) }));
}

add('MatMul', 'matrices', [6, 9], (b, x) => b.op('MatMul', [constant(b, 5, 4, 6), x]));
add('MatMul', 'one row', [6, 1], (b, x) => b.op('MatMul', [constant(b, 5, 1, 6), x]));
add('MatMul', 'a batch with one matrix', [3, 4, 5], (b, x) => b.op('MatMul', [x, constant(b, 6, 5, 2)]));
add('MatMul', 'batches', [2, 1, 4, 5], (b, x) => b.op('MatMul', [x, constant(b, 7, 3, 5, 2)]));
add('MatMul', 'a large sum', [700, 20], (b, x) => b.op('MatMul', [constant(b, 8, 30, 700), x]), {
  // Sums of 700 products in another order.
  tolerance: 2e-5,
});
for (const [transA, transB] of [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
]) {
  add('Gemm', `transposed ${transA} ${transB}`, transA ? [5, 3] : [3, 5], (b, x) => {
    const weight = transB ? constant(b, 9, 4, 5) : constant(b, 9, 5, 4);
    const attributes = { transA: int(transA), transB: int(transB), alpha: 0.5, beta: 2 };
    return b.op('Gemm', [x, weight, constant(b, 10, 4)], attributes);
  });
}
add('Gemm', 'without C', [3, 5], (b, x) => b.op('Gemm', [x, constant(b, 9, 5, 4)]));

const conv = (
  op: 'Conv' | 'ConvTranspose',
  name: string,
  shape: number[],
  weight: number[],
  attributes: Record<string, Attribute>,
  bias = 0,
) =>
  add(op, name, shape, (b, x) =>
    b.op(op, [x, constant(b, 11, ...weight), ...(bias ? [constant(b, 12, bias)] : [])], attributes),
  );
conv('Conv', 'plain', [1, 3, 6, 7], [4, 3, 3, 3], {}, 4);
conv('Conv', 'padded on one side', [1, 3, 6, 7], [4, 3, 3, 2], { pads: ints(1, 0, 2, 1) });
conv('Conv', 'strided', [2, 3, 9, 8], [4, 3, 3, 3], { strides: ints(2, 3), pads: ints(1, 1, 1, 1) });
conv('Conv', 'dilated', [1, 2, 9, 9], [3, 2, 3, 3], { dilations: ints(2, 3) });
conv(
  'Conv',
  'strided and dilated',
  [1, 2, 9, 9],
  [3, 2, 3, 3],
  { strides: ints(2, 2), dilations: ints(2, 1) },
  3,
);
conv('Conv', 'groups', [1, 4, 5, 5], [6, 2, 3, 3], { group: int(2), pads: ints(1, 1, 1, 1) }, 6);
conv('Conv', 'depthwise', [1, 4, 5, 6], [4, 1, 3, 3], { group: int(4), pads: ints(1, 1, 1, 1) }, 4);
conv('Conv', 'depthwise, two outputs a channel', [1, 3, 5, 6], [6, 1, 3, 3], { group: int(3) });
conv('Conv', 'one channel, one group', [1, 1, 5, 6], [2, 1, 3, 3], { group: int(1) });
conv('Conv', 'one by one', [1, 5, 4, 4], [7, 5, 1, 1], {}, 7);
conv('Conv', 'signal', [1, 3, 11], [4, 3, 5], { pads: ints(2, 2), strides: ints(2) }, 4);
conv('ConvTranspose', 'plain', [1, 3, 4, 5], [3, 2, 3, 3], {}, 2);
conv(
  'ConvTranspose',
  'doubles',
  [1, 3, 4, 5],
  [3, 2, 4, 4],
  { strides: ints(2, 2), pads: ints(1, 1, 1, 1) },
  2,
);
conv('ConvTranspose', 'with more at the end', [1, 3, 4, 5], [3, 2, 3, 3], {
  strides: ints(2, 3),
  output_padding: ints(1, 2),
  pads: ints(1, 0, 0, 1),
});
conv('ConvTranspose', 'dilated', [1, 2, 4, 4], [2, 3, 3, 3], { dilations: ints(2, 2) });
conv('ConvTranspose', 'groups', [1, 4, 3, 3], [4, 3, 2, 2], { group: int(2), strides: ints(2, 2) }, 6);
conv('ConvTranspose', 'depthwise', [1, 3, 3, 3], [3, 1, 2, 2], { group: int(3), strides: ints(2, 2) }, 3);
conv('ConvTranspose', 'one by one, all padding', [1, 2, 4, 4], [2, 2, 1, 1], { pads: ints(1, 1, 1, 1) });
conv('ConvTranspose', 'signal', [1, 3, 5], [3, 2, 4], { strides: ints(2), pads: ints(1, 1) }, 2);

for (const mode of ['CRD', 'DCR']) {
  add('DepthToSpace', mode, [2, 18, 2, 3], (b, x) => b.op('DepthToSpace', [x], { blocksize: int(3), mode }));
}
add('InstanceNormalization', 'channels', [2, 3, 4, 5], (b, x) =>
  b.op('InstanceNormalization', [x, constant(b, 13, 3), constant(b, 14, 3)], { epsilon: 1e-3 }),
);
for (const axis of [-1, 1]) {
  add('LayerNormalization', `axis ${axis}`, [2, 3, 4], (b, x) => {
    const shape = axis === -1 ? [4] : [3, 4];
    return b.op('LayerNormalization', [x, constant(b, 15, ...shape), constant(b, 16, ...shape)], {
      axis: int(axis),
      epsilon: 1e-3,
    });
  });
}
add('LayerNormalization', 'without bias', [2, 8], (b, x) =>
  b.op('LayerNormalization', [x, constant(b, 15, 8)]),
);

for (const mode of ['constant', 'reflect', 'edge', 'wrap']) {
  add('Pad', mode, [2, 4, 5], (b, x) => b.op('Pad', [x, b.integers([0, 1, 3, 0, 2, 0])], { mode }));
}
add('Pad', 'value', [3, 4], (b, x) => b.op('Pad', [x, b.integers([1, 0, 0, 2]), b.scalar(7)]));
add('Pad', 'crops', [4, 5], (b, x) => b.op('Pad', [x, b.integers([-1, 0, 1, -2])]));
add('Pad', 'axes', [2, 3, 4], (b, x) => b.op('Pad', [x, b.integers([1, 2]), '', b.integers([-1])]));

const resizes = [
  ['half_pixel', 'linear'],
  ['pytorch_half_pixel', 'linear'],
  ['align_corners', 'linear'],
  ['asymmetric', 'linear'],
  ['half_pixel', 'cubic'],
  ['align_corners', 'cubic'],
  ['half_pixel', 'nearest'],
  ['asymmetric', 'nearest'],
] as const;
for (const [how, mode] of resizes) {
  for (const factors of [
    [2, 3],
    [1.7, 0.6],
    [1, 2.5],
  ]) {
    const write: Case['write'] = (b, x) => {
      const scales = b.constant(Float32Array.of(1, 1, ...factors), [4]);
      return b.op('Resize', [x, '', scales], { mode, coordinate_transformation_mode: how });
    };
    // Cubic weights add up the roundings of sixteen values.
    const more = mode === 'cubic' ? { tolerance: 1e-5 } : {};
    add('Resize', `${mode}, ${how}, ${factors.join()}`, [1, 2, 5, 4], write, more);
  }
}
for (const nearest_mode of ['floor', 'ceil', 'round_prefer_floor', 'round_prefer_ceil']) {
  add('Resize', `nearest, ${nearest_mode}`, [1, 2, 5, 4], (b, x) => {
    const scales = b.constant(Float32Array.of(1, 1, 2, 1.5), [4]);
    return b.op('Resize', [x, '', scales], { mode: 'nearest', nearest_mode });
  });
}
add('Resize', 'to a size', [1, 2, 5, 4], (b, x) =>
  b.op('Resize', [x, '', '', b.integers([1, 2, 8, 3])], { mode: 'linear' }),
);
add('Resize', 'cubic, inside only', [1, 1, 5, 4], (b, x) => {
  const scales = b.constant(Float32Array.of(1, 1, 2, 2), [4]);
  return b.op('Resize', [x, '', scales], { mode: 'cubic', exclude_outside: int(1), cubic_coeff_a: -0.5 });
});

describe('operators of TensorFlow.js', () => {
  let onnxruntime: Engine;
  let tensorflow: Engine;
  beforeAll(async () => {
    ({ onnxruntime, tensorflow } = await engines());
  });

  it('are all compared', () => {
    expect(new Set(cases.map(({ op }) => op))).toEqual(new Set(operators));
  });

  it.each(cases.map((c) => [c.name, c] as const))('%s', async (_, c) => {
    const b = new GraphBuilder();
    const written = c.write(b, b.input('x', c.shape));
    const outputs = Array.isArray(written) ? written : [written];
    const graph = b.build(outputs[0]);
    const [low, high] = c.range ?? [-3, 3];
    const next = random(99);
    const size = c.shape.reduce((x, y) => x * y, 1);
    const data = Float32Array.from({ length: size }, () => low + (high - low) * next());
    const feeds = new Map([['x', { shape: c.shape, data }]]);
    const expected = await runOn(onnxruntime, graph, outputs, feeds);
    const actual = await runOn(tensorflow, graph, outputs, feeds);
    for (const name of outputs) {
      expect(actual.get(name)!.shape).toEqual(expected.get(name)!.shape);
      expect(difference(expected.get(name)!.data, actual.get(name)!.data)).toBeLessThan(
        c.tolerance ?? tolerance,
      );
    }
  });
});
