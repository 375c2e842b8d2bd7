/** What callers ask of a checkpoint's values: state dicts, hyper-parameters, plain data. */
import { kerasSettings } from './kerasModel';
import { Opaque, Tensor, type Checkpoint, type Plain, type Value } from './types';

export interface StateDict {
  /** Keys from the root; empty for the top level. */
  readonly path: readonly string[];
  /** Names exactly as stored; those of nested dictionaries are joined by dots. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

const maxDepth = 12;
/** Values looked at; a hostile file may refer to the same ones along many ways. */
const maxVisits = 500_000;
const maxCandidates = 64;

/** Keys under which training code keeps the weights, the most telling first. */
const weightKeys = [
  'state_dict',
  'model_state_dict',
  'model_state',
  'network_fn_state_dict',
  'model',
  'network',
  'net',
  'sd',
  'params',
  'module',
  'weights',
  'generator',
  'decoder',
];

/** Keys whose tensors are not weights. */
const notWeights = /optim|opt_state|sched|scaler|callback|loops|rng|exp_avg|momentum/i;
/** Averaged copies come after the weights they were averaged from. */
const averaged = /(^|_)(ema|avg|averaged|shadow)(_|$)|ema_?model/i;
/** Of PyTorch, Flax, Haiku, and Keras 2 (`kernel:0`) and 3 (`vars.0`). */
const weightName = /(^|[./_])(weight|kernel|w|bias|b)(_[gv]|:0)?$|(^|\.)vars\.\d+$/;

/**
 * All sets of weights in a file, the most likely first: under the usual keys, at the top level, in
 * nested dictionaries and lists (JAX), in whole saved modules, and quantised (HNeRV).
 */
export function stateDicts(checkpoint: Checkpoint): StateDict[] {
  const found: StateDict[] = [];
  const queue: { value: Value; path: string[] }[] = [{ value: checkpoint.root, path: [] }];
  const seen = new Set<Value>();
  const budget = { visits: maxVisits };
  // It grows while it is gone through.
  for (const { value, path } of queue) {
    if (found.length >= maxCandidates) break;
    if (seen.has(value) || path.length > maxDepth) continue;
    seen.add(value);
    if (isModule(value)) {
      const tensors = new Map<string, Tensor>();
      collect(value, '', tensors, budget, []);
      if (tensors.size > 0) found.push({ path, tensors });
      continue;
    }
    const own = new Map<string, Tensor>();
    const tree = new Map<string, Tensor>();
    let parts = 0;
    for (const [key, child] of children(value)) {
      const tensor = asTensor(child);
      if (tensor) {
        own.set(key, tensor);
        tree.set(key, tensor);
      } else if (isContainer(child) && !notWeights.test(key)) {
        const before = tree.size;
        collect(child, `${key}.`, tree, budget, [value]);
        if (tree.size === before) continue;
        parts++;
        queue.push({ value: child, path: [...path, key] });
      }
    }
    if (own.size > 0) found.push({ path, tensors: own });
    // Names that already have dots are those of several complete state dicts, not of one tree.
    if (parts + Math.min(own.size, 1) > 1 && tree.size > own.size && !hasDottedKey(value, budget)) {
      found.push({ path, tensors: tree });
    }
  }
  return found.sort((a, b) => likelihood(b) - likelihood(a));
}

function likelihood({ path, tensors }: StateDict): number {
  const named = [...tensors.keys()].some((name) => weightName.test(name));
  const rank = weightKeys.indexOf(path.at(-1) ?? '');
  return (
    (named ? 1000 : 0) -
    (path.some((key) => averaged.test(key)) ? 500 : 0) +
    (rank < 0 ? 0 : 10 * (weightKeys.length - rank) + 20) -
    20 * path.length +
    // Of two at the same place the larger.
    1 -
    1 / (1 + tensors.size)
  );
}

/**
 * A tensor, or one stored as HNeRV does, `{quant, min, scale}`, as float32 `quant · scale + min`
 * with `min` and `scale` broadcast; undefined for anything else.
 */
export function asTensor(value: Value): Tensor | undefined {
  if (value instanceof Tensor) return value;
  if (!(value instanceof Map) || value.size > 8) return undefined;
  const map = value as ReadonlyMap<string, Value>;
  const quantised = map.get('quant');
  const min = scalarOrTensor(map.get('min'));
  const scale = scalarOrTensor(map.get('scale'));
  if (!(quantised instanceof Tensor) || !min || !scale || quantised.isComplex) return undefined;
  const { shape } = quantised;
  if (!broadcasts(min.shape, shape) || !broadcasts(scale.shape, shape)) return undefined;
  return new Tensor('float32', shape, () => {
    const values = quantised.read().slice();
    const offsets = broadcast(min, shape);
    const scales = broadcast(scale, shape);
    for (let i = 0; i < values.length; i++) values[i] = values[i] * scales(i) + offsets(i);
    return values;
  });
}

function scalarOrTensor(value: Value | undefined): Tensor | undefined {
  if (typeof value === 'number') return new Tensor('float32', [], () => new Float32Array([value]));
  return value instanceof Tensor && !value.isComplex ? value : undefined;
}

/** NumPy's rule: sizes are compared from the right, and 1 repeats. */
function broadcasts(from: readonly number[], to: readonly number[]): boolean {
  const skip = to.length - from.length;
  return skip >= 0 && from.every((size, i) => size === 1 || size === to[skip + i]);
}

/** Value of a smaller tensor at a row-major index of `shape`. */
function broadcast(tensor: Tensor, shape: readonly number[]): (index: number) => number {
  const values = tensor.read();
  if (values.length === 1) return () => values[0];
  const skip = shape.length - tensor.shape.length;
  return (index) => {
    let at = 0;
    for (let axis = shape.length - 1, step = 1; axis >= skip; axis--) {
      const size = tensor.shape[axis - skip];
      if (size > 1) at += (index % shape[axis]) * step;
      step *= size;
      index = Math.floor(index / shape[axis]);
    }
    return values[at];
  };
}

/** A module that was saved whole, by Python (`torch.save(model)`) or as TorchScript. */
function isModule(value: Value): value is Opaque {
  if (!(value instanceof Opaque) || !(value.state instanceof Map)) return false;
  return (
    value.module.startsWith('__torch__') || (value.state.has('_parameters') && value.state.has('_modules'))
  );
}

/** Tensors below `value`, named by their way to it; a module's as its state dict would be. */
function collect(
  value: Value,
  prefix: string,
  into: Map<string, Tensor>,
  budget: { visits: number },
  /** What it lies in; a hostile file may lead in circles. */
  above: readonly Value[],
): void {
  if (above.length > 2 * maxDepth || above.includes(value)) return;
  for (const [key, child] of isModule(value) ? moduleChildren(value) : children(value)) {
    if (budget.visits-- <= 0) return;
    const tensor = asTensor(child);
    if (tensor) into.set(prefix + key, tensor);
    else if (isContainer(child) && !notWeights.test(key))
      collect(child, `${prefix}${key}.`, into, budget, [...above, value]);
  }
}

function* moduleChildren(module: Opaque): Generator<[string, Value]> {
  if (module.module.startsWith('__torch__')) yield* children(module);
  else {
    for (const name of ['_parameters', '_buffers', '_modules']) {
      yield* children((module.state as ReadonlyMap<string, Value>).get(name) ?? null);
    }
  }
}

function* children(value: Value): Generator<[string, Value]> {
  if (value instanceof Map) yield* value as ReadonlyMap<string, Value>;
  else if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) yield [String(i), value[i] as Value];
  } else if (value instanceof Opaque) yield* children(value.state);
}

