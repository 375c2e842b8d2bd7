import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../../src/errors';
import { GraphBuilder } from '../../../src/graph/build';
import { constantOf, fromOnnx } from '../../../src/graph/fromOnnx';
import {
  DataType,
  decodeModel,
  encodeModel,
  type AttributeValue,
  type ModelProto,
  type NodeProto,
} from '../../../src/onnx/modelProto';
import { toOnnx } from '../../../src/graph/onnx';
import type { Graph } from '../../../src/graph/types';

const node = (
  opType: string,
  inputs: string[],
  outputs: string[],
  attributes: Record<string, AttributeValue> = {},
): NodeProto => ({
  opType,
  domain: '',
  name: '',
  inputs,
  outputs,
  attributes: new Map(Object.entries(attributes)),
});

function model(
  nodes: NodeProto[],
  opset = 20,
  initializers: ModelProto['graph']['initializers'] = [],
): ModelProto {
  return {
    irVersion: 9,
    producer: 'test',
    opsets: new Map([['', opset]]),
    metadata: new Map(),
    graph: {
      name: 'g',
      nodes,
      initializers,
      inputs: [{ name: 'x', dataType: DataType.float, shape: [2, 'P'] }],
      outputs: [{ name: 'y', dataType: DataType.float }],
    },
  };
}

function example(): Graph {
  const b = new GraphBuilder();
  const x = b.input('coords', [2, 'P']);
  const z = b.linear(x, Float32Array.of(1, 2, 3, 4, 5, 6), Float32Array.of(0.5, -0.5, 0), 3, 2);
  const parts = b.ops('Split', [b.gelu(z, 'tanh'), b.integers([1, 2])], 2, { axis: { int: 0 } });
  return b.build(b.op('LeakyRelu', [b.concat(parts, 0)], { alpha: 0.25 }));
}

describe('ONNX round trip', () => {
  it('gives the same graph back', () => {
    const graph = example();
    expect(fromOnnx(decodeModel(toOnnx(graph)))).toEqual(graph);
  });

  it('tells how many equal parts a Split of an older operator set has', () => {
    const split = node('Split', ['x'], ['y', 'z'], { axis: { type: 'int', value: 0n } });
    const [made] = fromOnnx(model([split], 13)).nodes;
    expect(made.attributes).toEqual({ axis: { int: 0 }, num_outputs: { int: 2 } });
  });

  it('keeps every kind of attribute, symbol and metadata', () => {
    const full: ModelProto = {
      ...model([
        node('Relu', ['x'], ['y'], {
          a: { type: 'float', value: 0.5 },
          b: { type: 'int', value: -3n },
          c: { type: 'string', value: 'CRD ü' },
          d: { type: 'floats', value: [1.5, -2] },
          e: { type: 'ints', value: [2n ** 63n - 1n, -(2n ** 63n), 0n] },
          f: { type: 'strings', value: ['p', ''] },
          g: {
            type: 'tensor',
            value: { name: 't', dims: [2], dataType: DataType.int8, content: { raw: Uint8Array.of(1, 255) } },
          },
        }),
      ]),
      metadata: new Map([['author', 'someone']]),
    };
    expect(decodeModel(encodeModel(full))).toEqual(full);
  });
});

