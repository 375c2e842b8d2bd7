import { inferShapes, type Shape } from './shapes';
import type { Graph } from './types';

/** What one pixel (one column of `[n, P]` values) costs. */
export interface PixelCost {
  /** Floating-point operations; an activation counts ten, about what a sine takes. */
  readonly flops: number;
  /** Bytes of all values together, an upper bound of what a run holds at once. */
  readonly bytes: number;
}

/** Cost of one pixel of a graph whose pixels are the dimension `P`. */
export function pixelCost(graph: Graph): PixelCost {
  const shapes = inferShapes(graph);
  const rows = (shape: Shape | undefined) =>
    shape?.includes('P') ? shape.reduce<number>((n, d) => (typeof d === 'number' ? n * d : n), 1) : 0;
  let flops = 0;
  let values = graph.inputs.reduce((sum, input) => sum + rows(input.shape), 0);
  for (const node of graph.nodes) {
    const written = node.outputs.reduce((sum, name) => sum + rows(shapes.get(name)), 0);
    values += written;
    if (node.op === 'MatMul' || node.op === 'Gemm') {
      const weights = node.inputs.slice(0, 2).find((name) => graph.constants.has(name));
      const size = graph.constants.get(weights ?? '')?.data.length;
      flops += written > 0 ? 2 * (size ?? written) : 0;
    } else {
      flops += 10 * written;
    }
  }
  return { flops, bytes: values * Float32Array.BYTES_PER_ELEMENT };
}
