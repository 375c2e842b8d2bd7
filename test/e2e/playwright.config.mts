import path from 'node:path';
import { defineConfig } from '@playwright/test';

const results = path.resolve(import.meta.dirname, '../../test-results');

export default defineConfig({
  testDir: import.meta.dirname,
  outputDir: path.join(results, 'e2e'),
  reporter: [['list'], ['json', { outputFile: path.join(results, 'e2e.json') }]],
  // One VS Code at a time: two of them on two cores only wait for each other.
  workers: 1,
  timeout: 180_000,
  // A browser under an editor on a busy machine loses a click now and then; what needed a second
  // attempt is reported as flaky.
  retries: 1,
  use: { actionTimeout: 20_000 },
  expect: { timeout: 30_000 },
});
