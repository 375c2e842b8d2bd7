/** Two checkpoints side by side, a marked region, and neurons switched off, as a person does it. */
import { findings } from './axe.mjs';
import { expect, test } from './workbench.mjs';

test('two checkpoints are compared, a region is marked, and its neurons are switched off', async ({
  workbench,
}) => {
  const { page } = workbench;
  await workbench.openFolder('checkpoints');

  await test.step('two checkpoints chosen in the Explorer are compared', async () => {
    await workbench.choose(['siren_step0300.pth', 'siren.pth'], 'Compare Contributions');
    const compare = await workbench.panel('compare');
    await expect(compare.getByTestId('compare-psnr')).toHaveText(/\d\d\.\d dB/, { timeout: 60_000 });
    await expect(compare.getByTestId('compare-layer')).toHaveCount(5);
    // Each layer says what it costs to take it from the other network.
    await expect(compare.getByTestId('compare-layer').nth(2)).toContainText(/[−+]\d[\d.]* dB/);
    await compare.getByTestId('compare-layer').last().click();
    await expect(compare.getByTestId('compare-reason')).toContainText('matched by place');
    await expect(compare.getByTestId('compare-pair').first()).toContainText(/#\d+/);
    await workbench.shot('compare');
    expect(await findings(compare), 'what axe-core finds serious').toEqual([]);
    await workbench.command('View: Close All Editors');
    await workbench.file('siren.pth').click();
  });

  await workbench.trace('siren.pth');
  const canvas = await workbench.panel('canvas');
  const rankings = await workbench.panel('rankings');
  await expect(rankings.getByTestId('rankings-row').first()).toBeVisible({ timeout: 60_000 });

  await test.step('a rectangle is drawn, and every panel follows', async () => {
    await canvas.getByTestId('region-rectangle').click();
    const box = (await canvas.getByTestId('region-layer').boundingBox())!;
    await page.mouse.move(box.x + 0.45 * box.width, box.y + 0.4 * box.height);
    await page.mouse.down();
    await page.mouse.move(box.x + 0.55 * box.width, box.y + 0.6 * box.height, { steps: 4 });
    await page.mouse.up();
    await expect(canvas.getByTestId('region-facts')).toHaveText(/px · \d/);
    await expect(canvas.getByTestId('region-neurons').getByRole('button')).toHaveCount(10);
    await expect(rankings.getByRole('columnheader', { name: 'In region' })).toBeVisible();
    await workbench.shot('region');
  });

  await test.step('all pixels of a colour are marked by a click', async () => {
    const before = await canvas.getByTestId('region-facts').textContent();
    await canvas.getByTestId('region-color').click();
    const box = (await canvas.getByTestId('region-layer').boundingBox())!;
    await expect(async () => {
      await page.mouse.click(box.x + 0.5 * box.width, box.y + 0.5 * box.height);
      expect(await canvas.getByTestId('region-facts').textContent()).not.toBe(before);
    }).toPass({ timeout: 20_000 });
    await workbench.shot('region-colour');
    await canvas.getByTestId('region-clear').click();
    await expect(canvas.getByTestId('region-facts')).toBeHidden();
    await canvas.getByTestId('region-color').click();
  });

  await test.step('the strongest neurons are switched off, and cost more the more they are', async () => {
    await workbench.mode(canvas, 'without');
    await canvas.getByTestId('ablation-what').selectOption('top');
    const cost = async (count: string) => {
      await canvas.getByTestId('ablation-count').fill(count);
      await canvas.getByTestId('ablation-count').press('Enter');
      await expect(canvas.getByTestId('ablation-cost')).toContainText(
        new RegExp(`^\\s*${count} neurons? off`),
      );
      await expect(canvas.getByTestId('ablation-delta')).toHaveText(/−/);
      await page.waitForTimeout(800);
      const text = (await canvas.getByTestId('ablation-delta').textContent())!;
      return Number(text.replace('−', '-').replace(' dB', ''));
    };
    const one = await cost('1');
    expect(await cost('20')).toBeLessThan(one);
    await workbench.shot('without-top');
  });

  await test.step('each neuron of the layer is measured alone', async () => {
    await rankings.getByTestId('rankings-removals').click();
    await expect(rankings.getByTestId('rankings-summary')).toContainText('random pixels', {
      timeout: 60_000,
    });
    await expect(rankings.getByRole('columnheader', { name: 'If removed' })).toBeVisible();
    await expect(rankings.getByTestId('rankings-row').first()).toContainText(/−\d+\.\d\d dB/);
    await workbench.shot('removals');
  });
});
