import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { api, extension } from './support';

interface Manifest {
  readonly activationEvents: readonly string[];
  readonly contributes: { readonly commands: readonly { readonly command: string }[] };
}

describe('extension', () => {
  it('is activated by what it contributes only', async () => {
    assert.deepEqual((extension.packageJSON as Manifest).activationEvents, [
      'onUri',
      // The findings page is found again after a reload.
      'onWebviewPanel:neuralCanvas.findings',
      // So is a sweep’s table.
      'onWebviewPanel:neuralCanvas.sweep',
      // Hovers and lenses.
      'onLanguage:python',
      'onNotebook:jupyter-notebook',
    ]);
    await api();
    assert.equal(extension.isActive, true);
  });

  it('registers every command of its manifest', async () => {
    await api();
    const registered = new Set(await vscode.commands.getCommands(true));
    for (const { command } of (extension.packageJSON as Manifest).contributes.commands) {
      assert.ok(registered.has(command), command);
    }
  });

  it('has the memory budget as its setting', () => {
    assert.equal(vscode.workspace.getConfiguration('neuralCanvas').get('memoryBudget'), 1024);
  });
});
