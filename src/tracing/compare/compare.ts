/** Two checkpoints side by side: what they paint, which neurons are the same, and what changed. */
import type { Engine } from '../../engine/types';
import { pause } from '../regions';
import type { CancelToken } from '../../errors';
import { coordinatesAt } from '../../inr/coordinates';
import type { Graph } from '../../graph/types';
import type { Inr } from '../../inr/types';
import type { FloatMap } from '../../worker/protocol';
import type { Unit } from '../faithfulness/card';
import { psnr } from '../picture';
import { sampleIndices, seededRandom } from '../random';
import type { Trace } from '../trace';
import { channelMaps, Channels } from '../video/channels';
import { compareFrames, swapDecoderLayers } from './clip';
import { constants, correlations, match, MOST_ASSIGNED, sampleMaps, type SampledMaps } from './matching';
import { sameBuild, signIsFree, unitsOf, withLayerOf } from './swap';

/** Pixels that maps are compared on. */
const SAMPLE = 4096;

export interface Compared {
  readonly trace: Trace;
  readonly range: readonly [number, number];
  /** As shown, `[H, W, C]` in [0, 1]. */
  readonly target?: Float32Array;
  /** The video that the trace is a frame of. */
  readonly video?: ComparedClip | undefined;
}

export interface ComparedClip {
  readonly frames: number;
  /** `[H, W, C]`, unclamped. */
  values(frame: number): Promise<Float32Array>;
  targetOf(frame: number): { readonly values: Float32Array } | undefined;
}

/** A neuron (of a decoder: a channel) of the first network and the one of the second that it was matched with. */
export interface NeuronPair {
  readonly a: number;
  readonly b: number;
  /** Pearson correlation of the two maps; null where both are constant, as those of dead neurons are. */
  readonly correlation: number | null;
  /** Σ|C_a − C_b| / Σ(|C_a| + |C_b|): 0 for equal maps, 1 for maps of different places or opposite signs. */
  readonly difference: number;
  /** Σ|C_a − C_b| as a part of the layer's Σ|C_a|: how much of the layer moved with this neuron. */
  readonly moved: number;
  readonly shareA: number;
  readonly shareB: number;
}

type Both<T> = readonly [a: T, b: T];

export interface LayerComparison {
  /** Traced-layer index and name, in a and in b. */
  readonly layer: Both<number>;
  readonly name: Both<string>;
  readonly neurons: Both<number>;
  /** What was matched, and how many there are: a decoder's kernels are matched by the channel. */
  readonly unit: Unit;
  readonly units: Both<number>;
  readonly dead: Both<number>;
  readonly gini: Both<number>;
  readonly effectiveNeurons: Both<number>;
  readonly neuronsFor50: Both<number>;
  /** Σ|C| of the layer over the picture, by pixel. */
  readonly meanTotal: Both<number>;
  readonly matched: 'identity' | 'assignment';
  /** Why so, a sentence. */
  readonly reason: string;
  /** Of pairs that are not both constant; without signs on hidden layers whose units may be turned. */
  readonly meanCorrelation: number;
  /** The neurons that moved most of the layer come first. */
  readonly pairs: readonly NeuronPair[];
  /** Neurons without a partner. */
  readonly unmatched: Both<readonly number[]>;
  /** What a loses with this layer's weights of b in place of its own; undefined where they do not fit. */
  readonly swap?: {
    /** PSNR against a's own picture, dB; Infinity where nothing changes. */
    readonly likeness: number;
    /** Change of the PSNR against the target, dB, when there is one. */
    readonly change?: number;
  };
}

