/**
 * VS Code's own server and browser workbench, out of the npm package code-server: a real VS Code
 * wherever npm works, without a compiler or a download from anywhere else.
 */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pinnedNode, root, temporaryFolder } from './project.mjs';
import { run, start, stop } from './processes.mjs';

const VERSION = '4.139.1';
const folder = path.join(root, '.vscode-test', `server-${VERSION}`);
const vscode = 'node_modules/code-server/lib/vscode';

/** What would cover the product or look up things in the network. */
const settings = {
  'chat.disableAIFeatures': true,
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
  'git.openRepositoryInParentFolders': 'never',
  'security.workspace.trust.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'workbench.enableExperiments': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
};

const npmScript = process.env.npm_execpath;
const npm = (args, cwd) =>
  npmScript?.endsWith('.js')
    ? run(process.execPath, [npmScript, ...args], { cwd })
    : run('npm', args, { cwd, shell: process.platform === 'win32' });

async function install() {
  const partial = `${folder}.${process.pid}`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await writeFile(path.join(partial, 'package.json'), '{ "private": true }');
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await npm(['install', ...quiet, `code-server@${VERSION}`], partial);
  await npm(['install', ...quiet, '--omit=dev'], path.join(partial, vscode));
  // Complete or not there at all; another process may have been faster.
  if (existsSync(folder)) await rm(partial, { recursive: true, force: true });
  else await rename(partial, folder);
}

/** Installs the server on first use. @returns path of its main script. @throws Error after three tries */
export async function serverScript() {
  const script = path.join(folder, vscode, 'out/server-main.js');
  for (let attempt = 1; !existsSync(script); attempt++) {
    console.log(`Installing VS Code's server (code-server ${VERSION}, once) …`);
    try {
      await install();
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
  return script;
}

/** Runs one of the server's own commands, such as `--install-extension FILE`. @returns its output */
export const serverCommand = async (...args) =>
  run(pinnedNode(), [await serverScript(), '--accept-server-license-terms', ...args]);

/**
 * Starts the server on a free loopback port.
 * @param {{ extensions?: string, development?: boolean, env?: Record<string, string> }} options
 *   extensions: folder of installed extensions; an empty one when omitted
 *   development: for `extension` and `tests` of `workbenchUrl`
 *   env: more environment variables, which the extension host inherits
 * @returns {Promise<{ origin: string, data: string, output: string[], stop: () => Promise<void> }>}
 */
export async function startServer({ extensions, development = false, env = {} } = {}) {
  const script = await serverScript();
  const data = temporaryFolder('server');
  const userSettings = path.join(data, 'data/User/settings.json');
  await mkdir(path.dirname(userSettings), { recursive: true });
  await writeFile(userSettings, JSON.stringify(settings, null, 2));
  const args = [
    script,
    ...['--host', '127.0.0.1', '--port', '0', '--without-connection-token'],
    ...['--server-data-dir', data, '--extensions-dir', extensions ?? path.join(data, 'extensions')],
    ...['--accept-server-license-terms', '--disable-workspace-trust', '--telemetry-level', 'off'],
    // Makes the built workbench honour the development payload of `workbenchUrl`; it also hides notifications.
    ...(development ? ['--enable-smoke-test-driver'] : []),
  ];
  const child = start(pinnedNode(), args, {
    cwd: data,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = [];
  const origin = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail('did not answer within a minute'), 60_000);
    const fail = (why) => {
      clearTimeout(timer);
      reject(new Error(`VS Code's server ${why}:\n${output.slice(-20).join('\n')}`));
    };
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', (line) => {
        output.push(line);
        const address = /Web UI available at (\S+)/.exec(line)?.[1];
        if (!address) return;
        clearTimeout(timer);
        resolve(new URL(address).origin);
      });
    }
    child.once('error', (error) => fail(`did not start (${error.message})`));
    child.once('exit', (code) => fail(`ended with code ${code}`));
  }).catch(async (error) => {
    await stop(child);
    throw error;
  });
  return { origin, data, output, stop: () => stop(child) };
}

/**
 * Address of the workbench.
 * @param {string} origin
 * @param {{ folder: string, extension?: string, tests?: string, open?: string }} options
 *   folder: workspace; extension: folder of an extension under development; tests: script whose `run` is
 *   called in the extension host; open: file to open
 */
export function workbenchUrl(origin, { folder, extension, tests, open }) {
  const url = new URL('/', origin);
  const remote = (file) => `vscode-remote://${url.host}${urlPath(file)}`;
  const payload = [
    ['skipWelcome', 'true'],
    ...(extension ? [['extensionDevelopmentPath', remote(extension)]] : []),
    ...(tests ? [['extensionTestsPath', remote(tests)]] : []),
    ...(open ? [['openFile', remote(open)]] : []),
  ];
  url.searchParams.set('folder', urlPath(folder));
  url.searchParams.set('payload', JSON.stringify(payload));
  return url.href;
}

/** A path as the URLs of the workbench have it: forward slashes, and one before a drive letter. */
function urlPath(file) {
  const slashes = file.replaceAll('\\', '/');
  return slashes.startsWith('/') ? slashes : `/${slashes}`;
}
