/** Runs one graph on both engines. */
import { onnxruntimeEngine } from '../../src/engine/onnxruntime';
import { tensorflowEngine } from '../../src/engine/tensorflow';
import type { Engine, EngineTensor } from '../../src/engine/types';
import type { Graph } from '../../src/graph/types';

export const engines = async (): Promise<{ readonly onnxruntime: Engine; readonly tensorflow: Engine }> => ({
  onnxruntime: onnxruntimeEngine(1),
  tensorflow: await tensorflowEngine(),
});

export async function runOn(
  engine: Engine,
  graph: Graph,
  outputs: readonly string[],
  feeds: ReadonlyMap<string, EngineTensor>,
): Promise<ReadonlyMap<string, EngineTensor>> {
  const session = await engine.load(graph, outputs);
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

/** Largest |a − b| / (1 + |a|): absolute for small values, relative for large; Infinity where one is NaN. */
export function difference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue;
    const d = Math.abs(a[i] - b[i]) / (1 + Math.abs(a[i]));
    largest = Number.isNaN(d) ? Infinity : Math.max(largest, d);
  }
  return largest;
}

/** A repeatable stream of numbers in [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
