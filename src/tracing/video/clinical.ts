/** Clinical signs of a decoder at one frame or several: of the channels that its convolutions read, and of their kernels. */
import type { Engine } from '../../engine/types';
import type { CancelToken } from '../../errors';
import type { GraphNode } from '../../graph/types';
import type { Activation, TracedLayer } from '../../inr/types';
import {
  deadSign,
  duplicateSign,
  finiteSign,
  INNER_PIXELS,
  listed,
  plural,
  PRUNED,
  rankSign,
  saturationSign,
  zerosOf,
  type Sign,
  type Units,
} from '../clinical';
import { sampleIndices, seededRandom } from '../random';
import { pause } from '../regions';
import { stableRank } from '../stableRank';
import { joinedRows } from '../sampled';
import { framesText, type Subject } from '../subject';
import { atPixels, FrameRunner } from './runner';

/** Kernels that a sign selects at most: the sum of their maps is drawn at once. */
const MOST_SELECTED = 512;
/** On fewer pixels, channels correlate and span few directions by chance. */
const FEWEST_PIXELS = 8;

/** Signs of the traced layers, and the stable rank of what each reads. @throws CancelledError */
export async function decoderSigns(
  subject: Subject,
  engine: Engine,
  { seed, cancel }: { readonly seed: number; readonly cancel: CancelToken },
): Promise<{ readonly signs: Sign[]; readonly ranks: number[] }> {
  const { frames, layers: traced } = subject;
  const inr = subject.inrAt(0);
  const layers = traced.map(({ name }) => inr.layers.find((layer) => layer.name === name)!);
  const when = ` at ${framesText(frames)}`;
  const signs: Sign[] = [];
  const ranks: number[] = [];
  const runner = new FrameRunner(inr, engine);
  try {
    const read = await channelsRead(runner, frames, layers, seed, cancel);
    for (const [k, layer] of layers.entries()) {
      await pause(cancel);
      const { statistics, convolution } = traced[k];
      // By other methods than XINC's, the maps are the channels' own.
      const select = convolution ? reading : itself;
      if (convolution) {
        const dead = Array.from(statistics.dead.keys()).filter((i) => statistics.dead[i] === 1);
        signs.push(deadKernels(layer, dead, when));
      }
      const channels = read[k];
      const rank = stableRank(channels.sampled, layer.inputs, channels.sampled.length / layer.inputs);
      ranks.push(rank);
      const before = madeBy(inr.graph.nodes, layer.input);
      signs.push(...channelSigns(layer, channels, rank, before, when, select));
      const pruned = prunedKernels(layer);
      signs.push(convolution ? pruned : { ...pruned, neurons: [] });
      const broken = finiteSign({
        [`weights of ${layer.name}`]: layer.weight,
        [`channels into ${layer.name}${when}`]: channels.broken ?? channels.sampled,
      });
      if (broken) signs.push(broken);
    }
  } finally {
    runner.release();
  }
  return { signs, ranks };
}

/** What a layer is given at some frames. */
interface Channels {
  /** Pixels of a frame. */
  readonly area: number;
  /** Zero everywhere. */
  readonly dead: readonly number[];
  /** At some pixels of each frame, `[inputs, pixels]`. */
  readonly sampled: Float32Array;
  /** All of a frame in which something is no number. */
  readonly broken?: Float32Array;
}

/** One frame after another: all of a large decoder would not fit. @throws CancelledError */
async function channelsRead(
  runner: FrameRunner,
  frames: readonly number[],
  layers: readonly TracedLayer[],
  seed: number,
  cancel: CancelToken,
): Promise<Channels[]> {
  const names = [...new Set(layers.map(({ input }) => input))];
  const found = layers.map(({ inputs }) => ({
    area: 0,
    dead: Array.from({ length: inputs }, (_, i) => i),
    sampled: [] as Float32Array[],
    broken: undefined as Float32Array | undefined,
  }));
  const random = layers.map(() => seededRandom(seed + 2));
  for (const frame of frames) {
    await pause(cancel);
    const values = await runner.run(frame, names);
    for (const [k, { input, inputs }] of layers.entries()) {
      const own = found[k];
      const { data } = values.get(input)!;
      const area = (own.area = data.length / inputs);
      const pixels = sampleIndices(area, Math.ceil(INNER_PIXELS / frames.length), random[k]);
      own.sampled.push(atPixels(data, inputs, pixels));
      own.dead = own.dead.filter((i) => data.subarray(i * area, (i + 1) * area).every((v) => v === 0));
      if (!own.broken && data.some((v) => !Number.isFinite(v))) own.broken = data.slice();
    }
  }
  return found.map(({ sampled, broken, ...own }, k) => ({
    ...own,
    sampled: joinedRows(sampled, layers[k].inputs),
    ...(broken && { broken }),
  }));
}

/**
 * @param before what made them
 * @param select what a sign about channels names
 */
