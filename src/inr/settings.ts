import type { Plain } from '../checkpoint/types';
import { commonConventions, conventionName, parseConvention } from './coordinates';
import type { Configuration } from './configuration';
import type { CoordinateConvention } from './types';

export type SettingValue = string | number | boolean;

/** Something the tensors alone do not say: its name for `--set`, its names in the wild, how to read it. */
export interface Setting<T extends SettingValue> {
  readonly name: string;
  /** Names used in configurations, the most specific first. */
  readonly aliases: readonly string[];
  /** What `--set` takes, in words: “a positive number”. */
  readonly expects: string;
  /** Values to choose from or to score against a picture. */
  readonly choices?: readonly T[];
  /** Meaning of a configuration's value or of `--set` text; undefined when it has none. */
  read(value: Plain): T | undefined;
  /** For settings that follow from several entries of a configuration. */
  derive?(
    configuration: Configuration,
  ): { readonly value: T; readonly source: Found['source']; readonly detail: string } | undefined;
}
type Found = NonNullable<ReturnType<Configuration['find']>>;

const asNumber = (value: Plain): number | undefined => {
  if (Array.isArray(value) && value.length > 0) return asNumber((value as readonly Plain[])[0]);
  const n =
    typeof value === 'number'
      ? value
      : typeof value === 'string' && value.trim() !== ''
        ? Number(value)
        : Number.NaN;
  return Number.isFinite(n) ? n : undefined;
};

export function numberSetting(
  name: string,
  aliases: readonly string[],
  options: { readonly choices?: readonly number[]; readonly min?: number; readonly max?: number } = {},
): Setting<number> {
  const { min = Number.MIN_VALUE, max = 1e6, choices } = options;
  return {
    name,
    aliases,
    expects: min > 0 ? 'a positive number' : `a number from ${min} to ${max}`,
    ...(choices && { choices }),
    read: (value) => {
      const n = asNumber(value);
      return n !== undefined && n >= min && n <= max ? n : undefined;
    },
  };
}

export function integerSetting(
  name: string,
  aliases: readonly string[],
  min: number,
  max: number,
): Setting<number> {
  return {
    name,
    aliases,
    expects: `a whole number from ${min} to ${max}`,
    read: (value) => {
      const n = asNumber(value);
      return n !== undefined && Number.isInteger(n) && n >= min && n <= max ? n : undefined;
    },
  };
}

/** @param synonyms lower-case words of code bases and what they mean here; the choices mean themselves */
export function choiceSetting<T extends string>(
  name: string,
  aliases: readonly string[],
  choices: readonly T[],
  synonyms: Readonly<Record<string, T>> = {},
): Setting<T> {
  const meanings = new Map<string, T>([
    ...choices.map((choice) => [choice.toLowerCase(), choice] as const),
    ...Object.entries(synonyms),
  ]);
  return {
    name,
    aliases,
    expects: `one of ${choices.join(', ')}`,
    choices,
    read: (value) =>
      value === null
        ? meanings.get('none')
        : typeof value === 'object'
          ? undefined
          : meanings.get(String(value).trim().toLowerCase()),
  };
}

/** Name of an activation as PyTorch, Keras and research code spell it. */
const activationSynonyms = {
  sin: 'sine',
  siren: 'sine',
  gauss: 'gaussian',
  silu: 'swish',
  leaky_relu: 'leaky-relu',
  leakyrelu: 'leaky-relu',
  leaky: 'leaky-relu',
  prelu: 'leaky-relu',
  none: 'identity',
  linear: 'identity',
  false: 'identity',
  '': 'identity',
  id: 'identity',
} as const;

export const hiddenActivations = [
  'sine',
  'relu',
  'gaussian',
  'finer',
  'gelu',
  'tanh',
  'sigmoid',
  'swish',
  'softplus',
  'elu',
  'selu',
  'leaky-relu',
] as const;
export type HiddenActivation = (typeof hiddenActivations)[number];

export const activation: Setting<HiddenActivation> = {
  ...choiceSetting(
    'activation',
    ['activation', 'hidden_act', 'act', 'nonlin', 'nonlinearity', 'non_linearity', 'act_fn', 'model_type'],
    hiddenActivations,
    activationSynonyms as unknown as Record<string, HiddenActivation>,
  ),
};

