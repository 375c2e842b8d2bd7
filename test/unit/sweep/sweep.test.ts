import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parquetReadObjects } from 'hyparquet';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { CancelledError, UsageError } from '../../../src/errors';
import { parquet, sweep as command } from '../../../src/sweep/cli';
import { filesOf, globExpression } from '../../../src/sweep/glob';
import { Results, type Plan } from '../../../src/sweep/results';
import { csv, failure, type SweepRow } from '../../../src/sweep/row';
import { commonFolder, merged, runSweep, type SweepOptions } from '../../../src/sweep/run';
import { quoted, slurmScript } from '../../../src/sweep/slurm';
import type { WorkerClient } from '../../../src/worker/client';
import { Service } from '../../../src/worker/service';

const fixtures = path.resolve(import.meta.dirname, '../../fixtures');
const root = fs.realpathSync(fs.mkdtempSync(path.join(tmpdir(), 'neural-canvas-sweep-')));
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

let folder: string;
let out: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(root, 'runs-'));
  out = path.join(folder, 'results');
});

const put = (name: string, from: string | Buffer) => {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  if (typeof from === 'string') fs.copyFileSync(path.join(fixtures, from), file);
  else fs.writeFileSync(file, from);
  return file;
};

/** A worker in this thread. @param slow ms a trace takes longer */
function worker(slow = 0) {
  const service = new Service();
  const traced: string[] = [];
  const client = {
    async call(
      call: never,
      params: { options?: { file: string } },
      { signal }: { signal?: AbortSignal } = {},
    ) {
      if (call === 'trace') {
        traced.push(path.basename(params.options!.file));
        await new Promise((resolve) => setTimeout(resolve, slow));
        if (signal?.aborted) throw new CancelledError();
      }
      return service.call(call, params as never, () => {}, { cancelled: false, throwIfCancelled() {} });
    },
  } as unknown as WorkerClient;
  return { client, traced };
}

async function planOf(patterns: readonly string[]): Promise<Plan> {
  return { files: await filesOf(patterns, folder), options: { corrections: { size: '6x8' } } };
}

function sweep(plan: Plan, more: Partial<SweepOptions> & { owner?: string } = {}) {
  const results = new Results(out, more.owner);
  return results
    .prepare()
    .then(() =>
      runSweep({
        plan,
        results,
        clients: [worker().client],
        signal: new AbortController().signal,
        traceOptions: (file) => ({
          file,
          corrections: { size: '6x8' },
          method: 'xinc',
          memoryBudget: 2 ** 28,
        }),
        ...more,
      }),
    )
    .then((counts) => ({ counts, results }));
}

describe('files of a sweep', () => {
  it.each([
    ['runs/**/*.pth', ['runs/a.pth', 'runs/x/y/b.pth'], ['runs/a.pt', 'other/a.pth', 'runs/a.pth.inr.json']],
    ['*.{pt,pth}', ['a.pt', 'b.pth'], ['x/a.pt', 'a.ptx']],
    ['r?n/(1)+.pt', ['run/(1)+.pt'], ['run/11.pt', 'ruun/(1)+.pt']],
  ])('%s', (pattern, yes, no) => {
    const expression = globExpression(pattern);
    for (const name of yes) expect(expression.test(name), name).toBe(true);
    for (const name of no) expect(expression.test(name), name).toBe(false);
  });

  it('are found once each, in folders and by pattern, and not in circles', async () => {
    const a = put('b/model.pth', 'inr/siren-notebook.pt');
    const b = put('a/x/model.ckpt', 'inr/siren-notebook.pt');
    put('node_modules/c/model.pth', Buffer.from('x'));
    put('a/notes.txt', Buffer.from('x'));
    fs.symlinkSync(folder, path.join(folder, 'a/loop'));
    expect(await filesOf(['.', '**/*.pth'], folder)).toEqual([b, a]);
    expect(await filesOf(['missing.pth'], folder)).toEqual([path.join(folder, 'missing.pth')]);
    expect(await filesOf(['*.onnx'], folder)).toEqual([]);
    expect(commonFolder([a, b])).toBe(folder);
  });
});

