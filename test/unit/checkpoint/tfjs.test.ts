import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/checkpoint/open';
import type { Tensor } from '../../../src/checkpoint/types';
import { entry, expectRefusal, inFolder, openBytes, openFixture } from './helpers/files';

const shard = new Uint8Array([0, 0, 128, 63, 0, 0, 0, 64]);
const weight = { name: 'w', shape: [2], dtype: 'float32' };

/** Opens a model of these groups, with the shards `a` (1, 2 as float32) and `b` (the same). */
function open(...groups: unknown[]) {
  const json = JSON.stringify({ modelTopology: {}, weightsManifest: groups });
  const files = new Map([
    ['model.json', new Uint8Array(Buffer.from(json))],
    ['a', shard],
    ['b', shard],
  ]);
  return openCheckpoint(inFolder(files, 'model.json'));
}

describe('TensorFlow.js', () => {
  it('the topology is data', () => {
    const { root } = openFixture('tfjs/model.json');
    expect(entry(root, 'format')).toBe('layers-model');
    expect(entry(root, 'modelTopology', 'config', 'layers', 1, 'config', 'activation')).toBe('sigmoid');
  });

  it('weights reach over shards, and quantised ones are scaled', () => {
    const over = entry(
      open({ paths: ['a', 'b'], weights: [{ ...weight, shape: [4] }] }).root,
      'weights',
      'w',
    );
    expect([...(over as Tensor).read()]).toEqual([1, 2, 1, 2]);
    const quantization = { dtype: 'uint8', scale: 0.5, min: -1 };
    const scaled = entry(
      open({ paths: ['a'], weights: [{ ...weight, shape: [4], quantization }] }).root,
      'weights',
      'w',
    );
    expect([...(scaled as Tensor).read()]).toEqual([-1, -1, 63, 30.5]);
    const half = entry(
      open({ paths: ['a'], weights: [{ ...weight, quantization: { dtype: 'float16' } }] }).root,
      'weights',
      'w',
    );
    expect((half as Tensor).dtype).toBe('float16');
  });

  it('is told from safetensors, whose header begins at the ninth byte', () => {
    const json = new Uint8Array(Buffer.from('{"meta":{"a":1},"weightsManifest":[]}'));
    expect(openBytes(json).format).toBe('tfjs');
  });

  it.each<[string, () => unknown, RegExp]>([
    ['a missing shard', () => open({ paths: ['c'], weights: [weight] }), /c does not exist/],
    [
      'too short shards',
      () => open({ paths: ['a'], weights: [{ ...weight, shape: [3] }] }),
      /has shards of 8 bytes, but Weight "w" reaches to 12/,
    ],
    ['a shard twice', () => open({ paths: ['a', 'a'], weights: [weight] }), /names "a" twice/],
    [
      'a shard in two groups',
      () => open({ paths: ['a'], weights: [] }, { paths: ['a'], weights: [] }),
      /names "a" twice/,
    ],
    ['a weight twice', () => open({ paths: ['a', 'b'], weights: [weight, weight] }), /two weights "w"/],
    [
      'sizes whose product overflows',
      () => open({ paths: ['a'], weights: [{ ...weight, shape: [2 ** 32, 2 ** 32] }] }),
      /impossible shape/,
    ],
    [
      'a negative size',
      () => open({ paths: ['a'], weights: [{ ...weight, shape: [-1] }] }),
      /does not describe its weights/,
    ],
    [
      'text for weights',
      () => open({ paths: ['a'], weights: [{ ...weight, dtype: 'string' }] }),
      /weight "w" of type "string"/,
    ],
    ['weights without a list', () => open({ paths: ['a'] }), /does not describe its weights/],
    [
      'a shard that is a number',
      () => open({ paths: [7], weights: [weight] }),
      /does not describe its weights/,
    ],
    ['a group that is none', () => open(null), /does not describe its weights/],
  ])('is refused with %s', (_what, action, message) => {
    expectRefusal(action, message);
  });
});
