import path from 'node:path';
import * as vscode from 'vscode';
import { comparisonJson } from '../../worker/comparisonText';
import { CancelledError } from '../../errors';
import type { Comparison } from '../../tracing/compare/compare';
import type { WorkerClient } from '../../worker/client';
import type { Inspection, Picture, TraceResult } from '../../worker/protocol';
import { checkpointExtensions } from '../fileTypes';
import { spelled } from '../numbers';
import type { Resources, TracingPurpose } from '../resources';
import { page, webviewOptions } from '../webview';
import type { CompareMessage, CompareRequest, ComparedSide, CompareStatus } from './protocol';

export interface CompareHost {
  readonly extension: vscode.Uri;
  readonly client: WorkerClient;
  readonly log: vscode.LogOutputChannel;
  /** Names and values the person corrected for this file. */
  corrections(file: vscode.Uri): Readonly<Record<string, string>>;
  resources(purpose?: TracingPurpose): Resources;
}

type Both<T> = readonly [T, T];

/** Two checkpoints side by side, in the editor area. Its traces are its own and end with it. */
class ComparePanel {
  private static count = 0;
  private traces: string[] = [];
  private work: AbortController | null = null;
  private status: CompareStatus = { state: 'working', detail: 'Waiting', fraction: 0 };
  private result: (CompareMessage & { type: 'result' }) | null = null;
  private inspections: Both<Inspection> | null = null;
  private ready = false;

  constructor(
    private readonly panel: vscode.WebviewPanel,
    private uris: Both<vscode.Uri>,
    private readonly host: CompareHost,
  ) {
    const { webview } = panel;
    webview.options = webviewOptions(host.extension);
    webview.onDidReceiveMessage((message: CompareRequest) => this.receive(message));
    webview.html = page(webview, host.extension, 'compare');
    panel.iconPath = vscode.Uri.joinPath(host.extension, 'media', 'neural-canvas.svg');
    panel.onDidDispose(() => this.dispose());
    void this.run();
  }

  private get names(): Both<string> {
    return [path.basename(this.uris[0].path), path.basename(this.uris[1].path)];
  }

  private post(message: CompareMessage): void {
    if (this.ready) void this.panel.webview.postMessage(spelled(message));
  }

  private changed(status: CompareStatus): void {
    this.status = status;
    this.post({
      type: 'status',
      status,
      uris: [this.uris[0].toString(), this.uris[1].toString()],
      names: this.names,
    });
  }

  private async run(): Promise<void> {
    this.work?.abort();
    const work = (this.work = new AbortController());
    const { signal } = work;
    const { client } = this.host;
    this.panel.title = `${this.names[0]} ↔ ${this.names[1]}`;
    this.result = null;
    await this.close();
    const key = ++ComparePanel.count;
    const tell = (detail: string, fraction: number) => {
      if (this.work === work) this.changed({ state: 'working', detail, fraction });
    };
    tell('Reading', 0);
    try {
      const sides: ComparedSide[] = [];
      const results: TraceResult[] = [];
      const names: string[] = [];
      for (const [k, uri] of this.uris.entries()) {
        const trace = `compare#${key}:${k}`;
        names.push(trace);
        this.traces.push(trace);
        let picture: Picture | null = null;
        const result = await client.call(
          'trace',
          {
            trace,
            options: {
              file: uri.fsPath,
              corrections: this.host.corrections(uri),
              method: 'xinc',
              ...this.host.resources({ sharers: 2 }),
            },
          },
          {
            signal,
            onEvent: (event) => {
              if (event.type === 'reconstruction') picture = event.picture;
              if (event.type === 'phase') {
                tell(`${this.names[k]}: ${event.detail}`, 0.4 * (k + event.fraction));
              }
            },
          },
        );
        if ('notAnInr' in result) throw new Error(result.notAnInr.message);
        results.push(result);
        sides.push({
          name: this.names[k],
          path: vscode.workspace.asRelativePath(uri),
          title: result.inspection.title,
          picture,
          previews: result.layers.map(({ previews, channelPreviews: channels, last }) =>
            channels ? (last ? channels.inputs : channels.outputs) : previews,
          ),
        });
      }
      const comparison: Comparison = await client.call(
        'compare',
        { a: names[0], b: names[1] },
        { signal, onEvent: ({ detail, fraction }) => tell(detail, 0.8 + 0.2 * fraction) },
      );
      if (this.work !== work) return;
      this.inspections = [results[0].inspection, results[1].inspection];
      this.result = { type: 'result', sides: [sides[0], sides[1]], comparison };
      this.post(this.result);
      this.changed({ state: 'ready' });
    } catch (error) {
      if (this.work !== work) return;
      if (error instanceof CancelledError) this.changed({ state: 'cancelled' });
      else {
        this.host.log.error(String(error));
        this.changed({ state: 'failed', message: error instanceof Error ? error.message : String(error) });
      }
    }
  }

