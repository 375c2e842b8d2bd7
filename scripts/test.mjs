/**
 * Everything that must hold before a change lands; the closing line counts tests of all layers.
 * A check without tests of its own (format, lint, types, build) counts as one test.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

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

function check(name, command, args) {
  total[run(name, command, args, 5) ? 'passed' : 'failed']++;
}

rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });

check('format', bin('prettier'), ['--check', '--log-level', 'warn', '.']);
check('lint', bin('eslint'), ['.', '--max-warnings', '0']);
check('types', bin('tsc'), ['--noEmit']);
check('build', process.execPath, ['scripts/build.mjs']);

const report = path.join(results, 'unit.json');
const passed = run(
  'unit and conformance',
  bin('vitest'),
  ['run', '--reporter=dot', '--reporter=json', `--outputFile.json=${report}`],
  10,
);
try {
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(report, 'utf8'));
  total.passed += numPassedTests;
  total.failed += numFailedTests;
  total.skipped += numPendingTests;
  // A file that fails to load runs no test, and must not pass for that.
  if (!passed && numFailedTests === 0) total.failed++;
} catch {
  total.failed++;
}

console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 ? 1 : 0;
