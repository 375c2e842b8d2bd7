/**
 * Switching neurons off in the largest of the usual picture networks (512×512, 256 wide, 6 layers), as JSON on
 * stdout: the preview and the whole picture, the first time and when the next neuron of the same layer is
 * chosen, and all neurons of a layer alone. Milliseconds. Run by `npm run bench`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { neverCancelled } from '../../src/errors';
import { Service } from '../../src/worker/service';
import { machine, spread } from './lib/measure';
import { writeSiren } from './lib/networks';

const RUNS = Number(process.env.RUNS ?? 5);
const folder = mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-bench-'));
const file = path.join(folder, 'siren.safetensors');
writeSiren(file, 256, 5);

async function main(): Promise<void> {
  const service = new Service();
  const options = {
    file,
    corrections: { size: '512x512', omega0: '30' },
    method: 'xinc' as const,
    memoryBudget: 2 ** 30,
  };
  const traced = await service.call('trace', { trace: 'a', options }, () => {}, neverCancelled);
  if ('notAnInr' in traced) throw new Error(traced.notAnInr.message);

  const timed = async (neuron: number, layer: number, side?: number) => {
    const began = performance.now();
    const params = { trace: 'a', neurons: [{ layer, neuron }], baseline: 'zero' as const };
    await service.call('without', side ? { ...params, side } : params, () => {}, neverCancelled);
    return performance.now() - began;
  };
  const layers: Record<string, unknown>[] = [];
  for (const [layer, { name }] of traced.layers.entries()) {
    const first = [await timed(0, layer, 256), await timed(0, layer)];
    const next: [number[], number[]] = [[], []];
    const width = traced.layers[layer].neurons;
    for (let run = 1; run <= RUNS; run++) {
      next[0].push(await timed(run % width, layer, 256));
      next[1].push(await timed(run % width, layer));
    }
    const began = performance.now();
    const alone = { trace: 'a', layer, baseline: 'zero' as const };
    const { sample } = await service.call('removals', alone, () => {}, neverCancelled);
    layers.push({
      name,
      preview: { first: first[0], next: spread(next[0]) },
      whole: { first: first[1], next: spread(next[1]) },
      eachAlone: { milliseconds: performance.now() - began, sample },
    });
  }
  console.log(JSON.stringify({ machine: machine(), layers }, null, 2));
  await service.call('close', { trace: 'a' }, () => {}, neverCancelled);
  rmSync(folder, { recursive: true });
}

void main();
