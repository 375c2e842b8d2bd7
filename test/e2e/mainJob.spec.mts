/** The main job, as a person does it in a real VS Code with the packaged extension. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { decode } from 'fast-png';
import { everyThemeAndSize } from './themes.mjs';
import { commandLine, expect, fixture, test } from './workbench.mjs';

/** Pixels that a canvas of the page shows, RGBA row-major. */
const pixelsOf = (canvas: SVGElement | HTMLElement) => {
  const { width, height } = canvas as HTMLCanvasElement;
  const { data } = (canvas as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, width, height);
  return { width, height, data: [...data] };
};

test('right-click a checkpoint, see canvas, rankings and clusters, find them again after a reload, in every theme', async ({
  workbench,
  warm,
}) => {
  test.setTimeout(400_000);
  const { page } = workbench;
  await workbench.file('models.py').dblclick();
  await workbench.openFolder('checkpoints');

  await workbench.trace('siren.pth');
  const canvas = await workbench.panel('canvas');
  await expect(canvas.getByTestId('facts')).toContainText(/traced (in|before)/, { timeout: 60_000 });
  await test.step('the canvas paints what the command line paints', async () => {
    const file = path.join(workbench.project, '../expected.png');
    await commandLine(
      'trace',
      path.join(workbench.project, 'checkpoints/siren.pth'),
      '--reconstruction',
      file,
    );
    const expected = decode(await readFile(file));
    const source = await canvas.getByTestId('reconstruction').evaluate(pixelsOf);
    expect([source.width, source.height]).toEqual([expected.width, expected.height]);
    const far = source.data.filter((v, i) => Math.abs(v - expected.data[i]) > 1).length;
    expect(far).toBe(0);

    // What is on the screen: the middle of every fifth enlarged pixel has that pixel's colour.
    await workbench.mode(canvas, 'reconstruction');
    await expect
      .poll(async () => {
        const screen = await canvas.getByTestId('picture').evaluate(pixelsOf);
        const scale = Math.min(screen.width / expected.width, screen.height / expected.height);
        const left = Math.round((screen.width - scale * expected.width) / 2);
        const top = Math.round((screen.height - scale * expected.height) / 2);
        let wrong = scale < 1 ? Infinity : 0;
        for (let row = 0; row < expected.height; row += 5) {
          for (let column = 0; column < expected.width; column += 5) {
            const x = Math.floor(left + (column + 0.5) * scale);
            const y = Math.floor(top + (row + 0.5) * scale);
            for (let c = 0; c < 3; c++) {
              const shown = screen.data[4 * (y * screen.width + x) + c];
              if (Math.abs(shown - expected.data[4 * (row * expected.width + column) + c]) > 1) wrong++;
            }
          }
        }
        return wrong;
      })
      .toBe(0);
    await expect(canvas.getByTestId('facts')).toContainText('SIREN');
    await expect(canvas.getByTestId('facts')).toContainText('40.1 dB');
  });

  const rankings = await workbench.panel('rankings');
  const chosen = await test.step('a neuron clicked in the ranking is selected on the canvas', async () => {
    const row = rankings.getByTestId('rankings-row').nth(2);
    await row.click();
    await expect(row).toHaveAttribute('aria-selected', 'true');
    const neuron = await row.getAttribute('data-neuron');
    await expect(canvas.getByTestId('mode-map')).toHaveAccessibleName(`Neuron ${neuron} over picture`);
    await expect(canvas.getByRole('option', { name: new RegExp(`^Neuron ${neuron},`) })).toHaveAttribute(
      'aria-selected',
      'true',
    );
    await workbench.shot('2-selected');
    return neuron;
  });

  await test.step('the picture without that neuron, and what it costs', async () => {
    const before = await canvas.getByTestId('picture').evaluate(pixelsOf);
    await workbench.mode(canvas, 'without');
    const cost = canvas.getByTestId('ablation');
    await expect(cost).toContainText(/1 neuron off:\s*−\d\S* dB\s*PSNR, \d\d\.\d dB → \d\d\.\d dB/);
    await workbench.shot('2-without');
    expect((await canvas.getByTestId('picture').evaluate(pixelsOf)).data).not.toEqual(before.data);
    await workbench.mode(canvas, 'map');
  });

  await test.step('maps are drawn in the contact sheet', async () => {
    const shot = decode(await canvas.getByTestId('sheet').screenshot());
    const shown = new Set<string>();
    for (let i = 0; i < shot.data.length; i += shot.channels) shown.add(shot.data.slice(i, i + 3).join());
    expect(shown.size).toBeGreaterThan(500);
  });

  await test.step('a probed pixel names its top neurons', async () => {
    const picture = canvas.getByTestId('picture');
    const box = (await picture.boundingBox())!;
    await picture.click({ position: { x: box.width / 2, y: box.height / 2 } });
    await expect(canvas.getByTestId('probe-pixel')).toHaveText(/Pixel 9[56], 12[78]/);
    await expect(canvas.getByTestId('probe').getByRole('button')).toHaveCount(10);
    await workbench.shot('3-probe');
  });

  await test.step('neurons are grouped into clusters', async () => {
    const clusters = await workbench.panel('clusters');
    await expect(clusters.getByTestId('cluster-card').first()).toBeVisible({ timeout: 60_000 });
    await expect(clusters.getByTestId('clusters-scatter')).toBeVisible();
    await workbench.shot('4-clusters');
  });

  await test.step('after a reload the panels are there again', async () => {
    await page.reload();
    await page.locator('.explorer-folders-view').getByRole('treeitem').first().waitFor({ timeout: 60_000 });
    const again = await workbench.panel('canvas');
    await expect(again.getByTestId('facts')).toContainText('40.1 dB', { timeout: 60_000 });
    await expect(again.getByTestId('mode-map')).toHaveAccessibleName(`Neuron ${chosen} over picture`);
    await expect(again.getByTestId('probe-pixel')).toHaveText(/Pixel 9[56], 12[78]/);
    const ranked = await workbench.panel('rankings');
    await expect(ranked.locator(`[data-testid=rankings-row][data-neuron="${chosen}"]`)).toHaveAttribute(
      'aria-selected',
      'true',
    );
    await expect((await workbench.panel('clusters')).getByTestId('cluster-card').first()).toBeVisible({
      timeout: 60_000,
    });
    await workbench.shot('5-reloaded');
  });

  await test.step('every theme and size looks as it should, and has nothing serious for axe-core', async () => {
    const blank = await warm.newPage();
    await everyThemeAndSize(workbench, blank);
    await blank.close();
  });
});

