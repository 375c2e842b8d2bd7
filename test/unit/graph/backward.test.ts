/** Gradients against torch.autograd (fixtures/tracing/make_gradients.py). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { NoDerivativeError, withGradients } from '../../../src/graph/backward';
import { GraphBuilder } from '../../../src/graph/build';
import type { Graph } from '../../../src/graph/types';
import { fillCoordinates } from '../../../src/inr/coordinates';
import { inspectModel, isModel } from '../../../src/worker/model';

const fixtures = path.resolve(import.meta.dirname, '../../fixtures');
interface Case {
  x: number[];
  shape: number[];
  y: number[];
  gradient: number[];
}
const reference = JSON.parse(readFileSync(path.join(fixtures, 'tracing/gradients.json'), 'utf8')) as {
  constants: Record<string, { shape: number[]; data: number[] }>;
  operators: Record<string, Case>;
  stride: number;
  networks: Record<string, Record<string, number[]>>;
};

type Build = (graph: GraphBuilder, x: string) => string;
const constant = (graph: GraphBuilder, name: string, rows?: number) => {
  const { shape, data } = reference.constants[name];
  return rows === undefined
    ? graph.constant(Float32Array.from(data), shape)
    : graph.constant(Float32Array.from(data.slice(0, rows)), [rows]);
};
const unary =
  (op: Parameters<GraphBuilder['op']>[0], attributes?: Parameters<GraphBuilder['op']>[2]): Build =>
  (graph, x) =>
    graph.op(op, [x], attributes);

/** The same functions as in the script, written with our operators. */
const builds: Record<string, Build> = {
  ...Object.fromEntries(
    (
      [
        'Relu',
        'Selu',
        'Sigmoid',
        'Tanh',
        'Softplus',
        'Sin',
        'Cos',
        'Exp',
        'Log',
        'Sqrt',
        'Reciprocal',
      ] as const
    ).map((op) => [op, unary(op)]),
  ),
  ...Object.fromEntries((['Abs', 'Neg', 'Erf', 'Gelu', 'HardSwish'] as const).map((op) => [op, unary(op)])),
  LeakyRelu: unary('LeakyRelu', { alpha: 0.2 }),
  Elu: unary('Elu', { alpha: 0.7 }),
  GeluTanh: unary('Gelu', { approximate: 'tanh' }),
  HardSigmoid: unary('HardSigmoid', { alpha: 0.2, beta: 0.5 }),
  Clip: (g, x) => g.op('Clip', [x, g.scalar(-0.5), g.scalar(0.8)]),
  Square: (g, x) => g.op('Pow', [x, g.scalar(2)]),
  Cube: (g, x) => g.op('Pow', [x, g.scalar(3)]),
  Max: (g, x) => g.op('Max', [x, constant(g, 'line')]),
  Min: (g, x) => g.op('Min', [x, constant(g, 'line')]),
  Arithmetic: (g, x) => {
    const line = constant(g, 'line');
    const top = g.op('Sub', [g.op('Mul', [x, line]), x]);
    return g.op('Add', [g.op('Div', [top, g.op('Add', [x, g.op('Abs', [line])])]), line]);
  },
  DivBy: (g, x) => g.op('Div', [constant(g, 'line'), x]),
  Rows: (g, x) => g.op('Mul', [x, g.slice(x, 1, 1, 2)]),
  MatMul: (g, x) => g.op('MatMul', [constant(g, 'matrix'), x]),
  SelfMatMul: (g, x) => g.op('MatMul', [x, g.op('Transpose', [x], { perm: { ints: [0, 2, 1] } })]),
  ConcatGatherSlice: (g, x) => {
    const gather = (rows: number[]) => g.op('Gather', [x, g.integers(rows)], { axis: { int: 1 } });
    const flipped = gather([5, 4, 3, 2, 1, 0]);
    const odd = [[0], [6], [1], [2]].map((values) => g.integers(values));
    return g.concat([gather([2, 0, 2, 5]), g.slice(x, 1, 1, 4), g.op('Slice', [flipped, ...odd])], 1);
  },
  Split: (g, x) => {
    const [a, , c] = g.ops('Split', [x, g.integers([2, 2, 2])], 3, { axis: { int: 1 } });
    return g.op('Mul', [a, c]);
  },
  Mean: (g, x) => {
    const axes = g.integers([1]);
    const mean = g.op('ReduceMean', [x, axes]);
    const sum = g.op('Unsqueeze', [g.op('ReduceSum', [x, axes], { keepdims: { int: 0 } }), axes]);
    return g.op('Add', [g.op('Sub', [x, mean]), sum]);
  },
  Softmax: unary('Softmax', { axis: { int: 1 } }),
  LayerNorm: (g, x) =>
    g.op('LayerNormalization', [x, constant(g, 'scale', 6), constant(g, 'shift', 6)], { epsilon: 1e-5 }),
  Conv: (g, x) =>
    g.op('Conv', [x, constant(g, 'kernel')], {
      pads: { ints: [1, 1, 1, 1] },
      strides: { ints: [2, 2] },
      group: { int: 2 },
    }),
  ConvTranspose: (g, x) =>
    g.op('ConvTranspose', [x, constant(g, 'back')], {
      pads: { ints: [1, 1, 1, 1] },
      strides: { ints: [2, 2] },
    }),
  PixelShuffle: (g, x) => g.depthToSpace(x, 2),
  Nearest: (g, x) => g.resize(x, [2, 2], 'nearest'),
  Bilinear: (g, x) => g.resize(x, [2, 2], 'linear'),
  Corners: (g, x) => g.resize(x, [2, 2], 'linear', true),
  InstanceNorm: (g, x) => {
    const { scale, shift } = reference.constants;
    const normal = g.instanceNorm(x, Float32Array.from(scale.data), Float32Array.from(shift.data), 1e-5);
    return g.op('Mul', [normal, x]);
  },
  Pad: (g, x) => g.op('Pad', [x, g.integers([0, 0, 0, 1, 0, 0, 1, 2])]),
};

