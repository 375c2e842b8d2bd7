/** Following a training run, with everything but VS Code itself: sessions, worker service, files on disk. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import v8 from 'node:v8';
import vm from 'node:vm';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CancelledError } from '../../../src/errors';
import { saveId } from '../../../src/live/figures';
import { HistoryStore } from '../../../src/live/historyStore';
import { Live } from '../../../src/live/live';
import type { HistoryView, HostMessage } from '../../../src/panels/protocol';
import type { TraceSession } from '../../../src/panels/session';
import { Sessions } from '../../../src/panels/sessions';
import type { WorkerClient } from '../../../src/worker/client';
import { Service } from '../../../src/worker/service';
import { notifications, Uri } from './vscodeStub';

vi.mock('vscode', async () => (await import('./vscodeStub')).stub);

const fixtures = path.resolve(import.meta.dirname, '../../fixtures/inr');
const samples = path.resolve(import.meta.dirname, '../../../samples/pictures/checkpoints');
const read = (name: string) => fs.readFileSync(path.join(fixtures, name));
/** Two networks of one architecture, and one of another. */
const [first, other] = [read('siren-notebook.pt'), read('xinc-fourier.pt')];
const root = fs.mkdtempSync(path.join(tmpdir(), 'neural-canvas-live-'));
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

/** The worker's service in this thread, so that its memory counts too. */
function inThread(service: Service) {
  const calls: string[] = [];
  let open = 0;
  let most = 0;
  const client = {
    async call(call: never, params: never, options: { signal?: AbortSignal; onEvent?: never } = {}) {
      const { signal } = options;
      const cancel = {
        get cancelled() {
          return signal?.aborted ?? false;
        },
        throwIfCancelled() {
          if (signal?.aborted) throw new CancelledError();
        },
      };
      calls.push(call);
      // Takes longer than everything else here, and is tested elsewhere.
      if (call === 'cluster') throw new CancelledError();
      if (call === 'trace') most = Math.max(most, ++open);
      try {
        return await service.call(call, params, options.onEvent ?? (() => {}), cancel);
      } finally {
        if (call === 'trace') open--;
      }
    },
  } as unknown as WorkerClient;
  const of = (name: string) => calls.filter((call) => call === name).length;
  return { client, of, mostAtOnce: () => most };
}

function setUp(settings: Record<string, unknown> = {}) {
  const folder = fs.mkdtempSync(path.join(root, 'run-'));
  const file = path.join(folder, 'model.pt');
  const worker = inThread(new Service());
  const log = { info() {}, warn() {}, error: (error: unknown) => errors.push(String(error)) } as never;
  const errors: string[] = [];
  const values: Record<string, unknown> = {
    'live.settleTime': 30,
    'live.pollingInterval': 0.05,
    'live.pauseOnBattery': false,
    ...settings,
  };
  let pins: readonly string[] = [];
  const corrections = () => ({ size: '6x8' });
  const sessions: Sessions = new Sessions({
    client: worker.client,
    log,
    corrections,
    resources: () => ({ memoryBudget: 2 ** 28 }),
    analyseUnasked: () => false,
    remember: () => {},
    remembered: () => undefined,
    past: (uri, save) => live.past(uri, save),
  });
  const store = new HistoryStore(
    path.join(folder, 'history'),
    { saves: () => 20, bytes: () => 1e8 },
    (text) => errors.push(text),
  );
  const live: Live = new Live({
    client: worker.client,
    sessions,
    store,
    log,
    setting: (name, otherwise) => (values[name] ?? otherwise) as never,
    traceOptions: (uri) => ({
      file: uri.fsPath,
      corrections: corrections(),
      method: 'xinc',
      memoryBudget: 2 ** 28,
    }),
    pins: {
      get: () => pins,
      set: (files) => {
        pins = files;
        return Promise.resolve();
      },
    },
  });
  cleanUp.push(() => {
    live.dispose();
    sessions.dispose();
  });
  return { file, uri: Uri.file(file) as never, worker, sessions, live, store, values, errors };
}

const cleanUp: (() => void)[] = [];
afterEach(() => cleanUp.splice(0).forEach((clean) => clean()));
beforeEach(() => notifications.splice(0));

/** What a canvas would have been shown: states of the session, and its history as last told. */
function watched(session: TraceSession) {
  const states: string[] = [];
  const seen = { states, history: null as HistoryView | null, emptied: 0 };
  const take = (message: HostMessage): void => {
    if (message.type === 'session' && message.session) states.push(message.session.status.state);
    if (message.type === 'history') seen.history = message.history;
    if (message.type === 'reset') seen.emptied++;
    if (message.type === 'replace') message.messages.forEach(take);
  };
  session.onMessage(take);
  for (const message of session.replay()) take(message);
  return seen;
}

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 15_000, interval: 20 });

