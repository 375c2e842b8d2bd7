/**
 * Whether a trace's maps are to be believed (tracing.md §6): do they add up, does taking neurons away do what
 * they say, and do they depend on the weights at all. Everything is measured on a random sample of pixels.
 * Sources: completeness 1703.01365; deletion 1806.07421; sensitivity-n 1711.06104; sanity checks 1810.03292.
 */
import type { Engine } from '../../engine/types';
import type { CancelToken } from '../../errors';
import type { Inr, TracedLayer } from '../../inr/types';
import type { Baseline } from '../ablation';
import { channelFormula, evaluate } from '../contributions';
import { spearman } from '../correlation';
import { sampleIndices, seededRandom } from '../random';
import { costBehind, joinedRows, SampledNetwork } from '../sampled';
import type { Subject } from '../subject';
import type { LayerTrace, Method } from '../types';
import type { CardOptions, FaithfulnessCard, LayerFaithfulness, Randomised, Residual } from './card';
import {
  deletionCurves,
  effects,
  FULL,
  residual,
  residualsTogether,
  runsOf,
  sensitivityN,
  together,
} from './measures';
import { shuffledOneByOne } from './shuffled';

const LEAST_PIXELS = 64;
const MOST_PIXELS = 1024;
/** Operations. */
const BUDGET = 2.5e10;
/** Pixels on which ablation maps of shuffled networks are made: each costs a run for every neuron. */
const SHUFFLED_PIXELS = 64;

/** The card of a coordinate network: of its picture, or of frames of its clip. @throws CancelledError */
export async function faithfulness(
  subject: Subject,
  engine: Engine,
  options: CardOptions,
): Promise<FaithfulnessCard> {
  const { method, baseline, seed, cancel, budget = BUDGET, onProgress, onLayer } = options;
  const { frames, layers: traced } = subject;
  const inr = subject.inrAt(0);
  const area = inr.signal.height * inr.signal.width;
  const random = seededRandom(seed);
  const each = Math.ceil(sampleSize(inr, traced, budget) / frames.length);
  const networks: SampledNetwork[] = [];
  const layers: LayerFaithfulness[] = [];
  let randomised: Randomised[] = [];
  const card = (): FaithfulnessCard => ({
    method,
    baseline,
    sample: {
      pixels: networks.reduce((sum, { pixels }) => sum + pixels.length, 0),
      of: frames.length * area,
      seed,
      ...(inr.signal.frames > 1 && { frames }),
    },
    repetitions: { orders: FULL.orders, sets: FULL.sets },
    layers,
    randomised,
    omitted: [],
  });
  try {
    for (const k of frames.keys()) {
      const pixels = sampleIndices(area, each, random);
      networks.push(await SampledNetwork.at(subject.inrAt(k), engine, pixels, cancel));
    }
    for (const [index, trace] of traced.entries()) {
      onProgress?.(`Taking neurons of ${trace.name} away`, (0.9 * index) / traced.length);
      layers.push(await layerFaithfulness(networks, trace, index, options, random));
      onLayer?.(card());
    }
    onProgress?.('Shuffling weights', 0.9);
    randomised = await shuffledTotals(engine, traced, networks, options);
  } finally {
    for (const network of networks) await network.release();
  }
  return card();
}

function sampleSize(inr: Inr, traced: readonly LayerTrace[], budget: number): number {
  const cost = traced.reduce((sum, { name, neurons }) => {
    const layer = layerNamed(inr, name);
    return sum + runsOf(neurons, FULL) * costBehind(inr, layer);
  }, 0);
  const affordable = 2 ** Math.floor(Math.log2(budget / Math.max(cost, 1)));
  return Math.min(Math.max(affordable, LEAST_PIXELS), MOST_PIXELS);
}

function layerNamed(inr: Inr, name: string): TracedLayer {
  const layer = inr.layers.find((other) => other.name === name);
  if (!layer) throw new RangeError(`there is no layer ${name}`);
  return layer;
}

async function layerFaithfulness(
  networks: readonly SampledNetwork[],
  trace: LayerTrace,
  index: number,
  { method, baseline, cancel }: CardOptions,
  random: () => number,
): Promise<LayerFaithfulness> {
  const { neurons } = trace;
  const [{ inr }] = networks;
  const { signal, outputRange: range } = inr;
  const at = inr.layers.findIndex(({ name }) => name === trace.name);
  const each: Float32Array[] = [];
  const missed: Residual[][] = [];
  for (const network of networks) {
    const own = await network.maps(at, method, baseline, cancel);
    each.push(own);
    missed.push(await residuals(network, at, method, baseline, own, cancel));
  }
  const maps = joinedRows(each, neurons);
  const completeness = residualsTogether(missed);
  const removable = together(
    networks.map((network) => ({
      units: neurons,
      output: network.output,
      channels: signal.channels,
      range,
      part: network.pixels.length / (signal.height * signal.width),
      without: (sets, visit) => network.without(at, sets, baseline, cancel, visit),
    })),
  );
  // What each neuron alone does, and by it the best order there is.
  const effect = await effects(removable);
  const activation = new Float64Array(neurons);
  for (const { layers } of networks) {
    const { values, imaginary, count } = layers[at];
    for (let i = 0; i < neurons; i++) {
      for (let p = i * count; p < (i + 1) * count; p++)
        activation[i] += Math.hypot(values[p], imaginary?.[p] ?? 0);
    }
  }
  const { total } = trace.statistics;
  const values = { total, weights: outgoingNorms(inr.layers[at]), activation, ablation: effect };
  const deletion = await deletionCurves(removable, values, FULL, random);
  const sensitivity = await sensitivityN(removable, maps, FULL, random);
  return {
    layer: trace.name,
    index,
    unit: 'neuron',
    units: neurons,
    approximate: reasonOf(method, trace, completeness),
    completeness,
    deletion,
    agreement: spearman(total, effect),
    sensitivity,
  };
}

