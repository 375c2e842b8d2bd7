/** What a person corrected about a checkpoint, kept beside it as `<checkpoint>.inr.json`. */
import path from 'node:path';
import { UsageError } from '../errors';
import { readRegularFile } from '../files';
import type { Source } from './protocol';

/** As `--set` takes them: names and values as text. */
export type CorrectionValues = Readonly<Record<string, string>>;

/** A few settings; anything larger was not written by us or by hand. */
const MAX_BYTES = 64 << 10;

export const correctionsFile = (checkpoint: string) => `${checkpoint}.inr.json`;

/**
 * Reads the corrections beside a checkpoint. Numbers, texts and `[height, width]` are values; `$schema` is
 * for editors.
 * @returns undefined when there is no such file
 * @throws UsageError when it holds anything else
 */
export function readCorrections(checkpoint: string): CorrectionValues | undefined {
  const file = correctionsFile(checkpoint);
  const wrong = (why: string) =>
    new UsageError(`${path.basename(file)} ${why}; correct it, or delete it to go back to what is assumed.`);
  let text: string;
  try {
    text = readRegularFile(file, MAX_BYTES).toString('utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A name that is too long with its ending cannot have such a file beside it.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return undefined;
    if (code === 'EFBIG') throw wrong('is larger than 64 kB');
    throw wrong('cannot be read');
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw wrong('is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw wrong('is not a JSON object of settings');
  }
  const values: [string, string][] = [];
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '$schema') continue;
    const isSize = Array.isArray(value) && value.every((side) => typeof side === 'number');
    if (!isSize && !['string', 'number', 'boolean'].includes(typeof value)) {
      throw wrong(`gives “${name}” no value`);
    }
    values.push([name, isSize ? value.join('x') : String(value)]);
  }
  return Object.fromEntries(values);
}

/** The file's text; numbers stay numbers. */
export function correctionsText(values: CorrectionValues): string {
  const typed = Object.entries(values).map(([name, text]) => {
    const number = Number(text);
    return [name, text.trim() !== '' && String(number) === text ? number : text] as const;
  });
  return `${JSON.stringify(Object.fromEntries(typed), null, 2)}\n`;
}

/** A source whose corrections are complete. */
export interface CorrectedSource extends Source {
  /** All of them, `target` among them as it was given. */
  readonly given: CorrectionValues;
  /** The file that some of them come from. */
  readonly correctionsFile?: string;
}

/**
 * A source with the corrections that lie beside its file; those given outrank them. `target` among them is
 * the picture to compare with, relative to the checkpoint.
 * @throws UsageError
 */
export function withCorrections(source: Source): CorrectedSource {
  const saved = readCorrections(source.file);
  // The file may come with a project of somebody else: it names pictures of that project only.
  if (saved?.target && (path.isAbsolute(saved.target) || /^[\\/]{2}|^\w:/.test(saved.target))) {
    throw new UsageError(
      `${path.basename(correctionsFile(source.file))} names a target outside its project; give a relative path.`,
    );
  }
  return {
    ...corrected({ ...source, corrections: { ...saved, ...source.corrections } }),
    ...(saved && { correctionsFile: correctionsFile(source.file) }),
  };
}

/** A source whose corrections are complete as they are. */
export function corrected(source: Source): CorrectedSource {
  const { target: relative, ...corrections } = source.corrections;
  const target = source.target ?? (relative && path.resolve(path.dirname(source.file), relative));
  return { ...source, corrections, given: source.corrections, ...(target && { target }) };
}
