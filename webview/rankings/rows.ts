import type { Clustering, LayerTrace } from '../../src/tracing/types';
import type { NeuronRef } from '../../src/worker/protocol';
import type { RemovalsView } from '../../src/panels/protocol';
import type { RegionStatistics } from '../../src/tracing/regionMask';
import { clustersOf } from '../shared/order';

export const columns = [
  'neuron',
  'layer',
  'total',
  'share',
  'mean',
  'max',
  'pixels',
  'dead',
  'cluster',
  'removed',
  'regionShare',
  'affinity',
] as const;
export type Column = (typeof columns)[number];

type Values = Uint32Array | Float64Array | Uint8Array;

/** All neurons of all traced layers, layer after layer: columns of numbers, because there may be 100,000. */
export interface Rows extends Readonly<Record<Column, Values>> {
  readonly count: number;
  /** Row of each layer's neuron 0; −1 where the layer is not traced yet. */
  readonly first: readonly number[];
  /** From 0; NaN for neurons that are in no cluster. */
  readonly cluster: Float64Array;
  /** dB without the neuron; NaN where it was not measured. */
  readonly removed: Float64Array;
  /** Share of the marked region, and how much more than an even spread that is; NaN without a region. */
  readonly regionShare: Float64Array;
  readonly affinity: Float64Array;
}

/** What was measured besides the trace, by traced-layer index. */
export interface Measured {
  readonly removals?: readonly (Pick<RemovalsView, 'change'> | undefined)[];
  readonly region?: readonly (RegionStatistics | undefined)[];
}

export function makeRows(
  layers: readonly (LayerTrace | undefined)[],
  clustering: Clustering | null,
  { removals = [], region = [] }: Measured = {},
): Rows {
  const count = layers.reduce((sum, layer) => sum + (layer?.neurons ?? 0), 0);
  const first: number[] = [];
  const rows = {
    count,
    first,
    layer: new Uint32Array(count),
    neuron: new Uint32Array(count),
    total: new Float64Array(count),
    share: new Float64Array(count),
    mean: new Float64Array(count),
    max: new Float64Array(count),
    pixels: new Uint32Array(count),
    dead: new Uint8Array(count),
    cluster: new Float64Array(count),
    removed: new Float64Array(count).fill(NaN),
    regionShare: new Float64Array(count).fill(NaN),
    affinity: new Float64Array(count).fill(NaN),
  };
  let at = 0;
  for (let index = 0; index < layers.length; index++) {
    const layer = layers[index];
    first.push(layer ? at : -1);
    if (!layer) continue;
    const { neurons, statistics } = layer;
    rows.layer.fill(index, at, at + neurons);
    for (let neuron = 0; neuron < neurons; neuron++) rows.neuron[at + neuron] = neuron;
    for (const column of ['total', 'share', 'mean', 'max', 'pixels', 'dead'] as const) {
      rows[column].set(statistics[column], at);
    }
    rows.cluster.set(
      Float64Array.from(clustersOf(clustering, index, neurons), (cluster) => (cluster < 0 ? NaN : cluster)),
      at,
    );
    const [removed, inRegion] = [removals[index]?.change, region[index]];
    if (removed) rows.removed.set(removed, at);
    if (inRegion) {
      rows.regionShare.set(inRegion.share, at);
      rows.affinity.set(inRegion.affinity, at);
    }
    at += neurons;
  }
  return rows;
}

/** Row of a neuron; −1 when its layer is not traced, or has no such neuron. */
export function rowOf({ first, layer, neuron }: Rows, wanted: NeuronRef): number {
  const row = (first[wanted.layer] ?? -1) + wanted.neuron;
  return layer[row] === wanted.layer && neuron[row] === wanted.neuron ? row : -1;
}

export interface SortKey {
  readonly column: Column;
  readonly descending: boolean;
}

/**
 * Indices of the rows that pass, sorted by the first key, then the next; ties by layer and neuron.
 * Values that are not a number come last, in whichever direction.
 */
export function arrange(rows: Rows, passes: (row: number) => boolean, keys: readonly SortKey[]): Uint32Array {
  const shown = Uint32Array.from({ length: rows.count }, (_, row) => row).filter(passes);
  const sorts = keys.map(({ column, descending }) => ({ values: rows[column], sign: descending ? -1 : 1 }));
  if (sorts.length === 0) return shown;
  return shown.sort((a, b) => {
    for (const { values, sign } of sorts) {
      const [x, y] = [values[a], values[b]];
      if (x < y) return -sign;
      if (x > y) return sign;
      if (x !== y && Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    }
    return a - b;
  });
}

/** Columns that read best from the largest down when first sorted by. */
const largestFirst: readonly Column[] = [
  'total',
  'share',
  'mean',
  'max',
  'pixels',
  'dead',
  'regionShare',
  'affinity',
];

/** Columns shown: what was measured on request has one only when somebody asked. */
export const shownColumns = (region: boolean, removals: boolean): Column[] =>
  columns.filter((column) =>
    column === 'removed' ? removals : column === 'regionShare' || column === 'affinity' ? region : true,
  );

/** Sort keys after a click on a column's header; with Shift it joins the keys there are. */
export function clickedHeader(keys: readonly SortKey[], column: Column, add: boolean): SortKey[] {
  const existing = keys.find((key) => key.column === column);
  const turned = { column, descending: existing ? !existing.descending : largestFirst.includes(column) };
  if (!add) return [turned];
  return existing ? keys.map((key) => (key === existing ? turned : key)) : [...keys, turned];
}

/** Sort keys as kept by an earlier version of the view, without what is unknown now. */
export function knownKeys(keys: readonly unknown[]): SortKey[] {
  return keys.flatMap((key) => {
    const { column, descending } = (key ?? {}) as Partial<SortKey>;
    const known = columns.find((name) => name === column);
    return known ? [{ column: known, descending: descending === true }] : [];
  });
}
