/**
 * Switching neurons off in the largest of the usual picture networks (512×512, 256 wide, 6 layers), in the worker,
 * as JSON on stdout: the preview and the whole picture, the first time and when the next neuron of the same layer is
 * chosen, and all neurons of one layer alone. Milliseconds. `RUNS` repeats. Run by `npm run bench`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { WorkerClient } from '../../src/worker/client';
import { machine, say, spread } from './lib/measure';
import { writeSiren } from './lib/networks';

const RUNS = Number(process.env.RUNS ?? 3);
const folder = mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-bench-'));
const file = path.join(folder, 'siren.safetensors');
writeSiren(file, 256, 5);

async function main(): Promise<void> {
  const before = machine();
  const client = new WorkerClient(path.resolve('dist/worker.js'));
  const options = {
    file,
    corrections: { size: '512x512', omega0: '30' },
    method: 'xinc' as const,
    memoryBudget: 2 ** 30,
  };
  const traced = await client.call('trace', { trace: 'a', options });
  if ('notAnInr' in traced) throw new Error(traced.notAnInr.message);

  const timed = async (neuron: number, layer: number, side?: number) => {
    const began = performance.now();
    const params = { trace: 'a', neurons: [{ layer, neuron }], baseline: 'zero' as const };
    await client.call('without', side ? { ...params, side } : params);
    return performance.now() - began;
  };
  const layers: Record<string, unknown>[] = [];
  for (const [layer, { name, neurons }] of traced.layers.entries()) {
    say(`without neurons of ${name}`);
    const first = [await timed(0, layer, 256), await timed(0, layer)];
    const next: [number[], number[]] = [[], []];
    for (let run = 1; run <= RUNS; run++) {
      next[0].push(await timed(run % neurons, layer, 256));
      next[1].push(await timed(run % neurons, layer));
    }
    layers.push({
      name,
      preview: { first: first[0], next: spread(next[0]) },
      whole: { first: first[1], next: spread(next[1]) },
    });
  }
  say('each neuron alone');
  const began = performance.now();
  const layer = traced.layers.length - 2;
  const { sample } = await client.call('removals', { trace: 'a', layer, baseline: 'zero' });
  const eachAlone = { name: traced.layers[layer].name, milliseconds: performance.now() - began, sample };
  console.log(JSON.stringify({ machine: before, layers, eachAlone }, null, 2));
  await client.call('close', { trace: 'a' });
  await client.dispose();
  rmSync(folder, { recursive: true });
}

void main();
