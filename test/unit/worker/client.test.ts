/** The worker thread as the extension uses it: bundled, started, cancelled, killed. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../bundle';
import type { EngineChoice } from '../../../src/engine/choices';
import { CancelledError, CheckpointError, UserError } from '../../../src/errors';
import { WorkerClient, WorkerDiedError } from '../../../src/worker/client';
import type { TraceEvent, TraceOptions } from '../../../src/worker/protocol';

const root = path.resolve(import.meta.dirname, '../../..');
// Inside the project, so that the bundle finds onnxruntime-node.
mkdirSync(path.join(root, 'test-results'), { recursive: true });
const folder = mkdtempSync(path.join(root, 'test-results', 'worker-'));
const script = path.join(folder, 'worker.js');
const sample = path.join(root, 'samples/pictures/checkpoints/siren.pth');
const options: TraceOptions = { file: sample, corrections: {}, method: 'xinc', memoryBudget: 2 ** 30 };

beforeAll(() => bundle(folder, ['worker', 'tiles']));
afterAll(() => rmSync(folder, { recursive: true }));

describe('WorkerClient', () => {
  const clients: WorkerClient[] = [];
  const start = (file = script, engine: EngineChoice = 'auto') => {
    const client = new WorkerClient(file, { engine: () => engine });
    clients.push(client);
    return client;
  };
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.dispose();
  });

  it('traces in the background and tells what it does', async () => {
    const client = start();
    const events: TraceEvent[] = [];
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const result = await client.call('trace', { trace: 'a', options }, { onEvent: (e) => events.push(e) });
    clearInterval(timer);
    if ('notAnInr' in result) throw new Error(result.notAnInr.message);
    // The thread that asked had its turns all the while.
    expect(turns).toBeGreaterThan(10);
    // The picture may come twice, coarse and whole.
    const kinds = events.map(({ type }) => type).filter((type) => type !== 'phase');
    expect(kinds.filter((type, i) => type === 'layer' || type !== kinds[i - 1])).toEqual([
      'inspected',
      'reconstruction',
      ...result.layers.map(() => 'layer'),
    ]);
    const map = await client.call('map', { trace: 'a', neuron: { layer: 1, neuron: 3 } });
    const [largest] = map.data.map(Math.abs).toSorted((a, b) => b - a);
    expect(largest).toBeCloseTo(result.layers[1].statistics.max[3], 5);
  });

  it('traces with the engine of the settings', async () => {
    const coin = { ...options, file: path.join(root, 'test/fixtures/inr/siren-coin.pt') };
    const traced = await start(script, 'tensorflow').call('trace', { trace: 'a', options: coin });
    if ('notAnInr' in traced) throw new Error(traced.notAnInr.message);
    expect(traced.engine).toMatch(/^tensorflow\.js .*wasm/);
  });

  it('cancels a trace at any time and goes on working', async () => {
    const client = start();
    // Layers come when the pass is done, too late to cancel it.
    const moments: Record<string, (event: TraceEvent) => boolean> = {
      reading: (event) => event.type === 'phase' && event.phase === 'reading',
      inspected: (event) => event.type === 'inspected',
      tracing: (event) => event.type === 'phase' && event.phase === 'tracing',
    };
    for (const [type, isNow] of Object.entries(moments)) {
      const abort = new AbortController();
      const cancelled = client.call(
        'trace',
        { trace: type, options },
        { signal: abort.signal, onEvent: (event) => isNow(event) && abort.abort() },
      );
      await expect(cancelled).rejects.toThrow(CancelledError);
      await expect(client.call('map', { trace: type, neuron: { layer: 0, neuron: 0 } })).rejects.toThrow(
        /no longer in memory/,
      );
    }
    const aborted = client.call('inspect', options, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toThrow(CancelledError);
    expect(await client.call('inspect', options)).toMatchObject({ format: 'pytorch-zip' });
  });

  it('brings errors across with their sentence and exit code', async () => {
    const file = path.join(folder, 'text.pth');
    writeFileSync(file, 'not a checkpoint');
    const failed: unknown = await start()
      .call('inspect', { file, corrections: {} })
      .catch((e: unknown) => e);
    expect(failed).toBeInstanceOf(UserError);
    expect((failed as UserError).exitCode).toBe(new CheckpointError('').exitCode);
    expect((failed as Error).message).toContain('text.pth');
  });

  it('rejects what was asked of a worker that dies, and starts another', async () => {
    const dying = path.join(folder, 'dying.js');
    writeFileSync(
      dying,
      `const { parentPort } = require('node:worker_threads');
       parentPort.on('message', ({ id, params }) => {
         if (params.die) process.exit(7);
         if (params.fail) throw new Error('boom');
         if (!params.hang) parentPort.postMessage({ id, result: params });
       });`,
    );
    const client = start(dying);
    const ask = (params: object) => client.call('close', params as never);
    const waiting = ask({ hang: true });
    await expect(Promise.all([waiting, ask({ die: true })])).rejects.toThrow(WorkerDiedError);
    await expect(waiting).rejects.toThrow(/exit code 7.*trace again/);
    expect(await ask({ trace: 'again' })).toEqual({ trace: 'again' });
    await expect(ask({ fail: true })).rejects.toThrow(/boom/);
    expect(await ask({ trace: 'once more' })).toEqual({ trace: 'once more' });
  });

  it('settles what is under way when it is disposed', async () => {
    const client = start();
    const running = client.call('trace', { trace: 'a', options });
    const settled = expect(running).rejects.toThrow(WorkerDiedError);
    await client.dispose();
    await settled;
  });
});
