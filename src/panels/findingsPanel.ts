import * as vscode from 'vscode';
import type { Sessions } from './sessions';
import { ViewConnection, type ViewActions } from './webview';

/** The findings page of the active session, a tab of its own. */
export class FindingsPanel implements vscode.WebviewPanelSerializer, vscode.Disposable {
  static readonly viewType = 'neuralCanvas.findings';
  private panel: vscode.WebviewPanel | undefined;

  constructor(
    private readonly extension: vscode.Uri,
    private readonly sessions: Sessions,
    private readonly actions: ViewActions,
  ) {}

  show(): void {
    if (this.panel) {
      this.panel.reveal();
      return;
    }
    const { viewType } = FindingsPanel;
    const options = { enableFindWidget: true };
    this.connect(vscode.window.createWebviewPanel(viewType, 'Findings', vscode.ViewColumn.Active, options));
  }

  /** After a reload. */
  deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
    this.panel?.dispose();
    this.connect(panel);
    return Promise.resolve();
  }

  private connect(panel: vscode.WebviewPanel): void {
    this.panel = panel;
    const connection = new ViewConnection(panel.webview, this.extension, 'findings', this.actions);
    const follow = (session = this.sessions.active) => {
      panel.title = session ? `Findings: ${session.view.name}` : 'Findings';
      connection.show(session);
    };
    follow();
    const subscription = this.sessions.onDidChangeActive((session) => follow(session));
    panel.onDidDispose(() => {
      subscription.dispose();
      connection.dispose();
      if (this.panel === panel) this.panel = undefined;
    });
  }

  dispose(): void {
    this.panel?.dispose();
  }
}
