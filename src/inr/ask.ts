import { finalAct, hiddenAct, prelu, type Act } from './activations';
import type { Tensor } from '../checkpoint/types';
import type { Fallback, Settings } from './assumptions';
import { storedConstants, type Stored } from './constants';
import type { Affine } from './layers';
import {
  activation,
  finalActivation,
  hiddenOmega,
  omega0,
  scale,
  type FinalActivation,
  type HiddenActivation,
} from './settings';

/** What a code base usually does where the file is silent. */
export interface ActivationDefaults {
  readonly hidden: Fallback<HiddenActivation>;
  readonly final: Fallback<FinalActivation>;
  /** Of the first and the other layers; 30 when left out. */
  readonly omega?: { readonly first: Fallback<number>; readonly hidden: (first: number) => Fallback<number> };
  /** Of a Gaussian; 10 when left out. */
  readonly scale?: Fallback<number>;
  /** Tensors of the file that belong to no affine layer: they may hold the constants of each layer. */
  readonly others?: ReadonlyMap<string, Tensor>;
}

const USUAL_OMEGA: Fallback<number> = { value: 30, source: 'default', confidence: 0.6 };

/** Settles the activations of a chain of affine layers, one each. */
export function askActivations(
  settings: Settings,
  layers: readonly Affine[],
  defaults: ActivationDefaults,
): Act[] {
  const count = layers.length;
  const kind = settings.get(
    activation,
    layers.some(({ between }) => between?.slopes)
      ? {
          value: 'leaky-relu',
          source: 'state dict',
          confidence: 1,
          detail: 'PReLU, its slopes are in the file',
        }
      : defaults.hidden,
  );
  const stored = (of: 'omega' | 'scale') =>
    defaults.others && storedConstants(defaults.others, of, count - 1);
  const fromFile = (found: Stored, i: number) =>
    ({ value: found.values[i], source: 'state dict', confidence: 1, detail: found.detail }) as const;
  let [first, hidden, width] = [30, 30, 10];
  let own: readonly number[] | undefined;
  if (kind === 'sine' || kind === 'finer') {
    const found = stored('omega');
    first = settings.get(omega0, found ? fromFile(found, 0) : (defaults.omega?.first ?? USUAL_OMEGA));
    const fallback = defaults.omega?.hidden(first) ?? { ...USUAL_OMEGA, value: first };
    hidden = count > 2 ? settings.get(hiddenOmega, found ? fromFile(found, 1) : fallback) : first;
    // Each layer's own, unless the person gave another.
    if (found && found.values[0] === first && (count <= 2 || found.values[1] === hidden)) own = found.values;
  } else if (kind === 'gaussian') {
    const found = stored('scale');
    const usual = defaults.scale ?? { value: 10, source: 'default' as const, confidence: 0.4 };
    width = settings.get(scale, found ? fromFile(found, 0) : usual);
    if (found?.values[0] === width) own = found.values;
  }
  const final = settings.get(finalActivation, defaults.final);
  return Array.from({ length: count }, (_, i) => {
    if (i === count - 1) return finalAct(final, hidden);
    const slopes = layers[i].between?.slopes;
    if (slopes && kind === 'leaky-relu') return prelu(slopes());
    if (kind === 'gaussian') return hiddenAct(kind, 1, own?.[i] ?? width);
    return hiddenAct(kind, own?.[i] ?? (i === 0 ? first : hidden), width);
  });
}
