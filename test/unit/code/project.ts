/** Projects of Python files, and the layers of checkpoints, for the tests of code. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pythonParser } from '../../../src/code/python/grammar';
import { Project } from '../../../src/code/project';
import type { Correspondence } from '../../../src/code/places';
import { type CheckpointNames } from '../../../src/code/places';
import { inspectModel, isModel } from '../../../src/worker/model';

export const tests = path.resolve(import.meta.dirname, '../..');
export const samples = path.resolve(tests, '../samples');
const parser = await pythonParser();

/** Python files below a folder. */
export function projectOf(folder: string): Project {
  const project = new Project(parser);
  project.roots = [folder];
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    if (name.endsWith('.py')) {
      const file = path.join(folder, name);
      project.set(file, readFileSync(file, 'utf8'));
    }
  }
  return project;
}

/** A project of files by name. */
export function projectWith(files: Readonly<Record<string, string>>): Project {
  const project = new Project(parser);
  for (const [name, text] of Object.entries(files)) project.set(`/project/${name}`, text);
  return project;
}

const inspected = new Map<string, CheckpointNames>();

/** Layers as the extension knows them. */
export function layersOf(file: string): CheckpointNames {
  let names = inspected.get(file);
  if (!names) {
    const opened = inspectModel({ file, corrections: {} });
    if (!isModel(opened)) throw new Error(opened.message);
    names = { file, layers: opened.inspection.layers };
    inspected.set(file, names);
  }
  return names;
}

/** A place in a file: in the middle of the first, or `nth`, text like this. */
export function place(project: Project, file: string, text: string, within = text, nth = 0) {
  const source = project.source(file);
  if (source === undefined) throw new Error(`no ${file}`);
  let at = source.indexOf(text);
  for (let i = 0; i < nth; i++) at = source.indexOf(text, at + 1);
  if (at < 0) throw new Error(`no “${text}” in ${file}`);
  const index = at + text.lastIndexOf(within) + Math.floor(within.length / 2);
  const before = source.slice(0, index);
  const row = before.split('\n').length - 1;
  return { row, column: index - before.lastIndexOf('\n') - 1 };
}

/** Layers at the last of `within` in the first `text`. */
export function layersAt(
  found: Correspondence,
  project: Project,
  file: string,
  text: string,
  within?: string,
) {
  const { row, column } = place(project, file, text, within);
  return found.at(file, row, column)?.layers ?? [];
}
