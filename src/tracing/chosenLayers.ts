import { UsageError } from '../errors';
import type { Inr, TracedLayer } from '../inr/types';

/**
 * The layers of a network that are named, in its order; all when nothing is named.
 * @throws UsageError when it has no such layer
 */
export function chosenLayers(inr: Inr, names: readonly string[] | undefined): readonly TracedLayer[] {
  if (!names) return inr.layers;
  const known = new Map(inr.layers.map((layer) => [layer.name, layer]));
  const chosen = new Set(
    names.map((name) => {
      const layer = known.get(name);
      if (!layer) {
        throw new UsageError(
          `There is no layer ${JSON.stringify(name)} to trace; use ${[...known.keys()].join(', ')}.`,
        );
      }
      return layer;
    }),
  );
  return inr.layers.filter((layer) => chosen.has(layer));
}
