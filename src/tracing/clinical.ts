/** Signs of a network that does not do what it was built for, each with its threshold and what it means. */
import type { Activation, TracedLayer } from '../inr/types';
import { psnr } from './picture';
import type { Band } from './spectrum';

export type SignKind =
  | 'dead'
  | 'dead-channel'
  | 'duplicated'
  | 'saturated'
  | 'pruned'
  | 'stable-rank'
  | 'fine-detail'
  | 'orientation'
  | 'setting'
  | 'noise'
  | 'not-finite';

export interface Sign {
  readonly kind: SignKind;
  /** `good` signs say that something was looked for and not found. */
  readonly severity: 'warning' | 'note' | 'good';
  /** Dotted name; null when it is about the whole network. */
  readonly layer: string | null;
  /** What was found, with its number. */
  readonly sentence: string;
  /** The threshold, what it means and what one may do. */
  readonly explanation: string;
  /** The neurons it names, of `layer`; of a convolution kernels, and no more than a selection may hold. */
  readonly neurons: readonly number[];
  /** Of a convolution: all channels that it names, and how many kernels it is about. */
  readonly channels?: readonly number[];
  readonly kernels?: number;
}

/** What a sign counts. */
export interface Units {
  readonly one: 'neuron' | 'channel' | 'kernel';
  /** When they were looked at, as a sentence says it: ` at frame 3`. */
  readonly when: string;
  readonly name?: (index: number) => string;
}

const NEURONS: Units = { one: 'neuron', when: '' };

/** Pixels that ranks, copies and saturation are judged by. */
export const INNER_PIXELS = 2048;

/** Neurons are copies when the correlation of their activations is beyond this. */
const DUPLICATE = 0.9999;
/** A neuron is saturated where its activation is within this of its bounds … */
const NEAR_BOUND = 0.01;
/** … at this part of the pixels. */
const MOSTLY = 0.95;
/** A layer is pruned when this part of its weights is exactly zero. */
export const PRUNED = 0.2;
/** A layer uses few directions when its stable rank is below this part of its neurons. */
const FEW_DIRECTIONS = 0.02;
/** Detail is missed where the error has this part of the target's energy. */
const MISSED = 0.5;
/** Decibel by which another reading of the file must be better. */
const CLEARLY = 1;
/** Layers with more neurons are not searched for copies: it takes time in their square. */
const MOST_COMPARED = 2048;

export const plural = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;

/** `3, 17, 40` with at most `most` of them. */
export function listed(neurons: readonly (number | string)[], most = 12): string {
  const shown = neurons.slice(0, most).join(', ');
  return neurons.length > most ? `${shown} and ${neurons.length - most} more` : shown;
}

/** Neurons whose activations are zero at all pixels, or whose maps are. */
export function deadSign(
  layer: string,
  dead: readonly number[],
  neurons: number,
  { one, when, name = String }: Units = NEURONS,
): Sign {
  const found = dead.length > 0;
  return {
    kind: 'dead',
    severity: found ? (dead.length > 0.1 * neurons ? 'warning' : 'note') : 'good',
    layer,
    sentence: found
      ? `${plural(dead.length, `dead ${one}`)} of ${neurons}${when}: ${listed(dead.map(name))}.`
      : `None of ${neurons} ${one}s is dead${when}.`,
    explanation:
      'A neuron is dead when its map is zero at every pixel. It can be removed without any change; many dead ' +
      'ReLU units point to a learning rate that was too high or a bias that drifted below zero.',
    neurons: dead,
  };
}

/**
 * Groups of neurons that are copies of each other: same activation up to scale and shift at all pixels.
 * @param values `[neurons, pixels]`
 */
