/** What a trace says about its network, in numbers, with what each number is compared with (tracing.md §2, §3). */
import type { Engine } from '../engine/types';
import type { CancelToken } from '../errors';
import type { NeuronRef } from '../worker/protocol';
import {
  affinities,
  affinity,
  preferences,
  sampledPartition,
  type Affinity,
  type SampledMagnitudes,
} from './affinity';
import type { Baseline } from './ablation';
import {
  deadSign,
  detailSign,
  duplicateSign,
  finiteSign,
  INNER_PIXELS,
  noiseSign,
  orientationSign,
  prunedSign,
  rankSign,
  saturationSign,
  settingSign,
  type Sign,
} from './clinical';
import type { CardOptions, FaithfulnessCard } from './faithfulness/card';
import { faithfulness } from './faithfulness/coordinates';
import { decoderFaithfulness } from './faithfulness/decoder';
import { psnr } from './picture';
import { sampleIndices, seededRandom } from './random';
import { partition, pause, type Partition } from './regions';
import { joinedRows, SampledNetwork } from './sampled';
import { errorByBand, type Band, type Compared } from './spectrum';
import { stableRank } from './stableRank';
import { lorenz } from './statistics';
import type { Subject } from './subject';
import { unitOf, type Unit } from './units';
import type { Distributedness, Method, NeuronsPerPixel } from './types';
import { decoderSigns } from './video/clinical';

/** What a picture is divided by. */
export type Feature = 'color' | 'edge' | 'space' | 'objects';

export interface NeuronPreference {
  readonly neuron: number;
  /** Mean |δ| over the regions. */
  readonly affinity: number;
}

export interface LayerFindings {
  /** Dotted name. */
  readonly name: string;
  /** Traced-layer index. */
  readonly index: number;
  readonly unit: Unit;
  readonly neurons: number;
  readonly mapDefinition: string;
  readonly distributedness: Distributedness;
  /** Part of the total that the weakest part of the neurons holds, at equal steps from 0 to 1. */
  readonly lorenz: readonly number[];
  readonly neuronsPerPixel: readonly NeuronsPerPixel[];
  /** Of the activations, of a convolution those of the channels that it reads; null while it is being computed. */
  readonly stableRank: number | null;
  /** Strongest first, at most 8. */
  readonly strongest: readonly { readonly neuron: number; readonly share: number }[];
  readonly affinity: Partial<Record<Feature, Affinity>>;
  /** Neurons with the strongest preferences, at most 8. */
  readonly preferring: Partial<Record<Feature, readonly NeuronPreference[]>>;
}

/** One region of a label picture. */
export interface ObjectFindings {
  readonly label: number;
  /** Part of the picture. */
  readonly area: number;
  /** Neurons with at least half of their total inside, and twice what an even spread would put there. */
  readonly drawnBy: readonly (NeuronRef & { readonly inside: number })[];
}

export interface Findings {
  readonly method: Method;
  readonly baseline: Baseline;
  /** What statistics, preferences, signs and card are over; one of a picture. */
  readonly frames: readonly number[];
  readonly picture: { readonly height: number; readonly width: number };
  /** The pixels of each frame that affinities stand on: every `step`-th row and column. */
  readonly grid: { readonly rows: number; readonly columns: number; readonly step: number };
  readonly seed: number;
  /** dB against the target. */
  readonly psnr: number | null;
  readonly layers: readonly LayerFindings[];
  readonly objects: readonly ObjectFindings[] | null;
  readonly signs: readonly Sign[];
  /** Error by spatial frequency, when there is a target. */
  readonly bands: readonly Band[] | null;
  /** null while it is being computed. */
  readonly card: FaithfulnessCard | null;
}

/** Partitions of the picture, for figures. */
export type Partitions = Partial<Record<Feature, Partition>>;

export interface FindingsOptions {
  readonly method: Method;
  readonly baseline: Baseline;
  readonly seed: number;
  /** Label pictures, labels row-major, those of one frame after those of another; 0 is the background. */
  readonly objects?: Partition & { readonly names: readonly number[] };
  /** `[H, W, C]` in [0, 1], one a frame; undefined where there is none. */
  readonly targets?: readonly (Float32Array | undefined)[];
  /** Hypotheses about the file, scored against the target. */
  readonly alternatives?: Parameters<typeof settingSign>[0];
  readonly cancel: CancelToken;
  readonly onProgress?: (detail: string, fraction: number) => void;
  /** What is known so far; called several times. */
  readonly onPart?: (findings: Findings, partitions: Partitions) => void;
}

