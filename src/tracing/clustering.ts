/** Neurons grouped by where in the picture they contribute (tracing.md §4). */
import { UsageError, type CancelToken } from '../errors';
import { affinities as meanDeviations, deviations, renumbered, shuffle } from './affinity';
import { pearson } from './correlation';
import { layOutHere, type LayOut } from './layout';
import { PreviewAccumulator } from './previews';
import { sampleIndices, seededRandom } from './random';
import { kmeansCentres, partition, pause, type Partition } from './regions';
import type { Trace } from './trace';
import type {
  ClusterPoint,
  ClusterSummary,
  Clustering,
  ClusterOptions,
  ModelNeuron,
  RegionFeature,
} from './types';
import { randomShifts, shifted } from './video/motionChance';

/** Candidates for the suggested number of clusters. */
const SUGGESTED = { from: 2, to: 12 };
/** Neurons that the silhouette is computed on: it takes time in their square. */
const SILHOUETTE_SAMPLE = 1500;
const NEAREST = 12;
/** Neurons of a layer that are grouped; of more, such as kernels, those with the largest totals. */
const MOST_OF_A_LAYER = 600;

type Progress = (detail: string, fraction: number) => void;

/** Neurons that are not dead, with all that grouping them needs. */
export interface Embedding {
  readonly options: Omit<ClusterOptions, 'clusters'>;
  readonly neurons: readonly ModelNeuron[];
  readonly deadLeftOut: number;
  readonly weakLeftOut: number;
  /** UMAP coordinates of each. */
  readonly points: readonly (readonly [number, number])[];
  /** |map|, min–max normalised and reduced, 0–1: `[neurons, height, width]`. */
  readonly maps: { readonly height: number; readonly width: number; readonly data: Float32Array };
  /** Mean |δ| over regions of each kind, of each neuron, and over random regions of the same sizes. */
  readonly affinities: readonly {
    readonly feature: RegionFeature;
    readonly value: Float64Array;
    readonly random: Float64Array;
  }[];
  /** Of a video: each neuron's correlation with motion, and with motion moved elsewhere. */
  readonly motion?: { readonly value: Float64Array; readonly random: Float64Array };
}

/** What moves between the frame that is traced and the one beside it. */
export interface Moving {
  /** Of the other frame: the same layers. */
  readonly neighbour: Pick<Trace, 'map'>;
  /** Length of the optical flow, `[H, W]`. */
  readonly motion: Float32Array;
}

/** Hands over what the picture is divided into; partitions are kept for the next question. */
export interface Segments {
  segments(by: { readonly feature: RegionFeature }, cancel: CancelToken): Promise<{ labels: Uint16Array }>;
}

const FEATURES: readonly RegionFeature[] = ['color', 'edge', 'space'];
/** Pixels that affinities are computed on; of larger pictures every n-th. */
const AFFINITY_PIXELS = 1 << 16;
/** Moves of the flow that chance is taken from. */
const SHIFTS = 19;
/** Of silhouettes this close to the best, the most clusters are suggested: two nearly always part best, and say least. */
const SLACK = 0.05;

/**
 * Lays neurons out in the plane: neurons that contribute to like regions of the picture lie close.
 * A neuron's vector is its |map|, min–max normalised, averaged over each region. Neurons of further networks
 * are measured on the regions of the first one's picture; all of their layers take part.
 * @param layOut where the layout is made
 * @throws CancelledError @throws UsageError when no neuron contributes anything, or pictures differ in size
 */
