import path from 'node:path';
import * as vscode from 'vscode';
import { CancelledError } from '../errors';
import { filesOf } from '../sweep/glob';
import type { SweepFromView, SweepToView, SweepView } from '../sweep/protocol';
import { hash, Results, type Plan } from '../sweep/results';
import { csv } from '../sweep/row';
import { commonFolder, merged, runSweep } from '../sweep/run';
import { WorkerClient } from '../worker/client';
import type { TraceOptions } from '../worker/protocol';
import { checkpointExtensions } from './fileTypes';
import type { EngineChoice } from '../engine/choices';
import { page, webviewOptions } from './webview';

/** The table is told of new rows at most this often, ms. */
const TELL = 500;

interface SweepHost {
  readonly extension: vscode.Uri;
  readonly storage: vscode.Uri;
  readonly log: vscode.LogOutputChannel;
  /** The bundled worker: a sweep has one of its own, so that canvases need not wait for it. */
  readonly worker: string;
  engine(): EngineChoice;
  traceOptions(file: vscode.Uri): TraceOptions;
}

/** “Trace Folder…”: one row for every checkpoint below a folder, in a table that opens their canvases. */
export class SweepPanels implements vscode.Disposable, vscode.WebviewPanelSerializer {
  static readonly viewType = 'neuralCanvas.sweep';
  private readonly open = new Map<string, SweepPanel>();
  private readonly client: WorkerClient;

  constructor(private readonly host: SweepHost) {
    this.client = new WorkerClient(host.worker, { engine: () => host.engine() });
  }

  async trace(target?: unknown): Promise<void> {
    const folder = target instanceof vscode.Uri ? target : await pickFolder();
    if (!folder) return;
    const known = this.open.get(folder.toString());
    if (known) known.reveal();
    const panel = known ?? this.show(folder);
    await panel.run();
  }

  private show(folder: vscode.Uri, restored?: vscode.WebviewPanel): SweepPanel {
    const title = `Sweep: ${path.basename(folder.path)}`;
    const webview =
      restored ??
      vscode.window.createWebviewPanel(SweepPanels.viewType, title, vscode.ViewColumn.Active, {
        ...webviewOptions(this.host.extension),
        retainContextWhenHidden: false,
      });
    const panel = new SweepPanel(folder, webview, this.client, this.host);
    this.open.set(folder.toString(), panel);
    webview.onDidDispose(() => {
      panel.dispose();
      if (this.open.get(folder.toString()) === panel) this.open.delete(folder.toString());
    });
    return panel;
  }

  /** After a reload: the rows there are. */
  async deserializeWebviewPanel(webview: vscode.WebviewPanel, state: unknown): Promise<void> {
    const folder = (state as { folder?: unknown } | undefined)?.folder;
    if (typeof folder !== 'string') {
      webview.dispose();
      return;
    }
    await this.show(vscode.Uri.parse(folder), webview).restore();
  }

  find(folder: vscode.Uri): SweepPanel | undefined {
    return this.open.get(folder.toString());
  }

  dispose(): void {
    for (const panel of this.open.values()) panel.dispose();
    void this.client.dispose();
  }
}

class SweepPanel {
  private readonly results: Results;
  private plan: Plan = { files: [], options: {} };
  private work: AbortController | null = null;
  private timer: NodeJS.Timeout | undefined;
  view: SweepView;

  constructor(
    private readonly folder: vscode.Uri,
    private readonly panel: vscode.WebviewPanel,
    private readonly client: WorkerClient,
    private readonly host: SweepHost,
  ) {
    const place = vscode.Uri.joinPath(host.storage, 'sweeps', hash(folder.toString()).slice(0, 24));
    this.results = new Results(place.fsPath);
    this.view = {
      name: vscode.workspace.asRelativePath(folder),
      folder: folder.toString(),
      rows: [],
      total: 0,
      state: 'running',
      message: '',
    };
    const { webview } = panel;
    webview.options = webviewOptions(host.extension);
    webview.onDidReceiveMessage((message: SweepFromView) => void this.receive(message));
    webview.html = page(webview, host.extension, 'sweep');
  }