function isContainer(value: Value): boolean {
  return value instanceof Map || Array.isArray(value) || value instanceof Opaque;
}

/** Whether a tensor below has a name with a dot in its own dictionary. */
function hasDottedKey(value: Value, budget: { visits: number }, depth = 0): boolean {
  if (depth > maxDepth) return false;
  for (const [key, child] of children(value)) {
    if (budget.visits-- <= 0) return true;
    if (asTensor(child)) {
      if (key.includes('.')) return true;
    } else if (isContainer(child) && !notWeights.test(key) && hasDottedKey(child, budget, depth + 1))
      return true;
  }
  return false;
}

/** Prefixes that wrappers put before every name: DataParallel, torch.compile, Lightning, DeepSpeed. */
export const wrapperPrefixes: readonly string[] = ['module.', '_orig_mod.', '_forward_module.', 'model.'];

/** Removes the wrappers' prefixes that all names share; `prefix` is what was removed, in all. */
export function stripPrefix<T>(
  named: ReadonlyMap<string, T>,
  prefixes: readonly string[] = wrapperPrefixes,
): { prefix: string; named: ReadonlyMap<string, T> } {
  let prefix = '';
  const names = [...named.keys()];
  for (let next: string | undefined = ''; next !== undefined && names.length > 0;) {
    prefix += next;
    next = prefixes.find((wrapper) => names.every((name) => name.startsWith(prefix + wrapper)));
  }
  return { prefix, named: new Map([...named].map(([name, value]) => [name.slice(prefix.length), value])) };
}

