/** Opening and closing canvases, over and over: nothing is left behind. `PANELS=200` for longer, and for rounds of all that a person does. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as vscode from 'vscode';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { api, closeAll, inProject, siren, traced } from './support';

const panels = Number(process.env.PANELS ?? 4);
/** From which on memory is compared: before, what is loaded once and kept counts too much. */
const LONG = 50;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Of this process, in which the worker's threads are too; `maps` is what this thread's arrays hold. */
function resources() {
  collect();
  const handles = process
    .getActiveResourcesInfo()
    .filter((kind) => !/Timeout|Immediate|FSReq/.test(kind)).length;
  const files = process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
  const { rss, arrayBuffers } = process.memoryUsage();
  const [mebibytes, maps] = [rss, arrayBuffers].map((bytes) => Math.round(bytes / 2 ** 20));
  return { handles, files, mebibytes, maps };
}

describe('soak', () => {
  it(`${panels} canvases opened and closed leave nothing behind`, async function () {
    this.timeout(60_000 + panels * 10_000);
    const { sessions } = await api();
    let settledAt: ReturnType<typeof resources> | undefined;
    for (let i = 0; i < panels; i++) {
      await traced(siren);
      await closeAll();
      assert.equal(sessions.find(siren), undefined);
      assert.equal(sessions.active, null);
      if (i === Math.floor(panels / 10) || (panels < 10 && i === 0)) settledAt = resources();
    }
    assert.ok(settledAt);
    const before = settledAt;
    // A socket or a file more or less is the editor's own coming and going, and some close a little later.
    const within = ({ handles, files }: typeof before) =>
      handles <= 1.1 * before.handles + 2 && files <= 1.1 * before.files + 4;
    // One session's maps are more than that.
    const mapsGone = ({ maps }: typeof before) => maps <= before.maps + 2;
    let ended = resources();
    // What is cancelled ends a moment later, and holds its session until then.
    for (const end = Date.now() + 10_000; Date.now() < end; ended = resources()) {
      if (within(ended) && mapsGone(ended)) break;
      await delay(250);
    }
    // The runner prints titles: the way for figures out of the extension host.
    this.test!.title += ` ${JSON.stringify({ settledAt, ended })}`;
    assert.ok(within(ended), `handles or files grow: ${process.getActiveResourcesInfo().join(' ')}`);
    assert.ok(mapsGone(ended), 'what panels showed is kept');
    if (panels >= LONG) assert.ok(ended.mebibytes <= 1.1 * settledAt.mebibytes, 'memory grows');
  });

  // A round takes a quarter of a minute.
  const rounds = Math.round(panels / 8);
  (rounds > 1 ? it : it.skip)(
    `${rounds > 1 ? rounds : 'no'} rounds of saves, findings and comparisons leave nothing behind`,
    async function () {
      this.timeout(60_000 + rounds * 30_000);
      const { sessions, live } = await api();
      const run = inProject('soak/model.pth');
      const later = inProject('checkpoints/siren_step0300.pth');
      await vscode.workspace.fs.createDirectory(inProject('soak'));
      const kept: number[] = [];
      try {
        for (let round = 0; round < rounds; round++) {
          await vscode.workspace.fs.copy(siren, run, { overwrite: true });
          const session = await traced(run);
          await vscode.commands.executeCommand('neuralCanvas.showFindings');
          await vscode.commands.executeCommand('neuralCanvas.compare', run, [run, later]);
          const { id } = session.view;
          await writeFile(run.fsPath, await readFile(later.fsPath));
          for (const end = Date.now() + 20_000; session.view.id === id && Date.now() < end;) await delay(50);
          assert.notEqual(session.view.id, id, 'the save was not traced');
          await closeAll();
          assert.equal(sessions.active, null);
          await live.clearHistory();
          await delay(500);
          kept.push(resources().maps);
        }
      } finally {
        await closeAll();
        await vscode.workspace.fs.delete(inProject('soak'), { recursive: true });
      }
      this.test!.title += ` ${JSON.stringify({ kept })}`;
      assert.ok(kept.at(-1)! <= kept[0] + 2, 'what panels showed is kept');
    },
  );
});
