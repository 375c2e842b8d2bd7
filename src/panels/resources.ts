import path from 'node:path';
import * as vscode from 'vscode';
import type { TraceOptions } from '../worker/protocol';

/** What a trace may take: memory, and room on disk to be found again. */
export type Resources = Pick<TraceOptions, 'memoryBudget' | 'cache'>;

export interface TracingPurpose {
  /** How many traces live side by side. */
  readonly sharers?: number;
  /** One of many checkpoints, or of many saves: few are looked at again, and they would drive the others out. */
  readonly passing?: boolean;
}

const MEGABYTE = 2 ** 20;

export class TracingResources {
  /** @param storage of the extension, for all workspaces */
  constructor(private readonly storage: vscode.Uri) {}

  private get cache(): string {
    return path.join(this.storage.fsPath, 'traces');
  }

  of({ sharers = 1, passing = false }: TracingPurpose = {}): Resources {
    const settings = vscode.workspace.getConfiguration('neuralCanvas');
    return {
      memoryBudget: (settings.get<number>('memoryBudget', 1024) * MEGABYTE) / sharers,
      ...(!passing && {
        cache: { folder: this.cache, bytes: settings.get<number>('cache.megabytes', 512) * 1e6 },
      }),
    };
  }

  /** Deletes the cached traces of all workspaces. */
  async clearCache(): Promise<void> {
    const folder = vscode.Uri.file(this.cache);
    try {
      const files = await vscode.workspace.fs.readDirectory(folder);
      await vscode.workspace.fs.delete(folder, { recursive: true });
      void vscode.window.showInformationMessage(
        `The cache was cleared of ${files.length} results; they are computed again when they are needed.`,
      );
    } catch (error) {
      if (!(error instanceof vscode.FileSystemError && error.code === 'FileNotFound')) throw error;
      void vscode.window.showInformationMessage('The cache of traces is empty.');
    }
  }
}
