/**
 * Compares what code builds with the layers of a checkpoint, by structure and shapes. Sizes the code does
 * not say are unknowns that the shapes must solve alike everywhere.
 */
import {
  Container,
  Either,
  Group,
  Instance,
  Layer,
  Symbolic,
  Tensor,
  type ModuleValue,
  type Value,
} from './values';

/** A layer as a checkpoint has it. */
export interface CheckpointLayer {
  /** Dotted, as in the checkpoint. */
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
}

/** Names of a checkpoint's layers as a tree. */
export class PathNode {
  readonly children = new Map<string, PathNode>();
  layer: CheckpointLayer | undefined;
  /** Layers at and below. */
  count = 0;
  constructor(readonly path: string) {}
}

export const pathOf = (name: string) => name.split(/[./]/).filter((part) => part !== '');

export function pathTree(layers: readonly CheckpointLayer[]): PathNode {
  const root = new PathNode('');
  for (const layer of layers) {
    let node = root;
    node.count++;
    for (const part of pathOf(layer.name)) {
      let next = node.children.get(part);
      if (!next) {
        next = new PathNode(node.path === '' ? part : `${node.path}.${part}`);
        node.children.set(part, next);
      }
      node = next;
      node.count++;
    }
    node.layer = layer;
  }
  return root;
}

/** A network of the code found in a checkpoint. */
export interface Match {
  readonly root: ModuleValue;
  /** Where in the checkpoint it lies: `` or `model`. */
  readonly prefix: string;
  /** What each name of the checkpoint is in the code: modules and layers, outermost first. */
  readonly nodes: ReadonlyMap<string, ModuleValue>;
  /** Number of items of each container, those without weights included. */
  readonly lengths: ReadonlyMap<string, number>;
  /** Layers found in the code, and sizes that agree (known ones count more than solved ones). */
  readonly layers: number;
  readonly agreed: number;
  /** What the shapes say about arguments nobody gave. */
  readonly solved: ReadonlyMap<string, number>;
}

class State {
  nodes: [string, ModuleValue][] = [];
  lengths: [string, number][] = [];
  solved = new Map<string, number>();
  layers = 0;
  agreed = 0;
  /** Parts that the checkpoint does not have. */
  missing = 0;

  copy(): State {
    const state = new State();
    state.nodes = [...this.nodes];
    state.lengths = [...this.lengths];
    state.solved = new Map(this.solved);
    state.layers = this.layers;
    state.agreed = this.agreed;
    state.missing = this.missing;
    return state;
  }

  /** @returns whether a size of the code may be that of the checkpoint */
  size(value: Value, size: number): boolean {
    if (typeof value === 'number') {
      this.agreed += 2;
      return value === size;
    }
    if (value instanceof Either) {
      return value.options.some((option) => typeof option !== 'number' || option === size);
    }
    if (value instanceof Symbolic) {
      const solution = (size - value.offset) / value.scale;
      if (!Number.isInteger(solution) || solution < 1) return false;
      const before = this.solved.get(value.symbol);
      if (before !== undefined) {
        this.agreed++;
        return before === solution;
      }
      this.solved.set(value.symbol, solution);
    }
    return true;
  }
}

/** Attempts that one comparison may take; structures that need more are ambiguous anyway. */
const MAX_ATTEMPTS = 20_000;

class Matcher {
  private attempts = 0;

  /** The state with everything of `value` found at `node` (undefined: the checkpoint has nothing there). */
  module(value: Value, node: PathNode | undefined, before: State): State | undefined {
    if (++this.attempts > MAX_ATTEMPTS) return undefined;
    if (value instanceof Either) {
      let best: State | undefined;
      for (const option of value.options) {
        const state = this.module(option, node, before);
        if (state && (!best || state.layers > best.layers)) best = state;
      }
      return best;
    }
    if (value instanceof Layer) return this.layer(value, node, before);
    if (value instanceof Container) return this.container(value, value, node, before);
    if (value instanceof Instance) {
      const { base } = value;
      const extra = [...value.attributes.values()].some(
        (attribute) =>
          attribute instanceof Instance || attribute instanceof Container || attribute instanceof Layer,
      );
      if (base instanceof Container && !extra) return this.container(base, value, node, before);
      if (base instanceof Layer && !extra) {
        const state = this.layer(base, node, before);
        if (state && node) state.nodes.push([node.path, value]);
        return state;
      }
      return this.instance(value, node, before);
    }
    // Not a module: nothing of it is saved. What is unknown may be anything.
    if (typeof value === 'object' && value?.type === 'unknown') return before.copy();
    return node ? undefined : before.copy();
  }

