import type { Tensor } from '../../checkpoint/types';
import type { GraphBuilder } from '../../graph/build';
import { plainActs, type Act } from '../activations';
import type { Candidate, Family, Match, Near } from '../family';
import type { Affine } from '../layers';
import { askBase, timeEncoding } from './nerv';
import { blocksOf, buildDecoder, convolution, type Block, type Convolution } from './video';

/** A list of affine layers `name.{i}`, each followed by the activation. */
const listOf = ({ layers }: Candidate, prefix: string, name: string) =>
  layers
    .filter((layer) => layer.name.startsWith(`${prefix}${name}.`))
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));

interface Transformer {
  readonly qkv: Affine;
  /** Absent when one head has the width of the features. */
  readonly out: Affine | undefined;
  readonly feed: readonly [Affine, Affine];
  readonly heads: number;
}

interface Parts {
  /** `[2, h·w]`: rows and columns of the first map. */
  readonly places: Tensor;
  readonly height: number;
  readonly width: number;
  readonly time: readonly Affine[];
  readonly place: readonly Affine[];
  readonly transformers: readonly [Transformer, Transformer];
  readonly toConvolution: readonly Affine[];
  readonly branch: readonly Affine[];
  /** Scale and shift of each block's input. */
  readonly modulations: readonly Affine[];
  readonly blocks: readonly Block[];
  readonly head: Convolution;
}

/** The code gives a head 64 features, and the second transformer eight heads. */
function headsOf(inner: number, usual: number): number {
  if (inner % 64 === 0 && inner / 64 <= usual) return inner / 64;
  return inner % usual === 0 ? usual : 1;
}

function transformer({ layers }: Candidate, name: string, usualHeads: number): Transformer | undefined {
  const named = (part: string) => layers.find((layer) => layer.name === `${name}.${part}`);
  const [qkv, first, second] = [named('attn.to_qkv'), named('ffn.net.0'), named('ffn.net.3')];
  if (!qkv || !first || !second || qkv.outputs % 3) return undefined;
  return {
    qkv,
    out: named('attn.to_out.0'),
    feed: [first, second],
    heads: headsOf(qkv.outputs / 3, usualHeads),
  };
}

function partsOf(candidate: Candidate): Parts | Near | undefined {
  const { tensors } = candidate;
  const key = [...tensors.keys()].find((name) => /(^|\.)xy_coord$/.test(name));
  const places = key === undefined ? undefined : tensors.get(key)!;
  if (key === undefined || places?.shape.length !== 2 || places.shape[0] !== 2) return undefined;
  const prefix = key.slice(0, -'xy_coord'.length);
  const near: Near = { likeness: 0.9, missing: 'its blocks are not those of E-NeRV’s code', certain: true };
  const list = (name: string) => listOf(candidate, prefix, name);
  const transformers = [
    transformer(candidate, `${prefix}trans1`, 1),
    transformer(candidate, `${prefix}trans2`, 8),
  ];
  const [one, two] = transformers;
  const modulations = list('t_layers');
  const heads = [...tensors.keys()]
    .flatMap((name) => /^(.*head_layers\.(\d+))\.weight$/.exec(name)?.slice(1, 3) ?? [])
    .filter((_, i) => i % 2 === 0);
  const head = heads.length > 0 ? convolution(tensors, heads.at(-1)!) : undefined;
  if (!one || !two || !head || modulations.length === 0) return near;

  // The first block is two convolutions; the one that PixelShuffle follows is nested once more.
  const named = (name: string) => convolution(tensors, `${prefix}layers.${name}`);
  const [shuffledFirst, plainSecond] = [named('0.conv1.conv'), named('0.conv2')];
  const [plainFirst, shuffledSecond] = [named('0.conv1'), named('0.conv2.conv')];
  const later = modulations.slice(1).map((_, i) => named(`${i + 1}.conv.conv`));
  const rest = later.filter((conv) => conv !== undefined);
  const afterFirst = rest[0] ?? head;
  const own: Block[] = [];
  if (shuffledFirst && plainSecond) {
    const stride = Math.sqrt(shuffledFirst.outputs / plainSecond.inputs);
    own.push({ conv: shuffledFirst, stride, linear: true }, { conv: plainSecond, stride: 1 });
    if (plainSecond.outputs !== afterFirst.inputs) return near;
  } else if (plainFirst && shuffledSecond) {
    const stride = Math.sqrt(shuffledSecond.outputs / afterFirst.inputs);
    own.push({ conv: plainFirst, stride: 1, linear: true }, { conv: shuffledSecond, stride });
  } else return near;
  const following = rest.length > 0 ? blocksOf(rest, head, rest[0].inputs) : [];
  if (!following || rest.length !== later.length || !own.every(({ stride }) => Number.isInteger(stride))) {
    return near;
  }
  const values = places.read();
  const count = places.shape[1];
  const height = new Set(values.subarray(0, count)).size;
  if (count % height) return near;
  return {
    places,
    height,
    width: count / height,
    time: list('stem_t'),
    place: list('stem_xy'),
    transformers: [one, two],
    toConvolution: list('toconv'),
    branch: list('t_branch'),
    modulations,
    blocks: [...own, ...following],
    head,
  };
}

const feed = (graph: GraphBuilder, layers: readonly Affine[], x: string, act: Act) =>
  layers.reduce((value, layer) => act.apply(graph, affine(graph, layer, value)), x);