test('the tree lists what is recognised; what was assumed is changed in a form that shows its effect', async ({
  workbench,
}) => {
  const { page } = workbench;
  await page.getByRole('tab', { name: 'Neural Canvas' }).first().click();
  await expect(page.getByRole('treeitem', { name: /siren\.pth.*SIREN.*192×256/ })).toBeVisible({
    timeout: 60_000,
  });
  await expect(page.getByRole('treeitem', { name: /fourier\.pth.*Fourier/ })).toBeVisible();
  await workbench.shot('7-tree');
  await page.getByRole('tab', { name: 'Explorer' }).first().click();

  await workbench.openFolder('checkpoints');
  await workbench.trace('siren.pth');
  const canvas = await workbench.panel('canvas');
  await expect(canvas.getByTestId('facts')).toContainText(/traced (in|before)/, { timeout: 60_000 });
  await canvas.getByTestId('change').click();
  const facts = canvas.getByTestId('preview-facts');
  await expect(facts).toContainText('40.1 dB');

  await canvas.getByTestId('setting-omega0').fill('fast');
  await canvas.getByTestId('setting-omega0').press('Enter');
  await expect(facts).toContainText('“fast” is no value');
  await canvas.getByTestId('setting-omega0').fill('');
  await canvas.getByTestId('setting-omega0').press('Enter');
  await expect(facts).toContainText('40.1 dB');

  await canvas.getByTestId('setting-coords').selectOption('xy-per-side');
  await expect(facts).toContainText(/ 1\d\.\d dB/);
  await workbench.shot('8-change');
  await canvas.getByTestId('apply-save').click();
  await expect(canvas.getByTestId('facts')).toContainText(/ 1\d\.\d dB.*traced (in|before)/, {
    timeout: 60_000,
  });
  const saved = path.join(workbench.project, 'checkpoints/siren.pth.inr.json');
  expect(JSON.parse(await readFile(saved, 'utf8'))).toEqual({ coords: 'xy-per-side' });

  // What is kept beside the file is seen by everything that opens it, and can be taken back.
  expect(await commandLine('inspect', path.join(workbench.project, 'checkpoints/siren.pth'))).toContain(
    'coords = xy-per-side (correction',
  );
  await workbench.command('Neural Canvas: Change Assumptions…');
  await canvas.getByRole('button', { name: 'Reset' }).click();
  await expect(facts).toContainText('40.1 dB');
  await canvas.getByTestId('apply').click();
  await expect(canvas.getByTestId('facts')).toContainText('40.1 dB', { timeout: 60_000 });
  expect(JSON.parse(await readFile(saved, 'utf8'))).toEqual({});
});

