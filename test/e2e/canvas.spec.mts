/** The canvas as an instrument: picture modes, two views of one session, figures, and the keyboard alone. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Frame } from '@playwright/test';
import { decode } from 'fast-png';
import { expect, saveAs, test, type Workbench } from './workbench.mjs';

async function opened(workbench: Workbench): Promise<Frame> {
  await workbench.openFolder('checkpoints');
  await workbench.trace('siren.pth');
  const canvas = await workbench.panel('canvas');
  await expect(canvas.getByTestId('facts')).toContainText(/traced (in|before)/, { timeout: 90_000 });
  return canvas;
}

/** Mean colours of cells of 16 × 16 pixels, four numbers each: how maps are filtered does not matter. */
function coarse({ width, height, data, channels }: ReturnType<typeof decode>): Uint8Array {
  const [columns, rows] = [Math.floor(width / 16), Math.floor(height / 16)];
  const means = new Float64Array(4 * columns * rows);
  for (let y = 0; y < 16 * rows; y++) {
    for (let x = 0; x < 16 * columns; x++) {
      const cell = 4 * ((y >> 4) * columns + (x >> 4));
      for (let c = 0; c < 3; c++) means[cell + c] += data[channels * (y * width + x) + c] / 256;
    }
  }
  return Uint8Array.from(means);
}

/** Share of the pixels of two pictures that differ by more than a little. */
const difference = (a: Uint8Array, b: Uint8Array) => {
  let different = 0;
  for (let i = 0; i < a.length; i += 4) if (Math.abs(a[i] - b[i]) > 8) different++;
  return (4 * different) / a.length;
};