export interface Comparison {
  /** Null when the pictures have different sizes. */
  readonly output: {
    /** Of the two pictures as shown, dB; Infinity when they are equal. */
    readonly psnr: number;
    readonly largest: number;
    readonly mean: number;
    /** Mean over channels of |a − b| as shown. */
    readonly difference: FloatMap;
  } | null;
  /** Against the target, where there is one of their size. */
  readonly psnr: Both<number | null>;
  /** Of two videos of the same size: some frames, at the same times in both; dB, and of all of them together. */
  readonly clip?: {
    readonly frames: Both<readonly number[]>;
    readonly psnr: number;
    readonly byFrame: readonly number[];
    /** Against the frames given. */
    readonly toTarget: Both<readonly (number | null)[]>;
  };
  readonly layers: readonly LayerComparison[];
  /** Pixels that neurons and swapped layers were compared on, and those of a's picture. */
  readonly sample: number;
  readonly pixels: number;
  /** What could not be compared, one sentence each. */
  readonly notCompared: readonly string[];
}

type Progress = (detail: string, fraction: number) => void;

/** @throws CancelledError */
export async function compare(
  a: Compared,
  b: Compared,
  engine: Engine,
  cancel: CancelToken,
  onProgress: Progress,
): Promise<Comparison> {
  const notCompared: string[] = [];
  const [first, second] = [a.trace.inr.signal, b.trace.inr.signal];
  const samePicture =
    first.height === second.height && first.width === second.width && first.channels === second.channels;
  if (!samePicture) {
    const size = ({ height, width, channels }: typeof first) => `${height}x${width}, ${channels} channels`;
    notCompared.push(
      `The pictures differ in size (${size(first)}; ${size(second)}), so their pixels are not subtracted, and maps are compared at the same relative places.`,
    );
  }
  const pixels = first.height * first.width;
  const sample = sampleIndices(pixels, SAMPLE, seededRandom(0));
  const other = samePicture ? sample : sample.map((pixel) => samePlace(pixel, first, second));

  const pairs = pairedLayers(a.trace, b.trace, notCompared);
  const matchings: { readonly partner: Int32Array; readonly correlation: Float64Array }[] = [];
  const layers: LayerComparison[] = [];
  for (const [k, layer] of pairs.entries()) {
    const name = a.trace.layers[layer[0]].name;
    onProgress(`Matching the neurons of ${name}`, (0.7 * k) / pairs.length);
    const found = await compareLayer(a.trace, b.trace, layer, sample, other, engine, cancel);
    matchings.push(found);
    layers.push(found.comparison);
    await pause(cancel);
  }

  const inrs = [a.trace.inr, b.trace.inr] as const;
  const decoders = inrs.every(({ domain }) => domain.kind === 'frames');
  const complete = inrs.every(({ layers: all }, i) => [a, b][i].trace.layers.length === all.length);
  if (inrs.every(({ domain }) => domain.kind === 'pixels') && samePicture && complete && sameBuild(...inrs)) {
    for (const k of layers.keys()) {
      onProgress(`Swapping ${layers[k].name[0]}`, 0.7 + (0.3 * k) / layers.length);
      cancel.throwIfCancelled();
      const units = (layer: number) =>
        unitsOf(...inrs, layer, matchings[layer].partner, matchings[layer].correlation);
      const inputs = units(k);
      const next = inrs[0].layers[k + 1];
      // Where the next layer reads just this one's units, they are in its neurons' order.
      const outputs = next?.inputs === inrs[0].layers[k].outputs ? units(k + 1) : null;
      const graph = withLayerOf(inrs[0], inrs[1], k, inputs, outputs);
      layers[k] = { ...layers[k], swap: await swapCost(a, graph, sample, engine) };
    }
  } else if (decoders && samePicture && sameBuild(...inrs)) {
    const partners = matchings.map(({ partner }) => partner);
    const swaps = await swapDecoderLayers(a, b, layers, partners, engine, cancel, (fraction) =>
      onProgress('Swapping layers', 0.7 + 0.25 * fraction),
    );
    for (const [k, swap] of swaps.entries()) layers[k] = { ...layers[k], swap };
  } else {
    notCompared.push(
      inrs[0].domain.kind !== inrs[1].domain.kind
        ? 'Layers are not swapped, because one network paints whole frames and the other single pixels.'
        : complete || decoders
          ? 'Layers are not swapped, because the networks are not built alike.'
          : 'Layers are not swapped, because only some were traced.',
    );
  }

  onProgress('Comparing frames', 0.95);
  const clip = samePicture ? await compareFrames(a, b, cancel) : null;
  if (clip && a.video!.frames !== b.video!.frames) {
    notCompared.push(
      `The videos have ${a.video!.frames} and ${b.video!.frames} frames; those at the same part of the clip are compared.`,
    );
  }
  if (!clip && samePicture && (a.video || b.video)) {
    notCompared.push('Frames are not compared, because only one of the two is a video.');
  }

  return {
    output: samePicture ? outputDifference(a, b) : null,
    psnr: [againstTarget(a), againstTarget(b)],
    ...(clip && { clip }),
    layers,
    sample: sample.length,
    pixels,
    notCompared,
  };
}

