import type { TracedLayer } from '../../inr/types';

/** An activation over many values, in place. */
export interface Activate {
  (values: Float32Array, from: number, to: number): void;
  /** σ(0) */
  readonly atZero: number;
}

/** The table reaches this far on each side; behind it, values are computed one by one. */
const REACH = 8;
const PER_UNIT = 1024;
/**
 * σ(z) is z times a smooth factor: between the table's points a straight line gives the factor within 4e-8,
 * so that the error stays small against maps that are themselves small.
 */
const factored = new Set<TracedLayer['activation']>(['gelu', 'swish', 'tanh']);

/** σ as the layer defines it; undefined when it has none that keeps the order of values. */
export function activationOf({ activation, activate, last }: TracedLayer): Activate | undefined {
  if (last || !activate) return undefined;
  const apply = factored.has(activation) ? tabulated(activate) : oneByOne(activate);
  return Object.assign(apply, { atZero: activate(0) });
}

function oneByOne(activate: (z: number) => number) {
  return (values: Float32Array, from: number, to: number) => {
    for (let k = from; k < to; k++) values[k] = activate(values[k]);
  };
}

function tabulated(activate: (z: number) => number) {
  const table = Float32Array.from({ length: 2 * REACH * PER_UNIT + 2 }, (_, k) => {
    const z = k / PER_UNIT - REACH;
    return z === 0 ? activate(1e-6) / 1e-6 : activate(z) / z;
  });
  return (values: Float32Array, from: number, to: number) => {
    for (let k = from; k < to; k++) {
      const z = values[k];
      if (z >= -REACH && z < REACH) {
        const place = (z + REACH) * PER_UNIT;
        const cell = place | 0;
        const low = table[cell];
        values[k] = z * (low + (place - cell) * (table[cell + 1] - low));
      } else values[k] = activate(z);
    }
  };
}
