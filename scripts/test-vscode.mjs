/**
 * The Mocha suites of test/vscode in VS Code's extension host; a browser shows the workbench.
 *   --electron     the desktop VS Code, which @vscode/test-electron downloads, instead of the server
 *   --results FILE results as JSON
 *   --grep TEXT    only tests whose title matches
 */
import { chromium } from '@playwright/test';
import { runTests } from '@vscode/test-electron';
import { build } from 'esbuild';
import { cp, glob, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { launchOptions } from './lib/browser.mjs';
import { root, temporaryFolder } from './lib/project.mjs';
import { run } from './lib/processes.mjs';
import { startServer, workbenchUrl } from './lib/vscode-server.mjs';

const { electron, results, grep } = parseArgs({
  options: {
    electron: { type: 'boolean', default: false },
    results: { type: 'string', default: 'test-results/vscode.json' },
    grep: { type: 'string' },
  },
}).values;
/** A soak of more canvases than usual takes as much longer. */
const MINUTES = 7 + Number(process.env.PANELS ?? 0) / 10;

const folder = path.join(temporaryFolder('vscode'), 'pictures');
const report = `${folder}.json`;
const env = { NEURAL_CANVAS_RESULTS: report, ...(grep && { NEURAL_CANVAS_GREP: grep }) };
const tests = path.join(root, 'out/test/vscode/index.js');

await run(process.execPath, [path.join(root, 'scripts/build.mjs')]);
await build({
  absWorkingDir: root,
  entryPoints: await Array.fromAsync(glob('test/vscode/{index,*.test}.ts', { cwd: root })),
  outdir: 'out/test/vscode',
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  sourcemap: 'inline',
  external: ['vscode', 'mocha'],
});
await project();

let outcome;
try {
  outcome = await (electron ? inDesktop() : inServer());
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
for (const { title, state, milliseconds, error } of outcome) {
  const mark = { passed: '✓', failed: '✗', skipped: '-' }[state];
  console.log(`${mark} ${title} (${milliseconds} ms)${error ? `\n${error}` : ''}`);
}
await mkdir(path.dirname(path.resolve(root, results)), { recursive: true });
await writeFile(path.resolve(root, results), JSON.stringify(outcome));
process.exit(outcome.length === 0 || outcome.some(({ state }) => state === 'failed') ? 1 : 0);

/** The workspace: a copy of the sample project, with files that make trouble. */
async function project() {
  const samples = path.join(root, 'samples/pictures');
  await cp(samples, folder, { recursive: true });
  await cp(path.join(root, 'test/fixtures/others/resnet.pth'), path.join(folder, 'resnet.pth'));
  // A picture so large that its trace can be cancelled at leisure.
  await cp(path.join(root, 'test/fixtures/inr/siren-coin.pt'), path.join(folder, 'wide.pt'));
  await writeFile(path.join(folder, 'wide.json'), JSON.stringify({ height: 1500, width: 2000 }));
  // Findings of every trace would take both cores from the next one.
  await mkdir(path.join(folder, '.vscode'));
  await writeFile(
    path.join(folder, '.vscode/settings.json'),
    JSON.stringify({ 'neuralCanvas.findings.automatic': false }),
  );
}

async function inDesktop() {
  await runTests({
    extensionDevelopmentPath: root,
    extensionTestsPath: tests,
    extensionTestsEnv: env,
    launchArgs: [folder, '--disable-extensions', '--disable-workspace-trust'],
  }).catch(() => undefined);
  return JSON.parse(await readFile(report, 'utf8'));
}

async function inServer() {
  const server = await startServer({ development: true, env });
  const browser = await chromium.launch(launchOptions());
  try {
    const page = await browser.newPage();
    await page.goto(workbenchUrl(server.origin, { folder, extension: root, tests }));
    for (const end = Date.now() + MINUTES * 60_000; Date.now() < end; await delay(200)) {
      const text = await readFile(report, 'utf8').catch(() => '');
      // Empty while it is being written.
      if (text) return JSON.parse(text);
    }
    throw new Error(`No results after ${MINUTES} minutes:\n${server.output.slice(-20).join('\n')}`);
  } finally {
    await browser.close();
    await server.stop();
  }
}
