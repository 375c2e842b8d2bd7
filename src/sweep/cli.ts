/** `neural-canvas sweep`: one row a checkpoint. */
import os from 'node:os';
import path from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { engineNamed } from '../engine/choices';
import { UsageError } from '../errors';
import { WorkerClient } from '../worker/client';
import { filesOf } from './glob';
import { Results, type Plan } from './results';
import { columns, csv, type SweepRow } from './row';
import { merged, runSweep } from './run';
import { slurmOwner, submit } from './slurm';

export const sweepOptions = {
  json: { type: 'boolean' },
  out: { type: 'string' },
  jobs: { type: 'string' },
  merge: { type: 'boolean' },
  retry: { type: 'boolean' },
  share: { type: 'string' },
  slurm: { type: 'boolean' },
  tasks: { type: 'string' },
  sbatch: { type: 'string', multiple: true },
  config: { type: 'string' },
  target: { type: 'string' },
  engine: { type: 'string' },
} as const;

interface Values {
  json?: boolean;
  out?: string;
  jobs?: string;
  merge?: boolean;
  retry?: boolean;
  share?: string;
  slurm?: boolean;
  tasks?: string;
  sbatch?: string[];
  config?: string;
  target?: string;
  engine?: string;
}

const MEMORY_BUDGET = 2 ** 30;

function count(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new UsageError(`--${name} takes a whole number of at least 1, not ${JSON.stringify(text)}.`);
  }
  return value;
}

function shareOf(text: string | undefined): { index: number; of: number } | undefined {
  if (text === undefined) return undefined;
  const [, index, of] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (!(of > 0 && index < of)) {
    throw new UsageError(`--share takes I/N with I from 0 to N − 1, not ${JSON.stringify(text)}.`);
  }
  return { index, of };
}

/** @param worker the bundled worker @param corrections of `--set` */
export async function sweep(
  values: Values,
  patterns: readonly string[],
  corrections: Readonly<Record<string, string>>,
  worker: string,
  print: (text: string) => void,
): Promise<void> {
  const { out } = values;
  if (out === undefined) throw new UsageError('Say with --out which folder the results go into.');
  const folder = path.resolve(out);
  const results = new Results(folder, slurmOwner());
  const share = shareOf(values.share);
  const jobs = count('jobs', values.jobs, Math.max(1, Math.floor(os.availableParallelism() / 2)));

  if (values.merge) {
    await finish(await results.plan(), results, values, print);
    return;
  }
  let plan: Plan;
  if (patterns.length === 0) {
    // A task of an array, or a sweep that is taken up again.
    plan = await results.plan();
  } else {
    const files = await filesOf(patterns);
    if (files.length === 0) {
      throw new UsageError(`No file matches ${patterns.join(' ')}; quote patterns, and check the folder.`);
    }
    plan = {
      files,
      options: {
        corrections,
        ...(values.config !== undefined && { config: path.resolve(values.config) }),
        ...(values.target !== undefined && { target: path.resolve(values.target) }),
        ...(values.engine !== undefined && { engine: engineNamed(values.engine) }),
      },
    };
    await results.prepare();
    await results.write('sweep.json', JSON.stringify(plan, null, 1));
  }
  if (values.slurm) {
    const tasks = Math.min(count('tasks', values.tasks, 8), plan.files.length);
    const command = [process.execPath, process.argv[1], 'sweep', '--out', folder, '--jobs', String(jobs)];
    const more = (values.sbatch ?? []).flatMap((text) => text.split(/\s+/).filter(Boolean));
    const job = await submit(folder, command, tasks, jobs, more);
    if (values.json) print(JSON.stringify({ job, tasks, files: plan.files.length, out: folder }));
    else {
      print(`Submitted job ${job}: ${tasks} tasks for ${plan.files.length} checkpoints.`);
      print(`Rows so far: neural-canvas sweep --merge --out ${JSON.stringify(out)}`);
    }
    return;
  }
  await results.prepare();
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  const engine = engineNamed(values.engine ?? (plan.options.engine as string | undefined) ?? 'auto');
  const clients = Array.from({ length: jobs }, () => new WorkerClient(worker, { engine: () => engine }));
  let done = 0;
  try {
    await runSweep({
      plan,
      results,
      clients,
      signal: abort.signal,
      retry: values.retry ?? false,
      ...(share && { share }),
      traceOptions: (file) => ({
        file,
        method: 'xinc',
        memoryBudget: MEMORY_BUDGET / jobs,
        corrections: plan.options.corrections as Readonly<Record<string, string>>,
        ...(plan.options.config !== undefined && { config: plan.options.config as string }),
        ...(plan.options.target !== undefined && { target: plan.options.target as string }),
      }),
      onFile: (file) => {
        done++;
        if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${done} ${path.basename(file)}`);
      },
    });
  } finally {
    await Promise.all(clients.map((client) => client.dispose()));
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    // Whatever there is, also after a cancellation; whoever is last writes all of it.
    await finish(plan, results, values, print, abort.signal.aborted);
  }
}

async function finish(
  plan: Plan,
  results: Results,
  { json, share }: Values,
  print: (text: string) => void,
  quiet = false,
): Promise<void> {
  const { rows, missing } = await merged(plan, results);
  await results.write('sweep.csv', csv(rows));
  if (rows.length > 0) await results.write('sweep.parquet', new Uint8Array(parquet(rows)));
  if (quiet) return;
  const of = (status: SweepRow['status']) => rows.filter((row) => row.status === status).length;
  const file = path.join(results.folder, 'sweep.csv');
  if (json) {
    const counts = {
      rows: rows.length,
      traced: of('traced'),
      notAnInr: of('not an INR'),
      errors: of('error'),
    };
    print(
      JSON.stringify({ ...counts, missing, csv: file, parquet: file.replace(/csv$/, 'parquet') }, null, 2),
    );
    return;
  }
  print(
    `${rows.length} of ${plan.files.length} checkpoints: ${of('traced')} traced, ${of('not an INR')} no INR, ${of('error')} with an error` +
      `${missing > 0 && share === undefined ? `, ${missing} missing` : ''}. ${file}`,
  );
}

const integers = new Set<string>([
  'height',
  'width',
  'channels',
  'frames',
  'parameters',
  'layers',
  'neurons',
  'dead',
  'bytes',
  'milliseconds',
]);
const reals = new Set<string>(['psnr', 'gini', 'holdHalf', 'residual']);

export function parquet(rows: readonly SweepRow[]): ArrayBuffer {
  return parquetWriteBuffer({
    columnData: columns.map((name) => {
      const values = rows.map((row) => row[name]);
      if (integers.has(name)) {
        return {
          name,
          data: values.map((value) => (value === null ? null : BigInt(Math.round(Number(value))))),
          type: 'INT64' as const,
          nullable: true,
        };
      }
      if (reals.has(name)) return { name, data: values, type: 'DOUBLE' as const, nullable: true };
      return { name, data: values.map((value) => String(value ?? '')), type: 'STRING' as const };
    }),
  });
}
