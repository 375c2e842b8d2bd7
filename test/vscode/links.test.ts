import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import * as vscode from 'vscode';
import type { HostMessage } from '../../src/panels/protocol';
import { api, closeAll, inProject, settled, siren, traced } from './support';

/** What the person would be asked and told while `act` runs, and what they answer. */
async function asked(answer: string | undefined, act: () => Promise<void>): Promise<string[]> {
  const { window } = vscode;
  const said: string[] = [];
  const own = { warn: window.showWarningMessage, error: window.showErrorMessage };
  const speak =
    (reply: string | undefined) =>
    (message: string, options?: { detail?: string }): Promise<string | undefined> => {
      said.push(`${message} ${options?.detail ?? ''}`);
      return Promise.resolve(reply);
    };
  Object.assign(window, { showWarningMessage: speak(answer), showErrorMessage: speak(undefined) });
  try {
    await act();
  } finally {
    Object.assign(window, { showWarningMessage: own.warn, showErrorMessage: own.error });
  }
  return said;
}

const link = (query: string) => vscode.Uri.parse('vscode://neural-canvas.neural-canvas/open').with({ query });

describe('links', () => {
  afterEach(closeAll);
  after(async () => {
    // Selections are remembered, and other suites look at the same file.
    (await traced(siren)).select({ layer: -1, neurons: [], pixel: null });
    await closeAll();
  });

  it('are copied, and open the checkpoint, the selection and the view again', async () => {
    const { commands, links } = await api();
    const session = await traced(siren);
    session.select({ layer: 2, neurons: [{ layer: 2, neuron: 5 }], pixel: { row: 3, column: 4 } });
    const copied = await commands.copyLink(session, { mode: 'without', zoom: 2 });
    assert.equal(await vscode.env.clipboard.readText(), copied);
    assert.match(copied, /:\/\/neural-canvas\.neural-canvas\/open\?file=checkpoints%2Fsiren\.pth&/);
    session.select({ layer: 4, neurons: [], pixel: null });
    await closeAll();

    const said = await asked(undefined, () => links.handleUri(vscode.Uri.parse(copied)));
    assert.deepEqual(said, []);
    const again = (await api()).sessions.find(siren);
    assert.ok(again);
    const { layer, neurons, pixel } = again.selection;
    assert.deepEqual(
      { layer, neurons, pixel },
      {
        layer: 2,
        neurons: [{ layer: 2, neuron: 5 }],
        pixel: { row: 3, column: 4 },
      },
    );
    assert.deepEqual(await settled(again), { state: 'ready' });
  });

  it('to what is open already show their view at once', async () => {
    const session = await traced(siren);
    const messages: HostMessage[] = [];
    const subscription = session.onMessage((message) => messages.push(message));
    await (await api()).links.handleUri(link('file=checkpoints/siren.pth&mode=error&zoom=4'));
    subscription.dispose();
    assert.deepEqual(
      messages.filter(({ type }) => type === 'view'),
      [{ type: 'view', view: { mode: 'error', zoom: 4 } }],
    );
  });

  it('out of the open folder open nothing before the person agrees', async () => {
    const { links, sessions } = await api();
    const folder = await mkdtemp(path.join(os.tmpdir(), 'neural-canvas-link-'));
    const outside = path.join(folder, 'secret.pth');
    await vscode.workspace.fs.copy(siren, vscode.Uri.file(outside));
    // A link inside of the project that leads out of it.
    const door = inProject('door.pth');
    await symlink(outside, door.fsPath);
    try {
      for (const file of [outside, 'door.pth']) {
        const said = await asked(undefined, () => links.handleUri(link(`file=${encodeURIComponent(file)}`)));
        assert.equal(said.length, 1);
        assert.match(said[0], /outside of the open folder/);
        assert.equal(sessions.find(vscode.Uri.file(outside)), undefined);
        assert.equal(sessions.find(door), undefined);
      }
      for (const file of ['../../secret.pth', 'missing.pth', '']) {
        const said = await asked(undefined, () => links.handleUri(link(`file=${encodeURIComponent(file)}`)));
        assert.equal(said.length, 1);
        assert.doesNotMatch(said[0], /outside/);
      }
      assert.equal(sessions.active, null);
      const said = await asked('Open', () => links.handleUri(link(`file=${encodeURIComponent(outside)}`)));
      assert.match(said.join(), /secret\.pth/);
      assert.ok(sessions.find(vscode.Uri.file(outside)));
    } finally {
      await closeAll();
      await rm(door.fsPath);
      await rm(folder, { recursive: true });
    }
  });
});