export async function embedNeurons(
  traces: readonly Trace[],
  options: Omit<ClusterOptions, 'clusters'>,
  segments: Segments,
  cancel: CancelToken,
  onProgress: Progress,
  moving?: Moving,
  layOut: LayOut = layOutHere,
): Promise<Embedding> {
  const [trace, ...others] = traces;
  const { height, width } = trace.inr.signal;
  for (const { inr } of others) {
    if (inr.signal.height === height && inr.signal.width === width) continue;
    throw new UsageError(
      `Neurons of two networks are grouped on one picture, but these paint ${height}x${width} and ` +
        `${inr.signal.height}x${inr.signal.width}; choose a checkpoint of the same size.`,
    );
  }
  onProgress('Dividing the picture into regions', 0);
  const kinds = new Kinds(
    await Promise.all(FEATURES.map(async (feature) => (await segments.segments({ feature }, cancel)).labels)),
    options.seed,
  );
  const parts = await partition([trace.picture01()], options.features, options.seed, cancel);
  const neurons: ModelNeuron[] = [];
  const affinities = FEATURES.map((feature) => ({ feature, value: [] as number[], random: [] as number[] }));
  const vectors: number[][] = [];
  const maps: Float32Array[] = [];
  let deadLeftOut = 0;
  let weakLeftOut = 0;
  let size = { height: 1, width: 1 };
  const all = traces.flatMap((of, model) =>
    (model === 0 ? options.layers : [...of.layers.keys()]).map((layer) => ({ of, model, layer })),
  );
  for (const [k, { of, model, layer }] of all.entries()) {
    onProgress('Comparing neurons by region', 0.3 + (0.3 * k) / all.length);
    const chosen = strongest(of.layers[layer].statistics.total);
    weakLeftOut += of.layers[layer].neurons - chosen.length;
    const described = await describe(of, layer, chosen, parts, kinds, cancel);
    size = described.size;
    for (const [at, vector] of described.vectors.entries()) {
      if (!vector) {
        deadLeftOut++;
        continue;
      }
      neurons.push({ layer, neuron: chosen[at], ...(model > 0 && { model }) });
      for (const [f, { value, random }] of described.affinities.entries()) {
        affinities[f].value.push(value[at]);
        affinities[f].random.push(random[at]);
      }
      vectors.push(vector);
      maps.push(described.maps[at]);
    }
  }
  if (neurons.length === 0) {
    throw new UsageError('All neurons are dead, so there is nothing to group; choose other layers.');
  }
  const motion =
    moving && others.length === 0
      ? await followed(trace, neurons, moving, options.seed, cancel, (fraction) =>
          onProgress('Comparing with motion', 0.6 + 0.1 * fraction),
        )
      : undefined;
  const points = await layOut(vectors, options.seed, cancel, (fraction) =>
    onProgress('Laying neurons out by likeness', 0.7 + 0.2 * fraction),
  );
  const data = new Float32Array(neurons.length * size.height * size.width);
  for (const [k, map] of maps.entries()) data.set(map, k * map.length);
  return {
    options,
    neurons,
    deadLeftOut,
    weakLeftOut,
    points,
    maps: { ...size, data },
    affinities: affinities.map(({ feature, value, random }) => ({
      feature,
      value: Float64Array.from(value),
      random: Float64Array.from(random),
    })),
    ...(motion && { motion }),
  };
}

/** Pearson's correlation of each neuron's change with motion, and its mean with motion moved around the frame. */
async function followed(
  trace: Trace,
  neurons: readonly ModelNeuron[],
  { neighbour, motion }: Moving,
  seed: number,
  cancel: CancelToken,
  progress: (fraction: number) => void,
): Promise<NonNullable<Embedding['motion']>> {
  const { height, width } = trace.inr.signal;
  const shifts = randomShifts(SHIFTS, height, width, seededRandom(seed));
  const elsewhere = shifts.map((shift) => shifted(motion, height, width, shift));
  const value = new Float64Array(neurons.length);
  const random = new Float64Array(neurons.length);
  for (const [k, neuron] of neurons.entries()) {
    if (k % 8 === 0) {
      await pause(cancel);
      progress(k / neurons.length);
    }
    // A copy: the next map may take the place of this one.
    const now = (await trace.map(neuron)).data.slice();
    const { data: other } = await neighbour.map(neuron);
    const change = now.map((v, p) => Math.abs(Math.abs(v) - Math.abs(other[p])));
    // A map that does not change follows nothing.
    const follows = (flow: Float32Array) => pearson(change, flow) || 0;
    value[k] = follows(motion);
    random[k] = elsewhere.reduce((sum, flow) => sum + follows(flow), 0) / elsewhere.length;
  }
  return { value, random };
}