describe('a sweep', () => {
  const set = () => {
    put('one/a.pt', 'inr/siren-notebook.pt');
    put('two/copy-of-a.pt', 'inr/siren-notebook.pt');
    put('two/b.pt', 'inr/xinc-fourier.pt');
    put('resnet.pth', 'others/resnet.pth');
    put('text.pth', Buffer.from('no checkpoint'));
    return planOf(['**/*.{pt,pth}']);
  };

  it('gives one row a file, traces each content once, and survives files that are none', async () => {
    const plan = await set();
    const { client, traced } = worker();
    const { results } = await sweep(plan, { clients: [client, client] });
    const { rows, missing } = await merged(plan, results);
    expect(missing).toBe(0);
    expect(rows.map(({ file, status }) => [file, status])).toEqual([
      ['one/a.pt', 'traced'],
      ['resnet.pth', 'not an INR'],
      ['text.pth', 'error'],
      ['two/b.pt', 'traced'],
      ['two/copy-of-a.pt', 'traced'],
    ]);
    expect(traced.filter((name) => name.endsWith('a.pt'))).toHaveLength(1);
    expect(rows[0]).toMatchObject({ sha256: rows[4].sha256, height: 6, width: 8, psnr: null });
    expect(rows[2].message).toMatch(/^text\.pth is a text file/);
    expect(rows[1].message).toMatch(/resnet\.pth is not recognised/);
    expect(fs.readdirSync(path.join(out, 'claims'))).toEqual([]);
  });

  it('goes on where it was: nothing is traced twice, what has changed is', async () => {
    const plan = await set();
    const abort = new AbortController();
    const { client, traced } = worker();
    const stop = sweep(plan, { clients: [client], signal: abort.signal, onFile: () => abort.abort() });
    await expect(stop).rejects.toThrow(CancelledError);
    expect(traced).toHaveLength(1);
    await sweep(plan, { clients: [client] });
    expect(traced).toHaveLength(4);
    await sweep(plan, { clients: [client] });
    expect(traced).toHaveLength(4);
    put('one/a.pt', 'inr/siren-notebook-omegas.pt');
    const { results } = await sweep(plan, { clients: [client] });
    expect(traced).toHaveLength(5);
    const { rows } = await merged(plan, results);
    expect(rows[0].sha256).not.toBe(rows[4].sha256);
    await sweep(plan, { clients: [client], retry: true });
    expect(traced.slice(5)).toEqual(['text.pth']);
  });

  it('is one sweep when several share it, whatever their shares', async () => {
    const plan = await set();
    const workers = [worker(50), worker(50), worker(50)];
    await Promise.all(
      workers.map(({ client }, index) =>
        sweep(plan, { clients: [client], owner: `slurm:7_${index}`, share: { index, of: 3 } }),
      ),
    );
    const all = workers.flatMap(({ traced }) => traced);
    expect(all).toHaveLength(4);
    const { rows, missing } = await merged(plan, new Results(out));
    expect([rows.length, missing]).toEqual([5, 0]);
  });

  it('takes over from those who died, and leaves those who live alone', async () => {
    put('a.pt', 'inr/siren-notebook.pt');
    const plan = await planOf(['*.pt']);
    const { results } = await sweep(plan);
    const [row] = fs.readdirSync(path.join(out, 'rows'));
    const key = row.replace('.json', '');
    const claimedBy = async (owner: string, age = 0) => {
      const claim = path.join(out, 'claims', key);
      fs.writeFileSync(claim, owner);
      fs.utimesSync(claim, new Date(), new Date(Date.now() - age));
      const taken = await new Results(out, 'slurm:5_1').claim(key);
      await taken?.release();
      fs.rmSync(claim, { force: true });
      return taken !== null;
    };
    expect(await claimedBy('slurm:5_2')).toBe(false);
    expect(await claimedBy('slurm:5_1')).toBe(true);
    expect(await claimedBy('slurm:5_2', 120_000)).toBe(true);
    expect(await claimedBy('elsewhere:1')).toBe(false);
    const { hostname } = await import('node:os');
    expect(await claimedBy(`${hostname()}:4194000`)).toBe(true);
    expect(await claimedBy(`${hostname()}:${process.ppid}`)).toBe(false);
    expect(await results.keep(key, { status: 'error' } as never)).toBe(false);
  });

  it('computes again what a full disk has cut off', async () => {
    put('a.pt', 'inr/siren-notebook.pt');
    const plan = await planOf(['*.pt']);
    const { client, traced } = worker();
    await sweep(plan, { clients: [client] });
    const [row] = fs.readdirSync(path.join(out, 'rows'));
    fs.truncateSync(path.join(out, 'rows', row), 20);
    const { results } = await sweep(plan, { clients: [client] });
    expect(traced).toHaveLength(2);
    expect((await merged(plan, results)).rows[0]?.status).toBe('traced');
  });
});

