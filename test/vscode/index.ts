/** Runs the suites beside this file in VS Code's extension host; the results go to a file. */
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Mocha from 'mocha';

export interface TestResult {
  readonly title: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  readonly milliseconds: number;
  readonly error?: string;
}

export async function run(): Promise<void> {
  const mocha = new Mocha({ timeout: 60_000, grep: process.env.NEURAL_CANVAS_GREP });
  for (const file of readdirSync(__dirname)
    .filter((name) => name.endsWith('.test.js'))
    .sort()) {
    mocha.addFile(path.join(__dirname, file));
  }
  const results: TestResult[] = [];
  const record = (state: TestResult['state']) => (test: Mocha.Test, error?: Error) =>
    results.push({
      title: test.fullTitle(),
      state,
      milliseconds: test.duration ?? 0,
      ...(error && { error: error.stack ?? error.message }),
    });
  const failures = await new Promise<number>((resolve) => {
    mocha
      .run(resolve)
      .on('pass', record('passed'))
      .on('pending', record('skipped'))
      .on('fail', record('failed'));
  });
  const file = process.env.NEURAL_CANVAS_RESULTS;
  if (file) writeFileSync(file, JSON.stringify(results));
  if (failures > 0) throw new Error(`${failures} tests failed.`);
}
