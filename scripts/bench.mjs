/** Builds, and runs test/bench/*.ts (or those named): one JSON document each on stdout. */
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { glob } from 'node:fs/promises';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const wanted = process.argv.slice(2);
const run = (...args) => {
  const { status } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) process.exit(status ?? 1);
};

run('scripts/build.mjs');
for (const entry of (await Array.fromAsync(glob('test/bench/*.ts', { cwd: root }))).sort()) {
  const name = path.basename(entry, '.ts');
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const outfile = `out/bench/${name}.js`;
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['onnxruntime-node'],
    logLevel: 'warning',
  });
  run(outfile);
}