function reasonOf(method: Method, trace: LayerTrace, completeness: readonly Residual[]): string | null {
  const picture = completeness.at(-1)!;
  if (completeness.every(({ exact }) => exact)) return null;
  const part = picture.scale > 0 ? picture.mean / picture.scale : 0;
  const size = part < 2 ? `${Math.round(100 * part)} % of` : `${Math.round(part)} times`;
  const miss = part >= 0.005 ? `; added up they are off by ${size} what the neurons give the picture` : '';
  if (method === 'ablation')
    return `neurons act together, so what each one does alone does not add up${miss}`;
  if (method === 'gradient') return `a gradient is exact for small changes only${miss}`;
  return trace.last
    ? `the final activation bends what the contributions add up to${miss}`
    : `the maps reach the next layer, not the pixel${miss}`;
}

/** ‖W_·i‖₂: how strongly each neuron is wired to the next layer. */
function outgoingNorms({ weight, weightImaginary, inputs, outputs }: TracedLayer): Float64Array {
  const squares = new Float64Array(inputs);
  for (const matrix of weightImaginary ? [weight, weightImaginary] : [weight]) {
    for (let j = 0; j < outputs; j++)
      for (let i = 0; i < inputs; i++) squares[i] += matrix[j * inputs + i] ** 2;
  }
  return squares.map(Math.sqrt);
}

const added = (maps: Float32Array, neurons: number, count: number) => {
  const sum = new Float64Array(count);
  for (let i = 0; i < neurons; i++) for (let p = 0; p < count; p++) sum[p] += maps[i * count + p];
  return sum;
};

/** The last one is against the picture: output minus what is left when all neurons are off. */
async function residuals(
  network: SampledNetwork,
  at: number,
  method: Method,
  baseline: Baseline,
  maps: Float32Array,
  cancel: CancelToken,
): Promise<Residual[]> {
  const { layer, count } = network.layers[at];
  const { channels } = network.inr.signal;
  const all = Array.from({ length: layer.inputs }, (_, i) => i);
  const off = new Float32Array(channels * count);
  await network.without(at, [all], baseline, cancel, (_, output) => off.set(output));
  const difference = network.output.map((v, k) => v - off[k]);
  const row = (data: Float32Array, c: number) => data.subarray(c * count, (c + 1) * count);
  const found: Residual[] = [];

  if (method === 'xinc') {
    const sampled = network.layers[at];
    const part = new Float32Array(count);
    const sums = new Float32Array(layer.outputs * count);
    for (let j = 0; j < layer.outputs; j++) {
      const formula = channelFormula(layer, j);
      for (let i = 0; i < layer.inputs; i++) {
        evaluate(formula, i, sampled, 0, count, part);
        for (let p = 0; p < count; p++) sums[j * count + p] += part[p];
      }
      if (layer.last) {
        const name = `channel ${j} before the final activation`;
        found.push(residual(name, row(sums, j), row(sampled.preActivation, j)));
      }
    }
    // A complex layer's shares are real parts of products: their sum is the real part too.
    if (!layer.last) found.push(residual('units of the next layer', sums, sampled.preActivation));
  } else if (channels > 1) {
    for (let c = 0; c < channels; c++) {
      const own = await network.maps(at, method, baseline, cancel, c);
      found.push(residual(`channel ${c}`, added(own, layer.inputs, count), row(difference, c)));
    }
  }
  const picture = network.summed(difference);
  if (method === 'xinc' && layer.last) {
    // The shares carry the bias, which stays when neurons are off.
    const bias = (layer.bias ?? new Float32Array(0)).reduce((sum, b) => sum + b, 0);
    const sum = added(maps, layer.inputs, count).map((v) => v - bias);
    found.push(residual('the picture', sum, picture));
  } else {
    found.push(residual('the picture', added(maps, layer.inputs, count), picture));
  }
  return found;
}

/** Totals of all layers while the weights are shuffled, one layer after another from the top. */
async function shuffledTotals(
  engine: Engine,
  traced: readonly LayerTrace[],
  networks: readonly SampledNetwork[],
  { method, baseline, seed, cancel }: CardOptions,
): Promise<Randomised[]> {
  const most = method === 'ablation' ? Math.ceil(SHUFFLED_PIXELS / networks.length) : Infinity;
  const samples = networks.map(({ pixels }) => pixels.subarray(0, most));
  const totalsOf = async (models: readonly Inr[]): Promise<Float64Array[]> => {
    const totals = traced.map(({ neurons }) => new Float64Array(neurons));
    for (const [k, model] of models.entries()) {
      const pixels = samples[k];
      const sampled = await SampledNetwork.at(model, engine, pixels, cancel);
      try {
        for (const [layer, { name, neurons }] of traced.entries()) {
          const at = model.layers.findIndex((other) => other.name === name);
          const maps = await sampled.maps(at, method, baseline, cancel);
          for (let i = 0; i < neurons; i++) {
            for (let p = i * pixels.length; p < (i + 1) * pixels.length; p++)
              totals[layer][i] += Math.abs(maps[p]);
          }
        }
      } finally {
        await sampled.release();
      }
    }
    return totals;
  };
  const inrs = networks.map(({ inr }) => inr);
  return shuffledOneByOne(inrs, totalsOf, seed + 1);
}
