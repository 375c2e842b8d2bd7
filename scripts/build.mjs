/** Bundles the extension host, the worker, the command line and the panels into dist/. Any warning fails. */
import { build, context } from 'esbuild';
import { chmod, copyFile, glob, mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';

const watch = process.argv.includes('--watch');
const production = process.argv.includes('--production');
const root = path.resolve(import.meta.dirname, '..');
const require = createRequire(import.meta.url);

const shared = {
  absWorkingDir: root,
  bundle: true,
  minify: production,
  sourcemap: !production,
  metafile: true,
  logLevel: 'warning',
  legalComments: 'none',
};

const node = {
  ...shared,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['vscode', 'onnxruntime-node'],
};

async function configurations() {
  const panels = await Array.fromAsync(glob('webview/*/main.ts', { cwd: root }));
  return [
    { ...node, entryPoints: { extension: 'src/extension.ts', worker: 'src/worker/main.ts' }, outdir: 'dist' },
    {
      ...node,
      entryPoints: { cli: 'src/cli/main.ts' },
      outdir: 'dist',
      banner: { js: '#!/usr/bin/env node' },
    },
    {
      ...shared,
      platform: 'browser',
      format: 'esm',
      target: 'chrome128',
      entryPoints: Object.fromEntries(panels.map((entry) => [path.basename(path.dirname(entry)), entry])),
      outdir: 'dist/webview',
    },
  ];
}

// What is shipped starts from nothing; otherwise a running editor would lose its files under its feet.
if (production) await rm(path.join(root, 'dist'), { recursive: true, force: true });
await mkdir(path.join(root, 'dist', 'webview'), { recursive: true });
const codicons = path.dirname(require.resolve('@vscode/codicons/dist/codicon.css'));
for (const file of ['codicon.css', 'codicon.ttf']) {
  await copyFile(path.join(codicons, file), path.join(root, 'dist', 'webview', file));
}

if (watch) {
  for (const configuration of await configurations()) await (await context(configuration)).watch();
} else {
  const inputs = {};
  for (const configuration of await configurations()) {
    const result = await build(configuration);
    if (result.warnings.length > 0) process.exitCode = 1;
    Object.assign(inputs, result.metafile.outputs);
  }
  await chmod(path.join(root, 'dist', 'cli.js'), 0o755);
  await writeFile(path.join(root, 'dist', 'sizes.json'), JSON.stringify(sizes(inputs), null, 2));
}

function sizes(outputs) {
  const scripts = Object.entries(outputs).filter(([name]) => name.endsWith('.js'));
  return Object.fromEntries(scripts.map(([name, { bytes }]) => [name, bytes]));
}