test('pictures are compared, measured, read off and exported', async ({ workbench }) => {
  const { project } = workbench;
  let canvas = await opened(workbench);
  const rankings = await workbench.panel('rankings');
  await rankings.getByTestId('rankings-row').first().click();
  const shot = async () => decode(await canvas.getByTestId('picture').first().screenshot());

  await test.step('the error is measured by PSNR and SSIM, whole and in what is seen', async () => {
    await workbench.mode(canvas, 'error');
    const legend = canvas.getByTestId('error-legend');
    await expect(legend).toContainText('40.1 dB · SSIM 0.98');
    await expect(canvas.getByTestId('error-part')).toBeHidden();
    await canvas.getByTestId('error-measure').selectOption('ssim');
    const picture = canvas.getByTestId('picture');
    await picture.focus();
    for (let i = 0; i < 20; i++) await picture.press('+');
    await expect(canvas.getByTestId('error-part')).toContainText(/seen: \d\d\.\d dB · SSIM 0\.\d{3}/);
    await workbench.shot('canvas-values');
    await picture.press('0');
    await expect(canvas.getByTestId('error-part')).toBeHidden();
  });

  await test.step('two pictures lie beside each other, and zoom together', async () => {
    await canvas.getByTestId('action-beside').click();
    await canvas.getByTestId('other-mode').selectOption('target');
    const [left, right] = [canvas.getByTestId('picture').first(), canvas.getByTestId('picture').nth(1)];
    await right.focus();
    await right.press('+');
    await expect(canvas.getByRole('button', { name: '1.3×' })).toBeVisible();
    await expect(left).toHaveAttribute('aria-label', /^Error of siren\.pth/);
    await expect(right).toHaveAttribute('aria-label', /^Target of siren\.pth/);
    await workbench.shot('canvas-beside');
    await right.press('0');
  });

  await test.step('the wipe shows one left and the other right of it', async () => {
    await canvas.getByTestId('action-wipe').click();
    const wiper = canvas.getByTestId('wipe');
    await wiper.focus();
    await wiper.press('End');
    const before = await shot();
    await wiper.press('Home');
    await expect
      .poll(async () => difference(new Uint8Array(before.data), new Uint8Array((await shot()).data)))
      .toBeGreaterThan(0.1);
    await expect(wiper).toHaveAttribute('aria-valuenow', '0');
    await canvas.getByTestId('action-wipe').click();
  });

  await test.step('maps look alike without WebGL, and come back after its context was lost', async () => {
    const sheet = canvas.getByTestId('sheet');
    const drawn = async () => coarse(decode(await sheet.screenshot()));
    const isDrawn = async () => new Set(await drawn()).size > 60;
    await expect.poll(isDrawn).toBe(true);
    const before = await drawn();
    await canvas.getByTestId('sheet-canvas').evaluate(async (element) => {
      const extension = (element as HTMLCanvasElement)
        .getContext('webgl2')!
        .getExtension('WEBGL_lose_context')!;
      const lost = new Promise((resolve) => element.addEventListener('webglcontextlost', resolve));
      extension.loseContext();
      await lost;
      setTimeout(() => extension.restoreContext(), 100);
    });
    await expect.poll(async () => difference(before, await drawn())).toBeLessThan(0.01);
    // What the sheet does when the GPU refuses.
    await canvas.locator('nc-sheet').evaluate((element) => {
      const sheet = element as unknown as { useGpu: boolean; release(): void };
      sheet.release();
      sheet.useGpu = false;
    });
    await expect
      .poll(async () =>
        canvas.getByTestId('sheet-canvas').evaluate((e: HTMLCanvasElement) => e.getContext('2d') !== null),
      )
      .toBe(true);
    // A 2-D context reduces maps otherwise: cells differ, but far fewer than between unlike sheets.
    await expect.poll(async () => difference(before, await drawn())).toBeLessThan(0.5);
  });

  await test.step('a figure has the chosen scale', async () => {
    await workbench.mode(canvas, 'map');
    await canvas.getByTestId('action-export').click();
    await canvas.getByTestId('export-scale').selectOption('3');
    await workbench.shot('canvas-export');
    const figures: Record<string, { width: number; height: number }> = {};
    for (const caption of [true, false]) {
      await canvas.getByTestId('export-caption').setChecked(caption);
      const file = path.join(project, `figure-${caption}.png`);
      await saveAs(workbench, file, () => canvas.getByTestId('export-png').click());
      await expect(canvas.getByTestId('export-message')).toHaveText(`Saved figure-${caption}.png.`);
      figures[String(caption)] = decode(await readFile(file));
    }
    const box = (await canvas.getByTestId('picture').boundingBox())!;
    const expected = 3 * Math.min(box.width, (box.height * 256) / 192);
    expect(Math.abs(figures.false.width - expected)).toBeLessThan(12);
    expect(figures.true.height - figures.false.height).toBeGreaterThan(3 * 30);
    const maps = path.join(project, 'maps.npz');
    await saveAs(workbench, maps, () => canvas.getByTestId('export-npz').click());
    await expect(canvas.getByTestId('export-message')).toContainText('Saved maps.npz', { timeout: 60_000 });
    expect((await readFile(maps)).subarray(0, 2).toString('latin1')).toBe('PK');
    await canvas.getByTestId('export-scale').press('Escape');
    await expect(canvas.getByTestId('export')).toBeHidden();
  });

  await test.step('moved to another column, it is as it was', async () => {
    await workbench.command('View: Move Editor into Right Group');
    canvas = await workbench.panel('canvas');
    await expect(canvas.getByTestId('facts')).toContainText(/traced (in|before)/);
    await expect(canvas.getByTestId('mode-map')).toHaveAttribute('aria-checked', 'true');
    const neuron = await rankings.getByTestId('rankings-row').first().getAttribute('data-neuron');
    await expect(canvas.getByRole('option', { name: new RegExp(`^Neuron ${neuron},`) })).toHaveAttribute(
      'aria-selected',
      'true',
    );
    await workbench.shot('canvas-moved');
  });

  await test.step('a canvas opened twice is two views of one session', async () => {
    await workbench.command('View: Split Editor Right');
    const second = await workbench.otherPanel('canvas', canvas);
    await expect(second.getByTestId('facts')).toContainText(/traced (in|before)/);
    await workbench.mode(second, 'target');
    await expect(canvas.getByTestId('mode-map')).toHaveAttribute('aria-checked', 'true');
    await rankings.getByTestId('rankings-row').nth(4).click();
    const neuron = await rankings.getByTestId('rankings-row').nth(4).getAttribute('data-neuron');
    for (const view of [canvas, second]) {
      await expect(view.getByRole('option', { name: new RegExp(`^Neuron ${neuron},`) })).toHaveAttribute(
        'aria-selected',
        'true',
      );
    }
    // What was chosen for one view stays as it is.
    await expect(second.getByTestId('mode-target')).toHaveAttribute('aria-checked', 'true');
    await workbench.shot('canvas-two-views');
  });
});

