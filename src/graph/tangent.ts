import { withGradients, withGradientsOf } from './backward';
import { behind, upTo } from './cut';
import { inferShapes } from './shapes';
import type { Constant, Graph, GraphNode } from './types';

/** How a graph's output changes along a direction of one of its inputs. */
export interface Tangent {
  /** Its output is the change; its inputs are `direction`, of the shape of the input that changes, and `fixed`. */
  readonly graph: Graph;
  readonly direction: string;
  /** Values of `base` that are the same for every direction, derivatives of activations above all. */
  readonly fixed: readonly string[];
  /** What makes the fixed ones, from the inputs of the graph that is differentiated. */
  readonly base: Graph;
}

/**
 * The derivative of a graph's output along a direction of one of its inputs: J·v, for the whole output at once. J·v is
 * the gradient of ⟨Jᵀu, v⟩ with respect to u, and Jᵀu is what reverse mode gives; nothing that is computed depends
 * on u, because both are linear in it.
 * @returns undefined when the output does not depend on that input
 * @throws NoDerivativeError
 */
export function withTangent(graph: Graph, input: string): Tangent | undefined {
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
  const whole = upTo(withConstantShapes({ ...twice.graph, output }), [output]);
  const fixed = fixedFor(whole, direction);
  return {
    graph: behind(whole, fixed),
    direction,
    fixed,
    base: { ...upTo(whole, fixed), inputs: graph.inputs, output: fixed[0] ?? graph.output },
  };
}

/** Sizes that are known before running, as constants: what asks for them need not be computed. */
function withConstantShapes(graph: Graph): Graph {
  const shapes = inferShapes(graph);
  const constants = new Map<string, Constant>(graph.constants);
  const nodes = graph.nodes.filter(({ op, inputs, outputs }) => {
    const shape = op === 'Shape' ? shapes.get(inputs[0]) : undefined;
    if (!shape?.every((d) => typeof d === 'number')) return true;
    constants.set(outputs[0], { shape: [shape.length], data: BigInt64Array.from(shape, BigInt) });
    return false;
  });
  return { ...graph, nodes, constants };
}

/** Values that do not change with an input, and are read by what does. */
function fixedFor({ nodes, inputs, constants }: Graph, input: string): string[] {
  const given = new Set([...inputs.map(({ name }) => name), ...constants.keys(), '']);
  const changing = new Set([input]);
  const fixed = new Set<string>();
  for (const node of nodes) {
    if (!node.inputs.some((name) => changing.has(name))) continue;
    for (const name of node.outputs) changing.add(name);
    for (const name of node.inputs) if (!changing.has(name) && !given.has(name)) fixed.add(name);
  }
  return [...fixed];
}
