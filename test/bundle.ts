/** Bundles as the extension has them, for tests of what runs in threads and processes of its own. */
import { build } from 'esbuild';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const ours = {
  cli: 'src/cli/main.ts',
  worker: 'src/worker/main.ts',
  tiles: 'src/worker/tiles.ts',
  layout: 'src/worker/layoutThread.ts',
} as const;

/**
 * @param outdir inside the project, so that the bundles find onnxruntime-node
 * @param more further entry points, by name
 */
export async function bundle(
  outdir: string,
  names: readonly (keyof typeof ours)[],
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: { ...Object.fromEntries(names.map((name) => [name, ours[name]])), ...more },
    outdir,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['onnxruntime-node'],
    logLevel: 'silent',
  });
}
