/** What recognition leaves open, and the combinations of it that can be tried. */
import type { SettingValue } from './settings';
import type { Assumption, Inr } from './types';

/** Values of settings, by their names. */
export type Values = Readonly<Record<string, SettingValue>>;
/** Multiply-adds that the search may spend: about a second on one core. */
export const BUDGET = 2e10;

/** Settings whose value may still be chosen: nothing better than a guess speaks for them. */
export const isOpen = ({ source, choices, confidence }: Assumption) =>
  (source === 'inferred' || source === 'default' || source === 'training code') &&
  confidence < 0.95 &&
  (choices?.length ?? 0) > 1;

/** The cartesian product of some settings' values, the first of each first. */
export function product(choices: readonly (readonly [string, readonly SettingValue[]])[]): Values[] {
  return choices.reduce<Values[]>(
    (rows, [name, values]) => rows.flatMap((row) => values.map((value) => ({ ...row, [name]: value }))),
    [{}],
  );
}

/** A setting's choices as values, what is assumed now first. */
export function choicesOf({ value, choices = [] }: Assumption): SettingValue[] {
  const values = choices.map((choice) =>
    typeof value === 'number' ? Number(choice) : typeof value === 'boolean' ? choice === 'true' : choice,
  );
  return [value, ...values.filter((choice) => choice !== value)];
}

/** Multiply-adds of one pixel, or of one frame. */
export const work = (inr: Inr) =>
  inr.domain.kind === 'pixels'
    ? inr.summary.reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0)
    : inr.parameters * inr.signal.height * inr.signal.width;

/** Evenly spread, irregular sample of pixels (golden-ratio sequence). */
export function samplePixels(count: number, pixels: number): Uint32Array {
  if (pixels <= count) return Uint32Array.from({ length: pixels }, (_, i) => i);
  return Uint32Array.from({ length: count }, (_, i) => Math.floor(((i * 0.6180339887498949) % 1) * pixels));
}
