/** Copies links to what a canvas shows, and opens them. */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { CanvasEditor } from './canvasEditor';
import { insideFolder, isAbsolutePath, linkQuery, parseLink, type LinkView } from './link';
import type { TraceSession } from './session';
import type { Sessions } from './sessions';

/** @returns the link */
export async function copyLink(session: TraceSession, extensionId: string, view: LinkView): Promise<string> {
  const folder = vscode.workspace.getWorkspaceFolder(session.uri);
  const file = folder
    ? path.posix.relative(folder.uri.path, session.uri.path)
    : session.uri.fsPath.split(path.sep).join('/');
  const { frame, ...selection } = session.selection;
  const isVideo = session.view.frame !== undefined;
  const query = linkQuery({ file, selection: { ...selection, ...(isVideo && { frame }) }, view });
  const link = `${vscode.env.uriScheme}://${extensionId}/open?${query}`;
  await vscode.env.clipboard.writeText(link);
  vscode.window.setStatusBarMessage('$(check) Link to this view copied', 3000);
  return link;
}

/** Opens what links ask for: files of the workspace at once, others only after the person has agreed. */
export class LinkHandler implements vscode.UriHandler {
  constructor(private readonly sessions: Sessions) {}

  async handleUri(uri: vscode.Uri): Promise<void> {
    const link = parseLink(uri.path, uri.query);
    if (typeof link === 'string') {
      void vscode.window.showErrorMessage(link);
      return;
    }
    const file = await this.find(link.file);
    if (!file) return;
    await vscode.commands.executeCommand('vscode.openWith', file, CanvasEditor.viewType);
    const session = this.sessions.find(file);
    session?.select(link.selection);
    session?.show(link.view);
  }

  /** The file a link names, if it may be opened. */
  private async find(name: string): Promise<vscode.Uri | null> {
    const folders = vscode.workspace.workspaceFolders ?? [];
    for (const folder of folders) {
      const inside = insideFolder(folder.uri.path, name);
      if (inside === null) continue;
      const uri = folder.uri.with({ path: inside });
      if (!(await isFile(uri))) continue;
      return (await staysInside(folder.uri, uri)) ? uri : await this.ask(uri);
    }
    if (!isAbsolutePath(name)) {
      const where = folders.length > 0 ? 'the folder that is open' : 'a folder; open the project first';
      void vscode.window.showErrorMessage(
        `There is no ${shown(name)} in ${where}. Open the project that the link was copied in.`,
      );
      return null;
    }
    // Nothing of a path outside is touched before the person has agreed: looking a file up on a network
    // drive already tells its server who asks.
    const uri = await this.ask(vscode.Uri.file(name));
    if (uri && !(await isFile(uri))) {
      void vscode.window.showErrorMessage(`There is no file ${shown(name)}.`);
      return null;
    }
    return uri;
  }

  private async ask(uri: vscode.Uri): Promise<vscode.Uri | null> {
    const answer = await vscode.window.showWarningMessage(
      'A link wants to open a checkpoint outside of the open folder.',
      {
        modal: true,
        detail: `${shown(uri.fsPath)}\n\nOpen it only if you know where the link comes from. Nothing in the file is run.`,
      },
      'Open',
    );
    return answer === 'Open' ? uri : null;
  }
}

const isFile = (uri: vscode.Uri) =>
  vscode.workspace.fs.stat(uri).then(
    ({ type }) => (type & vscode.FileType.File) !== 0,
    () => false,
  );

/** Whether a file still lies in a folder when symbolic links are followed. */
async function staysInside(folder: vscode.Uri, file: vscode.Uri): Promise<boolean> {
  if (folder.scheme !== 'file') return true;
  const [root, target] = await Promise.all([realpath(folder.fsPath), realpath(file.fsPath)]);
  return target.startsWith(root + path.sep);
}

/** A path as part of a sentence, not longer than one can read. */
const shown = (name: string) => (name.length > 200 ? `${name.slice(0, 100)}…${name.slice(-99)}` : name);
