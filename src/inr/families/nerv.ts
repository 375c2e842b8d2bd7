import type { Plain, Tensor, Value } from '../../checkpoint/types';
import { asTensor } from '../../checkpoint/values';
import type { GraphBuilder } from '../../graph/build';
import type { Settings } from '../assumptions';
import type { Candidate, Family, Match, Near } from '../family';
import type { Affine } from '../layers';
import { powf } from '../powf';
import { numberSetting, sizeText, type Setting } from '../settings';
import {
  askFirstMap,
  askFrameSize,
  blocksOf,
  buildDecoder,
  convolution,
  withNorm,
  type Block,
  type Convolution,
} from './video';

/** Base b of the encoding sin(bᵏπt); configurations write `pe_1.25_80` or `1.25_40`. */
const embedBase: Setting<number> = {
  ...numberSetting('embedBase', ['embed', 'embed_base', 'lbase'], {
    choices: [1.25, 1.2, 1.15, 1.3, 1.4, 1.5, 2],
  }),
  read: (value: Plain) => {
    const text = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
    const match = /(?:^|_)(\d+(?:\.\d+)?)(?:_\d+)?$/.exec(text);
    const base = match ? Number(match[1]) : Number.NaN;
    return base > 1 && base < 10 ? base : undefined;
  },
};

export const askBase = (settings: Settings) =>
  settings.get(embedBase, { value: 1.25, source: 'default', confidence: 0.75 });

/**
 * Features of t, `[2·levels, 1]`. The code multiplies in float32, in this order, and the phases are so
 * large that another order gives other features.
 */
export function timeEncoding(
  graph: GraphBuilder,
  t: string,
  base: number,
  levels: number,
  interleaved: boolean,
): string {
  const bases = Float32Array.from({ length: levels }, (_, k) =>
    interleaved ? base ** k : powf(base, k) * Math.fround(Math.PI),
  );
  const scaled = graph.op('Mul', [graph.constant(bases, [levels, 1]), t]);
  const z = interleaved ? graph.scale(scaled, Math.PI) : scaled;
  const features = graph.concat([graph.op('Sin', [z]), graph.op('Cos', [z])], 0);
  return interleaved
    ? graph.gatherRows(
        features,
        Array.from({ length: 2 * levels }, (_, i) => (i >> 1) + (i % 2) * levels),
      )
    : features;
}

/** Modules `prefix + pattern` by the number in their names. */
function numbered(
  tensors: ReadonlyMap<string, Tensor>,
  pattern: RegExp,
): { prefix: string; names: string[] } | undefined {
  const found = [...tensors.keys()].map((key) => pattern.exec(key)).filter((match) => match !== null);
  if (found.length === 0) return undefined;
  const [prefix] = [found[0][1]];
  const own = found.filter((match) => match[1] === prefix).sort((a, b) => Number(a[2]) - Number(b[2]));
  return { prefix, names: own.map((match) => match[0].replace(/\.weight$/, '')) };
}

/** The items if none is missing. */
function all<T>(items: readonly (T | undefined)[]): readonly T[] | undefined {
  const present = items.filter((item) => item !== undefined);
  return present.length === items.length ? present : undefined;
}

/** Blocks with the norms stored under their names; undefined where there are others, or unknown ones. */
function withNorms(
  tensors: ReadonlyMap<string, Tensor>,
  blocks: readonly Block[],
  /** Name of the module that normalises a convolution. */
  nameOf: (convolution: string) => string,
  /** What else would be a norm of such a network. */
  norms: RegExp,
): readonly Block[] | undefined {
  const names = new Set(blocks.map(({ conv }) => nameOf(conv.name)));
  const others = [...tensors.keys()].some((key) => {
    const name = norms.exec(key)?.[1];
    return name !== undefined && !names.has(name);
  });
  if (others) return undefined;
  return all(
    blocks.map((block) => {
      const { conv, stride } = block;
      const normed = withNorm(tensors, conv, nameOf(conv.name), conv.outputs / stride ** 2);
      return normed && { ...block, conv: normed };
    }),
  );
}

const otherNorms = 'its blocks have normalisations other than batch or instance norms';

const scaleOf = (blocks: readonly Block[]) => blocks.reduce((scale, { stride }) => scale * stride, 1);

