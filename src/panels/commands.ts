import path from 'node:path';
import * as vscode from 'vscode';
import { CanvasEditor } from './canvasEditor';
import { exportSnippet, networkIn } from './exportSnippet';
import { correctionsFile, correctionsText } from '../worker/corrections';
import type { LinkView } from './link';
import { copyLink } from './links';
import type { CorrectionValues } from './protocol';
import type { Method } from '../tracing/types';
import type { TraceSession } from './session';
import { checkpointExtensions } from './fileTypes';
import type { Sessions } from './sessions';
import type { ViewActions } from './webview';

/** What the person corrected about a file, kept with the workspace. */
export interface Corrections {
  get(file: vscode.Uri): Readonly<Record<string, string>>;
  set(file: vscode.Uri, corrections: Readonly<Record<string, string>>): Thenable<void>;
}

/** Milliseconds after which rankings and clusters open although there is no picture yet. */
const PANELS_AFTER = 3000;

/**
 * Resolves with the first picture, the end of the trace, or after `limit` milliseconds: webviews that all start at
 * once hold up each other and the trace, and people look at the canvas first.
 */
const pictured = (session: TraceSession, limit: number) =>
  new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      subscription.dispose();
      resolve();
    };
    const look = () => {
      if (session.pictured || session.view.status.state !== 'tracing') done();
    };
    const timer = setTimeout(done, limit);
    const subscription = session.onMessage(look);
    look();
  });

/** The extension's commands; the views call them too. */
export class Commands implements ViewActions {
  constructor(
    private readonly extension: vscode.Uri,
    private readonly storage: vscode.Uri,
    private readonly sessions: Sessions,
    private readonly corrections: Corrections,
    private readonly log: vscode.LogOutputChannel,
    private readonly extensionId: string,
  ) {}

  /** Opens the canvas of a file, beside the code, and traces; asks for the file when none is given. */
  async trace(target?: unknown): Promise<void> {
    const uri = fileOf(target) ?? (await pickCheckpoint());
    if (!uri) return;
    const existing = this.sessions.find(uri);
    if (existing) void this.sessions.trace(existing);
    await vscode.commands.executeCommand('vscode.openWith', uri, CanvasEditor.viewType, columnFor(uri));
    const session = this.sessions.find(uri);
    if (session) void this.showPanels(session);
  }

  private async showPanels(session: TraceSession): Promise<void> {
    await pictured(session, PANELS_AFTER);
    // The canvas may have been closed meanwhile.
    if (this.sessions.find(session.uri) !== session) return;
    await vscode.commands.executeCommand('neuralCanvas.rankings.focus', { preserveFocus: true });
  }

  /** Opens a copy of a sample project, which can be changed and trained anew; asks which when none is named. */
  async openSample(name?: unknown): Promise<void> {
    const sample =
      samples.find((one) => one.folder === name) ??
      (await vscode.window.showQuickPick(samples, { title: 'Open Sample Project' }));
    if (!sample) return;
    const copy = vscode.Uri.joinPath(this.storage, 'samples', sample.folder);
    const { fs, workspaceFolders } = vscode.workspace;
    const exists = await fs.stat(copy).then(
      () => true,
      () => false,
    );
    if (!exists) await fs.copy(vscode.Uri.joinPath(this.extension, 'samples', sample.folder), copy);
    await vscode.commands.executeCommand('vscode.openFolder', copy, {
      forceNewWindow: workspaceFolders !== undefined,
    });
  }

  /** Opens the form that changes what was assumed. */
  change(target?: unknown): void {
    const uri = fileOf(target);
    (uri ? this.sessions.find(uri) : this.sessions.active)?.askForChange();
  }

  apply(session: TraceSession, corrections: CorrectionValues, save: boolean): void {
    const keep = async () => {
      const { fs } = vscode.workspace;
      const file = session.uri.with({ path: correctionsFile(session.uri.path) });
      const exists = await fs.stat(file).then(
        () => true,
        () => false,
      );
      // A file beside the checkpoint is the one truth: what it says cannot be undone elsewhere.
      if (save || exists) {
        await fs.writeFile(file, new TextEncoder().encode(correctionsText(corrections)));
        await this.corrections.set(session.uri, {});
      } else {
        await this.corrections.set(session.uri, corrections);
      }
      await this.sessions.trace(session);
    };
    keep().catch((error: unknown) => {
      this.log.error(String(error));
      const reason = error instanceof Error ? error.message : String(error);
      void vscode.window.showErrorMessage(`The corrections could not be saved: ${reason}`);
    });
  }

  pickTarget(session: TraceSession): Promise<string | null> {
    return pickPicture(session, `Picture that ${session.view.name} was trained on`, 'Compare');
  }

  pickMask(session: TraceSession, folder: boolean): Promise<string | null> {
    if (folder) return session.labelFolder().then((found) => found && besides(session, found));
    return pickPicture(session, 'Object mask: a PNG whose values are labels', 'Mark Objects');
  }

  copyLink(session: TraceSession, view: LinkView): Promise<string> {
    return copyLink(session, this.extensionId, view);
  }

