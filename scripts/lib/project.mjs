/** Where the project lies, and the Node that its tools run on. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

export const root = path.resolve(import.meta.dirname, '..', '..');
export const manifest = createRequire(import.meta.url)('../../package.json');

/** The pinned Node 24 of VS Code's own extension host; the one running this when it is not installed. */
export function pinnedNode() {
  const binary = path.join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node');
  return existsSync(binary) ? binary : process.execPath;
}

/** A new folder under the system's temporary folder, removed when this process ends. */
export function temporaryFolder(purpose) {
  const folder = mkdtempSync(path.join(os.tmpdir(), `neural-canvas-${purpose}-`));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}
