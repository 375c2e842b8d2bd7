/**
 * Bundles the extension host, the worker, the command line and the panels into dist/. Any warning fails.
 *   --outdir DIR   another folder than dist/
 *   --production   minified, without source maps, into an empty folder
 *   --bundled FILE  writes the names of the packages that bundles and copied files come from, as JSON
 *   --watch        builds again after each change
 */
import { build, context } from 'esbuild';
import { chmod, copyFile, glob, mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './lib/project.mjs';

const { watch, production, outdir, bundled } = parseArgs({
  options: {
    watch: { type: 'boolean', default: false },
    production: { type: 'boolean', default: false },
    outdir: { type: 'string', default: 'dist' },
    bundled: { type: 'string' },
  },
}).values;
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

/** TensorFlow.js as modules, of which the bundle keeps what is used; their `main` is one piece. */
const tensorflowModules = {
  name: 'tensorflow-modules',
  setup({ onResolve }) {
    onResolve({ filter: /^@tensorflow\/tfjs-(core|backend-cpu|backend-wasm)$/ }, ({ path: name }) => ({
      path: require.resolve(`${name}/dist/index.js`),
    }));
  },
};

/** TensorFlow.js is a file of its own beside the bundles, so that starting one does not read it. */
const tensorflowApart = {
  name: 'tensorflow-apart',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/library$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: './tensorflow.js', external: true } : undefined,
    );
  },
};

const node = {
  ...shared,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  // node-fetch: TensorFlow.js asks for it only where there is no fetch.
  external: ['vscode', 'onnxruntime-node', 'node-fetch'],
  plugins: [tensorflowModules, tensorflowApart],
};

async function configurations() {
  const panels = await Array.fromAsync(glob('webview/*/main.ts', { cwd: root }));
  return [
    {
      ...node,
      entryPoints: {
        extension: 'src/extension.ts',
        worker: 'src/worker/main.ts',
        tiles: 'src/worker/tiles.ts',
        layout: 'src/worker/layoutThread.ts',
        tensorflow: 'src/engine/tfjs/library.ts',
        code: 'src/code/worker.ts',
      },
      outdir,
    },
    {
      ...node,
      entryPoints: { cli: 'src/cli/main.ts' },
      outdir,
      banner: { js: '#!/usr/bin/env node' },
    },
    {
      ...shared,
      platform: 'browser',
      format: 'esm',
      target: 'chrome128',
      entryPoints: Object.fromEntries(panels.map((entry) => [path.basename(path.dirname(entry)), entry])),
      outdir: `${outdir}/webview`,
    },
  ];
}

// What is shipped starts from nothing; otherwise a running editor would lose its files under its feet.
if (production) await rm(path.resolve(root, outdir), { recursive: true, force: true });
await mkdir(path.resolve(root, outdir, 'webview'), { recursive: true });
/** Packages that files are copied from as they are. */
const copied = ['@vscode/codicons', '@tensorflow/tfjs-backend-wasm'];
const codicons = path.dirname(require.resolve('@vscode/codicons/dist/codicon.css'));
for (const file of ['codicon.css', 'codicon.ttf']) {
  await copyFile(path.join(codicons, file), path.resolve(root, outdir, 'webview', file));
}

const wasm = path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm'));
for (const file of ['tfjs-backend-wasm.wasm', 'tfjs-backend-wasm-simd.wasm']) {
  await copyFile(path.join(wasm, file), path.resolve(root, outdir, file));
}
const grammars = path.dirname(require.resolve('@vscode/tree-sitter-wasm/wasm/tree-sitter.wasm'));
for (const file of ['tree-sitter.wasm', 'tree-sitter-python.wasm']) {
  await copyFile(path.join(grammars, file), path.resolve(root, outdir, file));
}

if (watch) {
  for (const configuration of await configurations()) await (await context(configuration)).watch();
} else {
  const outputs = {};
  for (const configuration of await configurations()) {
    const result = await build(configuration);
    if (result.warnings.length > 0) process.exitCode = 1;
    Object.assign(outputs, result.metafile.outputs);
  }
  await chmod(path.resolve(root, outdir, 'cli.js'), 0o755);
  await writeFile(path.resolve(root, outdir, 'sizes.json'), JSON.stringify(sizes(outputs), null, 2));
  if (bundled) await writeFile(bundled, JSON.stringify(packages(outputs)));
}

/** Folders of the packages that are in the bundles or copied beside them, without duplicates, in order. */
function packages(outputs) {
  const files = Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0),
  );
  const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;
  const bundled = files.map(([file]) => folder.exec(file)?.[0]).filter(Boolean);
  return [...new Set([...bundled, ...copied.map((name) => `node_modules/${name}`)])].sort();
}

function sizes(outputs) {
  const scripts = Object.entries(outputs).filter(([name]) => name.endsWith('.js'));
  return Object.fromEntries(scripts.map(([name, { bytes }]) => [name, bytes]));
}
