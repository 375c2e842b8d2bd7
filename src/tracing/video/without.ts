import type { Constant, Graph, GraphNode } from '../../graph/types';
import type { TracedLayer } from '../../inr/types';
import { convolved } from './atFrame';

/** Kernels of one layer that are taken away, and what they put out instead. */
export interface Removal {
  readonly layer: TracedLayer;
  readonly kernels: readonly (readonly [input: number, output: number])[];
  /** Added to the affine result, `[outputs, height, width]`; nothing when undefined. */
  readonly instead?: { readonly data: Float32Array; readonly height: number; readonly width: number };
}

/** The network with the weights of some kernels at zero. */
export function withoutKernels(graph: Graph, removals: readonly Removal[]): Graph {
  const constants = new Map<string, Constant>(graph.constants);
  let nodes: readonly GraphNode[] = graph.nodes;
  for (const [k, { layer, kernels, instead }] of removals.entries()) {
    const made = convolved(layer);
    const node = nodes.find(({ op, outputs }) => op === 'Conv' && outputs[0] === made);
    const name = node?.inputs[1];
    const weight = name === undefined ? undefined : graph.constants.get(name);
    if (!node || name === undefined || !weight)
      throw new Error(`${layer.name} is no convolution of this graph`);
    const size = layer.weight.length / (layer.inputs * layer.outputs);
    const data = layer.weight.slice();
    for (const [input, output] of kernels) {
      const from = (output * layer.inputs + input) * size;
      data.fill(0, from, from + size);
    }
    const own = `without_${k}`;
    constants.set(own, { shape: weight.shape, data });
    const changed = { ...node, inputs: node.inputs.with(1, own) };
    if (!instead) {
      nodes = nodes.map((other) => (other === node ? changed : other));
      continue;
    }
    const [left, added] = [`${own}_left`, `${own}_instead`];
    constants.set(added, { shape: [1, layer.outputs, instead.height, instead.width], data: instead.data });
    const sum: GraphNode = { op: 'Add', inputs: [left, added], outputs: [made] };
    nodes = nodes.flatMap((other) => (other === node ? [{ ...changed, outputs: [left] }, sum] : [other]));
  }
  return { ...graph, constants, nodes };
}
