/**
 * Small parts of what test/fixtures/variety/make.py and test/fixtures/unseen/make.py write: code bases' layouts with random widths, depths,
 * prefixes, wrappers, number types and containers. `npm run bench recognition` tries any number of them.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { examine } from './variety';

const folders = ['variety', 'unseen'].map((name) =>
  path.join(import.meta.dirname, '../../fixtures', name, 'sample'),
);
const cases = folders.flatMap((folder) => readdirSync(folder).map((name) => [name, folder] as const));

describe('checkpoints as people have them', () => {
  it.each(cases.sort())('%s', async (name, folder) => {
    const {
      blind: _,
      shown: __,
      milliseconds: ___,
      misses,
      ...outcome
    } = await examine(path.join(folder, name));
    // A question that does not arise is no miss.
    const wrong = Object.entries(outcome).filter(([, value]) => value === false);
    expect(wrong, misses.join('\n')).toEqual([]);
  });
});
