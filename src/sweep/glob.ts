/** Which checkpoints a sweep is over. Node’s own glob is newer than the oldest Node we run on. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { checkpointExtensions } from '../panels/fileTypes';

/** Folders that hold no checkpoints of the person’s own and many files. */
const skipped = new Set(['node_modules', '.git', '__pycache__', '.venv']);

/**
 * `**` any folders, `*` and `?` within a name, `{a,b}` alternatives.
 * @param pattern with `/` between folders
 */
export function globExpression(pattern: string): RegExp {
  let source = '';
  let depth = 0;
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === '*' && pattern[i + 1] === '*') {
      i++;
      if (pattern[i + 1] === '/') {
        i++;
        source += '(?:[^/]+/)*';
      } else source += '.*';
    } else if (c === '*') source += '[^/]*';
    else if (c === '?') source += '[^/]';
    else if (c === '{') [source, depth] = [`${source}(?:`, depth + 1];
    else if (c === '}' && depth > 0) [source, depth] = [`${source})`, depth - 1];
    else if (c === ',' && depth > 0) source += '|';
    else source += c.replace(/[.+^${}()|[\]\\]/, '\\$&');
  }
  return new RegExp(`^${source}${')'.repeat(depth)}$`);
}

/**
 * Files that patterns name, absolute, sorted, each once. A folder means all checkpoints in it; a pattern
 * without wildcards means that file, whether it exists or not.
 */
export async function filesOf(patterns: readonly string[], from = process.cwd()): Promise<string[]> {
  const found = new Set<string>();
  for (const given of patterns) {
    const pattern = path.resolve(from, given).split(path.sep).join('/');
    const wild = pattern.search(/[*?{]/);
    const exists =
      wild >= 0 &&
      (await fs.stat(pattern).then(
        () => true,
        () => false,
      ));
    if (wild < 0 || exists) {
      const isFolder = await fs.stat(pattern).then(
        (stat) => stat.isDirectory(),
        () => false,
      );
      if (!isFolder) found.add(path.resolve(pattern));
      else
        await walk(
          pattern,
          globExpression(`${escape(pattern)}/**/*.{${checkpointExtensions.join(',')}}`),
          found,
        );
      continue;
    }
    const root = pattern.slice(0, pattern.lastIndexOf('/', wild)) || '/';
    await walk(root, globExpression(pattern), found);
  }
  return [...found].sort();
}

const escape = (folder: string) => folder.replace(/[*?{},]/g, '?');

async function walk(folder: string, wanted: RegExp, found: Set<string>): Promise<void> {
  const entries = await fs.readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const full = `${folder === '/' ? '' : folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!skipped.has(entry.name)) await walk(full, wanted, found);
    } else if (wanted.test(full)) {
      // A link to a file counts; one to a folder may lead in circles.
      const isFile =
        entry.isFile() ||
        (await fs.stat(full).then(
          (stat) => stat.isFile(),
          () => false,
        ));
      if (isFile) found.add(path.resolve(full));
    }
  }
}
