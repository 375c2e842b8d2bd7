import { inferShapes } from './shapes';
import type { Graph } from './types';

/**
 * The part of a graph behind some values, which become its inputs; the graph's own inputs remain where
 * something behind still reads them (skip connections).
 * @param values names of values, each of known rank
 * @throws Error when one of them is not the graph's
 */
export function behind(graph: Graph, values: readonly string[]): Graph {
  const shapes = inferShapes(graph);
  const given = new Set(values);
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const needed = new Set<string>();
  const queue = [graph.output];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (needed.has(name)) continue;
    needed.add(name);
    if (!given.has(name)) queue.push(...(makers.get(name)?.inputs ?? []));
  }
  const cut = values.map((name) => {
    const shape = shapes.get(name);
    if (!shape) throw new Error(`the graph has no value ${name} of known shape`);
    return { name, shape };
  });
  return {
    inputs: [...cut, ...graph.inputs.filter(({ name }) => needed.has(name) && !given.has(name))],
    // A node that makes a given value and another one is not among the operators that we cut behind.
    nodes: graph.nodes.filter((node) => node.outputs.some((name) => needed.has(name) && !given.has(name))),
    constants: new Map([...graph.constants].filter(([name]) => needed.has(name))),
    output: graph.output,
  };
}

/**
 * The part of a graph that some values need: onnxruntime runs every node it is given, whether or not anybody asks for
 * what it makes.
 */
export function upTo(graph: Graph, values: readonly string[]): Graph {
  const wanted = new Set(values);
  const nodes = graph.nodes
    .toReversed()
    .filter((node) => {
      if (!node.outputs.some((name) => wanted.has(name))) return false;
      for (const name of node.inputs) wanted.add(name);
      return true;
    })
    .reverse();
  const constants = new Map([...graph.constants].filter(([name]) => wanted.has(name)));
  return { ...graph, nodes, constants };
}
