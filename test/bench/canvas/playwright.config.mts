import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: import.meta.dirname,
  testMatch: '*.bench.mts',
  outputDir: '../../../test-results/bench-canvas',
  reporter: 'line',
  workers: 1,
  timeout: 300_000,
  use: { actionTimeout: 60_000 },
});
