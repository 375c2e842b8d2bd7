/** What NeRV-like decoders share: a small map that convolutions with PixelShuffle enlarge to a frame. */
import type { Plain, Tensor } from '../../checkpoint/types';
import { GraphBuilder } from '../../graph/build';
import { finalAct, hiddenAct, identity, type Act } from '../activations';
import type { Settings } from '../assumptions';
import type { Candidate, Network } from '../family';
import { frames } from '../picture';
import {
  activation,
  choiceSetting,
  flag,
  parseSize,
  sizeText,
  type FinalActivation,
  type Setting,
  type Size,
} from '../settings';
import type { LayerSummary, TracedLayer } from '../types';
import {
  askNorm,
  foldBatchNorm,
  instanceNorm,
  normalisePhases,
  storedNorm,
  type StoredNorm,
} from './channelNorm';

export interface Convolution {
  /** Module name as in the checkpoint. */
  readonly name: string;
  readonly outputs: number;
  readonly inputs: number;
  readonly kernel: readonly [height: number, width: number];
  /** `[outputs, inputs, height, width]` */
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  /** What normalises its channels before the activation, as far as the file tells. */
  readonly norm?: StoredNorm;
}

/** The convolution with the normalisation stored under `name`; undefined when that is none that is known. */
export function withNorm(
  tensors: ReadonlyMap<string, Tensor>,
  conv: Convolution,
  name: string,
  channels: number,
): Convolution | undefined {
  const norm = storedNorm(tensors, name, channels);
  return norm === null ? undefined : norm ? { ...conv, norm } : conv;
}

/** A convolution stored under `name`, or undefined. */
export function convolution(tensors: ReadonlyMap<string, Tensor>, name: string): Convolution | undefined {
  const weight = tensors.get(`${name}.weight`);
  if (weight?.shape.length !== 4 || weight.isComplex) return undefined;
  const [outputs, inputs, height, width] = weight.shape;
  const bias = tensors.get(`${name}.bias`);
  if (bias && bias.size !== outputs) return undefined;
  return { name, outputs, inputs, kernel: [height, width], weight, bias };
}

/** Above, left, below and right: PyTorch's `same`, whose odd zero is at the end. */
const samePadding = ([height, width]: Convolution['kernel']): [number, number, number, number] => [
  (height - 1) >> 1,
  (width - 1) >> 1,
  height >> 1,
  width >> 1,
];

/** Adds a convolution to the graph and to the traced layers; no activation follows when none is given. */
type Convolve = (conv: Convolution, x: string, act?: Act) => string;

/** A convolution whose result PixelShuffle(stride) enlarges. */
export interface Block {
  readonly conv: Convolution;
  readonly stride: number;
  /** No activation follows. */
  readonly linear?: true;
  /** What happens to the block's input before, and to its result after the activation. */
  readonly before?: (graph: GraphBuilder, x: string) => string;
  readonly after?: (graph: GraphBuilder, x: string, convolve: Convolve) => string;
}

/**
 * The blocks with the strides that their channels imply: s² = outputs / next inputs.
 * Undefined when they do not fit one another.
 */
export function blocksOf(
  convolutions: readonly Convolution[],
  head: Convolution,
  firstInputs: number,
): readonly Block[] | undefined {
  const blocks = convolutions.map((conv, i) => ({
    conv,
    stride: Math.sqrt(conv.outputs / (convolutions[i + 1] ?? head).inputs),
  }));
  const fits =
    blocks.length > 0 &&
    blocks[0].conv.inputs === firstInputs &&
    blocks.every(({ stride }) => Number.isInteger(stride) && stride >= 1 && stride <= 16);
  return fits ? blocks : undefined;
}

/** Activations that these code bases offer, the usual one first. */
const acts = ['gelu', 'swish', 'relu', 'leaky-relu', 'softplus', 'sine', 'tanh'] as const;

/** What maps the head to [0, 1]; `out_bias` in HNeRV, `--sigmoid` in NeRV. */
const outBias: Setting<FinalActivation> = {
  ...choiceSetting<FinalActivation>(
    'finalActivation',
    ['out_bias', 'final_act', 'output_act'],
    ['tanh01', 'sigmoid', 'add-half', 'identity'],
    { tanh: 'tanh01', '0.5': 'add-half', '0': 'identity', '0.0': 'identity' },
  ),
  derive: (configuration) =>
    configuration.find<FinalActivation>(['sigmoid'], (value) => {
      const on = flag(value);
      return on === undefined ? undefined : on ? 'sigmoid' : 'tanh01';
    }),
};

