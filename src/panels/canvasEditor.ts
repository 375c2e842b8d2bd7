import type * as vscode from 'vscode';
import type { Sessions } from './sessions';
import { ViewConnection, type ViewActions } from './webview';

/** The neural canvas as a read-only editor of checkpoint files; VS Code restores it after a reload. */
export class CanvasEditor implements vscode.CustomReadonlyEditorProvider {
  static readonly viewType = 'neuralCanvas.canvas';

  constructor(
    private readonly extension: vscode.Uri,
    private readonly sessions: Sessions,
    private readonly actions: ViewActions,
  ) {}

  openCustomDocument(uri: vscode.Uri): vscode.CustomDocument {
    return { uri, dispose() {} };
  }

  resolveCustomEditor(document: vscode.CustomDocument, panel: vscode.WebviewPanel): void {
    const session = this.sessions.acquire(document.uri);
    const connection = new ViewConnection(panel.webview, this.extension, 'canvas', this.actions);
    connection.show(session);
    if (panel.active || !this.sessions.active) this.sessions.activate(session);
    panel.onDidChangeViewState(() => {
      if (panel.active) this.sessions.activate(session);
    });
    panel.onDidDispose(() => {
      connection.dispose();
      this.sessions.release(session);
    });
  }
}
