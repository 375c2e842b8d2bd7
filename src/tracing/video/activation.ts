import { plainActs } from '../../inr/activations';
import type { TracedLayer } from '../../inr/types';

/** An activation under which a larger sum stays larger. */
export interface Activation {
  readonly of: (z: number) => number;
  /** σ(0) */
  readonly atZero: number;
  /** σ(z)/z at points between −REACH and REACH, where that is smooth. */
  readonly table: Float32Array | undefined;
}

/** The table reaches this far on each side; behind it, values are computed one by one. */
export const REACH = 8;
export const PER_UNIT = 1024;
/**
 * σ(z) is z times a smooth factor: between the table's points a straight line gives the factor within 4e-8,
 * so that the error stays small against maps that are themselves small.
 */
const factored = new Set<TracedLayer['activation']>(['gelu', 'swish', 'tanh']);

/** σ as the layer names it, so that threads can be told; undefined when it has none that keeps the order. */
export function activationOf({ activation, last }: TracedLayer): Activation | undefined {
  if (last || !(activation in plainActs)) return undefined;
  const { scalar } = plainActs[activation as keyof typeof plainActs];
  return {
    of: scalar,
    atZero: scalar(0),
    table: factored.has(activation) ? tableOf(scalar) : undefined,
  };
}

/** σ of every value, in place. */
export function apply({ of }: Activation, values: Float32Array): void {
  for (let k = 0; k < values.length; k++) values[k] = of(values[k]);
}

const tables = new Map<(z: number) => number, Float32Array>();

function tableOf(activate: (z: number) => number): Float32Array {
  let table = tables.get(activate);
  if (!table) {
    table = Float32Array.from({ length: 2 * REACH * PER_UNIT + 2 }, (_, k) => {
      const z = k / PER_UNIT - REACH;
      return z === 0 ? activate(1e-6) / 1e-6 : activate(z) / z;
    });
    tables.set(activate, table);
  }
  return table;
}