test.describe('files that are no INR checkpoints, or make trouble', () => {
  const lfs = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 426711\n`;
  const files = {
    'truncated.pth': fixture('inr/siren-coin.pt').subarray(0, 9000),
    'text.pth': 'epoch 1 loss 0.2\n',
    'pointer.pth': lfs,
    'empty.pth': '',
    // What pickle writes for an object whose __reduce__ is os.system('touch marker'), protocol 0.
    'system.pth': "cposix\nsystem\n(S'touch marker'\ntR.",
    'resnet.pth': fixture('others/resnet.pth'),
  };
  // A picture large enough for its trace to be cancelled at leisure.
  const wide = {
    'wide.pt': fixture('inr/siren-coin.pt'),
    'wide.json': JSON.stringify({ height: 3000, width: 4000 }),
  };
  const sentences: Readonly<Record<keyof typeof files, RegExp>> = {
    'truncated.pth': /only partly written/,
    'text.pth': /text\.pth/,
    'pointer.pth': /git lfs pull/i,
    'empty.pth': /empty/,
    'system.pth': /not recognised as an INR/,
    'resnet.pth': /not recognised as an INR/,
  };
  test.use({ files: { ...files, ...wide } });

  test('each get one sentence, nothing runs, and the editor goes on; a trace is cancelled', async ({
    workbench,
  }) => {
    const { page, project } = workbench;
    for (const name of Object.keys(files) as (keyof typeof files)[]) {
      await test.step(name, async () => {
        await workbench.trace(name);
        const canvas = await workbench.panel('canvas');
        const state = canvas.getByTestId('state-failed').or(canvas.getByTestId('state-not-an-inr'));
        await expect(state).toBeVisible();
        await expect(state).toHaveText(sentences[name]);
        await workbench.shot(`error-${name}`);
        await workbench.command('View: Close All Editors');
        // The next file's canvas is looked for only when this one's frame has gone.
        await expect(page.getByRole('tab', { name })).toBeHidden();
        await expect.poll(() => canvas.isDetached()).toBe(true);
      });
    }
    expect(existsSync(path.join(project, 'marker'))).toBe(false);
    await workbench.file('models.py').dblclick();
    await expect(page.getByRole('tab', { name: 'models.py' })).toBeVisible();

    await test.step('a trace that takes its time is cancelled, and the next one goes on', async () => {
      await workbench.trace('wide.pt');
      const toast = page.locator('.notification-toast', { hasText: 'Tracing wide.pt' });
      await expect(toast).toBeVisible();
      await workbench.shot('1-progress');
      await toast.hover();
      await toast.getByRole('button', { name: 'Cancel' }).click();
      await expect(toast).toBeHidden();
      const canvas = await workbench.panel('canvas');
      await expect(canvas.getByText(/cancelled/i).first()).toBeVisible();
      await workbench.shot('6-cancelled');
      // The worker is free at once for something else.
      await workbench.openFolder('checkpoints');
      await workbench.trace('fourier.pth');
      await expect((await workbench.panel('canvas')).getByTestId('facts')).toContainText(
        /traced (in|before)/,
        {
          timeout: 60_000,
        },
      );
    });
  });
});