/** NeRV (Chen et al. 2021): `stem`, `layers.{i}.conv.conv`, `head_layers.{last}`. */
export const nerv: Family = {
  id: 'nerv',
  title: 'NeRV',
  match: (candidate): Match | Near | undefined => {
    const { tensors } = candidate;
    const body = numbered(tensors, /^(.*?)layers\.(\d+)\.conv\.conv\.weight$/);
    const heads = body && numbered(tensors, /^(.*?)head_layers\.(\d+)\.weight$/);
    if (!body || !heads) return undefined;
    const stem = candidate.layers.filter(({ name }) => name.startsWith(`${body.prefix}stem.`));
    const convolutions = all(body.names.map((name) => convolution(tensors, name)));
    const head = convolution(tensors, heads.names.at(-1)!);
    const missing = 'its blocks are not the convolution with PixelShuffle that is known';
    if (!convolutions || !head) return { likeness: 0.6, missing };
    if (stem.length === 0) return undefined;
    const rows = stem.at(-1)!.outputs;
    const area = rows / convolutions[0].inputs;
    const blocks = blocksOf(convolutions, head, convolutions[0].inputs);
    const linked = stem.every((layer, i) => i === 0 || stem[i - 1].outputs === layer.inputs);
    if (!blocks || !linked || !Number.isInteger(area) || stem[0].inputs % 2 || head.outputs > 4) {
      return { likeness: 0.6, missing };
    }
    const normalised = withNorms(
      tensors,
      blocks,
      (name) => name.replace(/conv\.conv$/, 'norm'),
      /^(.*\.(?:norm|bn)\d*)\.weight$/,
    );
    if (!normalised) return { likeness: 0.6, missing: otherNorms };
    return {
      score: 0.95,
      build: (settings) => {
        const levels = stem[0].inputs / 2;
        const scale = scaleOf(blocks);
        const map = askFirstMap(settings, area, scale);
        const base = askBase(settings);
        return buildDecoder(
          {
            candidate,
            start: (graph, t, act) => {
              const value = stem.reduce(
                (x, layer) => act.apply(graph, linear(graph, x, layer)),
                timeEncoding(graph, t, base, levels, true),
              );
              return graph.reshape(value, [1, blocks[0].conv.inputs, map.height, map.width]);
            },
            stem,
            blocks: normalised,
            head,
            frame: { height: map.height * scale, width: map.width * scale },
            encoding: `positional encoding of time, ${levels} frequencies`,
            usualAct: 'gelu',
            normalises: [],
          },
          settings,
        );
      },
    };
  },
};

const linear = (graph: GraphBuilder, x: string, layer: Affine) =>
  graph.linear(x, layer.weight(), layer.bias(), layer.outputs, layer.inputs);

interface HnervParts {
  /** From encoding or embedding to the first map. */
  readonly first: Convolution;
  readonly blocks: readonly Block[];
  readonly head: Convolution;
  readonly area: number;
}

function hnervParts({ tensors }: Candidate): HnervParts | Near | undefined {
  const first = numbered(tensors, /^(.*?)decoder\.(0)\.conv\.downconv\.weight$/);
  const body = numbered(tensors, /^(.*?)decoder\.(\d+)\.conv\.upconv\.0\.weight$/);
  if (!first || !body) return undefined;
  const missing = 'its blocks are not the convolution with PixelShuffle that is known';
  const down = convolution(tensors, first.names[0]);
  const convolutions = all(body.names.map((name) => convolution(tensors, name)));
  const head = convolution(tensors, `${body.prefix}head_layer`);
  if (!down || !convolutions || !head || head.outputs > 4) return { likeness: 0.7, missing };
  const blocks = blocksOf(convolutions, head, convolutions[0].inputs);
  const area = down.outputs / convolutions[0].inputs;
  if (!blocks || !Number.isInteger(area) || down.kernel.some((side) => side !== 1))
    return { likeness: 0.7, missing };
  const normalised = withNorms(
    tensors,
    [{ conv: down, stride: 1 }, ...blocks],
    (name) => name.replace(/conv\.(?:downconv|upconv\.0)$/, 'norm'),
    /^(.*decoder\.\d+\.(?:norm|bn)\d*)\.weight$/,
  );
  if (!normalised) return { likeness: 0.7, missing: otherNorms };
  const [start, ...rest] = normalised;
  return { first: start.conv, blocks: rest, head, area };
}

