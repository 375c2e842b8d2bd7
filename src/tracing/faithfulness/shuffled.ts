import type { Graph } from '../../graph/types';
import { transpose } from '../../inr/layers';
import type { Inr, TracedLayer } from '../../inr/types';
import { spearman } from '../correlation';
import { seededRandom } from '../random';
import type { Randomised } from './card';
import { shuffledOrder } from './measures';

/**
 * The network with the weights of one layer in other places; undefined when the graph holds them otherwise.
 * @param order which weight comes to each place
 */
function shuffled(inr: Inr, at: number, order: readonly number[]): Inr | undefined {
  const layer = inr.layers[at];
  const constants = new Map(inr.graph.constants);
  const mixed = new Map<Float32Array, Float32Array>();
  for (const matrix of [layer.weight, layer.weightImaginary]) {
    if (!matrix) continue;
    const found = constantHolding(inr.graph, matrix, layer.outputs, layer.inputs);
    if (!found) return undefined;
    const data = Float32Array.from(order, (k) => matrix[k]);
    mixed.set(matrix, data);
    const { shape } = inr.graph.constants.get(found.name)!;
    constants.set(found.name, {
      shape,
      data: found.transposed ? transpose(data, layer.outputs, layer.inputs) : data,
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

/**
 * How alike the layers' totals stay while weights are shuffled, one layer after another from the top.
 * @param inrs one network, or those of a clip's frames, whose weights are the same
 * @param totalsOf each layer's totals under them
 * @returns an empty list when a graph holds its weights in a form that cannot be shuffled
 */
export async function shuffledOneByOne(
  inrs: readonly Inr[],
  totalsOf: (models: readonly Inr[]) => Promise<readonly Float64Array[]>,
  seed: number,
): Promise<Randomised[]> {
  const before = await totalsOf(inrs);
  const random = seededRandom(seed);
  const found: Randomised[] = [];
  const { layers } = inrs[0];
  let models = inrs;
  for (let at = layers.length - 1; at >= 0; at--) {
    const order = shuffledOrder(layers[at].weight.length, random);
    models = models.flatMap((model) => shuffled(model, at, order) ?? []);
    if (models.length < inrs.length) return [];
    const after = await totalsOf(models);
    const correlations = before.map((totals, k) => spearman(totals, after[k]));
    found.push({ from: layers[at].name, correlations });
  }
  return found;
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
      const wanted = transposed ? transpose(matrix, rows, columns) : matrix;
      if (data.every((v, k) => v === wanted[k])) return { name, transposed };
    }
  }
  return undefined;
}
