/** The hosted workflows name scripts and files that there are. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const root = path.resolve(import.meta.dirname, '../..');
const folder = path.join(root, '.github/workflows');
const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

interface Workflow {
  readonly name: string;
  readonly jobs: Readonly<Record<string, { readonly needs?: string; readonly steps: readonly Step[] }>>;
}
interface Step {
  readonly run?: string;
  readonly uses?: string;
}

describe.each(readdirSync(folder))('workflow %s', (file) => {
  const { jobs } = parse(readFileSync(path.join(folder, file), 'utf8')) as Workflow;
  const steps = Object.values(jobs).flatMap((job) => job.steps);

  it('runs npm scripts that exist', () => {
    const asked = steps.flatMap(({ run }) => [...(run ?? '').matchAll(/npm (?:run ([\w:]+)|(test))\b/g)]);
    expect(asked.length).toBeGreaterThan(0);
    for (const [, script, test] of asked) expect(scripts).toHaveProperty([script ?? test]);
  });

  it('has steps that do one thing, and jobs that exist', () => {
    for (const { run, uses } of steps) expect([run, uses].filter(Boolean)).toHaveLength(1);
    for (const { uses } of steps) if (uses) expect(uses).toMatch(/^[\w-]+\/[\w-]+@v\d+$/);
    for (const { needs } of Object.values(jobs)) if (needs) expect(jobs).toHaveProperty(needs);
  });
});

it('npm scripts run files that exist', () => {
  for (const command of Object.values(scripts)) {
    for (const [file] of command.matchAll(/scripts\/[\w.-]+\.mjs/g)) {
      expect([file, existsSync(path.join(root, file))]).toEqual([file, true]);
    }
  }
});
