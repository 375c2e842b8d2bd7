import { readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { WorkerClient } from '../../../src/worker/client';
import type { TraceOptions } from '../../../src/worker/protocol';
import { spread } from './measure';

/** A new worker each time, when the same was traced before: the trace, then the first map and the next one. */
export async function fromCache(folder: string, options: TraceOptions, runs: number) {
  const place = path.join(folder, 'cache');
  const cached = { ...options, cache: { folder: place, bytes: 1e9 } };
  const times: Record<'trace' | 'firstMap' | 'nextMap', number[]> = { trace: [], firstMap: [], nextMap: [] };
  for (let run = 0; run <= runs; run++) {
    const client = new WorkerClient(path.resolve('dist/worker.js'));
    let began = performance.now();
    const lap = (name: keyof typeof times) => {
      // The first run only fills the cache.
      if (run > 0) times[name].push(performance.now() - began);
      began = performance.now();
    };
    const result = await client.call('trace', { trace: 'cached', options: cached });
    if ('notAnInr' in result) throw new Error(result.notAnInr.message);
    if (result.restored !== run > 0) throw new Error('not what the cache should give');
    lap('trace');
    const layer = result.layers.length - 1;
    for (const [neuron, name] of (['firstMap', 'nextMap'] as const).entries()) {
      await client.call('map', { trace: 'cached', neuron: { layer, neuron } });
      lap(name);
    }
    await client.dispose();
  }
  const bytes = readdirSync(place).reduce((sum, name) => sum + statSync(path.join(place, name)).size, 0);
  rmSync(place, { recursive: true });
  const spreads = Object.fromEntries(Object.entries(times).map(([name, values]) => [name, spread(values)]));
  return { ...spreads, mebibytes: Math.round((10 * bytes) / 2 ** 20) / 10 };
}
