/**
 * A small part of what test/fixtures/variety/make.py writes: code bases' layouts with random widths, depths,
 * prefixes, wrappers, number types and containers. `npm run bench recognition` tries any number of them.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { examine } from './variety';

const folder = path.join(import.meta.dirname, '../../fixtures/variety/sample');

describe('checkpoints as people have them', () => {
  it.each(readdirSync(folder).sort())('%s', async (name) => {
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
