/**
 * Builds, and opens the bundled sample project in VS Code with the extension: in the desktop program when
 * `code` is there, else in VS Code's server, whose address it prints.
 *   --check   starts the server, looks at it in a browser, and ends; also when CI is set
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from '@playwright/test';
import { launchOptions } from './lib/browser.mjs';
import { root } from './lib/project.mjs';
import { run } from './lib/processes.mjs';
import { startServer, workbenchUrl } from './lib/vscode-server.mjs';

const { check } = parseArgs({
  options: { check: { type: 'boolean', default: Boolean(process.env.CI) } },
}).values;
const sample = path.join(root, 'samples/pictures');
const next = 'Click the Neural Canvas icon at the left, then a checkpoint.';

await run(process.execPath, [path.join(root, 'scripts/build.mjs')]);
const code = check ? undefined : desktop();
if (code) {
  const args = ['--new-window', `--extensionDevelopmentPath=${root}`, sample];
  await run(code, args, { shell: process.platform === 'win32' });
  console.log(`The sample project is open in VS Code. ${next}`);
} else {
  const server = await startServer({ development: true });
  const url = workbenchUrl(server.origin, {
    folder: sample,
    extension: root,
    open: path.join(sample, 'train.py'),
  });
  if (check) {
    await look(url);
    await server.stop();
    console.log('The sample project opens.');
  } else {
    console.log(`Open this address in a browser:\n\n  ${url}\n\n${next} Ctrl-C ends it.`);
  }
}

/** The desktop program's command; inside a remote window `code` cannot open an extension under development. */
function desktop() {
  if (process.env.VSCODE_IPC_HOOK_CLI) return undefined;
  const name = process.platform === 'win32' ? 'code.cmd' : 'code';
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  return folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file));
}

/** @throws Error when the extension's view does not list the sample checkpoint */
async function look(url) {
  const browser = await chromium.launch(launchOptions());
  try {
    const page = await browser.newPage();
    await page.goto(url);
    await page.getByRole('tab', { name: 'Neural Canvas' }).click();
    await page.getByRole('treeitem', { name: /siren\.pth/ }).waitFor();
  } finally {
    await browser.close();
  }
}
