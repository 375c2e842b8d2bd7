import type { GraphBuilder } from '../graph/build';
import type { Act } from './activations';
import type { Affine } from './layers';
import type { TracedLayer } from './types';

/** Adds affine layers to a graph and keeps account of them, for networks that are no plain chain. */
export class LayerWriter {
  readonly layers: TracedLayer[] = [];

  constructor(readonly graph: GraphBuilder) {}

  /**
   * W·x + b. What follows it may be more than `act`; then `act` only names it.
   * @returns the value before the activation
   */
  affine(layer: Affine, input: string, act: Act, last = false): string {
    const [weight, bias] = [layer.weight(), layer.bias()];
    const { name, inputs, outputs } = layer;
    const preActivation = this.graph.linear(input, weight, bias, outputs, inputs);
    this.layers.push({
      name,
      kind: 'linear',
      inputs,
      outputs,
      input,
      preActivation,
      weight,
      bias,
      activation: act.kind,
      ...(act.scalar && { activate: act.scalar }),
      last,
    });
    return preActivation;
  }

  /** σ(W·x + b) */
  layer(layer: Affine, input: string, act: Act, last = false): string {
    return act.apply(this.graph, this.affine(layer, input, act, last));
  }
}
