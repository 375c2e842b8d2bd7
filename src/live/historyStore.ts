/**
 * Earlier saves on disk, bounded by count and by bytes. Each save is two files of its own, so that two
 * windows on one folder never write the same one differently, and a damaged file costs one save only:
 *   history/<checkpoint>/<save>.json  figures
 *   history/<checkpoint>/<save>.bin   picture, statistics and previews
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import v8 from 'node:v8';
import { deflate, inflate } from 'node:zlib';
import { halved, type PastSave, type SaveFigures } from './figures';

const VERSION = 1;
/** Maps of a save take at most this when they are kept, and are made smaller until they do. */
const MOST_PREVIEW_BYTES = 32 << 20;
const MOST_INFLATED = 256 << 20;
const ID = /^[0-9a-f]{8,64}$/;

const pack = promisify<Uint8Array, { level: number }, Buffer>(deflate);
const unpack = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflate);

export interface Limits {
  /** Saves of one checkpoint. */
  saves(): number;
  /** Of all files together. */
  bytes(): number;
}

export interface KeptSave extends SaveFigures {
  /** Whether it can still be looked at. */
  readonly kept: boolean;
}

export class HistoryStore {
  private readonly lists = new Map<string, Promise<KeptSave[]>>();
  /** What is done to files happens one after another. */
  private last: Promise<unknown> = Promise.resolve();

  /** @param warn is told of files that were damaged or could not be written */
  constructor(
    private readonly root: string,
    private readonly limits: Limits,
    private readonly warn: (message: string) => void,
  ) {}

  private folder(checkpoint: string): string {
    return path.join(this.root, createHash('sha256').update(checkpoint).digest('hex').slice(0, 24));
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work);
    this.last = result.catch(() => undefined);
    return result;
  }

  /** Saves of a checkpoint, oldest first. @param checkpoint its address */
  list(checkpoint: string): Promise<readonly KeptSave[]> {
    let list = this.lists.get(checkpoint);
    if (!list) {
      list = this.inTurn(() => this.read(this.folder(checkpoint)));
      this.lists.set(checkpoint, list);
    }
    return list;
  }

  private async read(folder: string): Promise<KeptSave[]> {
    const names = await fs.readdir(folder).catch(() => []);
    const bins = new Set(names.filter((name) => name.endsWith('.bin')));
    const saves: KeptSave[] = [];
    for (const name of names) {
      if (!name.endsWith('.json')) {
        // A window that was closed while it wrote.
        if (!name.endsWith('.bin')) await fs.rm(path.join(folder, name), { force: true });
        continue;
      }
      const figures = await fs
        .readFile(path.join(folder, name), 'utf8')
        .then((text) => checkedFigures(JSON.parse(text), name))
        .catch(() => undefined);
      if (figures) {
        saves.push({ ...figures, kept: bins.delete(`${figures.id}.bin`) });
      } else {
        this.warn(`A damaged entry of the history was dropped: ${name}.`);
        await fs.rm(path.join(folder, name), { force: true }).catch(() => undefined);
      }
    }
    for (const name of bins) await fs.rm(path.join(folder, name), { force: true }).catch(() => undefined);
    return saves.sort((a, b) => a.savedAt - b.savedAt);
  }

  /** Adds a save, or replaces the one of the same content. Never rejects: a history that cannot be kept is a pity only. */
  async add(checkpoint: string, figures: SaveFigures, past: PastSave): Promise<void> {
    const list = (await this.list(checkpoint)) as KeptSave[];
    await this.inTurn(async () => {
      const folder = this.folder(checkpoint);
      let kept = true;
      try {
        await fs.mkdir(folder, { recursive: true });
        const bytes = await pack(v8.serialize({ version: VERSION, ...small(past) }), { level: 1 });
        await replace(path.join(folder, `${figures.id}.bin`), bytes);
        await replace(
          path.join(folder, `${figures.id}.json`),
          JSON.stringify({ version: VERSION, ...figures }),
        );
      } catch (error) {
        kept = false;
        this.warn(`The history could not be written: ${String(error)}`);
      }
      const before = list.findIndex(({ id }) => id === figures.id);
      if (before >= 0) list.splice(before, 1);
      list.push({ ...figures, kept });
      list.sort((a, b) => a.savedAt - b.savedAt);
      while (list.length > Math.max(2, this.limits.saves())) {
        const [save] = list.splice(leastMissed(list), 1);
        await this.remove(folder, save.id, ['.bin', '.json']);
      }
      await this.shrink();
    });
  }

  /** @returns undefined when it is no longer kept, or damaged */
  async load(checkpoint: string, id: string): Promise<PastSave | undefined> {
    if (!ID.test(id)) return undefined;
    const list = (await this.list(checkpoint)) as KeptSave[];
    const at = list.findIndex((save) => save.id === id);
    if (at < 0) return undefined;
    const file = path.join(this.folder(checkpoint), `${id}.bin`);
    try {
      const value: unknown = v8.deserialize(
        await unpack(await fs.readFile(file), { maxOutputLength: MOST_INFLATED }),
      );
      return checkedPast(value);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        this.warn(`A damaged picture of the history was dropped: ${path.basename(file)}.`);
        await this.inTurn(() => fs.rm(file, { force: true })).catch(() => undefined);
      }
      const now = list.findIndex((save) => save.id === id);
      if (now >= 0) list[now] = { ...list[now], kept: false };
      return undefined;
    }
  }

  /** Forgets everything. */
  clear(): Promise<void> {
    this.lists.clear();
    return this.inTurn(() => fs.rm(this.root, { recursive: true, force: true }));
  }

  private async remove(folder: string, id: string, endings: readonly string[]): Promise<void> {
    for (const ending of endings) await fs.rm(path.join(folder, `${id}${ending}`), { force: true });
  }

  /** Bytes on disk, file by file. */
  private async sizes(): Promise<{ folder: string; name: string; bytes: number; time: number }[]> {
    const files = [];
    for (const folder of await fs.readdir(this.root).catch(() => [])) {
      for (const name of await fs.readdir(path.join(this.root, folder)).catch(() => [])) {
        const stat = await fs.stat(path.join(this.root, folder, name)).catch(() => undefined);
        if (stat) files.push({ folder, name, bytes: stat.size, time: stat.mtimeMs });
      }
    }
    return files;
  }

  /** Drops pictures until the bytes fit: in the largest history, those whose neighbours are closest in time. */
  private async shrink(): Promise<void> {
    let files = await this.sizes();
    const most = this.limits.bytes();
    let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    while (total > most) {
      const bins = files.filter(({ name }) => name.endsWith('.bin'));
      // With all pictures gone, the history that was not touched for the longest time goes.
      const pool = bins.length > 0 ? bins : files;
      if (pool.length === 0) return;
      const sums = new Map<string, number>();
      for (const { folder, bytes } of pool) sums.set(folder, (sums.get(folder) ?? 0) + bytes);
      const largest = [...sums].reduce((a, b) => (b[1] > a[1] ? b : a))[0];
      const own = pool.filter(({ folder }) => folder === largest).sort((a, b) => a.time - b.time);
      const victim = own[leastMissed(own.map(({ time }) => ({ savedAt: time })))];
      await fs.rm(path.join(this.root, victim.folder, victim.name), { force: true }).catch(() => undefined);
      files = files.filter((file) => file !== victim);
      total -= victim.bytes;
      await this.noteRemoved(victim.folder, victim.name);
    }
  }

  private async noteRemoved(folder: string, name: string): Promise<void> {
    for (const [checkpoint, pending] of this.lists) {
      if (path.basename(this.folder(checkpoint)) !== folder) continue;
      const list = await pending;
      const at = list.findIndex(({ id }) => id === path.parse(name).name);
      if (at < 0) continue;
      if (name.endsWith('.json')) list.splice(at, 1);
      else list[at] = { ...list[at], kept: false };
    }
  }
}

