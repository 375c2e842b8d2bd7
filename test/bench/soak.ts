/**
 * Many traces of mixed files through one worker, as the extension makes them: does memory come back?
 * JSON on stdout; fails when the resident memory or the number of open files at the end is over 110 % of
 * what it was after the first tenth. `TRACES=500 npm run bench soak`; 100 when not said.
 */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { WorkerClient } from '../../src/worker/client';
import { machine, say } from './lib/measure';

const traces = Number(process.env.TRACES ?? 100);
const overwrites = Number(process.env.OVERWRITES ?? 100);
const fixtures = 'test/fixtures/inr';
const files = [
  ...readdirSync(fixtures)
    .filter((name) => /\.(pt|tar)$/.test(name))
    .map((name) => path.resolve(fixtures, name)),
  path.resolve('test/fixtures/others/resnet.pth'),
  path.resolve('samples/pictures/checkpoints/siren.pth'),
  path.resolve('no-such-file.pth'),
];

/** Open file descriptors, where the system tells. */
const handles = () => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : NaN);
const resident = () => process.memoryUsage().rss / 2 ** 20;

const round = ({ resident: r, handles: h }: { readonly resident: number; readonly handles: number }) => ({
  residentMebibytes: Math.round(r),
  handles: h,
});

/** Traces that many times `different` files in turn, and compares the end with what was after the first tenth. */
async function soak(times: number, different: number, fileOf: (i: number) => string) {
  const client = new WorkerClient(path.resolve('dist/worker.js'));
  const outcome = { traced: 0, refused: 0 };
  let warm = { resident: 0, handles: 0 };
  const samples: number[] = [];
  // Each file twice: how much memory the largest takes is known then.
  const warmUp = Math.max(Math.floor(times / 10), 2 * different);
  for (let i = 0; i < times; i++) {
    const options = { file: fileOf(i), corrections: {}, method: 'xinc', memoryBudget: 2 ** 28 } as const;
    const trace = `t${i}`;
    try {
      const result = await client.call('trace', { trace, options });
      if ('notAnInr' in result) outcome.refused++;
      else outcome.traced++;
    } catch {
      outcome.refused++;
    }
    await client.call('close', { trace });
    samples.push(resident());
    const last = samples.slice(-10);
    const now = { resident: last.reduce((a, b) => a + b, 0) / last.length, handles: handles() };
    if (i === warmUp) warm = now;
    if (i % 50 === 49) say(`${i + 1} of ${times}: ${Math.round(now.resident)} MiB`);
  }
  // The threads that share traces end after half a minute; what counts is what stays between traces.
  const end = { resident: samples.slice(-10).reduce((a, b) => a + b, 0) / 10, handles: handles() };
  await client.dispose();
  if (end.resident > 1.1 * warm.resident || end.handles > 1.1 * warm.handles) process.exitCode = 1;
  return { times, ...outcome, warm: round(warm), end: round(end), handlesWithoutWorker: handles() };
}

async function main(): Promise<void> {
  const mixed = await soak(traces, files.length, (i) => files[i % files.length]);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-soak-'));
  const live = path.join(folder, 'live.pt');
  const [one, other] = ['siren-coin.pt', 'siren-notebook.pt'].map((name) => path.resolve(fixtures, name));
  const overwritten = await soak(overwrites, 10, (i) => {
    copyFileSync(i % 2 === 0 ? one : other, live);
    return live;
  });
  rmSync(folder, { recursive: true });
  process.stdout.write(`${JSON.stringify({ machine: machine(), mixed, overwritten }, null, 2)}\n`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