/** Pairs height·width = area that a picture may have, those near 16:9 first. */
function factorPairs(area: number): Size[] {
  const pairs: Size[] = [];
  for (let height = 1; height <= area; height++) {
    if (area % height === 0) pairs.push({ height, width: area / height });
  }
  const usual = ({ height, width }: Size) => Math.abs(Math.log(width / height / (16 / 9)));
  const plausible = pairs.filter(({ height, width }) => height <= 4 * width && width <= 4 * height);
  return (plausible.length ? plausible : pairs).sort((a, b) => usual(a) - usual(b));
}

/** `fc_hw: 8_16`, `fc_hw_dim: 9_16_26`: height and width of the first map. */
const fcSize = (value: Plain) => {
  const text = typeof value === 'string' ? value : Array.isArray(value) ? value.join('_') : '';
  const match = /^(\d+)[_x](\d+)/.exec(text);
  return match ? { height: Number(match[1]), width: Number(match[2]) } : undefined;
};

/** The frame's size, one of those that the layers allow. */
export function askFrameSize(
  settings: Settings,
  choices: readonly string[],
  derive?: Setting<string>['derive'],
): string {
  const setting: Setting<string> = {
    name: 'size',
    aliases: [],
    expects: `${choices.length > 1 ? 'one of ' : ''}${choices.join(', ')}, which its layers allow`,
    choices,
    read: (value) => {
      const size = typeof value === 'string' ? parseSize(value) : undefined;
      return size && choices.find((choice) => choice === sizeText(size));
    },
    ...(derive && { derive }),
  };
  return settings.get(setting, {
    value: choices[0],
    source: 'inferred',
    confidence: choices.length === 1 ? 0.98 : 0.6,
    detail:
      choices.length === 1
        ? 'from the layers’ sizes'
        : 'from the layers’ sizes and the usual shape of a frame',
  });
}

/** Height and width of the first map, by way of the frame's size, which is what people know. */
export function askFirstMap(settings: Settings, area: number, scale: number): Size {
  const pairs = factorPairs(area);
  const choices = pairs.map(({ height, width }) =>
    sizeText({ height: height * scale, width: width * scale }),
  );
  const chosen = askFrameSize(settings, choices, (configuration) =>
    configuration.find(['fc_hw', 'fc_hw_dim'], (value) => {
      const fc = fcSize(value);
      return choices[pairs.findIndex(({ height, width }) => height === fc?.height && width === fc.width)];
    }),
  );
  return pairs[choices.indexOf(chosen)];
}

export interface DecoderPlan {
  readonly candidate: Candidate;
  /** Adds the first map, `[1, channels, h, w]`, to the graph. */
  start(graph: GraphBuilder, t: string, act: Act, convolve: (x: string, conv: Convolution) => string): string;
  /** Layers before the first map, for the summary. */
  readonly stem: readonly { readonly name: string; readonly inputs: number; readonly outputs: number }[];
  readonly blocks: readonly Block[];
  readonly head: Convolution;
  readonly frame: { readonly height: number; readonly width: number };
  readonly encoding: string;
  readonly usualAct: (typeof acts)[number];
  /** What maps the head to [0, 1]; `tanh01` when left out. */
  readonly usualFinal?: FinalActivation;
  /** ω of a sine activation; 1 when left out. */
  readonly sineOmega?: number;
  /** Known number of frames. */
  readonly frames?: number;
  /** t of frame k is k / frames, or k / (frames − 1) when both ends are included. */
  readonly bothEnds?: boolean;
  /** The code base can normalise the channels of each block, and of what `start` convolves. */
  readonly normalises?: readonly Convolution[];
}

/** Weights and biases as the network applies them: a batch norm is worked in. */
function numbersOf({ weight, bias, outputs, norm }: Convolution): {
  readonly weight: Float32Array;
  readonly bias: Float32Array | null;
} {
  const [w, b] = [weight.read(), bias?.read() ?? null];
  return norm?.batch ? foldBatchNorm(w, b, outputs, norm) : { weight: w, bias: b };
}