export function duplicates(values: Float32Array, neurons: number, imaginary?: Float32Array): number[][] {
  const pixels = values.length / neurons;
  const parts = imaginary ? [values, imaginary] : [values];
  const width = pixels * parts.length;
  // Centred rows of length one: their product is the correlation.
  const rows: (Float32Array | undefined)[] = Array.from({ length: neurons }, (_, i) => {
    const row = new Float32Array(width);
    parts.forEach((part, k) => {
      const own = part.subarray(i * pixels, (i + 1) * pixels);
      let mean = 0;
      for (let p = 0; p < pixels; p++) mean += own[p] / pixels;
      for (let p = 0; p < pixels; p++) row[k * pixels + p] = own[p] - mean;
    });
    let [square, largest] = [0, 0];
    for (let p = 0; p < width; p++) {
      square += row[p] * row[p];
      largest = Math.max(largest, Math.abs(row[p]));
    }
    // Constant neurons are not copies of each other in any useful sense.
    if (!(largest > 1e-7)) return undefined;
    const length = Math.sqrt(square);
    for (let p = 0; p < width; p++) row[p] /= length;
    return row;
  });
  const group = Array.from({ length: neurons }, (_, i) => i);
  // A few pixels tell most pairs apart.
  const few = Math.min(width, 32);
  for (let i = 0; i < neurons; i++) {
    const a = rows[i];
    if (!a || group[i] !== i) continue;
    for (let j = i + 1; j < neurons; j++) {
      const b = rows[j];
      if (!b || group[j] !== j) continue;
      if (maybeEqual(a, b, few) && Math.abs(dot(a, b, width)) > DUPLICATE) group[j] = i;
    }
  }
  const groups = new Map<number, number[]>();
  group.forEach((first, i) => groups.set(first, [...(groups.get(first) ?? []), i]));
  return [...groups.values()].filter((members) => members.length > 1);
}

/** ‖a ∓ b‖² = 2(1 − |r|): no part of it may exceed the whole. */
function maybeEqual(a: Float32Array, b: Float32Array, few: number): boolean {
  let [minus, plus] = [0, 0];
  for (let p = 0; p < few; p++) {
    minus += (a[p] - b[p]) ** 2;
    plus += (a[p] + b[p]) ** 2;
  }
  return Math.min(minus, plus) <= 2 * (1 - DUPLICATE) + 1e-6;
}

function dot(a: Float32Array, b: Float32Array, n: number): number {
  let sum = 0;
  for (let p = 0; p < n; p++) sum += a[p] * b[p];
  return sum;
}

export function duplicateSign(
  layer: string,
  values: Float32Array,
  neurons: number,
  imaginary?: Float32Array,
  { one, when }: Units = NEURONS,
): Sign {
  const explanation =
    `Two ${one}s are copies when the correlation of their activations is beyond ±${DUPLICATE}. ` +
    `Copies share one ${one}’s work: the layer could be that much narrower` +
    `${when ? ', if other frames find the same copies: trace another one' : ''}.`;
  if (neurons > MOST_COMPARED) {
    return {
      kind: 'duplicated',
      severity: 'note',
      layer,
      sentence: `Not searched for copies: it has ${neurons} ${one}s, more than ${MOST_COMPARED}.`,
      explanation,
      neurons: [],
    };
  }
  const groups = duplicates(values, neurons, imaginary);
  const named = groups.slice(0, 6).map((members) => listed(members, 6).replace(/, (?=[^,]*$)/, ' and '));
  const more = groups.length > 6 ? `; and ${plural(groups.length - 6, 'more group')}` : '';
  return {
    kind: 'duplicated',
    severity: groups.length > 0 ? 'note' : 'good',
    layer,
    sentence:
      groups.length > 0
        ? `${one === 'neuron' ? 'Copies' : 'Channels that are copies'} of each other${when}: ${named.join('; ')}${more}.`
        : `None of ${neurons} ${one}s is a copy of another${when}.`,
    explanation,
    neurons: groups.flat(),
  };
}

/** Bounds that an activation approaches but never leaves. */
const bounds: Partial<Record<Activation, readonly number[]>> = {
  tanh: [-1, 1],
  sigmoid: [0, 1],
  gaussian: [0],
};

/** @param activation what made `values`, `[neurons, pixels]` */
export function saturationSign(
  layer: string,
  activation: Activation,
  values: Float32Array,
  neurons: number,
  { one, when }: Units = NEURONS,
): Sign | undefined {
  const ends = bounds[activation];
  if (!ends) return undefined;
  const pixels = values.length / neurons;
  const saturated: number[] = [];
  for (let i = 0; i < neurons; i++) {
    let near = 0;
    for (let p = i * pixels; p < (i + 1) * pixels; p++) {
      if (ends.some((end) => Math.abs(values[p] - end) < NEAR_BOUND)) near++;
    }
    if (near >= MOSTLY * pixels) saturated.push(i);
  }
  return {
    kind: 'saturated',
    severity: saturated.length > 0.1 * neurons ? 'warning' : saturated.length > 0 ? 'note' : 'good',
    layer,
    sentence:
      saturated.length > 0
        ? `${plural(saturated.length, `saturated ${one}`)} of ${neurons}${when}: ${listed(saturated)}.`
        : `None of ${neurons} ${one}s is saturated${when}.`,
    explanation:
      `A ${one} is saturated when its ${activation} is within ${NEAR_BOUND} of ${ends.join(' or ')} at ${100 * MOSTLY} % of the ` +
      'pixels: hardly any gradient passes it. Smaller initial weights or a smaller scale help.',
    neurons: saturated,
  };
}

