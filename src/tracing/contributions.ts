import { plainActs } from '../inr/activations';
import type { Activation, TracedLayer } from '../inr/types';

/** Activations of a layer's neurons at consecutive pixels (row-major over the picture). */
export interface ActivationTile {
  /** First pixel. */
  readonly start: number;
  /** Number of pixels. */
  readonly count: number;
  /** `[neurons, count]`; of complex activations the real part. */
  readonly values: Float32Array;
  /** `[neurons, count]`; present for complex activations. */
  readonly imaginary?: Float32Array;
}

/** Activations under which a larger sum stays larger; they have a function of one number. */
type MonotoneActivation = keyof typeof plainActs;

/**
 * A layer's contribution maps in closed form: `C_i = σ(S_i·x_i + B)`, which equals the sum over
 * outputs of `W_ji·x_i + b_j/n` without ever building it (tracing.md §1; XINC, arXiv 2401.10217).
 */
export interface ContributionFormula {
  readonly neurons: number;
  /** S_i, one a neuron. */
  readonly scale: Float64Array;
  /** B. */
  readonly shift: number;
  /** σ by its name, so that a formula can be sent to another thread; `none` where there is none. */
  readonly sigma: 'none' | MonotoneActivation;
  /** Present for complex layers; the map is then this part of the complex affine map. */
  readonly complex?: {
    readonly scale: Float64Array;
    readonly shift: number;
    readonly part: 'real' | 'modulus';
  };
  /** The map in words. */
  readonly definition: string;
}

const displayNames: Partial<Record<Activation, string>> = {
  relu: 'ReLU',
  gelu: 'GELU',
  elu: 'ELU',
  selu: 'SELU',
  'leaky-relu': 'leaky ReLU',
};

const isMonotone = (activation: Activation): activation is MonotoneActivation => activation in plainActs;

/** Of tiles that hold contributions themselves. */
export const asTheyAre = (neurons: number, definition: string): ContributionFormula => ({
  neurons,
  scale: new Float64Array(neurons).fill(1),
  shift: 0,
  sigma: 'none',
  definition,
});

/**
 * Maps of a linear layer. On hidden layers σ is the layer's activation when it is monotone; a sine or
 * a bell curve of a sum is no strength, so there the sum itself is the map.
 */
export function contributionFormula(layer: TracedLayer): ContributionFormula {
  const { inputs, outputs, bias, weightImaginary, biasImaginary } = layer;
  const sum = (matrix: Float32Array) => {
    const columns = new Float64Array(inputs);
    for (let j = 0, at = 0; j < outputs; j++) for (let i = 0; i < inputs; i++) columns[i] += matrix[at++];
    return columns;
  };
  const mean = (vector: Float32Array | null | undefined) =>
    vector ? vector.reduce((total, b) => total + b, 0) / inputs : 0;
  const affine = { neurons: inputs, scale: sum(layer.weight), shift: mean(bias) };

  if (weightImaginary) {
    const part = layer.last ? 'real' : 'modulus';
    return {
      ...affine,
      sigma: 'none',
      complex: { scale: sum(weightImaginary), shift: mean(biasImaginary), part },
      definition: part === 'real' ? 'Re Σ_j c_ij' : '|Σ_j c_ij|',
    };
  }
  const { activation } = layer;
  // An activation with a constant of its own (a leaky ReLU's slope) has no such function.
  if (layer.last || !layer.activate || !isMonotone(activation))
    return { ...affine, sigma: 'none', definition: 'Σ_j c_ij' };
  return {
    ...affine,
    sigma: activation,
    definition: `σ(Σ_j c_ij) with σ = ${displayNames[activation] ?? activation}`,
  };
}

/** Shares of one output unit, `c_ij = W_ji·x_i + b_j/n`: on the last layer, of one channel. */
export function channelFormula(layer: TracedLayer, output: number): ContributionFormula {
  const { inputs, bias, weightImaginary, biasImaginary } = layer;
  const row = (matrix: Float32Array) =>
    Float64Array.from(matrix.subarray(output * inputs, (output + 1) * inputs));
  return {
    neurons: inputs,
    scale: row(layer.weight),
    shift: (bias?.[output] ?? 0) / inputs,
    sigma: 'none',
    ...(weightImaginary && {
      complex: {
        scale: row(weightImaginary),
        shift: (biasImaginary?.[output] ?? 0) / inputs,
        part: 'real' as const,
      },
    }),
    definition: weightImaginary ? 'Re c_ij' : 'c_ij',
  };
}

/**
 * Writes one neuron's contributions at `count` pixels of a tile, from its pixel `from` on.
 * @param out written from index `at`
 */
export function evaluate(
  formula: ContributionFormula,
  neuron: number,
  tile: ActivationTile,
  from: number,
  count: number,
  out: Float32Array,
  at = 0,
): void {
  const first = neuron * tile.count + from;
  const x = tile.values.subarray(first, first + count);
  const scale = formula.scale[neuron];
  const { shift, sigma, complex } = formula;
  if (complex) {
    const y = tile.imaginary?.subarray(first, first + count) ?? new Float32Array(count);
    evaluateComplex(complex, scale, complex.scale[neuron], shift, x, y, out, at);
  } else if (sigma === 'none') {
    for (let k = 0; k < count; k++) out[at + k] = scale * x[k] + shift;
  } else if (sigma === 'relu') {
    for (let k = 0; k < count; k++) out[at + k] = Math.max(0, scale * x[k] + shift);
  } else {
    const { scalar } = plainActs[sigma];
    for (let k = 0; k < count; k++) out[at + k] = scalar(scale * x[k] + shift);
  }
}

function evaluateComplex(
  { part, shift: shiftImaginary }: NonNullable<ContributionFormula['complex']>,
  scale: number,
  scaleImaginary: number,
  shift: number,
  x: Float32Array,
  y: Float32Array,
  out: Float32Array,
  at: number,
): void {
  for (let k = 0; k < x.length; k++) {
    const real = scale * x[k] - scaleImaginary * y[k] + shift;
    if (part === 'real') out[at + k] = real;
    else {
      const imaginary = scale * y[k] + scaleImaginary * x[k] + shiftImaginary;
      out[at + k] = Math.sqrt(real * real + imaginary * imaginary);
    }
  }
}
