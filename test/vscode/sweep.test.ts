import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import * as vscode from 'vscode';
import { api, closeAll, inProject } from './support';

describe('trace folder', () => {
  afterEach(closeAll);

  it('gives a table with one row a checkpoint, and knows them the second time', async () => {
    const { fs } = vscode.workspace;
    const folder = inProject('sweep');
    await fs.createDirectory(folder);
    await fs.copy(inProject('checkpoints/siren.pth'), vscode.Uri.joinPath(folder, 'run1/model.pth'));
    await fs.copy(inProject('checkpoints/siren.pth'), vscode.Uri.joinPath(folder, 'run2/model.pth'));
    await fs.copy(inProject('resnet.pth'), vscode.Uri.joinPath(folder, 'resnet.pth'));
    try {
      await vscode.commands.executeCommand('neuralCanvas.traceFolder', folder);
      const { sweeps } = await api();
      const view = () => sweeps.find(folder)!.view;
      assert.equal(view().state, 'done', view().message);
      assert.deepEqual(
        view().rows.map(({ file, status, neurons }) => [file, status, neurons]),
        [
          ['resnet.pth', 'not an INR', null],
          ['run1/model.pth', 'traced', 386],
          ['run2/model.pth', 'traced', 386],
        ],
      );
      const tab = vscode.window.tabGroups.activeTabGroup.activeTab!;
      assert.equal(tab.label, 'Sweep: sweep');
      await vscode.commands.executeCommand('neuralCanvas.traceFolder', folder);
      assert.equal(view().rows.length, 3);
      assert.equal(vscode.window.tabGroups.all.flatMap(({ tabs }) => tabs).length, 1);
      await closeAll();
      await delay(50);
      assert.equal(sweeps.find(folder), undefined);
    } finally {
      await fs.delete(folder, { recursive: true });
    }
  });
});