/** Pixels of the grid that affinities stand on. */
const GRID = 1 << 15;
/** Neurons of a layer whose preferences are listed, and those tested against random partitions. */
const MOST_LISTED = 512;
const MOST_TESTED = 32;
const MOST_TESTED_IN_ALL = 96;
const PERMUTATIONS = 99;
const TOP = 8;
const LORENZ_STEPS = 64;

const features = ['color', 'edge', 'space', 'objects'] as const;
const featureWork: Readonly<Record<Feature, string>> = {
  color: 'colours',
  edge: 'edges',
  space: 'places',
  objects: 'objects',
};

/** Everything that can be said. @throws CancelledError */
export async function analyse(
  subject: Subject,
  engine: Engine,
  options: FindingsOptions,
): Promise<{ readonly findings: Findings; readonly partitions: Partitions }> {
  const { method, baseline, seed, cancel, onProgress, onPart, targets = [], objects } = options;
  const { frames, pictures } = subject;
  const [{ height, width, channels }] = pictures;
  const step = Math.max(1, Math.ceil(Math.sqrt((frames.length * height * width) / GRID)));
  const compared = pictures.flatMap(({ data }, k): Compared[] =>
    targets[k] ? [{ picture: data, target: targets[k] }] : [],
  );
  const layers: LayerFindings[] = subject.layers.map((layer, index) => {
    const { total, share } = layer.statistics;
    const curve = lorenz(total);
    return {
      name: layer.name,
      index,
      unit: unitOf(layer),
      neurons: total.length,
      mapDefinition: layer.mapDefinition,
      distributedness: layer.distributedness,
      lorenz: Array.from({ length: LORENZ_STEPS + 1 }, (_, k) => at(curve, k / LORENZ_STEPS)),
      neuronsPerPixel: layer.neuronsPerPixel,
      stableRank: null,
      strongest: strongest(total, TOP).map((neuron) => ({ neuron, share: share[neuron] })),
      affinity: {},
      preferring: {},
    };
  });
  let findings: Findings = {
    method,
    baseline,
    frames,
    picture: { height, width },
    grid: { rows: Math.ceil(height / step), columns: Math.ceil(width / step), step },
    seed,
    psnr: compared.length > 0 ? psnrOf(compared) : null,
    layers,
    objects: null,
    signs: [],
    bands: compared.length > 0 ? errorByBand(compared, height, width, channels) : null,
    card: null,
  };
  const partitions: Partitions = {};
  const tell = (change: Partial<Findings>) => {
    findings = { ...findings, ...change };
    onPart?.(findings, partitions);
  };
  tell({});

  const coordinates = subject.inrAt(0).domain.kind === 'pixels';
  const inner = await (coordinates ? innerSigns : decoderSigns)(subject, engine, options);
  tell({
    signs: [...wholeSigns(subject, findings, options, compared), ...inner.signs],
    layers: findings.layers.map((layer, k) => ({ ...layer, stableRank: inner.ranks[k] })),
  });

  // Regions, and the same pixels of each as are sampled.
  const sampled: Partitions = {};
  for (const feature of features) {
    if (feature === 'objects' && !objects) continue;
    onProgress?.(`Dividing the picture by ${featureWork[feature]}`, 0.1);
    const whole = feature === 'objects' ? objects! : await partition(pictures, feature, seed, cancel);
    partitions[feature] = whole;
    sampled[feature] = sampledPartition(whole, height, width, step);
  }

  const random = seededRandom(seed);
  const tested = Math.max(
    8,
    Math.min(MOST_TESTED, Math.floor(MOST_TESTED_IN_ALL / Math.max(1, layers.length))),
  );
  const drawn: {
    readonly layer: number;
    readonly neuron: number;
    readonly inside: number;
    readonly region: number;
  }[] = [];
  for (const index of layers.keys()) {
    onProgress?.(
      `Comparing ${layers[index].name} with random regions`,
      0.15 + (0.35 * index) / layers.length,
    );
    const neurons = sampleIndices(layers[index].neurons, MOST_LISTED, random);
    const maps = await gather(subject, index, neurons, step, cancel);
    const alive = [...neurons.keys()].filter(
      (i) => layers[index].distributedness.dead === 0 || isAlive(maps, i),
    );
    const chosen = sampleIndices(alive.length, tested, random).map((k) => alive[k]);
    const test: SampledMagnitudes = { ...maps, neurons: chosen.length, data: rows(maps, chosen) };
    const own: Partial<Record<Feature, Affinity>> = {};
    const preferring: Partial<Record<Feature, readonly NeuronPreference[]>> = {};
    for (const feature of features) {
      const parts = sampled[feature];
      if (!parts || parts.regions < 2) continue;
      own[feature] = await affinity(test, parts, PERMUTATIONS, random, cancel);
      const delta = preferences(maps.data, maps.neurons, parts);
      const each = affinities(delta, parts.regions).map((v) => (Number.isNaN(v) ? -1 : v));
      preferring[feature] = strongest(each, TOP)
        .filter((i) => each[i] > 0)
        .map((i) => ({ neuron: neurons[i], affinity: each[i] }));
      if (feature === 'objects') {
        for (let i = 0; i < maps.neurons; i++) {
          for (let g = 0; g < parts.regions; g++) {
            const inside = ((delta[i * parts.regions + g] + 1) * parts.areas[g]) / parts.labels.length;
            if (inside >= 0.5 && delta[i * parts.regions + g] >= 1) {
              drawn.push({ layer: index, neuron: neurons[i], inside, region: g });
            }
          }
        }
      }
    }
    tell({
      layers: findings.layers.map((layer, k) =>
        k === index ? { ...layer, affinity: own, preferring } : layer,
      ),
    });
  }
  if (objects) {
    // Regions of the sample are numbered anew: objects without any pixel in it are left out there.
    const seen = new Set<number>();
    for (let frame = 0; frame < objects.labels.length; frame += height * width) {
      for (let y = 0; y < height; y += step) {
        for (let x = 0; x < width; x += step) seen.add(objects.labels[frame + y * width + x]);
      }
    }
    const sampledAs = new Map([...seen].sort((p, q) => p - q).map((region, k) => [region, k]));
    tell({
      objects: objects.names.flatMap((label, g) =>
        label === 0
          ? []
          : [
              {
                label,
                area: objects.areas[g] / objects.labels.length,
                drawnBy: drawn
                  .filter(({ region }) => region === sampledAs.get(g))
                  .sort((p, q) => q.layer - p.layer || p.neuron - q.neuron)
                  .map(({ layer, neuron, inside }) => ({ layer, neuron, inside })),
              },
            ],
      ),
    });
  }

  const cardOptions: CardOptions = {
    method,
    baseline,
    seed,
    cancel,
    onProgress: (detail, fraction) => onProgress?.(detail, 0.5 + 0.5 * fraction),
    onLayer: (part) => tell({ card: { ...part, layers: [...part.layers] } }),
  };
  const card = await (coordinates ? faithfulness : decoderFaithfulness)(subject, engine, cardOptions);
  tell({ card });
  onProgress?.('Done', 1);
  return { findings, partitions };
}

