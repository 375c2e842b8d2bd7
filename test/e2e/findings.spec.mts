/** The findings page, as a person uses it in a real VS Code with the packaged extension. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { findings as axe } from './axe.mjs';
import { commandLine, expect, test } from './workbench.mjs';

// As it is without settings: findings are made after every trace.
test.use({
  files: { '.vscode/settings.json': JSON.stringify({ 'workbench.colorTheme': 'Default Dark Modern' }) },
});

test('findings: opened from the canvas, filled in the background, linked to the other panels', async ({
  workbench,
}) => {
  const { page } = workbench;
  await workbench.openFolder('checkpoints');
  await workbench.trace('siren.pth');
  const canvas = await workbench.panel('canvas');
  await expect(canvas.getByTestId('facts')).toContainText(/traced (in|before)/, { timeout: 60_000 });
  await page.getByRole('button', { name: 'Show Findings' }).first().click();
  const findings = await workbench.panel('findings');

  const distributed = findings.getByTestId('finding-distributed');
  await expect(distributed).toContainText(/nine tenths of the contribution need \d+ of \d+/, {
    timeout: 90_000,
  });
  await expect(findings.getByTestId('finding-color')).toContainText(/times what the same regions moved/, {
    timeout: 90_000,
  });
  await expect(findings.getByTestId('finding-faithful')).toContainText('Taking the strongest neurons away', {
    timeout: 120_000,
  });
  await expect(findings.getByTestId('finding-signs')).toContainText('Looked for and not found');
  await workbench.shot('findings-dark');
  expect(await axe(findings), 'what axe-core finds serious').toEqual([]);

  await test.step('a neuron named in a finding is selected in the ranking', async () => {
    const neuron = distributed.locator('button.neuron').first();
    const [name, layer] = [
      await neuron.getAttribute('data-neurons'),
      await neuron.getAttribute('data-layer'),
    ];
    expect(Number(layer)).toBe(0);
    await neuron.click();
    await expect(findings.getByTestId('findings-status')).toContainText(`Neuron ${name} selected`);
    const rankings = await workbench.panel('rankings');
    await expect(rankings.locator(`[data-testid=rankings-row][aria-selected=true]`).first()).toHaveAttribute(
      'data-neuron',
      name!,
    );
  });

  await test.step('the command line writes the same numbers as one page', async () => {
    const file = path.join(workbench.project, 'report.html');
    await commandLine('trace', path.join(workbench.project, 'checkpoints/siren.pth'), '--report', file);
    const report = await readFile(file, 'utf8');
    const sentence = (await distributed.locator('.sentence').textContent())!;
    expect(report).toContain(sentence);
    expect(report).not.toContain('<script');
  });
});
