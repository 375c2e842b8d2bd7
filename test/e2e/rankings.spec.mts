/** The table of neurons and the plot of clusters, as a person searches, sorts, marks and saves with them. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, saveAs, test } from './workbench.mjs';
import { findings } from './axe.mjs';

test('neurons are filtered, sorted by two columns, saved, and marked in the plot of clusters', async ({
  workbench,
}) => {
  const { page, project } = workbench;
  await workbench.openFolder('checkpoints');
  await workbench.trace('siren.pth');
  const canvas = await workbench.panel('canvas');
  await expect(canvas.getByTestId('facts')).toContainText(/traced (in|before)/, { timeout: 90_000 });
  const rankings = await workbench.panel('rankings');
  const rows = rankings.getByTestId('rankings-row');
  const table = rankings.getByTestId('rankings-table');
  /** The column's numbers, top to bottom; “3.1 %” is 3.1. */
  const column = async (name: string) =>
    (await rows.locator(`.${name}`).allTextContents()).map((text) =>
      parseFloat(text.replace(/[^\d.-]/g, '')),
    );
  const falls = (values: readonly number[]) => values.every((value, i) => i === 0 || value <= values[i - 1]);

  await test.step('a filter leaves what it says, and explains what it does not understand', async () => {
    await rankings.getByTestId('rankings-scope').selectOption({ index: 0 });
    const filter = rankings.getByTestId('rankings-filter');
    await filter.fill('layer:net.2 dead:no share>1%');
    await expect(rankings.getByTestId('rankings-summary')).toContainText(/\d+ of 386/);
    await expect(rows.first()).toHaveAttribute('data-layer', '2');
    const shares = await column('share');
    expect(shares.length).toBeGreaterThan(3);
    expect(Math.min(...shares)).toBeGreaterThanOrEqual(1);
    expect(falls(shares)).toBe(true);
    await filter.fill('shine>1%');
    await expect(rankings.getByTestId('rankings-filter-error')).toContainText('shine');
    await workbench.shot('rankings-filter');
    await filter.fill('');
    await expect(table).toHaveAttribute('aria-rowcount', '387');
  });

  await test.step('a click on a header sorts, Shift and a click sorts by it next', async () => {
    const header = (name: string) => table.locator(`[data-column=${name}]`);
    // Neurons are laid out in the background.
    await expect(rows.locator('.cluster').first()).toHaveText(/\d/, { timeout: 60_000 });
    await header('cluster').click();
    await header('pixels').click({ modifiers: ['Shift'] });
    await expect(header('pixels')).toHaveAccessibleName(/as number 2/);
    const [clusters, pixels] = [await column('cluster'), await column('pixels')];
    const first = clusters.filter((cluster) => cluster === clusters[0]).length;
    expect(first).toBeGreaterThan(2);
    const within = pixels.slice(0, first);
    expect(falls(within) || falls([...within].reverse())).toBe(true);
    await workbench.shot('rankings-sorted');
  });

  await test.step('the table is saved as CSV, all of it and in its order', async () => {
    const file = path.join(project, 'neurons.csv');
    await saveAs(workbench, file, () => rankings.getByTestId('rankings-export').click());
    expect(existsSync(file)).toBe(true);
    const lines = (await readFile(file, 'utf8')).trim().split(/\r?\n/);
    expect(lines).toHaveLength(387);
    expect(lines[0]).toMatch(/layer/);
    const [neuron] = await column('neuron');
    const at = lines[0].split(',').indexOf('neuron');
    expect(Number(lines[1].split(',')[at])).toBe(neuron);
  });

  const clusters = await workbench.panel('clusters');
  const scatter = clusters.getByTestId('clusters-scatter');
  await test.step('a lasso marks neurons in every panel', async () => {
    await expect(scatter).toBeVisible({ timeout: 60_000 });
    const box = (await scatter.boundingBox())!;
    const corners = [
      [0.02, 0.02],
      [0.5, 0.02],
      [0.5, 0.98],
      [0.02, 0.98],
      [0.02, 0.04],
    ] as const;
    const at = ([x, y]: readonly [number, number]) =>
      [box.x + x * box.width, box.y + y * box.height] as const;
    await page.mouse.move(...at(corners[0]));
    await page.mouse.down();
    for (const corner of corners.slice(1)) await page.mouse.move(...at(corner), { steps: 5 });
    await page.mouse.up();
    await expect(canvas.getByTestId('mode-map')).toHaveAccessibleName(/^Sum of \d{2,} neurons/);
    await workbench.shot('clusters-lasso');
  });

  await test.step('the pointer shows the map of a neuron, and small multiples one plot a layer', async () => {
    const cards = clusters.getByTestId('cluster-card');
    expect(await cards.count()).toBeGreaterThan(1);
    await clusters.getByTestId('cluster-select').first().click();
    await expect(cards.first()).toContainText(/neuron/);
    await clusters.getByTestId('clusters-count').selectOption('4');
    await expect(cards).toHaveCount(4, { timeout: 60_000 });
    await clusters.getByTestId('clusters-toggle-multiples').click();
    // Coloured by cluster: one plot for each of the five layers.
    await expect(clusters.getByTestId('clusters-multiples').getByRole('listitem')).toHaveCount(5);
    await workbench.shot('clusters-multiples');
  });

  await test.step('axe-core finds nothing serious', async () => {
    for (const panel of [canvas, rankings, clusters]) expect(await findings(panel)).toEqual([]);
  });
});
