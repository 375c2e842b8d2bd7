/** Which files are offered for tracing; package.json says the same for menus and editors (a test compares). */

/** Extensions that only networks use: shown in the tree even when they hold no INR. */
export const ownExtensions = ['pt', 'pth', 'ckpt', 'safetensors', 'onnx', 'keras'] as const;
/** Extensions that other data use too: shown in the tree only when they hold an INR. */
export const sharedExtensions = [
  'npz',
  'npy',
  'h5',
  'hdf5',
  'msgpack',
  'flax',
  'pkl',
  'pickle',
  'tar',
] as const;
export const checkpointExtensions: readonly string[] = [...ownExtensions, ...sharedExtensions];

const own: readonly string[] = ownExtensions;
/** @param path of a file, with `/` or `\` */
export const isOwn = (path: string) => own.includes(path.replace(/^.*\./, '').toLowerCase());

/** The tree's files; `model.json` is TensorFlow.js, `….index.json` lists shards. */
export const checkpointPattern = `**/{${[
  // VS Code's globs know no braces within braces.
  ...checkpointExtensions.map((extension) => `*.${extension}`),
  'model.json',
  '*.index.json',
  'pytorch_model*.bin',
].join(',')}}`;
