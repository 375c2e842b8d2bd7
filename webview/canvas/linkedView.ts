/** What the canvas keeps of the person's intent, and what of it a link may carry. */
import type { LinkView } from '../../src/panels/link';

export const defaults = {
  mode: 'reconstruction' as string,
  sort: 'share' as string,
  hideDead: false,
  signed: true,
  shared: false,
  size: 88,
  /** Exponent of the contact sheet's colours. */
  gamma: 1,
  cover: 0.5,
  baseline: 'zero' as string,
  /** One picture, two beside each other, or one over the other with a slider. */
  layout: 'one' as string,
  /** What the second picture shows. */
  other: 'reconstruction' as string,
  /** Part of the picture left of the slider. */
  wipe: 0.5,
  errorOf: 'difference' as string,
  /** Height of the picture, as a part of the panel's. */
  split: 0.5,
  zoom: 1,
  centreX: 0.5,
  centreY: 0.5,
  assumptionsOpen: false,
  /** What parts keep, by their ids. */
  parts: {} as Readonly<Record<string, Readonly<Record<string, unknown>>>>,
};

/** What a link carries of it; numbers with their bounds, because a link may say anything. */
const linked: Readonly<Partial<Record<keyof typeof defaults, readonly [number, number] | null>>> = {
  mode: null,
  layout: null,
  other: null,
  baseline: null,
  errorOf: null,
  sort: null,
  hideDead: null,
  signed: null,
  shared: null,
  wipe: [0, 1],
  cover: [0, 1],
  zoom: [1, 1000],
  centreX: [0, 1],
  centreY: [0, 1],
  gamma: [0.2, 2],
  size: [12, 240],
};

/** What of a link's view this canvas knows, within bounds. */
export function bounded(view: LinkView): LinkView {
  return Object.fromEntries(
    Object.entries(view).flatMap(([name, value]) => {
      if (!Object.hasOwn(linked, name)) return [];
      const bounds = linked[name as keyof typeof linked];
      if (!bounds) return [[name, value]];
      return typeof value === 'number' ? [[name, Math.max(bounds[0], Math.min(bounds[1], value))]] : [];
    }),
  );
}

export const linkedNames: ReadonlySet<string> = new Set(Object.keys(linked));
