/**
 * Everything that must hold before a change lands; the closing line counts tests of all layers.
 * A check without tests of its own (format, lint, types, build) counts as one test.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { serverScript } from './lib/vscode-server.mjs';

const root = path.resolve(import.meta.dirname, '..');
const results = path.join(root, 'test-results');
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const total = { passed: 0, failed: 0, skipped: 0 };

function run(name, command, args, minutes) {
  const began = Date.now();
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    timeout: minutes * 60_000,
  });
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'ok' : 'FAILED'}  ${name}  ${seconds} s${error ? `  ${error.message}` : ''}`);
  return status === 0;
}

/** Says all that it has to say when it is done: others run beside it. */
function check(name, command, args) {
  const began = Date.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, timeout: 5 * 60_000 });
    const said = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => said.push(data));
    child.on('error', (error) => said.push(`${error.message}\n`));
    child.on('close', (status) => {
      process.stdout.write(Buffer.concat(said.map((data) => Buffer.from(data))));
      const seconds = ((Date.now() - began) / 1000).toFixed(1);
      console.log(`${status === 0 ? 'ok' : 'FAILED'}  ${name}  ${seconds} s`);
      total[status === 0 ? 'passed' : 'failed']++;
      resolve();
    });
  });
}

rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });

await Promise.all([
  // Mostly waits for the network, and the suites in VS Code for it.
  serverScript().catch(({ message }) => console.log(message)),
  check('lint', bin('eslint'), ['.', '--max-warnings', '0']),
  check('format', bin('prettier'), ['--check', '--log-level', 'warn', '.']).then(() =>
    check('types', bin('tsc'), ['--noEmit']),
  ),
]);
await check('build', process.execPath, ['scripts/build.mjs']);

/** Runs a suite and counts what its report says. @param count report → numbers of tests */
function suite(name, command, args, minutes, report, count) {
  const passed = run(name, command, args, minutes);
  let counted = { passed: 0, failed: 0, skipped: 0 };
  try {
    counted = count(JSON.parse(readFileSync(report, 'utf8')));
  } catch {
    // No report: nothing ran, and that must not pass.
  }
  for (const state of Object.keys(total)) total[state] += counted[state];
  // A suite that fails to start runs no test, and must not pass for that.
  if (counted.failed === 0 && (!passed || counted.passed === 0)) total.failed++;
}

const unit = path.join(results, 'unit.json');
suite(
  'unit and conformance',
  bin('vitest'),
  ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${unit}`],
  12,
  unit,
  ({ numPassedTests, numFailedTests, numPendingTests }) => ({
    passed: numPassedTests,
    failed: numFailedTests,
    skipped: numPendingTests,
  }),
);

const vscode = path.join(results, 'vscode.json');
suite(
  'in VS Code',
  process.execPath,
  ['scripts/test-vscode.mjs', '--results', vscode],
  8,
  vscode,
  (outcome) => {
    const inState = (wanted) => outcome.filter(({ state }) => state === wanted).length;
    return { passed: inState('passed'), failed: inState('failed'), skipped: inState('skipped') };
  },
);

const e2e = path.join(results, 'e2e.json');
suite(
  'as a person, on the packaged extension',
  bin('playwright'),
  ['test', '--config', 'test/e2e/playwright.config.mts'],
  20,
  e2e,
  ({ stats: { expected, unexpected, flaky, skipped } }) => {
    if (flaky > 0) console.log(`${flaky} passed only at the second attempt`);
    return { passed: expected + flaky, failed: unexpected, skipped };
  },
);

console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 ? 1 : 0;
