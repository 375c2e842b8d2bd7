import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../src/graph/build';
import { pixelCost } from '../../../src/graph/cost';
import { inferShapes, unknown } from '../../../src/graph/shapes';

describe('shape inference', () => {
  it('follows the pixel symbol through a coordinate network', () => {
    const b = new GraphBuilder();
    const x = b.input('coords', [2, 'P']);
    const z = b.linear(x, new Float32Array(8), new Float32Array(4), 4, 2);
    const wide = b.concat([b.op('Sin', [z]), b.gatherRows(z, [3, 1])], 0);
    expect(b.shapeOf(wide)).toEqual([6, 'P']);
    expect(b.shapeOf(b.slice(wide, 0, 1, -1))).toEqual([4, 'P']);
    expect(b.shapeOf(b.layerNorm(wide, new Float32Array(6), new Float32Array(6), 1e-5))).toEqual([6, 'P']);
    expect(b.shapeOf(b.reshape(wide, [2, 3, -1]))).toEqual([2, 3, 'P']);
    expect(b.shapeOf(b.op('Transpose', [wide]))).toEqual(['P', 6]);
    expect([...inferShapes(b.build(wide)).keys()]).toContain(wide);
  });

  it('follows pictures through a decoder', () => {
    const b = new GraphBuilder();
    const x = b.reshape(b.input('t', [1, 96]), [1, 6, 4, 4]);
    const conv = b.conv2d(x, { shape: [8, 6, 3, 3], data: new Float32Array(432) }, null, { padding: 1 });
    expect(b.shapeOf(conv)).toEqual([1, 8, 4, 4]);
    const shuffled = b.depthToSpace(conv, 2);
    expect(b.shapeOf(shuffled)).toEqual([1, 2, 8, 8]);
    expect(b.shapeOf(b.resize(shuffled, [2, 3], 'linear'))).toEqual([1, 2, 16, 24]);
    const strided = { shape: [1, 2, 3, 3], data: new Float32Array(18) };
    expect(b.shapeOf(b.conv2d(shuffled, strided, null, { stride: 2 }))).toEqual([1, 1, 3, 3]);
  });

  it('follows the sizes that exporters compute', () => {
    const b = new GraphBuilder();
    const x = b.input('x', [1, 8, 'H', 5]);
    const sizes = b.op('Shape', [x]);
    const height = b.gatherRows(sizes, [2]);
    const target = b.concat([b.integers([1, -1]), height, b.integers([5])], 0);
    expect(b.shapeOf(b.op('Reshape', [x, target]))).toEqual([1, 8, 'H', 5]);
  });

  it('says unknown rather than guessing', () => {
    const b = new GraphBuilder();
    const x = b.input('x', ['P', 4]);
    expect(b.shapeOf(b.reshape(x, [-1, 8]))).toEqual([unknown, 8]);
  });

  it('refuses layers that do not fit, naming them', () => {
    const b = new GraphBuilder();
    const x = b.input('coords', [3, 'P']);
    expect(() => b.linear(x, new Float32Array(8), null, 4, 2)).toThrow(/MatMul .* \[4, 2\] and \[3, P\]/);
    expect(() => b.constant(new Float32Array(5), [2, 3])).toThrow(/5 elements/);
  });
});

describe('pixelCost', () => {
  it('counts products and values of one pixel', () => {
    const b = new GraphBuilder();
    const x = b.input('coords', [2, 'P']);
    const graph = b.build(b.op('Sin', [b.linear(x, new Float32Array(8), null, 4, 2)]));
    expect(pixelCost(graph)).toEqual({ flops: 2 * 8 + 10 * 4, bytes: (2 + 4 + 4) * 4 });
  });
});
