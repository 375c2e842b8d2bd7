/**
 * Time and memory of whole traces, as JSON on stdout: inside the worker (what the extension waits for)
 * and as a command line process with all maps written. Run by `npm run bench`, after a build.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CancelledError } from '../../src/errors';
import { WorkerClient } from '../../src/worker/client';
import type { TraceOptions } from '../../src/worker/protocol';

const RUNS = 5;
const root = process.cwd();
const dist = (file: string) => path.join(root, 'dist', file);
const folder = mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-bench-'));
const candidates = {
  'XINC example': '../shared/data/xinc-ffn/best_model.ckpt',
  'SIREN sample': 'samples/pictures/checkpoints/siren.pth',
};

interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b).map((v) => Math.round(10 * v) / 10);
  return { min: sorted[0], median: sorted[sorted.length >> 1], max: sorted.at(-1)! };
}

/** A new worker each time: what a first right-click takes, and what the next one takes. Milliseconds. */
async function inWorker(options: TraceOptions) {
  const times: Record<'first' | 'next' | 'firstPicture' | 'cancel', number[]> = {
    first: [],
    next: [],
    firstPicture: [],
    cancel: [],
  };
  for (let run = 0; run < RUNS; run++) {
    const client = new WorkerClient(dist('worker.js'));
    for (const kind of ['first', 'next'] as const) {
      const began = performance.now();
      const result = await client.call(
        'trace',
        { trace: kind, options },
        {
          onEvent: ({ type }) => {
            if (type === 'reconstruction' && kind === 'first')
              times.firstPicture.push(performance.now() - began);
          },
        },
      );
      if ('notAnInr' in result) throw new Error(result.notAnInr.message);
      times[kind].push(result.timings.trace);
    }
    times.cancel.push(await cancelled(client, options));
    await client.dispose();
  }
  return Object.fromEntries(Object.entries(times).map(([name, values]) => [name, spread(values)]));
}

/** From asking to the worker's answer, in the middle of a trace. */
async function cancelled(client: WorkerClient, options: TraceOptions): Promise<number> {
  const abort = new AbortController();
  let asked = 0;
  const onEvent = ({ type }: { readonly type: string }) => {
    if (type !== 'reconstruction') return;
    asked = performance.now();
    abort.abort();
  };
  try {
    await client.call('trace', { trace: 'cancelled', options }, { signal: abort.signal, onEvent });
  } catch (error) {
    if (error instanceof CancelledError) return performance.now() - asked;
    throw error;
  }
  throw new Error('the trace ended before it was cancelled');
}

/** Milliseconds and peak resident MiB of whole processes. */
function asProcess(file: string) {
  const peak = path.join(folder, 'peak');
  const hook = path.join(folder, 'hook.cjs');
  writeFileSync(
    hook,
    `process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(peak)}, String(process.resourceUsage().maxRSS)));`,
  );
  const times: number[] = [];
  const memory: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const began = performance.now();
    const args = [
      '--require',
      hook,
      dist('cli.js'),
      'trace',
      file,
      '--maps',
      path.join(folder, 'maps.npz'),
      '--json',
    ];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, maxBuffer: 2 ** 28 });
    if (status !== 0) throw new Error(stderr.toString());
    times.push(performance.now() - began);
    memory.push(Number(readFileSync(peak, 'utf8')) / 1024);
  }
  return { milliseconds: spread(times), peakMebibytes: spread(memory) };
}

async function main(): Promise<void> {
  const networks: Record<string, unknown> = {};
  for (const [name, file] of Object.entries(candidates)) {
    if (!existsSync(file)) continue;
    const options: TraceOptions = {
      file: path.resolve(file),
      corrections: {},
      method: 'xinc',
      memoryBudget: 2 ** 30,
    };
    networks[name] = { worker: await inWorker(options), commandLine: asProcess(file) };
  }
  const [cpu] = os.cpus();
  const machine = {
    cpu: cpu.model,
    cores: os.availableParallelism(),
    node: process.version,
    platform: `${os.platform()} ${os.arch()}`,
  };
  process.stdout.write(`${JSON.stringify({ machine, runs: RUNS, networks }, null, 2)}\n`);
}

main()
  .catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => rmSync(folder, { recursive: true }));