/** The pixel of picture b at the same relative place. */
function samePlace(
  pixel: number,
  a: { height: number; width: number },
  b: { height: number; width: number },
) {
  const place = (index: number, from: number, to: number) =>
    Math.min(to - 1, Math.floor(((index + 0.5) * to) / from));
  const row = place(Math.floor(pixel / a.width), a.height, b.height);
  return row * b.width + place(pixel % a.width, a.width, b.width);
}

/** By name; else by place, if there are as many; else from the last one back. */
function pairedLayers(a: Trace, b: Trace, notCompared: string[]): Both<number>[] {
  const names = new Map(b.layers.map(({ name }, index) => [name, index]));
  if (a.layers.length === b.layers.length) {
    const byName = a.layers.every(({ name }) => names.has(name));
    return a.layers.map(({ name }, index) => [index, byName ? names.get(name)! : index]);
  }
  const count = Math.min(a.layers.length, b.layers.length);
  notCompared.push(
    `The networks have ${a.layers.length} and ${b.layers.length} layers; the last ${count} of each are compared, counted from the picture.`,
  );
  return Array.from({ length: count }, (_, k) => [a.layers.length - count + k, b.layers.length - count + k]);
}

async function compareLayer(
  a: Trace,
  b: Trace,
  layer: Both<number>,
  sample: Uint32Array,
  other: Uint32Array,
  engine: Engine,
  cancel: CancelToken,
): Promise<{
  readonly comparison: LayerComparison;
  readonly partner: Int32Array;
  readonly correlation: Float64Array;
}> {
  const [first, second] = [a.layers[layer[0]], b.layers[layer[1]]];
  const units = [
    await sampledUnits(a, layer[0], sample, cancel),
    await sampledUnits(b, layer[1], other, cancel),
  ] as const;
  const maps = [units[0].maps, units[1].maps] as const;
  const counts = [maps[0].neurons, maps[1].neurons] as const;
  const large = Math.max(...counts) > MOST_ASSIGNED;
  // Of very many kernels only those of the same place are correlated.
  const similarity = large ? null : await correlations(engine, ...maps);
  cancel.throwIfCancelled();
  // On hidden layers a map's sign may be the sign that a unit happens to have; at the picture it counts.
  const free =
    !first.convolution &&
    !second.convolution &&
    !first.last &&
    signIsFree(a.inr, layer[0]) &&
    signIsFree(b.inr, layer[1]);
  const constant = [constants(maps[0]), constants(maps[1])] as const;
  const matching = similarity
    ? match(free ? similarity.map(Math.abs) : similarity, ...counts, constant)
    : {
        by: 'identity' as const,
        partner: Int32Array.from({ length: counts[0] }, (_, i) => (i < counts[1] ? i : -1)),
        identityMean: null,
        assignedMean: null,
      };
  const { partner } = matching;
  const whole = maps[0].data.reduce((sum, v) => sum + Math.abs(v), 0);
  const pairs: NeuronPair[] = [];
  const correlated = new Float64Array(counts[0]);
  partner.forEach((k, i) => {
    if (k < 0) return;
    const { sizes, difference } = distances(maps[0], i, maps[1], k);
    correlated[i] = similarity ? similarity[i * counts[1] + k] : correlation(maps[0], i, maps[1], k);
    pairs.push({
      a: i,
      b: k,
      correlation: constant[0][i] && constant[1][k] ? null : correlated[i],
      difference: sizes > 0 ? difference / sizes : 0,
      moved: whole > 0 ? difference / whole : 0,
      shareA: units[0].share[i],
      shareB: units[1].share[k],
    });
  });
  pairs.sort((x, y) => y.moved - x.moved || x.a - y.a);
  const taken = new Set(partner);
  const both = <T>(of: (side: typeof first) => T): Both<T> => [of(first), of(second)];
  const pixels = [a, b].map(({ inr }) => inr.signal.height * inr.signal.width);
  return {
    partner,
    correlation: correlated,
    comparison: {
      layer,
      name: both(({ name }) => name),
      neurons: both(({ statistics }) => statistics.total.length),
      unit: units[0].unit,
      units: counts,
      dead: both(({ distributedness }) => distributedness.dead),
      gini: both(({ distributedness }) => distributedness.gini),
      effectiveNeurons: both(({ distributedness }) => distributedness.effectiveNeurons),
      neuronsFor50: both(({ distributedness }) => distributedness.neuronsFor50),
      meanTotal: [sumOf(first.statistics.total) / pixels[0], sumOf(second.statistics.total) / pixels[1]],
      matched: matching.by,
      reason: reasonOf(matching, counts, units[0].unit === 'neuron' ? 'Neurons' : 'Channels'),
      meanCorrelation: meanOf(
        pairs.flatMap(({ correlation: r }) => (r === null ? [] : [free ? Math.abs(r) : r])),
      ),
      pairs,
      unmatched: [
        [...partner.keys()].filter((i) => partner[i] < 0),
        Array.from({ length: counts[1] }, (_, k) => k).filter((k) => !taken.has(k)),
      ],
    },
  };
}

