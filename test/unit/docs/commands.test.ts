/** The commands that the documentation shows with their output (`$ node dist/cli.js …`) still run. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../bundle';

const root = path.resolve(import.meta.dirname, '../../..');
const documents = readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md'));
const files = ['README.md', ...documents.map((name) => `docs/${name}`)];
const commands = files.flatMap((file) =>
  Array.from(
    readFileSync(path.join(root, file), 'utf8').matchAll(/^\$ node dist\/cli\.js (.+)$/gm),
    ([, args]) => ({ file, args }),
  ),
);

// Inside the project, so that the bundle finds onnxruntime-node.
mkdirSync(path.join(root, 'test-results'), { recursive: true });
const outdir = mkdtempSync(path.join(root, 'test-results', 'docs-'));
const folder = mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-docs-'));
beforeAll(() => bundle(outdir, ['cli', 'tiles']));
afterAll(() => {
  for (const each of [outdir, folder]) rmSync(each, { recursive: true, force: true });
});

describe('commands shown in the documentation', () => {
  it.each(commands)('$file: $args', ({ args }) => {
    // What a command writes goes to another folder; what it reads lies in the project.
    const given = args.split(/\s+/).map((word) => (/^samples\//.test(word) ? path.join(root, word) : word));
    const { status, stderr } = spawnSync(process.execPath, [path.join(outdir, 'cli.js'), ...given], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  it('there are some', () => expect(commands.length).toBeGreaterThan(0));
});
