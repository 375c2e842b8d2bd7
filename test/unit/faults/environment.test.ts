/** Clocks that jump, and folders in which nothing may be written. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../bundle';
import { SaveWatch } from '../../../src/live/saveWatch';
import { Results } from '../../../src/sweep/results';

const root = path.resolve(import.meta.dirname, '../../..');
const coin = path.join(root, 'test/fixtures/inr/siren-coin.pt');
const top = fs.mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-environment-'));
afterAll(() => fs.rmSync(top, { recursive: true, force: true }));

describe('a clock that jumps', () => {
  it.each(['1999-01-01', '2099-01-01'])('to %s hides no save', async (date) => {
    const file = path.join(top, `net-${date}.pt`);
    fs.copyFileSync(coin, file);
    const saves: string[] = [];
    const times = { settle: () => 10, poll: () => 20 };
    const watch = new SaveWatch(file, times, (signature) => {
      saves.push(signature);
      watch.accept(signature);
    });
    const until = (count: number) => expect.poll(() => saves.length, { timeout: 5000 }).toBe(count);
    await until(1);
    fs.copyFileSync(coin, file);
    fs.utimesSync(file, new Date(date), new Date(date));
    await expect.poll(() => saves.length, { timeout: 5000 }).toBeGreaterThan(1);
    watch.dispose();
  });

  it.each([
    ['an hour back', 3600, true],
    ['an hour ahead', -3600, true],
    ['not at all', 0, false],
  ])('leaves no claim of the dead for ever: %s', async (_, seconds, taken) => {
    const folder = fs.mkdtempSync(path.join(top, 'sweep-'));
    const results = new Results(folder);
    await results.prepare();
    // Of a machine that cannot be asked.
    const claim = path.join(folder, 'claims', 'key');
    fs.writeFileSync(claim, 'elsewhere.invalid:1');
    const written = new Date(Date.now() + 1000 * seconds);
    fs.utimesSync(claim, written, written);
    const ours = await results.claim('key');
    expect(ours !== null).toBe(taken);
    await ours?.release();
  });
});

// Inside the project, so that the bundles find onnxruntime-node.
const bundles = path.join(root, 'test-results', `environment-${process.pid}`);
beforeAll(() =>
  bundle(bundles, ['cli', 'worker', 'tiles'], { ending: path.join(import.meta.dirname, 'ending.ts') }),
);
afterAll(() => fs.rmSync(bundles, { recursive: true, force: true }));

// Its releases put a number for this device there, and report their use by it.
it.each([
  ['the command line', ['cli.js', 'trace', coin, '--size', '12x20']],
  ['the worker', ['ending.js', path.join(bundles, 'worker.js'), coin, 'exit']],
])('onnxruntime leaves nothing in the home folder: %s', (_, [script, ...args]) => {
  const home = fs.mkdtempSync(path.join(top, 'home-'));
  const { ORT_DISABLE_TELEMETRY: _unset, ...environment } = process.env;
  const env = { ...environment, HOME: home, XDG_CACHE_HOME: path.join(home, '.cache') };
  const { status } = spawnSync(process.execPath, [path.join(bundles, script), ...args], { env });
  expect(status).toBe(0);
  expect(fs.readdirSync(home)).toEqual([]);
});

// Whoever is root may write everywhere: then the command runs as nobody.
describe.skipIf(process.platform === 'win32')('a folder that may only be read', () => {
  const isRoot = process.getuid?.() === 0;

  it('is traced in, and says so when something is to be saved there', () => {
    fs.chmodSync(top, 0o755);
    const folder = fs.mkdtempSync(path.join(top, 'readonly-'));
    const file = path.join(folder, 'net.pt');
    fs.copyFileSync(coin, file);
    fs.chmodSync(folder, 0o555);
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [path.join(bundles, 'cli.js'), 'trace', file, '--size', '12x20', ...args], {
        encoding: 'utf8',
        cwd: folder,
        ...(isRoot && { uid: 65534, gid: 65534 }),
      });
    expect(run()).toMatchObject({ status: 0, stderr: '' });
    const maps = path.join(folder, 'maps.npz');
    const { status, stderr } = run('--maps', maps);
    expect(stderr).toMatch(/maps\.npz could not be written \(EACCES\); choose another folder\./);
    expect(status).not.toBe(0);
    expect(fs.readdirSync(folder)).toEqual(['net.pt']);
    fs.chmodSync(folder, 0o755);
  });
});
