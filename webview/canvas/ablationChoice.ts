/** Which neurons are switched off: the selected ones, all but them, the strongest, or a cluster. */
import type { NeuronRef } from '../../src/worker/protocol';
import { Memo } from '../shared/memo';
import { NeuronSet } from '../shared/selection';
import type { Canvas } from './canvas';

export const whats = ['selected', 'others', 'top', 'cluster'] as const;
export type What = (typeof whats)[number];

const defaults = { what: 'selected' as string, count: 8, cluster: 0 };

export interface Choice {
  readonly what: What;
  /** How many of the strongest. */
  readonly count: number;
  /** From 0. */
  readonly cluster: number;
}

export function choiceOf(canvas: Canvas): Choice {
  const { what, count, cluster } = canvas.kept('ablation', defaults);
  const known = whats.find((name) => name === what) ?? 'selected';
  const clusters = canvas.session.clustering?.summaries.length ?? 0;
  return {
    what: known === 'cluster' && clusters === 0 ? 'selected' : known,
    count: Math.max(1, Math.min(canvas.layer?.neurons ?? 1, Math.round(count))),
    cluster: Math.max(0, Math.min(clusters - 1, cluster)),
  };
}

export const choose = (canvas: Canvas, change: Partial<Choice>) => canvas.keep('ablation', change);

const memo = new Memo<readonly NeuronRef[]>();

/** Neurons to be switched off; the same array as long as nothing it depends on changes. */
export function switchedOff(canvas: Canvas): readonly NeuronRef[] {
  const { session, layerIndex: layer } = canvas;
  const { what, count, cluster } = choiceOf(canvas);
  const { neurons } = session.selection;
  const { clustering } = session;
  const traced = canvas.layer;
  return memo.get([what, count, cluster, neurons, clustering, layer, traced], () => {
    if (what === 'selected') return neurons;
    if (what === 'cluster') {
      return (clustering?.points ?? [])
        .filter((point) => point.cluster === cluster && !point.model)
        .map((point) => ({ layer: point.layer, neuron: point.neuron }));
    }
    if (!traced) return [];
    const all = Array.from({ length: traced.neurons }, (_, neuron) => ({ layer, neuron }));
    if (what === 'others') {
      const kept = new NeuronSet(neurons);
      return neurons.some((other) => other.layer === layer)
        ? all.filter(({ neuron }) => !kept.has(layer, neuron))
        : [];
    }
    const { share } = traced.statistics;
    return all.sort((a, b) => share[b.neuron] - share[a.neuron] || a.neuron - b.neuron).slice(0, count);
  });
}
