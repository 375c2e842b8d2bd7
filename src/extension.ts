import path from 'node:path';
import * as vscode from 'vscode';
import { isEngineChoice } from './engine/choices';
import { BottomView } from './panels/bottomView';
import { CanvasEditor } from './panels/canvasEditor';
import { CheckpointTree } from './panels/checkpointTree';
import { Commands } from './panels/commands';
import { Compare } from './panels/compare/panel';
import { FindingsPanel } from './panels/findingsPanel';
import { LinkHandler } from './panels/links';
import type { TraceTool } from './agents/traceTool';
import { registerLive } from './live/register';
import type { Live } from './live/live';
import type { Selection } from './panels/protocol';
import { TracingResources, type TracingPurpose } from './panels/resources';
import type { SweepPanels } from './panels/sweepPanel';
import { Sessions } from './panels/sessions';
import { CodeClient } from './code/client';
import { CodeFeature } from './code/editor/feature';
import { WorkerClient } from './worker/client';

/** For the tests in the editor only. */
export interface TestApi {
  readonly sessions: Sessions;
  readonly tree: CheckpointTree;
  readonly commands: Commands;
  readonly links: LinkHandler;
  readonly live: Live;
  readonly tool: TraceTool;
  readonly sweeps: SweepPanels;
}

/** Only registers: files are read and networks run in the worker, when the person asks. */
export function activate(context: vscode.ExtensionContext): TestApi | undefined {
  const { extensionUri, workspaceState } = context;
  const log = vscode.window.createOutputChannel('Neural Canvas', { log: true });
  const setting = <T>(name: string, fallback: T) =>
    vscode.workspace.getConfiguration('neuralCanvas').get(name, fallback);
  const engine = () => {
    const choice = setting<unknown>('engine', 'auto');
    return isEngineChoice(choice) ? choice : 'auto';
  };
  const client = new WorkerClient(path.join(context.extensionPath, 'dist', 'worker.js'), {
    engine,
    heapMegabytes: () => Math.max(2048, setting('memoryBudget', 1024)),
    warn: (message) => log.warn(message),
  });
  const selectionKey = (file: vscode.Uri) => `selection:${file.toString()}`;
  const correctionKey = (file: vscode.Uri) => `corrections:${file.toString()}`;
  const corrections = {
    get: (file: vscode.Uri) => workspaceState.get<Record<string, string>>(correctionKey(file), {}),
    set: (file: vscode.Uri, values: Readonly<Record<string, string>>) =>
      workspaceState.update(correctionKey(file), values),
  };
  const tracing = new TracingResources(context.globalStorageUri);
  const resources = (purpose?: TracingPurpose) => tracing.of(purpose);
  const compare = new Compare({
    extension: extensionUri,
    client,
    log,
    corrections: corrections.get,
    resources,
  });
  const sessions = new Sessions({
    client,
    log,
    corrections: corrections.get,
    resources,
    analyseUnasked: () =>
      vscode.workspace.getConfiguration('neuralCanvas').get<boolean>('findings.automatic', true),
    remember: (file, selection) => void workspaceState.update(selectionKey(file), selection),
    remembered: (file) => workspaceState.get<Selection>(selectionKey(file)),
    past: (file, save) => live.past(file, save),
  });
  const tree = new CheckpointTree(client, corrections.get);
  const { live, tool, sweeps } = registerLive(context, {
    client,
    sessions,
    tree,
    log,
    corrections: corrections.get,
    engine,
    resources,
  });
  const commands = new Commands(
    extensionUri,
    context.globalStorageUri,
    sessions,
    corrections,
    log,
    context.extension.id,
  );
  const links = new LinkHandler(sessions);

  const findings = new FindingsPanel(extensionUri, sessions, commands);

  const code = new CodeFeature(
    new CodeClient(path.join(context.extensionPath, 'dist', 'code.js')),
    sessions,
    tree,
    workspaceState,
    log,
  );

  context.subscriptions.push(
    code,
    findings,
    vscode.window.registerWebviewPanelSerializer(FindingsPanel.viewType, findings),
    vscode.commands.registerCommand('neuralCanvas.showFindings', () => findings.show()),
    vscode.commands.registerCommand('neuralCanvas.pickMethod', () => commands.pickMethod()),
    log,
    sessions,
    tree,
    { dispose: () => void client.dispose() },
    vscode.window.registerTreeDataProvider('neuralCanvas.checkpoints', tree),
    vscode.window.registerCustomEditorProvider(
      CanvasEditor.viewType,
      new CanvasEditor(extensionUri, sessions, commands),
      { supportsMultipleEditorsPerDocument: true },
    ),
    ...(['rankings', 'clusters'] as const).map((panel) =>
      vscode.window.registerWebviewViewProvider(
        `neuralCanvas.${panel}`,
        new BottomView(panel, extensionUri, sessions, commands),
      ),
    ),
    vscode.window.registerUriHandler(links),
    vscode.commands.registerCommand('neuralCanvas.trace', (target?: unknown) => commands.trace(target)),
    vscode.window.registerWebviewPanelSerializer(Compare.viewType, compare),
    vscode.commands.registerCommand('neuralCanvas.compare', (clicked?: unknown, selected?: unknown) =>
      compare.open(clicked, selected),
    ),
    vscode.commands.registerCommand('neuralCanvas.openSample', (name?: unknown) => commands.openSample(name)),
    vscode.commands.registerCommand('neuralCanvas.change', (target?: unknown) => commands.change(target)),
    vscode.commands.registerCommand('neuralCanvas.refresh', () => tree.refresh()),
    vscode.commands.registerCommand('neuralCanvas.clearCache', () => tracing.clearCache()),
    vscode.commands.registerCommand('neuralCanvas.showLog', () => commands.showLog()),
    vscode.commands.registerCommand('neuralCanvas.copyCommandLine', () => commands.copyCommandLine()),
  );
  return context.extensionMode === vscode.ExtensionMode.Test
    ? { sessions, tree, commands, links, live, tool, sweeps }
    : undefined;
}
