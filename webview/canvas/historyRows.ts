/** The curves of the history: what is drawn for each save, without a page. */
import type { KeptSave } from '../../src/live/historyStore';
import { decibel, integer, percent } from '../shared/format';

export interface Row {
  readonly id: 'psnr' | 'gini' | 'dead';
  readonly name: string;
  readonly title: string;
  value(save: KeptSave): number | null;
  text(value: number): string;
}

const all: readonly Row[] = [
  {
    id: 'psnr',
    name: 'PSNR',
    title: 'PSNR of the reconstruction against the target',
    value: ({ psnr }) => psnr,
    text: decibel,
  },
  {
    id: 'gini',
    name: 'Gini',
    title:
      'How unevenly contributions are spread over neurons: 0 when all carry the same, 1 when one carries all. Mean over layers, weighted by their neurons',
    value: ({ gini }) => gini,
    text: (value) => value.toFixed(3),
  },
  {
    id: 'dead',
    name: 'Dead',
    title: 'Neurons whose map is zero everywhere',
    value: ({ dead }) => dead,
    text: integer,
  },
];

/** Rows that have a value at all; the first one is shown when there is room for one. */
export const rowsOf = (saves: readonly KeptSave[]): Row[] =>
  all.filter((row) => saves.some((save) => row.value(save) !== null));

/** Largest change of a layer, and its name; null without a save to compare with. */
export function largestChange(save: KeptSave): { readonly name: string; readonly change: number } | null {
  let found: { name: string; change: number } | null = null;
  for (const { name, change } of save.layers) {
    if (change !== null && (!found || change > found.change)) found = { name, change };
  }
  return found;
}

/** A curve in a box of `values.length` × 1, one unit a save, and its points; gaps where there is no value. */
export function curve(values: readonly (number | null)[]): {
  readonly line: string;
  readonly points: string;
} {
  const known = values.filter((value) => value !== null);
  const low = Math.min(...known);
  const range = Math.max(...known) - low;
  const y = (value: number) => (range > 0 ? 0.9 - (0.8 * (value - low)) / range : 0.5).toFixed(4);
  let line = '';
  let points = '';
  let pen = 'M';
  for (const [i, value] of values.entries()) {
    if (value === null) {
      pen = 'M';
      continue;
    }
    line += `${pen}${i + 0.5} ${y(value)}`;
    points += `M${i + 0.5} ${y(value)}h0`;
    pen = 'L';
  }
  return { line, points };
}

/** Index of the save under a pointer. @param fraction of the chart's width */
export const saveAt = (fraction: number, count: number) =>
  Math.max(0, Math.min(count - 1, Math.floor(fraction * count)));

/** Where a key moves to; undefined for keys that do not move. */
export function moved(key: string, at: number, count: number): number | undefined {
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: at - 1,
    ArrowDown: at - 1,
    ArrowRight: at + 1,
    ArrowUp: at + 1,
    PageDown: at - 10,
    PageUp: at + 10,
    Home: 0,
    End: count - 1,
    Escape: count - 1,
  };
  return key in steps ? Math.max(0, Math.min(count - 1, steps[key])) : undefined;
}

/** The save in words, for screen readers. */
export function inWords(save: KeptSave, at: number, count: number, names: (layer: string) => string): string {
  const change = largestChange(save);
  return [
    `Save ${at + 1} of ${count}`,
    timeOf(save.savedAt),
    ...(save.psnr === null ? [] : [decibel(save.psnr)]),
    `Gini ${save.gini.toFixed(2)}`,
    `${integer(save.dead)} dead`,
    ...(change ? [`${names(change.name)} changed by ${percent(change.change)}`] : []),
    ...(save.kept ? [] : ['its picture is no longer kept']),
  ].join(', ');
}

/** Time of day, with the date unless it is today. */
export function timeOf(milliseconds: number, now = new Date()): string {
  const time = new Date(milliseconds);
  const clock = time.toLocaleTimeString();
  return time.toDateString() === now.toDateString() ? clock : `${time.toLocaleDateString()} ${clock}`;
}