  private layer(layer: Layer, node: PathNode | undefined, before: State): State | undefined {
    if (layer.kind === 'plain') return node ? undefined : before.copy();
    if (layer.kind === 'opaque') {
      const state = before.copy();
      if (node) state.nodes.push([node.path, layer]);
      return state;
    }
    const found = node?.layer;
    if (!node || !found || node.children.size > 0) return undefined;
    const state = before.copy();
    if (!state.size(layer.inputs, found.inputs) || !state.size(layer.outputs, found.outputs))
      return undefined;
    state.nodes.push([node.path, layer]);
    state.layers++;
    return state;
  }

  private instance(instance: Instance, node: PathNode | undefined, before: State): State | undefined {
    let state: State | undefined = before.copy();
    if (node) state.nodes.push([node.path, instance]);
    const weight = instance.attributes.get('weight');
    if (weight instanceof Tensor) {
      // A layer that holds its weight itself.
      const found = node?.layer;
      if (!found || node.children.size > 0) return undefined;
      const [outputs, inputs] = weight.shape ?? [];
      if (outputs !== undefined && !state.size(outputs, found.outputs)) return undefined;
      if (inputs !== undefined && !state.size(inputs, found.inputs)) return undefined;
      state.layers++;
      return state;
    }
    const used = new Set<string>();
    const patterns: [RegExp, Value][] = [];
    const attributes = new Map(instance.attributes);
    if (instance.base instanceof Container) {
      // A Sequential with attributes of its own.
      instance.base.list.items.forEach((item, i) => attributes.set(String(i), item));
    }
    for (const [name, value] of attributes) {
      if (name.includes('*')) {
        patterns.push([new RegExp(`^${name.split('*').map(escape).join('.+')}$`), value]);
        continue;
      }
      if (!holdsModules(value)) continue;
      const child = node?.children.get(name);
      const next = this.module(value, child, state);
      if (!next) {
        if (child !== undefined) return undefined;
        // What the recognised network leaves out, as HNeRV's encoder; or another class.
        if (required(value)) state.missing++;
        continue;
      }
      if (child) used.add(name);
      state = next;
    }
    for (const [name, child] of node?.children ?? []) {
      if (used.has(name)) continue;
      const pattern = patterns.find(([expression]) => expression.test(name));
      if (pattern) {
        const next = this.module(pattern[1], child, state);
        if (!next) return undefined;
        state = next;
      } else if (!instance.open && attributes.has(name) && !isOpaque(attributes.get(name)!)) {
        return undefined;
      }
    }
    return state;
  }

  private container(
    { list, named }: Container,
    value: ModuleValue,
    node: PathNode | undefined,
    before: State,
  ): State | undefined {
    let state: State | undefined = before.copy();
    if (node) state.nodes.push([node.path, value]);
    if (named.size > 0) {
      const used = new Set<string>();
      for (const [key, item] of named) {
        if (typeof key !== 'string') continue;
        if (key.includes('*')) {
          const expression = new RegExp(`^${key.split('*').map(escape).join('.+')}$`);
          for (const [name, child] of node?.children ?? []) {
            if (used.has(name) || !expression.test(name) || !state) continue;
            used.add(name);
            state = this.module(item, child, state);
          }
          if (!state) return undefined;
          continue;
        }
        state = this.module(item, node?.children.get(key), state);
        if (!state) return undefined;
        used.add(key);
      }
      return [...(node?.children.keys() ?? [])].every((name) => used.has(name)) ? state : undefined;
    }
    const children = node?.children ?? new Map<string, PathNode>();
    const numbers = [...children.keys()].map(Number);
    const numeric = numbers.every((n) => Number.isInteger(n) && n >= 0);
    if (!numeric) return this.inOrder(list.items, [...children.values()], state);
    const end = Math.max(-1, ...numbers) + 1;
    const at = (index: number) => children.get(String(index));
    const found = this.sequence([...list.items], 0, end, at, state);
    if (found && node) found.state.lengths.push([node.path, found.length]);
    return found?.state;
  }

