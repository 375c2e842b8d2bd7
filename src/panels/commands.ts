import path from 'node:path';
import * as vscode from 'vscode';
import { CanvasEditor } from './canvasEditor';
import { exportSnippet } from './exportSnippet';
import type { TraceSession } from './session';
import type { Sessions } from './sessions';
import type { ViewActions } from './webview';

/** What the person corrected about a file, kept with the workspace. */
export interface Corrections {
  get(file: vscode.Uri): Readonly<Record<string, string>>;
  set(file: vscode.Uri, corrections: Readonly<Record<string, string>>): Thenable<void>;
}

/** The extension's commands; the views call them too. */
export class Commands implements ViewActions {
  constructor(
    private readonly extension: vscode.Uri,
    private readonly storage: vscode.Uri,
    private readonly sessions: Sessions,
    private readonly corrections: Corrections,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  /** Opens the canvas of a file, beside the code, and traces; asks for the file when none is given. */
  async trace(target?: unknown): Promise<void> {
    const uri = fileOf(target) ?? (await pickCheckpoint());
    if (!uri) return;
    const existing = this.sessions.find(uri);
    if (existing) void this.sessions.trace(existing);
    await vscode.commands.executeCommand('vscode.openWith', uri, CanvasEditor.viewType, columnFor(uri));
    await vscode.commands.executeCommand('neuralCanvas.rankings.focus', { preserveFocus: true });
  }

  /** Opens a copy of the sample project, which can be changed and trained anew. */
  async openSample(): Promise<void> {
    const copy = vscode.Uri.joinPath(this.storage, 'samples', 'pictures');
    const { fs, workspaceFolders } = vscode.workspace;
    const exists = await fs.stat(copy).then(
      () => true,
      () => false,
    );
    if (!exists) await fs.copy(vscode.Uri.joinPath(this.extension, 'samples', 'pictures'), copy);
    await vscode.commands.executeCommand('vscode.openFolder', copy, {
      forceNewWindow: workspaceFolders !== undefined,
    });
  }

  /** Asks again for what the file did not say; an empty answer goes back to the automatic value. */
  async change(target?: unknown): Promise<void> {
    const uri = fileOf(target) ?? this.sessions.active?.uri;
    const session = uri && this.sessions.find(uri);
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
    const { [name]: _before, ...others } = this.corrections.get(uri);
    await this.corrections.set(uri, answer ? { ...others, [name]: answer } : others);
    await this.sessions.trace(session);
  }

  async copyCommandLine(session = this.sessions.active): Promise<void> {
    if (!session) return;
    const sets = Object.entries(this.corrections.get(session.uri)).map(
      ([name, value]) => `--set ${JSON.stringify(`${name}=${value}`)}`,
    );
    await vscode.env.clipboard.writeText(
      ['neural-canvas trace', JSON.stringify(session.uri.fsPath), ...sets].join(' '),
    );
  }

  /** Puts the code that exports the network as ONNX at the cursor of a visible Python file, or into a new one. */
  private async insertExportSnippet(session: TraceSession): Promise<void> {
    const code = exportSnippet(session.view.name);
    const python = vscode.window.visibleTextEditors.find(({ document }) => document.languageId === 'python');
    if (!python) {
      const document = await vscode.workspace.openTextDocument({ language: 'python', content: code });
      await vscode.window.showTextDocument(document, vscode.ViewColumn.Beside);
      return;
    }
    const editor = await vscode.window.showTextDocument(python.document, python.viewColumn);
    await editor.insertSnippet(new vscode.SnippetString().appendText(code));
  }

  showLog(): void {
    this.log.show();
  }

  async save(suggestedName: string, bytes: Uint8Array): Promise<string | null> {
    const { active } = this.sessions;
    const folder = active
      ? vscode.Uri.joinPath(active.uri, '..')
      : vscode.workspace.workspaceFolders?.[0]?.uri;
    const target = await vscode.window.showSaveDialog(
      folder ? { defaultUri: vscode.Uri.joinPath(folder, path.basename(suggestedName)) } : {},
    );
    if (!target) return null;
    await vscode.workspace.fs.writeFile(target, bytes);
    return path.basename(target.path);
  }

  retrace(session: TraceSession): void {
    void this.sessions.trace(session);
  }

  command(name: string, session: TraceSession | null): void {
    switch (name) {
      case 'showLog':
        return this.showLog();
      case 'copyCommandLine':
        return void this.copyCommandLine(session);
      case 'openSample':
        return void this.openSample();
      case 'pickCheckpoint':
        return void this.trace();
      case 'change':
        return void this.change(session?.uri);
      case 'insertExportSnippet':
        return session ? void this.insertExportSnippet(session) : undefined;
    }
  }
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

/** Where the file's canvas is, else where another one is, else beside the code. */
function columnFor(uri: vscode.Uri): vscode.ViewColumn {
  const canvases = vscode.window.tabGroups.all.flatMap(({ viewColumn, tabs }) =>
    tabs.flatMap(({ input }) =>
      input instanceof vscode.TabInputCustom && input.viewType === CanvasEditor.viewType
        ? [{ viewColumn, same: input.uri.toString() === uri.toString() }]
        : [],
    ),
  );
  const there = canvases.find(({ same }) => same) ?? canvases[0];
  if (there) return there.viewColumn;
  return vscode.window.activeTextEditor ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active;
}
