import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { HostMessage } from '../../src/panels/protocol';
import type { FloatMap, PixelProbe } from '../../src/worker/protocol';
import { api, closeAll, inProject, open, settled, siren, traced } from './support';

const ofType = <T extends HostMessage['type']>(messages: Iterable<HostMessage>, type: T) =>
  [...messages].filter((message): message is Extract<HostMessage, { type: T }> => message.type === type);

describe('trace', () => {
  afterEach(closeAll);

  it('opens the canvas and gives a session with the whole state', async () => {
    const session = await traced(siren);
    const { input } = vscode.window.tabGroups.activeTabGroup.activeTab!;
    assert.ok(input instanceof vscode.TabInputCustom);
    assert.equal(input.viewType, 'neuralCanvas.canvas');
    assert.equal((await api()).sessions.active, session);

    const { name, path, inspection, engine } = session.view;
    assert.deepEqual(
      [name, path, inspection?.family],
      ['siren.pth', 'checkpoints/siren.pth', 'siren-notebook'],
    );
    assert.match(engine ?? '', /^onnxruntime/);
    const messages = [...session.replay()];
    const [{ picture }] = ofType(messages, 'picture');
    assert.deepEqual([picture.width, picture.height, picture.rgba.length], [256, 192, 256 * 192 * 4]);
    assert.deepEqual(
      ofType(messages, 'layer').map(({ layer }) => [layer.name, layer.neurons]),
      [
        ['net.0.linear', 2],
        ['net.1.linear', 96],
        ['net.2.linear', 96],
        ['net.3.linear', 96],
        ['net.4', 96],
      ],
    );
    const [{ selection }] = ofType(messages, 'selection');
    assert.equal(selection.layer, 4, 'the layer that reaches the pixels is shown first');
  });

  it('opens beside the code, and the next one in the same group', async () => {
    await vscode.window.showTextDocument(inProject('models.py'), { viewColumn: vscode.ViewColumn.One });
    await traced(siren);
    await vscode.window.showTextDocument(inProject('models.py'), { viewColumn: vscode.ViewColumn.One });
    await traced(inProject('checkpoints/fourier.pth'));
    assert.deepEqual(
      vscode.window.tabGroups.all.map(({ tabs }) => tabs.map(({ label }) => label)),
      [['models.py'], ['siren.pth', 'fourier.pth']],
    );
  });

  it('shows at once what was traced before, until the cache is cleared', async () => {
    const restored = async () => {
      const session = await traced(siren);
      const messages = ofType([...session.replay()], 'layer');
      const map = (await session.answer('map', { neuron: { layer: 1, neuron: 7 } })) as FloatMap;
      await closeAll();
      return { restored: session.view.restored, layers: messages.map(({ layer }) => layer), map };
    };
    await vscode.commands.executeCommand('neuralCanvas.clearCache');
    const first = await restored();
    const second = await restored();
    assert.deepEqual([first.restored, second.restored], [false, true]);
    assert.deepEqual([second.layers, second.map], [first.layers, first.map]);
    await vscode.commands.executeCommand('neuralCanvas.clearCache');
    assert.equal((await restored()).restored, false);
  });

  it('answers for pixels and neurons, alike with little memory', async () => {
    const configuration = vscode.workspace.getConfiguration('neuralCanvas');
    const session = await traced(siren);
    const ask = async () => ({
      probe: (await session.answer('probe', { row: 96, column: 128 })) as PixelProbe,
      map: (await session.answer('map', { neuron: { layer: 1, neuron: 7 } })) as FloatMap,
    });
    const before = await ask();
    assert.equal(before.probe.layers.at(-1)!.top.length, 10);
    assert.ok(before.map.data.some((value) => value !== 0));
    await configuration.update('memoryBudget', 64, vscode.ConfigurationTarget.Workspace);
    try {
      const retraced = (await api()).sessions.trace(session);
      await retraced;
      assert.deepEqual(session.view.status, { state: 'ready' });
      assert.deepEqual(await ask(), before);
    } finally {
      await configuration.update('memoryBudget', undefined, vscode.ConfigurationTarget.Workspace);
    }
  });

  it('forgets the session with its last canvas, but not what was selected', async () => {
    const session = await traced(siren);
    const selection = { layer: 2, neurons: [{ layer: 2, neuron: 5 }], pixel: { row: 3, column: 4 } };
    session.select(selection);
    await closeAll();
    const { sessions } = await api();
    assert.equal(sessions.find(siren), undefined);
    assert.equal(sessions.active, null);
    const again = await traced(siren);
    assert.notEqual(again, session);
    const { layer, neurons, pixel } = ofType(again.replay(), 'selection')[0].selection;
    assert.deepEqual({ layer, neurons, pixel }, selection);
  });

  it('says what a file holds that is no INR', async () => {
    const resnet = inProject('resnet.pth');
    const session = await open(resnet);
    const status = await settled(session);
    assert.equal(status.state, 'not-an-inr');
    assert.match(status.report.message, /^resnet\.pth .*\.$/);
    assert.ok(status.report.tensors.some(({ name }) => name === 'layer1.0.conv1.weight'));
  });

  it('is cancelled when asked, and the worker goes on with the next', async () => {
    const session = await open(inProject('wide.pt'));
    await new Promise<void>((resolve) => {
      const subscription = session.onMessage((message) => {
        if (message.type !== 'picture') return;
        subscription.dispose();
        resolve();
      });
    });
    session.cancel();
    assert.deepEqual(await settled(session), { state: 'cancelled' });
    await traced(inProject('checkpoints/fourier.pth'));
  });
});

describe('files that cannot be read', () => {
  const written: vscode.Uri[] = [];
  const write = async (name: string, content: Uint8Array) => {
    const file = inProject(name);
    written.push(file);
    await vscode.workspace.fs.writeFile(file, content);
    return file;
  };
  afterEach(closeAll);
  after(() => Promise.all(written.map((file) => vscode.workspace.fs.delete(file))));
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 117103\n`;
  const marker = inProject('marker');
  const system = `cposix\nsystem\n(S'touch ${marker.fsPath}'\ntR.`;

  for (const [name, content, sentence] of [
    ['text.pth', 'epoch 1 loss 0.2\n', /^text\.pth is a text file, not a checkpoint;/],
    ['pointer.pth', pointer, /^pointer\.pth is a Git LFS pointer.*git lfs pull/],
    ['empty.pth', '', /^empty\.pth is empty/],
    ['system.pth', system, /^system\.pth /],
  ] as const) {
    it(`${name} gets one sentence`, async () => {
      const status = await settled(await open(await write(name, Buffer.from(content))));
      const message =
        status.state === 'failed'
          ? status.message
          : status.state === 'not-an-inr'
            ? status.report.message
            : assert.fail(status.state);
      assert.match(message, sentence);
      assert.match(message, /^[^\n]+\.$/);
    });
  }

  it('a truncated file gets one sentence', async () => {
    const whole = await vscode.workspace.fs.readFile(siren);
    const status = await settled(await open(await write('truncated.pth', whole.subarray(0, 50_000))));
    assert.equal(status.state, 'failed');
    assert.match(status.message, /^truncated\.pth .*only partly written[^\n]*\.$/);
  });

  it('nothing in them has run', async () => {
    await assert.rejects(Promise.resolve(vscode.workspace.fs.stat(marker)));
  });
});
