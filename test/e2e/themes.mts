/**
 * The panels in four themes and three sizes: looked at by people in docs/images, compared with what is
 * committed there, and searched by axe-core. `npm run screenshots` takes the pictures anew.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Page } from '@playwright/test';
import { root } from '../../scripts/lib/project.mjs';
import { findings } from './axe.mjs';
import { expect, quiet, type Workbench } from './workbench.mjs';

const images = path.join(root, 'docs/images');
const retake = process.env.NEURAL_CANVAS_SCREENSHOTS === 'retake';

const themes = {
  dark: 'Default Dark Modern',
  light: 'Default Light Modern',
  'hc-dark': 'Default High Contrast',
  'hc-light': 'Default High Contrast Light',
} as const;

/** Width and height of the window; the canvas is a side column, half of it, or all of it. */
const sizes = {
  narrow: { width: 760, height: 900 },
  half: { width: 1280, height: 860 },
  full: { width: 1440, height: 900 },
} as const;

/** Mean colours of the cells of a picture, as the browser decodes it. */
const cells = (page: Page, image: Buffer) =>
  page.evaluate(
    async (source) => {
      const [columns, rows] = [48, 32];
      const picture = await createImageBitmap(await (await fetch(source)).blob());
      const pen = new OffscreenCanvas(columns, rows).getContext('2d')!;
      pen.imageSmoothingQuality = 'high';
      pen.drawImage(picture, 0, 0, columns, rows);
      return [...pen.getImageData(0, 0, columns, rows).data];
    },
    `data:image/jpeg;base64,${image.toString('base64')}`,
  );

/** Part of the cells whose mean colour differs visibly. Other fonts move text, not whole cells. */
function differing(a: readonly number[], b: readonly number[]): number {
  let different = 0;
  for (let i = 0; i < a.length; i += 4) {
    const far = Math.max(...[0, 1, 2].map((c) => Math.abs(a[i + c] - b[i + c])));
    if (far > 40) different++;
  }
  return (4 * different) / a.length;
}

/** Goes through themes and sizes; the three panels show a traced checkpoint. @param blank a page that decodes pictures */
export async function everyThemeAndSize(workbench: Workbench, blank: Page): Promise<void> {
  const { page, project } = workbench;
  await mkdir(images, { recursive: true });
  const canvas = await workbench.panel('canvas');
  const rankings = await workbench.panel('rankings');
  await rankings.getByTestId('rankings-row').nth(1).click();
  const picture = canvas.getByTestId('picture');
  await picture.focus();
  await picture.press('ArrowDown');
  await expect(canvas.getByTestId('probe-pixel')).toBeVisible();

  for (const [name, theme] of Object.entries(themes)) {
    await writeFile(
      path.join(project, '.vscode/settings.json'),
      JSON.stringify({ 'workbench.colorTheme': theme, ...quiet }),
    );
    const kind = {
      dark: 'vscode-dark',
      light: 'vscode-light',
      'hc-dark': 'vscode-high-contrast',
      'hc-light': 'vscode-high-contrast-light',
    }[name]!;
    await expect(canvas.locator('body')).toHaveClass(new RegExp(`(^| )${kind}( |$)`));
    for (const [size, viewport] of Object.entries(sizes)) {
      // Sizes differ in layout, themes in colour: the suite has all of either, the pictures all of both.
      if (!retake && size !== 'half' && name !== 'dark') continue;
      await page.setViewportSize(viewport);
      if (size === 'full') {
        await workbench.command('View: Toggle Maximize Editor Group');
      }
      // The sheet draws sharp maps when it has been still for a while.
      await page.waitForTimeout(900);
      const taken = await page.screenshot({ type: 'jpeg', quality: 72 });
      await workbench.shot(`themes-${name}-${size}`);
      if (size === 'full') await workbench.command('View: Toggle Maximize Editor Group');
      const file = path.join(images, `${name}-${size}.jpg`);
      if (retake) await writeFile(file, taken);
      else if (existsSync(file)) {
        const changed = differing(await cells(blank, taken), await cells(blank, await readFile(file)));
        expect.soft(changed, `${name}-${size} has changed; npm run screenshots retakes it`).toBeLessThan(0.1);
      }
    }
    if (retake && !name.startsWith('hc')) await walkthrough(workbench, name);
    for (const panel of ['canvas', 'rankings', 'clusters'] as const) {
      expect.soft(await findings(await workbench.panel(panel)), `${panel}, ${name}`).toEqual([]);
    }
  }
}

/** The pictures of the walkthrough: parts of the window that its steps speak of. */
async function walkthrough(workbench: Workbench, theme: string): Promise<void> {
  const { page } = workbench;
  const folder = path.join(root, 'media/walkthrough');
  await mkdir(folder, { recursive: true });
  const clip = async (step: string, x: number, y: number, width: number, height: number) => {
    const shot = { type: 'jpeg', quality: 80, clip: { x, y, width, height } } as const;
    await writeFile(path.join(folder, `${step}-${theme}.jpg`), await page.screenshot(shot));
  };
  await page.setViewportSize({ width: 1280, height: 860 });
  const frame = async (name: 'canvas' | 'rankings' | 'clusters') => {
    const element = await (await workbench.panel(name)).frameElement();
    // The visible frame is the outer one of two.
    return (await element.boundingBox())!;
  };
  await page.waitForTimeout(1000);
  const canvas = await frame('canvas');
  await clip('look', canvas.x, canvas.y, canvas.width, canvas.height);
  const [left, right] = [await frame('rankings'), await frame('clusters')];
  await clip('rank', left.x, left.y, right.x + right.width - left.x, left.height);
  const view = await workbench.panel('canvas');
  const button = view.getByTestId('action-export');
  if (!(await button.isVisible())) await view.locator('.actions').getByTestId('more').click();
  await button.click();
  await page.waitForTimeout(500);
  await clip('keep', canvas.x, canvas.y, canvas.width, canvas.height);
  await view.getByTestId('export-scale').press('Escape');
  await workbench.file('siren.pth').click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Trace Contributions' }).hover();
  await page.waitForTimeout(300);
  await clip('trace', 0, 30, 560, 420);
  await page.keyboard.press('Escape');
}
