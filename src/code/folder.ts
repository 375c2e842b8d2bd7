/** The Python files beside a checkpoint, or up to two folders up: what trained it usually lies there. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Parser } from '@vscode/tree-sitter-wasm';
import { Project } from './project';

const UP = 2;
const DOWN = 2;
const MOST_FOLDERS = 120;
const MOST_FILES = 80;
const MOST_BYTES = 256 << 10;
const MOST_BYTES_IN_ALL = 4 << 20;

const SKIPPED =
  /^(\..*|node_modules|venv|env|site-packages|dist-packages|__pycache__|wandb|build|dist|lib|libs|third_party)$/;

export interface SourceFile {
  readonly file: string;
  readonly size: number;
  readonly modified: number;
}

/** Python files near a checkpoint, nearest first; links are not followed. */
export function codeBeside(checkpoint: string): SourceFile[] {
  const files: SourceFile[] = [];
  const seen = new Set<string>();
  let folders = 0;
  let bytes = 0;
  const look = (folder: string, depth: number): void => {
    if (seen.has(folder) || files.length >= MOST_FILES || ++folders > MOST_FOLDERS) return;
    seen.add(folder);
    let entries: fs.Dirent[];
    try {
      entries = fs.readdirSync(folder, { withFileTypes: true });
    } catch {
      return;
    }
    for (const entry of entries) {
      if (!entry.isFile() || !entry.name.endsWith('.py') || files.length >= MOST_FILES) continue;
      const file = path.join(folder, entry.name);
      try {
        const { size, mtimeMs } = fs.statSync(file);
        if (size > MOST_BYTES || bytes + size > MOST_BYTES_IN_ALL) continue;
        bytes += size;
        files.push({ file, size, modified: mtimeMs });
      } catch {
        continue;
      }
    }
    if (depth === 0) return;
    for (const entry of entries) {
      if (entry.isDirectory() && !SKIPPED.test(entry.name)) look(path.join(folder, entry.name), depth - 1);
    }
  };
  const home = os.homedir();
  let folder = path.dirname(path.resolve(checkpoint));
  for (let up = 0; up <= UP; up++) {
    const parent = path.dirname(folder);
    // Neither everything in a home folder nor the whole disk is a project.
    if (folder === home || folder === parent || folder === path.resolve(os.tmpdir())) break;
    look(folder, up === 0 ? 1 : DOWN);
    folder = parent;
  }
  return files;
}

let known: { readonly key: string; readonly project: Project } | undefined;

/** The project of some files; the last one is kept while its files are the same. */
export function projectFrom(files: readonly SourceFile[], parser: Parser): Project {
  const key = files.map(({ file, size, modified }) => `${file} ${size} ${modified}`).join('\n');
  if (known?.key === key) return known.project;
  const project = new Project(parser);
  for (const { file } of files) {
    try {
      project.set(file, fs.readFileSync(file, 'utf8'));
    } catch {
      continue;
    }
  }
  known = { key, project };
  return project;
}
