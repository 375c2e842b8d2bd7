import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { neverCancelled } from '../../../src/errors';
import { recognise } from '../../../src/inr/recognise';
import { Service } from '../../../src/worker/service';
import { readNpz, traceFile } from '../../support';
import { expectRefusal, inFolder } from '../checkpoint/helpers/files';

const folder = path.resolve(import.meta.dirname, '../../fixtures/inr/tfjs');
const written = mkdtempSync(path.join(tmpdir(), 'neural-canvas-'));
afterAll(() => rmSync(written, { recursive: true }));

interface Node {
  name: string;
  op: string;
  input?: unknown;
  attr?: Record<string, unknown>;
}
interface Model {
  signature?: unknown;
  modelTopology: { node: Node[] };
  weightsManifest: [{ weights: { name: string }[] }];
}

/** Opens the fixture `name` after `change`. */
function open(name: string, change: (model: Model, node: (name: string) => Node) => void) {
  const model = JSON.parse(readFileSync(path.join(folder, name, 'model.json'), 'utf8')) as Model;
  change(model, (wanted) => model.modelTopology.node.find((node) => node.name === wanted)!);
  const shard = 'group1-shard1of1.bin';
  const files = new Map([
    ['model.json', new Uint8Array(Buffer.from(JSON.stringify(model)))],
    [shard, new Uint8Array(readFileSync(path.join(folder, name, shard)))],
  ]);
  return openCheckpoint(inFolder(files, 'model.json'));
}

describe('a coordinate network in a TensorFlow.js graph model', () => {
  it.each([
    ['siren', ['sine_0', 'sine_1', 'colour'], ['sine', 'sine', 'identity'], 'none'],
    [
      'fourier',
      ['dense_0', 'dense_1', 'dense_2', 'dense_3'],
      ['relu', 'leaky-relu', 'elu', expect.any(String)],
      'Fourier features, 16',
    ],
  ])(
    '%s paints what TensorFlow.js paints, and its layers are traced',
    async (name, layers, acts, encoding) => {
      const service = new Service();
      const file = path.join(folder, name, 'model.json');
      const { inspection, completeness } = await traceFile(service, file, { size: '12x20' });
      expect(inspection.layers.map((layer) => layer.name)).toEqual(layers);
      expect(inspection.layers.map((layer) => layer.activation)).toEqual(acts);
      expect(inspection.encoding).toContain(encoding);
      expect(completeness.largest).toBeLessThan(1e-4);
      const maps = path.join(written, `${name}.npz`);
      await service.call('export', { trace: 'test', maps }, () => {}, neverCancelled);
      const { data } = readNpz(maps).get('reconstruction')!;
      const bytes = readFileSync(path.join(folder, `${name}.f32`));
      const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
      expect(data).toHaveLength(expected.length);
      expect(expected.reduce((worst, v, i) => Math.max(worst, Math.abs(v - data[i])), 0)).toBeLessThan(1e-4);
    },
  );

  it('needs no signature when only one node ends the graph', () => {
    const { graph } = open('siren', (model) => delete model.signature);
    expect(graph!().output).toMatch(/Identity$/);
  });

  it('StridedSlice of an index, a new axis, and behind an ellipsis', () => {
    const masks = { begin_mask: { i: '0' }, shrink_axis_mask: { i: '2' }, ellipsis_mask: { i: '1' } };
    const { graph } = open('siren', (_model, node) => {
      Object.assign(node('StatefulPartitionedCall/siren/strided_slice').attr!, masks, { end_mask: { i: 0 } });
    });
    const made = graph!();
    const [slice, squeeze] = made.nodes;
    expect([slice.op, squeeze.op]).toEqual(['Slice', 'Squeeze']);
    const values = slice.inputs.slice(1).map((name) => Number(made.constants.get(name)!.data[0]));
    expect(values).toEqual([0, 1, -1, 1]);
  });

  const dense = 'StatefulPartitionedCall/siren/sine_0/BiasAdd';
  it.each<[string, Parameters<typeof open>[1], RegExp]>([
    [
      'unknown operators, which are named',
      (_, node) => {
        node(dense).op = 'Conv9D';
        node('StatefulPartitionedCall/siren/colour/BiasAdd').op = 'While';
      },
      /^model\.json is a .* that uses the operators "Conv9D", "While", which we cannot run; .*\.$/,
    ],
    ['a cycle', (_, node) => (node(dense).input = ['Identity', dense, dense]), /has a cycle through/],
    [
      'a node that is not there',
      (_, node) => (node(dense).input = ['nowhere']),
      /lacks the node "nowhere" that/,
    ],
    [
      'an output that is not there',
      (model) => (model.signature = { outputs: { y: { name: 'z:0' } } }),
      /"z" that its signature/,
    ],
    [
      'an output without a name',
      (model) => (model.signature = { outputs: { y: 3 } }),
      /whose output has no name/,
    ],
    ['too few inputs', (_, node) => (node(dense).input = ['x']), /too few inputs at node/],
    [
      'a broken list of fused operators',
      (_, node) => (node(dense).attr!.fused_ops = { list: { s: 'Relu' } }),
      /broken attribute "fused_ops"/,
    ],
    [
      'fused operators that are not ours',
      (_, node) => (node(dense).attr!.fused_ops = { list: { s: ['UXVpY2s='] } }),
      /fuses "Quick" into node/,
    ],
    [
      'a flag that is none',
      (_, node) => (node(dense).attr!.transpose_b = { b: 'yes' }),
      /broken attribute "transpose_b"/,
    ],
    [
      'a mask that is no number',
      (_, node) => (node('StatefulPartitionedCall/siren/strided_slice').attr!.begin_mask = { i: 'x' }),
      /broken attribute "begin_mask"/,
    ],
    [
      'a constant without values',
      (model) => model.weightsManifest[0].weights.pop(),
      /has no values for the constant/,
    ],
    [
      'two nodes of one name',
      (model) => model.modelTopology.node.push(model.modelTopology.node[0]),
      /has two nodes "/,
    ],
    [
      'a node that is none',
      (model) => model.modelTopology.node.push(null as never),
      /a node without a name or operator/,
    ],
    ['inputs that are numbers', (_, node) => (node(dense).input = [7]), /a node without a name or operator/],
    ['no nodes', (model) => (model.modelTopology = {} as never), /has no list of nodes/],
  ])('is refused with %s', (_what, change, message) => {
    const checkpoint = open('siren', change);
    expectRefusal(() => checkpoint.graph!(), message);
    // Recognition passes it on as what is missing.
    const result = recognise(checkpoint, { sidecars: [], corrections: new Map() });
    expect(result).toMatchObject({
      recognised: false,
      closest: { title: 'TensorFlow.js coordinate network' },
    });
  });
});
