/** A training run overwrites the checkpoint that a person looks at. */
import { copyFile, open, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Frame } from '@playwright/test';
import { expect, fixture, test } from './workbench.mjs';

/** Notes every moment in which the canvas shows no picture, or an error. */
const watchCanvas = (frame: Frame) =>
  frame.evaluate(() => {
    const root = document.querySelector('nc-canvas')!.shadowRoot!;
    const seen: string[] = [];
    Object.assign(window, { seen });
    const look = () => {
      if (!root.querySelector('nc-picture'))
        seen.push(`no picture: ${root.textContent?.trim().slice(0, 80)}`);
      const alert = root.querySelector('[role=alert]');
      if (alert) seen.push(`alert: ${alert.textContent}`);
      if (root.querySelector('[data-testid=history-note]')) seen.push('note');
    };
    new MutationObserver(look).observe(root, { childList: true, subtree: true, characterData: true });
    look();
  });
const seenIn = (frame: Frame) => frame.evaluate(() => (window as unknown as { seen: string[] }).seen);

async function inPieces(file: string, content: Uint8Array): Promise<void> {
  const handle = await open(file, 'w');
  const piece = Math.ceil(content.length / 4);
  for (let at = 0; at < content.length; at += piece) {
    await handle.write(content.subarray(at, at + piece));
    // Longer than the writing takes to settle.
    await delay(700);
  }
  await handle.close();
}

test('a checkpoint that is overwritten is shown anew without a click, and earlier saves can be looked at', async ({
  workbench,
}) => {
  test.setTimeout(300_000);
  const { page, project } = workbench;
  const at = (name: string) => path.join(project, 'checkpoints', name);
  const file = at('siren.pth');
  await workbench.openFolder('checkpoints');
  await workbench.trace('siren.pth');
  const canvas = await workbench.panel('canvas');
  const facts = canvas.getByTestId('facts');
  await expect(facts).toContainText('40.1 dB', { timeout: 60_000 });
  await expect(facts).toContainText(/traced (in|before)/, { timeout: 60_000 });
  await expect(canvas.getByTestId('history-charts')).toHaveCount(0);
  const rankings = await workbench.panel('rankings');
  await rankings.getByTestId('rankings-row').nth(2).click();
  const chosen = await rankings.getByTestId('rankings-row').nth(2).getAttribute('data-neuron');
  await expect(canvas.getByTestId('mode-map')).toBeEnabled();
  await watchCanvas(canvas);

  await test.step('written in pieces', async () => {
    await inPieces(file, await readFile(at('siren_step0050.pth')));
    await expect(facts).not.toContainText('40.1 dB', { timeout: 60_000 });
    const psnr = canvas.getByTestId('history-psnr');
    await expect(psnr).toBeVisible();
    await expect(facts).toContainText(await psnr.innerText());
    await expect(canvas.getByTestId('history-saves')).toContainText('2 saves');
  });

  await test.step('renamed over it', async () => {
    const before = await facts.innerText();
    await copyFile(at('siren_step0300.pth'), at('siren.tmp'));
    await rename(at('siren.tmp'), file);
    await expect(facts).not.toHaveText(before, { timeout: 60_000 });
    await expect(canvas.getByTestId('history-saves')).toContainText('3 saves');
  });

  await test.step('nothing flashed, and what was selected still is', async () => {
    expect(await seenIn(canvas)).toEqual([]);
    await expect(canvas.getByTestId('mode-map')).toHaveAttribute('aria-checked', 'true');
    await expect(canvas.getByRole('option', { name: new RegExp(`^Neuron ${chosen},`) })).toHaveAttribute(
      'aria-selected',
      'true',
    );
    await workbench.shot('live-1-history');
  });

  await test.step('earlier saves by keyboard', async () => {
    const scrub = canvas.getByTestId('history-scrub');
    await scrub.focus();
    await page.keyboard.press('Home');
    await expect(facts).toContainText('40.1 dB');
    await expect(scrub).toHaveAttribute('aria-valuetext', /^Save 1 of 3, .*40\.1 dB.* dead/);
    await workbench.shot('live-2-earlier');
    await canvas.getByTestId('history-current').click();
    await expect(facts).not.toContainText('40.1 dB');
    await expect(canvas.getByTestId('history-saves')).toBeVisible();
  });

  await test.step('paused, and resumed', async () => {
    const state = canvas.getByTestId('history-state');
    await canvas.getByTestId('history-pause').click();
    await expect(state).toHaveAttribute('data-state', 'paused');
    await writeFile(file, fixture('inr/siren-notebook.pt'));
    await delay(1500);
    await expect(canvas.getByTestId('history-saves')).toContainText('3 saves');
    await workbench.shot('live-3-paused');
    await canvas.getByTestId('history-pause').click();
    await expect(canvas.getByTestId('history-saves')).toContainText('4 saves', { timeout: 60_000 });
  });

  await test.step('the history is there after a reload', async () => {
    await page.reload();
    await page.locator('.explorer-folders-view').getByRole('treeitem').first().waitFor({ timeout: 60_000 });
    const again = await workbench.panel('canvas');
    await expect(again.getByTestId('history-saves')).toContainText('4 saves', { timeout: 60_000 });
    await again.getByTestId('history-scrub').focus();
    await page.keyboard.press('Home');
    await expect(again.getByTestId('facts')).toContainText('40.1 dB');
    await workbench.shot('live-4-reloaded');
  });
});