/** Opens a canvas of the file, and waits until it is traced and noted. */
async function opened({ sessions, uri }: ReturnType<typeof setUp>) {
  const session = sessions.acquire(uri);
  const seen = watched(session);
  await until(() => expect(seen.history?.saves).toHaveLength(1));
  expect(session.view.status).toEqual({ state: 'ready' });
  seen.states.splice(0);
  seen.emptied = 0;
  return { session, seen };
}

describe('an open checkpoint', () => {
  it('is traced again when it is overwritten in pieces, without a word and without a gap', async () => {
    const run = setUp({ 'live.settleTime': 60 });
    fs.writeFileSync(run.file, first);
    const { session, seen } = await opened(run);
    const before = session.view;
    session.select({
      layer: 1,
      neurons: [
        { layer: 1, neuron: 2 },
        { layer: 1, neuron: 100_000 },
      ],
      pixel: { row: 1, column: 2 },
    });

    fs.writeFileSync(run.file, '');
    for (let at = 0; at < other.length; at += Math.ceil(other.length / 4)) {
      fs.appendFileSync(run.file, other.subarray(at, at + Math.ceil(other.length / 4)));
      // Longer than it takes to settle: the half-written file is looked at, and left alone.
      await delay(150);
    }
    await until(() => expect(seen.history?.saves).toHaveLength(2));
    expect(session.view.inspection?.family).not.toBe(before.inspection?.family);
    expect(new Set(seen.states)).toEqual(new Set(['ready']));
    expect(seen.history?.note).toBeNull();
    expect(seen.emptied).toBe(0);
    expect(notifications).toHaveLength(1);
    const [{ selection }] = [...session.replay()].filter((message) => message.type === 'selection');
    expect(selection).toMatchObject({
      layer: 1,
      neurons: [{ layer: 1, neuron: 2 }],
      pixel: { row: 1, column: 2 },
    });
    expect(run.errors).toEqual([]);
  });

  it('keeps its picture when what was saved cannot be read, and goes on with the next save', async () => {
    const run = setUp();
    fs.writeFileSync(run.file, first);
    const { session, seen } = await opened(run);
    const trace = session.view.id;
    fs.writeFileSync(run.file, other.subarray(0, other.length / 2));
    await delay(400);
    expect(session.view).toMatchObject({ id: trace, status: { state: 'ready' } });
    fs.rmSync(run.file);
    await delay(200);
    expect(session.view).toMatchObject({ id: trace, status: { state: 'ready' } });
    fs.writeFileSync(`${run.file}.tmp`, other);
    fs.renameSync(`${run.file}.tmp`, run.file);
    await until(() => expect(seen.history?.saves).toHaveLength(2));
    expect(new Set(seen.states)).toEqual(new Set(['ready']));
  });

  it('says when a save holds no network to trace', async () => {
    const run = setUp();
    fs.writeFileSync(run.file, first);
    const { session, seen } = await opened(run);
    fs.copyFileSync(path.resolve(fixtures, '../others/resnet.pth'), run.file);
    await until(() => expect(seen.history?.note).toMatch(/model\.pt is not recognised as an INR/));
    expect(session.view.status).toEqual({ state: 'ready' });
    fs.writeFileSync(run.file, other);
    await until(() => expect(seen.history?.saves).toHaveLength(2));
    expect(seen.history?.note).toBeNull();
  });

  it('recovers by itself when it was opened half-written', async () => {
    const run = setUp();
    fs.writeFileSync(run.file, first.subarray(0, 100));
    const session = run.sessions.acquire(run.uri);
    await until(() => expect(session.view.status.state).toBe('failed'));
    fs.writeFileSync(run.file, first);
    await until(() => expect(session.view.status).toEqual({ state: 'ready' }));
  });

  it('waits while paused, and then takes the newest', async () => {
    const run = setUp();
    fs.writeFileSync(run.file, first);
    const { seen } = await opened(run);
    run.live.pause(true);
    await until(() => expect(seen.history?.following).toBe('paused'));
    const traces = run.worker.of('trace');
    fs.copyFileSync(path.join(samples, 'siren_step0050.pth'), run.file);
    await delay(200);
    fs.writeFileSync(run.file, other);
    await delay(200);
    expect(run.worker.of('trace')).toBe(traces);
    run.live.pause(false);
    await until(() => expect(seen.history?.saves).toHaveLength(2));
    expect(run.worker.of('trace')).toBe(traces + 1);
  });

  it('shows an earlier save, and the current one again', async () => {
    const run = setUp();
    fs.writeFileSync(run.file, first);
    const { session, seen } = await opened(run);
    const [early] = seen.history!.saves;
    const pictures = () =>
      [...session.replay()].flatMap((message) =>
        message.type === 'picture' ? [[...message.picture.rgba]] : [],
      );
    const map = () => session.answer('map', { neuron: { layer: 1, neuron: 2 } });
    const [picture, exact] = [pictures(), await map()];
    fs.writeFileSync(run.file, other);
    await until(() => expect(seen.history?.saves).toHaveLength(2));
    const now = pictures();
    expect(now).not.toEqual(picture);

    await session.look(early.id);
    expect(pictures()).toEqual(picture);
    expect(session.view).toMatchObject({ past: { id: early.id }, psnr: early.psnr });
    const coarse = (await map()) as typeof exact & { data: Float32Array };
    // The picture is small enough for previews of every pixel, in 8 bits.
    const { data } = exact as typeof coarse;
    const limit = Math.max(...data.map(Math.abs));
    for (const [i, value] of data.entries())
      expect(Math.abs(coarse.data[i] - value)).toBeLessThan(limit / 100);
    await expect(session.answer('probe', { row: 0, column: 0 })).rejects.toThrow(/current save/);

    await session.look(null);
    expect(session.view.past).toBeNull();
    expect(pictures()).toEqual(now);
  });
});