test('the main job is done with the keyboard alone', async ({ workbench }) => {
  const { page, project } = workbench;
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await page.keyboard.press('Control+Shift+E');
  await page.keyboard.type('checkpoints');
  await press('ArrowRight');
  await expect(workbench.file('siren.pth')).toBeVisible();
  const item = page.getByRole('menuitem', { name: 'Trace Contributions' });
  await expect(async () => {
    await press('Escape');
    await page.keyboard.press('Control+Shift+E');
    await page.keyboard.type('siren.pth');
    await press('Shift+F10');
    await expect(item).toBeVisible({ timeout: 4_000 });
    for (
      let i = 0;
      i < 40 && !(await item.evaluate((e) => e.parentElement!.classList.contains('focused')));
      i++
    ) {
      await press('ArrowDown');
    }
    await press('Enter');
    await expect(item).toBeHidden({ timeout: 4_000 });
  }).toPass({ timeout: 60_000 });
  const canvas = await workbench.panel('canvas');
  await expect(canvas.getByTestId('facts')).toContainText(/traced (in|before)/, { timeout: 90_000 });
  await workbench.command('View: Focus Active Editor Group');

  /** What has the focus, through all shadow roots, and whether one sees that. */
  const focus = () =>
    canvas.evaluate(() => {
      let element = document.activeElement;
      while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
      if (!element) return null;
      const around = [element, element.parentElement].filter((e) => e !== null);
      const seen = around.some((e) => {
        const { outlineStyle, outlineWidth } = getComputedStyle(e);
        const after = getComputedStyle(e, '::after').outlineStyle;
        return (outlineStyle !== 'none' && parseFloat(outlineWidth) > 0) || after !== 'none';
      });
      return { testId: element.getAttribute('data-testid'), role: element.getAttribute('role'), seen };
    });
  /** Tabs on until `wanted` has the focus. */
  const tabTo = async (wanted: string, key = 'Tab') => {
    for (let i = 0; i < 60; i++) {
      await press(key);
      const at = await focus();
      if (at && at.testId !== null)
        expect(at, `${at.testId} shows that it has the focus`).toMatchObject({ seen: true });
      if (at?.testId === wanted) return;
    }
    throw new Error(`${wanted} is never reached with ${key}.`);
  };
  await canvas.locator('nc-canvas').evaluate((e: HTMLElement) => {
    e.tabIndex = -1;
    e.focus();
  });
  await tabTo('mode-reconstruction');
  await press('ArrowRight');
  await expect(canvas.getByTestId('mode-target')).toHaveAttribute('aria-checked', 'true');
  await tabTo('picture');
  await press('ArrowDown', 'ArrowRight', 'Shift+ArrowDown');
  await expect(canvas.getByTestId('probe').getByRole('button')).toHaveCount(10);
  await tabTo('sheet');
  await press('ArrowRight', 'ArrowRight', 'Shift+ArrowRight');
  await expect(canvas.getByTestId('mode-map')).toHaveAccessibleName('Sum of 2 neurons over picture');
  await expect(canvas.getByText('2 neurons selected')).toBeAttached();
  await tabTo('action-export', 'Shift+Tab');
  await press('Enter');
  await tabTo('export-png');
  await workbench.shot('canvas-keyboard');
  const file = path.join(project, 'keyboard.png');
  await saveAs(workbench, file, () => page.keyboard.press('Enter'));
  expect(decode(await readFile(file)).width).toBeGreaterThan(300);
});
