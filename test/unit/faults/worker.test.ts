/** A worker thread that takes too much memory: the person gets one sentence, and the next call a new thread. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { UserError } from '../../../src/errors';
import { WorkerClient, WorkerDiedError } from '../../../src/worker/client';
import { Service } from '../../../src/worker/service';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-memory-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

it('out of memory ends the thread, not the editor', async () => {
  const script = path.join(folder, 'worker.js');
  fs.writeFileSync(
    script,
    `const { parentPort } = require('node:worker_threads');
    parentPort.on('message', ({ id, params }) => {
      const kept = [];
      while (params.file === 'large') kept.push(Array.from({ length: 1e4 }, (_, i) => ({ i })));
      parentPort.postMessage({ id, result: 'small' });
    });`,
  );
  const client = new WorkerClient(script, { heapMegabytes: () => 32 });
  const large = client.call('inspect', { file: 'large', corrections: {} });
  await expect(large).rejects.toThrow(WorkerDiedError);
  await expect(large).rejects.toThrow(
    /needed more memory than it may take and was ended; trace fewer layers/,
  );
  expect(await client.call('inspect', { file: 'small', corrections: {} })).toBe('small');
  await client.dispose();
});

it('an array that does not fit is explained', async () => {
  const service = new Service();
  const emit = () => {
    // As allocating it does; the size is what a picture of two million pixels a side would take.
    new ArrayBuffer(2 ** 53 - 1);
  };
  const file = path.resolve(import.meta.dirname, '../../fixtures/inr/siren-coin.pt');
  const options = { file, corrections: { size: '12x20' }, method: 'xinc' as const, memoryBudget: 1e9 };
  const traced = service.call('trace', { trace: 'a', options }, emit, {
    cancelled: false,
    throwIfCancelled() {},
  });
  await expect(traced).rejects.toThrow(UserError);
  await expect(traced).rejects.toThrow(/not enough memory for this; trace it at a smaller size/);
});
