import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import { saveMaps } from './exports';
import type { LinkView } from './link';
import { spelled } from './numbers';
import { Outbox } from './outbox';
import type { CorrectionValues, HostToView, ViewCalls, ViewToHost } from './protocol';
import { clusterWith } from './clusterWith';
import type { TraceSession } from './session';

export type PanelName = 'canvas' | 'rankings' | 'clusters' | 'findings';

const assets = (extension: vscode.Uri) => vscode.Uri.joinPath(extension, 'dist', 'webview');

export const webviewOptions = (extension: vscode.Uri): vscode.WebviewOptions => ({
  enableScripts: true,
  localResourceRoots: [assets(extension)],
});

/** The page of a panel, whose script and element are named after it. */
export function page(
  webview: vscode.Webview,
  extension: vscode.Uri,
  panel: PanelName | 'sweep' | 'compare',
): string {
  const nonce = randomBytes(16).toString('base64');
  const asset = (name: string) =>
    webview.asWebviewUri(vscode.Uri.joinPath(assets(extension), name)).toString();
  // Lit's style sheets are constructed, but vscode-elements and chart.js also set style attributes.
  const policy = [
    `default-src 'none'`,
    `script-src 'nonce-${nonce}'`,
    `style-src ${webview.cspSource} 'unsafe-inline'`,
    `font-src ${webview.cspSource}`,
    `img-src ${webview.cspSource} data: blob:`,
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<link rel="stylesheet" href="${asset('codicon.css')}" id="vscode-codicon-stylesheet">
<style>html, body { height: 100%; margin: 0; padding: 0; }</style>
<title>Neural Canvas</title>
</head>
<body><nc-${panel}></nc-${panel}><script type="module" nonce="${nonce}" src="${asset(`${panel}.js`)}"></script></body>
</html>`;
}

/** What a view may ask for besides what its session answers. */
export interface ViewActions {
  /** @returns the chosen file's name, or null when the person thought better of it */
  save(suggestedName: string, bytes: Uint8Array): Promise<string | null>;
  /** @returns its path relative to the checkpoint, or null when the person thought better of it */
  pickTarget(session: TraceSession): Promise<string | null>;
  pickMask(session: TraceSession, folder: boolean): Promise<string | null>;
  /** @returns the link, which is on the clipboard */
  copyLink(session: TraceSession, view: LinkView): Promise<string>;
  retrace(session: TraceSession): void;
  apply(session: TraceSession, corrections: CorrectionValues, save: boolean): void;
  command(name: string, session: TraceSession | null): void;
}

/** Connects one webview with the session it shows; the session may change (bottom panel) or stay (canvas). */
export class ViewConnection implements vscode.Disposable {
  private readonly subscriptions: vscode.Disposable[] = [];
  private sessionSubscription: vscode.Disposable | undefined;
  private session: TraceSession | null = null;
  private ready = false;
  private readonly outbox: Outbox;

  constructor(
    private readonly webview: vscode.Webview,
    extension: vscode.Uri,
    private readonly panel: PanelName,
    private readonly actions: ViewActions,
  ) {
    this.outbox = new Outbox(
      (message) => void this.webview.postMessage(spelled(message)),
      panel !== 'canvas',
    );
    webview.options = webviewOptions(extension);
    this.subscriptions.push(webview.onDidReceiveMessage((message: ViewToHost) => this.receive(message)));
    webview.html = page(webview, extension, panel);
  }

  show(session: TraceSession | null): void {
    if (session === this.session) return;
    this.sessionSubscription?.dispose();
    this.outbox.clear();
    this.session = session;
    this.sessionSubscription = session?.onMessage((message) => {
      if (!this.ready || !this.concerns(message)) return;
      this.post(message);
      // It has been seen: a canvas that opens later has its own.
      if (message.type === 'view' && this.panel === 'canvas') session.takeView();
    });
    if (this.ready) this.replay();
  }

  private replay(): void {
    this.outbox.clear();
    this.post({ type: 'reset' });
    if (!this.session) this.post({ type: 'session', session: null });
    else {
      for (const message of this.session.replay()) if (this.concerns(message)) this.post(message);
    }
    const view = this.panel === 'canvas' ? this.session?.takeView() : null;
    if (view) this.post({ type: 'view', view });
  }

  /** Findings are large and change often: only their page gets them, and it gets no pictures. */
  private concerns({ type }: HostToView): boolean {
    if (this.panel !== 'findings') return type !== 'findings';
    return ['findings', 'session', 'reset'].includes(type);
  }

  private post(message: HostToView): void {
    this.outbox.post(message);
  }

  private receive(message: ViewToHost): void {
    const { session } = this;
    switch (message.type) {
      case 'ready':
        this.ready = true;
        this.replay();
        break;
      case 'select':
        session?.select(message.selection);
        break;
      case 'cluster': {
        const { clusters, features } = message;
        void session?.cluster({ features, ...(clusters !== undefined && { clusters }) });
        break;
      }
      case 'removals':
        session?.measureRemovals(message.layer, message.baseline);
        break;
      case 'clusterWith':
        if (session) void clusterWith(session, message.other);
        break;
      case 'analyse':
        session?.analyse(message.change);
        break;
      case 'stopAnalysing':
        session?.findings.cancel();
        break;
      case 'retrace':
        if (message.allLayers) session?.traceAllLayers();
        if (session) this.actions.retrace(session);
        break;
      case 'apply':
        if (session) this.actions.apply(session, message.corrections, message.save);
        break;
      case 'cancel':
        session?.cancel();
        break;
      case 'look':
        void session?.look(message.save);
        break;
      case 'revealCode':
        void vscode.commands.executeCommand('neuralCanvas.code.reveal', session?.uri, message.layer);
        break;
      case 'command':
        this.actions.command(message.command, session);
        break;
      case 'call':
        this.answer(message).then(
          (result) => this.post({ type: 'reply', id: message.id, result }),
          (error: unknown) =>
            this.post({
              type: 'reply',
              id: message.id,
              error: error instanceof Error ? error.message : String(error),
            }),
        );
        break;
    }
  }

  private answer(message: Extract<ViewToHost, { type: 'call' }>): Promise<unknown> {
    if (message.call === 'save') {
      const { suggestedName, bytes } = message.params as { suggestedName: string; bytes: Uint8Array };
      return this.actions.save(suggestedName, bytes);
    }
    if (message.call === 'copyText') {
      const { text } = message.params as ViewCalls['copyText']['params'];
      return Promise.resolve(vscode.env.clipboard.writeText(text)).then(() => null);
    }
    if (!this.session) return Promise.reject(new Error('No checkpoint is open; trace one first.'));
    if (message.call === 'pickTarget') return this.actions.pickTarget(this.session);
    if (message.call === 'pickMask') {
      const { folder } = message.params as ViewCalls['pickMask']['params'];
      return this.actions.pickMask(this.session, folder);
    }
    if (message.call === 'saveMaps') return saveMaps(this.session);
    if (message.call === 'copyLink') {
      return this.actions.copyLink(this.session, (message.params as ViewCalls['copyLink']['params']).view);
    }
    return this.session.answer(message.call, message.params);
  }

  dispose(): void {
    this.sessionSubscription?.dispose();
    this.outbox.clear();
    for (const subscription of this.subscriptions) subscription.dispose();
  }
}
