import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { api, inProject } from './support';

async function listed(): Promise<Map<string, vscode.TreeItem>> {
  const { tree } = await api();
  const items = (await tree.getChildren()).map((entry) => tree.getTreeItem(entry));
  return new Map(items.map((item) => [vscode.workspace.asRelativePath(item.resourceUri!), item]));
}

describe('tree of checkpoints', () => {
  const broken = inProject('checkpoints/a_broken.pth');
  after(() => vscode.workspace.fs.delete(broken));

  it('lists the samples in natural order with family, size and parameters', async () => {
    const items = await listed();
    assert.deepEqual(
      // Other suites leave files in the project's folder.
      [...items]
        .filter(([name]) => name.startsWith('checkpoints/'))
        .map(([name, { description }]) => [name, description]),
      [
        ['checkpoints/fourier.pth', 'Fourier-feature network · 192×256 · 37.4K'],
        ['checkpoints/fourier_step0100.pth', 'Fourier-feature network · 192×256 · 37.4K'],
        ['checkpoints/siren.pth', 'SIREN · 192×256 · 28.5K'],
        ['checkpoints/siren_step0050.pth', 'SIREN · 192×256 · 28.5K'],
        ['checkpoints/siren_step0300.pth', 'SIREN · 192×256 · 28.5K'],
      ],
    );
    assert.equal(items.get('checkpoints/siren.pth')?.command?.command, 'neuralCanvas.trace');
  });

  it('lists what cannot be read after what is recognised, with the reason', async () => {
    await vscode.workspace.fs.writeFile(broken, Buffer.from('not a checkpoint'));
    const items = await listed();
    const names = [...items.keys()];
    assert.ok(names.indexOf('checkpoints/a_broken.pth') > names.indexOf('checkpoints/siren_step0300.pth'));
    const item = items.get('checkpoints/a_broken.pth')!;
    assert.equal(item.description, 'cannot be read');
    assert.match(item.tooltip as string, /^a_broken\.pth is a text file, not a checkpoint;/);
    assert.equal(item.command, undefined);
  });

  it('looks again when a file has changed', async () => {
    const siren = await vscode.workspace.fs.readFile(inProject('checkpoints/siren.pth'));
    await vscode.workspace.fs.writeFile(broken, siren);
    assert.match(String((await listed()).get('checkpoints/a_broken.pth')?.description), /^SIREN/);
  });
});
