/** Code and checkpoints, as a person goes from one to the other. */
import { decode } from 'fast-png';
import { expect, test } from './workbench.mjs';

/** Different colours of a PNG in a `data:` URI. */
function colours(uri: string): { readonly width: number; readonly height: number; readonly colours: number } {
  const { width, height, data, palette } = decode(
    Buffer.from(uri.replace(/^data:image\/png;base64,/, ''), 'base64'),
  );
  expect(palette).toBeDefined();
  return { width, height, colours: new Set(data).size };
}

test('hover a layer for its maps, trace from a lens, and go from layer to line and back', async ({
  workbench,
}) => {
  const { page } = workbench;
  await workbench.file('models.py').dblclick();
  await page.getByRole('tab', { name: 'models.py' }).waitFor();
  // The class is below the fold.
  await page.locator('.monaco-editor .view-lines').first().click();
  await page.keyboard.press('Control+g');
  await page.locator('.quick-input-widget input').first().fill(':34');
  await page.keyboard.press('Enter');
  await expect(page.getByText('Ln 34, Col 1')).toBeVisible();
  const lens = page.locator('.codelens-decoration a', { hasText: 'Trace contributions' });
  await expect(lens.first()).toContainText(/siren.*\.pth · /, { timeout: 90_000 });
  await workbench.shot('code-1-lenses');

  const hover = page.locator('.monaco-hover:not(.hidden)').filter({ hasText: 'net.4' });
  const net = page
    .locator('.view-line', { hasText: 'return self.net(coords)' })
    .getByText('net', { exact: false })
    .last();
  const point = async () => {
    // A hover opens when the pointer comes to rest.
    await page.mouse.move(5, 5);
    await net.hover();
  };
  await test.step('before there is a trace, the hover offers one', async () => {
    await expect(async () => {
      await point();
      await expect(hover.first()).toBeVisible({ timeout: 5_000 });
    }).toPass({ timeout: 60_000 });
    await workbench.shot('code-2-untraced');
    // A screenshot may close the hover.
    await expect(async () => {
      await point();
      await hover.getByText('Trace and show maps').click({ timeout: 5_000 });
    }).toPass({ timeout: 60_000 });
  });

  await test.step('afterwards it shows the strongest maps', async () => {
    const pictures = hover.locator('img');
    await expect(pictures).toHaveCount(6, { timeout: 60_000 });
    for (const picture of await pictures.all()) {
      const png = colours((await picture.getAttribute('src'))!);
      expect(png.colours).toBeGreaterThan(20);
      // The picture is 4 : 3, and so is its place in the hover.
      const box = (await picture.boundingBox())!;
      expect(Math.abs(box.width / box.height - 4 / 3)).toBeLessThan(0.05);
      expect(png.width).toBeGreaterThanOrEqual(box.width);
    }
    await expect(hover).toContainText(/96 neurons/);
    await expect(hover).toContainText(/dB/);
    await workbench.shot('code-3-maps');
  });

  await test.step('a map of the hover opens the canvas with its neuron', async () => {
    const neuron = /#(\d+)/.exec((await hover.textContent()) ?? '')![1];
    await hover.locator('img').first().click();
    const canvas = await workbench.panel('canvas');
    await expect(hover).toBeHidden();
    await expect(canvas.getByTestId('mode-map')).toHaveAccessibleName(`Neuron ${neuron} over picture`, {
      timeout: 60_000,
    });
    await workbench.shot('code-4-canvas');
  });

  await test.step('a layer of the canvas leads to its line, and the caret to its layer', async () => {
    const canvas = await workbench.panel('canvas');
    await canvas.getByTestId('layer-0').click();
    await canvas.getByTestId('reveal-code').click();
    await expect(page.getByText(/Ln 34, Col/)).toBeVisible();
    await expect(canvas.getByTestId('layer-0')).toHaveClass(/caret/);
    await expect(canvas.getByTestId('layer-4')).not.toHaveClass(/caret/);
    await workbench.shot('code-5-caret');
  });

  await test.step('the lens traces the newest checkpoint', async () => {
    // The one before it may lie half under the edge.
    const own = lens.nth(1);
    const name = /(\S+\.pth)/.exec((await own.textContent()) ?? '')![1];
    await own.click();
    await page.getByRole('tab', { name }).waitFor();
    const canvas = await workbench.panel('canvas');
    await expect(canvas.getByTestId('facts')).toContainText(/traced (in|before)/, { timeout: 60_000 });
  });
});