/** Index of the save whose neighbours are closest in time; never the first or the newest of more than two. */
export function leastMissed(saves: readonly { readonly savedAt: number }[]): number {
  let found = 0;
  let closest = Infinity;
  for (let i = 1; i < saves.length - 1; i++) {
    const gap = saves[i + 1].savedAt - saves[i - 1].savedAt;
    if (gap < closest) [found, closest] = [i, gap];
  }
  return found;
}

function small({ inspection, picture, layers }: PastSave): PastSave {
  let kept = layers;
  const bytes = () => kept.reduce((sum, { previews }) => sum + previews.data.length, 0);
  while (
    bytes() > MOST_PREVIEW_BYTES &&
    kept.some(({ previews }) => previews.width > 1 || previews.height > 1)
  ) {
    kept = kept.map((layer) => ({ ...layer, previews: halved(layer.previews) }));
  }
  return { inspection, picture, layers: kept };
}

async function replace(file: string, content: Uint8Array | string): Promise<void> {
  const part = `${file}.${process.pid}.part`;
  try {
    await fs.writeFile(part, content);
    await fs.rename(part, file);
  } catch (error) {
    await fs.rm(part, { force: true }).catch(() => undefined);
    throw error;
  }
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

function checkedFigures(value: unknown, name: string): SaveFigures | undefined {
  if (!isObject(value) || value.version !== VERSION) return undefined;
  const { id, savedAt, bytes, psnr, neurons, dead, gini, layers } = value;
  if (typeof id !== 'string' || !ID.test(id) || name !== `${id}.json`) return undefined;
  if (!isNumber(savedAt) || !isNumber(bytes) || !isNumber(neurons) || !isNumber(dead)) return undefined;
  if (!isNumber(gini) || !(psnr === null || isNumber(psnr)) || !Array.isArray(layers)) return undefined;
  const checked = (layers as unknown[]).every(
    (layer) =>
      isObject(layer) &&
      typeof layer.name === 'string' &&
      isNumber(layer.neurons) &&
      isNumber(layer.dead) &&
      isNumber(layer.gini) &&
      (layer.change === null || isNumber(layer.change)),
  );
  return checked
    ? { id, savedAt, bytes, psnr, neurons, dead, gini, layers: layers as SaveFigures['layers'] }
    : undefined;
}

/** @throws Error when it is not what `add` wrote */
function checkedPast(value: unknown): PastSave {
  if (!isObject(value) || value.version !== VERSION) throw new Error('of another version');
  const { inspection, picture, layers } = value as unknown as PastSave;
  if (!isObject(inspection) || !isObject(picture) || !Array.isArray(layers)) throw new Error('incomplete');
  if (picture.rgba.length !== 4 * picture.width * picture.height) throw new Error('of another size');
  for (const { neurons, statistics, previews } of layers as PastSave['layers']) {
    if (previews.data.length !== neurons * previews.width * previews.height)
      throw new Error('of another size');
    if (statistics.total.length !== neurons) throw new Error('of another size');
  }
  return { inspection, picture, layers };
}
