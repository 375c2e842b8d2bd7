/** Configuration files that training code leaves beside its checkpoints. */
import fs from 'node:fs';
import path from 'node:path';
import { parseDocument } from 'yaml';
import { CheckpointError } from '../errors';
import { fileSource, isInside } from './source';
import type { Sidecar } from './types';
import { resolveReferences, toPlain } from './values';

/** The YAML parser takes time by the square of some inputs; 256 kB of the worst take three seconds. */
const maxBytes = 2 ** 18;
const maxLine = 10_000;

/** By how much they say; paths relative to the checkpoint's folder or the one above. */
const names = [
  'exp_config.yaml',
  'hparams.yaml',
  'cfg.yaml',
  'config.yaml',
  '.hydra/config.yaml',
  'args.yaml',
  'args.json',
  'args.txt',
  'config.json',
  'hparams.json',
  'specs.json',
  'config.ini',
  'config.txt',
  'params.txt',
  'opt.txt',
  'rank0.txt',
  'info.json',
];

/**
 * Reads the known configuration files beside `file`, then one folder up. Links that lead out of the
 * folder are ignored; a file that cannot be read is a warning.
 */
export function findSidecars(file: string): { sidecars: Sidecar[]; warnings: string[] } {
  const sidecars: Sidecar[] = [];
  const warnings: string[] = [];
  const folder = path.dirname(path.resolve(file));
  const stem = path.basename(file, path.extname(file));
  const own = ['.yaml', '.yml', '.json'].map((extension) => stem + extension);
  const spelt = spelledOut(folder);
  for (const place of new Set([folder, path.dirname(folder)])) {
    for (const name of [...own, ...names, ...epochTables(place)]) {
      const candidate = path.join(place, name);
      if (candidate === path.resolve(file) || !isOwnFile(place, candidate)) continue;
      try {
        sidecars.push(readSidecar(candidate, path.relative(folder, candidate)));
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        warnings.push(error.message);
      }
    }
  }
  // Files say more than names.
  if (spelt) sidecars.push(spelt);
  return { sidecars, warnings };
}

/** Options that NeRV's code writes into the name of its run's folder, `…_fc_9_16_26_…_actswish_`. */
const SPELLED: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['embed', /(?:^|_)(?:embed|pe_)?(\d\.\d+_\d+)(?=_)/],
  ['fc_hw_dim', /(?:^|_)fc_?(\d+_\d+_\d+)(?=_|$)/i],
  ['act', /(?:^|_)act_?(gelu|swish|relu|leaky|softplus|sin)(?=_|$)/i],
];

/** The options in the names of the folder and the one above, when there are at least two. */
function spelledOut(folder: string): Sidecar | undefined {
  for (const place of [folder, path.dirname(folder)]) {
    const name = path.basename(place);
    const found = SPELLED.flatMap(([option, pattern]) => {
      const match = pattern.exec(name);
      return match ? [[option, match[1]] as const] : [];
    });
    if (found.length > 1) {
      return { path: `the folder’s name ${name.slice(0, 80)}`, values: Object.fromEntries(found) };
    }
  }
  return undefined;
}

/** Reads one configuration file, as `--config` names it. @throws CheckpointError when it cannot be read. */
export function readSidecar(file: string, shown = file): Sidecar {
  const source = fileSource(file);
  try {
    // Logs begin with the options; the rest of a long one does not matter.
    const length = path.extname(file) === '.txt' ? Math.min(source.size, maxBytes) : source.size;
    checkSize(shown, length);
    return parseSidecar(shown, source.read(0, length));
  } finally {
    source.close();
  }
}

/** HNeRV writes its options and results into `epoch<n>.csv`; one of them is enough. */
function epochTables(folder: string): string[] {
  try {
    const tables = fs.readdirSync(folder).filter((name) => /^epoch\d+\.csv$/.test(name));
    return tables.sort().slice(-1);
  } catch {
    return [];
  }
}

/** A regular file that still lies in `folder` after links are followed. */
function isOwnFile(folder: string, file: string): boolean {
  try {
    const real = fs.realpathSync(file);
    return fs.statSync(real).isFile() && isInside(fs.realpathSync(folder), real);
  } catch {
    return false;
  }
}

