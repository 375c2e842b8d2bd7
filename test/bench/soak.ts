/**
 * Many traces of mixed files through one worker, as the extension makes them: does memory come back?
 * JSON on stdout; fails when the resident memory or the number of open files at the end is over 110 % of
 * what it was after the first tenth. `TRACES=500 npm run bench soak`; 100 when not said.
 */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { WorkerClient } from '../../src/worker/client';
import { machine } from './lib/measure';

const traces = Number(process.env.TRACES ?? 100);
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

async function main(): Promise<void> {
  const client = new WorkerClient(path.resolve('dist/worker.js'));
  const outcome = { traced: 0, refused: 0 };
  let warm = { resident: 0, handles: 0 };
  const samples: number[] = [];
  for (let i = 0; i < traces; i++) {
    const options = {
      file: files[i % files.length],
      corrections: {},
      method: 'xinc',
      memoryBudget: 2 ** 28,
    } as const;
    const trace = `t${i}`;
    try {
      const result = await client.call('trace', { trace, options });
      if ('notAnInr' in result) outcome.refused++;
      else outcome.traced++;
    } catch {
      outcome.refused++;
    }
    await client.call('close', { trace });
    if (i === Math.floor(traces / 10)) warm = { resident: resident(), handles: handles() };
    samples.push(resident());
  }
  // The threads that share traces end after half a minute; what counts is what stays between traces.
  const end = { resident: samples.slice(-10).reduce((a, b) => a + b, 0) / 10, handles: handles() };
  await client.dispose();
  const round = ({ resident: r, handles: h }: typeof end) => ({
    residentMebibytes: Math.round(r),
    handles: h,
  });
  const report = { machine: machine(), traces, ...outcome, warm: round(warm), end: round(end) };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  if (end.resident > 1.1 * warm.resident || end.handles > 1.1 * warm.handles) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
