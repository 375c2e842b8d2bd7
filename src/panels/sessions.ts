import * as vscode from 'vscode';
import { TraceSession, type SessionHost } from './session';

/** Sessions by file, counted by the canvases that show them; the last one looked at is the active one. */
export class Sessions implements vscode.Disposable {
  private readonly open = new Map<string, { session: TraceSession; views: number }>();
  private current: TraceSession | null = null;
  private readonly changed = new vscode.EventEmitter<TraceSession | null>();
  /** The session that rankings and clusters show. */
  readonly onDidChangeActive = this.changed.event;
  private readonly opened = new vscode.EventEmitter<TraceSession>();
  /** A file got its first canvas. */
  readonly onDidOpen = this.opened.event;
  private readonly closed = new vscode.EventEmitter<TraceSession>();
  /** The last canvas of a file was closed. */
  readonly onDidClose = this.closed.event;

  constructor(private readonly host: SessionHost) {}

  get active(): TraceSession | null {
    return this.current;
  }

  find(uri: vscode.Uri): TraceSession | undefined {
    return this.open.get(uri.toString())?.session;
  }

  all(): TraceSession[] {
    return [...this.open.values()].map(({ session }) => session);
  }

  /** One more view of the file's session; traces when it is the first. Call `release` when the view closes. */
  acquire(uri: vscode.Uri): TraceSession {
    const key = uri.toString();
    let entry = this.open.get(key);
    if (!entry) {
      entry = { session: new TraceSession(uri, this.host), views: 0 };
      this.open.set(key, entry);
      this.opened.fire(entry.session);
      void this.trace(entry.session);
    }
    entry.views++;
    return entry.session;
  }

  release(session: TraceSession): void {
    const key = session.uri.toString();
    const entry = this.open.get(key);
    if (!entry || --entry.views > 0) return;
    this.open.delete(key);
    if (this.current === session) this.activate([...this.open.values()].at(-1)?.session ?? null);
    session.dispose();
    this.closed.fire(session);
  }

  activate(session: TraceSession | null): void {
    if (session === this.current) return;
    this.current = session;
    this.changed.fire(session);
  }

  /** Traces with a notification that shows the phase and can cancel. */
  trace(session: TraceSession): Thenable<void> {
    const title = `Tracing ${session.view.name}`;
    return vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title, cancellable: true },
      async (progress, token) => {
        const abort = new AbortController();
        token.onCancellationRequested(() => abort.abort());
        let reported = 0;
        await session.run(abort.signal, (message, fraction) => {
          const percent = Math.round(fraction * 100);
          progress.report({ message, increment: percent - reported });
          reported = percent;
        });
      },
    );
  }

  dispose(): void {
    for (const { session } of this.open.values()) session.dispose();
    this.open.clear();
    this.changed.dispose();
    this.opened.dispose();
    this.closed.dispose();
  }
}
