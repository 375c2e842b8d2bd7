/** Calls: which code a callee runs, what its parameters are, and what an instance's constructor builds. */
import { callLibrary, isModuleClass, layerOf } from '../libraries';
import type { Expression, FunctionDefinition, Parameter, Statement } from '../python/syntax';
import {
  ClassValue,
  Dictionary,
  Either,
  either,
  External,
  FunctionValue,
  Group,
  Instance,
  isModule,
  Layer,
  List,
  Parser,
  Partial,
  Scope,
  Symbolic,
  unknown,
  type Site,
  type Value,
} from '../values';
import { builtin } from './builtins';
import type { Named } from './methods';
import { Modules, type Compact } from './modules';
import { isFlax, nameOf } from './names';

/** Calls within calls. */
const MAX_DEPTH = 24;

export class OutOfSteps extends Error {}

export interface Frame {
  readonly scope: Scope;
  readonly self: Value | undefined;
  readonly owner: ClassValue | undefined;
  readonly returned: Value[];
  readonly compact?: Compact;
}

export abstract class Calls extends Modules {
  /** Variables of functions as they were when they last ran, by definition. */
  readonly variables = new Map<FunctionDefinition, Scope>();
  protected depth = 0;
  protected frame: Frame | undefined;
  private calls = 0;

  /** @param hints what a name stands for that is a size or a picture */
  constructor(protected readonly hints?: (name: string) => Value | undefined) {
    super();
  }

  abstract attribute(object: Value, name: string): Value;
  /** What an expression comes to in the frame at hand. */
  protected abstract value(expression: Expression): Value;
  /** @returns whether the rest does not run any more */
  protected abstract run(statements: readonly Statement[]): boolean;

  protected within<T>(frame: Frame, work: () => T): T {
    const before = this.frame;
    this.frame = frame;
    this.born.set(frame.scope, this.uncertain.length);
    try {
      return work();
    } finally {
      this.frame = before;
    }
  }

  invoke(callee: Value, args: Value[], named: Named, site: Site | undefined): Value {
    if (++this.depth > MAX_DEPTH * 12) throw new OutOfSteps();
    try {
      if (callee instanceof Either) {
        return either(callee.options.map((option) => this.invoke(option, args, named, site)));
      }
      if (callee instanceof ClassValue) return this.instantiate(callee, args, named, site);
      if (callee instanceof FunctionValue) return this.callFunction(callee, args, named, callee.self);
      if (callee instanceof Partial) {
        return this.invoke(
          callee.callee,
          [...callee.args, ...args],
          new Map([...callee.named, ...named]),
          site,
        );
      }
      if (callee instanceof External) return this.callExternal(callee, args, named, site);
      return unknown;
    } finally {
      this.depth--;
    }
  }

  protected instantiate(cls: ClassValue, args: Value[], named: Named, site: Site | undefined): Value {
    const instance = new Instance(cls, site);
    this.born.set(instance, this.uncertain.length);
    const init = cls.member('__init__');
    if (init?.value instanceof FunctionValue) {
      const { definition, scope } = init.value;
      this.callFunction(new FunctionValue(definition, scope, instance, init.owner), args, named, instance);
    } else {
      this.setFields(instance, args, named);
      this.becomeExternal(instance, args, named);
    }
    if (isFlax(cls)) this.flax(instance);
    if (isModuleClass(cls)) {
      this.built.push(instance);
      this.register(instance, cls.definition.name, named, this.frame?.compact);
    }
    return instance;
  }

  /** Fields of a data class, or of a Flax module: annotated in the class, set in order. */
  protected setFields(instance: Instance, args: readonly Value[], named: ReadonlyMap<string, Value>): void {
    const fields = new Map<string, Value>();
    for (const cls of [...instance.class_.lineage()].reverse()) {
      for (const statement of cls.definition.body) {
        if (statement.kind !== 'assign' || !statement.annotation) continue;
        const [target] = statement.targets;
        if (target.kind !== 'name') continue;
        const value = cls.members.own.get(target.id);
        fields.set(target.id, value ?? new Symbolic(`${target.id}#${++this.calls}`));
      }
    }
    let at = 0;
    for (const [name, fallback] of fields) {
      const value = named.get(name) ?? args[at++] ?? fallback;
      instance.attributes.set(name, value);
      instance.args.set(name, value);
    }
  }