/** A layer's neurons, or a decoder's channels, at some pixels. */
async function sampledUnits(trace: Trace, index: number, pixels: Uint32Array, cancel: CancelToken) {
  const { name, convolution, statistics } = trace.layers[index];
  if (!convolution) {
    const maps = await sampleMaps(trace, index, statistics.total.length, pixels, cancel);
    return { unit: 'neuron', maps, share: statistics.share } as const;
  }
  const channels = new Channels(trace.inr.layers.find((layer) => layer.name === name)!);
  const data = await channelMaps(trace, index, channels, pixels, cancel);
  const maps: SampledMaps = { neurons: channels.count, pixels: pixels.length, data };
  return { unit: channels.unit, maps, share: channels.sums(statistics.share) } as const;
}

const meanOf = (values: readonly number[]) =>
  values.length > 0 ? values.reduce((sum, v) => sum + v, 0) / values.length : 0;

const sumOf = (values: Float64Array) => values.reduce((sum, v) => sum + v, 0);

function reasonOf(
  { by, identityMean, assignedMean }: ReturnType<typeof match>,
  [a, b]: Both<number>,
  what: string,
): string {
  const two = (value: number | null) => (value ?? 0).toFixed(2).replace('-', '−');
  if (assignedMean === null) {
    return `${what} are matched by place, because there are more than ${MOST_ASSIGNED}.`;
  }
  if (by === 'identity') {
    return `${what} are matched by place: maps correlate ${two(identityMean)} on average, and no order comes to more than ${two(assignedMean)}.`;
  }
  if (a !== b) {
    return `${what} are matched by the assignment whose maps correlate most, ${two(assignedMean)} on average, because the layers have ${a} and ${b}.`;
  }
  return `${what} are matched by the assignment whose maps correlate most, ${two(assignedMean)} on average; by place it is ${two(identityMean)}.`;
}