export const finalActivations = [
  'identity',
  'sigmoid',
  'tanh',
  'sine',
  'relu',
  'add-half',
  'tanh01',
] as const;
/** `add-half` is y + 0.5; `tanh01` is (tanh(y) + 1) / 2. */
export type FinalActivation = (typeof finalActivations)[number];

export const finalActivation = choiceSetting<FinalActivation>(
  'finalActivation',
  [
    'final_act',
    'final_activation',
    'last_activation',
    'last_act',
    'output_act',
    'out_act',
    'output_activation',
  ],
  finalActivations,
  { ...activationSynonyms, none: 'identity' } as unknown as Record<string, FinalActivation>,
);

const OMEGA_CHOICES = [30, 10, 20, 60, 5, 1, 90, 120];

/** ω of the first sine layer (or WIRE's, FINER's). */
export const omega0 = numberSetting(
  'omega0',
  [
    'first_omega_0',
    'first_omega',
    'w0_initial',
    'w0_init',
    'w0i',
    'first_w0',
    'omega_0',
    'omega0',
    'omega',
    'w0',
    'w_0',
    'sine_freq',
  ],
  { choices: OMEGA_CHOICES },
);

/** ω of the other sine layers. */
export const hiddenOmega = numberSetting(
  'hiddenOmega',
  ['hidden_omega_0', 'hidden_omega', 'hidden_w0', 'w0_hidden', 'w0', 'w_0', 'omega_0', 'omega0', 'omega'],
  { choices: OMEGA_CHOICES },
);

/** s of a Gaussian exp(−(s·z)²) or of WIRE's envelope. */
export const scale = numberSetting(
  'scale',
  ['scale_0', 'scale0', 'scale', 'sigma_0', 'sigma0', 'sigma', 's0'],
  {
    choices: [30, 10, 5, 20, 1],
  },
);

/** Factors on the frequencies 2^k, or on Bx. */
export const frequencyFactors = { '1': 1, pi: Math.PI, '2pi': 2 * Math.PI } as const;
export type FrequencyFactor = keyof typeof frequencyFactors;
export const frequencyFactor = choiceSetting<FrequencyFactor>(
  'frequencyFactor',
  ['frequency_factor'],
  ['1', 'pi', '2pi'],
);

/** A yes or no. */
export const flag = (value: Plain): boolean | undefined => {
  if (typeof value === 'boolean') return value;
  if (value === 0 || value === 1) return value === 1;
  if (typeof value === 'string' && /^(true|false|yes|no)$/i.test(value)) return /^(true|yes)$/i.test(value);
  return undefined;
};
export const booleanSetting = (name: string, aliases: readonly string[]): Setting<boolean> => ({
  name,
  aliases,
  expects: 'true or false',
  choices: [true, false],
  read: flag,
});

/** Pairs of numbers like [-1, 1] or "-1,1" or "(-1, 1)". */
export function pair(value: Plain): readonly [number, number] | undefined {
  const numbers = Array.isArray(value)
    ? (value as readonly Plain[]).map(asNumber)
    : typeof value === 'string'
      ? (value.match(/-?\d+(\.\d+)?/g) ?? []).map(Number)
      : [];
  return numbers.length === 2 && numbers.every((n) => n !== undefined)
    ? (numbers as unknown as readonly [number, number])
    : undefined;
}

/** Row and column order, scale and sampling of the coordinates; see `coordinates.ts`. */
export const coords: Setting<CoordinateConvention> = {
  name: 'coords',
  aliases: ['coords', 'coordinate_convention', 'coordinates'],
  expects: `a convention such as ${commonConventions.slice(0, 4).join(', ')}`,
  choices: commonConventions,
  read: (value) => {
    if (typeof value !== 'string') return undefined;
    try {
      return parseConvention(value);
    } catch {
      return undefined;
    }
  },
  /** XINC's options: `coord_separate_norm` and `coord_normalize_range`. */
  derive: (configuration) => {
    const separate = configuration.find(['coord_separate_norm'], flag);
    if (!separate) return undefined;
    const range = configuration.find(['coord_normalize_range'], pair);
    return {
      ...separate,
      value: conventionName({
        order: 'rc',
        scale: separate.value ? 'per-side' : 'longest',
        unit: range?.value[0] === 0,
        sampling: 'ends',
      }),
    };
  },
};

