/** Threads that are ended while onnxruntime runs in them must not take the process with them. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../bundle';
import { NativeCalls } from '../../../src/engine/nativeCalls';
import { CancelledError } from '../../../src/errors';

const root = path.resolve(import.meta.dirname, '../../..');
// Inside the project, so that the bundle finds onnxruntime-node.
mkdirSync(path.join(root, 'test-results'), { recursive: true });
const folder = mkdtempSync(path.join(root, 'test-results', 'ending-'));
const sample = path.join(root, 'samples/pictures/checkpoints/siren.pth');

beforeAll(() => bundle(folder, ['worker', 'tiles'], { ending: path.join(import.meta.dirname, 'ending.ts') }));
afterAll(() => rmSync(folder, { recursive: true }));

it.each(['dispose', 'exit'])(
  'the process lives on, or ends by itself: %s',
  (how) => {
    const { status, signal, stderr } = spawnSync(
      process.execPath,
      [path.join(folder, 'ending.js'), path.join(folder, 'worker.js'), sample, how],
      { encoding: 'utf8' },
    );
    expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  },
  120_000,
);

describe('NativeCalls', () => {
  it('counts calls until they are back, whether they succeed or not', async () => {
    const calls = new NativeCalls();
    const seenElsewhere = new NativeCalls(calls.shared);
    let back = () => {};
    const first = calls.during(() => new Promise<void>((resolve) => (back = resolve)));
    const second = calls.during(() => Promise.reject(new Error('failed')));
    await expect(second).rejects.toThrow('failed');
    expect(seenElsewhere.any).toBe(true);
    back();
    await first;
    expect(seenElsewhere.any).toBe(false);
  });

  it('lets nothing begin once it is shut', async () => {
    const calls = new NativeCalls();
    new NativeCalls(calls.shared).shut();
    let ran = false;
    await expect(calls.during(() => (ran = true))).rejects.toThrow(CancelledError);
    expect(() => calls.duringSync(() => (ran = true))).toThrow(CancelledError);
    expect([ran, calls.any]).toEqual([false, false]);
  });
});