/** Weights that are exactly zero of each connection, taps of each kernel: `[input · outputs + output]`. */
export function zerosOf({ weight, weightImaginary, inputs, outputs }: TracedLayer): Uint32Array {
  const taps = weight.length / (inputs * outputs);
  const zeros = new Uint32Array(inputs * outputs);
  for (let k = 0; k < weight.length; k++) {
    if (weight[k] !== 0 || weightImaginary?.[k]) continue;
    const connection = Math.floor(k / taps);
    zeros[(connection % inputs) * outputs + Math.floor(connection / inputs)]++;
  }
  return zeros;
}

export function prunedSign(layer: TracedLayer): Sign {
  const { name, weight, inputs, outputs } = layer;
  const zeros = zerosOf(layer);
  const part = zeros.reduce((sum, z) => sum + z, 0) / weight.length;
  const cut = Array.from({ length: inputs }, (_, i) => i).filter((i) =>
    zeros.subarray(i * outputs, (i + 1) * outputs).every((z) => z > 0),
  );
  const found = part >= PRUNED || cut.length > 0;
  return {
    kind: 'pruned',
    severity: found ? 'note' : 'good',
    layer: name,
    sentence: found
      ? `Pruned: ${(100 * part).toFixed(0)} % of its weights are exactly zero` +
        (cut.length > 0 ? `, and nothing leaves ${plural(cut.length, 'neuron')}: ${listed(cut)}.` : '.')
      : `Not pruned: ${(100 * part).toFixed(1)} % of its weights are exactly zero.`,
    explanation:
      `A layer counts as pruned from ${100 * PRUNED} % of weights that are exactly zero, or when all weights that leave a ` +
      'neuron are. Training alone hardly ever gives an exact zero.',
    neurons: cut,
  };
}

/** @param most what the rank can be, when that is less than the number of neurons */
export function rankSign(
  layer: string,
  rank: number,
  neurons: number,
  { one, when }: Units = NEURONS,
  most = neurons,
): Sign {
  const few = rank < Math.max(1.05, FEW_DIRECTIONS * most);
  return {
    kind: 'stable-rank',
    severity: few ? 'note' : 'good',
    layer,
    sentence: `Stable rank ${rank.toFixed(1)} of ${neurons} ${one}s${when}${few ? ': they act almost as one' : ''}.`,
    explanation:
      'The stable rank ‖A‖²_F / ‖A‖²₂ of the activations counts the directions that carry them; it is below ' +
      `${100 * FEW_DIRECTIONS} % of the ${most < neurons ? 'pixels' : `${one}s`}, or below 1.05, when all ${one}s say nearly the same everywhere.`,
    neurons: [],
  };
}

export function detailSign(bands: readonly Band[]): Sign {
  const name = ({ from, to }: Band) =>
    Number.isFinite(to) ? `${from === 0 ? '0' : `1/${1 / from}`}–1/${1 / to}` : `above 1/${1 / from}`;
  // A band that the target hardly has cannot be missed in any way that matters.
  const missed = bands.filter((band) => band.missed >= MISSED && band.target > 1e-4);
  const first = missed[0];
  return {
    kind: 'fine-detail',
    severity: first ? (first.from < 1 / 8 ? 'warning' : 'note') : 'good',
    layer: null,
    sentence: first
      ? `Detail of ${missed.map(name).join(', ')} cycles a pixel is missed: ${missed
          .map((band) => `${Math.round(100 * Math.min(band.missed, 9.99))} %`)
          .join(', ')} of the target’s energy there is error.`
      : `No frequency band of the target is missed; the worst has ${(
          100 * Math.max(0, ...bands.filter((band) => band.target > 1e-4).map((band) => band.missed))
        ).toFixed(1)} % of its energy as error.`,
    explanation:
      `A band is missed from ${100 * MISSED} % of error energy by target energy (cosine transform). Missing the finest bands ` +
      'is the usual spectral bias: a larger ω₀, more encoding frequencies or longer training reach them.',
    neurons: [],
  };
}

