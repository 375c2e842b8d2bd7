/** The layout's thread, bundled as the extension has it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CancelledError, neverCancelled } from '../../../src/errors';
import { layOutHere } from '../../../src/tracing/layout';
import { seededRandom } from '../../../src/tracing/random';
import { layOutIn } from '../../../src/worker/layout';
import { bundle } from '../../bundle';

const root = path.resolve(import.meta.dirname, '../../..');
mkdirSync(path.join(root, 'test-results'), { recursive: true });
const folder = mkdtempSync(path.join(root, 'test-results', 'layout-'));
const layOut = layOutIn(path.join(folder, 'layout.js'));
beforeAll(() => bundle(folder, ['layout']));
afterAll(() => rmSync(folder, { recursive: true }));

function vectors(count: number): number[][] {
  const random = seededRandom(4);
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length: 8 }, (_, d) => Math.sin((i % 3) * (d + 1)) + 0.2 * random()),
  );
}

it('lays out as this thread does, and tells how far it is', async () => {
  const told: number[] = [];
  const there = await layOut(vectors(60), 7, neverCancelled, (fraction) => told.push(fraction));
  expect(there).toEqual(await layOutHere(vectors(60), 7, neverCancelled, () => undefined));
  expect(told.length).toBeGreaterThan(5);
  expect(told).toEqual(told.toSorted((a, b) => a - b));
});

it('lays a handful out in a row', async () => {
  expect(await layOut(vectors(3), 7, neverCancelled, () => undefined)).toEqual([
    [0, 0],
    [1, 0],
    [2, 0],
  ]);
});

it('leaves this thread free while it works', async () => {
  const order: string[] = [];
  const done = layOut(vectors(400), 7, neverCancelled, () => undefined).then(() => order.push('layout'));
  await new Promise((resolve) => setTimeout(resolve, 1));
  order.push('another question');
  await done;
  expect(order).toEqual(['another question', 'layout']);
});

it('stops when told to', async () => {
  let cancelled = false;
  const cancel = {
    get cancelled() {
      return cancelled;
    },
    throwIfCancelled() {
      if (cancelled) throw new CancelledError();
    },
  };
  const stopped = layOut(vectors(600), 7, cancel, () => (cancelled = true));
  await expect(stopped).rejects.toThrow(CancelledError);
  await expect(layOut(vectors(60), 7, cancel, () => undefined)).rejects.toThrow(CancelledError);
});

it('says so when the thread fails', async () => {
  const broken = path.join(folder, 'broken.js');
  writeFileSync(broken, 'process.exit(3)');
  await expect(layOutIn(broken)(vectors(60), 7, neverCancelled, () => undefined)).rejects.toThrow(
    'the layout thread ended (exit code 3)',
  );
});
