/** Takes the pictures of docs/images anew: the panels in every theme and size, in a real VS Code. Look at them. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { root } from './lib/project.mjs';

const cli = path.join(root, 'node_modules/@playwright/test/cli.js');
const { status } = spawnSync(
  process.execPath,
  [
    cli,
    'test',
    '--config',
    'test/e2e/playwright.config.mts',
    'mainJob\\.spec',
    '--grep',
    'right-click',
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, NEURAL_CANVAS_SCREENSHOTS: 'retake' } },
);
process.exit(status ?? 1);