describe('tables', () => {
  const row = (change: Partial<SweepRow>): SweepRow => ({
    ...failure(''),
    file: 'a.pt',
    sha256: '',
    modified: '',
    status: 'traced',
    psnr: 31.5,
    neurons: 12,
    bytes: 2 ** 40,
    ...change,
  });

  it('are read back as they were', async () => {
    const rows = [row({}), row({ file: 'b "x", y\n.pt', psnr: null, neurons: null })];
    const objects = (await parquetReadObjects({ file: parquet(rows) })) as Record<string, unknown>[];
    expect(objects.map(({ file, psnr, neurons, bytes }) => ({ file, psnr, neurons, bytes }))).toEqual([
      { file: 'a.pt', psnr: 31.5, neurons: 12n, bytes: 2n ** 40n },
      { file: 'b "x", y\n.pt', psnr: null, neurons: null, bytes: 2n ** 40n },
    ]);
    const text = csv(rows);
    expect(text.split('\r\n')[0]).toMatch(/^file,status,/);
    expect(text).toContain('\r\n"b ""x"", y\n.pt",traced,');
  });

  it('of Slurm take names as they are', () => {
    expect(quoted(`it's $(rm -rf)`)).toBe(`'it'\\''s $(rm -rf)'`);
    expect(slurmScript(['node', 'a b'], 4)).toContain(
      `exec 'node' 'a b' --share "\${SLURM_ARRAY_TASK_ID}/4"`,
    );
  });
});

describe('--engine', () => {
  /** A worker that finds no INR and tells its engine instead of a format. */
  const telling = () =>
    put(
      'worker.js',
      Buffer.from(`const { parentPort } = require('node:worker_threads');
        parentPort.on('message', ({ id, call, engine }) => parentPort.postMessage({
          id,
          result: call === 'digest'
            ? { sha256: '00', bytes: 1, modified: 1 }
            : { notAnInr: { format: engine, message: 'none' } },
        }));`),
    );
  const formats = async () =>
    (await merged(await new Results(out).plan(), new Results(out))).rows.map(({ format }) => format);

  it('is what every worker computes with, also when the sweep is taken up again', async () => {
    const file = put('a.pt', 'inr/siren-coin.pt');
    await command({ out, engine: 'tensorflow', jobs: '1' }, [file], {}, telling(), () => {});
    expect(await formats()).toEqual(['tensorflow']);
    fs.rmSync(path.join(out, 'rows'), { recursive: true });
    await command({ out }, [], {}, telling(), () => {});
    expect(await formats()).toEqual(['tensorflow']);
  });

  it('is refused when there is none of that name', async () => {
    const file = put('a.pt', 'inr/siren-coin.pt');
    const refused = command({ out, engine: 'torch' }, [file], {}, telling(), () => {});
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(/--engine takes auto, onnxruntime, tensorflow, not "torch"/);
  });
});
