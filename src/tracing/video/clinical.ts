/** Clinical signs of a decoder at one frame: of the channels that its convolutions read, and of their kernels. */
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
import type { Trace } from '../trace';
import { atPixels, FrameRunner } from './runner';

/** Kernels that a sign selects at most: the sum of their maps is drawn at once. */
const MOST_SELECTED = 512;
/** On fewer pixels, channels correlate and span few directions by chance. */
const FEWEST_PIXELS = 8;

/** Signs of the traced layers, and the stable rank of what each reads. @throws CancelledError */
export async function decoderSigns(
  { inr, frame, layers: traced }: Trace,
  engine: Engine,
  { seed, cancel }: { readonly seed: number; readonly cancel: CancelToken },
): Promise<{ readonly signs: Sign[]; readonly ranks: number[] }> {
  const layers = traced.map(({ name }) => inr.layers.find((layer) => layer.name === name)!);
  const when = ` at frame ${frame}`;
  const signs: Sign[] = [];
  const ranks: number[] = [];
  const runner = new FrameRunner(inr, engine);
  try {
    const inputs = layers.map(({ input }) => input);
    const values = await runner.run(frame, [...new Set(inputs)]);
    for (const [k, layer] of layers.entries()) {
      await pause(cancel);
      const { statistics, convolution } = traced[k];
      // By other methods than XINC's, the maps are the channels' own.
      const select = convolution ? reading : itself;
      if (convolution) {
        const dead = Array.from(statistics.dead.keys()).filter((i) => statistics.dead[i] === 1);
        signs.push(deadKernels(layer, dead, when));
      }
      const { data } = values.get(layer.input)!;
      const area = data.length / layer.inputs;
      const pixels = sampleIndices(area, INNER_PIXELS, seededRandom(seed + 2));
      const sampled = atPixels(data, layer.inputs, pixels);
      const rank = stableRank(sampled, layer.inputs, pixels.length);
      ranks.push(rank);
      const before = madeBy(inr.graph.nodes, layer.input);
      signs.push(...channelSigns(layer, data, sampled, rank, before, when, select));
      const pruned = prunedKernels(layer);
      signs.push(convolution ? pruned : { ...pruned, neurons: [] });
      const broken = finiteSign({
        [`weights of ${layer.name}`]: layer.weight,
        [`channels into ${layer.name}${when}`]: data,
      });
      if (broken) signs.push(broken);
    }
  } finally {
    runner.release();
  }
  return { signs, ranks };
}

/**
 * @param data `[inputs, h · w]` at the frame
 * @param sampled the same at some pixels
 * @param before what made them
 * @param select what a sign about channels names
 */
function channelSigns(
  layer: TracedLayer,
  data: Float32Array,
  sampled: Float32Array,
  rank: number,
  before: Activation | undefined,
  when: string,
  select: typeof reading,
): Sign[] {
  const { name, inputs } = layer;
  const area = data.length / inputs;
  const units: Units = { one: 'channel', when };
  const signs = [select(layer, deadChannels(layer, data, area, units))];
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

function deadChannels(layer: TracedLayer, data: Float32Array, area: number, units: Units): Sign {
  const dead = Array.from({ length: layer.inputs }, (_, i) => i).filter((i) =>
    data.subarray(i * area, (i + 1) * area).every((v) => v === 0),
  );
  return {
    ...deadSign(layer.name, dead, layer.inputs, units),
    kind: 'dead-channel',
    explanation:
      'A channel that a layer reads is dead when it is zero at every pixel of the frame: nothing of the picture comes ' +
      'through it. It may be alive at other frames: trace another one before taking it out of the network.',
  };
}

function deadKernels(layer: TracedLayer, dead: readonly number[], when: string): Sign {
  const name = (kernel: number) => kernelName(layer, kernel);
  return ofKernels(dead, {
    ...deadSign(layer.name, dead, layer.inputs * layer.outputs, { one: 'kernel', when, name }),
    explanation:
      'A kernel (input→output) is dead when its map is zero at every pixel of the frame. It may draw at other frames: ' +
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
