import type { NeuronRef } from '../../src/worker/protocol';

export interface Modifiers {
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
}

export const sameNeuron = (a: NeuronRef | undefined, b: NeuronRef | undefined) =>
  a?.layer === b?.layer && a?.neuron === b?.neuron;

/** A set of neurons that can be asked quickly. */
export class NeuronSet {
  private readonly keys: Set<string>;

  constructor(neurons: readonly NeuronRef[]) {
    this.keys = new Set(neurons.map(({ layer, neuron }) => `${layer}/${neuron}`));
  }

  has(layer: number, neuron: number): boolean {
    return this.keys.has(`${layer}/${neuron}`);
  }
}

/**
 * What a click on entry `at` of a list selects, as in every list of VS Code: alone; with Ctrl or ⌘ in
 * addition (or no longer); with Shift from the entry `anchor` on. The entry clicked comes last.
 */
export function select(
  current: readonly NeuronRef[],
  entry: (index: number) => NeuronRef,
  at: number,
  anchor: number,
  { ctrlKey, metaKey, shiftKey }: Modifiers,
): NeuronRef[] {
  const clicked = entry(at);
  if (shiftKey && anchor >= 0) {
    const step = anchor <= at ? 1 : -1;
    const range = Array.from({ length: Math.abs(at - anchor) + 1 }, (_, i) => entry(anchor + i * step));
    if (!ctrlKey && !metaKey) return range;
    const inRange = new NeuronSet(range);
    return [...current.filter(({ layer, neuron }) => !inRange.has(layer, neuron)), ...range];
  }
  if (!ctrlKey && !metaKey) return [clicked];
  const others = current.filter((other) => !sameNeuron(other, clicked));
  return others.length < current.length ? others : [...current, clicked];
}

/** Where a key press moves to in a grid of `count` entries in rows of `columns`; null for other keys. */
export function moved(
  key: string,
  at: number,
  count: number,
  columns: number,
  rowsPerPage: number,
): number | null {
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    PageUp: -columns * rowsPerPage,
    PageDown: columns * rowsPerPage,
    Home: -Infinity,
    End: Infinity,
  };
  const step = steps[key];
  if (step === undefined || count === 0) return null;
  if (at < 0) return 0;
  const to = at + step;
  if (to >= 0 && to < count) return to;
  // A row up or down from the first or last row stays; a page or more goes to the end.
  if (Math.abs(step) === columns && columns > 1) {
    return to >= count && Math.floor(at / columns) < Math.floor((count - 1) / columns) ? count - 1 : at;
  }
  return Math.max(0, Math.min(count - 1, to));
}
