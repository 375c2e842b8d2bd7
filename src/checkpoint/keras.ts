/** Keras: `.h5` of Keras 2, and `.keras` of Keras 3, a zip of `config.json` and `model.weights.h5`. */
import { readHdf5 } from './hdf5/file';
import { fromJson, parseJson } from './json';
import type { ByteSource, Checkpoint, Value } from './types';
import type { ZipArchive } from './zip';

const weightsName = 'model.weights.h5';
const maxConfig = 16 * 2 ** 20;

/** Attributes of Keras 2 that are JSON. */
const jsonAttributes = ['model_config', 'training_config'];

/** An HDF5 file; Keras's configuration in it becomes values. */
export function readH5(source: ByteSource): Checkpoint {
  const { root, warnings } = readHdf5(source);
  const entries = new Map(root instanceof Map ? (root as ReadonlyMap<string, Value>) : []);
  for (const name of jsonAttributes) {
    const text = entries.get(name);
    if (typeof text === 'string') entries.set(name, fromJson(`${name} of ${source.name}`, text));
  }
  return { format: 'hdf5', root: entries, opaque: [], warnings };
}

export const isKeras = (archive: ZipArchive): boolean => archive.has(weightsName);

/** `{config, metadata, weights}`. */
export function readKeras(source: ByteSource, archive: ZipArchive): Checkpoint {
  const root = new Map<string, Value>();
  for (const name of ['config', 'metadata']) {
    const file = `${name}.json`;
    if ((archive.size(file) ?? Infinity) > maxConfig) continue;
    root.set(name, parseJson(archive.read(file), `${file} in ${source.name}`));
  }
  const weights = archive.open(weightsName);
  const { root: tensors, warnings } = readHdf5(weights);
  root.set('weights', tensors);
  return { format: 'keras', root, opaque: [], warnings: [...archive.warnings, ...warnings] };
}
