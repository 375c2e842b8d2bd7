import type { Tensor } from '@tensorflow/tfjs-core';
import type { GraphNode } from '../../graph/types';
import type { Tf } from './api';

/** What an operator is run with. */
export interface Call {
  readonly tf: Tf;
  readonly node: GraphNode;
  /** float32 tensors are floats, int32 tensors ONNX's int64. */
  readonly inputs: readonly (Tensor | undefined)[];
  /** The tensor that `make` makes, kept for later runs when input `index` is a constant. */
  prepared(index: number, name: string, make: () => Tensor): Tensor;
}

/** A variant of an operator that only onnxruntime runs. */
export class UnsupportedError extends Error {
  constructor(node: GraphNode, what: string) {
    super(`${node.op} (${node.outputs[0]}) ${what}`);
  }
}

/** Numbers of an input that steers the operator; undefined when it is left out. */
export function numbers({ inputs }: Call, index: number): number[] | undefined {
  const tensor = inputs[index];
  return tensor && Array.from(tensor.dataSync() as ArrayLike<number>);
}

/** Elements along an axis in the given order. */
export function pick(tf: Tf, x: Tensor, axis: number, indices: readonly number[]): Tensor {
  return tf.gather(x, tf.tensor(Int32Array.from(indices), [indices.length], 'int32'), axis);
}
