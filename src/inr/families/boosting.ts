import type { GraphBuilder } from '../../graph/build';
import { plainActs, relu, type Act } from '../activations';
import type { Candidate, Family, Match, Near } from '../family';
import type { Affine } from '../layers';
import { askBase, timeEncoding } from './nerv';
import { askFirstMap, blocksOf, buildDecoder, convolution, type Block, type Convolution } from './video';

/** Scale and shift from the time's features: two small layers each. */
interface Sft {
  readonly scale: readonly [Affine, Affine];
  readonly shift: readonly [Affine, Affine];
}

/** After a block: x + conv1(sft1(gelu(conv0(sft0(x))))). */
interface SftBlock {
  readonly sfts: readonly [Sft, Sft];
  readonly convolutions: readonly [Convolution, Convolution];
}

function sftBlock({ layers, tensors }: Candidate, name: string): SftBlock | undefined {
  const named = (part: string) => layers.find((layer) => layer.name === `${name}.${part}`);
  const sft = (i: number): Sft | undefined => {
    const [a, b, c, d] = ['scale_conv0', 'scale_conv1', 'shift_conv0', 'shift_conv1'].map((part) =>
      named(`sft${i}.SFT_${part}`),
    );
    return a && b && c && d ? { scale: [a, b], shift: [c, d] } : undefined;
  };
  const [first, second] = [sft(0), sft(1)];
  const [one, two] = [convolution(tensors, `${name}.conv0`), convolution(tensors, `${name}.conv1`)];
  return first && second && one && two ? { sfts: [first, second], convolutions: [one, two] } : undefined;
}

const affine = (graph: GraphBuilder, layer: Affine, x: string) =>
  graph.linear(x, layer.weight(), layer.bias(), layer.outputs, layer.inputs);

/** x·(scale + 1) + shift */
function applySft(graph: GraphBuilder, x: string, { scale, shift }: Sft, condition: string): string {
  const through = ([first, second]: readonly [Affine, Affine]) => {
    const value = affine(graph, second, relu.apply(graph, affine(graph, first, condition)));
    return graph.reshape(value, [1, second.outputs, 1, 1]);
  };
  const factor = graph.op('Add', [through(scale), graph.scalar(1)]);
  return graph.op('Add', [graph.op('Mul', [x, factor]), through(shift)]);
}

interface Parts {
  readonly stem: readonly Affine[];
  readonly time: readonly Affine[];
  readonly blocks: readonly Block[];
  readonly sfts: readonly SftBlock[];
  readonly head: Convolution;
  readonly area: number;
}

function partsOf(candidate: Candidate): Parts | Near | undefined {
  const { tensors } = candidate;
  const keys = [...tensors.keys()];
  const mark = keys.find((name) => /sft_block\.sft0\.SFT_scale_conv0\.weight$/.test(name));
  if (mark === undefined) return undefined;
  const certain = (missing: string): Near => ({ likeness: 0.9, missing, certain: true });
  if (keys.some((name) => /(^|\.)decoder\.0\.conv\.downconv/.test(name))) {
    return certain('the embeddings of its frames come from an encoder that looks at the original video');
  }
  const body = keys.flatMap((name) => /^(.*?)layers\.(\d+)\.conv\.upconv\.0\.weight$/.exec(name) ?? []);
  const prefix = (body[1] as string | undefined) ?? '';
  const numbers = [
    ...new Set(keys.flatMap((name) => /layers\.(\d+)\.conv\.upconv\.0\.weight$/.exec(name)?.[1] ?? [])),
  ]
    .map(Number)
    .sort((a, b) => a - b);
  const named = (name: string) => convolution(tensors, prefix + name);
  const convolutions = numbers.flatMap((n) => named(`layers.${n}.conv.upconv.0`) ?? []);
  const sfts = numbers.flatMap((n) => sftBlock(candidate, `${prefix}layers.${n}.sft_block`) ?? []);
  const head = named('head_layer');
  const list = (name: string) =>
    candidate.layers
      .filter((layer) => layer.name.startsWith(`${prefix}${name}.`))
      .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  const [stem, time] = [list('stem'), list('stem_t')];
  const unknown = certain('its blocks are not those of Boosting-NeRV’s code');
  if (!head || head.outputs > 4 || stem.length === 0 || time.length === 0 || convolutions.length === 0)
    return unknown;
  const blocks = blocksOf(convolutions, head, convolutions[0].inputs);
  const area = stem.at(-1)!.outputs / convolutions[0].inputs;
  const fits =
    blocks !== undefined &&
    sfts.length === blocks.length &&
    convolutions.length === numbers.length &&
    Number.isInteger(area) &&
    stem[0].inputs % 2 === 0 &&
    stem[0].inputs === time[0].inputs;
  return fits ? { stem, time, blocks, sfts, head, area } : unknown;
}

/** Boosting-NeRV (Zhang et al. 2024) on NeRV: time also scales and shifts every block's result. */
export const boosting: Family = {
  id: 'boosting-nerv',
  title: 'Boosting-NeRV',
  signal: 'video',
  match: (candidate): Match | Near | undefined => {
    const parts = partsOf(candidate);
    if (!parts || 'likeness' in parts) return parts;
    const { stem, time, blocks, sfts, head, area } = parts;
    return {
      score: 0.97,
      build: (settings) => {
        const levels = stem[0].inputs / 2;
        const scale = blocks.reduce((product, { stride }) => product * stride, 1);
        const map = askFirstMap(settings, area, scale);
        const base = askBase(settings);
        let condition = '';
        const feed = (graph: GraphBuilder, layers: readonly Affine[], x: string, act: Act) =>
          layers.reduce((value, layer) => act.apply(graph, affine(graph, layer, value)), x);
        return buildDecoder(
          {
            candidate,
            start: (graph, t, act) => {
              const features = timeEncoding(graph, t, base, levels, false);
              condition = feed(graph, time, features, act);
              const value = feed(graph, stem, features, act);
              return graph.reshape(value, [1, blocks[0].conv.inputs, map.height, map.width]);
            },
            stem: [...stem, ...time],
            blocks: blocks.map((block, i): Block => ({
              ...block,
              after: (graph, x, convolve) => {
                const { sfts: pair, convolutions } = sfts[i];
                const first = convolve(
                  convolutions[0],
                  applySft(graph, x, pair[0], condition),
                  plainActs.gelu,
                );
                const second = convolve(convolutions[1], applySft(graph, first, pair[1], condition));
                return graph.op('Add', [x, second]);
              },
            })),
            head,
            frame: { height: map.height * scale, width: map.width * scale },
            encoding: `positional encoding of time, ${levels} frequencies`,
            usualAct: 'sine',
          },
          settings,
        );
      },
    };
  },
};
