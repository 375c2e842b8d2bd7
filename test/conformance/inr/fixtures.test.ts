/** Every family against an independent PyTorch model (test/fixtures/inr/make.py). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { toPlain } from '../../../src/checkpoint/values';
import { inrIn, largestDifference, reconstruct } from './run';

const folder = path.join(import.meta.dirname, '../../fixtures/inr');

interface Fixture {
  readonly name: string;
  readonly file: string;
  readonly size: string;
  readonly channels: number;
  readonly frame?: number;
  /** `size: null` means that it must be found. */
  readonly given: Readonly<Record<string, string | number | null>>;
  readonly expect: Readonly<Record<string, string | number>>;
  readonly sidecars: Readonly<Record<string, unknown>>;
}

const fixtures = JSON.parse(readFileSync(path.join(folder, 'index.json'), 'utf8')) as Fixture[];

describe('PyTorch’s output of every family', () => {
  it.each(fixtures.map((fixture) => [fixture.name, fixture] as const))('%s', async (_, fixture) => {
    const corrections = Object.entries({ size: fixture.size, ...fixture.given })
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [name, String(value)]);
    const inr = inrIn(path.join(folder, fixture.file), {
      corrections: Object.fromEntries(corrections) as Record<string, string>,
      sidecars: Object.entries(fixture.sidecars).map(([name, values]) => ({
        path: name,
        values: toPlain(values),
      })),
    });
    const assumed = new Map(inr.assumptions.map(({ name, value }) => [name, value]));
    for (const [name, value] of Object.entries(fixture.expect)) {
      expect([name, name === 'family' ? inr.family : assumed.get(name)]).toEqual([name, value]);
    }
    expect(`${inr.signal.height}x${inr.signal.width}`).toBe(fixture.size);
    const bytes = readFileSync(path.join(folder, `${fixture.name}.f32`));
    const expected = new Float32Array(new Uint8Array(bytes).buffer);
    expect(largestDifference(await reconstruct(inr, fixture.frame), expected)).toBeLessThan(1e-4);
  });
});