/**
 * Parses a configuration by its extension: JSON, YAML, CSV of one row, or lines `name = value`,
 * `name: value` and a printed `Namespace(…)`.
 * @throws CheckpointError when it is none of these.
 */
export function parseSidecar(file: string, bytes: Uint8Array): Sidecar {
  const text = decode(file, bytes);
  return { path: file, values: resolveReferences(toPlain(parse(file, text))) };
}

function parse(file: string, text: string): unknown {
  switch (path.extname(file).toLowerCase()) {
    case '.json':
      return parseJson(file, text);
    case '.yaml':
    case '.yml':
      return parseYaml(file, text);
    case '.csv':
      return parseTable(text);
    default:
      if (/^\s*\{/.test(text)) return parseJson(file, text);
      return parseLines(text);
  }
}

function checkSize(file: string, bytes: number): void {
  if (bytes > maxBytes) {
    throw new CheckpointError(
      `${file} is larger than ${maxBytes} bytes, so it is not read as a configuration.`,
    );
  }
}

function decode(file: string, bytes: Uint8Array): string {
  checkSize(file, bytes.length);
  try {
    // A character that was cut at the end of a long log is left out.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
  } catch {
    throw new CheckpointError(`${file} is not UTF-8 text, so it is not read as a configuration.`);
  }
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw unreadable(file, error);
  }
}

/** Tags such as `!!python/object` are dropped: what they mark is read as plain data. */
function parseYaml(file: string, text: string): unknown {
  try {
    const document = parseDocument(text, {
      logLevel: 'silent',
      merge: true,
      uniqueKeys: false,
      prettyErrors: false,
    });
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS({ mapAsMap: true, maxAliasCount: 100 });
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): CheckpointError {
  const reason = String(error instanceof Error ? error.message : error).split('\n')[0];
  return new CheckpointError(
    `${file} cannot be read as a configuration (${reason.slice(0, 200)}); correct it.`,
  );
}

/** A table whose last row holds the values. */
function parseTable(text: string): Map<string, unknown> {
  const rows = text.split(/\r?\n/).filter((row) => row.trim() !== '');
  const header = (rows[0] ?? '').split(',');
  const last = (rows.at(-1) ?? '').split(',');
  if (rows.length < 2 || header.length !== last.length) return new Map();
  return new Map(header.map((name, i) => [name.trim(), literal(last[i])]));
}

/** `name = value`, `name: value`, `--name value`, INI sections, and `Namespace(name=value, …)`. */
function parseLines(text: string): Map<string, unknown> {
  const values = new Map<string, unknown>();
  let section = values;
  for (const line of text.split('\n').map((line) => line.trim())) {
    if (line.length > maxLine || line.startsWith('#')) continue;
    const heading = /^\[([\w .-]{1,100})\]$/.exec(line);
    const namespace = /\bNamespace\((.*)\)$/.exec(line);
    const pair = /^(?:--)?([A-Za-z_][\w.-]{0,99})\s*[=:\s](.*)$/.exec(line);
    if (heading) {
      section = new Map();
      values.set(heading[1], section);
    } else if (namespace) {
      for (const [, name, value] of namespace[1].matchAll(namedArgument)) values.set(name, literal(value));
    } else if (pair) {
      section.set(pair[1], literal(pair[2]));
    }
  }
  return values;
}

/** `name=value` where the value may be quoted or one level of brackets. */
const namedArgument = /([A-Za-z_]\w*)=('[^']*'|"[^"]*"|\[[^\]]*\]|\([^)]*\)|[^,]*)/g;

/** A Python or YAML literal; anything else stays text. */
function literal(text: string): unknown {
  const value = text.trim();
  if (/^(None|null|)$/.test(value)) return null;
  if (/^(True|true)$/.test(value)) return true;
  if (/^(False|false)$/.test(value)) return false;
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value)) return Number(value);
  const quoted = /^(['"])(.*)\1$/.exec(value);
  if (quoted) return quoted[2];
  const list = /^[[(](.*)[\])]$/.exec(value);
  if (list) return list[1] === '' ? [] : list[1].replace(/,\s*$/, '').split(',').map(literal);
  return value;
}
