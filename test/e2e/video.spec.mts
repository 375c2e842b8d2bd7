/** A video network, as a person looks at it: its frames, its kernels by channel, and what moves. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { decode } from 'fast-png';
import { root } from '../../scripts/lib/project.mjs';
import { expect, test } from './workbench.mjs';

const sample = path.join(root, 'samples/video');
const files: Record<string, Buffer> = {
  'clip/nerv.pth': readFileSync(path.join(sample, 'checkpoints/nerv.pth')),
};
for (const folder of ['frames', 'labels']) {
  for (const name of readdirSync(path.join(sample, folder))) {
    files[`clip/${folder}/${name}`] = readFileSync(path.join(sample, folder, name));
  }
}

test.describe('a video', () => {
  test.use({ files });

  test('is traced, moved through time, opened channel by channel, and its motion seen', async ({
    workbench,
  }) => {
    test.setTimeout(300_000);
    const { page } = workbench;
    await workbench.openFolder('clip');
    await workbench.trace('nerv.pth');
    const canvas = await workbench.panel('canvas');
    await expect(canvas.getByTestId('facts')).toContainText(/traced (in|before)/, { timeout: 120_000 });
    await expect(canvas.getByTestId('where')).toContainText('Frame 0 of 15');
    await canvas.getByTestId('layer-2').click();
    await canvas.getByTestId('group-input').click();
    const sheet = canvas.getByTestId('sheet');
    await expect(sheet).toBeVisible();
    await expect(canvas.getByText('1,920 kernels of 3×3, PixelShuffle ×2')).toBeVisible();
    await workbench.shot('video-1-channels');
    const pixels = async () => {
      const { data } = decode(await sheet.screenshot());
      return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
    };
    const picture = () =>
      canvas.getByTestId('reconstruction').evaluate((element) => (element as HTMLCanvasElement).toDataURL());

    await test.step('the frame and its maps follow the slider', async () => {
      const [mapsBefore, pictureBefore] = [await pixels(), await picture()];
      const previews = canvas.evaluate(
        () =>
          new Promise<number>((resolve) => {
            addEventListener('message', function receive({ data }: MessageEvent<{ type?: string }>) {
              if (data.type !== 'layer') return;
              removeEventListener('message', receive);
              resolve(performance.timeOrigin + performance.now());
            });
          }),
      );
      const stopped = await canvas.evaluate(() => performance.timeOrigin + performance.now());
      await canvas.getByTestId('frame').fill('9');
      await expect(canvas.getByTestId('where')).toContainText('Frame 9 of 15');
      await expect(canvas.getByTestId('maps-of')).toHaveText('maps of this frame', { timeout: 60_000 });
      // Figures for docs/video.md, and no claims: how fast it is, is the machine's.
      console.log(`previews ${Math.round((await previews) - stopped)} ms after the slider stopped`);
      expect(await picture()).not.toBe(pictureBefore);
      await expect.poll(async () => (await pixels()) === mapsBefore).toBe(false);
      await workbench.shot('video-2-moved');
    });

    await test.step('a channel opens into its kernels, and one of them covers the picture', async () => {
      const box = (await sheet.boundingBox())!;
      await sheet.click({ position: { x: Math.min(40, box.width / 2), y: 30 } });
      await expect(canvas.getByTestId('close-channel')).toBeVisible();
      await sheet.click({ position: { x: 40, y: 30 } });
      await expect(canvas.getByTestId('mode-map')).toHaveAccessibleName(/over picture/);
      await workbench.shot('video-3-kernels');
      await canvas.getByTestId('topic-neurons').click();
      await expect(canvas.getByTestId('series')).toBeVisible({ timeout: 60_000 });
      await workbench.shot('video-4-series');
      await canvas.getByTestId('close-channel').click();
    });

    await test.step('motion lies beside the change of each layer', async () => {
      await canvas.getByTestId('topic-motion').click();
      const motion = canvas.getByTestId('motion');
      await expect(motion).toBeVisible({ timeout: 90_000 });
      await expect(motion.locator('canvas')).toHaveCount(
        3 + (await canvas.locator('[data-testid^=layer-]').count()),
      );
      await expect(motion).toContainText(/Pearson −?\d\.\d\d, Spearman −?\d\.\d\d/);
      await workbench.shot('video-5-motion');
    });

    await test.step('objects come from the folder of labels beside it', async () => {
      await canvas.getByTestId('topic-objects').click();
      await expect(canvas.getByTestId('objects')).toContainText('object 4', { timeout: 120_000 });
      await workbench.shot('video-6-objects');
      await canvas.getByTestId('topic-objects').click();
    });

    await test.step('it plays', async () => {
      await canvas.getByTestId('play').click();
      const seen = new Set<string>();
      await expect
        .poll(async () => seen.add(await picture()).size, { timeout: 30_000, intervals: [50] })
        .toBeGreaterThan(5);
      const shown = await canvas.evaluate(
        () =>
          new Promise<number>((resolve) => {
            const timeline = document.querySelector('nc-canvas')!.shadowRoot!.querySelector('nc-timeline')!;
            let frames = 0;
            timeline.addEventListener('show-still', () => frames++);
            setTimeout(() => resolve(frames), 2000);
          }),
      );
      console.log(`plays ${(shown / 2).toFixed(1)} frames a second in the panel`);
      await canvas.getByTestId('play').click();
      await expect(canvas.getByTestId('maps-of')).toHaveText('maps of this frame', { timeout: 60_000 });
      await workbench.shot('video-7-played');
    });

    await test.step('over the clip instead of a frame, neurons are ranked', async () => {
      const rankings = await workbench.panel('rankings');
      await rankings.getByTestId('rankings-frames').selectOption('clip');
      const summary = rankings.getByTestId('rankings-summary');
      await expect(summary).toContainText('over 8 frames', { timeout: 60_000 });
      const whole = await summary.textContent();
      await workbench.shot('video-8-rankings-of-the-clip');
      await rankings.getByTestId('rankings-frames').selectOption('frame');
      await expect(summary).not.toContainText('over 8 frames');
      expect(`over 8 frames · ${await summary.textContent()}`).not.toBe(whole);
    });
    await expect(page.locator('.notification-toast')).toHaveCount(0);
  });
});

test.describe('a video at length', () => {
  test.use({ files });
  test.skip(!process.env.NEURAL_CANVAS_LONG, 'takes minutes: NEURAL_CANVAS_LONG=1, as in hosted CI');

  test('has findings of the whole clip, and maps of channels by ablation', async ({ workbench }) => {
    test.setTimeout(300_000);
    const { page } = workbench;
    await workbench.openFolder('clip');
    await workbench.trace('nerv.pth');
    const canvas = await workbench.panel('canvas');
    await expect(canvas.getByTestId('facts')).toContainText(/traced (in|before)/, { timeout: 120_000 });

    await test.step('findings are made of frames taken together', async () => {
      await workbench.command('Neural Canvas: Show Findings');
      const findings = await workbench.panel('findings');
      await findings.getByTestId('findings-scope').selectOption('clip');
      await expect(findings.locator('header')).toContainText('8 frames of the clip', { timeout: 90_000 });
      await workbench.shot('video-9-findings-of-the-clip');
      await findings.getByRole('button', { name: 'Stop' }).click();
      await workbench.command('View: Close Editor');
    });

    await test.step('by ablation, the maps are those of channels', async () => {
      // Under the findings page it was hidden, and is another frame now.
      const shown = await workbench.panel('canvas');
      await workbench.command('Neural Canvas: Change Method…');
      await page.locator('.quick-input-list').getByText('Ablation').first().click();
      const note = shown.getByTestId('note');
      await expect(note).toContainText(/\d channels hold half/, { timeout: 60_000 });
      await expect(note).toContainText('what the pixel loses without it');
      await expect(shown.getByTestId('group-input')).toHaveCount(0);
      await workbench.shot('video-10-channels-by-ablation');
    });
  });
});
