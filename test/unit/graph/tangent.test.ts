/** Derivatives along a direction, against differences of the network's own output. */
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { GraphBuilder } from '../../../src/graph/build';
import { behind } from '../../../src/graph/cut';
import { withTangent } from '../../../src/graph/tangent';
import { FrameRunner } from '../../../src/tracing/video/runner';
import { inspectModel, isModel } from '../../../src/worker/model';

const fixtures = path.resolve(import.meta.dirname, '../../fixtures');
const engine = onnxruntimeEngine(1);

describe.each([
  'video/nerv.pt',
  'video/hnerv-mode.pt',
  'video/even.pt',
  'video/nerv-scaled.pt',
  'inr/hnerv.pt',
])('decoder %s', (file) => {
  it('changes along a channel as the network does', async () => {
    const model = inspectModel({ file: path.join(fixtures, file), corrections: {} });
    if (!isModel(model)) throw new Error(model.message);
    const { inr } = model;
    const runner = new FrameRunner(inr, engine);
    for (const { input } of inr.layers) {
      const rest = behind(inr.graph, [input]);
      const { graph, direction, fixed, base } = withTangent(rest, input)!;
      const { shape, data } = (await runner.run(1, [input])).get(input)!;
      const v = data.map((value, k) => value * Math.cos(k));
      const given = { shape, data };
      const before = fixed.length > 0 ? await engine.load(base, fixed) : undefined;
      const values = new Map([
        ...((await before?.run(new Map([[input, given]]))) ?? []),
        [input, given] as const,
        [direction, { shape, data: v }] as const,
      ]);
      const [session, plain] = [
        await engine.load(graph, [graph.output]),
        await engine.load(rest, [rest.output]),
      ];
      const feeds = new Map(graph.inputs.map(({ name }) => [name, values.get(name)!]));
      const found = (await session.run(feeds)).get(graph.output)!.data;
      const step = 1e-2;
      const at = async (sign: number) => {
        const moved = data.map((value, k) => value + sign * step * v[k]);
        return (await plain.run(new Map([[input, { shape, data: moved }]]))).get(rest.output)!.data;
      };
      const [more, less] = [await at(1), await at(-1)];
      const largest = found.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(largest).toBeGreaterThan(1e-3);
      for (const [k, value] of found.entries()) {
        expect(Math.abs(value - (more[k] - less[k]) / (2 * step))).toBeLessThan(2e-3 * largest + 2e-5);
      }
      await session.release();
      await before?.release();
      await plain.release();
    }
    runner.release();
  });
});

it('there is none where the output does not depend on the input', () => {
  const builder = new GraphBuilder();
  builder.input('x', [1, 2]);
  const graph = builder.build(builder.constant(Float32Array.of(1, 2), [1, 2]));
  expect(withTangent(graph, 'x')).toBeUndefined();
});