  /** Keras names its layers freely: those with weights are compared in order. */
  private inOrder(items: readonly Value[], nodes: readonly PathNode[], before: State): State | undefined {
    const weighted = items.filter((item) => !(item instanceof Layer && item.kind === 'plain'));
    const at = (index: number) => nodes[index];
    return this.sequence(weighted, 0, nodes.length, at, before)?.state;
  }

  /**
   * Items against the places `index … end − 1`; groups may repeat or be left out. Places behind `end` hold
   * nothing with weights.
   */
  private sequence(
    items: readonly Value[],
    index: number,
    end: number,
    at: (index: number) => PathNode | undefined,
    before: State,
  ): { readonly state: State; readonly length: number } | undefined {
    if (++this.attempts > MAX_ATTEMPTS) return undefined;
    const [item, ...rest] = items;
    if (item === undefined) return index >= end ? { state: before, length: index } : undefined;
    if (item instanceof Group) {
      // Once more, then again if it repeats; or not at all.
      if (index < end) {
        const once = [...item.items, ...(item.repeats ? [item] : []), ...rest];
        const found = this.sequence(once, index, end, at, before);
        if (found) return found;
      }
      return this.sequence(rest, index, end, at, before);
    }
    const state = this.module(item, at(index), before);
    return state && this.sequence(rest, index + 1, end, at, state);
  }
}

const escape = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Whether a checkpoint must have something where this is assigned. */
function required(value: Value): boolean {
  if (value instanceof Group) return value.items.some(required);
  if (value instanceof Layer) return value.kind === 'affine';
  if (value instanceof Instance) {
    if (value.base) return required(value.base);
    return [...value.attributes].some(
      ([name, attribute]) => required(attribute) || (name === 'weight' && attribute instanceof Tensor),
    );
  }
  if (value instanceof Container) {
    return [...value.list.items, ...value.named.values()].some(required);
  }
  return false;
}

function isOpaque(value: Value): boolean {
  if (value instanceof Either) return value.options.some(isOpaque);
  if (value instanceof Layer) return value.kind === 'opaque';
  return typeof value === 'object' && value !== null && value.type === 'unknown';
}

function holdsModules(value: Value): boolean {
  if (value instanceof Either) return value.options.some(holdsModules);
  return (
    value instanceof Layer ||
    value instanceof Container ||
    value instanceof Instance ||
    (typeof value === 'object' && value !== null && value.type === 'unknown')
  );
}

/** Names in front of a network's own that only say how it was wrapped. */
const WRAPPERS = /^(module|_orig_mod|model|net|network|params|state_dict)$/;

/**
 * A module in a checkpoint: at its top, behind prefixes such as `model.`, or deeper.
 * @param deep whether any place may be meant, not only those behind the usual prefixes
 */
export function matchModule(root: ModuleValue, tree: PathNode, deep = false): Match | undefined {
  if (!required(root)) return undefined;
  const places: PathNode[] = [];
  const collect = (node: PathNode) => {
    places.push(node);
    for (const [name, child] of node.children) if (deep || WRAPPERS.test(name)) collect(child);
  };
  collect(tree);
  let best: Match | undefined;
  for (const place of places) {
    const state = new Matcher().module(root, place, new State());
    if (!state || state.layers === 0) continue;
    // What is left over below the place is not this network's: it would be another one.
    if (state.layers < place.count && !hasOpaque(root)) continue;
    if (state.layers < 2 && state.agreed < 4) continue;
    if (state.layers * 2 < place.count || state.missing * 2 >= state.layers) continue;
    const match: Match = {
      root,
      prefix: place.path,
      nodes: new Map(state.nodes),
      lengths: new Map(state.lengths),
      layers: state.layers,
      agreed: state.agreed - 4 * state.missing,
      solved: state.solved,
    };
    if (!best || better(match, best)) best = match;
  }
  return best;
}

function hasOpaque(value: Value, depth = 0): boolean {
  if (isOpaque(value)) return true;
  if (depth > 8) return false;
  if (value instanceof Instance)
    return [...value.attributes.values()].some((v) => holdsModules(v) && hasOpaque(v, depth + 1));
  if (value instanceof Container)
    return [...value.list.items, ...value.named.values()].some((v) => hasOpaque(v, depth + 1));
  return false;
}

export const better = (a: Match, b: Match) =>
  a.layers > b.layers || (a.layers === b.layers && a.agreed > b.agreed);