// Plain data

const maxPlainNodes = 100_000;
const maxPlainDepth = 32;
const maxPlainText = 10_000;
/** Tensors of up to this many elements are listed, larger ones are described. */
const maxListed = 64;

/**
 * Any value as plain data. Tensors become lists when small and text such as `float32 [256, 2]` when
 * not; opaque objects their attributes, or their name. What is deep, endless or long is cut with `…`.
 */
export function toPlain(value: unknown): Plain {
  const budget = { nodes: maxPlainNodes };
  return plain(value, 0, budget);
}

function plain(value: unknown, depth: number, budget: { nodes: number }): Plain {
  if (budget.nodes-- <= 0 || depth > maxPlainDepth) return '…';
  const inner = (part: unknown) => plain(part, depth + 1, budget);
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean' || typeof value === 'number') return value;
  if (typeof value === 'bigint') return value.toString().slice(0, maxPlainText);
  if (typeof value === 'string')
    return value.length > maxPlainText ? `${value.slice(0, maxPlainText)}…` : value;
  if (value instanceof Tensor) return plainTensor(value);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof Opaque) return plainOpaque(value, inner);
  if (Array.isArray(value)) return cut(value, budget, inner);
  if (typeof value !== 'object') return '…';
  const result = Object.create(null) as Record<string, Plain>;
  const entries = value instanceof Map ? (value as ReadonlyMap<unknown, unknown>) : Object.entries(value);
  for (const [key, part] of entries) {
    if (budget.nodes <= 0) break;
    result[plainKey(key)] = inner(part);
  }
  return result;
}

function cut(items: readonly unknown[], budget: { nodes: number }, inner: (part: unknown) => Plain): Plain[] {
  const result: Plain[] = [];
  for (const item of items) {
    if (budget.nodes <= 0) break;
    result.push(inner(item));
  }
  return result;
}

function plainKey(key: unknown): string {
  const text = typeof key === 'object' && key !== null ? '<object>' : String(key);
  return text.slice(0, maxPlainText);
}

function plainTensor(tensor: Tensor): Plain {
  const description = `${tensor.dtype} [${tensor.shape.join(', ')}]`;
  if (tensor.size > maxListed || tensor.isComplex) return description;
  const values = [...tensor.read()];
  return tensor.shape.length === 0 ? values[0] : values;
}

function plainOpaque({ module, name, args, state }: Opaque, inner: (part: unknown) => Plain): Plain {
  if (state !== null) return inner(state);
  const shown = args.slice(0, 8).map((arg) => (typeof arg === 'object' ? '…' : String(arg).slice(0, 100)));
  return shown.length > 0 ? `${module}.${name}(${shown.join(', ')})` : `${module}.${name}`;
}

