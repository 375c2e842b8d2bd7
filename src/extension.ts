import path from 'node:path';
import * as vscode from 'vscode';
import { BottomView } from './panels/bottomView';
import { CanvasEditor } from './panels/canvasEditor';
import { CheckpointTree } from './panels/checkpointTree';
import { exportSnippet } from './panels/exportSnippet';
import type { Selection } from './panels/protocol';
import { Sessions } from './panels/sessions';
import type { SessionHost, TraceSession } from './panels/session';
import type { ViewActions } from './panels/webview';
import { WorkerClient } from './worker/client';

/** Only registers: files are read and networks run in the worker, when the person asks. */
export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Neural Canvas', { log: true });
  const client = new WorkerClient(path.join(context.extensionPath, 'dist', 'worker.js'));
  const selectionKey = (file: vscode.Uri) => `selection:${file.toString()}`;
  const correctionKey = (file: vscode.Uri) => `corrections:${file.toString()}`;
  const host: SessionHost = {
    client,
    log,
    corrections: (file) => context.workspaceState.get<Record<string, string>>(correctionKey(file), {}),
    memoryBudget: () =>
      vscode.workspace.getConfiguration('neuralCanvas').get<number>('memoryBudget', 1024) * 2 ** 20,
    remember: (file, selection) => void context.workspaceState.update(selectionKey(file), selection),
    remembered: (file) => context.workspaceState.get<Selection>(selectionKey(file)),
  };
  const sessions = new Sessions(host);
  const tree = new CheckpointTree(client, (file) => host.corrections(file));

  const open = async (uri: vscode.Uri) => {
    const existing = sessions.find(uri);
    if (existing) void sessions.trace(existing);
    await vscode.commands.executeCommand(
      'vscode.openWith',
      uri,
      CanvasEditor.viewType,
      vscode.window.activeTextEditor ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active,
    );
    await vscode.commands.executeCommand('neuralCanvas.rankings.focus', { preserveFocus: true });
  };

  const trace = async (target?: unknown) => {
    const uri = fileOf(target) ?? (await pickCheckpoint());
    if (uri) await open(uri);
  };

  /** Asks again for what the file did not say; an empty answer goes back to the automatic value. */
  const change = async (target?: unknown) => {
    const uri = fileOf(target) ?? sessions.active?.uri;
    const session = uri && sessions.find(uri);
    const inspection = session?.view.inspection;
    if (!session || !inspection) return;
    const chosen = await vscode.window.showQuickPick(
      inspection.assumptions.map((assumption) => ({
        label: `${assumption.name} = ${assumption.value}`,
        description: assumption.source,
        detail: assumption.detail ?? '',
        assumption,
      })),
      { title: `What was assumed about ${session.view.name}`, placeHolder: 'Choose what to change' },
    );
    if (!chosen) return;
    const { name, value, choices } = chosen.assumption;
    const answer = choices
      ? await vscode.window.showQuickPick([...choices], { title: name })
      : await vscode.window.showInputBox({
          title: name,
          value: String(value),
          prompt: 'Leave empty to decide automatically',
        });
    if (answer === undefined) return;
    const { [name]: _before, ...others } = host.corrections(uri);
    await context.workspaceState.update(correctionKey(uri), answer ? { ...others, [name]: answer } : others);
    await sessions.trace(session);
  };

  const copyCommandLine = async (session: TraceSession | null) => {
    if (!session) return;
    const sets = Object.entries(host.corrections(session.uri)).map(
      ([name, value]) => `--set ${name}=${value}`,
    );
    await vscode.env.clipboard.writeText(
      ['neural-canvas trace', JSON.stringify(session.uri.fsPath), ...sets].join(' '),
    );
  };

  const actions: ViewActions = {
    save: async (suggestedName, bytes) => {
      const folder = sessions.active
        ? vscode.Uri.joinPath(sessions.active.uri, '..')
        : vscode.workspace.workspaceFolders?.[0]?.uri;
      const target = await vscode.window.showSaveDialog(
        folder ? { defaultUri: vscode.Uri.joinPath(folder, path.basename(suggestedName)) } : {},
      );
      if (!target) return null;
      await vscode.workspace.fs.writeFile(target, bytes);
      return path.basename(target.path);
    },
    retrace: (session) => void sessions.trace(session),
    command: (name, session) => {
      if (name === 'showLog') log.show();
      else if (name === 'copyCommandLine') void copyCommandLine(session);
      else if (name === 'pickCheckpoint') void trace();
      else if (name === 'change') void change(session?.uri);
      else if (name === 'openSample') void openSample(context);
      else if (session) void insertExportSnippet(session.view.name);
    },
  };

  context.subscriptions.push(
    log,
    sessions,
    tree,
    { dispose: () => void client.dispose() },
    vscode.window.registerTreeDataProvider('neuralCanvas.checkpoints', tree),
    vscode.window.registerCustomEditorProvider(
      CanvasEditor.viewType,
      new CanvasEditor(context.extensionUri, sessions, actions),
      { supportsMultipleEditorsPerDocument: true },
    ),
    ...(['rankings', 'clusters'] as const).map((panel) =>
      vscode.window.registerWebviewViewProvider(
        `neuralCanvas.${panel}`,
        new BottomView(panel, context.extensionUri, sessions, actions),
      ),
    ),
    vscode.commands.registerCommand('neuralCanvas.trace', trace),
    vscode.commands.registerCommand('neuralCanvas.change', change),
    vscode.commands.registerCommand('neuralCanvas.refresh', () => tree.refresh()),
    vscode.commands.registerCommand('neuralCanvas.showLog', () => log.show()),
    vscode.commands.registerCommand('neuralCanvas.openSample', () => openSample(context)),
    vscode.commands.registerCommand('neuralCanvas.copyCommandLine', () => copyCommandLine(sessions.active)),
  );
}

/** Commands get a file from the Explorer or editor title, an entry from our tree, or nothing from the palette. */
function fileOf(target: unknown): vscode.Uri | undefined {
  if (target instanceof vscode.Uri) return target;
  if (typeof target === 'object' && target !== null && 'uri' in target && target.uri instanceof vscode.Uri) {
    return target.uri;
  }
  return undefined;
}

async function pickCheckpoint(): Promise<vscode.Uri | undefined> {
  const picked = await vscode.window.showOpenDialog({
    title: 'Trace contributions of a checkpoint',
    openLabel: 'Trace',
    filters: { Checkpoints: ['pt', 'pth', 'ckpt'], 'All files': ['*'] },
  });
  return picked?.[0];
}

/** A copy, so that it can be changed and trained anew. */
async function openSample(context: vscode.ExtensionContext): Promise<void> {
  const copy = vscode.Uri.joinPath(context.globalStorageUri, 'samples', 'pictures');
  await vscode.workspace.fs.copy(vscode.Uri.joinPath(context.extensionUri, 'samples', 'pictures'), copy, {
    overwrite: true,
  });
  await vscode.commands.executeCommand('vscode.openFolder', copy, { forceNewWindow: true });
}

/** At the cursor of a Python file that is in sight, or in a new one. */
async function insertExportSnippet(checkpoint: string): Promise<void> {
  const text = exportSnippet(checkpoint);
  const editor = vscode.window.visibleTextEditors.find(({ document }) => document.languageId === 'python');
  if (!editor) {
    const document = await vscode.workspace.openTextDocument({ language: 'python', content: text });
    await vscode.window.showTextDocument(document);
    return;
  }
  await vscode.window.showTextDocument(editor.document, editor.viewColumn);
  await editor.edit((edit) => edit.insert(editor.selection.active, text));
}
