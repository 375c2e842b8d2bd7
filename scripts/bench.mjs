/**
 * Builds, and runs test/bench/*.ts (or those named): a table each on stdout, or with --json one JSON document
 * each. Progress goes to stderr.
 */
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { glob } from 'node:fs/promises';
import path from 'node:path';
import { table } from './lib/table.mjs';

const root = path.resolve(import.meta.dirname, '..');
const json = process.argv.includes('--json');
const wanted = process.argv.slice(2).filter((argument) => argument !== '--json');
/** @returns what it wrote to stdout */
const run = (...args) => {
  const { status, stdout } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 30,
  });
  return { status: status ?? 1, stdout: stdout.toString() };
};

let failed = 0;
if (run('scripts/build.mjs').status !== 0) process.exit(1);
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
    // out/bench lies as deep as test/bench, so that what is found beside the sources still is.
    define: { 'import.meta.dirname': '__dirname' },
    logLevel: 'warning',
  });
  process.stderr.write(`— ${name}\n`);
  const { status, stdout } = run(outfile);
  if (status !== 0) {
    failed = status;
    process.stderr.write(`${name} failed\n`);
  }
  if (stdout.trim() === '') continue;
  process.stdout.write(json ? stdout : `${table(JSON.parse(stdout), name).join('\n')}\n`);
}
process.exitCode = failed;
