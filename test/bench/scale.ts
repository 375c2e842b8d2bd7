/**
 * How time and memory grow, as JSON on stdout. With pixels and with neurons: a straight line
 * through four sizes each. A checkpoint of 2 GB whose network is small; ten checkpoints asked
 * for at once. `LARGE=1` adds a picture of 4096×4096 and 16,384 maps, which take minutes. Run by
 * `npm run bench scale`.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { WorkerClient } from '../../src/worker/client';
import type { TraceOptions } from '../../src/worker/protocol';
import { asProcess, machine, say } from './lib/measure';
import { padSafetensors, writeSiren } from './lib/networks';

const folder = mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-scale-'));
const sides = (process.env.SIDES ?? '192,256,384,512').split(',').map(Number);
const widths = [32, 64, 128, 256];

interface Point {
  readonly size: number;
  /** Milliseconds of the whole process. */
  readonly trace: number;
  readonly peakMebibytes: number;
}

/** In a process of its own, without the report. */
function measure(size: number, file: string, side: number): Point {
  say(`${path.basename(file)}, ${side}×${side}`);
  const args = ['dist/cli.js', 'trace', file, '--size', `${side}x${side}`, '--coords', 'rc-per-side'];
  const { milliseconds, peakMebibytes } = asProcess(folder, args);
  return { size, trace: Math.round(milliseconds), peakMebibytes: Math.round(peakMebibytes) };
}

/** Slope, intercept and R² by least squares. */
function line(x: readonly number[], y: readonly number[]) {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [mx, my] = [mean(x), mean(y)];
  const sum = (of: (i: number) => number) => x.reduce((total, _, i) => total + of(i), 0);
  const [xx, yy] = [sum((i) => (x[i] - mx) ** 2), sum((i) => (y[i] - my) ** 2)];
  const xy = sum((i) => (x[i] - mx) * (y[i] - my));
  return { slope: xy / xx, fixed: my - (xy / xx) * mx, r2: xy ** 2 / (xx * yy) };
}

/** A straight line through the series, and the exponent of a power law, in which the start of the process counts. */
function fit(points: readonly Point[]) {
  const [size, time] = [points.map((point) => point.size), points.map(({ trace }) => trace)];
  const straight = line(size, time);
  const exponent = line(size.map(Math.log), time.map(Math.log)).slope;
  return {
    microsecondsEach: 1000 * straight.slope,
    fixedMilliseconds: straight.fixed,
    r2: straight.r2,
    exponentWithFixedPart: exponent,
  };
}

const optionsOf = (file: string, size: string): TraceOptions => ({
  file,
  corrections: { size, coords: 'rc-per-side' },
  method: 'xinc',
  memoryBudget: 2 ** 28,
});

/** Milliseconds until there is a picture, until all is there, and until all of ten asked for at once are. */
async function queue(siren: string) {
  say('ten checkpoints at once');
  const client = new WorkerClient(path.resolve('dist/worker.js'));
  const began = performance.now();
  const done = await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      const file = path.join(folder, `queued-${i}.safetensors`);
      copyFileSync(siren, file);
      const result = await client.call('trace', { trace: `q${i}`, options: optionsOf(file, '128x128') });
      if ('notAnInr' in result) throw new Error(result.notAnInr.message);
      return performance.now() - began;
    }),
  );
  await client.dispose();
  return { checkpoints: done.length, firstDone: Math.min(...done), allDone: Math.max(...done) };
}

/** A small network in a file of 2 GB: what is read of it, and what memory that takes. */
function padded(siren: string) {
  say('a checkpoint of 2 GB');
  const file = path.join(folder, 'padded.safetensors');
  padSafetensors(siren, file, 2e9);
  const began = performance.now();
  // rchar: bytes that this process's reads gave it, from whatever cache. Less what reading the program takes.
  const read = (checkpoint: string) => {
    const script = `process.on('exit', () => { try { require('node:fs').writeFileSync(${JSON.stringify(
      path.join(folder, 'io'),
    )}, require('node:fs').readFileSync('/proc/self/io', 'utf8')); } catch {} })`;
    const hook = `data:text/javascript,${encodeURIComponent(`import { createRequire } from 'node:module'; const require = createRequire('${process.cwd()}/x.js'); ${script}`)}`;
    const args = ['--import', hook, 'dist/cli.js', 'trace', checkpoint, '--size', '128x128'];
    const { peakMebibytes } = asProcess(folder, args);
    let bytes = NaN;
    try {
      bytes = Number(/rchar: (\d+)/.exec(readFileSync(path.join(folder, 'io'), 'utf8'))?.[1]);
    } catch {
      // Only Linux tells.
    }
    return { bytes, peakMebibytes };
  };
  const [small, large] = [read(siren), read(file)];
  const milliseconds = performance.now() - began;
  rmSync(file);
  return {
    moreMebibytesRead: (large.bytes - small.bytes) / 2 ** 20,
    peakMebibytes: large.peakMebibytes,
    peakOfTheSmallFile: small.peakMebibytes,
    millisecondsForBoth: milliseconds,
  };
}

/** In a worker of this process: when there is something to look at. */
async function firstPicture(file: string, size: string) {
  const client = new WorkerClient(path.resolve('dist/worker.js'));
  const began = performance.now();
  let first = NaN;
  let firstLayer = NaN;
  const onEvent = ({ type }: { readonly type: string }) => {
    if (type === 'reconstruction' && Number.isNaN(first)) first = performance.now() - began;
    if (type === 'layer' && Number.isNaN(firstLayer)) firstLayer = performance.now() - began;
  };
  await client.call('trace', { trace: 'large', options: optionsOf(file, size) }, { onEvent });
  const all = performance.now() - began;
  await client.dispose();
  return { firstPicture: first, firstLayer, all };
}

async function main(): Promise<void> {
  const before = machine();
  const siren = path.join(folder, 'siren.safetensors');
  writeSiren(siren, 256, 5);
  const pixels = sides.map((side) => measure(side * side, siren, side));
  // The matrix products grow with the square of the width; what is ours per neuron grows with the width.
  const neurons = widths.map((width) => {
    const file = path.join(folder, `siren-${width}.safetensors`);
    writeSiren(file, width, 5);
    return measure(5 * width, file, 512);
  });
  const report: Record<string, unknown> = {
    machine: before,
    pixels: { points: pixels, fit: fit(pixels) },
    neurons: { points: neurons, fit: fit(neurons) },
    queue: await queue(siren),
    padded: padded(siren),
  };
  if (process.env.LARGE) {
    say('16,384 maps');
    const wide = path.join(folder, 'wide.safetensors');
    writeSiren(wide, 4096, 4);
    report['16,384 maps, 64×64'] = {
      ...measure(16384, wide, 64),
      ...(await firstPicture(wide, '64x64')),
    };
    report['2048×2048'] = measure(2 ** 22, siren, 2048);
    report['4096×4096'] = measure(2 ** 24, siren, 4096);
    say('4096×4096 in the worker');
    report['4096×4096 in the worker'] = await firstPicture(siren, '4096x4096');
  }
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}

main()
  .catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => rmSync(folder, { recursive: true }));
