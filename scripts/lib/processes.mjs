/** Child processes that end, with all their children, when asked or when this process ends. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

const windows = process.platform === 'win32';
const running = new Set();

process.once('exit', () => {
  for (const child of running) signalGroup(child, 'SIGKILL');
});
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
]) {
  process.once(signal, () => process.exit(code));
}

function signalGroup(child, signal) {
  if (windows) {
    spawnSync('taskkill', ['/pid', String(child.pid), '/T', '/F'], { stdio: 'ignore' });
    return;
  }
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The whole group has ended.
  }
}

/** Starts a program as the leader of its own process group. */
export function start(command, args, options = {}) {
  const child = spawn(command, args, { ...options, detached: !windows });
  running.add(child);
  child.once('error', () => running.delete(child));
  return child;
}

/** Ends the program and its children: asks first, then insists after five seconds. */
export async function stop(child) {
  if (child.pid === undefined) return;
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    signalGroup(child, 'SIGTERM');
    await Promise.race([exited, delay(5000, undefined, { ref: false })]);
  }
  signalGroup(child, 'SIGKILL');
  running.delete(child);
}

/**
 * Runs a program to its end.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions & { minutes?: number }} options
 * @returns its output, both streams
 * @throws Error with the end of the output when it fails or takes longer than `minutes`
 */
export async function run(command, args, { minutes = 5, ...options } = {}) {
  const child = start(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => (output += text));
  }
  const ended = once(child, 'close');
  const late = Symbol('late');
  const outcome = await Promise.race([ended, delay(minutes * 60_000, late, { ref: false })]);
  await stop(child);
  if (outcome !== late && outcome[0] === 0) return output;
  const why =
    outcome === late ? `took longer than ${minutes} minutes` : `failed (${outcome[0] ?? outcome[1]})`;
  throw new Error(`${[command, ...args].join(' ')} ${why}:\n${output.slice(-4000)}`);
}
