import fs from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { Correspondence, type CheckpointNames } from './places';
import { Project } from './project';
import type { CodeCallName, CodeLine, CodeParams, CodeResult, PlaceFound } from './protocol';
import { pythonParser } from './python/grammar';

type Handlers = { [K in CodeCallName]: (params: CodeParams<K>) => Promise<CodeResult<K>> | CodeResult<K> };

/** Files above this are data, not code. */
const MAX_BYTES = 1 << 20;

/** Checkpoints whose layers are named and shaped alike. */
interface Kind {
  readonly files: string[];
  readonly names: CheckpointNames;
  found?: { readonly version: number; readonly correspondence: Correspondence };
}

/** What is known of the workspace's code; runs as well without a thread. */
export class CodeService {
  private project: Project | undefined;
  /** Files that an editor holds; what is on disk does not count for them. */
  private readonly open = new Set<string>();
  private onDisk = new Set<string>();
  private kinds: Kind[] = [];

  async call<K extends CodeCallName>(call: K, params: CodeParams<K>): Promise<CodeResult<K>> {
    const project = (this.project ??= new Project(await pythonParser()));
    return this.handlers(project)[call](params);
  }

  private handlers(project: Project): Handlers {
    return {
      texts: async ({ changes }) => {
        for (const { file, text } of changes) {
          if (text !== null) {
            this.open.add(file);
            project.set(file, text);
          } else {
            this.open.delete(file);
            await this.read(project, file);
          }
        }
        return null;
      },
      files: async ({ files, roots }) => {
        project.roots = roots;
        const now = new Set(files);
        for (const file of this.onDisk) if (!now.has(file) && !this.open.has(file)) project.delete(file);
        this.onDisk = now;
        let read = 0;
        for (const file of files) {
          if (this.open.has(file)) continue;
          if (await this.read(project, file)) read++;
          // Questions from the editor come in between.
          await breathe();
        }
        return { read };
      },
      checkpoints: ({ checkpoints }) => {
        this.kinds = kindsOf(checkpoints, this.kinds);
        return null;
      },
      at: ({ file, row, column }) =>
        this.correspondences(project).flatMap(({ correspondence, checkpoints }): PlaceFound[] => {
          const found = correspondence.at(file, row, column);
          return found ? [{ ...found, checkpoints }] : [];
        }),
      lines: ({ file }) => this.lines(project, file),
      reveal: ({ checkpoint, layer }) => this.of(project, checkpoint)?.reveal(layer) ?? null,
      known: ({ checkpoint }) => {
        const correspondence = this.of(project, checkpoint);
        if (!correspondence) return [];
        return correspondence.checkpoint.layers
          .map(({ name }) => name)
          .filter((name) => correspondence.reveal(name) !== undefined);
      },
    };
  }

  private async read(project: Project, file: string): Promise<boolean> {
    try {
      const { size } = await fs.stat(file);
      if (size > MAX_BYTES) throw new Error('too large');
      project.set(file, await fs.readFile(file, 'utf8'));
      return true;
    } catch {
      project.delete(file);
      return false;
    }
  }

  private correspondence(project: Project, kind: Kind): Correspondence {
    if (kind.found?.version !== project.version) {
      kind.found = {
        version: project.version,
        correspondence: new Correspondence(project, kind.names),
      };
    }
    return kind.found.correspondence;
  }

  private correspondences(project: Project) {
    return this.kinds.map((kind) => ({
      correspondence: this.correspondence(project, kind),
      checkpoints: kind.files,
    }));
  }

  private of(project: Project, checkpoint: string): Correspondence | undefined {
    const kind = this.kinds.find(({ files }) => files.includes(checkpoint));
    return kind && this.correspondence(project, kind);
  }

  private lines(project: Project, file: string): CodeLine[] {
    if (project.source(file) === undefined) return [];
    const lines = new Map<string, CodeLine>();
    const all = this.correspondences(project);
    for (const { correspondence, checkpoints } of all) {
      for (const { span, layers } of correspondence.classes(file)) {
        const key = `class ${span.row}`;
        const before = lines.get(key);
        lines.set(key, {
          kind: 'class',
          row: span.row,
          column: span.column,
          checkpoints: [...(before?.checkpoints ?? []), ...checkpoints],
          named: false,
          layers: before?.layers ?? layers,
        });
      }
    }
    const files = this.kinds.flatMap((kind) => kind.files);
    for (const { kind, span, path: written } of project.facts(file).exchanges) {
      const named = written === undefined ? [] : files.filter((checkpoint) => isNamed(checkpoint, written));
      // A line that names nothing of ours still saves what the code of this file builds.
      const built = all
        .filter(({ correspondence }) => correspondence.found.some(({ root }) => root.site?.file === file))
        .flatMap(({ checkpoints }) => checkpoints);
      const checkpoints = named.length > 0 ? named : built;
      if (checkpoints.length === 0) continue;
      lines.set(`${kind} ${span.row}`, {
        kind,
        row: span.row,
        column: span.column,
        checkpoints,
        named: named.length > 0,
        layers: [],
      });
    }
    return [...lines.values()];
  }
}

function kindsOf(checkpoints: readonly CheckpointNames[], before: readonly Kind[]): Kind[] {
  const kinds = new Map<string, Kind>();
  const known = new Map(before.map((kind) => [keyOf(kind.names), kind]));
  for (const names of checkpoints) {
    const key = keyOf(names);
    const kind = kinds.get(key);
    if (kind) kind.files.push(names.file);
    else {
      const found = known.get(key)?.found;
      kinds.set(key, { names, files: [names.file], ...(found && { found }) });
    }
  }
  return [...kinds.values()];
}

const keyOf = ({ layers }: CheckpointNames) =>
  layers.map(({ name, inputs, outputs }) => `${name} ${inputs} ${outputs}`).join('\n');

/** Whether a path written in code, `*` for what is unknown, may mean a file. */
export function isNamed(checkpoint: string, written: string): boolean {
  const name = written.split(/[\\/]/).at(-1)!;
  if (!/[A-Za-z0-9]/.test(name.replace(/\.\w+$/, ''))) return false;
  const expression = name
    .split(/\*|\{[^}]*\}/)
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  return new RegExp(`^${expression}$`).test(path.basename(checkpoint));
}
