/** The allow-list for plain containers and configuration objects: what a pickled name becomes as data. */
import { CheckpointError } from '../../errors';
import { asBytes, keyText, Namespace, Pending, type Construct, type Constructors, type Item } from './pickle';
import { numpyConstructors } from './numpy';

const dictionary: Construct = (args) => fill(new Map(), args);
const namespace: Construct = (args) => fill(new Namespace(), args);
const list: Construct = ([items]) => (Array.isArray(items) ? [...items] : []);
/** Mappings of Haiku and Flax are made from a dictionary. */
const mapping: Construct = ([source]) => (source instanceof Map ? source : undefined);
/** An object whose content is one of its attributes. */
const wrapper: Construct = () => new Wrapper();
const path: Construct = (args) =>
  args
    .filter((part) => typeof part === 'string')
    .join('/')
    .replace(/^\/\//, '/');

/** Python 2 called this module `__builtin__`. */
const builtins: Record<string, Construct> = {
  dict: dictionary,
  list,
  tuple: list,
  set: list,
  frozenset: list,
  bytes: ([text]) => asBytes(text),
  bytearray: ([text]) => asBytes(text),
};

const plain = new Map<string, Construct>([
  ...Object.entries(builtins).flatMap(([name, construct]): [string, Construct][] => [
    [`builtins ${name}`, construct],
    [`__builtin__ ${name}`, construct],
  ]),
  // Protocols below 3 write bytes as text.
  ['_codecs encode', ([text]) => asBytes(text)],
  ['collections OrderedDict', dictionary],
  ['collections Counter', dictionary],
  ['collections defaultdict', () => new Map()],
  ['collections deque', list],
  ['argparse Namespace', namespace],
  ['types SimpleNamespace', namespace],
  ['easydict EasyDict', namespace],
  ['addict.addict Dict', namespace],
  ['munch Munch', namespace],
  ['yacs.config CfgNode', dictionary],
  ['pytorch_lightning.utilities.parsing AttributeDict', namespace],
  ['lightning.pytorch.utilities.parsing AttributeDict', namespace],
  ['lightning_fabric.utilities.data AttributeDict', namespace],
  ['lightning.fabric.utilities.data AttributeDict', namespace],
  ['omegaconf.dictconfig DictConfig', wrapper],
  ['omegaconf.listconfig ListConfig', wrapper],
  ['omegaconf.base ContainerMetadata', namespace],
  ['omegaconf.base Metadata', namespace],
  ['ml_collections.config_dict.config_dict ConfigDict', wrapper],
  ['ml_collections.config_dict.config_dict FrozenConfigDict', wrapper],
  ['ml_collections.config_dict.config_dict FieldReference', wrapper],
  ['haiku._src.data_structures FlatMap', mapping],
  ['haiku._src.data_structures FlatMapping', mapping],
  ['haiku._src.data_structures frozendict', mapping],
  ['flax.core.frozen_dict FrozenDict', mapping],
  ['pathlib Path', path],
  ['pathlib PosixPath', path],
  ['pathlib WindowsPath', path],
  ['pathlib PurePosixPath', path],
  ['pathlib PureWindowsPath', path],
]);

/** OmegaConf's leaves: AnyNode, IntegerNode, … */
const omegaNode = /^omegaconf\.nodes \w+Node$/;

/** Names that only describe types. */
const described =
  /^(typing |(builtins|__builtin__) (int|float|long|bool|str|unicode|complex|object|type|slice|range)$)/;

/** Plain containers, configuration objects and NumPy values. */
export const plainConstructors: Constructors = {
  find(module, name) {
    const key = `${module} ${name}`;
    return plain.get(key) ?? (omegaNode.test(key) ? wrapper : undefined) ?? numpyConstructors.get(key);
  },
  isKnown(module, name) {
    const key = `${module} ${name}`;
    return described.test(key) || isForwarder(module, name) || this.find(module, name) !== undefined;
  },
};

function isForwarder(module: string, name: string): boolean {
  return /^copy_?reg$/.test(module) && ['_reconstructor', '__newobj__', '__newobj_ex__'].includes(name);
}

/** The attributes that hold what the object stands for. */
const contents = ['_content', '_val', '_fields', '_value'];

class Wrapper extends Pending {
  private attributes: Map<string, Item> = new Map();

  override build(state: Item): void {
    const attributes = Array.isArray(state) ? state[0] : state;
    if (attributes instanceof Map) this.attributes = attributes;
  }

  override value(): Item {
    for (const name of contents) {
      if (this.attributes.has(name)) return this.attributes.get(name)!;
    }
    return null;
  }
}

/** `dict(mapping)`, `OrderedDict([(key, value), …])`, or no arguments. */
function fill(map: Map<string, Item>, args: readonly Item[]): Map<string, Item> {
  const [source] = args;
  if (source instanceof Map) {
    for (const [key, value] of source) map.set(key, value);
  } else if (Array.isArray(source)) {
    for (const pair of source) {
      if (!Array.isArray(pair) || pair.length !== 2) {
        throw new CheckpointError(
          'The pickle inside the file makes a dictionary of something else; save it again.',
        );
      }
      map.set(keyText(pair[0]), pair[1]);
    }
  }
  return map;
}