export const MAX_SIDE = 65_536;
/** Pixels of the largest picture: 2²⁸, a 16384 × 16384 one. */
export const MAX_PIXELS = 2 ** 28;

export interface Size {
  readonly height: number;
  readonly width: number;
}
export const sizeText = ({ height, width }: Size) => `${height}x${width}`;

/** Reads `HxW`; undefined when it is none or beyond the limits. */
export function parseSize(text: string): Size | undefined {
  const match = /^\s*(\d{1,6})\s*[x×X,*_]\s*(\d{1,6})\s*$/.exec(text);
  if (!match) return undefined;
  const [height, width] = [Number(match[1]), Number(match[2])];
  const fits = (n: number) => n >= 1 && n <= MAX_SIDE;
  return fits(height) && fits(width) && height * width <= MAX_PIXELS ? { height, width } : undefined;
}

const sizeFrom = (value: Plain): string | undefined => {
  if (typeof value === 'string') {
    const inner = value.replace(/^[[(]\s*|\s*[\])]$/g, '');
    const size = parseSize(inner) ?? parseSize(`${inner}x${inner}`);
    return size && sizeText(size);
  }
  if (typeof value === 'number') return sizeFrom(`${value}x${value}`);
  if (!Array.isArray(value)) return undefined;
  // [H, W], [H, W, 3], [3, H, W] and [T, H, W] occur.
  const numbers = (value as readonly Plain[]).map(asNumber).filter((n) => n !== undefined);
  if (numbers.length !== value.length) return undefined;
  const sides =
    numbers.length === 3
      ? numbers[2] <= 4
        ? numbers.slice(0, 2)
        : numbers.slice(1)
      : numbers.length === 1
        ? [numbers[0], numbers[0]]
        : numbers;
  return sides.length === 2 ? sizeFrom(sides.join('x')) : undefined;
};

/** Picture size as text, `HxW`. */
export const size: Setting<string> = {
  name: 'size',
  aliases: [
    'size',
    'data_shape',
    'image_shape',
    'img_shape',
    'image_size',
    'img_size',
    'resolution',
    'res',
    'sidelength',
    'side_length',
    'sidelen',
  ],
  expects: `height × width in pixels, such as 128x256, each from 1 to ${MAX_SIDE} and at most ${MAX_PIXELS} pixels in all`,
  read: sizeFrom,
  derive: (configuration) => {
    const side = (names: readonly string[]) => configuration.find(names, asNumber);
    const height = side(['image_height', 'img_height', 'height', 'img_h', 'H']);
    const width = side(['image_width', 'img_width', 'width', 'img_w', 'W']);
    if (height && width) {
      const value = sizeFrom(`${height.value}x${width.value}`);
      if (value) return { ...height, value };
    }
    // `img_wh` is (width, height) as its name says.
    return configuration.find(['img_wh', 'image_wh', 'wh'], (value) => {
      const wh = pair(value);
      return wh && sizeFrom(`${wh[1]}x${wh[0]}`);
    });
  },
};

export const ranges = ['0..1', '-1..1', '0..255'] as const;
export type RangeName = (typeof ranges)[number];

/** Output values shown as black and as white. */
export const range: Setting<RangeName> = {
  ...choiceSetting<RangeName>('range', ['data_range', 'output_range', 'out_range'], ranges),
  read: (value) => {
    const numbers = pair(typeof value === 'string' ? value.replace('..', ',') : value);
    return numbers && ranges.find((name) => name === `${numbers[0]}..${numbers[1]}`);
  },
  derive: (configuration) =>
    configuration.find<RangeName>(['zero_mean'], (value) => {
      const zeroMean = flag(value);
      return zeroMean === undefined ? undefined : zeroMean ? '-1..1' : '0..1';
    }) ??
    configuration.find<RangeName>(['not_zero_mean'], (value) => {
      const not = flag(value);
      return not === undefined ? undefined : not ? '0..1' : '-1..1';
    }),
};

export const rangeValues = (name: RangeName): readonly [number, number] => {
  const [black, white] = name.split('..').map(Number);
  return [black, white];
};
