/** Builds, and traces the bundled sample on the command line. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const steps = [
  ['scripts/build.mjs'],
  [
    'dist/cli.js',
    'trace',
    'samples/pictures/checkpoints/siren.pth',
    '--target',
    'samples/pictures/target.png',
    '--reconstruction',
    'dist/siren.png',
  ],
];
for (const step of steps) {
  const { status } = spawnSync(process.execPath, step, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
console.log('The reconstruction is in dist/siren.png.');