function channelSigns(
  layer: TracedLayer,
  { area, dead, sampled }: Channels,
  rank: number,
  before: Activation | undefined,
  when: string,
  select: typeof reading,
): Sign[] {
  const { name, inputs } = layer;
  const units: Units = { one: 'channel', when };
  const signs = [select(layer, deadChannels(layer, dead, units))];
  if (area >= FEWEST_PIXELS) {
    signs.push(select(layer, duplicateSign(name, sampled, inputs, undefined, units)));
  }
  const saturated = before && saturationSign(name, before, sampled, inputs, units);
  if (saturated) signs.push(select(layer, saturated));
  // Zeros, and what is no number, have no rank; other signs are about them.
  if (area >= FEWEST_PIXELS && rank > 0)
    signs.push(rankSign(name, rank, inputs, units, Math.min(inputs, area)));
  return signs;
}

function deadChannels(layer: TracedLayer, dead: readonly number[], units: Units): Sign {
  return {
    ...deadSign(layer.name, dead, layer.inputs, units),
    kind: 'dead-channel',
    explanation:
      'A channel that a layer reads is dead when it is zero at every pixel: nothing of the picture comes ' +
      'through it. It may be alive at other frames: trace another one before taking it out of the network.',
  };
}

function deadKernels(layer: TracedLayer, dead: readonly number[], when: string): Sign {
  const name = (kernel: number) => kernelName(layer, kernel);
  return ofKernels(dead, {
    ...deadSign(layer.name, dead, layer.inputs * layer.outputs, { one: 'kernel', when, name }),
    explanation:
      'A kernel (input→output) is dead when its map is zero at every pixel. It may draw at other frames: ' +
      'trace another one before taking it out of the network.',
  });
}

/** Of weights alone, so of all frames. */
function prunedKernels(layer: TracedLayer): Sign {
  const { name, inputs, outputs, weight } = layer;
  const zeros = zerosOf(layer);
  const taps = weight.length / zeros.length;
  const part = zeros.reduce((sum, z) => sum + z, 0) / weight.length;
  const empty = Array.from(zeros.keys()).filter((kernel) => zeros[kernel] === taps);
  const unread = Array.from({ length: inputs }, (_, i) => i).filter((i) =>
    zeros.subarray(i * outputs, (i + 1) * outputs).every((z) => z === taps),
  );
  // A single zero may be chance, so kernels of one tap only count by their part.
  const found = part >= PRUNED || unread.length > 0 || (taps > 1 && empty.length > 0);
  const all = [
    `${(100 * part).toFixed(part < PRUNED ? 1 : 0)} % of its weights are exactly zero`,
    empty.length > 0
      ? `${empty.length} of ${plural(zeros.length, 'kernel')} are zero as a whole: ` +
        listed(empty.map((kernel) => kernelName(layer, kernel)))
      : 'no kernel is zero as a whole',
    ...(unread.length > 0 ? [`no kernel reads ${plural(unread.length, 'channel')}: ${listed(unread)}`] : []),
  ];
  return ofKernels(found ? empty : [], {
    kind: 'pruned',
    severity: found ? 'note' : 'good',
    layer: name,
    sentence: `${found ? 'Pruned' : 'Not pruned'}: ${all.join('; ')}.`,
    explanation:
      `A convolution counts as pruned from ${100 * PRUNED} % of weights that are exactly zero, or when all taps of a kernel ` +
      '(input→output) are. Training alone hardly ever gives an exact zero; such kernels can be left out at every frame.',
    neurons: [],
    ...(unread.length > 0 && { channels: unread }),
  });
}

const kernelName = ({ outputs }: TracedLayer, kernel: number) =>
  `${Math.floor(kernel / outputs)}→${kernel % outputs}`;

const ofKernels = (kernels: readonly number[], sign: Sign): Sign => ({
  ...sign,
  neurons: kernels.slice(0, MOST_SELECTED),
  kernels: kernels.length,
});

/** A sign about channels names the kernels that read them; of very many, as many of each channel. */
function reading({ outputs }: TracedLayer, sign: Sign): Sign {
  const channels = sign.neurons;
  const each = Math.min(outputs, Math.max(1, Math.floor(MOST_SELECTED / channels.length)));
  return {
    ...sign,
    neurons: channels
      .slice(0, MOST_SELECTED)
      .flatMap((i) => Array.from({ length: each }, (_, output) => i * outputs + output)),
    channels,
    kernels: channels.length * outputs,
  };
}

/** A sign about channels whose maps are traced names these. */
const itself: typeof reading = (_, sign) => ({ ...sign, channels: sign.neurons });

/** The bounded activation that a graph value comes from; modulation, sums and norms leave the bounds behind. */
function madeBy(nodes: readonly GraphNode[], value: string): Activation | undefined {
  const node = nodes.find(({ outputs }) => outputs.includes(value));
  switch (node?.op) {
    case 'Tanh':
      return 'tanh';
    case 'Sigmoid':
      return 'sigmoid';
    case 'Reshape':
    case 'DepthToSpace':
      return madeBy(nodes, node.inputs[0]);
    default:
      return undefined;
  }
}
