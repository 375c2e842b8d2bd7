/** What classes and functions of PyTorch, Flax, Keras and NumPy are to the evaluator. */
import { tensorFunction } from './tensors';
import type { ClassValue } from './values';
import {
  Container,
  Dictionary,
  Layer,
  List,
  Tensor,
  unknown,
  type LayerKind,
  type Site,
  type Value,
} from './values';

const AFFINE = /(Linear|Dense|Conv\d?d?|ConvTranspose\d?d?|Conv\d?DTranspose|Conv\dD)$/;
const PLAIN =
  /^(ReLU\d?|LeakyReLU|PReLU|ELU|CELU|SELU|GELU|SiLU|Swish|Mish|Softplus|Softsign|Softmax|Sigmoid|LogSigmoid|Tanh|Hardtanh|Hardswish|Identity|Dropout\d?d?|Flatten|Unflatten|PixelShuffle|PixelUnshuffle|Upsample|ZeroPad2d|ReflectionPad2d|ReplicationPad2d|Pad|AvgPool2d|MaxPool2d|AdaptiveAvgPool2d|BatchNorm\d?d?|LayerNorm|GroupNorm|InstanceNorm\d?d?|RMSNorm|Activation|Input|InputLayer|Rescaling|Lambda|Embedding|BatchNormalization|LayerNormalization|Concatenate|.*Loss)$/;
const MODULE =
  /(Module|Sequential|ModuleList|ModuleDict|LightningModule|Model|Layer|Linear|Conv\d?d?|Dense|Network)$/;

/** A class that networks are made of. */
export const isModuleClass = (cls: ClassValue) =>
  cls.external().some((path) => MODULE.test(path) && !/^(builtins|typing|abc|enum)\b/.test(path));

const isLibrary = (path: string) =>
  /^(torch|torchmeta|nn\b|flax|linen|keras|tensorflow|tf\b|jax|haiku|pytorch_lightning|lightning)/.test(path);

type Named = ReadonlyMap<string, Value>;

/**
 * The layer or container that a library's class makes.
 * @param path dotted name as imported
 * @returns undefined when it is no module
 */
export function layerOf(
  path: string,
  args: readonly Value[],
  named: Named,
  site: Site | undefined,
  list: (items: readonly Value[]) => List,
): Layer | Container | undefined {
  const name = path.slice(path.lastIndexOf('.') + 1);
  if (!/^[A-Z]/.test(name)) return undefined;
  const argument = (index: number, ...keys: string[]): Value =>
    args[index] ?? keys.map((key) => named.get(key)).find((value) => value !== undefined) ?? unknown;
  const given = named.get('name');
  const label = typeof given === 'string' ? given : undefined;
  const make = (kind: LayerKind, inputs: Value, outputs: Value) => {
    const known = new Map(named);
    args.forEach((value, i) => known.set(String(i), value));
    return new Layer(name, kind, inputs, outputs, site, known, label);
  };
  if (/Sequential$/.test(name)) {
    const [first] = args;
    if (first instanceof Dictionary) {
      return new Container(name, site, list([]), new Map(first.entries));
    }
    // Keras takes a list.
    const items = args.length === 1 && first instanceof List ? first.items : args;
    return new Container(name, site, list(items));
  }
  if (/^(ModuleList|ParameterList)$/.test(name)) {
    const [first] = args;
    const items = first instanceof List ? first.items : first instanceof Container ? first.list.items : [];
    return new Container(name, site, list(items));
  }
  if (/^(ModuleDict|ParameterDict)$/.test(name)) {
    const [first] = args;
    return new Container(name, site, list([]), new Map(first instanceof Dictionary ? first.entries : []));
  }
  if (AFFINE.test(name)) {
    // Flax and Keras say what comes out only; what goes in follows from the input.
    const outputsOnly =
      /Dense$/.test(name) || /Conv\dD/.test(name) || /^(flax|keras|tensorflow|tf|linen)\b/.test(path);
    return outputsOnly
      ? make('affine', unknown, argument(0, 'features', 'units', 'filters'))
      : make(
          'affine',
          argument(0, 'in_features', 'in_channels', 'in_feat'),
          argument(1, 'out_features', 'out_channels', 'out_feat'),
        );
  }
  if (PLAIN.test(name)) return make('plain', unknown, unknown);
  // A module of a library that we do not know may hold anything; other classes are no modules.
  if (isLibrary(path) && /\b(nn|modules|layers|models)\b/.test(path) && name !== 'Parameter') {
    return make('opaque', unknown, unknown);
  }
  return undefined;
}

export function libraryConstant(path: string): Value | undefined {
  if (/\.pi$/.test(path)) return Math.PI;
  if (/^math\.e$/.test(path)) return Math.E;
  return undefined;
}

const MATH: Readonly<Record<string, (x: number) => number>> = {
  sqrt: Math.sqrt,
  floor: Math.floor,
  ceil: Math.ceil,
  log: Math.log,
  log2: Math.log2,
  exp: Math.exp,
  abs: Math.abs,
  round: Math.round,
};

/** What a function of a library returns, undefined when nothing is known of it. */
export function callLibrary(path: string, args: readonly Value[], named: Named): Value | undefined {
  const at = path.lastIndexOf('.');
  const [module, name] = [path.slice(0, at), path.slice(at + 1)];
  const [first] = args;
  if (MATH[name] && typeof first === 'number' && /^(math|numpy|np|torch|jax)/.test(module)) {
    const result = MATH[name](first);
    return Number.isFinite(result) ? result : unknown;
  }
  if (/^(numpy|np|torch|jax\.numpy|jnp|tensorflow)$/.test(module)) {
    const made = tensorFunction(module === 'np' ? 'numpy' : module, name, args, named);
    if (made !== undefined) return made;
    if (/^(randn|rand|normal|full|eye|zeros_like|ones_like)$/.test(name))
      return new Tensor(undefined, undefined);
  }
  if (name === 'Parameter') return new Tensor(undefined, undefined);
  return undefined;
}
