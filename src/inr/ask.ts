import { finalAct, hiddenAct, type Act } from './activations';
import type { Fallback, Settings } from './assumptions';
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
}

const USUAL_OMEGA: Fallback<number> = { value: 30, source: 'default', confidence: 0.6 };

/** Settles the activations of a chain of `count` affine layers, one each. */
export function askActivations(settings: Settings, count: number, defaults: ActivationDefaults): Act[] {
  const kind = settings.get(activation, defaults.hidden);
  let [first, hidden, width] = [30, 30, 10];
  if (kind === 'sine' || kind === 'finer') {
    first = settings.get(omega0, defaults.omega?.first ?? USUAL_OMEGA);
    const fallback = defaults.omega?.hidden(first) ?? { ...USUAL_OMEGA, value: first };
    hidden = count > 2 ? settings.get(hiddenOmega, fallback) : first;
  } else if (kind === 'gaussian') {
    width = settings.get(scale, defaults.scale ?? { value: 10, source: 'default', confidence: 0.4 });
  }
  const final = settings.get(finalActivation, defaults.final);
  return Array.from({ length: count }, (_, i) =>
    i === count - 1 ? finalAct(final, hidden) : hiddenAct(kind, i === 0 ? first : hidden, width),
  );
}
