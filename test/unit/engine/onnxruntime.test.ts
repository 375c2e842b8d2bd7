import { describe, expect, it } from 'vitest';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { runTiles } from '../../../src/engine/tiles';
import { CancelledError, type CancelToken } from '../../../src/errors';
import { GraphBuilder } from '../../../src/graph/build';

const engine = onnxruntimeEngine(1);

/** sin(3·(W·x + b)) with its pre-activation. */
function sineLayer() {
  const b = new GraphBuilder();
  const x = b.input('coords', [2, 'P']);
  const z = b.linear(x, Float32Array.of(1, -2, 0.5, 0, 0.25, 1), Float32Array.of(0.1, 0, -1), 3, 2);
  const y = b.op('Sin', [b.scale(z, 3)]);
  return { graph: b.build(y), z, y };
}

async function evaluate(write: (b: GraphBuilder, x: string) => string, shape: number[], data: number[]) {
  const b = new GraphBuilder();
  const graph = b.build(write(b, b.input('x', shape)));
  const session = await engine.load(graph, [graph.output]);
  const results = await session.run(new Map([['x', { shape, data: Float32Array.from(data) }]]));
  await session.release();
  return results.get(graph.output)!;
}

describe('onnxruntime engine', () => {
  it('says what runs', () => expect(engine.name).toMatch(/^onnxruntime \d+\.\d+\.\d+ \(cpu\)$/));

  it('returns an input that is asked for, also into given tensors', async () => {
    const { graph, y } = sineLayer();
    const session = await engine.load(graph, ['coords', y]);
    const alone = await engine.load(graph, ['coords']);
    for (const first of [1, 5]) {
      const feeds = new Map([['coords', { shape: [2, 2], data: Float32Array.of(first, 0, 0, 1) }]]);
      const into = new Map([
        ['coords', { shape: [2, 2], data: new Float32Array(4) }],
        [y, { shape: [3, 2], data: new Float32Array(6) }],
      ]);
      const fresh = await session.run(feeds);
      const given = await session.run(feeds, into);
      expect([...given.get('coords')!.data]).toEqual([first, 0, 0, 1]);
      expect([...fresh.get('coords')!.data]).toEqual([first, 0, 0, 1]);
      expect([...given.get(y)!.data]).toEqual([...fresh.get(y)!.data]);
      expect([...(await alone.run(feeds)).get('coords')!.data]).toEqual([first, 0, 0, 1]);
    }
    await session.release();
    await alone.release();
  });

  it('returns the network output and hidden values', async () => {
    const { graph, z, y } = sineLayer();
    const session = await engine.load(graph, [z, y]);
    const feeds = new Map([['coords', { shape: [2, 2], data: Float32Array.of(1, 0, 0, 1) }]]);
    const results = await session.run(feeds);
    const expected = [1.1, -1.9, 0.5, 0, -0.75, 0];
    expect([...results.keys()]).toEqual([z, y]);
    expect(results.get(z)!.shape).toEqual([3, 2]);
    expected.forEach((value, i) => {
      expect(results.get(z)!.data[i]).toBeCloseTo(value, 6);
      expect(results.get(y)!.data[i]).toBeCloseTo(Math.sin(3 * value), 6);
    });
    await session.release();
  });

  it('writes into the tensors it is given', async () => {
    const { graph, y } = sineLayer();
    const session = await engine.load(graph, [y]);
    const feeds = new Map([['coords', { shape: [2, 1], data: Float32Array.of(1, 2) }]]);
    const memory = new Float32Array(8);
    const into = new Map([[y, { shape: [3, 1], data: memory.subarray(2, 5) }]]);
    const fresh = await session.run(feeds);
    await session.run(feeds, into);
    expect(memory).toEqual(Float32Array.of(0, 0, ...fresh.get(y)!.data, 0, 0, 0));
    await session.release();
  });

  it('multiplies complex numbers', async () => {
    const weight = { re: Float32Array.of(2), im: Float32Array.of(3) };
    const bias = { re: Float32Array.of(0.5), im: Float32Array.of(-1) };
    const result = await evaluate(
      (b, x) => {
        const value = { re: b.slice(x, 0, 0, 1), im: b.slice(x, 0, 1, 2) };
        const { re, im } = b.complexLinear(value, weight, bias, 1, 1);
        return b.concat([re, im], 0);
      },
      [2, 1],
      [4, 5],
    );
    // (2 + 3i)(4 + 5i) + (0.5 − i)
    expect([...result.data]).toEqual([8 - 15 + 0.5, 10 + 12 - 1]);
  });

  it('evaluates the complex Gabor wavelet', async () => {
    const [re, im, omega, scale] = [0.3, -0.2, 5, 2];
    const result = await evaluate(
      (b, x) => {
        const wave = b.gabor({ re: b.slice(x, 0, 0, 1), im: b.slice(x, 0, 1, 2) }, omega, scale);
        return b.concat([wave.re, wave.im], 0);
      },
      [2, 1],
      [re, im],
    );
    const envelope = Math.exp(-omega * im - scale ** 2 * (re ** 2 + im ** 2));
    expect(result.data[0]).toBeCloseTo(envelope * Math.cos(omega * re), 5);
    expect(result.data[1]).toBeCloseTo(envelope * Math.sin(omega * re), 5);
  });

  it('shuffles channels into pixels as PixelShuffle does', async () => {
    const result = await evaluate((b, x) => b.depthToSpace(x, 2), [1, 8, 1, 1], [0, 1, 2, 3, 4, 5, 6, 7]);
    expect(result.shape).toEqual([1, 2, 2, 2]);
    expect([...result.data]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('repeats pixels when resizing to the nearest', async () => {
    const result = await evaluate((b, x) => b.resize(x, [1, 2], 'nearest'), [1, 1, 1, 2], [3, 4]);
    expect([...result.data]).toEqual([3, 3, 4, 4]);
  });

  it('normalises each pixel over its features', async () => {
    const ones = Float32Array.of(1, 1);
    const result = await evaluate(
      (b, x) => b.layerNorm(x, ones, new Float32Array(2), 0),
      [2, 2],
      [1, 5, 3, 9],
    );
    expect([...result.data]).toEqual([-1, -1, 1, 1]);
  });
});

describe('runTiles', () => {
  const pixels = 10_007;
  const fill = (coordinates: Float32Array, start: number, end: number) => {
    const count = end - start;
    for (let p = 0; p < count; p++) {
      coordinates[p] = (start + p) / pixels;
      coordinates[count + p] = 1 - (start + p) / pixels;
    }
  };

  it('gives each pixel once, in order, and the same as one run', async () => {
    const { graph, y } = sineLayer();
    const session = await engine.load(graph, [y]);
    const whole = new Float32Array(2 * pixels);
    fill(whole, 0, pixels);
    const expected = (await session.run(new Map([['coords', { shape: [2, pixels], data: whole }]]))).get(y)!;

    const actual = new Float32Array(3 * pixels);
    let done = 0;
    let tiles = 0;
    const onTile = (start: number, end: number, outputs: ReadonlyMap<string, { data: Float32Array }>) => {
      expect(start).toBe(done);
      done = end;
      tiles++;
      for (let row = 0; row < 3; row++) {
        const values = outputs.get(y)!.data.subarray(row * (end - start), (row + 1) * (end - start));
        actual.set(values, row * pixels + start);
      }
    };
    await runTiles({ session, graph, pixels, fill, onTile });
    expect(done).toBe(pixels);
    expect(tiles).toBeGreaterThan(2);
    expect(actual).toEqual(expected.data);
    await session.release();
  });

  it('keeps to its memory budget', async () => {
    const { graph, y } = sineLayer();
    const session = await engine.load(graph, [y]);
    const sizes: number[] = [];
    const onTile = (start: number, end: number) => void sizes.push(end - start);
    await runTiles({ session, graph, pixels: 3000, fill, onTile, memoryBudget: 512 * 60 });
    expect(Math.max(...sizes)).toBeLessThanOrEqual(512);
    await session.release();
  });

  it('stops between tiles when cancelled', async () => {
    const { graph, y } = sineLayer();
    const session = await engine.load(graph, [y]);
    let tiles = 0;
    const cancel: CancelToken = {
      get cancelled() {
        return tiles > 0;
      },
      throwIfCancelled() {
        if (this.cancelled) throw new CancelledError();
      },
    };
    const onTile = () => void tiles++;
    await expect(runTiles({ session, graph, pixels, fill, onTile, cancel })).rejects.toThrow(CancelledError);
    expect(tiles).toBe(1);
    await session.release();
  });
});
