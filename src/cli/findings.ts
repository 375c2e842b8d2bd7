/** `trace --report`, `--csv` and what `--json` says beyond the trace. */
import fs from 'node:fs';
import path from 'node:path';
import { ExitCode, UsageError, UserError } from '../errors';
import type { FindingsDocument } from '../findings/document';
import { findingsJson, findingsMarkdown, reportHtml } from '../findings/report';
import type { Method } from '../tracing/types';
import type { EventOf, Params, Result, TraceResult } from '../worker/protocol';

const methods: readonly string[] = ['xinc', 'gradient', 'ablation'] satisfies Method[];

export function methodOf(text: string | undefined): Method {
  if (text === undefined) return 'xinc';
  if (methods.includes(text)) return text as Method;
  throw new UsageError(`--method takes xinc, gradient or ablation, not ${JSON.stringify(text)}.`);
}

export function baselineOf(text: string | undefined): 'zero' | 'mean' | undefined {
  if (text === undefined || text === 'zero' || text === 'mean') return text;
  throw new UsageError(`--baseline takes zero or mean, not ${JSON.stringify(text)}.`);
}

interface Calls {
  call(
    name: 'findings',
    params: Params<'findings'>,
    emit: (event: EventOf<'findings'>) => void,
  ): Promise<Result<'findings'>>;
}

interface Asked {
  readonly json?: boolean;
  readonly report?: string;
  readonly objects?: string;
  readonly clip?: boolean;
}

/** Computed when somebody will read it. @param folder whether `objects` is one, of label pictures @throws UserError when the report cannot be written */
export async function findingsFor(
  run: Calls,
  { json, report, objects, clip = false }: Asked,
  folder: boolean,
  progress: (text: string) => void,
): Promise<FindingsDocument | undefined> {
  if (!json && report === undefined) {
    if (objects !== undefined && !folder)
      throw new UsageError('--objects is for the report; give --report or --json too.');
    return undefined;
  }
  const findings = await run.call(
    'findings',
    { trace: 'cli', clip, ...(objects !== undefined && { objects: path.resolve(objects) }) },
    (event) => {
      if (event.type === 'phase') progress(`${event.detail} ${Math.round(event.fraction * 100)} %`);
    },
  );
  if (report !== undefined) {
    const kind = path.extname(report).toLowerCase();
    const write = kind === '.json' ? findingsJson : kind === '.md' ? findingsMarkdown : reportHtml;
    writeText(path.resolve(report), write(findings));
  }
  return findings;
}

/** @throws UserError */
export function writeText(file: string, text: string): void {
  try {
    fs.writeFileSync(file, text);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UserError(
      `${file} could not be written (${reason}); choose another folder.`,
      ExitCode.unreadable,
    );
  }
}

/** RFC 4180; a name that a spreadsheet would take for a formula gets an apostrophe in front. */
function field(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function neuronsCsv({ layers }: TraceResult): string {
  const lines = ['layer,neuron,total,share,mean_abs,mean,max_abs,pixels,dead'];
  for (const { name, statistics: s } of layers) {
    for (let i = 0; i < s.total.length; i++) {
      const numbers = [
        i,
        s.total[i],
        s.share[i],
        s.mean[i],
        s.signedMean[i],
        s.max[i],
        s.pixels[i],
        s.dead[i],
      ];
      lines.push([field(name), ...numbers].join(','));
    }
  }
  return `${lines.join('\r\n')}\r\n`;
}
