/** Repeating, summarising, and the machine's own limits. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { GraphBuilder } from '../../../src/graph/build';

/** What is being measured, for whoever waits. */
export const say = (what: string) => process.stderr.write(`${what}\n`);

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b).map((v) => Math.round(10 * v) / 10);
  return { min: sorted[0], median: sorted[sorted.length >> 1], max: sorted.at(-1)! };
}

export const machine = () => ({
  cpu: os.cpus()[0].model,
  cores: os.availableParallelism(),
  memoryGibibytes: Math.round(os.totalmem() / 2 ** 30),
  /** Above the number of cores, something else was running, and the figures say little. */
  loadBefore: Math.round(10 * os.loadavg()[0]) / 10,
  node: process.version,
  platform: `${os.platform()} ${os.arch()}`,
});

/** Peak resident memory and time of a Node process. @throws Error when it fails */
export function asProcess(folder: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const peak = path.join(folder, 'peak');
  const hook = path.join(folder, 'hook.cjs');
  writeFileSync(
    hook,
    // Linux counts the memory of the process that started this one into its maxRSS, but not into VmHWM.
    `const { readFileSync, writeFileSync } = require('node:fs');
     const own = () => {
       try {
         return /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))[1];
       } catch {
         return String(process.resourceUsage().maxRSS);
       }
     };
     process.on('exit', () => writeFileSync(${JSON.stringify(peak)}, own()));`,
  );
  const began = performance.now();
  const { status, stderr, stdout } = spawnSync(process.execPath, ['--require', hook, ...args], {
    maxBuffer: 2 ** 30,
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(stderr.toString());
  return {
    milliseconds: performance.now() - began,
    peakMebibytes: Number(readFileSync(peak, 'utf8')) / 1024,
    stdout: stdout.toString(),
  };
}

/** GFLOP/s of one product 2048 × 2048 × 2048 in onnxruntime on all cores: the best of ten. */
export async function productRate(threads = os.availableParallelism()): Promise<number> {
  const n = 2048;
  const builder = new GraphBuilder();
  const x = builder.input('x', [n, n]);
  const weight = new Float32Array(n * n).map((_, i) => Math.sin(i));
  const graph = builder.build(builder.op('MatMul', [builder.constant(weight, [n, n]), x]));
  const session = await onnxruntimeEngine(threads).load(graph, [graph.output]);
  const feeds = new Map([['x', { shape: [n, n], data: new Float32Array(n * n).map((_, i) => Math.cos(i)) }]]);
  const into = new Map([[graph.output, { shape: [n, n], data: new Float32Array(n * n) }]]);
  let best = Infinity;
  for (let i = 0; i < 10; i++) {
    const began = performance.now();
    await session.run(feeds, into);
    best = Math.min(best, performance.now() - began);
  }
  await session.release();
  return (2 * n ** 3) / best / 1e6;
}

/** GB/s read and written when a large array is copied on one core: the best of ten. */
export function copyRate(): number {
  const from = new Float32Array(2 ** 26).fill(1);
  const to = new Float32Array(from.length);
  let best = Infinity;
  for (let i = 0; i < 10; i++) {
    const began = performance.now();
    to.set(from);
    best = Math.min(best, performance.now() - began);
  }
  return (2 * from.byteLength) / best / 1e6;
}
