import { describe, expect, it } from 'vitest';
import { failure, type SweepRow } from '../../../src/sweep/row';
import { columns, filtered, sorted } from '../../../webview/sweep/table';

const row = (file: string, change: Partial<SweepRow> = {}): SweepRow => ({
  ...failure('cannot be read'),
  file,
  sha256: '',
  bytes: 1,
  modified: '',
  ...change,
});
const rows = [
  row('run10/a.pth', { status: 'traced', title: 'SIREN', psnr: 31.25, height: 192, width: 256, frames: 1 }),
  row('run2/a.pth', { status: 'traced', title: 'Fourier-feature network', psnr: 40, dead: 1200 }),
  row('run1/broken.pth'),
];
const names = (found: readonly SweepRow[]) => found.map(({ file }) => file.split('/')[0]);

describe('the table of a sweep', () => {
  it('sorts numbers by size, names as people count, and nothing last', () => {
    expect(names(sorted(rows, 'psnr', true))).toEqual(['run2', 'run10', 'run1']);
    expect(names(sorted(rows, 'psnr', false))).toEqual(['run10', 'run2', 'run1']);
    expect(names(sorted(rows, 'file', false))).toEqual(['run1', 'run2', 'run10']);
  });

  it('filters by all words, in file and model', () => {
    expect(names(filtered(rows, 'siren RUN1'))).toEqual(['run10']);
    expect(names(filtered(rows, ' '))).toEqual(['run10', 'run2', 'run1']);
    expect(filtered(rows, 'siren fourier')).toEqual([]);
  });

  it('writes values as people read them, and says why there are none', () => {
    const text = (of: SweepRow) => Object.fromEntries(columns.map((column) => [column.id, column.text(of)]));
    expect(text(rows[0])).toMatchObject({ title: 'SIREN', height: '192×256', psnr: '31.25', dead: '' });
    expect(text(rows[1]).dead).toBe('1,200');
    expect(text(rows[2])).toMatchObject({ title: 'cannot be read', height: '', psnr: '' });
  });
});