describe('a pinned checkpoint', () => {
  it('gets a history without a canvas', async () => {
    const run = setUp();
    fs.writeFileSync(run.file, first);
    await run.live.pin(run.uri, true);
    const saves = () => run.store.list((run.uri as Uri).toString());
    await until(async () => expect(await saves()).toHaveLength(1));
    fs.writeFileSync(run.file, other);
    await until(async () => expect(await saves()).toHaveLength(2));
    await run.live.pin(run.uri, false);
    fs.copyFileSync(path.join(samples, 'siren_step0050.pth'), run.file);
    await delay(300);
    expect(await saves()).toHaveLength(2);
    expect(run.worker.of('close')).toBe(run.worker.of('trace'));
  });
});

describe('a run that saves all the time', () => {
  const handles = () => fs.readdirSync('/proc/self/fd').length;
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as () => void;
  const memory = async () => {
    for (let i = 0; i < 3; i++) {
      collect();
      await delay(20);
    }
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };

  it.skipIf(process.platform !== 'linux')(
    'is followed through 1,000 saves, newest first, with memory and handles as before',
    async () => {
      const run = setUp({ 'live.settleTime': 1, 'live.pollingInterval': 0.01 });
      fs.writeFileSync(run.file, first);
      const { session, seen } = await opened(run);
      // Every save has other bytes: torch.save’s archive may end in a comment.
      const save = async (n: number) => {
        const bytes = Buffer.concat([n % 2 ? first : other]);
        const noted = Buffer.concat([bytes, Buffer.from(String(n).padStart(8))]);
        noted.writeUInt16LE(8, bytes.length - 2);
        if (n % 3 === 0) fs.writeFileSync(run.file, noted);
        else {
          fs.writeFileSync(`${run.file}.tmp`, noted);
          fs.renameSync(`${run.file}.tmp`, run.file);
        }
        await delay(n % 20 ? 0 : 10);
      };
      const settled = () =>
        until(() => {
          const content = createHash('sha256').update(fs.readFileSync(run.file)).digest('hex');
          expect(seen.history).toMatchObject({ current: saveId(content), following: 'following' });
        });
      for (let n = 0; n < 300; n++) await save(n);
      await settled();
      const before = { handles: handles(), memory: await memory() };
      for (let n = 300; n < 1000; n++) await save(n);
      await settled();
      const after = { handles: handles(), memory: await memory() };
      expect(run.worker.mostAtOnce()).toBe(1);
      const traces = run.worker.of('trace');
      expect(traces).toBeGreaterThan(5);
      expect(traces).toBeLessThan(1000);
      expect(session.view.inspection?.title).toMatch(/SIREN/);
      expect(seen.history?.saves.length).toBeLessThanOrEqual(20);
      expect(Math.abs(after.handles - before.handles)).toBeLessThanOrEqual(2);
      expect(after.memory).toBeLessThan(1.1 * before.memory);
      expect(new Set(seen.states)).toEqual(new Set(['ready']));
    },
    60_000,
  );
});
