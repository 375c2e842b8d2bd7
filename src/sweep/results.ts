/**
 * The folder a sweep writes into. Everything is a file of its own, written under another name and renamed, so
 * that any number of processes on any number of machines can share it without a coordinator:
 *   sweep.json          the patterns’ files and the options; the same for all who take part
 *   rows/<key>.json     what the trace of some content said: there is one, whoever computed it
 *   files/<name>.json   which content a file had when it was looked at
 *   claims/<key>        who is tracing it; touched while they do
 *   sweep.csv, sweep.parquet   all rows, made from the above
 */
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { UsageError } from '../errors';
import type { Outcome } from './row';

/** A claim that nobody has touched for so long is of somebody who has died, ms. */
export const STALE = 60_000;
export const HEARTBEAT = 5_000;

export interface Plan {
  /** Absolute, sorted. */
  readonly files: readonly string[];
  /** What the outcome depends on besides the files. */
  readonly options: Readonly<Record<string, unknown>>;
}

export interface SeenFile {
  readonly file: string;
  readonly key: string;
  readonly sha256: string;
  readonly bytes: number | null;
  readonly modified: number;
  /** Tells whether the file has changed since. */
  readonly signature: string;
}

export const hash = (text: string) => createHash('sha256').update(text).digest('hex');

export class Results {
  constructor(
    readonly folder: string,
    /** Who claims: the same task again may take over its own claims. */
    private readonly owner = `${os.hostname()}:${process.pid}`,
  ) {}

  private at(...parts: string[]): string {
    return path.join(this.folder, ...parts);
  }

  async prepare(): Promise<void> {
    try {
      for (const folder of ['rows', 'files', 'claims']) await fs.mkdir(this.at(folder), { recursive: true });
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      throw new UsageError(`${this.folder} cannot be written (${code}); give another folder with --out.`);
    }
  }

  async write(name: string, content: string | Uint8Array): Promise<void> {
    const part = this.at(`${name}.${process.pid}-${randomBytes(4).toString('hex')}.part`);
    await fs.writeFile(part, content);
    await fs.rename(part, this.at(name));
  }

  private async read<T>(name: string): Promise<T | undefined> {
    try {
      return JSON.parse(await fs.readFile(this.at(name), 'utf8')) as T;
    } catch {
      // Not there yet, or damaged by a full disk: it is computed again.
      return undefined;
    }
  }

  /** @throws UsageError when the folder holds no sweep */
  async plan(): Promise<Plan> {
    const plan = await this.read<Plan>('sweep.json');
    if (!Array.isArray(plan?.files)) {
      throw new UsageError(`${this.folder} holds no sweep; give the folder of one with --out.`);
    }
    return plan;
  }

  outcome(key: string): Promise<Outcome | undefined> {
    return this.read<Outcome>(path.join('rows', `${key}.json`));
  }

  /** @returns false when somebody else’s is already there; then that one counts */
  async keep(key: string, outcome: Outcome): Promise<boolean> {
    const part = this.at('rows', `${key}.${process.pid}-${randomBytes(4).toString('hex')}.part`);
    await fs.writeFile(part, JSON.stringify(outcome));
    try {
      // Unlike a rename, a link never replaces.
      await fs.link(part, this.at('rows', `${key}.json`));
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return false;
      // No links on this file system.
      await fs.copyFile(part, this.at('rows', `${key}.json`));
      return true;
    } finally {
      await fs.rm(part, { force: true });
    }
  }

  forget(key: string): Promise<void> {
    return fs.rm(this.at('rows', `${key}.json`), { force: true });
  }

  private static fileName(file: string): string {
    return path.join('files', `${hash(file).slice(0, 32)}.json`);
  }

  async seen(file: string): Promise<SeenFile | undefined> {
    const seen = await this.read<SeenFile>(Results.fileName(file));
    return seen?.file === file ? seen : undefined;
  }

  see(seen: SeenFile): Promise<void> {
    return this.write(Results.fileName(seen.file), JSON.stringify(seen));
  }

  /** @returns null when somebody else who lives has it; otherwise give it back with `release` */
  async claim(key: string): Promise<{ release(): Promise<void> } | null> {
    const file = this.at('claims', key);
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        await fs.writeFile(file, this.owner, { flag: 'wx' });
        // Written, not touched: the time is then the file system’s own.
        const beat = setInterval(
          () => void fs.writeFile(file, this.owner, { flag: 'r+' }).catch(() => {}),
          HEARTBEAT,
        );
        beat.unref();
        return {
          release: async () => {
            clearInterval(beat);
            await fs.rm(file, { force: true });
          },
        };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        if (attempt > 0 || !(await this.isDead(file))) return null;
        // Whoever moves it away first may claim it anew.
        const grave = `${file}.${randomBytes(4).toString('hex')}.dead`;
        await fs.rename(file, grave).catch(() => {});
        await fs.rm(grave, { force: true });
      }
    }
    return null;
  }

  private async isDead(file: string): Promise<boolean> {
    const owner = await fs.readFile(file, 'utf8').catch(() => '');
    // A Slurm task that was requeued finds what it had begun before it was killed.
    if (owner === this.owner && owner.startsWith('slurm:')) return true;
    const [host, pid] = owner.split(':');
    if (host === os.hostname() && Number(pid) !== process.pid && !isAlive(Number(pid))) return true;
    const stat = await fs.stat(file).catch(() => undefined);
    // Far ahead is as dead as far behind: the clock was set back, and nobody has written since.
    return stat !== undefined && Math.abs((await this.now()) - stat.mtimeMs) > STALE;
  }

  /** The file system’s time, which need not be this machine’s. */
  private async now(): Promise<number> {
    const probe = this.at('claims', `now-${randomBytes(4).toString('hex')}`);
    await fs.writeFile(probe, '');
    const { mtimeMs } = await fs.stat(probe);
    await fs.rm(probe, { force: true });
    return mtimeMs;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
