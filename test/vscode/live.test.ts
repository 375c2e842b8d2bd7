import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import * as vscode from 'vscode';
import { TraceTool } from '../../src/agents/traceTool';
import type { HistoryView } from '../../src/panels/protocol';
import type { TraceSession } from '../../src/panels/session';
import { api, closeAll, inProject, settled, siren, traced } from './support';

const { fs } = vscode.workspace;
const run = inProject('live/model.pth');

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 40_000; Date.now() < end; await delay(50)) if (await check()) return;
  assert.fail(`never true: ${check.toString()}`);
}

function history(session: TraceSession): HistoryView | undefined {
  for (const message of session.replay()) if (message.type === 'history') return message.history;
  return undefined;
}

/** As a training run does; to VS Code's own copying, which deletes first, the editor closes. */
const save = async (file: vscode.Uri) => writeFile(run.fsPath, await readFile(file.fsPath));

describe('live tracing', () => {
  before(async () => {
    await fs.createDirectory(inProject('live'));
    await fs.copy(inProject('checkpoints/siren_step0050.pth'), run, { overwrite: true });
    await vscode.commands.executeCommand('neuralCanvas.resumeLive');
  });
  after(async () => {
    await closeAll();
    await (await api()).live.clearHistory();
    await fs.delete(inProject('live'), { recursive: true });
  });

  it('traces an open checkpoint again when it is overwritten, and remembers the save before', async () => {
    const session = await traced(run);
    await until(() => history(session)?.saves.length === 1);
    const { id } = session.view;
    const states = new Set<string>();
    session.onMessage((message) => message.type === 'session' && states.add(message.session!.status.state));
    await save(siren);
    await until(() => history(session)?.saves.length === 2);
    assert.notEqual(session.view.id, id);
    assert.deepEqual(
      [...states].filter((state) => state !== 'ready'),
      [],
    );
    const [before, now] = history(session)!.saves;
    assert.equal(history(session)!.current, now.id);
    assert.ok(now.layers.every(({ change }) => change !== null && change >= 0));
    await session.look(before.id);
    assert.equal(session.view.past?.id, before.id);
    await session.look(null);
    assert.equal(session.view.past, null);
  });

  it('pauses and resumes by command', async () => {
    const session = await traced(run);
    await until(() => (history(session)?.saves.length ?? 0) > 0);
    await vscode.commands.executeCommand('neuralCanvas.pauseLive');
    await until(() => history(session)?.following === 'paused');
    const { id } = session.view;
    await save(inProject('checkpoints/siren_step0300.pth'));
    await delay(1200);
    assert.equal(session.view.id, id);
    await vscode.commands.executeCommand('neuralCanvas.resumeLive');
    await until(() => session.view.id !== id);
    assert.deepEqual(await settled(session), { state: 'ready' });
  });

  it('does not follow when it is switched off', async () => {
    const configuration = vscode.workspace.getConfiguration('neuralCanvas');
    const session = await traced(run);
    await until(() => history(session)?.following === 'following');
    await configuration.update('live.enabled', false, vscode.ConfigurationTarget.Workspace);
    try {
      await until(() => history(session)?.following === 'off');
      const { id } = session.view;
      await save(siren);
      await delay(1200);
      assert.equal(session.view.id, id);
    } finally {
      await configuration.update('live.enabled', undefined, vscode.ConfigurationTarget.Workspace);
    }
    await until(() => history(session)?.following === 'following');
  });

  it('pins a checkpoint in the tree, and remembers it', async () => {
    const { live, tree } = await api();
    const entry = async () => (await tree.getChildren()).find(({ uri }) => uri.path === run.path)!;
    await vscode.commands.executeCommand('neuralCanvas.pin', await entry());
    assert.equal(live.isPinned(run), true);
    assert.equal(tree.getTreeItem(await entry()).contextValue, 'recognised pinned');
    await vscode.commands.executeCommand('neuralCanvas.unpin', await entry());
    assert.equal(live.isPinned(run), false);
    assert.equal(tree.getTreeItem(await entry()).contextValue, 'recognised');
  });
});

describe('language-model tool', () => {
  const never = new vscode.CancellationTokenSource().token;
  const tool = new TraceTool({
    client: undefined as never,
    log: undefined as never,
    traceOptions: () => assert.fail('nothing may be read'),
  });

  it('is offered to models with its schema', async () => {
    await api();
    const offered = vscode.lm.tools.find(({ name }) => name === 'neural-canvas_trace');
    assert.ok(offered);
    assert.match(offered.description, /implicit neural representation/);
    assert.deepEqual((offered.inputSchema as { required: string[] }).required, ['file']);
  });

  it('asks before it reads, naming the file as text', async () => {
    const prepared = await tool.prepareInvocation({ input: { file: 'checkpoints/siren.pth' } });
    const message = prepared.confirmationMessages?.message as vscode.MarkdownString;
    assert.match(message.value, /siren/);
    assert.equal(message.isTrusted, undefined);
  });

  it('returns findings as text, and stops when it is cancelled', async () => {
    const { tool } = await api();
    const invoke = (input: object, token = never) =>
      tool.invoke({ input: input as never, toolInvocationToken: undefined }, token);
    const { content } = await invoke({ file: 'checkpoints/siren.pth' });
    const text = (content[0] as vscode.LanguageModelTextPart).value;
    assert.match(text, /^siren\.pth: SIREN/);
    assert.match(text, /PSNR 40\.\d\d dB against target\.png/);
    assert.match(text, /net\.1\.linear: 96 neurons/);
    const inspected = await invoke({ file: 'checkpoints/siren.pth', inspectOnly: true });
    assert.doesNotMatch((inspected.content[0] as vscode.LanguageModelTextPart).value, /Gini/);
    const other = await invoke({ file: 'resnet.pth' });
    assert.match((other.content[0] as vscode.LanguageModelTextPart).value, /not recognised/);
    const source = new vscode.CancellationTokenSource();
    const cancelled = invoke({ file: 'wide.pt' }, source.token);
    setTimeout(() => source.cancel(), 300);
    await assert.rejects(cancelled, vscode.CancellationError);
  });

  it('reads files of the workspace only', async () => {
    const outside = vscode.Uri.joinPath(inProject('..'), 'outside.pth');
    await fs.copy(siren, outside, { overwrite: true });
    try {
      for (const file of ['../outside.pth', outside.fsPath, 'nowhere.pth', '', '.', 'checkpoints', 'a\0b']) {
        await assert.rejects(tool.prepareInvocation({ input: { file } }), (error: Error) => {
          assert.match(error.message, /workspace|is no file/);
          return true;
        });
      }
    } finally {
      await fs.delete(outside);
    }
  });
});
