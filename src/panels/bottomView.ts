import type * as vscode from 'vscode';
import type { Sessions } from './sessions';
import { ViewConnection, type PanelName, type ViewActions } from './webview';

/** Rankings or clusters of the active session, in the bottom panel. */
export class BottomView implements vscode.WebviewViewProvider {
  constructor(
    private readonly panel: Exclude<PanelName, 'canvas' | 'findings'>,
    private readonly extension: vscode.Uri,
    private readonly sessions: Sessions,
    private readonly actions: ViewActions,
  ) {}

  resolveWebviewView(view: vscode.WebviewView): void {
    const connection = new ViewConnection(view.webview, this.extension, this.panel, this.actions);
    connection.show(this.sessions.active);
    const follow = this.sessions.onDidChangeActive((session) => connection.show(session));
    view.onDidDispose(() => {
      follow.dispose();
      connection.dispose();
    });
  }
}