function distances(a: SampledMaps, i: number, b: SampledMaps, k: number) {
  let [sizes, difference] = [0, 0];
  for (let p = 0; p < a.pixels; p++) {
    const [x, y] = [a.data[i * a.pixels + p], b.data[k * b.pixels + p]];
    sizes += Math.abs(x) + Math.abs(y);
    difference += Math.abs(x - y);
  }
  return { sizes, difference };
}

function correlation(a: SampledMaps, i: number, b: SampledMaps, k: number): number {
  const n = a.pixels;
  let [sx, sy, sxx, syy, sxy] = [0, 0, 0, 0, 0];
  for (let p = 0; p < n; p++) {
    const [x, y] = [a.data[i * n + p], b.data[k * n + p]];
    sx += x;
    sy += y;
    sxx += x * x;
    syy += y * y;
    sxy += x * y;
  }
  const spread = (sxx - (sx * sx) / n) * (syy - (sy * sy) / n);
  return spread > 0 ? (sxy - (sx * sy) / n) / Math.sqrt(spread) : 0;
}

const shown = (values: Float32Array, [low, high]: Both<number>) =>
  values.map((v) => Math.min(1, Math.max(0, (v - low) / (high - low))));

function outputDifference(a: Compared, b: Compared): NonNullable<Comparison['output']> {
  const { height, width, channels } = a.trace.inr.signal;
  const [first, second] = [a, b].map(({ trace, range }) => shown(trace.reconstruction, range));
  const data = new Float32Array(height * width);
  let [largest, sum] = [0, 0];
  for (let k = 0; k < first.length; k++) {
    const difference = Math.abs(first[k] - second[k]);
    data[Math.floor(k / channels)] += difference / channels;
    largest = Math.max(largest, difference);
    sum += difference;
  }
  return {
    psnr: psnr(first, second),
    largest,
    mean: sum / first.length,
    difference: { width, height, data },
  };
}

const againstTarget = ({ trace, range, target }: Compared): number | null =>
  target ? psnr(shown(trace.reconstruction, range), target) : null;

async function swapCost(a: Compared, graph: Graph, sample: Uint32Array, engine: Engine) {
  const painted = shown(await paint(a.trace.inr, graph, sample, engine), a.range);
  const { channels } = a.trace.inr.signal;
  const at = (values: Float32Array) =>
    Float32Array.from(
      painted,
      (_, k) => values[sample[Math.floor(k / channels)] * channels + (k % channels)],
    );
  // Drawn the same way, so that equal weights give equal pictures.
  const own = shown(await paint(a.trace.inr, a.trace.inr.graph, sample, engine), a.range);
  const target = a.target && at(a.target);
  return {
    likeness: psnr(painted, own),
    ...(target && { change: psnr(painted, target) - psnr(own, target) }),
  };
}

/** A graph's output at some pixels, `[pixels, channels]`. */
async function paint(inr: Inr, graph: Graph, pixels: Uint32Array, engine: Engine): Promise<Float32Array> {
  const { domain, signal } = inr;
  if (domain.kind !== 'pixels') throw new Error('frames are not made of pixels');
  const session = await engine.load(graph, [graph.output]);
  try {
    const n = pixels.length;
    const data = coordinatesAt(domain.convention, signal.height, signal.width, pixels);
    const feeds = new Map([[graph.inputs[0].name, { shape: [domain.dims, n], data }]]);
    const planes = (await session.run(feeds)).get(graph.output)!.data;
    const out = new Float32Array(n * signal.channels);
    for (let k = 0; k < out.length; k++) {
      out[k] = planes[(k % signal.channels) * n + Math.floor(k / signal.channels)];
    }
    return out;
  } finally {
    await session.release();
  }
}
