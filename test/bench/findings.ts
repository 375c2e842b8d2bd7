/**
 * The whole analysis of the released XINC example (or `FILE`) in the worker, as JSON on stdout: how long it
 * takes, how long another call waits for its answer meanwhile, and how long the calling thread is ever held up.
 */
import { existsSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import path from 'node:path';
import { WorkerClient } from '../../src/worker/client';
import { machine, spread } from './lib/measure';

const RUNS = Number(process.env.RUNS ?? 3);
const root = process.cwd();
const released = path.resolve(root, '../shared/data/xinc-ffn/best_model.ckpt');
const sample = path.join(root, 'samples/pictures/checkpoints/siren.pth');
const file = process.env.FILE ?? (existsSync(released) ? released : sample);

async function main(): Promise<void> {
  const [traced, analysed, answered, held]: number[][] = [[], [], [], []];
  for (let run = 0; run < RUNS; run++) {
    const client = new WorkerClient(path.join(root, 'dist/worker.js'));
    const trace = 'bench';
    let began = performance.now();
    const options = { file, corrections: {}, method: 'xinc' as const, memoryBudget: 2 ** 30 };
    const result = await client.call('trace', { trace, options });
    if ('notAnInr' in result) throw new Error(result.notAnInr.message);
    traced.push(performance.now() - began);

    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    began = performance.now();
    let done = false;
    const findings = client.call('findings', { trace }).finally(() => (done = true));
    // A person points at pixels while it runs.
    while (!done) {
      const asked = performance.now();
      await client.call('probe', { trace, row: 0, column: 0, top: 10 });
      answered.push(performance.now() - asked);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await findings;
    analysed.push(performance.now() - began);
    delay.disable();
    held.push(delay.max / 1e6);
    await client.dispose();
  }
  const milliseconds = {
    trace: spread(traced),
    findings: spread(analysed),
    probeMeanwhile: spread(answered),
    callingThreadHeldUp: spread(held),
  };
  process.stdout.write(
    `${JSON.stringify({ bench: 'findings', file: path.basename(file), machine: machine(), runs: RUNS, milliseconds }, null, 2)}\n`,
  );
}

void main();
