/**
 * Whole traces, as JSON on stdout: inside the worker (what the extension waits for), as a command line
 * process, and, where Debian's or anybody's PyTorch is there, a plain PyTorch script by the released
 * method's rules. Run by `npm run bench`, after a build.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { EngineChoice } from '../../src/engine/choices';
import { CancelledError } from '../../src/errors';
import { WorkerClient } from '../../src/worker/client';
import type { TraceOptions } from '../../src/worker/protocol';
import { fromCache } from './lib/fromCache';
import { asProcess, copyRate, machine, productRate, say, spread } from './lib/measure';
import { networks, type Network } from './lib/networks';

const RUNS = Number(process.env.RUNS ?? 3);
const wanted = process.env.ONLY;
/** Milliseconds after which no further network is begun. */
const BUDGET = 1000 * Number(process.env.BUDGET ?? 240);
const root = process.cwd();
const dist = (file: string) => path.join(root, 'dist', file);
const folder = mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-bench-'));

const optionsOf = ({ file, corrections }: Network): TraceOptions => ({
  file,
  corrections,
  method: 'xinc',
  memoryBudget: 2 ** 30,
});

/** A new worker each time: what a first right-click takes, and what the next one takes. Milliseconds. */
async function inWorker(options: TraceOptions, runs: number, engine: EngineChoice = 'auto') {
  const times: Record<
    'first' | 'next' | 'read' | 'recognise' | 'trace' | 'firstPicture' | 'cancel',
    number[]
  > = { first: [], next: [], read: [], recognise: [], trace: [], firstPicture: [], cancel: [] };
  for (let run = 0; run < runs; run++) {
    const client = new WorkerClient(dist('worker.js'), { engine: () => engine });
    for (const kind of ['first', 'next'] as const) {
      const began = performance.now();
      let seen = false;
      const result = await client.call(
        'trace',
        { trace: kind, options },
        {
          onEvent: ({ type }) => {
            if (type !== 'reconstruction' || kind !== 'first' || seen) return;
            seen = true;
            times.firstPicture.push(performance.now() - began);
          },
        },
      );
      if ('notAnInr' in result) throw new Error(result.notAnInr.message);
      times[kind].push(performance.now() - began);
      if (kind === 'first') {
        for (const phase of ['read', 'recognise', 'trace'] as const) times[phase].push(result.timings[phase]);
      }
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
  const onEvent = (event: { readonly type: string; readonly phase?: string }) => {
    if (event.type !== 'phase' || event.phase !== 'tracing' || asked > 0) return;
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

function commandLine({ file, corrections }: Network, runs: number) {
  const set = Object.entries(corrections).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const measured = Array.from({ length: runs }, () =>
    asProcess(folder, [dist('cli.js'), 'trace', file, ...set]),
  );
  return {
    milliseconds: spread(measured.map(({ milliseconds }) => milliseconds)),
    peakMebibytes: spread(measured.map(({ peakMebibytes }) => peakMebibytes)),
  };
}

/** Milliseconds after which PyTorch is given up. */
const TORCH_LIMIT = 240_000;

/**
 * The same maps in PyTorch, in closed form; with `RELEASED=1` also as the released code makes them, which takes
 * a minute or more. Undefined where Python or PyTorch is missing, or it takes too long.
 */
function inPyTorch({ file, corrections }: Network): unknown {
  const python = process.env.PYTHON ?? '/usr/bin/python3';
  const released = process.env.RELEASED ? ['released'] : [];
  const arguments_ = ['test/bench/torch_trace.py', file, corrections.size ?? '', String(RUNS), ...released];
  const { status, stdout } = spawnSync(python, arguments_, {
    cwd: root,
    maxBuffer: 2 ** 24,
    timeout: TORCH_LIMIT,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return status === 0 ? (JSON.parse(stdout.toString()) as unknown) : undefined;
}

async function main(): Promise<void> {
  const results: Record<string, unknown> = {};
  const before = machine();
  say('the limits of the machine');
  const limits = { productGflops: await productRate(), copyGigabytes: copyRate() };
  for (const network of networks(folder)) {
    const { name, large = false } = network;
    if (wanted && !name.includes(wanted)) continue;
    if (performance.now() > BUDGET) {
      results[name] = { left: 'no time; BUDGET=seconds gives more' };
      continue;
    }
    const runs = large ? 1 : RUNS;
    const options = optionsOf(network);
    say(`${name}: in the worker`);
    const worker = await inWorker(options, runs);
    say(`${name}: from the cache`);
    const cached = await fromCache(folder, options, runs);
    say(`${name}: as a command`);
    const command = commandLine(network, runs);
    if (!large) say(`${name}: with TensorFlow.js`);
    const tensorflow = large ? undefined : await inWorker(options, 1, 'tensorflow');
    if (!large) say(`${name}: in PyTorch`);
    const pytorch = large ? undefined : inPyTorch(network);
    results[name] = {
      worker,
      cached,
      commandLine: command,
      ...(tensorflow && { tensorflow }),
      ...(pytorch !== undefined && { pytorch }),
    };
  }
  process.stdout.write(
    `${JSON.stringify({ machine: before, limits, runs: RUNS, networks: results }, null, 2)}\n`,
  );
}

main()
  .catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => rmSync(folder, { recursive: true }));
