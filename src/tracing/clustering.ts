/** Neurons grouped by where in the picture they contribute (tracing.md §4). */
import { UMAP } from 'umap-js';
import { UsageError, type CancelToken } from '../errors';
import { PreviewAccumulator } from './previews';
import { sampleIndices, seededRandom } from './random';
import { kmeansCentres, partition, pause, type Partition } from './regions';
import type { Trace } from './trace';
import type { ClusterPoint, ClusterSummary, Clustering, ClusterOptions } from './types';

/** Candidates for the suggested number of clusters. */
const SUGGESTED = { from: 2, to: 12 };
const NEIGHBOURS = 15;
const MIN_DIST = 0.1;
/** Neurons that the silhouette is computed on: it takes time in their square. */
const SILHOUETTE_SAMPLE = 1500;
const NEAREST = 12;

type Progress = (detail: string, fraction: number) => void;

/** Neurons that are not dead, with all that grouping them needs. */
export interface Embedding {
  readonly options: Omit<ClusterOptions, 'clusters'>;
  readonly neurons: readonly { readonly layer: number; readonly neuron: number }[];
  readonly deadLeftOut: number;
  /** UMAP coordinates of each. */
  readonly points: readonly (readonly [number, number])[];
  /** |map|, min–max normalised and reduced, 0–1: `[neurons, height, width]`. */
  readonly maps: { readonly height: number; readonly width: number; readonly data: Float32Array };
}

/**
 * Lays neurons out in the plane: neurons that contribute to like regions of the picture lie close.
 * A neuron's vector is its |map|, min–max normalised, averaged over each region.
 * @throws CancelledError @throws UsageError when no neuron contributes anything
 */
export async function embedNeurons(
  trace: Trace,
  options: Omit<ClusterOptions, 'clusters'>,
  cancel: CancelToken,
  onProgress: Progress,
): Promise<Embedding> {
  onProgress('Dividing the picture into regions', 0);
  const parts = await partition(trace.picture01(), options.features, options.seed, cancel);
  const neurons: { layer: number; neuron: number }[] = [];
  const vectors: number[][] = [];
  const maps: Float32Array[] = [];
  let deadLeftOut = 0;
  let size = { height: 1, width: 1 };
  for (const [k, layer] of options.layers.entries()) {
    onProgress('Comparing neurons by region', 0.3 + (0.3 * k) / options.layers.length);
    const described = await describe(trace, layer, parts, cancel);
    size = described.size;
    for (const [neuron, vector] of described.vectors.entries()) {
      if (!vector) {
        deadLeftOut++;
        continue;
      }
      neurons.push({ layer, neuron });
      vectors.push(vector);
      maps.push(described.maps[neuron]);
    }
  }
  if (neurons.length === 0) {
    throw new UsageError('All neurons are dead, so there is nothing to group; choose other layers.');
  }
  const points = await umap(vectors, options.seed, cancel, (fraction) =>
    onProgress('Laying neurons out by likeness', 0.6 + 0.3 * fraction),
  );
  const data = new Float32Array(neurons.length * size.height * size.width);
  for (const [k, map] of maps.entries()) data.set(map, k * map.length);
  return { options, neurons, deadLeftOut, points, maps: { ...size, data } };
}

/** Vectors and reduced maps of a layer's neurons; undefined for dead ones. */
async function describe(
  trace: Trace,
  layer: number,
  { regions, labels, areas }: Partition,
  cancel: CancelToken,
) {
  const { statistics, neurons } = trace.layers[layer];
  const { height, width } = trace.inr.signal;
  const sums = new Float64Array(neurons * regions);
  const smallest = new Float64Array(neurons).fill(Infinity);
  const previews = new PreviewAccumulator(neurons, height, width);
  await trace.eachRun(layer, cancel, (neuron, start, values) => {
    const offset = neuron * regions;
    let least = smallest[neuron];
    for (let k = 0; k < values.length; k++) {
      const magnitude = Math.abs(values[k]);
      values[k] = magnitude;
      sums[offset + labels[start + k]] += magnitude;
      least = Math.min(least, magnitude);
    }
    smallest[neuron] = least;
    previews.add(neuron, values, 0, start, values.length);
  });

  const size = previews.size;
  const means = previews.means();
  const area = size.height * size.width;
  const vectors: (number[] | undefined)[] = [];
  const maps: Float32Array[] = [];
  for (let i = 0; i < neurons; i++) {
    // A constant map has no range; its normalised values are all zero.
    const range = statistics.max[i] - smallest[i];
    const factor = range > 0 ? 1 / range : 0;
    const normalised = (mean: number) => (mean - smallest[i]) * factor;
    maps.push(means.slice(i * area, (i + 1) * area).map(normalised));
    vectors.push(
      statistics.dead[i]
        ? undefined
        : Array.from(areas, (pixels, g) => normalised(sums[i * regions + g] / pixels)),
    );
  }
  return { size, vectors, maps };
}

/** UMAP to two dimensions. @param vectors at least one @throws CancelledError */
async function umap(
  vectors: number[][],
  seed: number,
  cancel: CancelToken,
  progress: (fraction: number) => void,
): Promise<[number, number][]> {
  // A handful of points has no neighbourhoods to keep: a row shows all there is.
  if (vectors.length < 4) return vectors.map((_, i) => [i, 0]);
  const reduction = new UMAP({
    nComponents: 2,
    nNeighbors: Math.min(NEIGHBOURS, vectors.length - 1),
    minDist: MIN_DIST,
    random: seededRandom(seed),
  });
  await pause(cancel);
  const epochs = reduction.initializeFit(vectors);
  for (let epoch = 0; epoch < epochs; epoch++) {
    if (epoch % 8 === 0) {
      await pause(cancel);
      progress(epoch / epochs);
    }
    reduction.step();
  }
  return reduction.getEmbedding().map(([x, y]) => [x, y]);
}

