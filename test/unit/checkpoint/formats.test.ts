import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { formats } from '../../../src/checkpoint/open';
import { stateDicts } from '../../../src/checkpoint/values';
import { expectTensor, fixtures, openFixture, type ExpectedTensor } from './helpers/files';

type Written = Record<string, ExpectedTensor>;
const parse = (name: string): unknown => JSON.parse(fs.readFileSync(path.join(fixtures, name), 'utf8'));
/** What the writers of the fixtures put into them, by file and name. */
const written = {
  ...(parse('formats.json') as Record<string, Written>),
  ...(parse('libraries.json') as Record<string, Written>),
  'tfjs/model.json': parse('tfjs.json') as Written,
};

/** Where the weights are found, when not at the top. */
const places: Record<string, [format: string, ...path: string[]]> = {
  'array.npy': ['npy'],
  'arrays.h5': ['hdf5'],
  'deflated.npz': ['npz'],
  'dictionary.npy': ['npy'],
  'external.onnx': ['onnx', 'weights'],
  'flax.msgpack': ['flax-msgpack', 'params'],
  'functa.npz': ['pickle', 'params'],
  'keras2.h5': ['hdf5', 'model_weights'],
  'latest.h5': ['hdf5'],
  'list.npy': ['npy', 'array'],
  'model.h5': ['hdf5', 'model_weights'],
  'model.keras': ['keras', 'weights', 'layers'],
  'model.safetensors': ['safetensors'],
  'model.weights.h5': ['hdf5', 'layers'],
  'sharded.bin.index.json': ['pytorch-sharded'],
  'sharded.safetensors.index.json': ['safetensors-sharded'],
  'siren.onnx': ['onnx', 'weights'],
  'state.msgpack': ['flax-msgpack', 'params'],
  'stored.npz': ['npz'],
  'tfjs/model.json': ['tfjs', 'weights'],
};

describe('every format', () => {
  it.each(Object.entries(written))('agrees with its writer: %s', (name, wanted) => {
    const checkpoint = openFixture(name);
    const [format, ...place] = places[name];
    expect(checkpoint.format).toBe(format);
    expect(formats.map(({ id }) => id)).toContain(format);
    expect(checkpoint.warnings).toEqual([]);
    const [{ path, tensors }] = stateDicts(checkpoint);
    expect(path).toEqual(place);
    expect([...tensors.keys()].sort()).toEqual(Object.keys(wanted).sort());
    for (const [key, value] of Object.entries(wanted)) expectTensor(tensors.get(key), value);
  });
});
