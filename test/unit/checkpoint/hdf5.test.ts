import { describe, expect, it } from 'vitest';
import { Tensor } from '../../../src/checkpoint/types';
import { stateDicts } from '../../../src/checkpoint/values';
import { entry, expectRefusal, fixtureBytes, openBytes, openFixture } from './helpers/files';

/** The fixture with bytes replaced at the first place where `find` is. */
function changed(name: string, find: string, offset: number, ...bytes: number[]): Uint8Array<ArrayBuffer> {
  const file = fixtureBytes(name);
  const at = Buffer.from(file).indexOf(find, 0, 'latin1');
  expect(at).not.toBe(-1);
  file.set(bytes, at + offset);
  return file;
}

describe('HDF5', () => {
  it('attributes are entries of their group', () => {
    for (const name of ['arrays.h5', 'latest.h5']) {
      const { root } = openFixture(name);
      expect(entry(root, 'omega_0')).toBe(30);
      expect(entry(root, 'sizes')).toEqual([128, 256]);
      expect(entry(root, 'fixed')).toBe('fixed text');
      expect(entry(root, 'text')).toBe('ω of any length');
      expect(entry(root, 'names')).toEqual(['one', 'two']);
      expect(entry(root, 'texts')).toEqual(['first', 'second']);
    }
  });

  it('links to the same object are one, may lead in circles, and are not followed to names or files', () => {
    const { root } = openFixture('links.h5');
    expect(entry(root, 'kernel')).toBeInstanceOf(Tensor);
    expect(entry(root, 'same')).toBe(entry(root, 'kernel'));
    expect(entry(root, 'circle', 'back')).toBe(root);
    expect(entry(root, 'others')).toEqual(new Map());
    const [{ tensors }] = stateDicts(openFixture('links.h5'));
    expect([...tensors.keys()]).toEqual(['kernel', 'same']);
  });

  it('datasets without numbers of their own are named, so that the rest can be read', () => {
    const { root } = openFixture('links.h5');
    for (const name of ['elsewhere', 'unwritten', 'partly']) {
      expect(entry(root, name)).toBe('<HDF5 dataset that was not written>');
    }
    for (const name of ['words', 'record']) {
      expect(entry(root, name)).toBe('<HDF5 dataset that holds no numbers>');
    }
  });

  it.each([
    ['lzf.h5', /uses the compression 32000, which is not read; save it with h5py's default settings/],
    ['newest-chunks.h5', /uses chunks in the newest or an old layout/],
    ['newest-group.h5', /uses groups in the newest layout/],
    ['named-type.h5', /uses named datatypes/],
  ])('parts that are not read are named: %s', (name, message) => {
    expectRefusal(() => openFixture(name), message);
  });

  const ones = (count: number) => new Array<number>(count).fill(0xff);
  it.each<[string, Uint8Array<ArrayBuffer>, RegExp]>([
    ['a root beyond the end', changed('arrays.h5', '\x89HDF', 64, ...ones(6), 0, 0), /refers past its end/],
    ['an undefined root', changed('arrays.h5', '\x89HDF', 64, ...ones(8)), /refers past its end/],
    ['addresses of an odd width', changed('arrays.h5', '\x89HDF', 13, 3), /unknown width/],
    ['a future version', changed('arrays.h5', '\x89HDF', 8, 9), /version 9 is not known/],
    ['content before it', changed('arrays.h5', '\x89HDF', 24, 1), /does not begin at its first byte/],
    [
      'an index of endless entries',
      changed('arrays.h5', 'TREE', 6, 0xff, 0xff),
      /refers past its end|ends early/,
    ],
    ['an index that is its own child', changed('arrays.h5', 'TREE', 5, 1), /index/],
    ['names of 2⁶³ bytes', changed('arrays.h5', 'HEAP', 8, ...ones(7), 0x7f), /impossible size/],
    ['a group of 65,535 entries', changed('arrays.h5', 'SNOD', 6, 0xff, 0xff), /refers past its end|damaged/],
    ['texts that are missing', changed('arrays.h5', 'GCOL', 0, 0), /a text is missing/],
  ])('is refused with %s', (_what, bytes, message) => {
    expectRefusal(() => openBytes(bytes, 'x.h5'), message);
  });

  it('chunks that lie are found when they are read', () => {
    const deflated = changed('arrays.h5', 'x^', 2, 0xff, 0xff, 0xff);
    const failing = [...stateDicts(openBytes(deflated, 'x.h5'))[0].tensors.values()].filter((tensor) => {
      try {
        tensor.read();
        return false;
      } catch {
        expectRefusal(() => tensor.read(), /a chunk (cannot be expanded|has another size)/);
        return true;
      }
    });
    expect(failing).toHaveLength(1);
  });
});

describe('Keras', () => {
  it('configuration is data, and layers have their names and order', () => {
    const { root } = openFixture('model.keras');
    expect(entry(root, 'config', 'config', 'layers', 1, 'config', 'activation')).toBe('relu');
    expect(entry(root, 'metadata', 'keras_version')).toBe('3.15.1');
    expect([...(entry(root, 'weights', 'layers') as Map<string, unknown>).keys()]).toEqual(['first', 'last']);
    const old = openFixture('keras2.h5').root;
    expect(entry(old, 'model_config', 'config', 'name')).toBe('siren');
    expect(entry(old, 'keras_version')).toBe('2.11.0');
  });

  it('configuration that is not JSON stays text', () => {
    const bytes = changed('keras2.h5', '{"class_name"', 0, 0x7e);
    expect(entry(openBytes(bytes).root, 'model_config')).toMatch(/^~"class_name"/);
  });
});
