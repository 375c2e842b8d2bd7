import { askActivations } from '../ask';
import type { Fallback } from '../assumptions';
import { isConstant } from '../constants';
import { weightOmega } from '../cues';
import type { Candidate, Family } from '../family';
import { gridInside, sizeInside } from '../inside';
import { joiningChain, MAX_COORDINATES, unexplained, type CoordinateChain, type Layout } from '../layouts';
import { buildMlp, noEncoding } from '../mlp';
import { hiddenActivations, type RangeName } from '../settings';
import type { CoordinateConvention } from '../types';

/** A code base's SIREN: how it names layers and what it hard-codes. */
interface Dialect {
  readonly id: string;
  readonly title: string;
  readonly layouts: readonly Layout[];
  /** How sure names and shapes alone make it. */
  readonly score: number;
  /** Usual ω of the hidden layers; the first layer's is 30 everywhere. */
  readonly hidden: number;
  readonly coords: CoordinateConvention;
  readonly range: RangeName;
}

const DIALECTS: readonly Dialect[] = [
  {
    id: 'siren-coin',
    title: 'SIREN (COIN layout)',
    layouts: ['coin'],
    score: 0.93,
    hidden: 30,
    coords: 'rc-height',
    range: '0..1',
  },
  {
    id: 'siren-official',
    title: 'SIREN (vsitzmann/siren layout)',
    layouts: ['official'],
    score: 0.9,
    hidden: 30,
    coords: 'rc-per-side',
    range: '-1..1',
  },
  {
    id: 'siren-notebook',
    title: 'SIREN (notebook layout)',
    layouts: ['notebook', 'all-linear'],
    score: 0.85,
    hidden: 30,
    coords: 'rc-per-side',
    range: '-1..1',
  },
  {
    id: 'siren-lucidrains',
    title: 'SIREN (siren-pytorch layout)',
    layouts: ['lucidrains'],
    score: 0.9,
    hidden: 1,
    coords: 'rc-per-side',
    range: '0..1',
  },
  {
    id: 'siren-jhlew',
    title: 'SIREN (SIREN_pytorch layout)',
    layouts: ['jhlew'],
    score: 0.85,
    hidden: 1,
    coords: 'rc-per-side',
    range: '-1..1',
  },
  {
    id: 'siren-dalmia',
    title: 'SIREN (dalmia/siren layout)',
    layouts: ['dalmia'],
    score: 0.7,
    hidden: 1,
    coords: 'rc-per-side-01-open',
    range: '0..255',
  },
  {
    id: 'siren',
    title: 'SIREN',
    layouts: ['sequential', 'other'],
    // Below what is taken, until the weights or a name speak for it.
    score: 0.3,
    hidden: 30,
    coords: 'rc-per-side',
    range: '-1..1',
  },
];

const HINT = /siren|sine/;

/** How sure names, stated activation and weight scale together make a sine network. */
function score(candidate: Candidate, net: CoordinateChain, dialect: Dialect): number {
  if (candidate.activation !== undefined) return candidate.activation === 'sine' ? 0.97 : 0;
  const named = [...net.words].some((word) => HINT.test(word));
  const base = named ? Math.max(dialect.score, 0.85) : dialect.score;
  if (net.scale === 'sine') return Math.max(base, dialect.id === 'siren' ? 0.75 : base);
  if (net.scale === 'unknown') return base;
  // Weights of the size SIREN gives hidden layers with ω = 1; also He's initialisation of ReLU nets.
  if (net.scale === 'unit' && (dialect.hidden === 1 || named)) return base;
  return base * (named || dialect.id === 'siren-coin' ? 0.8 : 0.4);
}

const OMEGAS = [30, 20, 10, 60, 5, 90, 120, 1];

/** ω of the hidden layers: the code base's own when the weights allow it, else the nearest usual one. */
function hiddenFallback(net: CoordinateChain, usual: number): Fallback<number> {
  const seen = weightOmega(net.layers);
  if (seen === undefined) return { value: usual, source: 'default', confidence: 0.6 };
  const detail = `hidden weights are as large as SIREN’s for ω ≈ ${seen.toFixed(1)} before training`;
  // Training lowers the estimate by up to a quarter, or raises it in narrow networks (measured).
  const fits = (omega: number) => seen > 0.6 * omega && seen < 1.9 * omega;
  if (fits(usual)) return { value: usual, source: 'inferred', confidence: 0.85, detail };
  const distance = (omega: number) => Math.abs(Math.log(seen / (0.87 * omega)));
  const nearest = OMEGAS.reduce((best, omega) => (distance(omega) < distance(best) ? omega : best));
  return { value: nearest, source: 'inferred', confidence: 0.5, detail };
}

const family = (dialect: Dialect): Family => ({
  id: dialect.id,
  title: dialect.title,
  match: (candidate) => {
    const net = joiningChain(candidate);
    if (!net || net.inputs > MAX_COORDINATES || !dialect.layouts.includes(net.layout)) return undefined;
    // More coordinates than a place has are rows of a table, unless the weights are a SIREN's.
    if (net.inputs > 3 && net.scale !== 'sine' && ![...net.words].some((word) => HINT.test(word))) {
      return undefined;
    }
    const unknown = unexplained(candidate.others, (name) => isConstant(name, candidate.others.get(name)));
    if (unknown.length) return { likeness: 0.5, missing: `no place for the tensor ${unknown[0]}` };
    const sure = score(candidate, net, dialect);
    if (sure === 0) return undefined;
    return {
      score: sure,
      build: (settings) => {
        const fits = net.scale === 'sine';
        const acts = askActivations(settings, net.layers, {
          others: candidate.others,
          hidden: {
            value: 'sine',
            source: fits ? 'inferred' : 'default',
            confidence: sure,
            ...(fits && { detail: 'the weights have the size that SIREN gives them' }),
            choices: net.layout === 'coin' ? ['sine'] : hiddenActivations,
          },
          omega: {
            first: { value: 30, source: 'default', confidence: fits ? 0.8 : 0.6, choices: OMEGAS },
            hidden: (first) => ({
              ...hiddenFallback(net, dialect.hidden === 30 ? first : dialect.hidden),
              choices: OMEGAS,
            }),
          },
          final: {
            // A last layer that is a SineLayer too (`outermost_linear=False`) is named like one.
            value: net.layout === 'all-linear' ? 'sine' : 'identity',
            source: 'default',
            confidence: ['lucidrains', 'all-linear'].includes(net.layout) ? 0.6 : 0.85,
            choices: ['identity', 'sigmoid', 'tanh', 'sine'],
          },
        });
        const grid = gridInside(candidate);
        const size = grid?.size ?? sizeInside(candidate);
        return buildMlp(
          {
            layers: net.layers,
            acts,
            encoding: noEncoding(net.inputs),
            picture: {
              coords: grid?.coords ?? {
                value: dialect.coords,
                source: 'default',
                confidence: 0.5,
                detail: `as ${dialect.title} does`,
              },
              range: { value: dialect.range, source: 'default', confidence: 0.6 },
              ...(size && { size }),
            },
          },
          settings,
        );
      },
    };
  },
});

/** Networks of sine layers, by the layouts their code bases save. */
export const sirens: readonly Family[] = DIALECTS.map(family);
