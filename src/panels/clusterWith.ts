import path from 'node:path';
import * as vscode from 'vscode';
import type { TraceSession } from './session';
import { checkpointExtensions } from './fileTypes';

/** Groups a session's neurons with those of another checkpoint that the person chooses, or alone again. */
export async function clusterWith(session: TraceSession, other: 'pick' | 'none'): Promise<void> {
  if (other === 'none') return session.clusterWith(null);
  const picked = await vscode.window.showOpenDialog({
    title: `Checkpoint of the same picture to group with ${path.basename(session.uri.path)}`,
    openLabel: 'Group Together',
    defaultUri: vscode.Uri.joinPath(session.uri, '..'),
    filters: { Checkpoints: [...checkpointExtensions, 'json', 'bin'], 'All files': ['*'] },
  });
  if (picked?.[0]) await session.clusterWith(picked[0]);
}
