import type { Graph } from '../../graph/types';
import type { Inr, TracedLayer } from '../../inr/types';
import { shuffledOrder } from './measures';

/** The network with the weights of one layer in random places; undefined when the graph holds them otherwise. */
export function shuffled(inr: Inr, at: number, random: () => number): Inr | undefined {
  const layer = inr.layers[at];
  const constants = new Map(inr.graph.constants);
  const mixed = new Map<Float32Array, Float32Array>();
  const order = shuffledOrder(layer.weight.length, random);
  for (const matrix of [layer.weight, layer.weightImaginary]) {
    if (!matrix) continue;
    const found = constantHolding(inr.graph, matrix, layer.outputs, layer.inputs);
    if (!found) return undefined;
    const data = Float32Array.from(order, (k) => matrix[k]);
    mixed.set(matrix, data);
    const { shape } = inr.graph.constants.get(found.name)!;
    constants.set(found.name, {
      shape,
      data: found.transposed ? turned(data, layer.outputs, layer.inputs) : data,
    });
  }
  const weightImaginary = layer.weightImaginary && mixed.get(layer.weightImaginary);
  const changed: TracedLayer = {
    ...layer,
    weight: mixed.get(layer.weight)!,
    ...(weightImaginary && { weightImaginary }),
  };
  return { ...inr, graph: { ...inr.graph, constants }, layers: inr.layers.with(at, changed) };
}

function constantHolding(
  { constants }: Graph,
  matrix: Float32Array,
  rows: number,
  columns: number,
): { readonly name: string; readonly transposed: boolean } | undefined {
  for (const [name, { data }] of constants) if (data === matrix) return { name, transposed: false };
  for (const [name, { data }] of constants) {
    if (data.length !== matrix.length || !(data instanceof Float32Array)) continue;
    for (const transposed of [false, true]) {
      const wanted = transposed ? turned(matrix, rows, columns) : matrix;
      if (data.every((v, k) => v === wanted[k])) return { name, transposed };
    }
  }
  return undefined;
}

function turned(data: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c];
  return out;
}
