/**
 * Every family's fixture on both engines: output and every traced layer's activations, over the whole
 * picture. TensorFlow.js adds products in another order and sines magnify that: 1e-4 of 1 + |value|, the
 * tolerance that PyTorch's own output is held to (test/conformance/inr).
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { toPlain } from '../../src/checkpoint/values';
import type { Engine, EngineTensor } from '../../src/engine/types';
import { fromOnnx } from '../../src/graph/fromOnnx';
import { inferShapes } from '../../src/graph/shapes';
import { fillCoordinates } from '../../src/inr/coordinates';
import { decodeModel } from '../../src/onnx/modelProto';
import { inrIn } from '../conformance/inr/run';
import { difference, engines, random, runOn } from './engines';

const folder = path.join(import.meta.dirname, '../fixtures/inr');
const tolerance = 1e-4;

interface Fixture {
  readonly name: string;
  readonly file: string;
  readonly size: string;
  readonly frame?: number;
  readonly given: Readonly<Record<string, string | number | null>>;
  readonly sidecars: Readonly<Record<string, unknown>>;
}
const fixtures = JSON.parse(readFileSync(path.join(folder, 'index.json'), 'utf8')) as Fixture[];
const networks = [
  'filters',
  'pixelwise',
  'residual-fourier',
  'residual-fourier-grid',
  'siren',
  'siren-fixed',
];

let onnxruntime: Engine;
let tensorflow: Engine;
beforeAll(async () => {
  ({ onnxruntime, tensorflow } = await engines());
});

describe('both engines agree on', () => {
  it.each(fixtures.map((fixture) => [fixture.name, fixture] as const))('%s', async (_, fixture) => {
    const given = Object.entries({ size: fixture.size, ...fixture.given })
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [name, String(value)]);
    const sidecars = Object.entries(fixture.sidecars).map(([name, values]) => ({
      path: name,
      values: toPlain(values),
    }));
    const corrections = Object.fromEntries(given) as Record<string, string>;
    const inr = inrIn(path.join(folder, fixture.file), { corrections, sidecars });
    const { graph, signal, domain, layers } = inr;
    const outputs = new Set([graph.output]);
    for (const { input, inputImaginary, preActivation } of layers) {
      for (const name of [input, inputImaginary, preActivation]) if (name) outputs.add(name);
    }
    // What is an input of the graph is no output of it.
    for (const { name } of graph.inputs) outputs.delete(name);
    await compare(graph, [...outputs], new Map([[graph.inputs[0].name, feed()]]));

    function feed(): EngineTensor {
      const pixels = signal.height * signal.width;
      if (domain.kind !== 'pixels') {
        return { shape: [1, 1], data: Float32Array.of((fixture.frame ?? 0) / domain.divisor) };
      }
      const data = new Float32Array(2 * pixels);
      fillCoordinates(domain.convention, signal.height, signal.width, 0, pixels, data);
      return { shape: [2, pixels], data };
    }
  });

  it.each(networks)('the ONNX network %s', async (name) => {
    const graph = fromOnnx(
      decodeModel(new Uint8Array(readFileSync(path.join(folder, 'onnx', `${name}.onnx`)))),
    );
    const next = random(5);
    const feeds = new Map(
      graph.inputs.map((input) => {
        const shape = input.shape.map((d) => (typeof d === 'number' ? d : 30));
        const size = shape.reduce((a, b) => a * b, 1);
        return [input.name, { shape, data: Float32Array.from({ length: size }, () => 2 * next() - 1) }];
      }),
    );
    await compare(graph, [graph.output], feeds);
    expect(inferShapes(graph).get(graph.output)).toBeDefined();
  });
});

async function compare(
  ...given: [graph: Parameters<typeof runOn>[1], outputs: string[], Parameters<typeof runOn>[3]]
) {
  const expected = await runOn(onnxruntime, ...given);
  const actual = await runOn(tensorflow, ...given);
  expect(actual.size).toBe(given[1].length);
  for (const [name, { shape, data }] of expected) {
    expect(actual.get(name)!.shape).toEqual(shape);
    expect([name, difference(data, actual.get(name)!.data)]).toSatisfy(
      ([, d]: [string, number]) => d < tolerance,
    );
  }
}
