import type { Tensor } from '../checkpoint/types';
import { weightScale, type WeightScale } from './cues';
import type { Candidate } from './family';
import { chain, commonPrefix, nameRuns, type Affine, type NameRun } from './layers';

/** How a code base names the layers of its MLP, without prefixes. */
export type Layout =
  /** `net.{i}.linear`, `last_layer.linear` */
  | 'coin'
  /** `net.{i}.linear`, `net.{L}` */
  | 'notebook'
  /** `net.{i}.linear` to the last */
  | 'all-linear'
  /** `net.net.{i}.0` */
  | 'official'
  /** `layers.{i}`, `last_layer` */
  | 'lucidrains'
  /** `layers.{i}.fc`, `layers.{L}` */
  | 'jhlew'
  /** `network.{0,2,4}` */
  | 'dalmia'
  /** `{0,2,4}`: a Sequential with activations between */
  | 'sequential'
  | 'other';

/** Affine layers that feed one another from few inputs to few channels. */
export interface CoordinateChain {
  readonly layers: readonly Affine[];
  readonly layout: Layout;
  /** Tokens of all names, lower case, for hints such as `siren`. */
  readonly words: ReadonlySet<string>;
  readonly inputs: number;
  readonly channels: number;
  readonly scale: WeightScale;
  /** The input joins again before a layer. */
  readonly joined: boolean;
}

function layoutOf(runs: readonly NameRun[], prefix: readonly string[]): Layout {
  const [first, second] = runs;
  const steps = first.numbers.slice(1).map((n, i) => n - first.numbers[i]);
  if (runs.length === 1) {
    if (/^#\.linear$/.test(first.shape)) return 'all-linear';
    if (/^(net\.)?#\.0$/.test(first.shape)) return 'official';
    if (first.shape === '#' && steps.every((step) => step === 2)) {
      return prefix.at(-1) === 'network' ? 'dalmia' : 'sequential';
    }
    return 'other';
  }
  if (runs.length === 2 && second.numbers.length === 1) {
    if (/(^|\.)#\.linear$/.test(first.shape)) {
      if (/(^|\.)last_layer\.linear$/.test(second.shape)) return 'coin';
      if (second.shape === '#') return 'notebook';
    }
    if (/(^|\.)layers\.#$/.test(first.shape) && /(^|\.)last_layer$/.test(second.shape)) return 'lucidrains';
    if (/(^|\.)#\.fc$/.test(first.shape) && second.shape === '#') return 'jhlew';
    // The last block of FCBlock has no activation and is a Sequential all the same: `.0`.
    if (/(^|\.)#\.0$/.test(first.shape) && second.shape === '#') return 'official';
  }
  return 'other';
}

export const MAX_CHANNELS = 4;
/**
 * Of networks with a SIREN's weights, of graphs, and of those that are said to paint a picture: they paint
 * spectral bands or stacked signals too. The first three are shown.
 */
export const MAX_BANDS = 16;
/** Coordinates that a network without encoding takes: a place, time, and a parameter or two. */
export const MAX_COORDINATES = 6;

/** Every family asks for the same chain, and hypotheses ask again. */
const known = new WeakMap<readonly Affine[], CoordinateChain | 'none'>();

/** The candidate's layers (or the given ones) as a coordinate MLP, when they form a chain to few channels. */
export function coordinateChain(
  candidate: Candidate,
  layers: readonly Affine[] = candidate.layers,
): CoordinateChain | undefined {
  const found = joiningChain(candidate, layers);
  return found?.joined ? undefined : found;
}

/** {@link coordinateChain}, or one whose input joins again before some layers. */
export function joiningChain(
  candidate: Candidate,
  layers: readonly Affine[] = candidate.layers,
): CoordinateChain | undefined {
  const found = known.get(layers) ?? findChain(layers) ?? 'none';
  known.set(layers, found);
  if (found === 'none') return undefined;
  const most = found.scale === 'sine' || candidate.meant ? MAX_BANDS : MAX_CHANNELS;
  return found.channels <= most ? found : undefined;
}

function findChain(layers: readonly Affine[]): CoordinateChain | undefined {
  const plain = chain(layers);
  const ordered = plain ?? chain(layers, true);
  if (!ordered) return undefined;
  const [first, last] = [ordered[0], ordered.at(-1)!];
  const paths = ordered.map((layer) => layer.path);
  return {
    layers: ordered,
    layout: layoutOf(nameRuns(ordered), commonPrefix(paths)),
    words: new Set(paths.flat().map((token) => token.toLowerCase())),
    inputs: first.inputs,
    channels: last.outputs,
    scale: weightScale(ordered),
    joined: plain === undefined,
  };
}

/** Buffers that say nothing about the function: coordinate lists, the picture itself, counters. */
const BYSTANDER =
  /(^|[._/])(grid|m?grid|coords?|coordinates?|meshgrid|pixels?|image|img|gt|target|mean|std|epoch|step|iteration|psnr|best_psnr)s?$/i;

/** Flags and counts of steps, as averaged copies and schedules keep them. */
const isCounter = ({ shape, dtype }: Tensor) => shape.length === 0 && /^(u?int|bool)/.test(dtype);

/** Tensors that a family has no place for. */
export function unexplained(
  others: ReadonlyMap<string, Tensor>,
  known: (name: string) => boolean = () => false,
): string[] {
  return [...others].flatMap(([name, tensor]) =>
    known(name) || BYSTANDER.test(name) || isCounter(tensor) ? [] : [name],
  );
}

/** Whether all hidden layers have one width, as coordinate networks' usually do. */
export const regular = ({ layers }: CoordinateChain) =>
  layers.slice(0, -1).every((layer) => layer.outputs === layers[0].outputs);