/** What the decoder's activations are; asked first, so that it heads the list. */
export function buildDecoder(plan: DecoderPlan, settings: Settings): Network {
  const { blocks, head } = plan;
  const kind = settings.get(
    { ...activation, choices: acts },
    { value: plan.usualAct, source: 'default', confidence: 0.5 },
  );
  const final = settings.get(outBias, {
    value: plan.usualFinal ?? 'tanh01',
    source: 'default',
    confidence: 0.6,
  });
  const count = settings.get(
    frames,
    plan.frames === undefined
      ? {
          value: 1,
          source: 'default',
          confidence: 0.05,
          detail: 'nothing says how many frames the video has',
        }
      : { value: plan.frames, source: 'state dict', confidence: 1, detail: 'one embedding a frame' },
  );
  const act = hiddenAct(kind, plan.sineOmega ?? 1, 1);
  const last = finalAct(final, 1);
  const stored = [...(plan.normalises ?? []), ...blocks.map(({ conv }) => conv)].map(({ norm }) => norm);
  const norm = plan.normalises ? askNorm(settings, stored) : 'none';

  const graph = new GraphBuilder();
  const convolveFirst = (x: string, conv: Convolution) => {
    const { weight, bias } = numbersOf(conv);
    const z = graph.conv2d(x, { shape: conv.weight.shape, data: weight }, bias);
    if (norm !== 'instance') return z;
    const { scale, shift, epsilon } = instanceNorm(conv.norm, conv.outputs);
    return graph.instanceNorm(z, scale, shift, epsilon);
  };
  let value = plan.start(graph, graph.input('t', [1, 1]), act, convolveFirst);
  const enlarged = blocks.reduce((scale, { stride }) => scale * stride, 1);
  let [height, width] = [plan.frame.height / enlarged, plan.frame.width / enlarged];
  const layers: TracedLayer[] = [];
  const convolve = (
    input: string,
    conv: Convolution,
    stride: number,
    following: Act,
    isLast: boolean,
  ): string => {
    const { weight, bias } = numbersOf(conv);
    const convolved = graph.conv2d(input, { shape: conv.weight.shape, data: weight }, bias, {
      padding: samePadding(conv.kernel),
    });
    const own =
      norm === 'instance' && !isLast ? instanceNorm(conv.norm, conv.outputs / stride ** 2) : undefined;
    const preActivation = own
      ? normalisePhases(graph, convolved, own, { outputs: conv.outputs, height, width })
      : convolved;
    [height, width] = [height * stride, width * stride];
    layers.push({
      name: conv.name,
      kind: 'convolution',
      inputs: conv.inputs,
      outputs: conv.outputs,
      input,
      preActivation,
      weight,
      ...(conv.kernel[0] !== conv.kernel[1] && { kernel: conv.kernel }),
      bias,
      ...(stride > 1 && { shuffle: stride }),
      ...(own && { instanceNorm: { of: convolved, ...own } }),
      activation: following.kind,
      ...(following.scalar && { activate: following.scalar }),
      last: isLast,
    });
    return following.apply(graph, stride > 1 ? graph.depthToSpace(preActivation, stride) : preActivation);
  };
  for (const { conv, stride, linear, before, after } of blocks) {
    if (before) value = before(graph, value);
    value = convolve(value, conv, stride, linear ? identity : act, false);
    if (after) {
      value = after(graph, value, (own, x, following = identity) => convolve(x, own, 1, following, false));
    }
  }
  value = convolve(value, head, 1, last, true);

  const stem = plan.stem.map(({ name, inputs, outputs }): LayerSummary => ({
    name,
    kind: 'linear',
    inputs,
    outputs,
    neurons: 0,
    activation: act.kind,
  }));
  let parameters = 0;
  for (const tensor of plan.candidate.tensors.values()) parameters += tensor.size;
  return {
    parameters,
    signal: { kind: 'video', channels: head.outputs, ...plan.frame, frames: count },
    domain: { kind: 'frames', divisor: plan.bothEnds ? Math.max(1, count - 1) : count },
    encoding: plan.encoding,
    activation: act.kind,
    graph: graph.build(value),
    outputRange: [0, 1],
    summary: [
      ...stem,
      ...layers.map(({ name, inputs, outputs, activation: following }): LayerSummary => ({
        name,
        kind: 'convolution',
        inputs,
        outputs,
        neurons: inputs * outputs,
        activation: following,
      })),
    ],
    layers,
  };
}