/**
 * Groups laid-out neurons by k-means on their coordinates; the largest cluster comes first.
 * @param clusters their number; chosen by the silhouette when undefined
 * @throws CancelledError @throws UsageError when there are fewer neurons than clusters
 */
export async function clusterEmbedding(
  embedding: Embedding,
  clusters: number | undefined,
  cancel: CancelToken,
): Promise<Clustering> {
  const { neurons, points, options } = embedding;
  if (clusters !== undefined && clusters > neurons.length) {
    throw new UsageError(
      `${clusters} clusters need as many neurons, but only ${neurons.length} contribute; choose fewer clusters.`,
    );
  }
  const candidates =
    clusters !== undefined
      ? [clusters]
      : Array.from({ length: SUGGESTED.to - SUGGESTED.from + 1 }, (_, i) => SUGGESTED.from + i).filter(
          (k) => k < neurons.length,
        );
  // One or two neurons: nothing to choose.
  if (candidates.length === 0) candidates.push(1);
  let best: { labels: Uint16Array; centres: number[][]; silhouette: number } | undefined;
  for (const k of candidates) {
    const vectors = points.map((point) => [...point]);
    const centres = await kmeansCentres(vectors, k, options.seed, cancel);
    const labels = nearestCentres(points, centres);
    const score = silhouette(points, labels, options.seed);
    if (!best || score > best.silhouette) best = { labels, centres, silhouette: score };
  }
  const { labels, centres, silhouette: score } = bySize(best!);
  return {
    features: options.features,
    seed: options.seed,
    clusters: centres.length,
    suggested: clusters === undefined,
    silhouette: score,
    deadLeftOut: embedding.deadLeftOut,
    points: points.map(([x, y], i): ClusterPoint => ({ ...neurons[i], x, y, cluster: labels[i] })),
    summaries: centres.map((centre, cluster) => summary(embedding, labels, centre, cluster)),
  };
}

const squaredDistance = (a: readonly number[], b: readonly number[]) =>
  (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2;

function nearestCentres(points: Embedding['points'], centres: readonly number[][]): Uint16Array {
  return Uint16Array.from(points, (point) => {
    const distances = centres.map((centre) => squaredDistance(point, centre));
    return distances.indexOf(Math.min(...distances));
  });
}

/** Renumbers clusters from the largest to the smallest and drops empty ones. */
function bySize<T extends { labels: Uint16Array; centres: number[][] }>(found: T): T {
  const sizes = new Uint32Array(found.centres.length);
  for (const label of found.labels) sizes[label]++;
  const order = Array.from(sizes.keys())
    .filter((label) => sizes[label] > 0)
    .sort((a, b) => sizes[b] - sizes[a] || a - b);
  return {
    ...found,
    labels: found.labels.map((label) => order.indexOf(label)),
    centres: order.map((label) => found.centres[label]),
  };
}

/**
 * Mean silhouette coefficient (Rousseeuw 1987), −1 to 1, on a seeded sample when there are many points;
 * 0 when there is one cluster only. A point alone in its cluster counts 0, as in scikit-learn.
 */
export function silhouette(points: Embedding['points'], labels: Uint16Array, seed: number): number {
  const sample = sampleIndices(points.length, SILHOUETTE_SAMPLE, seededRandom(seed));
  const count = labels.reduce((largest, label) => Math.max(largest, label), 0) + 1;
  const sizes = new Uint32Array(count);
  for (const i of sample) sizes[labels[i]]++;
  if (sizes.filter((size) => size > 0).length < 2) return 0;
  let total = 0;
  const distances = new Float64Array(count);
  for (const i of sample) {
    const own = labels[i];
    if (sizes[own] === 1) continue;
    distances.fill(0);
    for (const j of sample) distances[labels[j]] += Math.sqrt(squaredDistance(points[i], points[j]));
    const inside = distances[own] / (sizes[own] - 1);
    let outside = Infinity;
    for (let c = 0; c < count; c++) {
      if (c !== own && sizes[c] > 0) outside = Math.min(outside, distances[c] / sizes[c]);
    }
    const larger = Math.max(inside, outside);
    if (larger > 0) total += (outside - inside) / larger;
  }
  return total / sample.length;
}

function summary(
  { neurons, points, maps, options }: Embedding,
  labels: Uint16Array,
  centre: readonly number[],
  cluster: number,
): ClusterSummary {
  const members = Array.from(labels.keys()).filter((i) => labels[i] === cluster);
  const area = maps.height * maps.width;
  const mean = new Float32Array(area);
  for (const i of members) {
    for (let k = 0; k < area; k++) mean[k] += maps.data[i * area + k] / members.length;
  }
  const nearest = members
    .toSorted((a, b) => squaredDistance(points[a], centre) - squaredDistance(points[b], centre) || a - b)
    .slice(0, NEAREST);
  const inLayer = (layer: number) => members.filter((i) => neurons[i].layer === layer).length;
  return {
    size: members.length,
    meanMap: {
      width: maps.width,
      height: maps.height,
      data: Uint8Array.from(mean, (v) => Math.round(255 * Math.min(1, Math.max(0, v)))),
    },
    nearest: nearest.map((i) => neurons[i]),
    layerMix: options.layers
      .map((layer) => ({ layer, count: inLayer(layer) }))
      .filter(({ count }) => count > 0),
  };
}
