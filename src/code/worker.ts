/** Shell of the thread that reads code: messages in, messages out. The work is in `service.ts`. */
import os from 'node:os';
import { parentPort } from 'node:worker_threads';
import type { CodeCallMessage, CodeReply } from './protocol';
import { CodeService } from './service';

// On Linux a priority belongs to the thread; elsewhere it would be the whole extension host's.
if (process.platform === 'linux') os.setPriority(5);

const port = parentPort;
if (!port) throw new Error('code.js runs in a worker thread only.');

const service = new CodeService();

port.on('message', ({ id, call, params }: CodeCallMessage) => {
  const post = (reply: CodeReply) => port.postMessage(reply);
  service.call(call, params).then(
    (result) => post({ id, result }),
    (error: unknown) => {
      const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
      post({ id, error: { name, message, ...(stack && { stack }) } });
    },
  );
});
