/** As much of VS Code as sessions and live tracing need to run without it. */
import { vi } from 'vitest';

class EventEmitter<T> {
  private readonly listeners = new Set<(event: T) => void>();
  readonly event = (listener: (event: T) => void) => {
    this.listeners.add(listener);
    return { dispose: () => this.listeners.delete(listener) };
  };
  fire(event: T): void {
    for (const listener of [...this.listeners]) listener(event);
  }
  dispose(): void {
    this.listeners.clear();
  }
}

export class Uri {
  private constructor(readonly path: string) {}
  static readonly file = (path: string) => new Uri(path);
  static readonly parse = (text: string) => new Uri(text.replace('file://', ''));
  get fsPath(): string {
    return this.path;
  }
  toString(): string {
    return `file://${this.path}`;
  }
}

export const notifications: string[] = [];

export const stub = {
  EventEmitter,
  Uri,
  StatusBarAlignment: { Left: 1, Right: 2 },
  ProgressLocation: { Notification: 15 },
  window: {
    createStatusBarItem: () => ({ show: vi.fn(), hide: vi.fn(), dispose: vi.fn() }),
    withProgress: (options: { title: string }, task: (...args: unknown[]) => Promise<void>) => {
      notifications.push(options.title);
      return task({ report: () => {} }, { onCancellationRequested: () => ({ dispose: () => {} }) });
    },
  },
  workspace: {
    asRelativePath: (uri: Uri) => uri.path,
    onDidChangeConfiguration: () => ({ dispose: () => {} }),
  },
  commands: { executeCommand: () => Promise.resolve() },
};
