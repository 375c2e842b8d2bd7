/** Finds a Chromium browser: CHROME_PATH, the system's, Playwright's; Debian's is installed when we may. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from '@playwright/test';

const applications = ['Google Chrome', 'Chromium', 'Microsoft Edge'];
const commands = [
  'google-chrome-stable',
  'google-chrome',
  'chromium',
  'chromium-browser',
  'microsoft-edge-stable',
  'microsoft-edge',
];

function* candidates() {
  const { env } = process;
  if (process.platform === 'darwin') {
    for (const name of applications) {
      for (const home of ['', os.homedir()]) yield `${home}/Applications/${name}.app/Contents/MacOS/${name}`;
    }
  } else if (process.platform === 'win32') {
    for (const folder of [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA]) {
      if (!folder) continue;
      yield path.join(folder, 'Google/Chrome/Application/chrome.exe');
      yield path.join(folder, 'Chromium/Application/chrome.exe');
      yield path.join(folder, 'Microsoft/Edge/Application/msedge.exe');
    }
  } else {
    const folders = (env.PATH ?? '').split(':').filter(Boolean);
    for (const name of commands) for (const folder of folders) yield path.join(folder, name);
  }
  yield chromium.executablePath();
}

const find = () => Iterator.from(candidates()).find((file) => existsSync(file));

/** Debian's package, where we are allowed to install it. @returns whether apt-get ran */
function installDebians() {
  if (process.platform !== 'linux' || process.getuid() !== 0 || !existsSync('/usr/bin/apt-get')) return false;
  console.log('No Chromium browser found: installing Debian’s chromium package.');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) => spawnSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  apt('update', '-q');
  return apt('install', '-y', '-q', '--no-install-recommends', 'chromium').status === 0;
}

/** @returns path of the browser. @throws Error with one sentence when there is none */
export function findBrowser() {
  const chosen = process.env.CHROME_PATH;
  if (chosen) {
    if (existsSync(chosen)) return chosen;
    throw new Error(
      `CHROME_PATH names ${chosen}, which does not exist; point it to Chrome, Chromium or Edge.`,
    );
  }
  const browser = find() ?? (installDebians() ? find() : undefined);
  if (browser) return browser;
  throw new Error('No browser found: install Chrome, Chromium or Edge, or set CHROME_PATH to one.');
}

/** WebGL2 without a GPU, and no traffic of the browser's own. */
export const browserArguments = [
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Without a GPU, the browser's own drawing is faster than a GPU's emulated: 10 to 15 % of all CPU time.
  '--disable-gpu-rasterization',
  '--disable-gpu-compositing',
  '--use-gl=angle',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
];

/** @returns Playwright's launch options for the browser found */
export function launchOptions() {
  // Chromium's sandbox refuses to start as root.
  const root = process.getuid?.() === 0;
  return { executablePath: findBrowser(), args: browserArguments, chromiumSandbox: !root };
}