/** The frames' embeddings `[N, channels, h, w]`, quantised beside the weights in `quant_vid.pth`. */
function embeddings({ checkpoint: { root } }: Candidate, channels: number): Tensor | undefined {
  if (!(root instanceof Map)) return undefined;
  for (const key of ['embed', 'embeds', 'embedding']) {
    const tensor = asTensor((root as ReadonlyMap<string, Value>).get(key) ?? null);
    if (tensor?.shape.length === 4 && tensor.shape[1] === channels) return tensor;
  }
  return undefined;
}

/** HNeRV's code in its NeRV mode, and XINC's: time encoded, all sines before all cosines. */
export const hnervTime: Family = {
  id: 'nerv-hnerv',
  title: 'NeRV (HNeRV layout)',
  match: (candidate) => {
    const found = hnervParts(candidate);
    if (!found || 'likeness' in found) return found;
    const { first, blocks, head, area } = found;
    if (embeddings(candidate, first.inputs) || first.inputs % 2) return undefined;
    if ([...candidate.tensors.keys()].some((name) => /(^|\.)encoder\./.test(name))) return undefined;
    // An embedding of a frame has a few channels (16), an encoding of time 2·levels (160).
    return {
      score: first.inputs >= 32 ? 0.95 : 0.5,
      build: (settings) => {
        const levels = first.inputs / 2;
        const scale = scaleOf(blocks);
        const map = askFirstMap(settings, area, scale);
        const base = askBase(settings);
        return buildDecoder(
          {
            candidate,
            start: (graph, t, act, convolve) => {
              const features = timeEncoding(graph, t, base, levels, false);
              const x = graph.reshape(features, [1, 2 * levels, 1, 1]);
              const value = act.apply(graph, convolve(x, first));
              return graph.reshape(value, [1, blocks[0].conv.inputs, map.height, map.width]);
            },
            stem: [first],
            blocks,
            head,
            frame: { height: map.height * scale, width: map.width * scale },
            encoding: `positional encoding of time, ${levels} frequencies`,
            usualAct: 'gelu',
            normalises: [first],
          },
          settings,
        );
      },
    };
  },
};

/** HNeRV (Chen et al. 2023): the decoder with each frame's embedding. */
export const hnerv: Family = {
  id: 'hnerv',
  title: 'HNeRV',
  match: (candidate) => {
    const found = hnervParts(candidate);
    if (!found || 'likeness' in found) return found;
    const { first, blocks, head, area } = found;
    const embedding = embeddings(candidate, first.inputs);
    const side = Math.sqrt(area);
    if (!embedding || !Number.isInteger(side)) {
      return {
        likeness: 0.8,
        missing:
          'the embeddings of its frames are not in the file; HNeRV keeps them in quant_vid.pth, open that file',
      };
    }
    return {
      score: 0.97,
      build: (settings) => {
        const [count, channels, h, w] = embedding.shape;
        const scale = scaleOf(blocks);
        const frame = { height: h * side * scale, width: w * side * scale };
        askFrameSize(settings, [sizeText(frame)]);
        return buildDecoder(
          {
            candidate,
            start: (graph, t, act, convolve) => {
              const data = graph.constant(embedding.read(), [count, channels, h, w]);
              // t = k / count; rounding finds k again.
              const k = graph.op('Floor', [graph.op('Add', [graph.scale(t, count), graph.scalar(0.5)])]);
              const index = graph.reshape(graph.op('Cast', [k], { to: { int: 7 } }), [1]);
              const x = graph.op('Gather', [data, index], { axis: { int: 0 } });
              const value = act.apply(graph, convolve(x, first));
              // view(n, c, side, side, h, w).permute(0, 1, 4, 2, 5, 3): as PixelShuffle does.
              return side > 1 ? graph.depthToSpace(value, side) : value;
            },
            stem: [first],
            blocks,
            head,
            frame,
            encoding: `embedding of each frame, ${channels} × ${h} × ${w}`,
            usualAct: 'gelu',
            normalises: [first],
            frames: count,
          },
          settings,
        );
      },
    };
  },
};