/** Pictures that would be right if rows and columns, or a direction, were taken otherwise. */
export function orientationSign(
  picture: Float32Array,
  target: Float32Array,
  height: number,
  width: number,
  channels: number,
): Sign {
  const now = psnr(picture, target);
  const moved = (at: (y: number, x: number) => number) => {
    const out = new Float32Array(picture.length);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const from = at(y, x) * channels;
        for (let c = 0; c < channels; c++) out[(y * width + x) * channels + c] = picture[from + c];
      }
    }
    return psnr(out, target);
  };
  const tries: (readonly [string, number])[] = [
    ['upside down', moved((y, x) => (height - 1 - y) * width + x)],
    ['mirrored', moved((y, x) => y * width + width - 1 - x)],
    ['turned by 180°', moved((y, x) => (height - 1 - y) * width + width - 1 - x)],
    ...(height === width
      ? ([['with rows and columns exchanged', moved((y, x) => x * width + y)]] as const)
      : []),
  ];
  const [how, better] = tries.reduce((best, other) => (other[1] > best[1] ? other : best));
  const wrong = better > now + CLEARLY;
  return {
    kind: 'orientation',
    severity: wrong ? 'warning' : 'good',
    layer: null,
    sentence: wrong
      ? `The picture fits its target better ${how}: ${better.toFixed(1)} instead of ${now.toFixed(1)} dB.`
      : 'The picture lies as its target does.',
    explanation:
      `Turned, mirrored and transposed pictures are compared with the target; one that is ${CLEARLY} dB better means that ` +
      'the coordinates are taken in another order or direction than in training: change coords.',
    neurons: [],
  };
}

/** @param alternatives hypotheses about the file, with their score against the target */
export function settingSign(
  alternatives: readonly {
    readonly values: Readonly<Record<string, string | number | boolean>>;
    readonly psnr?: number;
  }[],
  now: number | undefined,
): Sign | undefined {
  if (now === undefined) return undefined;
  const scored = alternatives.filter((other) => other.psnr !== undefined);
  if (scored.length === 0) return undefined;
  const best = scored.reduce((a, b) => (b.psnr! > a.psnr! ? b : a));
  const wrong = best.psnr! > now + CLEARLY;
  const values = Object.entries(best.values)
    .map(([name, value]) => `${name} = ${value}`)
    .join(', ');
  return {
    kind: 'setting',
    severity: wrong ? 'warning' : 'good',
    layer: null,
    sentence: wrong
      ? `With ${values} the picture would reach ${best.psnr!.toFixed(1)} instead of ${now.toFixed(1)} dB.`
      : `No other ω₀ or coordinates that were tried fit the target better (${scored.length} tried).`,
    explanation: `Settings that the file does not state were tried against the target; another one must be ${CLEARLY} dB better.`,
    neurons: [],
  };
}

/**
 * Without a target: a picture of noise is what a wrong ω₀ or wrong coordinates give.
 * @param picture `[height, width, channels]`
 */
export function noiseSign(picture: Float32Array, height: number, width: number, channels: number): Sign {
  let [steps, spread, mean] = [0, 0, 0];
  const n = height * width * channels;
  for (let k = 0; k < n; k++) mean += picture[k] / n;
  for (let k = 0; k < n; k++) spread += (picture[k] - mean) ** 2 / n;
  let count = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x + 1 < width; x++) {
      for (let c = 0; c < channels; c++) {
        const at = (y * width + x) * channels + c;
        steps += (picture[at + channels] - picture[at]) ** 2;
        count++;
      }
    }
  }
  // Neighbours of white noise differ by twice its variance.
  const ratio = spread > 0 && count > 0 ? steps / count / (2 * spread) : 0;
  const noisy = ratio > 0.6;
  return {
    kind: 'noise',
    severity: noisy ? 'warning' : 'good',
    layer: null,
    sentence: noisy
      ? `The picture looks like noise: neighbouring pixels differ ${(100 * ratio).toFixed(0)} % as much as unrelated ones.`
      : `The picture is no noise: neighbouring pixels differ ${(100 * ratio).toFixed(0)} % as much as unrelated ones.`,
    explanation:
      'From 60 % on, the network was probably run with another ω₀, another coordinate range or other activations ' +
      'than it was trained with. Natural pictures are below 20 %. A target picture tells more.',
    neurons: [],
  };
}

/** @param values by what they are called */
export function finiteSign(values: Readonly<Record<string, Float32Array>>): Sign | undefined {
  const bad = Object.entries(values).flatMap(([name, data]) => {
    const count = data.reduce((sum, v) => sum + (Number.isFinite(v) ? 0 : 1), 0);
    return count > 0 ? [`${name} (${count})`] : [];
  });
  if (bad.length === 0) return undefined;
  return {
    kind: 'not-finite',
    severity: 'warning',
    layer: null,
    sentence: `Not a number or infinite: ${bad.join(', ')}.`,
    explanation:
      'Training diverged before this checkpoint was saved: take an earlier one, or a lower learning rate.',
    neurons: [],
  };
}