/** Regions of every kind, and random ones of the same sizes, at the pixels that affinities are computed on. */
class Kinds {
  readonly stride: number;
  /** Per kind: regions that hold pixels as they are, and shuffled. */
  readonly partitions: readonly (Partition & { readonly shuffled: Uint16Array })[];
  readonly pixels: number;

  constructor(kinds: readonly Uint16Array[], seed: number) {
    const stride = (this.stride = Math.ceil(kinds[0].length / AFFINITY_PIXELS));
    this.pixels = Math.ceil(kinds[0].length / stride);
    const random = seededRandom(seed);
    this.partitions = kinds.map((all) => {
      const labels = Uint16Array.from({ length: this.pixels }, (_, p) => all[p * stride]);
      const areas = new Uint32Array(labels.reduce((most, label) => Math.max(most, label), 0) + 1);
      for (const label of labels) areas[label]++;
      const held = renumbered(labels, areas);
      const shuffled = held.labels.slice();
      shuffle(shuffled, random);
      return { ...held, shuffled };
    });
  }
}

/** Indices of the neurons with the largest totals, ascending; all when they are few. */
function strongest(totals: Float64Array): Uint32Array {
  const all = Uint32Array.from(totals.keys());
  if (all.length <= MOST_OF_A_LAYER) return all;
  return all
    .sort((a, b) => totals[b] - totals[a])
    .slice(0, MOST_OF_A_LAYER)
    .sort();
}

