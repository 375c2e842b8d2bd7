/** Shell of the worker thread: messages in, messages out. The work is in `service.ts`. */
import os from 'node:os';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { countNativeCallsWith, endNativeCalls } from '../engine/nativeCalls';
import { cancelWhen } from '../errors';
import { serialiseError } from './errors';
import { handedOver } from './handOver';
import { layOutIn, layoutScript } from './layout';
import { Pool, tilesScript } from './pool';
import type { ThreadData } from './poolProtocol';
import type { CallMessage, WorkerMessage } from './protocol';
import { Service } from './service';

// The editor comes first: its server and extension host share the cores with us. On Linux a priority
// belongs to the thread (and those it starts); elsewhere it would be the whole extension host's.
if (process.platform === 'linux') os.setPriority(5);

const port = parentPort;
if (!port) throw new Error('worker.js runs in a worker thread only.');

const own = countNativeCallsWith((workerData as ThreadData).nativeCalls);
// An error that nobody caught ends this thread, and with it the pool's.
process.once('exit', () => endNativeCalls(own));
serveCalls(port);

function serveCalls(port: MessagePort): void {
  const warn = (warning: string) => port.postMessage({ warning } satisfies WorkerMessage);
  const service = new Service(new Pool(tilesScript()), layOutIn(layoutScript()), warn);
  port.on('message', (message: CallMessage) => {
    const { id, call, params } = message;
    const flag = new Int32Array(message.cancel);
    const cancel = cancelWhen(() => Atomics.load(flag, 0) !== 0);
    const post = (reply: WorkerMessage) => port.postMessage(reply, handedOver(reply));
    service.engines.choice = message.engine;
    service
      .call(call, params, (event) => post({ id, event }), cancel)
      .then(
        (result) => post({ id, result }),
        (error: unknown) => post({ id, error: serialiseError(error) }),
      );
  });
}
