import { memory } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import path from 'node:path';
import { tensorflowEngine } from '../../../src/engine/tensorflow';
import { runTiles } from '../../../src/engine/tiles';
import { CancelledError, UserError, type CancelToken } from '../../../src/errors';
import { GraphBuilder } from '../../../src/graph/build';
import { Service } from '../../../src/worker/service';
import { traceFile } from '../../support';

const engine = await tensorflowEngine();

/** sin(3·(W·x + b)) with its pre-activation. */
function sineLayer() {
  const b = new GraphBuilder();
  const x = b.input('coords', [2, 'P']);
  const z = b.linear(x, Float32Array.of(1, -2, 0.5, 0, 0.25, 1), Float32Array.of(0.1, 0, -1), 3, 2);
  const y = b.op('Sin', [b.scale(z, 3)]);
  return { graph: b.build(y), z, y };
}
const one = new Map([['coords', { shape: [2, 1], data: Float32Array.of(1, 2) }]]);

describe('TensorFlow.js engine', () => {
  it('says what runs', () => expect(engine.name).toMatch(/^tensorflow\.js \d+\.\d+\.\d+ \(wasm(, SIMD)?\)$/));

  it('returns the outputs asked for, inputs included, or writes them where told', async () => {
    const { graph, z, y } = sineLayer();
    const session = await engine.load(graph, [y, z, 'coords']);
    const fresh = await session.run(one);
    expect([...fresh.keys()]).toEqual([y, z, 'coords']);
    expect(fresh.get(z)!.shape).toEqual([3, 1]);
    [-2.9, 0.5, 1.25].forEach((value, i) => {
      expect(fresh.get(z)!.data[i]).toBeCloseTo(value, 6);
      expect(fresh.get(y)!.data[i]).toBeCloseTo(Math.sin(3 * value), 6);
    });
    expect([...fresh.get('coords')!.data]).toEqual([1, 2]);

    const room = new Float32Array(10);
    const into = new Map([
      [y, { shape: [3, 1], data: room.subarray(1, 4) }],
      [z, { shape: [3, 1], data: room.subarray(4, 7) }],
      ['coords', { shape: [2, 1], data: room.subarray(7, 9) }],
    ]);
    const written = await session.run(one, into);
    expect(written.get(y)!.data).toBe(into.get(y)!.data);
    expect([...room]).toEqual([0, ...fresh.get(y)!.data, ...fresh.get(z)!.data, 1, 2, 0]);
    await session.release();
  });

  it('leaves no tensor behind: not after a run, an error, nor a whole trace', async () => {
    const before = memory().numTensors;
    const { graph, y } = sineLayer();
    const session = await engine.load(graph, [y]);
    const loaded = memory().numTensors;
    for (let i = 0; i < 3; i++) await session.run(one);
    expect(memory().numTensors).toBe(loaded);
    const wrong = new Map([['coords', { shape: [3, 1], data: new Float32Array(3) }]]);
    await expect(session.run(wrong)).rejects.toThrow();
    expect(memory().numTensors).toBe(loaded);
    await session.run(one);
    await session.release();
    await session.release();
    expect(memory().numTensors).toBe(before);

    const service = new Service();
    service.engines.choice = 'tensorflow';
    const root = path.resolve(import.meta.dirname, '../../..');
    for (const name of ['siren-coin.pt', 'wire.pt']) {
      const traced = await traceFile(service, path.join(root, 'test/fixtures/inr', name), { size: '12x20' });
      expect(traced.engine).toBe(engine.name);
      await service.call('close', { trace: 'test' }, () => {}, { cancelled: false, throwIfCancelled() {} });
      expect(memory().numTensors).toBe(before);
    }
  });

  it('keeps the weights of convolutions in order for later runs', async () => {
    const b = new GraphBuilder();
    const x = b.input('x', [1, 1, 3, 3]);
    const weight = { shape: [1, 1, 1, 2], data: Float32Array.of(1, 10) };
    const graph = b.build(b.conv2d(x, weight, Float32Array.of(0.5)));
    const before = memory().numTensors;
    const session = await engine.load(graph, [graph.output]);
    const feed = (start: number) => ({
      shape: [1, 1, 3, 3],
      data: Float32Array.from({ length: 9 }, (_, i) => start + i),
    });
    const run = async (start: number) => [
      ...(await session.run(new Map([['x', feed(start)]]))).get(graph.output)!.data,
    ];
    expect(await run(0)).toEqual([10.5, 21.5, 43.5, 54.5, 76.5, 87.5]);
    const kept = memory().numTensors;
    expect(await run(1)).toEqual([21.5, 32.5, 54.5, 65.5, 87.5, 98.5]);
    expect(memory().numTensors).toBe(kept);
    await session.release();
    expect(memory().numTensors).toBe(before);
  });

  it('says what only onnxruntime runs', async () => {
    const b = new GraphBuilder();
    const scales = b.constant(Float32Array.of(1, 1, 0.5, 0.5), [4]);
    const x = b.input('x', [1, 1, 4, 4]);
    const graph = b.build(b.op('Resize', [x, '', scales], { mode: 'linear', antialias: { int: 1 } }));
    const session = await engine.load(graph, [graph.output]);
    const feeds = new Map([['x', { shape: [1, 1, 4, 4], data: new Float32Array(16) }]]);
    await expect(session.run(feeds)).rejects.toThrow(UserError);
    await expect(session.run(feeds)).rejects.toThrow(/Resize .* trace it with onnxruntime\.$/);
    await session.release();
  });

  it('runs in tiles and stops between them when cancelled', async () => {
    const { graph, y } = sineLayer();
    const session = await engine.load(graph, [y]);
    const pixels = 9001;
    const fill = (out: Float32Array, start: number, end: number) => {
      const count = end - start;
      for (let p = 0; p < count; p++) [out[p], out[count + p]] = [(start + p) / pixels, 1];
    };
    const whole = new Float32Array(2 * pixels);
    fill(whole, 0, pixels);
    const expected = (await session.run(new Map([['coords', { shape: [2, pixels], data: whole }]]))).get(y)!;
    const actual = new Float32Array(3 * pixels);
    await runTiles({
      session,
      graph,
      pixels,
      fill,
      onTile: (start, end, outputs) => {
        const rows = outputs.get(y)!.data;
        for (let row = 0; row < 3; row++) {
          actual.set(rows.subarray(row * (end - start), (row + 1) * (end - start)), row * pixels + start);
        }
      },
    });
    expect(actual).toEqual(expected.data);

    let tiles = 0;
    // Only the event loop sets it, as a signal of the person would: a run gives it its turn.
    let asked = false;
    const cancel: CancelToken = {
      get cancelled() {
        return asked;
      },
      throwIfCancelled() {
        if (asked) throw new CancelledError();
      },
    };
    const onTile = () => {
      tiles++;
      setImmediate(() => (asked = true));
    };
    await expect(runTiles({ session, graph, pixels, fill, onTile, cancel })).rejects.toThrow(CancelledError);
    expect(tiles).toBeLessThan(4);
    await session.release();
  });
});
