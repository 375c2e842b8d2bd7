import type { Clustering, LayerTrace } from '../../src/tracing/types';

export const sheetSorts = ['share', 'index', 'cluster', 'region'] as const;
export type SheetSort = (typeof sheetSorts)[number];

/** Cluster of each neuron of a layer, −1 where it has none (dead neurons are not clustered). */
export function clustersOf(clustering: Clustering | null, layer: number, neurons: number): Int32Array {
  const clusters = new Int32Array(neurons).fill(-1);
  for (const point of clustering?.points ?? []) {
    if (!point.model && point.layer === layer && point.neuron < neurons)
      clusters[point.neuron] = point.cluster;
  }
  return clusters;
}

/** Neurons in the order shown. Equal ones stay in the order of their index. */
export function neuronOrder(
  { neurons, statistics }: LayerTrace,
  sort: SheetSort,
  hideDead: boolean,
  clusters: Int32Array,
  inRegion?: Float64Array,
): Uint32Array {
  const order = Uint32Array.from({ length: neurons }, (_, i) => i).filter(
    (i) => !hideDead || statistics.dead[i] === 0,
  );
  if (sort === 'index') return order;
  const byShare = (a: number, b: number) => statistics.share[b] - statistics.share[a] || a - b;
  // Without a region all of the picture is meant.
  if (sort === 'region' && inRegion) return order.sort((a, b) => inRegion[b] - inRegion[a] || a - b);
  // Neurons without a cluster come last.
  const rank = (i: number) => (clusters[i] < 0 ? Infinity : clusters[i]);
  return order.sort(
    sort !== 'cluster' ? byShare : (a, b) => (rank(a) === rank(b) ? byShare(a, b) : rank(a) - rank(b)),
  );
}