  reveal(): void {
    this.panel.reveal();
  }

  private tell(change: Partial<SweepView>): void {
    this.view = { ...this.view, ...change };
    void this.panel.webview.postMessage({ type: 'sweep', sweep: this.view } satisfies SweepToView);
  }

  private async receive(message: SweepFromView): Promise<void> {
    switch (message.type) {
      case 'ready':
        return this.tell({});
      case 'cancel':
        return this.work?.abort();
      case 'again':
        return this.run();
      case 'open': {
        const known = this.view.rows.find(({ file }) => file === message.file);
        if (!known) return;
        const file = vscode.Uri.file(path.join(commonFolder(this.plan.files), known.file));
        await vscode.commands.executeCommand('neuralCanvas.trace', file);
        return;
      }
      case 'save': {
        const suggested = vscode.Uri.joinPath(this.folder, 'sweep.csv');
        const target = await vscode.window.showSaveDialog({
          defaultUri: suggested,
          filters: { CSV: ['csv'] },
        });
        if (target)
          await vscode.workspace.fs.writeFile(target, new TextEncoder().encode(csv(this.view.rows)));
      }
    }
  }

  async restore(): Promise<void> {
    try {
      this.plan = await this.results.plan();
      const { rows, missing } = await merged(this.plan, this.results);
      const total = this.plan.files.length;
      this.tell({ rows, total, state: missing > 0 ? 'cancelled' : 'done' });
    } catch {
      this.tell({ state: 'cancelled' });
    }
  }

  /** Traces what has not been traced; what is known is shown at once. Never rejects. */
  async run(): Promise<void> {
    if (this.work) return;
    const work = (this.work = new AbortController());
    this.tell({ state: 'running', message: '' });
    const pattern = `${this.folder.fsPath.replace(/[*?{},]/g, '?')}/**/*.{${checkpointExtensions.join(',')}}`;
    const title = `Tracing ${this.view.name}`;
    await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title, cancellable: true },
      async (progress, token) => {
        token.onCancellationRequested(() => work.abort());
        try {
          const files = await filesOf([pattern]);
          this.plan = { files, options: { in: 'editor' } };
          await this.results.prepare();
          await this.results.write('sweep.json', JSON.stringify(this.plan));
          this.tell({ total: files.length });
          let done = 0;
          await runSweep({
            plan: this.plan,
            results: this.results,
            clients: [this.client],
            signal: work.signal,
            retry: true,
            traceOptions: (file) => this.host.traceOptions(vscode.Uri.file(file)),
            onFile: (file) => {
              const message = `${++done} of ${files.length}, ${path.basename(file)}`;
              progress.report({ message, increment: 100 / files.length });
              this.timer ??= setTimeout(() => {
                this.timer = undefined;
                void this.rows();
              }, TELL);
            },
          });
          await this.rows('done');
        } catch (error) {
          if (error instanceof CancelledError || work.signal.aborted) await this.rows('cancelled');
          else {
            this.host.log.error(String(error));
            const message = error instanceof Error ? error.message : String(error);
            this.tell({ state: 'failed', message });
          }
        } finally {
          clearTimeout(this.timer);
          this.timer = undefined;
          this.work = null;
        }
      },
    );
  }

  private async rows(state?: SweepView['state']): Promise<void> {
    const { rows } = await merged(this.plan, this.results);
    // A late look must not undo the end.
    if (state || this.work) this.tell({ rows, ...(state && { state }) });
  }

  dispose(): void {
    this.work?.abort();
    clearTimeout(this.timer);
  }
}

async function pickFolder(): Promise<vscode.Uri | undefined> {
  const picked = await vscode.window.showOpenDialog({
    title: 'Trace all checkpoints in a folder',
    openLabel: 'Trace Folder',
    canSelectFiles: false,
    canSelectFolders: true,
    ...(vscode.workspace.workspaceFolders && { defaultUri: vscode.workspace.workspaceFolders[0].uri }),
  });
  return picked?.[0];
}
