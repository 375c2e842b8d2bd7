/**
 * Ends the worker in the middle of traces, as a process of its own: `node ending.js WORKER CHECKPOINT HOW`.
 * `dispose` ends it at six moments; `exit` leaves the process while it traces.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { WorkerClient, WorkerDiedError } from '../../../src/worker/client';
import type { TraceEvent } from '../../../src/worker/protocol';

const [script, file, how] = process.argv.slice(2);
const options = { file, corrections: { size: '600x600' }, method: 'xinc', memoryBudget: 2 ** 28 } as const;

/** Resolves when the network is about to be run. */
function tracing(client: WorkerClient): Promise<void> {
  return new Promise((resolve, reject) => {
    const onEvent = (event: TraceEvent) =>
      event.type === 'phase' && event.phase === 'reconstructing' && resolve();
    client.call('trace', { trace: 'a', options }, { onEvent }).catch((error: Error) => {
      if (!(error instanceof WorkerDiedError)) reject(error);
    });
  });
}

async function main(): Promise<void> {
  for (let i = 0; how === 'dispose' && i < 6; i++) {
    const client = new WorkerClient(script);
    await tracing(client);
    await delay(40 * i);
    await client.dispose();
  }
  if (how === 'exit') {
    await tracing(new WorkerClient(script));
    await delay(200);
    process.exit(0);
  }
}
void main();
