/**
 * Values of the evaluator (`evaluate.ts`): Python's where the code says them, unknowns where it does not.
 */
import type { ClassDefinition, Expression, FunctionDefinition, Parameter, Span } from './python/syntax';

/** A place in the workspace's code. */
export interface Site {
  /** Absolute path. */
  readonly file: string;
  readonly span: Span;
}

/** Nothing is known. */
export class Unknown {
  readonly type = 'unknown';
}
export const unknown = new Unknown();

/** scale · symbol + offset: a number that depends on an argument nobody gave. */
export class Symbolic {
  readonly type = 'symbolic';
  constructor(
    readonly symbol: string,
    readonly scale = 1,
    readonly offset = 0,
  ) {}
}

/** Text of which parts are unknown (null), as an f-string in a loop gives. */
export class Pattern {
  readonly type = 'pattern';
  constructor(readonly parts: readonly (string | null)[]) {}
}

/** One of several, by a condition that is unknown. */
export class Either {
  readonly type = 'either';
  constructor(readonly options: readonly Value[]) {}
}

/** In a list: items that are there any number of times, or perhaps. */
export class Group {
  readonly type = 'group';
  readonly items: Value[] = [];
  constructor(readonly repeats: boolean) {}
}

export class List {
  readonly type = 'list';
  constructor(readonly items: Value[] = []) {}
  /** No more is known than what is listed. */
  get exact(): boolean {
    return this.items.every((item) => !(item instanceof Group));
  }
}

export class Dictionary {
  readonly type = 'dictionary';
  /** There are entries besides. */
  open = false;
  constructor(readonly entries = new Map<string, Value>()) {}
}

export class FunctionValue {
  readonly type = 'function';
  constructor(
    readonly definition:
      | FunctionDefinition
      | { readonly name: string; readonly parameters: readonly Parameter[]; readonly body: Expression },
    readonly scope: Scope,
    readonly self?: Value,
    /** Class whose body holds it, for `super()`. */
    readonly owner?: ClassValue,
  ) {}
}

export class ClassValue {
  readonly type = 'class';
  /** Bases, own ones evaluated. */
  readonly bases: readonly Value[];
  constructor(
    readonly definition: ClassDefinition,
    readonly file: string,
    bases: readonly Value[],
    readonly members: Scope,
  ) {
    this.bases = bases;
  }

  /** This class and those it inherits from, nearest first. */
  *lineage(): Generator<ClassValue> {
    const seen = new Set<ClassValue>();
    const queue: Value[] = [this];
    for (let next = 0; next < queue.length && next < 64; next++) {
      const found = queue[next];
      if (!(found instanceof ClassValue) || seen.has(found)) continue;
      seen.add(found);
      yield found;
      queue.push(...found.bases);
    }
  }

  /** Dotted names of the classes of libraries that it derives from. */
  external(): string[] {
    return [...this.lineage()].flatMap(({ bases }) =>
      bases.flatMap((base) => (base instanceof External ? [base.path] : [])),
    );
  }

  member(name: string): { readonly value: Value; readonly owner: ClassValue } | undefined {
    for (const owner of this.lineage()) {
      const value = owner.members.own.get(name);
      if (value !== undefined) return { value, owner };
    }
    return undefined;
  }
}

/** Something of a library, by its dotted name: `torch.nn.Linear`. */
export class External {
  readonly type = 'external';
  constructor(readonly path: string) {}
  get name(): string {
    return this.path.slice(this.path.lastIndexOf('.') + 1);
  }
}

/** A file of the workspace, imported. */
export class FileValue {
  readonly type = 'file';
  constructor(readonly path: string) {}
}

/** A class's instance with what its constructor set. */
export class Instance {
  readonly type = 'instance';
  readonly attributes = new Map<string, Value>();
  /** Where each attribute is assigned. */
  readonly assigned = new Map<string, Site[]>();
  /** Arguments by parameter, as far as known. */
  readonly args = new Map<string, Value>();
  /** What it is to a library: the layer whose constructor `super().__init__` calls. */
  base: Layer | Container | undefined;
  /** Attributes are set under names that are unknown. */
  open = false;
  constructor(
    readonly class_: ClassValue,
    readonly site: Site | undefined,
  ) {}
}

export type LayerKind =
  | 'affine' // Linear, convolutions: holds a weight
  | 'plain' // activations, dropout, norms: no weight that a checkpoint's layer shows
  | 'opaque'; // may hold anything

/** A layer of a library. */
export class Layer {
  readonly type = 'layer';
  /** Python attributes set on it, as `layer.omega = 30`. */
  readonly attributes = new Map<string, Value>();
  constructor(
    readonly name: string,
    readonly kind: LayerKind,
    readonly inputs: Value,
    readonly outputs: Value,
    readonly site: Site | undefined,
    readonly args: ReadonlyMap<string, Value>,
    /** Name given in code, as Keras and Flax allow. */
    readonly given?: string,
  ) {}
}

/** `Sequential`, `ModuleList`, `ModuleDict`. */
export class Container {
  readonly type = 'container';
  constructor(
    readonly name: string,
    readonly site: Site | undefined,
    /** In order; for those by name see `named`. */
    readonly list = new List(),
    readonly named = new Map<Value, Value>(),
  ) {}
}

/** A tensor; its values where they are few and known. */
export class Tensor {
  readonly type = 'tensor';
  constructor(
    readonly shape: readonly number[] | undefined,
    readonly data: Float64Array | undefined,
  ) {}
}

/** `functools.partial`. */
export class Partial {
  readonly type = 'partial';
  constructor(
    readonly callee: Value,
    readonly args: readonly Value[],
    readonly named: ReadonlyMap<string, Value>,
  ) {}
}

/** `super()`: the members of the classes behind `owner`. */
export class Super {
  readonly type = 'super';
  constructor(
    readonly self: Instance,
    readonly owner: ClassValue | undefined,
  ) {}
}

/** `argparse.ArgumentParser`, and what `parse_args` returns. */
export class Parser {
  readonly type = 'parser';
  readonly defaults = new Map<string, Value>();
}

export type Value =
  | number
  | boolean
  | string
  | null
  | Unknown
  | Symbolic
  | Pattern
  | Either
  | Group
  | List
  | Dictionary
  | FunctionValue
  | ClassValue
  | External
  | FileValue
  | Instance
  | Layer
  | Container
  | Tensor
  | Partial
  | Super
  | Parser;

export class Scope {
  readonly own = new Map<string, Value>();
  constructor(
    readonly file: string,
    readonly parent?: Scope,
    /** Function whose variables these are. */
    readonly owner?: FunctionDefinition,
  ) {}

  get(name: string): Value | undefined {
    // None is a value.
    return this.own.has(name) ? this.own.get(name) : this.parent?.get(name);
  }
}

export type ModuleValue = Instance | Layer | Container;
export const isModule = (value: Value | undefined): value is ModuleValue =>
  value instanceof Instance || value instanceof Layer || value instanceof Container;

const MOST_OPTIONS = 8;

/** All of several possibilities as one value. */
export function either(options: readonly Value[]): Value {
  const flat = options.flatMap((option) => (option instanceof Either ? option.options : [option]));
  const distinct = [...new Set(flat)];
  if (distinct.length === 1) return distinct[0];
  return new Either(distinct.slice(0, MOST_OPTIONS));
}

export const isUnknown = (value: Value) => value instanceof Unknown || value instanceof Symbolic;
