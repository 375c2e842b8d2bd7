import type { Tensor } from '@tensorflow/tfjs-core';
import { ExitCode, UserError } from '../errors';
import { upTo } from '../graph/cut';
import type { Constant, Graph, GraphNode } from '../graph/types';
import { findBackend, type Backend } from './tfjs/backends';
import { UnsupportedError, type Call } from './tfjs/call';
import { table } from './tfjs/operators';
import type { Engine, EngineSession, EngineTensor } from './types';

/**
 * The engine on TensorFlow.js, which runs where onnxruntime has no binary: graphs are interpreted node by
 * node (docs/engines.md says which operators are composed of others).
 * @param require finds packages installed beside the extension
 * @throws UserError when WebAssembly cannot be started
 */
export async function tensorflowEngine(require?: (name: string) => unknown): Promise<Engine> {
  const backend = await findBackend(require);
  return {
    name: backend.name,
    load: (graph, outputs) => Promise.resolve(new TensorFlowSession(backend, graph, outputs)),
  };
}

class TensorFlowSession implements EngineSession {
  private readonly nodes: readonly GraphNode[];
  /** Values that no node after the keyed one reads. */
  private readonly lastReads: ReadonlyMap<GraphNode, readonly string[]>;
  private readonly constants = new Map<string, Tensor>();
  private readonly prepared = new Map<string, Tensor>();
  /** What runs integers: shapes and indices, which the WASM kernels do not all take. */
  private readonly integers: string;
  private released = false;

  constructor(
    private readonly backend: Backend,
    private readonly graph: Graph,
    private readonly outputs: readonly string[],
  ) {
    this.nodes = upTo(graph, outputs).nodes;
    this.lastReads = lastReads(this.nodes, new Set(outputs));
    this.integers = backend.tf.findBackend('cpu') ? 'cpu' : backend.id;
    const needed = new Set([...this.nodes.flatMap(({ inputs }) => inputs), ...outputs]);
    for (const [name, constant] of graph.constants) {
      if (needed.has(name)) this.constants.set(name, this.upload(constant));
    }
    this.use(backend.id);
  }

  /** Takes effect at once: both backends have been started. */
  private use(id: string): void {
    if (this.backend.tf.getBackend() !== id) void this.backend.tf.setBackend(id);
  }

  private upload({ data, shape }: Constant): Tensor {
    const { tf } = this.backend;
    this.use(data instanceof Float32Array ? this.backend.id : this.integers);
    return data instanceof Float32Array
      ? tf.tensor(data, [...shape], 'float32')
      : tf.tensor(Int32Array.from(data, int32), [...shape], 'int32');
  }

  async run(
    feeds: ReadonlyMap<string, EngineTensor>,
    into?: ReadonlyMap<string, EngineTensor>,
  ): Promise<ReadonlyMap<string, EngineTensor>> {
    // Nothing below waits: the event loop gets its turn here.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.released) throw new Error('the session has been released');
    const { tf } = this.backend;
    const results = new Map<string, EngineTensor>();
    try {
      tf.tidy(() => {
        const values = this.evaluate(feeds);
        for (const name of this.outputs) {
          const value = values.get(name);
          if (value?.dtype !== 'float32') throw new Error(`output ${name} is not float32`);
          const data = this.backend.read(value);
          const place = into?.get(name);
          if (place) place.data.set(data);
          results.set(name, place ?? { shape: value.shape, data: data.slice() });
        }
      });
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error;
      throw new UserError(
        `TensorFlow.js cannot run this network, because ${error.message}; trace it with onnxruntime.`,
        ExitCode.usage,
      );
    } finally {
      this.use(this.backend.id);
    }
    return results;
  }

  private evaluate(feeds: ReadonlyMap<string, EngineTensor>): ReadonlyMap<string, Tensor> {
    const { tf, id } = this.backend;
    const values = new Map(this.constants);
    for (const { name } of this.graph.inputs) {
      const feed = feeds.get(name);
      if (feed) values.set(name, tf.tensor(feed.data, [...feed.shape], 'float32'));
    }
    for (const node of this.nodes) {
      const inputs = node.inputs.map((name) => {
        const value = values.get(name);
        if (name && !value) throw new Error(`${node.op} (${node.outputs[0]}) lacks ${name}`);
        return value;
      });
      const integral = inputs.every((value) => value?.dtype !== 'float32');
      this.use(integral && inputs.length > 0 ? this.integers : id);
      const call: Call = {
        tf,
        node,
        inputs,
        prepared: (index, name, make) => this.keep(node, index, name, make),
      };
      const made = tf.tidy(() => table[node.op](call));
      const results = Array.isArray(made) ? made : [made];
      node.outputs.forEach((name, i) => name && values.set(name, results[i]));
      for (const name of this.lastReads.get(node) ?? []) {
        values.get(name)?.dispose();
        values.delete(name);
      }
    }
    return values;
  }

  /** Weights of convolutions are put into TensorFlow's order once. */
  private keep(node: GraphNode, index: number, name: string, make: () => Tensor): Tensor {
    if (!this.constants.has(node.inputs[index])) return make();
    const key = `${node.outputs[0]} ${name}`;
    const before = this.prepared.get(key);
    if (before) return before;
    const { tf } = this.backend;
    const made = tf.keep(tf.tidy(make));
    this.prepared.set(key, made);
    return made;
  }

  release(): Promise<void> {
    if (!this.released) {
      this.released = true;
      for (const tensor of [...this.constants.values(), ...this.prepared.values()]) tensor.dispose();
    }
    return Promise.resolve();
  }
}

/** Beyond int32 lie only the bounds that mean "to the end". */
const int32 = (value: bigint) =>
  Number(value < -0x8000_0000n ? -0x8000_0000n : value > 0x7fff_ffffn ? 0x7fff_ffffn : value);

/** Values that nodes make, and may be forgotten behind the node that reads them last. */
function lastReads(nodes: readonly GraphNode[], outputs: ReadonlySet<string>) {
  const made = new Set(nodes.flatMap((node) => node.outputs));
  const last = new Map<string, GraphNode>();
  for (const node of nodes) {
    for (const name of [...node.outputs, ...node.inputs]) {
      if (name && made.has(name) && !outputs.has(name)) last.set(name, node);
    }
  }
  const byNode = new Map<GraphNode, string[]>();
  for (const [name, node] of last) byNode.set(node, [...(byNode.get(node) ?? []), name]);
  return byNode;
}