describe('decodeModel', () => {
  const bytes = toOnnx(example());

  it('refuses a file that ends early, wherever it ends', () => {
    // A prefix that ends between top-level fields is well formed but lacks the graph or the opset.
    for (let end = 0; end < bytes.length; end++) {
      let decoded: ModelProto;
      try {
        decoded = decodeModel(bytes.subarray(0, end));
      } catch (error) {
        expect(error).toBeInstanceOf(CheckpointError);
        continue;
      }
      expect(() => fromOnnx(decoded)).toThrow(CheckpointError);
    }
  });

  it('survives any change of its bytes with a graph or a CheckpointError', () => {
    const change = fc.record({ at: fc.nat(bytes.length - 1), to: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const broken = bytes.slice();
        for (const { at, to } of changes) broken[at] = to;
        try {
          fromOnnx(decodeModel(broken));
        } catch (error) {
          expect(error).toBeInstanceOf(CheckpointError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['an eleven-byte number', [0x08, ...new Array<number>(11).fill(0xff)], /longer than ten bytes/],
    ['field number zero', [0x00, 0x00], /field number 0/],
    ['a group', [0x0b, 0x0c], /wire type 3/],
    ['a length past the end', [0x3a, 0x7f, 0x00], /past its end/],
    ['a length of 2⁶⁴ − 1', [0x3a, ...new Array<number>(9).fill(0xff), 0x01], /past its end/],
    ['two graphs', [0x08, 0x09, 0x3a, 0x00, 0x3a, 0x00], /two graphs/],
    ['nothing', [], /no graph/],
  ])('refuses %s', (_, content, message) => {
    expect(() => decodeModel(Uint8Array.from(content))).toThrow(message);
  });

  it('bounds how many objects a small file becomes', () => {
    // A graph of 1,100,000 empty nodes, two bytes each.
    const flood = new Uint8Array(2_200_000);
    for (let i = 0; i < flood.length; i += 2) flood[i] = 0x0a;
    const graph = Uint8Array.of(0x08, 0x09, 0x3a, 0xc0, 0xa3, 0x86, 0x01);
    expect(() => decodeModel(Buffer.concat([graph, flood]))).toThrow(/more than 1000000 fields/);
  });
});

describe('fromOnnx', () => {
  it('sorts nodes and drops what the output does not need, even unknown operators', () => {
    const graph = fromOnnx(
      model([node('Sin', ['h'], ['y']), node('Relu', ['x'], ['h']), node('NonZero', ['h'], ['unused'])]),
    );
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Relu', 'Sin']);
  });

  it('sorts a chain of 50,000 nodes without recursion', () => {
    const nodes = Array.from({ length: 50_000 }, (_, i) =>
      node('Relu', [i ? `v${i}` : 'x'], [i < 49_999 ? `v${i + 1}` : 'y']),
    );
    expect(fromOnnx(model(nodes.reverse())).nodes).toHaveLength(50_000);
  });

  it.each([
    [
      'a cycle',
      [node('Add', ['x', 'b'], ['a']), node('Relu', ['a'], ['b']), node('Relu', ['b'], ['y'])],
      /cycle/,
    ],
    ['a missing tensor', [node('Add', ['x', 'w'], ['y'])], /lacks the tensor "w"/],
    ['an unknown operator', [node('NonMaxSuppression', ['x'], ['y'])], /operator NonMaxSuppression/],
    ['another domain', [{ ...node('Relu', ['x'], ['y']), domain: 'com.evil' }], /operator com\.evil\.Relu/],
    ['a value made twice', [node('Relu', ['x'], ['y']), node('Sin', ['x'], ['y'])], /"y" twice/],
    ['a value made of nothing', [], /lacks the tensor "y"/],
    ['a subgraph', [node('Relu', ['x'], ['y'], { body: { type: 'unsupported' } })], /attribute/],
  ])('names %s', (_, nodes, message) => {
    expect(() => fromOnnx(model(nodes))).toThrow(message);
    expect(() => fromOnnx(model(nodes))).toThrow(CheckpointError);
  });

  it('brings older operator sets to opset 20', () => {
    const graph = fromOnnx(
      model(
        [
          node('Unsqueeze', ['x'], ['u'], { axes: { type: 'ints', value: [0n] } }),
          node('Clip', ['u'], ['y'], { max: { type: 'float', value: 1 } }),
        ],
        9,
      ),
    );
    const [unsqueeze, clip] = graph.nodes;
    expect(unsqueeze.attributes).toBeUndefined();
    expect(graph.constants.get(unsqueeze.inputs[1])).toEqual({ shape: [1], data: BigInt64Array.of(0n) });
    expect(clip.inputs).toEqual(['u', '', clip.inputs[2]]);
    expect(graph.constants.get(clip.inputs[2])).toEqual({ shape: [], data: Float32Array.of(1) });
  });

  it('reads external data only when given the bytes', () => {
    const external = new Map([
      ['location', 'w.bin'],
      ['offset', '4'],
      ['length', '8'],
    ]);
    const m = model([node('Add', ['x', 'w'], ['y'])], 20, [
      { name: 'w', dims: [2, 1], dataType: DataType.float, content: { external } },
    ]);
    expect(() => fromOnnx(m)).toThrow(/another file, "w\.bin"/);
    const file = new Uint8Array(Float32Array.of(0, 1, 2).buffer);
    const graph = fromOnnx(m, {
      external: (location, offset, length) => {
        expect(location).toBe('w.bin');
        return file.subarray(offset, offset + length!);
      },
    });
    expect(graph.constants.get('w')?.data).toEqual(Float32Array.of(1, 2));
  });
});

describe('constantOf', () => {
  const raw = (dataType: number, dims: number[], bytes: ArrayBufferLike) =>
    constantOf({ name: 't', dims, dataType, content: { raw: new Uint8Array(bytes) } });

  it.each([
    ['float16', DataType.float16, Uint16Array.of(0x3c00, 0xc000, 0x0001).buffer, [1, -2, 2 ** -24]],
    ['bfloat16', DataType.bfloat16, Uint16Array.of(0x3f80, 0xc000, 0x3fc0).buffer, [1, -2, 1.5]],
    ['double', DataType.double, Float64Array.of(1, -2, 0.5).buffer, [1, -2, 0.5]],
  ])('reads %s as float32', (_, dataType, bytes, expected) => {
    expect(raw(dataType, [3], bytes).data).toEqual(Float32Array.from(expected));
  });

  it('reads int32 as int64', () => {
    expect(raw(DataType.int32, [2], Int32Array.of(-1, 7).buffer).data).toEqual(BigInt64Array.of(-1n, 7n));
  });

  it('reads packed lists', () => {
    const floats = new Uint8Array(Float32Array.of(1.5).buffer);
    expect(constantOf({ name: 't', dims: [1], dataType: DataType.float, content: { floats } }).data).toEqual(
      Float32Array.of(1.5),
    );
    const varints = Uint8Array.of(0x05, 0x80, 0x01);
    expect(constantOf({ name: 't', dims: [2], dataType: DataType.int64, content: { varints } }).data).toEqual(
      BigInt64Array.of(5n, 128n),
    );
  });

  it.each([
    ['too few bytes', DataType.float, [2], /holds 1 of the 2/],
    ['sizes that overflow', DataType.float, [2 ** 32, 2 ** 32], /impossible size/],
    ['text', 8, [1], /data type 8/],
  ])('refuses %s', (_, dataType, dims, message) => {
    expect(() => raw(dataType, dims, new ArrayBuffer(4))).toThrow(message);
  });
});