/** A curve of equal steps at a place between its ends, 0–1. */
function at(curve: Float64Array, place: number): number {
  const x = place * (curve.length - 1);
  const low = Math.min(Math.floor(x), Math.max(0, curve.length - 2));
  return curve[low] + (x - low) * ((curve[low + 1] ?? curve[low]) - curve[low]);
}

const strongest = (values: ArrayLike<number>, count: number): number[] =>
  Array.from({ length: values.length }, (_, i) => i)
    .sort((a, b) => values[b] - values[a] || a - b)
    .slice(0, count);

function rows({ data, rows: height, columns }: SampledMagnitudes, chosen: Uint32Array): Float32Array {
  const pixels = height * columns;
  const out = new Float32Array(chosen.length * pixels);
  chosen.forEach((i, k) => out.set(data.subarray(i * pixels, (i + 1) * pixels), k * pixels));
  return out;
}

function isAlive({ data, rows: height, columns }: SampledMagnitudes, i: number): boolean {
  return data.subarray(i * height * columns, (i + 1) * height * columns).some((c) => c > 0);
}

/** |C| of some neurons at every `step`-th row and column of each frame. @throws CancelledError */
async function gather(
  subject: Subject,
  layer: number,
  neurons: Uint32Array,
  step: number,
  cancel: CancelToken,
): Promise<SampledMagnitudes> {
  const [{ height, width }] = subject.pictures;
  const frames = subject.frames.length;
  const [rows, columns] = [Math.ceil(height / step), Math.ceil(width / step)];
  const area = rows * columns;
  const data = new Float32Array(neurons.length * frames * area);
  const place = new Map(Array.from(neurons, (neuron, k) => [neuron, k * frames * area]));
  const from = (frame: number) => (neuron: number, start: number, values: Float32Array) => {
    const own = place.get(neuron);
    if (own === undefined) return;
    const offset = own + frame * area;
    const end = start + values.length;
    for (let row = Math.ceil(Math.floor(start / width) / step); row < rows; row++) {
      const first = row * step * width;
      if (first >= end) break;
      for (let column = 0; column < columns; column++) {
        const pixel = first + column * step;
        if (pixel >= start && pixel < end)
          data[offset + row * columns + column] = Math.abs(values[pixel - start]);
      }
    }
  };
  for (let frame = 0; frame < frames; frame++) await subject.eachRun(frame, layer, cancel, from(frame));
  return { rows: frames * rows, columns, frames, neurons: neurons.length, data };
}