const affine = (graph: GraphBuilder, layer: Affine, x: string) =>
  graph.linear(x, layer.weight(), layer.bias(), layer.outputs, layer.inputs);

/** x + attention(x), then x + feed-forward(x); features × places. */
function transform(
  graph: GraphBuilder,
  { qkv, out, feed: [first, second], heads }: Transformer,
  x: string,
): string {
  const inner = qkv.outputs / 3;
  const all = affine(graph, qkv, x);
  const part = (i: number) =>
    graph.reshape(graph.slice(all, 0, i * inner, (i + 1) * inner), [heads, inner / heads, -1]);
  const [q, k, v] = [part(0), part(1), part(2)];
  const swap = (value: string) => graph.op('Transpose', [value], { perm: { ints: [0, 2, 1] } });
  const dots = graph.scale(graph.op('MatMul', [swap(q), k]), (inner / heads) ** -0.5);
  const weights = graph.op('Softmax', [dots], { axis: { int: -1 } });
  const mixed = graph.reshape(graph.op('MatMul', [v, swap(weights)]), [inner, -1]);
  const attended = graph.op('Add', [out ? affine(graph, out, mixed) : mixed, x]);
  const inside = plainActs.gelu.apply(graph, affine(graph, first, attended));
  return graph.op('Add', [affine(graph, second, inside), attended]);
}

/** [sin, cos] of bᵏπ·x for each place, interleaved, as constants `[2·levels, places]`. */
function placeFeatures(values: Float32Array, base: number, levels: number): Float32Array {
  const out = new Float32Array(2 * levels * values.length);
  for (let k = 0; k < levels; k++) {
    values.forEach((x, i) => {
      const phase = Math.fround(Math.fround(x * base ** k) * Math.PI);
      out[2 * k * values.length + i] = Math.sin(phase);
      out[(2 * k + 1) * values.length + i] = Math.cos(phase);
    });
  }
  return out;
}

/** E-NeRV (Li et al. 2022): place and time apart, joined in a transformer; time modulates every block. */
export const enerv: Family = {
  id: 'e-nerv',
  title: 'E-NeRV',
  signal: 'video',
  match: (candidate): Match | Near | undefined => {
    const parts = partsOf(candidate);
    if (!parts || 'likeness' in parts) return parts;
    const { time, place, branch, modulations, blocks, head, height, width } = parts;
    const fits =
      time.length > 0 &&
      place.length > 0 &&
      branch.length > 0 &&
      time[0].inputs % 2 === 0 &&
      branch[0].inputs % 2 === 0 &&
      place[0].inputs % 4 === 0 &&
      modulations[0].outputs === 2 * blocks[0].conv.inputs &&
      head.outputs <= 4;
    if (!fits) return { likeness: 0.9, missing: 'its layers do not fit one another', certain: true };
    return {
      score: 0.97,
      build: (settings) => {
        const base = askBase(settings);
        const scale = blocks.reduce((product, { stride }) => product * stride, 1);
        let conditions: string[] = [];
        // The first block has two convolutions and one modulation.
        const modulated = blocks.map((block, i): Block => {
          const at = i === 0 ? 0 : i - 1;
          return i === 1
            ? block
            : { ...block, before: (graph, x) => modulate(graph, x, conditions[at], block.conv.inputs) };
        });
        return buildDecoder(
          {
            candidate,
            sineOmega: 30,
            start: (graph, t, act) => {
              const encode = (levels: number) => timeEncoding(graph, t, base, levels, true);
              const now = feed(graph, time, encode(time[0].inputs / 2), act);
              const condition = feed(graph, branch, encode(branch[0].inputs / 2), act);
              conditions = modulations.map((layer) => feed(graph, [layer], condition, act));
              const coordinates = parts.places.read();
              const count = coordinates.length / 2;
              const levels = place[0].inputs / 4;
              const axes = [coordinates.subarray(0, count), coordinates.subarray(count)];
              const features = graph.concat(
                axes.map((axis) => graph.constant(placeFeatures(axis, base, levels), [2 * levels, count])),
                0,
              );
              const [first, second] = parts.transformers;
              let map = transform(graph, first, feed(graph, place, features, act));
              map = transform(graph, second, graph.op('Mul', [map, now]));
              map = feed(graph, parts.toConvolution, map, act);
              return graph.reshape(map, [1, blocks[0].conv.inputs, height, width]);
            },
            stem: [...time, ...place, ...parts.toConvolution, ...branch, ...modulations],
            blocks: modulated,
            head,
            frame: { height: height * scale, width: width * scale },
            encoding: `positional encoding of time, ${time[0].inputs / 2} frequencies, and of place, ${place[0].inputs / 4}`,
            usualAct: 'gelu',
            usualFinal: 'sigmoid',
            bothEnds: true,
          },
          settings,
        );
      },
    };
  },
};

/** Instance normalisation, then a scale and a shift for each channel. */
function modulate(graph: GraphBuilder, x: string, condition: string, channels: number): string {
  const ones = new Float32Array(channels).fill(1);
  const normal = graph.instanceNorm(x, ones, new Float32Array(channels), 1e-5);
  const part = (i: number) =>
    graph.reshape(graph.slice(condition, 0, i * channels, (i + 1) * channels), [1, channels, 1, 1]);
  return graph.op('Add', [graph.op('Mul', [normal, part(0)]), part(1)]);
}
