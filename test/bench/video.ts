/**
 * Frames of video networks, as JSON on stdout: a command line trace with its peak memory; in the worker a
 * cancelled trace, frames asked for one after another (playing), and how soon all maps are there after the
 * frame changed; beside it PyTorch where it is there. Run by `npm run bench video`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CancelledError } from '../../src/errors';
import { WorkerClient } from '../../src/worker/client';
import type { TraceOptions } from '../../src/worker/protocol';
import { fromCache } from './lib/fromCache';
import { asProcess, machine, spread } from './lib/measure';
import { writeDecoder, type Network } from './lib/networks';

const RUNS = Number(process.env.RUNS ?? 3);
const wanted = process.env.ONLY;
const folder = mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-video-'));

interface Video extends Network {
  readonly size: string;
  readonly frames: number;
  /** What PyTorch's script knows. */
  readonly inPyTorch: boolean;
  /** Fewer where each takes minutes. */
  readonly runs: number;
}

function videos(): Video[] {
  const decoder = path.join(folder, 'decoder.safetensors');
  writeDecoder(decoder);
  const all: Video[] = [
    {
      name: 'nerv-bunny, 128×256',
      file: path.resolve('../shared/data/nerv-bunny/model_best.pth'),
      corrections: {},
      size: '128x256',
      frames: 16,
      inPyTorch: true,
      runs: RUNS,
    },
    {
      name: 'NeRV sample',
      file: path.resolve('samples/video/checkpoints/nerv.pth'),
      corrections: {},
      size: '',
      frames: 16,
      inPyTorch: false,
      runs: RUNS,
    },
    {
      name: 'HNeRV decoder, 640×1280',
      file: decoder,
      corrections: { size: '640x1280', frames: '12' },
      size: '640x1280',
      frames: 12,
      inPyTorch: true,
      runs: 1,
    },
  ];
  return all.filter(({ file, name }) => existsSync(file) && (!wanted || name.includes(wanted)));
}

const FRAME = 3;
const BUDGET = 2 ** 30;

function commandLine({ file, corrections, runs: count }: Video) {
  const set = Object.entries(corrections).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const args = ['dist/cli.js', 'trace', file, ...set, '--frame', String(FRAME), '--json'];
  const runs = Array.from({ length: count }, () => asProcess(folder, args));
  const trace = runs.map(
    ({ stdout }) => (JSON.parse(stdout) as { timings: { trace: number } }).timings.trace,
  );
  return {
    trace: spread(trace),
    milliseconds: spread(runs.map(({ milliseconds }) => milliseconds)),
    peakMebibytes: spread(runs.map(({ peakMebibytes }) => peakMebibytes)),
  };
}

function inPyTorch({ file, size, frames }: Video): unknown {
  const python = process.env.PYTHON ?? '/usr/bin/python3';
  const args = ['test/bench/torch_video.py', file, size, `${FRAME}/${frames}`];
  const { status, stdout } = spawnSync(python, args, { maxBuffer: 2 ** 24 });
  return status === 0 ? (JSON.parse(stdout.toString()) as unknown) : undefined;
}

const optionsOf = ({ file, corrections }: Video): TraceOptions => ({
  file,
  corrections,
  method: 'xinc',
  memoryBudget: BUDGET,
  frame: FRAME,
});

async function inWorker(video: Video) {
  const { frames, runs } = video;
  const options = optionsOf(video);
  const client = new WorkerClient(path.resolve('dist/worker.js'));
  try {
    let phases = 0;
    const onEvent = ({ type }: { readonly type: string }) => (phases += type === 'phase' ? 1 : 0);
    const result = await client.call('trace', { trace: 'a', options }, { onEvent });
    if ('notAnInr' in result) throw new Error(result.notAnInr.message);
    const stills: number[] = [];
    const began = performance.now();
    for (let frame = 0; frame < frames; frame++) {
      const asked = performance.now();
      await client.call('still', { trace: 'a', frame });
      stills.push(performance.now() - asked);
    }
    const perSecond = (1000 * frames) / (performance.now() - began);
    // What a person looks at is traced first, and shown as soon as it is there.
    const [first, all]: number[][] = [[], []];
    for (let run = 0; run < runs; run++) {
      const asked = performance.now();
      let layers = 0;
      const onLayer = ({ type }: { readonly type: string }) => {
        if (type === 'layer' && layers++ === 0) first.push(performance.now() - asked);
      };
      const look = result.layers.at(-2)!.name;
      await client.call(
        'frame',
        { trace: 'a', frame: (run + 4) % frames, first: look },
        { onEvent: onLayer },
      );
      all.push(performance.now() - asked);
    }
    return {
      trace: Math.round(result.timings.trace),
      progressEvents: phases,
      cancel: spread([await cancelled(client, options)]),
      still: spread(stills),
      stillsPerSecond: Math.round(10 * perSecond) / 10,
      firstPreviewsAfterFrame: spread(first),
      allPreviewsAfterFrame: spread(all),
    };
  } finally {
    await client.dispose();
  }
}

/** From asking to the worker's answer, in the middle of a trace. Milliseconds. */
async function cancelled(client: WorkerClient, options: TraceOptions): Promise<number> {
  const abort = new AbortController();
  let asked = 0;
  const onEvent = (event: { readonly type: string; readonly phase?: string; readonly fraction?: number }) => {
    if (event.phase !== 'tracing' || (event.fraction ?? 0) < 0.15 || asked > 0) return;
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

async function main(): Promise<void> {
  const before = machine();
  const results: Record<string, unknown> = {};
  for (const video of videos()) {
    const pytorch = video.inPyTorch ? inPyTorch(video) : undefined;
    results[video.name] = {
      commandLine: commandLine(video),
      worker: await inWorker(video),
      cached: await fromCache(folder, optionsOf(video), video.runs),
      ...(pytorch !== undefined && { pytorch }),
    };
  }
  process.stdout.write(`${JSON.stringify({ machine: before, runs: RUNS, videos: results }, null, 2)}\n`);
}

main()
  .catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => rmSync(folder, { recursive: true }));
