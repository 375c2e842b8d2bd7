import type { Attribute, Constant, Graph } from './types';
import { DataType, encodeModel, type AttributeValue, type TensorProto } from '../onnx/modelProto';

/** What graphs are written as: onnxruntime 1.17 and newer run it; opset 20 brought Gelu. */
export const irVersion = 9;
export const opsetVersion = 20;

/**
 * Lowers a graph to the bytes of an ONNX model (IR 9, opset 20).
 * @param outputs values that become the model's outputs, hidden ones included; the network's own when omitted
 */
export function toOnnx(graph: Graph, outputs: readonly string[] = [graph.output]): Uint8Array<ArrayBuffer> {
  return encodeModel({
    irVersion,
    producer: 'neural-canvas',
    opsets: new Map([['', opsetVersion]]),
    metadata: new Map(),
    graph: {
      name: 'inr',
      nodes: graph.nodes.map((node) => ({
        opType: node.op,
        domain: '',
        name: node.outputs[0],
        inputs: node.inputs,
        outputs: node.outputs,
        attributes: new Map(
          Object.entries(node.attributes ?? {}).map(([name, value]) => [name, attributeValue(value)]),
        ),
      })),
      initializers: Array.from(graph.constants, ([name, constant]) => tensorProto(name, constant)),
      inputs: graph.inputs.map((input) => ({ ...input, dataType: DataType.float })),
      outputs: outputs.map((name) => ({ name, dataType: DataType.float })),
    },
  });
}

/** ONNX has no integer beyond int64; ±2⁶³, as Slice uses for "to the end", is clamped into it. */
function int64(value: number): bigint {
  if (value >= 2 ** 63) return 2n ** 63n - 1n;
  if (value <= -(2 ** 63)) return -(2n ** 63n);
  return BigInt(value);
}

function attributeValue(value: Attribute): AttributeValue {
  if (typeof value === 'number') return { type: 'float', value };
  if (typeof value === 'string') return { type: 'string', value };
  if ('int' in value) return { type: 'int', value: int64(value.int) };
  if ('ints' in value) return { type: 'ints', value: value.ints.map(int64) };
  return { type: 'floats', value };
}

function tensorProto(name: string, { shape, data }: Constant): TensorProto {
  return {
    name,
    dims: shape,
    dataType: data instanceof Float32Array ? DataType.float : DataType.int64,
    content: { raw: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) },
  };
}