  private receive(message: CompareRequest): void {
    switch (message.type) {
      case 'ready':
        this.ready = true;
        if (this.result) this.post(this.result);
        this.changed(this.status);
        break;
      case 'cancel':
        this.work?.abort();
        break;
      case 'again':
        void this.run();
        break;
      case 'exchange':
        this.uris = [this.uris[1], this.uris[0]];
        void this.run();
        break;
      case 'save':
        void this.save();
        break;
      case 'copyCommandLine': {
        const files = this.uris.map(({ fsPath }) => JSON.stringify(fsPath));
        void vscode.env.clipboard.writeText(['neural-canvas compare', ...files].join(' '));
        break;
      }
      case 'open':
        void vscode.commands.executeCommand('neuralCanvas.trace', this.uris[message.side]);
        break;
    }
  }

  private async save(): Promise<void> {
    const { result, inspections } = this;
    if (!result || !inspections) return;
    const name = `${path.parse(this.names[0]).name}-${path.parse(this.names[1]).name}.json`;
    const target = await vscode.window.showSaveDialog({
      defaultUri: vscode.Uri.joinPath(this.uris[0], '..', name),
      filters: { JSON: ['json'] },
    });
    if (!target) return;
    const text = JSON.stringify(comparisonJson(inspections, result.comparison), null, 2);
    try {
      await vscode.workspace.fs.writeFile(target, new TextEncoder().encode(`${text}\n`));
    } catch (error) {
      void vscode.window.showErrorMessage(
        `The comparison could not be saved (${error instanceof Error ? error.message : String(error)}); choose another folder.`,
      );
    }
  }

  private async close(): Promise<void> {
    const { traces } = this;
    this.traces = [];
    for (const trace of traces) await this.host.client.call('close', { trace }).catch(() => null);
  }

  private dispose(): void {
    const { work } = this;
    this.work = null;
    work?.abort();
    void this.close();
  }
}

/** Opens panels that compare two checkpoints, and finds them again after a reload. */
export class Compare implements vscode.WebviewPanelSerializer {
  static readonly viewType = 'neuralCanvas.compare';

  constructor(private readonly host: CompareHost) {}

  /**
   * @param clicked the file that the menu was opened on
   * @param selected all files that were selected then
   */
  async open(clicked?: unknown, selected?: unknown): Promise<void> {
    const given = (Array.isArray(selected) ? selected : [clicked]).flatMap((entry: unknown) => {
      const uri = uriOf(entry);
      return uri ? [uri] : [];
    });
    const unique = [...new Map(given.map((uri) => [uri.toString(), uri])).values()];
    if (unique.length > 2) {
      void vscode.window.showWarningMessage(
        `Two checkpoints are compared at a time, not ${unique.length}; select two.`,
      );
      return;
    }
    while (unique.length < 2) {
      const picked = await pickCheckpoints(unique);
      if (!picked) return;
      unique.push(...picked.slice(0, 2 - unique.length));
    }
    const panel = vscode.window.createWebviewPanel(Compare.viewType, 'Compare', vscode.ViewColumn.Active, {
      ...webviewOptions(this.host.extension),
      retainContextWhenHidden: false,
    });
    new ComparePanel(panel, [unique[0], unique[1]], this.host);
  }

  deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const { uris } = (state ?? {}) as { uris?: unknown };
    if (Array.isArray(uris) && uris.length === 2 && uris.every((uri) => typeof uri === 'string')) {
      const [a, b] = uris.map((uri) => vscode.Uri.parse(uri, true));
      new ComparePanel(panel, [a, b], this.host);
    } else panel.dispose();
    return Promise.resolve();
  }
}

function uriOf(entry: unknown): vscode.Uri | undefined {
  if (entry instanceof vscode.Uri) return entry;
  const { uri } = (entry ?? {}) as { uri?: unknown };
  return uri instanceof vscode.Uri ? uri : undefined;
}

async function pickCheckpoints(chosen: readonly vscode.Uri[]): Promise<readonly vscode.Uri[] | undefined> {
  const first = chosen[0];
  return vscode.window.showOpenDialog({
    title: first
      ? `Checkpoint to compare ${path.basename(first.path)} with`
      : 'Two checkpoints to compare: choose the first, or both',
    openLabel: first ? 'Compare' : 'Choose',
    canSelectMany: !first,
    ...(first && { defaultUri: vscode.Uri.joinPath(first, '..') }),
    filters: { Checkpoints: [...checkpointExtensions, 'json', 'bin'], 'All files': ['*'] },
  });
}
