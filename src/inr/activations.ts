import type { GraphBuilder } from '../graph/build';
import type { FinalActivation, HiddenActivation } from './settings';
import type { Activation } from './types';

/** An activation as graph nodes and, where it is monotone, as a function of one number. */
export interface Act {
  readonly kind: Activation;
  /** Adds σ(z) to the graph and returns its name. */
  apply(graph: GraphBuilder, z: string): string;
  /** σ of a number; only for activations under which a larger sum stays larger (tracing.md §1). */
  readonly scalar?: (z: number) => number;
}

/** One with its function of a number. */
export type MonotoneAct = Act & Required<Pick<Act, 'scalar'>>;

const unary = (
  kind: Activation,
  op: 'Relu' | 'Tanh' | 'Sigmoid' | 'Softplus' | 'Elu' | 'Selu',
  scalar: (z: number) => number,
): MonotoneAct => ({ kind, apply: (graph, z) => graph.op(op, [z]), scalar });

export const identity: Act = { kind: 'identity', apply: (_, z) => z };

/** sin(ω·z) */
export const sine = (omega: number): Act => ({
  kind: 'sine',
  apply: (graph, z) => graph.op('Sin', [graph.scale(z, omega)]),
});

/** sin(ω·(|z| + 1)·z), FINER */
export const finer = (omega: number): Act => ({
  kind: 'finer',
  apply: (graph, z) => {
    const frequency = graph.op('Add', [graph.op('Abs', [z]), graph.scalar(1)]);
    return graph.op('Sin', [graph.scale(graph.op('Mul', [frequency, z]), omega)]);
  },
});

/** exp(−(s·z)²) */
export const gaussian = (s: number): Act => ({
  kind: 'gaussian',
  apply: (graph, z) => {
    const scaled = graph.scale(z, s);
    return graph.op('Exp', [graph.op('Neg', [graph.op('Mul', [scaled, scaled])])]);
  },
});

export const relu = unary('relu', 'Relu', (z) => Math.max(z, 0));
const sigmoidOf = (z: number) => 1 / (1 + Math.exp(-z));
export const sigmoid = unary('sigmoid', 'Sigmoid', sigmoidOf);
export const tanh = unary('tanh', 'Tanh', Math.tanh);
const SELU = { alpha: 1.6732632423543772, gamma: 1.0507009873554805 };

/** Activations without constants. */
export const plainActs: Readonly<
  Record<Exclude<HiddenActivation, 'sine' | 'gaussian' | 'finer'>, MonotoneAct>
> = {
  relu,
  sigmoid,
  tanh,
  softplus: unary('softplus', 'Softplus', (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)))),
  elu: unary('elu', 'Elu', (z) => (z > 0 ? z : Math.expm1(z))),
  selu: unary('selu', 'Selu', (z) => SELU.gamma * (z > 0 ? z : SELU.alpha * Math.expm1(z))),
  gelu: { kind: 'gelu', apply: (graph, z) => graph.gelu(z), scalar: gelu },
  swish: {
    kind: 'swish',
    apply: (graph, z) => graph.op('Mul', [z, graph.op('Sigmoid', [z])]),
    scalar: (z) => z * sigmoidOf(z),
  },
  'leaky-relu': {
    kind: 'leaky-relu',
    apply: (graph, z) => graph.op('LeakyRelu', [z], { alpha: 0.01 }),
    scalar: (z) => (z > 0 ? z : 0.01 * z),
  },
};

/** PReLU, with one slope for all features or one each. */
export const prelu = (slopes: Float32Array): Act => ({
  kind: 'leaky-relu',
  apply: (graph, z) => {
    const below = graph.op('Min', [z, graph.scalar(0)]);
    const slope = slopes.length === 1 ? graph.scalar(slopes[0]) : graph.constant(slopes, [slopes.length, 1]);
    return graph.op('Add', [graph.op('Relu', [z]), graph.op('Mul', [below, slope])]);
  },
  // A slope below zero turns smaller sums into larger ones.
  ...(slopes.length === 1 && slopes[0] >= 0 && { scalar: (z: number) => (z > 0 ? z : slopes[0] * z) }),
});

/** The activation of that name; sine and FINER take `omega`, the Gaussian `scale`. */
export function hiddenAct(name: HiddenActivation, omega: number, scale: number): Act {
  switch (name) {
    case 'sine':
      return sine(omega);
    case 'finer':
      return finer(omega);
    case 'gaussian':
      return gaussian(scale);
    default:
      return plainActs[name];
  }
}

/** z·Φ(z) with Φ by Abramowitz & Stegun 7.1.26 refined: see `erf`. */
function gelu(z: number): number {
  return 0.5 * z * (1 + erf(z / Math.SQRT2));
}

/** Error function, |error| < 1.2e-7 (Numerical Recipes, erfc by Chebyshev fitting). */
function erf(x: number): number {
  const t = 1 / (1 + 0.5 * Math.abs(x));
  const polynomial =
    -1.26551223 +
    t *
      (1.00002368 +
        t *
          (0.37409196 +
            t *
              (0.09678418 +
                t *
                  (-0.18628806 +
                    t *
                      (0.27886807 +
                        t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
  const erfc = t * Math.exp(-x * x + polynomial);
  return x >= 0 ? 1 - erfc : erfc - 1;
}

/** {@link finalAct} as a function of one number. */
export function finalScalar(name: FinalActivation, omega: number): (y: number) => number {
  switch (name) {
    case 'identity':
      return (y) => y;
    case 'sine':
      return (y) => Math.sin(omega * y);
    case 'add-half':
      return (y) => y + 0.5;
    case 'tanh01':
      return (y) => (Math.tanh(y) + 1) / 2;
    default:
      return plainActs[name].scalar;
  }
}

/** What follows the last affine layer; `sine` takes the hidden ω. */
export function finalAct(name: FinalActivation, omega: number): Act {
  switch (name) {
    case 'identity':
      return identity;
    case 'sine':
      return sine(omega);
    case 'add-half':
      return { kind: 'other', apply: (graph, z) => graph.op('Add', [z, graph.scalar(0.5)]) };
    case 'tanh01':
      return {
        kind: 'tanh',
        apply: (graph, z) => graph.op('Add', [graph.scale(graph.op('Tanh', [z]), 0.5), graph.scalar(0.5)]),
      };
    default:
      return plainActs[name];
  }
}
