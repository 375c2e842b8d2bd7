/** What axe-core finds wrong with a panel for people who use a keyboard or a screen reader. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Frame } from '@playwright/test';
import type { AxeResults, RunOptions } from 'axe-core';

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

declare const axe: { run(context: Document, options: RunOptions): Promise<AxeResults> };

/** @returns serious and critical findings, a line each; empty when there are none */
export async function findings(panel: Frame): Promise<string[]> {
  await panel.evaluate(source);
  const { violations } = await panel.evaluate(() =>
    axe.run(document, {
      resultTypes: ['violations'],
      // It would fetch style sheets, which the panel's policy forbids.
      preload: false,
      // The page is VS Code's; a panel is a part of it.
      rules: { region: { enabled: false }, 'page-has-heading-one': { enabled: false } },
    }),
  );
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${JSON.stringify(target)} ${failureSummary}`),
    );
}
