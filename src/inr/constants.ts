/** Constants of activations that some code keeps as parameters or buffers: ω of each layer, s of each Gaussian. */
import type { Tensor } from '../checkpoint/types';

const OMEGA = /(^|[._])(omega|omegas|omega_?0|w_?0|freq|frequency|w0_initial)$/i;
const SCALE = /(^|[._])(scale|scales|scale_?0|sigma|sigma_?0|s_?0)$/i;

/** Whether a tensor is such a constant. */
export const isConstant = (name: string, tensor: Tensor | undefined): boolean =>
  tensor !== undefined && tensor.size === 1 && !tensor.isComplex && (OMEGA.test(name) || SCALE.test(name));

/** Where a value comes from, and one for each hidden layer. */
export interface Stored {
  readonly detail: string;
  readonly values: readonly number[];
}

/**
 * The constants of `count` hidden layers in their order; one for all counts for each.
 * Undefined when there are none, or when it is not clear whose they are.
 */
export function storedConstants(
  others: ReadonlyMap<string, Tensor>,
  kind: 'omega' | 'scale',
  count: number,
): Stored | undefined {
  const pattern = kind === 'omega' ? OMEGA : SCALE;
  const found = [...others]
    .filter(([name, tensor]) => pattern.test(name) && tensor.size === 1 && !tensor.isComplex)
    .sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
    .map(([name, tensor]) => ({ name, value: tensor.read()[0] }));
  const [first] = found;
  if (found.length === 0 || !found.every(({ value }) => value > 0 && value < 1e6)) return undefined;
  if (found.length === 1) {
    return { detail: first.name, values: new Array<number>(count).fill(first.value) };
  }
  // A sine last layer has one of its own.
  if (found.length !== count && found.length !== count + 1) return undefined;
  return {
    detail: `${first.name} and those of the other layers`,
    values: found.slice(0, count).map(({ value }) => value),
  };
}