  protected flax(instance: Instance): void {
    const setup = instance.class_.member('setup');
    if (setup?.value instanceof FunctionValue) {
      this.callFunction(
        new FunctionValue(setup.value.definition, setup.value.scope, instance, setup.owner),
        [],
        new Map(),
        instance,
      );
    }
    for (const cls of instance.class_.lineage()) {
      for (const value of cls.members.own.values()) {
        if (!(value instanceof FunctionValue) || !('decorators' in value.definition)) continue;
        if (!value.definition.decorators.some((decorator) => nameOf(decorator) === 'compact')) continue;
        this.callFunction(
          new FunctionValue(value.definition, value.scope, instance, cls),
          [],
          new Map(),
          instance,
          {
            instance,
            counts: new Map(),
          },
        );
      }
    }
  }

  protected callFunction(
    fn: FunctionValue,
    args: readonly Value[],
    named: ReadonlyMap<string, Value>,
    self: Value | undefined,
    compact?: Frame['compact'],
  ): Value {
    this.depth += 12;
    if (this.depth > MAX_DEPTH * 12) {
      this.depth -= 12;
      return unknown;
    }
    try {
      const { definition } = fn;
      const isDefinition = 'kind' in definition && definition.kind === 'function';
      const scope = new Scope(fn.scope.file, fn.scope, isDefinition ? definition : undefined);
      this.bind(fn, args, named, self, scope);
      const returned: Value[] = [];
      const frame: Frame = { scope, self, owner: fn.owner, returned, ...(compact && { compact }) };
      if (!isDefinition) return this.within(frame, () => this.value(definition.body as Expression));
      this.variables.set(definition, scope);
      this.within(frame, () => this.run(definition.body));
      return returned.length > 0 ? either(returned) : null;
    } finally {
      this.depth -= 12;
    }
  }

  protected bind(
    fn: FunctionValue,
    args: readonly Value[],
    named: ReadonlyMap<string, Value>,
    self: Value | undefined,
    scope: Scope,
  ): void {
    const call = ++this.calls;
    const rest = [...args];
    const left = new Map(named);
    let first = true;
    for (const parameter of fn.definition.parameters) {
      const { name, stars } = parameter;
      if (first && self !== undefined && stars === 0) {
        scope.own.set(name, self);
        first = false;
        continue;
      }
      first = false;
      scope.own.set(name, this.argument(fn, parameter, rest, left, call));
      if (self instanceof Instance && fn.definition.name === '__init__' && stars === 0) {
        const value = scope.own.get(name)!;
        if (!self.args.has(name)) self.args.set(name, value);
      }
    }
  }

  protected argument(
    fn: FunctionValue,
    { name, stars, fallback }: Parameter,
    rest: Value[],
    left: Named,
    call: number,
  ): Value {
    if (stars === 1) return this.list(rest.splice(0));
    if (stars === 2) {
      const dictionary = new Dictionary(new Map(left));
      dictionary.open = left.delete('**');
      left.clear();
      return dictionary;
    }
    const given = left.get(name);
    if (given !== undefined) {
      left.delete(name);
      return given;
    }
    // A star in the call may give any number of arguments: what follows is not known by place.
    if (rest[0] instanceof Group) return unknown;
    const next = rest.shift();
    if (next !== undefined) return next;
    if (fallback && !left.has('**')) {
      return this.within({ scope: fn.scope, self: undefined, owner: undefined, returned: [] }, () =>
        this.value(fallback),
      );
    }
    return this.hints?.(name) ?? new Symbolic(`${name}#${call}`);
  }

  protected callExternal(
    { path, name }: External,
    args: Value[],
    named: Named,
    site: Site | undefined,
  ): Value {
    if (path.startsWith('builtins.')) return builtin(this, name, args, named);
    if (name === 'partial' && args.length > 0) return new Partial(args[0], args.slice(1), named);
    if (name === 'ArgumentParser' || name === 'ArgParser') {
      const parser = new Parser();
      return parser;
    }
    if (name === 'OrderedDict') return builtin(this, 'dict', args, named);
    if (name === 'deepcopy' || name === 'copy') return args[0] ?? unknown;
    const layer = layerOf(path, args, named, site, (items) => this.list(items));
    if (layer) {
      this.born.set(layer, this.uncertain.length);
      this.built.push(layer);
      if (layer instanceof Layer && path.startsWith('flax'))
        this.register(layer, layer.name, named, this.frame?.compact);
      return layer;
    }
    const result = callLibrary(path, args, named);
    if (result !== undefined) return result instanceof List ? this.list(result.items) : result;
    // `weight_norm(layer)`, `DataParallel(model)`, `torch.compile(model)` give the module back.
    const [first] = args;
    return isModule(first) && !/(save|load|parameters|Optimizer|Adam|SGD|clip|summary)/.test(path)
      ? first
      : unknown;
  }
}
