/** Writes what the worker has to files that the person names. */
import path from 'node:path';
import * as vscode from 'vscode';
import type { TraceSession } from './session';

/** @returns name of the file, or null when the person thought better of it. @throws Error with a sentence */
export async function saveMaps(session: TraceSession): Promise<string | null> {
  const name = `${path.parse(session.uri.path).name}-maps.npz`;
  const target = await vscode.window.showSaveDialog({
    title: 'Save contribution maps',
    defaultUri: vscode.Uri.joinPath(session.uri, '..', name),
    filters: { 'NumPy archive': ['npz'] },
  });
  if (!target) return null;
  await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: `Writing ${path.basename(target.path)}` },
    () => session.exportMaps(target.fsPath),
  );
  return path.basename(target.path);
}
