import { askActivations } from '../ask';
import { encodingOrders, encodingsOf, positionalEncoding, type EncodingOrder } from '../encodings';
import type { Candidate, Family } from '../family';
import { sizeInside } from '../inside';
import { joiningChain, regular, unexplained, type CoordinateChain, type Layout } from '../layouts';
import { buildMlp } from '../mlp';
import { choiceSetting, frequencyFactor, frequencyFactors, type FrequencyFactor } from '../settings';
import type { CoordinateConvention } from '../types';

/** Order of the sines and cosines; see `encodings.ts`. */
const encoding = choiceSetting<EncodingOrder>('encoding', ['encoding_order'], encodingOrders);

interface Dialect {
  readonly id: string;
  readonly title: string;
  readonly layouts: readonly Layout[];
  readonly score: number;
  readonly order: EncodingOrder;
  readonly factor: FrequencyFactor;
  readonly coords: CoordinateConvention;
}

const DIALECTS: readonly Dialect[] = [
  {
    id: 'posenc-wire',
    title: 'Positional encoding + MLP (WIRE layout)',
    layouts: ['notebook'],
    score: 0.8,
    order: 'interleaved',
    factor: 'pi',
    coords: 'xy-per-side',
  },
  {
    id: 'posenc-official',
    title: 'Positional encoding + MLP (vsitzmann/siren layout)',
    layouts: ['official'],
    score: 0.8,
    order: 'interleaved',
    factor: 'pi',
    coords: 'rc-per-side',
  },
  {
    id: 'posenc-finer',
    title: 'Positional encoding + MLP (FINER, nerf_pl layout)',
    layouts: ['sequential', 'dalmia'],
    score: 0.75,
    order: 'nerf',
    factor: '1',
    coords: 'rc-per-side',
  },
  {
    id: 'posenc',
    title: 'Positional encoding + MLP',
    layouts: ['all-linear', 'lucidrains', 'coin', 'jhlew', 'other'],
    score: 0.65,
    order: 'nerf',
    factor: 'pi',
    coords: 'rc-per-side',
  },
];

/** Options that only networks with an encoding have. */
const ENCODING_OPTIONS = [
  'pos_encoding',
  'posenc',
  'use_pe',
  'encoding',
  'multires',
  'num_frequencies',
  'num_freqs',
  'n_freqs',
  'n_frequencies',
  'sidelength',
];
const HINT = /^(pe|nerf|inr|posenc|pos_enc|positional_encoding|encoding|embedder|pemlp)$/;

/** Tabular networks have such fan-ins too, by chance: three channels or a hint are asked for. */
function sure(candidate: Candidate, net: CoordinateChain, dialect: Dialect, levels: number): number {
  const hinted =
    !['sequential', 'dalmia', 'other'].includes(net.layout) ||
    [...net.words].some((word) => HINT.test(word)) ||
    sizeInside(candidate) !== undefined ||
    candidate.configuration.find(ENCODING_OPTIONS, () => true) !== undefined;
  const score = hinted ? Math.max(dialect.score, 0.8) : dialect.score;
  // A deep network of one width with some octaves may also paint in grey.
  const deep = net.layers.length >= 4 && levels >= 4 && regular(net) && net.channels === 1;
  if (!hinted && !deep && (net.channels !== 3 || levels < 3 || net.layers.length < 3)) return score * 0.4;
  return regular(net) ? score : score * 0.6;
}

const family = (dialect: Dialect): Family => ({
  id: dialect.id,
  title: dialect.title,
  match: (candidate) => {
    const net = joiningChain(candidate);
    if (!net || net.inputs < 5 || !dialect.layouts.includes(net.layout)) return undefined;
    const [plan] = encodingsOf(net.inputs);
    if (!plan || plan.dims === 1) return undefined;
    if (unexplained(candidate.others).length) return undefined;
    return {
      score: sure(candidate, net, dialect, plan.levels),
      build: (settings) => {
        const order = settings.get(encoding, { value: dialect.order, source: 'default', confidence: 0.6 });
        const factor = settings.get(frequencyFactor, {
          value: dialect.factor,
          source: 'default',
          confidence: 0.6,
        });
        const acts = askActivations(settings, net.layers, {
          hidden: { value: 'relu', source: 'default', confidence: 0.85 },
          final: {
            value: 'identity',
            source: 'default',
            confidence: 0.6,
            choices: ['identity', 'sigmoid', 'tanh'],
          },
        });
        const size = sizeInside(candidate);
        return buildMlp(
          {
            layers: net.layers,
            acts,
            encoding: positionalEncoding({
              dims: plan.dims,
              frequencies: Array.from({ length: plan.levels }, (_, k) => 2 ** k * frequencyFactors[factor]),
              order,
              includeInput: plan.includeInput,
            }),
            picture: {
              coords: {
                value: dialect.coords,
                source: 'default',
                confidence: 0.5,
                detail: 'as the code base of this layout does',
              },
              range: { value: '0..1', source: 'default', confidence: 0.75 },
              ...(size && { size }),
            },
          },
          settings,
        );
      },
    };
  },
});

/** Positional encodings that the file does not store, told from the first layer’s number of inputs. */
export const posenc: readonly Family[] = DIALECTS.map(family);
