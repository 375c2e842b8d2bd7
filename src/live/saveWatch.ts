/**
 * Tells when a file has been saved and its writing has settled. File events make it quick, looking every
 * few seconds makes it certain: network mounts report no events. The file itself is never opened here.
 */
import fs from 'node:fs';
import path from 'node:path';

/** Tells one state of a file from another: a rename over it changes the first part, a write the others. */
export type Signature = string;

export async function signatureOf(file: string): Promise<Signature | null> {
  try {
    const { ino, size, mtimeMs, ctimeMs } = await fs.promises.stat(file);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return null;
  }
}

export interface WatchTimes {
  /** How long a file must stay the same, ms. */
  settle(): number;
  /** Between looks where no event comes, ms. */
  poll(): number;
}

export class SaveWatch {
  private readonly folder: string;
  private readonly name: string;
  private watcher: fs.FSWatcher | null = null;
  private settleTimer: NodeJS.Timeout | undefined;
  private pollTimer: NodeJS.Timeout | undefined;
  /** The state that waits to be settled. */
  private pending: Signature | null = null;
  private known: Signature | null = null;
  private missing = false;
  private looking = false;
  private lookAgain = false;
  private disposed = false;

  /** @param onSave called with each settled state that is not `accepted` */
  constructor(
    private readonly file: string,
    private readonly times: WatchTimes,
    private readonly onSave: (signature: Signature) => void,
  ) {
    this.folder = path.dirname(file);
    this.name = path.basename(file);
    this.listen();
    this.poll();
  }

  /** This state needs no telling. */
  accept(signature: Signature | null): void {
    this.known = signature;
  }

  private listen(): void {
    this.watcher?.close();
    this.watcher = null;
    try {
      const watcher = fs.watch(this.folder, { persistent: false }, (_, name) => {
        if (name === null || name === this.name) this.look();
      });
      watcher.on('error', () => {
        watcher.close();
        if (this.watcher === watcher) this.watcher = null;
      });
      this.watcher = watcher;
    } catch {
      // No such folder, no more handles, or a mount without events: looking is enough.
    }
  }

  private poll(): void {
    this.look();
    this.pollTimer = setTimeout(() => this.poll(), this.times.poll());
    this.pollTimer.unref();
  }

  private look(): void {
    if (this.looking) {
      this.lookAgain = true;
      return;
    }
    this.looking = true;
    void signatureOf(this.file).then((signature) => {
      this.looking = false;
      if (this.disposed) return;
      this.take(signature);
      if (this.lookAgain) {
        this.lookAgain = false;
        this.look();
      }
    });
  }

  private take(signature: Signature | null): void {
    if (signature === null) {
      this.missing = true;
      this.pending = null;
      clearTimeout(this.settleTimer);
      return;
    }
    // The folder may have been deleted and made again, and the old watcher hears nothing of the new one.
    if (this.missing || !this.watcher) this.listen();
    this.missing = false;
    if (signature === this.known) {
      this.pending = null;
      clearTimeout(this.settleTimer);
      return;
    }
    if (signature === this.pending) return;
    this.pending = signature;
    clearTimeout(this.settleTimer);
    this.settleTimer = setTimeout(() => void this.settle(signature), this.times.settle());
  }

  private async settle(signature: Signature): Promise<void> {
    const now = await signatureOf(this.file);
    if (this.disposed || this.pending !== signature) return;
    if (now !== signature) {
      this.take(now);
      return;
    }
    this.pending = null;
    this.known = signature;
    this.onSave(signature);
  }

  dispose(): void {
    this.disposed = true;
    clearTimeout(this.settleTimer);
    clearTimeout(this.pollTimer);
    this.watcher?.close();
    this.watcher = null;
  }
}
