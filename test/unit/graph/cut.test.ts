import { expect, it } from 'vitest';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { GraphBuilder } from '../../../src/graph/build';
import { upTo } from '../../../src/graph/cut';

it('keeps what values need, and what they need runs the same', async () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [2, 'P']);
  const hidden = builder.op('MatMul', [builder.constant(Float32Array.of(1, 2, 3, 4), [2, 2]), x]);
  const sine = builder.op('Sin', [hidden]);
  const whole = builder.build(builder.op('Add', [sine, builder.constant(Float32Array.of(1, 1), [2, 1])]));
  const part = upTo(whole, [hidden]);
  expect(part.nodes.map(({ op }) => op)).toEqual(['MatMul']);
  expect(part.constants.size).toBe(1);
  expect(upTo(whole, [whole.output])).toEqual(whole);
  expect(upTo(whole, [x]).nodes).toEqual([]);

  const feeds = new Map([['x', { shape: [2, 1], data: Float32Array.of(5, 6) }]]);
  const session = await onnxruntimeEngine(1).load(whole, [hidden, sine]);
  const found = await session.run(feeds);
  expect([...found.get(hidden)!.data]).toEqual([17, 39]);
  expect(found.get(sine)!.data[0]).toBeCloseTo(Math.sin(17), 5);
  await session.release();
});