const engine = onnxruntimeEngine(1);

async function evaluate(
  graph: Graph,
  values: readonly string[],
  feed: Float32Array,
  shape: readonly number[],
) {
  const session = await engine.load(graph, values);
  try {
    return await session.run(new Map([[graph.inputs[0].name, { shape, data: feed }]]));
  } finally {
    await session.release();
  }
}

const closeTo = (ours: Float32Array, theirs: readonly number[]) => {
  expect(ours.length).toBe(theirs.length);
  const largest = Math.max(...theirs.map(Math.abs));
  let worst = 0;
  theirs.forEach(
    (v, i) => (worst = Math.max(worst, Number.isNaN(ours[i]) ? Infinity : Math.abs(ours[i] - v))),
  );
  expect(worst).toBeLessThanOrEqual(1e-4 * largest);
};

describe('gradients of operators equal torch.autograd', () => {
  it('has a case for each function of the script', () => {
    expect(Object.keys(builds).sort()).toEqual(Object.keys(reference.operators).sort());
  });

  it.each(Object.keys(reference.operators))('%s', async (name) => {
    const { x, shape, y, gradient } = reference.operators[name];
    const builder = new GraphBuilder();
    const input = builder.input('x', shape);
    const output = builds[name](builder, input);
    const graph = builder.build(output);
    const channels = Number(builder.shapeOf(output)[1]);
    const weights = Array.from({ length: channels }, (_, c) =>
      channels > 1 ? 0.5 + c / (channels - 1) : 0.5,
    );
    const { graph: whole, gradients } = withGradients(graph, ['x'], weights, 1);
    const found = await evaluate(whole, [output, gradients.get('x')!], Float32Array.from(x), shape);
    closeTo(found.get(output)!.data, y);
    closeTo(found.get(gradients.get('x')!)!.data, gradient);
  });
});

describe('gradients inside networks equal torch.autograd', () => {
  it.each(Object.keys(reference.networks))('%s', async (name) => {
    const index = JSON.parse(readFileSync(path.join(fixtures, 'inr/index.json'), 'utf8')) as {
      name: string;
      file: string;
      size: string;
    }[];
    const { file, size } = index.find((entry) => entry.name === name)!;
    const corrections: Record<string, string> = { size };
    if (name === 'nerv-hnerv') Object.assign(corrections, { frames: '7', embedBase: '1.15' });
    const model = inspectModel({ file: path.join(fixtures, 'inr', file), corrections });
    if (!isModel(model)) throw new Error(model.message);
    const { inr } = model;
    const { height, width, channels } = inr.signal;
    const frames = inr.domain.kind === 'frames';
    const wanted = inr.layers.flatMap(({ input, inputImaginary }) =>
      inputImaginary ? [input, inputImaginary] : [input],
    );
    const { graph, gradients } = withGradients(
      inr.graph,
      wanted,
      new Array<number>(channels).fill(1),
      frames ? 1 : 0,
    );
    const feed = frames ? Float32Array.of(3 / 7) : new Float32Array(2 * height * width);
    if (inr.domain.kind === 'pixels') {
      fillCoordinates(inr.domain.convention, height, width, 0, height * width, feed);
    }
    const found = await evaluate(graph, [...gradients.values()], feed, frames ? [1, 1] : [2, height * width]);
    let compared = 0;
    for (const { name: layer, input, inputImaginary } of inr.layers) {
      const theirs = reference.networks[name][layer.replace(/^model\./, '')];
      expect(theirs, layer).toBeDefined();
      const parts = inputImaginary ? [input, inputImaginary] : [input];
      const ours = parts.flatMap((part) => [...found.get(gradients.get(part)!)!.data]);
      closeTo(Float32Array.from(ours.filter((_, i) => i % reference.stride === 0)), theirs);
      compared++;
    }
    expect(compared).toBeGreaterThan(1);
  });
});

describe('what cannot be differentiated', () => {
  it('is named, with what to do', () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', [2, 'P']);
    const graph = builder.build(builder.op('Pow', [builder.scalar(2), x]));
    expect(() => withGradients(graph, ['x'], [1, 1], 0)).toThrow(NoDerivativeError);
    expect(() => withGradients(graph, ['x'], [1, 1], 0)).toThrow(/Pow.*use the method/);
  });

  it('gives nothing for values that the output does not depend on', () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', [2, 'P']);
    const aside = builder.op('Sin', [x]);
    const graph = builder.build(builder.op('Floor', [builder.op('Cos', [x])]));
    expect(withGradients(graph, [aside, 'x'], [1, 1], 0).gradients.size).toBe(0);
  });
});