  async copyCommandLine(session = this.sessions.active): Promise<void> {
    if (!session) return;
    const { target, ...corrections } = this.corrections.get(session.uri);
    const sets = Object.entries(corrections).map(
      ([name, value]) => `--set ${JSON.stringify(`${name}=${value}`)}`,
    );
    if (target !== undefined) {
      sets.push(`--target ${JSON.stringify(path.resolve(path.dirname(session.uri.fsPath), target))}`);
    }
    const { method } = session.view;
    if (method !== 'xinc') sets.push(`--method ${method}`);
    if (session.view.frame !== undefined) sets.push(`--frame ${session.selection.frame}`);
    await vscode.env.clipboard.writeText(
      ['neural-canvas trace', JSON.stringify(session.uri.fsPath), ...sets].join(' '),
    );
    vscode.window.setStatusBarMessage('$(check) Command line copied', 3000);
  }

  /** Puts the code that exports the network as ONNX at the cursor of a visible Python file, or into a new one. */
  private async insertExportSnippet(session: TraceSession): Promise<void> {
    const python = vscode.window.visibleTextEditors.find(({ document }) => document.languageId === 'python');
    const code = exportSnippet(session.view.name, python && networkIn(python.document.getText()));
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

  /** Asks what a neuron's map shall be, and traces anew. */
  async pickMethod(session = this.sessions.active): Promise<void> {
    if (!session) return;
    const now = session.view.method;
    const items = methods.map((item) => ({ ...item, description: item.method === now ? 'in use' : '' }));
    const picked = await vscode.window.showQuickPick(items, {
      title: `What a neuron’s map is, for ${session.view.name}`,
      matchOnDetail: true,
    });
    if (!picked || picked.method === now) return;
    session.useMethod(picked.method);
    await this.sessions.trace(session);
  }

  command(name: string, session: TraceSession | null): void {
    switch (name) {
      case 'showFindings':
        return void vscode.commands.executeCommand('neuralCanvas.showFindings');
      case 'pickMethod':
        return void this.pickMethod(session ?? undefined);
      case 'showLog':
        return this.showLog();
      case 'copyCommandLine':
        return void this.copyCommandLine(session);
      case 'openSample':
        return void this.openSample();
      case 'pauseLive':
      case 'resumeLive':
        return void vscode.commands.executeCommand(`neuralCanvas.${name}`);
      case 'pickCheckpoint':
        return void this.trace();
      case 'insertExportSnippet':
        return session ? void this.insertExportSnippet(session) : undefined;
    }
  }
}

const samples: readonly (vscode.QuickPickItem & { readonly folder: string })[] = [
  {
    folder: 'pictures',
    label: 'Picture',
    description: 'A cat, painted by a SIREN and by a Fourier-feature network',
  },
  { folder: 'video', label: 'Video', description: 'A bouncing ball in 16 frames, painted by a NeRV' },
];

const methods: readonly (vscode.QuickPickItem & { readonly method: Method })[] = [
  {
    method: 'xinc',
    label: 'XINC',
    detail: 'Share in the next layer’s units, as in the paper; exact for the last layer',
  },
  {
    method: 'gradient',
    label: 'Gradient',
    detail: 'Activation times gradient of the output: reaches the pixel from any depth',
  },
  {
    method: 'ablation',
    label: 'Ablation',
    detail:
      'The picture with and without the neuron: the causal truth; slow, large pictures on a sample of pixels',
  },
];

/** Commands get a file from the Explorer or editor title, an entry from our tree, or nothing from the palette. */
export function fileOf(target: unknown): vscode.Uri | undefined {
  if (target instanceof vscode.Uri) return target;
  if (typeof target === 'object' && target !== null && 'uri' in target && target.uri instanceof vscode.Uri) {
    return target.uri;
  }
  return undefined;
}

/** @returns path of the chosen picture relative to the session's checkpoint, `/` between folders */
async function pickPicture(session: TraceSession, title: string, openLabel: string): Promise<string | null> {
  const picked = await vscode.window.showOpenDialog({
    title,
    openLabel,
    defaultUri: vscode.Uri.joinPath(session.uri, '..'),
    filters: { 'PNG pictures': ['png'] },
  });
  const file = picked?.[0];
  return file ? besides(session, file.fsPath) : null;
}

/** A path relative to the checkpoint's folder, as settings beside it have it. */
const besides = (session: TraceSession, file: string): string =>
  path.relative(path.dirname(session.uri.fsPath), file).split(path.sep).join('/');

async function pickCheckpoint(): Promise<vscode.Uri | undefined> {
  const picked = await vscode.window.showOpenDialog({
    title: 'Trace contributions of a checkpoint',
    openLabel: 'Trace',
    filters: { Checkpoints: [...checkpointExtensions, 'json', 'bin'], 'All files': ['*'] },
  });
  return picked?.[0];
}

/** Where the file's canvas is, else where another one is, else beside the code. */
export function columnFor(uri: vscode.Uri): vscode.ViewColumn {
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
