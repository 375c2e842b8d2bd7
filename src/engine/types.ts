import type { Graph } from '../graph/types';

export interface EngineTensor {
  readonly shape: readonly number[];
  /** float32, row-major. */
  readonly data: Float32Array;
}

/** A graph made ready to run. */
export interface EngineSession {
  /**
   * Runs the graph once and returns the requested values in order.
   * @param feeds one tensor for each graph input
   * @param into tensors of the results' shapes, one for each output, to be overwritten and returned;
   *   saves an allocation and a copy each
   */
  run(
    feeds: ReadonlyMap<string, EngineTensor>,
    into?: ReadonlyMap<string, EngineTensor>,
  ): Promise<ReadonlyMap<string, EngineTensor>>;
  release(): Promise<void>;
}

export interface Engine {
  /** e.g. `onnxruntime 1.30.0 (cpu)`, as `trace --json` and the output channel show it. */
  readonly name: string;
  /**
   * @param outputs names of graph values wanted from each run; hidden activations included
   * @param threads for each operator, where the engine has a choice; as many as it was made with when omitted
   */
  load(graph: Graph, outputs: readonly string[], threads?: number): Promise<EngineSession>;
}
