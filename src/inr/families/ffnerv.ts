import { Tensor } from '../../checkpoint/types';
import type { GraphBuilder } from '../../graph/build';
import type { Candidate, Family, Match, Near } from '../family';
import { integerSetting } from '../settings';
import { buildDecoder, convolution, type Block, type Convolution } from './video';

/** Bits of quantised weights; 32 for none. */
const bits = integerSetting('wbit', ['weight_bits'], 1, 32);

/** As the code quantises while it runs: tanh, then rounded towards zero. */
const quantised = (values: Float32Array, wbit: number): Float32Array => {
  if (wbit > 8) return values;
  const n = 2 ** (wbit - 1) - 1;
  return values.map((value) => {
    const w = Math.tanh(value);
    return (Math.floor(Math.abs(w) * n) / n) * Math.sign(w);
  });
};

/** A convolution of `groups` parts, written with all its channels: zeros between the groups. */
function dense(conv: Convolution, groups: number): Convolution {
  if (groups === 1) return conv;
  const { outputs, inputs, kernel } = conv;
  const area = kernel[0] * kernel[1];
  const all = inputs * groups;
  const weight = new Tensor('float32', [outputs, all, ...kernel], () => {
    const own = conv.weight.read();
    const out = new Float32Array(outputs * all * area);
    for (let o = 0; o < outputs; o++) {
      const group = Math.floor(o / (outputs / groups));
      out.set(own.subarray(o * inputs * area, (o + 1) * inputs * area), (o * all + group * inputs) * area);
    }
    return out;
  });
  return { ...conv, inputs: all, weight };
}

const mapped = (conv: Convolution, change: (values: Float32Array) => Float32Array): Convolution => ({
  ...conv,
  weight: new Tensor('float32', conv.weight.shape, () => change(conv.weight.read())),
  bias: conv.bias && new Tensor('float32', conv.bias.shape, () => change(conv.bias!.read())),
});

/** The first outputs of a convolution: the frame; the rest weighs it against its neighbours. */
function firstOutputs(conv: Convolution, outputs: number): Convolution {
  const { inputs, kernel } = conv;
  const { bias } = conv;
  return {
    ...conv,
    outputs,
    weight: new Tensor('float32', [outputs, inputs, ...kernel], () =>
      conv.weight.read().slice(0, outputs * inputs * kernel[0] * kernel[1]),
    ),
    bias: bias && new Tensor('float32', [outputs], () => bias.read().slice(0, outputs)),
  };
}

interface Parts {
  readonly grids: readonly Tensor[];
  readonly blocks: readonly Block[];
  readonly head: Convolution;
}

function partsOf({ tensors }: Candidate): Parts | Near | undefined {
  const found = [...tensors]
    .map(([name, tensor]) => ({ match: /^(.*?)video_(?:field|grid)\.(\d+)$/.exec(name), tensor }))
    .filter(({ match, tensor }) => match && tensor.shape.length === 4);
  if (found.length === 0) return undefined;
  const near: Near = { likeness: 0.9, missing: 'its blocks are not those of FFNeRV’s code', certain: true };
  const prefix = found[0].match![1];
  const grids = found
    .toSorted((a, b) => Number(a.match![2]) - Number(b.match![2]))
    .map(({ tensor }) => tensor);
  const [, , height, width] = grids[0].shape;
  if (!grids.every(({ shape }) => shape[2] === height && shape[3] === width)) return near;

  const numbers = (pattern: RegExp) =>
    [...tensors.keys()].flatMap((name) => {
      const match = pattern.exec(name);
      return match && name.startsWith(prefix) ? [Number(match[1])] : [];
    });
  const layers = numbers(/layers\.(\d+)\.conv\.conv1\.weight$/).sort((a, b) => a - b);
  const heads = numbers(/head_layers\.(\d+)\.weight$/).sort((a, b) => a - b);
  const last = convolution(tensors, `${prefix}head_layers.${heads.at(-1)}`);
  if (layers.length === 0 || !last || ![3, 5].includes(last.outputs)) return near;
  let channels = grids.reduce((sum, { shape }) => sum + shape[1], 0);
  const blocks: Block[] = [];
  for (const [i, n] of layers.entries()) {
    const one = convolution(tensors, `${prefix}layers.${n}.conv.conv1`);
    const two = convolution(tensors, `${prefix}layers.${n}.conv.conv2`);
    if (!one || channels % one.inputs) return near;
    const first = dense(one, channels / one.inputs);
    const following = layers[i + 1];
    const next =
      following === undefined ? last : convolution(tensors, `${prefix}layers.${following}.conv.conv1`);
    if (!next) return near;
    // A following convolution may be in groups: its inputs are then an eighth.
    const outputs = (two ?? one).outputs;
    const stride = [next.inputs, 8 * next.inputs]
      .map((inputs) => Math.sqrt(outputs / inputs))
      .find((root) => Number.isInteger(root) && root >= 1 && root <= 16);
    if (stride === undefined) return near;
    if (two) blocks.push({ conv: first, stride: 1, linear: true }, { conv: two, stride });
    else blocks.push({ conv: first, stride });
    channels = outputs / stride ** 2;
  }
  return { grids, blocks, head: firstOutputs(last, 3) };
}

/** Rows of a grid `[T, …]` at t·T, linearly between them; the last row holds to the end. */
function look(
  graph: GraphBuilder,
  grid: Tensor,
  t: string,
  change: (values: Float32Array) => Float32Array,
): string {
  const [count, channels, height, width] = grid.shape;
  const rows = graph.constant(
    Float32Array.from({ length: count }, (_, i) => i),
    [1, count],
  );
  // Beyond the last row its weight stays one.
  const within = graph.op('Min', [graph.scale(t, count), graph.scalar(count - 1)]);
  const near = graph.op('Abs', [graph.op('Sub', [within, rows])]);
  const weights = graph.op('Relu', [graph.op('Sub', [graph.scalar(1), near])]);
  const values = graph.constant(change(grid.read()), [count, channels * height * width]);
  return graph.reshape(graph.op('MatMul', [weights, values]), [1, channels, height, width]);
}

/** FFNeRV (Lee et al. 2023): grids over time instead of an encoding; the frame before its neighbours are mixed in. */
export const ffnerv: Family = {
  id: 'ffnerv',
  title: 'FFNeRV (independent frame)',
  signal: 'video',
  match: (candidate): Match | Near | undefined => {
    const parts = partsOf(candidate);
    if (!parts || 'likeness' in parts) return parts;
    const { grids, blocks, head } = parts;
    return {
      score: 0.97,
      build: (settings) => {
        const wbit = settings.get(bits, { value: 32, source: 'default', confidence: 0.7 });
        const change = (values: Float32Array) => quantised(values, wbit);
        const [, , height, width] = grids[0].shape;
        const scale = blocks.reduce((product, { stride }) => product * stride, 1);
        return buildDecoder(
          {
            candidate,
            start: (graph, t) =>
              graph.concat(
                grids.map((grid) => look(graph, grid, t, change)),
                1,
              ),
            stem: [],
            blocks: blocks.map((block) => ({ ...block, conv: mapped(block.conv, change) })),
            head: mapped(head, change),
            frame: { height: height * scale, width: width * scale },
            encoding: `grids over time, ${grids.map(({ shape }) => shape[0]).join(', ')} rows`,
            usualAct: 'gelu',
          },
          settings,
        );
      },
    };
  },
};
