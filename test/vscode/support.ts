import assert from 'node:assert/strict';
import path from 'node:path';
import * as vscode from 'vscode';
import type { TestApi } from '../../src/extension';
import type { SessionStatus } from '../../src/panels/protocol';
import type { TraceSession } from '../../src/panels/session';

export const extension = vscode.extensions.getExtension<TestApi>('neural-canvas.neural-canvas')!;
export const project = vscode.workspace.workspaceFolders![0].uri;
export const inProject = (name: string) => vscode.Uri.joinPath(project, name);
export const siren = inProject('checkpoints/siren.pth');

export async function api(): Promise<TestApi> {
  const exports = (await extension.activate()) as TestApi | undefined;
  assert.ok(exports, 'the extension is not in test mode');
  return exports;
}

/** Opens the file as a person does. @returns its session, whose trace goes on */
export async function open(file: vscode.Uri): Promise<TraceSession> {
  await vscode.commands.executeCommand('neuralCanvas.trace', file);
  const session = (await api()).sessions.find(file);
  assert.ok(session, `${path.basename(file.path)} has no session`);
  return session;
}

/** Waits for the end of the trace under way. */
export function settled(session: TraceSession): Promise<SessionStatus> {
  return new Promise((resolve) => {
    const look = () => {
      const { status } = session.view;
      if (status.state === 'tracing') return;
      subscription.dispose();
      resolve(status);
    };
    const subscription = session.onMessage(look);
    look();
  });
}

/** Opens the file and waits until it is traced. */
export async function traced(file: vscode.Uri): Promise<TraceSession> {
  const session = await open(file);
  assert.deepEqual(await settled(session), { state: 'ready' });
  return session;
}

export const closeAll = () => vscode.commands.executeCommand('workbench.action.closeAllEditors');