/** Signs that need the inside of the network, and the stable rank of each layer. */
async function innerSigns(
  subject: Subject,
  engine: Engine,
  { seed, cancel }: FindingsOptions,
): Promise<{ readonly signs: Sign[]; readonly ranks: number[] }> {
  const [{ height, width }] = subject.pictures;
  const inr = subject.inrAt(0);
  const random = seededRandom(seed + 2);
  const networks: SampledNetwork[] = [];
  const signs: Sign[] = [];
  const ranks: number[] = [];
  try {
    for (const k of subject.frames.keys()) {
      const pixels = sampleIndices(height * width, Math.ceil(INNER_PIXELS / subject.frames.length), random);
      networks.push(await SampledNetwork.at(subject.inrAt(k), engine, pixels, cancel));
    }
    for (const { name, statistics, neurons } of subject.layers) {
      await pause(cancel);
      const at = inr.layers.findIndex((layer) => layer.name === name);
      const sampled = networks.map(({ layers }) => layers[at]);
      const [{ layer }] = sampled;
      const values = joinedRows(
        sampled.map((own) => own.values),
        neurons,
      );
      const imaginary = sampled[0].imaginary
        ? joinedRows(
            sampled.map((own) => own.imaginary!),
            neurons,
          )
        : undefined;
      const count = values.length / neurons;
      const silent = (i: number) => {
        for (let p = i * count; p < (i + 1) * count; p++) if (values[p] !== 0 || imaginary?.[p]) return false;
        return true;
      };
      // A unit that is off everywhere may still have the map σ(bias): it paints nothing all the same.
      const dead = [...statistics.dead.keys()].filter((i) => statistics.dead[i] === 1 || silent(i));
      signs.push(deadSign(name, dead, neurons));
      signs.push(duplicateSign(name, values, neurons, imaginary));
      const before = at > 0 ? inr.layers[at - 1].activation : undefined;
      const saturated = before && !imaginary && saturationSign(name, before, values, neurons);
      if (saturated) signs.push(saturated);
      signs.push(prunedSign(layer));
      const rank = stableRank(values, neurons, count, imaginary);
      ranks.push(rank);
      signs.push(rankSign(name, rank, neurons));
      const broken = finiteSign({
        [`weights of ${name}`]: layer.weight,
        [`activations into ${name}`]: values,
      });
      if (broken) signs.push(broken);
    }
  } finally {
    for (const network of networks) await network.release();
  }
  return { signs, ranks };
}

const flat = (pictures: readonly Float32Array[]) => joinedRows(pictures, 1);

const psnrOf = (compared: readonly Compared[]) =>
  psnr(flat(compared.map(({ picture }) => picture)), flat(compared.map(({ target }) => target)));

function wholeSigns(
  { pictures }: Subject,
  { bands, psnr: score }: Findings,
  options: FindingsOptions,
  compared: readonly Compared[],
): Sign[] {
  const [{ height, width, channels }] = pictures;
  const signs: Sign[] = [];
  if (bands) {
    const { picture, target } = compared[compared.length >> 1];
    signs.push(detailSign(bands), orientationSign(picture, target, height, width, channels));
    const setting = settingSign(options.alternatives ?? [], score ?? undefined);
    if (setting) signs.push(setting);
  }
  // Neighbours along rows only are looked at: frames may lie one below another.
  const all = flat(pictures.map(({ data }) => data));
  signs.push(noiseSign(all, pictures.length * height, width, channels));
  return signs;
}
