/** The threads that share a trace, bundled as the extension has them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../bundle';
import { CancelledError, neverCancelled, type CancelToken } from '../../../src/errors';
import type { TraceEvent } from '../../../src/worker/protocol';
import { Pool } from '../../../src/worker/pool';
import { Service } from '../../../src/worker/service';

const root = path.resolve(import.meta.dirname, '../../..');
// Inside the project, so that the bundle finds onnxruntime-node.
mkdirSync(path.join(root, 'test-results'), { recursive: true });
const folder = mkdtempSync(path.join(root, 'test-results', 'pool-'));
const script = path.join(folder, 'tiles.js');
const siren = path.join(root, 'test/fixtures/inr/siren-notebook.pt');
const decoder = path.join(root, 'test/fixtures/video/nerv.pt');
const wire = path.join(root, 'test/fixtures/inr/wire.pt');

beforeAll(() => bundle(folder, ['tiles']));
afterAll(() => rmSync(folder, { recursive: true }));

const pools: Pool[] = [];
/** @param smallestRound any, so that the fixtures' few kernels are shared, too */
const pool = (size: number, smallestRound = 0) => {
  const created = new Pool(script, size, smallestRound);
  pools.push(created);
  return created;
};
afterEach(async () => {
  for (const one of pools.splice(0)) await one.dispose();
});

async function traced(
  service: Service,
  file: string,
  corrections: Readonly<Record<string, string>> = {},
  { cancel = neverCancelled, emit = (_: TraceEvent) => {} } = {},
) {
  const options = { file, corrections, method: 'xinc', memoryBudget: 2 ** 30 } as const;
  const result = await service.call('trace', { trace: 'a', options }, emit, cancel);
  if ('notAnInr' in result) throw new Error(result.notAnInr.message);
  return result;
}

describe('a trace shared by threads', () => {
  it.each([
    ['real weights', siren, { size: '120x170' }],
    ['complex weights', wire, { size: '150x130' }],
    ['kernels of a video', decoder, {}],
  ])('gives what one thread gives: %s', async (_, file, corrections) => {
    const [alone, shared] = [new Service(), new Service(pool(3))];
    const [a, b] = [await traced(alone, file, corrections), await traced(shared, file, corrections)];
    expect(b.psnr).toEqual(a.psnr);
    for (const [index, { statistics, previews, neuronsPerPixel }] of a.layers.entries()) {
      const other = b.layers[index];
      // Sums are added up in another order.
      for (const key of ['total', 'signedMean', 'mean'] as const) {
        const scale = Math.max(...statistics[key].map(Math.abs));
        statistics[key].forEach((value, i) =>
          expect(Math.abs(other.statistics[key][i] - value)).toBeLessThan(1e-6 * scale),
        );
      }
      expect(other.statistics.max).toEqual(statistics.max);
      expect(other.neuronsPerPixel).toEqual(neuronsPerPixel);
      previews.data.forEach((value, k) => {
        if (Math.abs(other.previews.data[k] - value) > 1) throw new Error(`preview ${index} differs at ${k}`);
      });
      const map = { trace: 'a', neuron: { layer: index, neuron: 1 } };
      const [x, y] = [
        await alone.call('map', map, () => {}, neverCancelled),
        await shared.call('map', map, () => {}, neverCancelled),
      ];
      const limit = Math.max(...x.data.map(Math.abs));
      x.data.forEach((value, k) => {
        if (Math.abs(y.data[k] - value) > 1e-5 * limit) throw new Error(`map ${index} differs at ${k}`);
      });
    }
  });

  it('shows a large picture coarsely before it is complete', async () => {
    const pictures: { readonly width: number; readonly height: number }[] = [];
    const emit = (event: TraceEvent) => {
      if (event.type === 'reconstruction') pictures.push(event.picture);
    };
    await traced(new Service(pool(2)), siren, { size: '500x620' }, { emit });
    expect(pictures.map(({ width, height }) => [width, height])).toEqual([
      [620, 500],
      [620, 500],
    ]);
  });

  it('can be cancelled, and traces again', async () => {
    const service = new Service(pool(2));
    let cancelled = false;
    const cancel: CancelToken = {
      get cancelled() {
        return cancelled;
      },
      throwIfCancelled() {
        if (cancelled) throw new CancelledError();
      },
    };
    const emit = (event: TraceEvent) => {
      if (event.type === 'phase' && event.phase === 'tracing') cancelled = true;
    };
    await expect(traced(service, siren, { size: '900x900' }, { cancel, emit })).rejects.toThrow(
      CancelledError,
    );
    expect((await traced(service, siren)).layers).toHaveLength(5);
  });

  it('ends with an error of whoever takes its tiles, and is free again', async () => {
    const service = new Service(pool(2));
    const emit = (event: TraceEvent) => {
      if (event.type === 'phase' && event.phase === 'tracing' && event.fraction > 0.1)
        throw new Error('full');
    };
    await expect(traced(service, siren, { size: '600x600' }, { emit })).rejects.toThrow('full');
    expect((await traced(service, siren)).layers).toHaveLength(5);
  });

  it('stops computing activations of a trace that is closed', async () => {
    const service = new Service(pool(2));
    await traced(service, siren, { size: '400x400' });
    const neuron = { layer: 1, neuron: 0 };
    const map = service.call('map', { trace: 'a', neuron }, () => {}, neverCancelled);
    const outcome = expect(map).rejects.toThrow(CancelledError);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await service.call('close', { trace: 'a' }, () => {}, neverCancelled);
    await outcome;
    expect((await traced(service, siren)).layers).toHaveLength(5);
  });

  it('fails when a thread fails, each time anew', async () => {
    const broken = path.join(folder, 'broken.js');
    writeFileSync(
      broken,
      `require('node:worker_threads').parentPort.on('message', () => { throw new Error('torn'); });`,
    );
    const threads = new Pool(broken, 2, 0);
    const usual = new Pool(broken, 2);
    pools.push(threads, usual);
    await expect(traced(new Service(threads), siren)).rejects.toThrow('torn');
    await expect(traced(new Service(threads), siren)).rejects.toThrow('torn');
    await expect(traced(new Service(threads), decoder)).rejects.toThrow('torn');
    // So few kernels are not worth a thread.
    expect((await traced(new Service(usual), decoder)).layers).not.toHaveLength(0);
  });
});
