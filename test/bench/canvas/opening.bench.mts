/**
 * From the click on “Trace Contributions” to what a person waits for, in a real VS Code, as one line of JSON:
 * the sample traced for the first time, then in new windows that find it in the cache; and how long VS Code says
 * that activating the extension took. Milliseconds; measurements, never assertions of time.
 */
import type { Frame, Page } from '@playwright/test';
import { workbenchUrl } from '../../../scripts/lib/vscode-server.mjs';
import { test, Workbench, type PanelName } from '../../e2e/workbench.mjs';

const AGAIN = Number(process.env.RUNS ?? 3);
const CHECKPOINT = 'siren_step0300.pth';

/** Looks ten times a second: more often, and looking takes the time from what is looked for. */
async function panel(page: Page, name: PanelName): Promise<Frame> {
  for (;;) {
    for (const frame of page.frames()) {
      if (!frame.isDetached() && (await frame.$(`nc-${name}`).catch(() => null))) return frame;
    }
    await page.waitForTimeout(100);
  }
}

async function opening({ page }: Workbench): Promise<Record<string, number>> {
  const began = performance.now();
  const since = () => Math.round(performance.now() - began);
  await page.getByRole('menuitem', { name: 'Trace Contributions' }).click();
  const after = async (name: PanelName, selector: string, hasText?: RegExp) => {
    const frame = await panel(page, name);
    await frame
      .locator(selector)
      .filter(hasText ? { hasText } : {})
      .first()
      .waitFor();
    return since();
  };
  const facts = '[data-testid=facts]';
  const [canvas, picture, traced, rankings, clusters] = await Promise.all([
    after('canvas', 'nc-canvas'),
    after('canvas', facts, / dB/),
    after('canvas', facts, /traced (in|before)/),
    after('rankings', '[data-testid=rankings-row]'),
    after('clusters', '[data-testid=cluster-card]'),
  ]);
  return { canvas, picture, traced, rankings, clusters };
}

/** Opens the menu of the checkpoint; the extension is active then, as its view lists checkpoints. */
async function menu(workbench: Workbench): Promise<void> {
  const { page } = workbench;
  await workbench.openFolder('checkpoints');
  await page.waitForTimeout(5_000);
  await workbench.file(CHECKPOINT).click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Trace Contributions' }).waitFor();
}

test('from the click to all panels', async ({ workbench, warm, server }) => {
  await menu(workbench);
  const first = await opening(workbench);
  const again: Record<string, number>[] = [];
  for (let run = 0; run < AGAIN; run++) {
    const page = await warm.newPage();
    await page.goto(workbenchUrl(server.origin, { folder: workbench.project }));
    const window = new Workbench(page, workbench.project);
    await menu(window);
    again.push(await opening(window));
    await page.close();
  }
  await workbench.command('Developer: Show Running Extensions');
  const row = workbench.page.locator('.runtime-extensions-editor .extension', { hasText: 'Neural Canvas' });
  const activation = await row.locator('.activation-time').innerText();
  console.log(JSON.stringify({ checkpoint: CHECKPOINT, first, again, activation }));
});
