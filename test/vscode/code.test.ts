import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { api, closeAll, inProject, siren, traced } from './support';

const models = inProject('models.py');

/** Asks until there is an answer: the workspace is read in the background. */
async function until<T>(ask: () => Thenable<T | undefined> | T | undefined): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function place(uri: vscode.Uri, text: string, within: string): Promise<vscode.Position> {
  const document = await vscode.workspace.openTextDocument(uri);
  const at = document.getText().indexOf(text);
  assert.ok(at >= 0, text);
  return document.positionAt(at + text.lastIndexOf(within) + 1);
}

async function hover(uri: vscode.Uri, text: string, within = text): Promise<string | undefined> {
  const position = await place(uri, text, within);
  const found = await vscode.commands.executeCommand<vscode.Hover[]>(
    'vscode.executeHoverProvider',
    uri,
    position,
  );
  const contents = found.flatMap(({ contents: each }) => each) as vscode.MarkdownString[];
  return contents.map(({ value }) => value).find((value) => value.includes('neuralCanvas.code.'));
}

async function lenses(uri: vscode.Uri): Promise<vscode.CodeLens[] | undefined> {
  // VS Code asks providers about open documents only.
  await vscode.workspace.openTextDocument(uri);
  const found = await vscode.commands.executeCommand<vscode.CodeLens[]>(
    'vscode.executeCodeLensProvider',
    uri,
    100,
  );
  const ours = found.filter(({ command }) => command?.command.startsWith('neuralCanvas.'));
  return ours.length > 0 ? ours : undefined;
}

describe('code', () => {
  afterEach(closeAll);

  it('offers a trace before there is one, and shows maps afterwards', async () => {
    await vscode.window.showTextDocument(models, { viewColumn: vscode.ViewColumn.One });
    const before = await until(() => hover(models, 'return self.net(coords)', 'net'));
    assert.match(before, /Trace and show maps/);
    assert.doesNotMatch(before, /data:image/);

    const session = await traced(siren);
    assert.equal(session.view.status.state, 'ready');
    const after = (await hover(models, 'return self.net(coords)', 'net'))!;
    assert.equal(after.match(/<img src="data:image\/png;base64,/g)?.length, 6);
    assert.match(after, /96 neurons/);
    assert.match(after, /Open in canvas/);
    assert.ok(after.length < 100_000, 'VS Code cuts longer hovers');
    const one = (await hover(models, 'last = nn.Linear', 'Linear'))!;
    assert.match(one, /hold/);
    assert.equal(await hover(models, 'self.omega_0 = omega_0', 'omega_0'), undefined);
  });

  it('puts lenses above classes and lines that save', async () => {
    await vscode.window.showTextDocument(models, { viewColumn: vscode.ViewColumn.One });
    const found = await until(() => lenses(models));
    const document = await vscode.workspace.openTextDocument(models);
    const titled = found.filter(({ command }) => command!.title.includes('Trace contributions'));
    const over = titled.map(({ range }) => /class (\w+)/.exec(document.lineAt(range.start.line).text)?.[1]);
    assert.deepEqual(over.sort(), ['DenseLayer', 'FourierFeatureNet', 'SineLayer', 'Siren']);
    assert.match(titled[0].command!.title, /\.pth/);
    assert.ok(titled[0].command!.arguments![0] instanceof vscode.Uri);
    const saving = await until(() => lenses(inProject('train.py')));
    assert.ok(saving.length > 0);

    const configuration = vscode.workspace.getConfiguration('neuralCanvas.code');
    await configuration.update('lenses', false, vscode.ConfigurationTarget.Workspace);
    assert.equal(await lenses(models), undefined);
    await configuration.update('lenses', undefined, vscode.ConfigurationTarget.Workspace);
  });

  it('reveals the line of a layer, and marks the layer at the caret', async () => {
    const editor = await vscode.window.showTextDocument(models, { viewColumn: vscode.ViewColumn.One });
    await until(() => hover(models, 'return self.net(coords)', 'net'));
    const session = await traced(siren);
    const code = () => [...session.replay()].find((message) => message.type === 'code')!;
    await until(() => (code().known.length > 0 ? true : undefined));
    assert.equal(code().known.length, 5);
    await vscode.commands.executeCommand('neuralCanvas.code.reveal', siren, 'net.4');
    const active = vscode.window.activeTextEditor!;
    assert.equal(active.document.uri.toString(), models.toString());
    assert.match(active.document.lineAt(active.selection.active.line).text, /last = nn\.Linear/);
    await until(() => (code().caret.join() === 'net.4' ? true : undefined));
    editor.selection = new vscode.Selection(0, 0, 0, 0);
    assert.equal((await api()).sessions.active, session);
  });

  it('reads the cells of a notebook as one text', async () => {
    const file = inProject('look.ipynb');
    const cell = (source: string) => ({
      cell_type: 'code',
      metadata: {},
      outputs: [],
      execution_count: null,
      source,
    });
    const content = {
      nbformat: 4,
      nbformat_minor: 5,
      metadata: { language_info: { name: 'python' } },
      cells: [
        cell('%matplotlib inline\nfrom models import Siren\nnetwork = Siren()'),
        cell('first = network.net[0].linear\nlast = network.state_dict()["net.4.weight"]'),
      ],
    };
    await vscode.workspace.fs.writeFile(file, new TextEncoder().encode(JSON.stringify(content)));
    const notebook = await vscode.workspace.openNotebookDocument(file);
    await vscode.window.showNotebookDocument(notebook);
    const { uri } = notebook.cellAt(1).document;
    assert.match(await until(() => hover(uri, 'network.net[0].linear', 'linear')), /net&#46;0&#46;linear/);
    assert.match((await hover(uri, '"net.4.weight"', 'net.4'))!, /net&#46;4/);
  });
});
