/** Columns, order and filter of a sweep’s table, without a page. */
import type { SweepRow } from '../../src/sweep/row';
import { integer, percent } from '../shared/format';

export interface Column {
  readonly id: keyof SweepRow;
  readonly name: string;
  readonly title: string;
  readonly number: boolean;
  text(row: SweepRow): string;
}

const whole = (value: number | null) => (value === null ? '' : integer(value));

export const columns: readonly Column[] = [
  { id: 'file', name: 'Checkpoint', title: '', number: false, text: ({ file }) => file },
  {
    id: 'title',
    name: 'Model',
    title: '',
    number: false,
    text: ({ title, status, message }) => (status === 'traced' ? title : message || status),
  },
  {
    id: 'height',
    name: 'Size',
    title: 'Height × width of the picture',
    number: true,
    text: ({ height, width, frames }) =>
      height === null ? '' : `${height}×${width}${frames !== null && frames > 1 ? ` × ${frames}` : ''}`,
  },
  {
    id: 'psnr',
    name: 'PSNR',
    title: 'Against the target beside the checkpoint, dB',
    number: true,
    text: ({ psnr }) => (psnr === null ? '' : psnr.toFixed(2)),
  },
  { id: 'neurons', name: 'Neurons', title: '', number: true, text: ({ neurons }) => whole(neurons) },
  {
    id: 'dead',
    name: 'Dead',
    title: 'Neurons whose map is zero everywhere',
    number: true,
    text: ({ dead }) => whole(dead),
  },
  {
    id: 'gini',
    name: 'Gini',
    title: 'How unevenly contributions are spread: 0 when all neurons carry the same, 1 when one carries all',
    number: true,
    text: ({ gini }) => (gini === null ? '' : gini.toFixed(3)),
  },
  {
    id: 'holdHalf',
    name: 'Hold half',
    title: 'Part of the neurons that hold half of their layer’s contributions',
    number: true,
    text: ({ holdHalf }) => (holdHalf === null ? '' : percent(holdHalf)),
  },
  {
    id: 'parameters',
    name: 'Parameters',
    title: '',
    number: true,
    text: ({ parameters }) => whole(parameters),
  },
  {
    id: 'modified',
    name: 'Saved',
    title: '',
    number: false,
    text: ({ modified }) => (modified ? new Date(modified).toLocaleString() : ''),
  },
];

const natural = new Intl.Collator('en', { numeric: true });

/** By a column; rows without a value come last whatever the direction. */
export function sorted(rows: readonly SweepRow[], id: keyof SweepRow, descending: boolean): SweepRow[] {
  const sign = descending ? -1 : 1;
  const empty = (value: SweepRow[keyof SweepRow]) => value === null || value === '';
  return [...rows].sort((a, b) => {
    const [x, y] = [a[id], b[id]];
    if (empty(x) || empty(y)) return Number(empty(x)) - Number(empty(y)) || natural.compare(a.file, b.file);
    const order =
      typeof x === 'number' && typeof y === 'number' ? x - y : natural.compare(String(x), String(y));
    return sign * order || natural.compare(a.file, b.file);
  });
}

/** Rows whose file or model contains every word. */
export function filtered(rows: readonly SweepRow[], words: string): SweepRow[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter(({ file, title, status }) => {
    const text = `${file} ${title} ${status}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}
