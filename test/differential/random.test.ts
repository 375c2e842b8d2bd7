/** Random small networks on both engines: layers, activations and encodings in any order. */
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/types';
import { GraphBuilder } from '../../src/graph/build';
import { difference, engines, random, runOn } from './engines';

/** Activations are compared too, so that a later layer cannot hide what an earlier one did wrong. */
const tolerance = 2e-5;

const layer = fc.oneof(
  fc.record({
    kind: fc.constant('linear' as const),
    neurons: fc.integer({ min: 1, max: 33 }),
    bias: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('sine' as const), omega: fc.constantFrom(1, 3, 30) }),
  fc.record({
    kind: fc.constant('unary' as const),
    op: fc.constantFrom(
      'Relu',
      'Tanh',
      'Sigmoid',
      'Softplus',
      'Elu',
      'Selu',
      'Gelu',
      'HardSwish',
      'Abs',
      'Cos',
    ),
  }),
  fc.constant({ kind: 'gaussian' as const }),
  fc.constant({ kind: 'norm' as const }),
  fc.constant({ kind: 'fourier' as const }),
  fc.constant({ kind: 'residual' as const }),
  fc.constant({ kind: 'shuffle' as const }),
  fc.constant({ kind: 'gabor' as const }),
);

type Layer = typeof layer extends fc.Arbitrary<infer T> ? T : never;

/** @returns the network and all its hidden values */
function network(layers: readonly Layer[], seed: number) {
  const next = random(seed);
  const numbers = (count: number, size = 1) =>
    Float32Array.from({ length: count }, () => size * (2 * next() - 1));
  const b = new GraphBuilder();
  let x = b.input('coords', [2, 'P']);
  const values: string[] = [];
  const rows = () => b.shapeOf(x)[0] as number;
  for (const given of layers) {
    const n = rows();
    switch (given.kind) {
      case 'linear':
        x = b.linear(
          x,
          numbers(n * given.neurons, 1 / Math.sqrt(n)),
          given.bias ? numbers(given.neurons) : null,
          given.neurons,
          n,
        );
        break;
      case 'sine':
        x = b.op('Sin', [b.scale(x, given.omega)]);
        break;
      case 'unary':
        x = b.op(given.op, [x]);
        break;
      case 'gaussian':
        x = b.op('Exp', [b.op('Neg', [b.op('Mul', [x, x])])]);
        break;
      case 'norm':
        x = b.layerNorm(x, numbers(n), numbers(n), 1e-2);
        break;
      case 'fourier':
        x = b.concat([b.op('Sin', [b.scale(x, 2)]), b.op('Cos', [b.scale(x, 2)])], 0);
        break;
      case 'residual':
        x = b.op('Add', [x, b.op('Tanh', [b.linear(x, numbers(n * n, 1 / n), numbers(n), n, n)])]);
        break;
      case 'shuffle':
        x = b.gatherRows(
          x,
          Array.from({ length: n }, (_, i) => n - 1 - i),
        );
        break;
      case 'gabor': {
        const { re, im } = b.gabor({ re: x, im: b.op('Tanh', [x]) }, 2, 1);
        x = b.op('Add', [re, im]);
        break;
      }
    }
    values.push(x);
  }
  return { graph: b.build(x), values };
}

describe('both engines', () => {
  let onnxruntime: Engine;
  let tensorflow: Engine;
  beforeAll(async () => {
    ({ onnxruntime, tensorflow } = await engines());
  });

  it('agree on random networks', async () => {
    const networks = fc.tuple(
      fc.array(layer, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 0, max: 2 ** 31 }),
      fc.integer({ min: 1, max: 70 }),
    );
    await fc.assert(
      fc.asyncProperty(networks, async ([layers, seed, pixels]) => {
        const { graph, values } = network(layers, seed);
        const next = random(seed + 1);
        const data = Float32Array.from({ length: 2 * pixels }, () => 2 * next() - 1);
        const feeds = new Map([['coords', { shape: [2, pixels], data }]]);
        const expected = await runOn(onnxruntime, graph, values, feeds);
        const actual = await runOn(tensorflow, graph, values, feeds);
        // A sine of frequency 30 magnifies what came before it thirtyfold.
        const sharp = layers.reduce((product, l) => product * (l.kind === 'sine' ? l.omega : 1), 1);
        for (const name of values) {
          expect(actual.get(name)!.shape).toEqual(expected.get(name)!.shape);
          expect(difference(expected.get(name)!.data, actual.get(name)!.data)).toBeLessThan(
            tolerance * sharp,
          );
        }
      }),
      { numRuns: 150 },
    );
  });
});