/** Vectors and reduced maps of a layer's neurons; undefined for dead ones. */
async function describe(
  trace: Trace,
  layer: number,
  chosen: Uint32Array,
  { regions, labels, areas }: Partition,
  kinds: Kinds,
  cancel: CancelToken,
) {
  const { statistics, neurons: all } = trace.layers[layer];
  const neurons = chosen.length;
  const { height, width } = trace.inr.signal;
  const sums = new Float64Array(neurons * regions);
  const smallest = new Float64Array(neurons).fill(Infinity);
  const previews = new PreviewAccumulator(neurons, height, width);
  const { stride } = kinds;
  const byKind = kinds.partitions.map((kind) => ({
    ...kind,
    value: new Float64Array(neurons * kind.regions),
    random: new Float64Array(neurons * kind.regions),
  }));
  const visit = (neuron: number, start: number, values: Float32Array) => {
    const offset = neuron * regions;
    let least = smallest[neuron];
    for (let k = 0; k < values.length; k++) {
      const magnitude = Math.abs(values[k]);
      values[k] = magnitude;
      sums[offset + labels[start + k]] += magnitude;
      least = Math.min(least, magnitude);
    }
    smallest[neuron] = least;
    const first = Math.ceil(start / stride);
    for (const { regions: count, labels: own, shuffled, value, random } of byKind) {
      const at = neuron * count;
      for (let p = first, k = first * stride - start; k < values.length; p++, k += stride) {
        value[at + own[p]] += values[k];
        random[at + shuffled[p]] += values[k];
      }
    }
    previews.add(neuron, values, 0, start, values.length);
  };
  if (neurons === all) await trace.eachRun(layer, cancel, visit);
  else {
    for (const [k, neuron] of chosen.entries()) {
      if (k % 16 === 0) await pause(cancel);
      // A copy: maps that are handed out may be kept, and this one is changed.
      visit(k, 0, (await trace.map({ layer, neuron })).data.slice());
    }
  }

  const size = previews.size;
  const means = previews.means();
  const area = size.height * size.width;
  const vectors: (number[] | undefined)[] = [];
  const maps: Float32Array[] = [];
  for (let i = 0; i < neurons; i++) {
    // A constant map has no range; its normalised values are all zero.
    const range = statistics.max[chosen[i]] - smallest[i];
    const factor = range > 0 ? 1 / range : 0;
    const normalised = (mean: number) => (mean - smallest[i]) * factor;
    maps.push(means.slice(i * area, (i + 1) * area).map(normalised));
    vectors.push(
      statistics.dead[chosen[i]]
        ? undefined
        : Array.from(areas, (pixels, g) => normalised(sums[i * regions + g] / pixels)),
    );
  }
  // Of neurons that give these pixels nothing, nothing can be told.
  const byNeuron = (sums: Float64Array, { areas: own, regions: count }: Partition) =>
    meanDeviations(deviations(sums, own, kinds.pixels), count).map((value) => value || 0);
  const affinities = byKind.map((kind) => ({
    value: byNeuron(kind.value, kind),
    random: byNeuron(kind.random, kind),
  }));
  return { size, vectors, maps, affinities };
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
  const tried: { labels: Uint16Array; centres: number[][]; silhouette: number }[] = [];
  for (const k of candidates) {
    const vectors = points.map((point) => [...point]);
    const centres = await kmeansCentres(vectors, k, options.seed, cancel);
    const labels = nearestCentres(points, centres);
    const score = silhouette(points, labels, options.seed);
    tried.push({ labels, centres, silhouette: score });
  }
  const highest = Math.max(...tried.map(({ silhouette: score }) => score));
  const best = tried.findLast(({ silhouette: score }) => score >= highest - SLACK)!;
  if (clusters === undefined) {
    const scores = tried.map(({ centres, silhouette: score }) => ({
      clusters: centres.length,
      silhouette: score,
    }));
    suggestions.set(
      embedding,
      scores.sort((a, b) => b.silhouette - a.silhouette),
    );
  }
  const { labels, centres, silhouette: score } = bySize(best);
  return {
    features: options.features,
    seed: options.seed,
    clusters: centres.length,
    suggested: clusters === undefined,
    silhouette: score,
    suggestions: suggestions.get(embedding) ?? [],
    deadLeftOut: embedding.deadLeftOut,
    weakLeftOut: embedding.weakLeftOut,
    points: points.map(([x, y], i): ClusterPoint => ({ ...neurons[i], x, y, cluster: labels[i] })),
    summaries: centres.map((centre, cluster) => summary(embedding, labels, centre, cluster)),
  };
}

/** What was suggested for a layout, for when a number is chosen afterwards. */
const suggestions = new WeakMap<Embedding, Clustering['suggestions']>();

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
  { neurons, points, maps, affinities, motion }: Embedding,
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
  const mix = new Map<string, { layer: number; count: number; model?: number }>();
  for (const i of members) {
    const { layer, model } = neurons[i];
    const key = `${model ?? 0} ${layer}`;
    const known = mix.get(key);
    if (known) known.count++;
    else mix.set(key, { layer, count: 1, ...(model !== undefined && { model }) });
  }
  const meanOf = (values: Float64Array) => members.reduce((sum, i) => sum + values[i], 0) / members.length;
  return {
    size: members.length,
    meanMap: {
      width: maps.width,
      height: maps.height,
      data: Uint8Array.from(mean, (v) => Math.round(255 * Math.min(1, Math.max(0, v)))),
    },
    nearest: nearest.map((i) => neurons[i]),
    layerMix: [...mix.values()].sort((a, b) => (a.model ?? 0) - (b.model ?? 0) || a.layer - b.layer),
    affinities: affinities.map(({ feature, value, random }) => ({
      feature,
      value: meanOf(value),
      random: meanOf(random),
    })),
    ...(motion && { motion: { correlation: meanOf(motion.value), elsewhere: meanOf(motion.random) } }),
  };
}
