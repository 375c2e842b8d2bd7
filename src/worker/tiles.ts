/**
 * A thread of the pool: carries out its part of each job that comes. A bundle of its own, a tenth of the
 * worker's size, because each of the threads reads it before the first trace can go on.
 */
import os from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { EngineChooser, enginesWith } from '../engine/choose';
import { countNativeCallsWith } from '../engine/nativeCalls';
import { cancelWhen } from '../errors';
import { drawnSize, runShare, type PassShare, type PassTile } from '../tracing/pass';
import { shareRound, sharesOf, type RoundShare } from '../tracing/video/statistics';
import { serialiseError } from './errors';
import { NEXT, STOP, type Job, type Reply, type ThreadData } from './poolProtocol';

// As in `main.ts`: the editor comes first.
if (process.platform === 'linux') os.setPriority(5);

const port = parentPort!;
countNativeCallsWith((workerData as ThreadData).nativeCalls);
const engines = new EngineChooser(enginesWith(1));
port.on('message', (job: Job) => {
  serve(job).then(
    (result) => {
      const large =
        'layers' in result
          ? result.layers.map(({ counts }) => counts)
          : Object.values(result).filter((value) => ArrayBuffer.isView(value));
      port.postMessage(
        { share: result } satisfies Reply,
        large.map(({ buffer }) => buffer as ArrayBuffer),
      );
    },
    (error: unknown) => port.postMessage({ error: serialiseError(error) } satisfies Reply),
  );
});

async function serve({ work, choice, state }: Job): Promise<PassShare | RoundShare> {
  const cancel = cancelWhen(() => Atomics.load(state, STOP) !== 0);
  if ('round' in work) {
    const { count } = sharesOf(work.round.kernels.layers[0]);
    const claimShare = () => {
      const next = Atomics.add(state, NEXT, 1);
      return next < count ? next : undefined;
    };
    return shareRound(work.round, claimShare, cancel, () => undefined);
  }
  const { pass } = work;
  engines.choice = choice;
  const { engine } = await engines.chosen();
  const { height, width } = drawnSize(pass);
  const pixels = height * width;
  const claim = (size: number) => {
    const start = Atomics.add(state, NEXT, size);
    return start < pixels ? ([start, Math.min(start + size, pixels)] as const) : undefined;
  };
  const send = (tile: PassTile) => {
    const buffers = [tile.output, ...tile.kept.values()].map(({ buffer }) => buffer as ArrayBuffer);
    port.postMessage({ tile } satisfies Reply, [...new Set(buffers)]);
  };
  return runShare(pass, engine, claim, cancel, send);
}
