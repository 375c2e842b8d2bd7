import { withGradients, withGradientsOf } from './backward';
import { upTo } from './cut';
import { inferShapes } from './shapes';
import type { Graph, GraphNode } from './types';

/** A graph whose output is how another's changes along a direction. */
export interface TangentGraph {
  /** Its inputs are the other's and `direction`, of the shape of the value that changes. */
  readonly graph: Graph;
  readonly direction: string;
}

/**
 * The derivative of a graph's output along a direction of one of its inputs: J·v, for the whole output at once. J·v is
 * the gradient of ⟨Jᵀu, v⟩ with respect to u, and Jᵀu is what reverse mode gives; nothing that is computed depends
 * on u, because both are linear in it.
 * @returns undefined when the output does not depend on that input
 * @throws NoDerivativeError
 */
export function withTangent(graph: Graph, input: string): TangentGraph | undefined {
  const shapes = inferShapes(graph);
  const [u, direction, product] = ['tangent_u', 'tangent_direction', 'tangent_product'];
  const shapeOf = (name: string) => {
    const shape = shapes.get(name);
    if (!shape) throw new Error(`the graph has no value ${name} of known shape`);
    return shape;
  };
  const size = shapeOf(graph.output).map((d) => {
    if (typeof d !== 'number') throw new Error('the size of the output is not known before running');
    return d;
  });
  // Its values are of no account, only its shape is read.
  const zeros = { shape: size, data: new Float32Array(size.reduce((n, d) => n * d, 1)) };
  const inputs = [...graph.inputs, { name: direction, shape: shapeOf(input) }];
  const once = withGradientsOf(
    { ...graph, inputs, constants: new Map([...graph.constants, [u, zeros]]) },
    [input],
    u,
  );
  const gradient = once.gradients.get(input);
  if (gradient === undefined) return undefined;
  const along: GraphNode[] = [
    { op: 'Mul', inputs: [gradient, direction], outputs: [`${product}s`] },
    { op: 'ReduceSum', inputs: [`${product}s`], outputs: [product], attributes: { keepdims: { int: 1 } } },
  ];
  const inner = { ...once.graph, nodes: [...once.graph.nodes, ...along], output: product };
  const twice = withGradients(inner, [u], [1], 0);
  const output = twice.gradients.get(u);
  if (output === undefined) return undefined;
  const needed = upTo({ ...twice.graph, output }, [output]);
  const read = new Set(needed.nodes.flatMap(({ inputs }) => inputs));
  return { graph: { ...needed, inputs: needed.inputs.filter(({ name }) => read.has(name)) }, direction };
}
