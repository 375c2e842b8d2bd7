/** Traces many checkpoints, each content once, on as many workers as are given. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findSidecars } from '../checkpoint/sidecar';
import { CancelledError, UserError } from '../errors';
import type { WorkerClient } from '../worker/client';
import { correctionsFile } from '../worker/corrections';
import type { TraceOptions } from '../worker/protocol';
import { findTarget } from '../worker/target';
import { hash, type Plan, type Results, type SeenFile } from './results';
import { failure, notAnInr, outcomeOf, type Outcome, type SweepRow } from './row';

export interface SweepOptions {
  readonly plan: Plan;
  readonly results: Results;
  /** One file at a time is traced on each. */
  readonly clients: readonly WorkerClient[];
  readonly traceOptions: (file: string) => TraceOptions;
  /** Of several processes this one takes every `of`-th file. */
  readonly share?: { readonly index: number; readonly of: number };
  /** Tries again what ended in an error before. */
  readonly retry?: boolean;
  readonly signal: AbortSignal;
  readonly onFile?: (file: string, outcome: Outcome, how: 'traced' | 'known') => void;
}

export interface SweepCounts {
  readonly files: number;
  /** Contents traced by this process. */
  readonly traced: number;
}

/** @throws CancelledError; what was done until then is kept */
export async function runSweep(options: SweepOptions): Promise<SweepCounts> {
  const { plan, share, clients, signal, results } = options;
  const { index, of } = share ?? { index: 0, of: 1 };
  const queue = plan.files.filter((_, i) => i % of === index);
  const elsewhere: string[] = [];
  let next = 0;
  let traced = 0;
  const work = async (client: WorkerClient) => {
    while (next < queue.length) {
      const file = queue[next++];
      const how = await sweepFile(file, client, options);
      if (how === 'elsewhere') elsewhere.push(file);
      else if (how === 'traced') traced++;
    }
  };
  await Promise.all(clients.map(work));
  // The same content, being traced by somebody else: their row comes, or they die and it is ours.
  while (elsewhere.length > 0) {
    if (signal.aborted) throw new CancelledError();
    const file = elsewhere[0];
    const how = await sweepFile(file, clients[0], options);
    if (how === 'elsewhere') await delay(500);
    else {
      elsewhere.shift();
      if (how === 'traced') traced++;
    }
  }
  await results.prepare();
  return { files: queue.length, traced };
}

async function sweepFile(
  file: string,
  client: WorkerClient,
  { results, traceOptions, retry = false, signal, onFile }: SweepOptions,
): Promise<'traced' | 'known' | 'elsewhere'> {
  if (signal.aborted) throw new CancelledError();
  const options = traceOptions(file);
  const now = await look(options, client, results, signal);
  const known = await results.outcome(now.key);
  const again = retry && known?.status === 'error';
  if (known && !again) {
    onFile?.(file, known, 'known');
    return 'known';
  }
  const claim = await results.claim(now.key);
  if (!claim) return 'elsewhere';
  try {
    // Somebody may have finished between our look and our claim.
    const finished = await results.outcome(now.key);
    if (finished && !(retry && finished.status === 'error')) {
      onFile?.(file, finished, 'known');
      return 'known';
    }
    // One that is to be tried again, or was cut off by a full disk.
    await results.forget(now.key);
    const outcome = await trace(client, options, signal);
    await results.keep(now.key, outcome);
    onFile?.(file, outcome, 'traced');
    return 'traced';
  } finally {
    await claim.release();
  }
}

let traces = 0;

async function trace(client: WorkerClient, options: TraceOptions, signal: AbortSignal): Promise<Outcome> {
  const trace = `sweep#${++traces}`;
  try {
    const result = await client.call('trace', { trace, options }, { signal });
    if ('notAnInr' in result) return notAnInr(result.notAnInr.format, result.notAnInr.message);
    await client.call('close', { trace });
    return outcomeOf(result);
  } catch (error) {
    if (signal.aborted) throw new CancelledError();
    return failure(error instanceof Error ? error.message : String(error));
  }
}

/** Which content the file has now; hashed anew only when it has changed. */
async function look(
  options: TraceOptions,
  client: WorkerClient,
  results: Results,
  signal: AbortSignal,
): Promise<SeenFile> {
  const { file } = options;
  const context = contextOf(options);
  const stat = await fs.promises.stat(file).catch(() => undefined);
  const signature = hash(JSON.stringify([context, stat && [stat.size, stat.mtimeMs, stat.ino]]));
  const before = await results.seen(file);
  if (before?.signature === signature) return before;
  let seen: SeenFile;
  try {
    const { sha256, bytes, modified } = await client.call('digest', { file }, { signal });
    seen = { file, key: hash(`${sha256} ${context}`), sha256, bytes, modified, signature };
  } catch (error) {
    if (signal.aborted) throw new CancelledError();
    if (!(error instanceof UserError)) throw error;
    // What cannot be read has no content; the trace says why.
    const [bytes, modified] = [stat?.size ?? null, stat?.mtimeMs ?? 0];
    seen = { file, key: hash(`${file} ${signature}`), sha256: '', bytes, modified, signature };
  }
  await results.see(seen);
  return seen;
}

/** What the outcome depends on besides the checkpoint’s content: settings, configuration and target beside it. */
function contextOf({ file, corrections, config, target, layers }: TraceOptions): string {
  const bytesOf = (name: string | undefined) => {
    try {
      return name === undefined ? '' : createHash('sha256').update(fs.readFileSync(name)).digest('hex');
    } catch {
      return '';
    }
  };
  const { sidecars } = findSidecars(file);
  const text = JSON.stringify(
    [
      corrections,
      layers,
      bytesOf(config),
      bytesOf(correctionsFile(file)),
      bytesOf(target ?? findTarget(file)),
      sidecars,
      // The name decides which configuration is its own.
      sidecars.length > 0 ? path.basename(file) : '',
    ],
    (_, value: unknown) => (value instanceof Map ? [...(value as Map<unknown, unknown>)] : value),
  );
  return hash(text);
}

/** All rows there are, and how many of the plan’s files have none yet. */
export async function merged(
  plan: Plan,
  results: Results,
): Promise<{ readonly rows: readonly SweepRow[]; readonly missing: number }> {
  const folder = commonFolder(plan.files);
  const rows: SweepRow[] = [];
  for (const file of plan.files) {
    const seen = await results.seen(file);
    const outcome = seen && (await results.outcome(seen.key));
    if (!outcome) continue;
    const { sha256, bytes, modified } = seen;
    rows.push({
      ...outcome,
      file: path.relative(folder, file).split(path.sep).join('/'),
      sha256,
      bytes,
      modified: modified > 0 ? new Date(modified).toISOString() : '',
    });
  }
  return { rows, missing: plan.files.length - rows.length };
}

export function commonFolder(files: readonly string[]): string {
  if (files.length === 0) return path.sep;
  const folders = files.map((file) => path.dirname(file).split(path.sep));
  let depth = 0;
  while (folders.every((parts) => depth < parts.length && parts[depth] === folders[0][depth])) depth++;
  return folders[0].slice(0, depth).join(path.sep) || path.sep;
}