// Hyper-parameters

/** Keys that hold settings; later ones win. */
const settingKeys = [
  'opt',
  'opts',
  'options',
  'args',
  'kwargs',
  'hparams',
  'cfg',
  'config',
  'configs',
  'model_args',
  'hyper_parameters',
  'hyperparameters',
];

/**
 * The settings that a file holds, merged: scalars at the top level (`omega_0`), and what is under
 * `args`, `config`, `hyper_parameters` and the like, up to three levels deep. References of OmegaConf
 * (`${..layer_size}`) are replaced by the values they name.
 */
export function hyperParameters(checkpoint: Checkpoint): Record<string, Plain> {
  const merged = Object.create(null) as Record<string, Plain>;
  for (const [key, value] of children(checkpoint.root)) {
    if (isSetting(value) && !key.includes('.')) merged[key] = toPlain(value);
  }
  mergeSettings(checkpoint.root, merged, 0);
  if (/^(keras|hdf5|tfjs)$/.test(checkpoint.format)) Object.assign(merged, kerasSettings(checkpoint.root));
  return resolveReferences(merged) as Record<string, Plain>;
}

function mergeSettings(value: Value, merged: Record<string, Plain>, depth: number): void {
  const entries = new Map(depth < 3 && !Array.isArray(value) ? children(value) : []);
  for (const key of ['model', 'network']) {
    if (entries.get(key) instanceof Map) mergeSettings(entries.get(key)!, merged, depth + 1);
  }
  for (const key of settingKeys) {
    const settings = entries.get(key) ?? null;
    const contents = toPlain(settings);
    if (!isRecord(contents)) continue;
    for (const [name, setting] of Object.entries(contents)) {
      // `hyper_parameters: {cfg: {…}}` says the same as `hyper_parameters: {…}`.
      if (!settingKeys.includes(name) || !isRecord(setting)) merged[name] = setting;
    }
    mergeSettings(settings, merged, depth + 1);
  }
}

function isSetting(value: Value): boolean {
  if (Array.isArray(value))
    return value.length <= maxListed && value.every((part) => typeof part !== 'object');
  if (value instanceof Tensor) return value.shape.length === 0 && !value.isComplex;
  return value !== null && typeof value !== 'object';
}

function isRecord(value: Plain): value is Record<string, Plain> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Replaces OmegaConf's `${name.part}`, from the root, and `${..name}`, from the dictionary that holds it
 * (each further dot one level up), where they name a scalar or a list of scalars.
 */
export function resolveReferences(root: Plain): Plain {
  return resolve(root, [], 0);
}

function resolve(value: Plain, parents: readonly Plain[], chain: number): Plain {
  if (typeof value === 'string') {
    const reference = /^\$\{(\.*)([\w.-]+)\}$/.exec(value);
    if (!reference || chain > 8 || parents.length === 0) return value;
    const depth = reference[1] === '' ? 1 : parents.length - reference[1].length + 1;
    const scopes = parents.slice(0, depth);
    let target: Plain | undefined = scopes.at(-1);
    const steps = reference[2].split('.');
    for (const [i, step] of steps.entries()) {
      target = target !== undefined && isRecord(target) ? target[step] : undefined;
      if (target !== undefined && i < steps.length - 1) scopes.push(target);
    }
    if (target === undefined || isRecord(target)) return value;
    if (Array.isArray(target)) return target.every((part) => typeof part !== 'object') ? target : value;
    return resolve(target, scopes, chain + 1);
  }
  if (Array.isArray(value)) return value.map((part: Plain) => resolve(part, parents, chain));
  if (!isRecord(value)) return value;
  const result = Object.create(null) as Record<string, Plain>;
  for (const [key, part] of Object.entries(value)) result[key] = resolve(part, [...parents, value], chain);
  return result;
}
