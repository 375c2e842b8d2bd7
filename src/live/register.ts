import path from 'node:path';
import * as vscode from 'vscode';
import { TOOL, TraceTool } from '../agents/traceTool';
import { fileOf } from '../panels/commands';
import type { Resources, TracingPurpose } from '../panels/resources';
import type { EngineChoice } from '../engine/choices';
import type { CheckpointTree } from '../panels/checkpointTree';
import { SweepPanels } from '../panels/sweepPanel';
import type { Sessions } from '../panels/sessions';
import type { WorkerClient } from '../worker/client';
import type { TraceOptions } from '../worker/protocol';
import { HistoryStore } from './historyStore';
import { Live } from './live';

interface Parts {
  readonly client: WorkerClient;
  readonly sessions: Sessions;
  readonly tree: CheckpointTree;
  readonly log: vscode.LogOutputChannel;
  corrections(file: vscode.Uri): Readonly<Record<string, string>>;
  engine(): EngineChoice;
  resources(purpose?: TracingPurpose): Resources;
}

const PINS = 'pinned';

/** Live tracing, its history and commands, and the tool for agents. */
export function registerLive(
  context: vscode.ExtensionContext,
  parts: Parts,
): { readonly live: Live; readonly tool: TraceTool; readonly sweeps: SweepPanels } {
  const { client, sessions, tree, log } = parts;
  const setting = <T>(name: string, otherwise: T): T =>
    vscode.workspace.getConfiguration('neuralCanvas').get<T>(name, otherwise);
  const store = new HistoryStore(
    path.join(context.globalStorageUri.fsPath, 'history'),
    {
      saves: () => setting('history.saves', 500),
      bytes: () => setting('history.megabytes', 512) * 1e6,
    },
    (message) => log.warn(message),
  );
  const traceOptions = (file: vscode.Uri, purpose?: TracingPurpose): TraceOptions => ({
    file: file.fsPath,
    corrections: parts.corrections(file),
    method: 'xinc',
    ...parts.resources(purpose),
  });
  const traceInPassing = (file: vscode.Uri) => traceOptions(file, { passing: true });
  const live = new Live({
    client,
    sessions,
    store,
    log,
    setting,
    traceOptions: traceInPassing,
    pins: {
      get: () => context.workspaceState.get<string[]>(PINS, []),
      set: (files) => context.workspaceState.update(PINS, files),
    },
  });
  const tool = new TraceTool({ client, log, traceOptions });
  tree.isPinned = (file) => live.isPinned(file);

  const pin = async (target: unknown, pinned: boolean) => {
    const file = fileOf(target) ?? sessions.active?.uri;
    if (file) await live.pin(file, pinned);
  };
  const clear = async () => {
    const clear = 'Clear History';
    const chosen = await vscode.window.showWarningMessage(
      'Forget the earlier saves of all checkpoints?',
      {
        modal: true,
        detail: 'Their figures, pictures and maps are deleted. The checkpoints stay as they are.',
      },
      clear,
    );
    if (chosen === clear) await live.clearHistory();
  };
  const sweeps = new SweepPanels({
    extension: context.extensionUri,
    storage: context.globalStorageUri,
    log,
    worker: path.join(context.extensionPath, 'dist', 'worker.js'),
    engine: () => parts.engine(),
    traceOptions: traceInPassing,
  });
  context.subscriptions.push(
    live,
    sweeps,
    vscode.window.registerWebviewPanelSerializer(SweepPanels.viewType, sweeps),
    vscode.commands.registerCommand('neuralCanvas.traceFolder', (target?: unknown) => sweeps.trace(target)),
    vscode.lm.registerTool(TOOL, tool),
    live.onDidChangePins(() => tree.refresh()),
    vscode.commands.registerCommand('neuralCanvas.pauseLive', () => live.pause(true)),
    vscode.commands.registerCommand('neuralCanvas.resumeLive', () => live.pause(false)),
    vscode.commands.registerCommand('neuralCanvas.pin', (target?: unknown) => pin(target, true)),
    vscode.commands.registerCommand('neuralCanvas.unpin', (target?: unknown) => pin(target, false)),
    vscode.commands.registerCommand('neuralCanvas.clearHistory', clear),
  );
  return { live, tool, sweeps };
}
