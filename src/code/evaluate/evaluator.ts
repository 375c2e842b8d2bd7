/**
 * Runs Python constructors in the abstract, to see which modules they build: values are known where the
 * code says them, branches on what is unknown are both taken, loops of unknown length run once. Nothing
 * of a library runs and nothing is imported; code is data.
 */
import type { Argument, Expression, FunctionDefinition, Parameter, Span, Statement } from '../python/syntax';
import { callLibrary, isModuleClass, layerOf, libraryConstant } from '../libraries';
import {
  ClassValue,
  Container,
  Dictionary,
  Either,
  either,
  External,
  FileValue,
  FunctionValue,
  Group,
  Instance,
  isModule,
  isUnknown,
  Layer,
  List,
  Parser,
  Partial,
  Pattern,
  Scope,
  Super,
  Symbolic,
  Tensor,
  unknown,
  type ModuleValue,
  type Site,
  type Value,
} from '../values';
import { indexTensor, methodOfTensor, type TensorIndex } from '../tensors';
import { BUILTINS, builtin } from './builtins';
import { dictionaryMethod, listMethod, parserMethod, type Named } from './methods';
import { isFlax, nameOf, patternName } from './names';
import { binary, compared, isText, textMethod, truth } from './operators';
import { Sequences, MAX_ITERATIONS } from './sequences';

/** The code that may be imported. */
export interface Files {
  /** File of an imported module, absolute; undefined when it is a library's. @param level leading dots */
  resolve(module: string, level: number, from: string): string | undefined;
  statements(file: string): readonly Statement[] | undefined;
}

/** Calls within calls. */
const MAX_DEPTH = 24;
/** Statements and expressions that one exploration may take. */
const MAX_STEPS = 60_000;

class OutOfSteps extends Error {}

interface Frame {
  readonly scope: Scope;
  readonly self: Value | undefined;
  readonly owner: ClassValue | undefined;
  readonly returned: Value[];
  /** Flax: the module whose `__call__` creates its submodules, and how many of each class there are. */
  readonly compact?: { readonly instance: Instance; readonly counts: Map<string, number> };
}

export class Evaluator extends Sequences {
  /** Every module built so far, in order. */
  readonly built: ModuleValue[] = [];
  /** Variables of functions as they were when they last ran, by definition. */
  readonly variables = new Map<FunctionDefinition, Scope>();
  private readonly scopes = new Map<string, Scope>();
  private steps = 0;
  private depth = 0;
  private calls = 0;
  private frame: Frame | undefined;

  /** With hints: every small tensor that was assigned, and where. */
  readonly tensors: { readonly tensor: Tensor; readonly site: Site }[] = [];

  /**
   * @param hints what a name stands for that is a size or a picture; for code that makes coordinates, which
   * then runs on a picture of a few pixels
   */
  constructor(
    private readonly files: Files,
    private readonly hints?: (name: string) => Value | undefined,
  ) {
    super();
  }

  private hinted(name: string, value: Value): Value {
    if (!this.hints || !(isUnknown(value) || typeof value === 'number')) return value;
    return this.hints(name) ?? value;
  }

  /** Names of a file; runs its top level on first use. */
  file(path: string): Scope | undefined {
    const known = this.scopes.get(path);
    if (known) return known;
    const statements = this.files.statements(path);
    if (!statements) return undefined;
    const scope = new Scope(path);
    this.scopes.set(path, scope);
    scope.own.set('__name__', '__main__');
    this.isolated(() => {
      this.within({ scope, self: undefined, owner: undefined, returned: [] }, () => this.run(statements));
    });
    return scope;
  }

  /** Runs something with steps of its own and outside of all loops; gives up quietly at their end. */
  private isolated<T>(work: () => T): T | undefined {
    const { steps, depth } = this;
    const outer = this.uncertain.splice(0);
    [this.steps, this.depth] = [0, 0];
    try {
      return work();
    } catch (error) {
      if (!(error instanceof OutOfSteps) && !(error instanceof RangeError)) throw error;
      return undefined;
    } finally {
      this.uncertain.splice(0, this.uncertain.length, ...outer);
      [this.steps, this.depth] = [steps, depth];
    }
  }

  /** A class's instance; arguments that are not given are their defaults, or symbols. */
  construct(cls: ClassValue, named: ReadonlyMap<string, Value> = new Map()): Instance | undefined {
    return this.isolated(() => {
      const made = this.instantiate(cls, [], new Map(named), undefined);
      return made instanceof Instance ? made : undefined;
    });
  }

  /** Runs a function with unknown arguments, to see what it builds. @returns what it gives back */
  explore(fn: FunctionValue): Value | undefined {
    return this.isolated(() => this.callFunction(fn, [], new Map(), fn.self));
  }

  /** An expression's value in a scope, as hovers ask for it. */
  evaluate(expression: Expression, scope: Scope, self?: Value): Value {
    return (
      this.isolated(() =>
        this.within({ scope, self, owner: undefined, returned: [] }, () => this.value(expression)),
      ) ?? unknown
    );
  }

  private within<T>(frame: Frame, work: () => T): T {
    const before = this.frame;
    this.frame = frame;
    this.born.set(frame.scope, this.uncertain.length);
    try {
      return work();
    } finally {
      this.frame = before;
    }
  }

  private step(): void {
    if (++this.steps > MAX_STEPS) throw new OutOfSteps();
  }

  private get scope(): Scope {
    return this.frame!.scope;
  }

  private site(span: Span): Site {
    return { file: this.scope.file, span };
  }

  // ---- statements

  /** @returns whether the rest does not run any more */
  private run(statements: readonly Statement[]): boolean {
    for (const statement of statements) if (this.statement(statement)) return true;
    return false;
  }

  private statement(statement: Statement): boolean {
    this.step();
    switch (statement.kind) {
      case 'function': {
        const { owner } = this.frame!;
        let value: Value = new FunctionValue(statement, this.scope, undefined, owner);
        if (statement.decorators.some((decorator) => nameOf(decorator) === 'property')) {
          value = Object.assign(new FunctionValue(statement, this.scope, undefined, owner), {
            property: true,
          });
        }
        this.scope.own.set(statement.name, value);
        return false;
      }
      case 'class': {
        const bases = statement.bases.map((base) => this.value(base));
        const members = new Scope(this.scope.file, this.scope);
        const cls = new ClassValue(statement, this.scope.file, bases, members);
        this.scope.own.set(statement.name, cls);
        this.within({ scope: members, self: undefined, owner: cls, returned: [] }, () =>
          this.run(statement.body),
        );
        return false;
      }
      case 'assign': {
        const { value: given } = statement;
        if (given === undefined) return false;
        const value = this.value(given);
        for (const target of statement.targets) this.assign(target, value);
        return false;
      }
      case 'augmented': {
        const before = this.value(statement.target);
        const added = this.value(statement.value);
        if (before instanceof List && statement.operator === '+') {
          for (const item of this.items(added)) this.append(before, item);
          return false;
        }
        this.assign(statement.target, this.binary(statement.operator, before, added));
        return false;
      }
      case 'expression':
        this.value(statement.value);
        return false;
      case 'if': {
        const test = truth(this.value(statement.test));
        if (test !== undefined) return this.run(test ? statement.body : statement.otherwise);
        const then = this.perhaps(false, () => this.run(statement.body));
        const otherwise =
          statement.otherwise.length > 0 && this.perhaps(false, () => this.run(statement.otherwise));
        return then && otherwise;
      }
      case 'for':
        return this.loop(
          statement.target,
          this.value(statement.iterable),
          () => this.run(statement.body),
          statement.body,
        );
      case 'block':
        if (statement.what === 'while') {
          this.forget(statement.body);
          this.perhaps(true, () => this.run(statement.body));
          return false;
        }
        for (const value of statement.values) this.value(value);
        return this.run(statement.body);
      case 'return': {
        const value = statement.value ? this.value(statement.value) : null;
        if (this.hints && value instanceof Tensor && value.data) {
          this.tensors.push({ tensor: value, site: this.site(statement.span) });
        }
        this.frame!.returned.push(value);
        return true;
      }
      case 'import':
        this.import_(statement);
        return false;
      case 'jump':
        return statement.what !== 'continue';
    }
  }

  /** Runs what may not run at all, or many times. */
  private perhaps<T>(repeats: boolean, work: () => T): T {
    this.uncertain.push({ repeats, groups: new Map() });
    try {
      return work();
    } finally {
      this.uncertain.pop();
    }
  }

  private loop(
    target: Expression,
    iterable: Value,
    body: () => boolean,
    statements: readonly Statement[],
  ): boolean {
    const items = this.known(iterable);
    if (items && items.length <= MAX_ITERATIONS) {
      for (const item of items) {
        this.assign(target, item);
        // `break` ends the loop, `return` the function: both are the end of what is run here.
        if (body()) return this.frame!.returned.length > 0;
      }
      return false;
    }
    this.forget(statements);
    this.perhaps(true, () => {
      this.assign(target, this.element(iterable));
      body();
    });
    return false;
  }

  /** What a loop of unknown length assigns is known only within one round. */
  private forget(statements: readonly Statement[]): void {
    for (const statement of statements) {
      const targets =
        statement.kind === 'assign'
          ? statement.targets
          : statement.kind === 'augmented'
            ? [statement.target]
            : [];
      for (const target of targets.flatMap((t) => (t.kind === 'sequence' ? t.items : [t]))) {
        const value = target.kind === 'name' ? this.scope.own.get(target.id) : undefined;
        if (target.kind === 'name' && (typeof value === 'number' || value instanceof Symbolic)) {
          this.scope.own.set(target.id, unknown);
        }
      }
      if (statement.kind === 'if') {
        this.forget(statement.body);
        this.forget(statement.otherwise);
      } else if (statement.kind === 'for' || statement.kind === 'block') this.forget(statement.body);
    }
  }

  private assign(target: Expression, given: Value): void {
    const name = target.kind === 'name' ? target.id : target.kind === 'attribute' ? target.name : '';
    const value = this.hinted(name, given);
    if (this.hints && value instanceof Tensor && value.data) {
      this.tensors.push({ tensor: value, site: this.site(target.span) });
    }
    switch (target.kind) {
      case 'name': {
        const before = this.scope.own.get(target.id);
        this.scope.own.set(
          target.id,
          before !== undefined && this.isUncertain(this.scope) ? either([before, value]) : value,
        );
        return;
      }
      case 'attribute': {
        const object = this.value(target.object);
        for (const each of object instanceof Either ? object.options : [object]) {
          this.setAttribute(each, target.name, value, this.site(target.span));
        }
        return;
      }
      case 'sequence':
        return this.unpack(target.items, value);
      case 'starred':
        return this.assign(target.value, value);
      case 'subscript': {
        const object = this.value(target.object);
        const key = target.index.length === 1 ? this.value(target.index[0]) : unknown;
        if (object instanceof Dictionary) {
          if (typeof key === 'string' || typeof key === 'number') object.entries.set(String(key), value);
          else object.open = true;
        } else if (object instanceof Container) {
          object.named.set(key, value);
        } else if (object instanceof List && typeof key === 'number' && object.exact) {
          const at = key < 0 ? object.items.length + key : key;
          if (at >= 0 && at < object.items.length) object.items[at] = value;
        }
        return;
      }
      default:
        return;
    }
  }

  private unpack(targets: readonly Expression[], value: Value): void {
    if (value instanceof Either) {
      // `layer, bound = table[name]`: each name gets what any of the entries has there.
      const rows = value.options.map((option) => this.known(option));
      targets.forEach((target, i) => {
        const options = rows.flatMap((row) => (row && i < row.length ? [row[i]] : []));
        this.assign(target, options.length > 0 ? either(options) : unknown);
      });
      return;
    }
    const items = this.known(value);
    const star = targets.findIndex(({ kind }) => kind === 'starred');
    targets.forEach((target, i) => {
      if (!items) this.assign(target, value instanceof Tensor ? unknown : this.element(value));
      else if (star < 0 || i < star) this.assign(target, items[i] ?? unknown);
      else if (i === star) {
        this.assign(target, this.list(items.slice(i, items.length - (targets.length - 1 - i))));
      } else this.assign(target, items[items.length - (targets.length - i)] ?? unknown);
    });
  }

  private setAttribute(object: Value, name: string, value: Value, site?: Site): void {
    if (object instanceof Layer) object.attributes.set(name, value);
    if (!(object instanceof Instance)) return;
    const before = object.attributes.get(name);
    object.attributes.set(
      name,
      before !== undefined && this.isUncertain(object) ? either([before, value]) : value,
    );
    if (site) {
      const sites = object.assigned.get(name) ?? [];
      if (!sites.some(({ span }) => span === site.span)) sites.push(site);
      object.assigned.set(name, sites);
    }
    if (value instanceof List) this.flaxList(object, name, value);
  }

  /** Flax names the modules of a list `layers_0`, `layers_1`, …: `setup` registers them. */
  private flaxList(object: Instance, name: string, list: List): void {
    if (!isFlax(object.class_) || !list.exact) return;
    list.items.forEach((item, i) => {
      if (isModule(item)) object.attributes.set(`${name}_${i}`, item);
    });
  }

  private import_(statement: Extract<Statement, { kind: 'import' }>): void {
    const { module, level, from, names, star } = statement;
    const scope = this.scope;
    const path = this.files.resolve(module, level, scope.file);
    if (!from) {
      for (const { as } of names) {
        scope.own.set(as, path !== undefined ? new FileValue(path) : new External(module));
      }
      return;
    }
    if (star) {
      const source = path !== undefined ? this.file(path) : undefined;
      if (source) {
        for (const [name, value] of source.own) if (!name.startsWith('_')) scope.own.set(name, value);
      }
    }
    for (const { name, as } of names) {
      const value = path !== undefined ? this.file(path)?.own.get(name) : undefined;
      if (value !== undefined) {
        scope.own.set(as, value);
        continue;
      }
      const submodule = this.files.resolve(module ? `${module}.${name}` : name, level, scope.file);
      if (submodule !== undefined) scope.own.set(as, new FileValue(submodule));
      else if (path === undefined && level === 0) scope.own.set(as, new External(`${module}.${name}`));
      else scope.own.set(as, unknown);
    }
  }

  // ---- expressions

  private value(expression: Expression): Value {
    this.step();
    if (this.depth > 400) throw new OutOfSteps();
    this.depth++;
    try {
      return this.compute(expression);
    } finally {
      this.depth--;
    }
  }

  private binary(operator: string, left: Value, right: Value): Value {
    return binary(operator, left, right, (items) => this.list(items));
  }

  private compute(expression: Expression): Value {
    switch (expression.kind) {
      case 'literal':
        return expression.value;
      case 'name': {
        const found = this.scope.get(expression.id);
        if (found !== undefined) return found;
        return BUILTINS.has(expression.id) ? new External(`builtins.${expression.id}`) : unknown;
      }
      case 'format': {
        const parts = expression.parts.map((part) => {
          if (typeof part === 'string') return part;
          const value = this.value(part);
          return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
        });
        return parts.every((part) => part !== null) ? parts.join('') : new Pattern(parts);
      }
      case 'attribute':
        return this.hinted(expression.name, this.attribute(this.value(expression.object), expression.name));
      case 'call':
        return this.call(expression);
      case 'subscript':
        return this.subscript(this.value(expression.object), expression.index);
      case 'binary': {
        const { operator } = expression;
        const left = this.value(expression.left);
        if (operator === 'and' || operator === 'or') {
          const known = truth(left);
          if (known !== undefined) return known === (operator === 'or') ? left : this.value(expression.right);
          return either([left, this.value(expression.right)]);
        }
        return this.binary(operator, left, this.value(expression.right));
      }
      case 'unary': {
        const operand = this.value(expression.operand);
        if (expression.operator === 'not') {
          const known = truth(operand);
          return known === undefined ? unknown : !known;
        }
        if (expression.operator === '-') return this.binary('*', operand, -1);
        return operand;
      }
      case 'compare':
        return this.compare(expression);
      case 'condition': {
        const test = truth(this.value(expression.test));
        if (test !== undefined) return this.value(test ? expression.then : expression.otherwise);
        return either([this.value(expression.then), this.value(expression.otherwise)]);
      }
      case 'sequence': {
        const list = this.list();
        for (const item of expression.items) {
          if (item.kind === 'starred') list.items.push(...this.items(this.value(item.value)));
          else list.items.push(this.value(item));
        }
        return list;
      }
      case 'dictionary': {
        const dictionary = new Dictionary();
        for (const [key, value] of expression.pairs) {
          const given = this.value(value);
          if (!key) {
            if (given instanceof Dictionary) {
              for (const [name, entry] of given.entries) dictionary.entries.set(name, entry);
              dictionary.open ||= given.open;
            } else dictionary.open = true;
            continue;
          }
          const name = this.value(key);
          if (
            typeof name === 'string' ||
            typeof name === 'number' ||
            typeof name === 'boolean' ||
            name === null
          ) {
            dictionary.entries.set(String(name), given);
          } else dictionary.open = true;
        }
        return dictionary;
      }
      case 'comprehension':
        return this.comprehension(expression);
      case 'lambda':
        return new FunctionValue(
          { name: 'lambda', parameters: expression.parameters, body: expression.body },
          this.scope,
        );
      case 'starred':
        return this.value(expression.value);
      case 'slice':
        return unknown;
      case 'other':
        for (const child of expression.children) this.value(child);
        return unknown;
    }
  }

  private comprehension(expression: Extract<Expression, { kind: 'comprehension' }>): Value {
    const list = this.list();
    const dictionary = new Dictionary();
    const scope = new Scope(this.scope.file, this.scope);
    const { self, owner, compact } = this.frame!;
    const run = (index: number): boolean => {
      if (index === expression.clauses.length) {
        const element = this.value(expression.element);
        if (!expression.value) this.append(list, element);
        else if (typeof element === 'string' || typeof element === 'number') {
          dictionary.entries.set(String(element), this.value(expression.value));
        } else dictionary.open = true;
        return false;
      }
      const clause = expression.clauses[index];
      if (clause.kind === 'for') {
        this.loop(clause.target, this.value(clause.iterable), () => run(index + 1), []);
        return false;
      }
      const test = truth(this.value(clause.test));
      if (test === true) run(index + 1);
      else if (test === undefined) this.perhaps(false, () => run(index + 1));
      return false;
    };
    this.within({ scope, self, owner, returned: [], ...(compact && { compact }) }, () => run(0));
    return expression.value ? dictionary : list;
  }

  private compare({ operands, operators }: Extract<Expression, { kind: 'compare' }>): Value {
    const values = operands.map((operand) => this.value(operand));
    let result: boolean | undefined = true;
    operators.forEach((operator, i) => {
      const one = compared(operator.replace(/\s+/g, ' '), values[i], values[i + 1]);
      if (one === false) result = false;
      else if (one === undefined && result === true) result = undefined;
    });
    return result ?? unknown;
  }

  private subscript(object: Value, index: readonly Expression[]): Value {
    if (object instanceof Either)
      return either(object.options.map((option) => this.subscript(option, index)));
    if (object instanceof Tensor) return this.subscriptTensor(object, index);
    const [first] = index;
    if (index.length !== 1 || !first) return unknown;
    if (first.kind === 'slice') {
      const items = this.known(object);
      if (!items) return object instanceof List || isModule(object) ? object : unknown;
      const [from, to, step] = first.parts.map((part) => (part ? this.value(part) : null));
      if (step !== undefined && step !== null && step !== 1) {
        return step === -1 ? this.list([...items].reverse()) : unknown;
      }
      const bound = (value: Value | undefined) => (typeof value === 'number' ? value : undefined);
      if ([from, to].some((value) => value !== undefined && value !== null && bound(value) === undefined)) {
        return this.list([]);
      }
      if (typeof object === 'string') return object.slice(bound(from), bound(to));
      return this.list(items.slice(bound(from), bound(to)));
    }
    const key = this.value(first);
    if (object instanceof Dictionary) {
      if (typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean') {
        return object.entries.get(String(key)) ?? unknown;
      }
      // An unknown choice: any of the entries.
      return object.entries.size > 0 ? either([...object.entries.values()]) : unknown;
    }
    if (object instanceof Container && object.named.size > 0) {
      for (const [name, value] of object.named) if (name === key) return value;
      return unknown;
    }
    const items = this.known(object);
    if (items && typeof key === 'number') return items.at(key) ?? unknown;
    return isModule(object) || object instanceof List ? this.element(object) : unknown;
  }

  private subscriptTensor(object: Tensor, index: readonly Expression[]): Value {
    const places = index.map((each): TensorIndex | undefined => {
      if (each.kind === 'slice') return each.parts.every((part) => part === undefined) ? 'all' : undefined;
      if (each.kind === 'literal' && each.value === null) return 'new';
      if (each.kind === 'other') return 'rest';
      const value = this.value(each);
      return typeof value === 'number' ? value : undefined;
    });
    return places.every((place) => place !== undefined) ? indexTensor(object, places) : unknown;
  }

  attribute(object: Value, name: string): Value {
    if (object instanceof Either) {
      const known = object.options.map((option) => this.attribute(option, name)).filter((v) => v !== unknown);
      return known.length > 0 ? either(known) : unknown;
    }
    if (object instanceof Instance) {
      const own = object.attributes.get(name);
      if (own !== undefined) return own;
      const member = object.class_.member(name);
      if (!member) return unknown;
      const { value, owner } = member;
      if (!(value instanceof FunctionValue)) return value;
      const fixed =
        'decorators' in value.definition &&
        value.definition.decorators.some((decorator) => nameOf(decorator) === 'staticmethod');
      const bound = new FunctionValue(value.definition, value.scope, fixed ? undefined : object, owner);
      return 'property' in value ? this.callFunction(bound, [], new Map(), object) : bound;
    }
    if (object instanceof ClassValue) return object.member(name)?.value ?? unknown;
    if (object instanceof FileValue) {
      const found = this.file(object.path)?.own.get(name);
      if (found !== undefined) return found;
      const submodule = this.files.resolve(name, 1, object.path);
      return submodule !== undefined ? new FileValue(submodule) : unknown;
    }
    if (object instanceof External) {
      const constant = libraryConstant(`${object.path}.${name}`);
      return constant ?? new External(`${object.path}.${name}`);
    }
    if (object instanceof Layer) {
      if (/^(in_features|in_channels)$/.test(name)) return object.inputs;
      if (/^(out_features|out_channels|features|units)$/.test(name)) return object.outputs;
      return object.attributes.get(name) ?? unknown;
    }
    if (object instanceof Parser) {
      return object.defaults.get(name) ?? unknown;
    }
    if (object instanceof Tensor && name === 'shape' && object.shape) return this.list(object.shape);
    if (object instanceof Tensor && name === 'T') return methodOfTensor(object, 't', []) ?? unknown;
    return unknown;
  }

  // ---- calls

  private arguments_(args: readonly Argument[]): { values: Value[]; named: Named } {
    const values: Value[] = [];
    const named: Named = new Map();
    for (const { name, value: expression, stars } of args) {
      const value = this.value(expression);
      if (name !== undefined) named.set(name, value);
      else if (stars === 0) values.push(value);
      else if (stars === 1) values.push(...this.items(value));
      else if (value instanceof Dictionary) for (const [key, entry] of value.entries) named.set(key, entry);
      else named.set('**', unknown);
    }
    return { values, named };
  }

  private call(expression: Extract<Expression, { kind: 'call' }>): Value {
    const { callee, args } = expression;
    const site = this.site(expression.span);
    if (callee.kind === 'name' && callee.id === 'super' && this.scope.get('super') === undefined) {
      const { self, owner } = this.superFrame();
      return self instanceof Instance ? new Super(self, owner) : unknown;
    }
    const { values, named } = this.arguments_(args);
    if (callee.kind === 'attribute') {
      return this.method(this.value(callee.object), callee.name, values, named, site);
    }
    return this.invoke(this.value(callee), values, named, site);
  }

  private superFrame() {
    const { self, owner } = this.frame!;
    return { self, owner };
  }

  private method(object: Value, name: string, args: Value[], named: Named, site: Site): Value {
    if (object instanceof Either) {
      return either(object.options.map((option) => this.method(option, name, args, named, site)));
    }
    if (object instanceof Super) return this.superMethod(object, name, args, named);
    if (object instanceof Instance) {
      const member = this.attribute(object, name);
      if (member !== unknown && !isUnknown(member)) return this.invoke(member, args, named, site);
      return this.moduleMethod(object, name, args, named);
    }
    if (object instanceof Container || object instanceof Layer)
      return this.moduleMethod(object, name, args, named);
    if (object instanceof List) return listMethod(this, object, name, args);
    if (object instanceof Dictionary) return dictionaryMethod(this, object, name, args, named);
    if (object instanceof Tensor) return methodOfTensor(object, name, args) ?? unknown;
    if (object instanceof Parser) return parserMethod(this, object, name, args, named);
    if (isText(object)) return textMethod(object, name, args);
    return this.invoke(this.attribute(object, name), args, named, site);
  }

  private superMethod({ self, owner }: Super, name: string, args: Value[], named: Named): Value {
    const lineage = [...self.class_.lineage()];
    const behind = owner ? lineage.slice(lineage.indexOf(owner) + 1) : lineage.slice(1);
    for (const cls of behind) {
      const value = cls.members.own.get(name);
      if (value instanceof FunctionValue) {
        return this.callFunction(
          new FunctionValue(value.definition, value.scope, self, cls),
          args,
          named,
          self,
        );
      }
    }
    if (name === '__init__') {
      this.becomeExternal(self, args, named);
      return null;
    }
    return this.moduleMethod(self, name, args, named);
  }

  /** The constructor of the library's class that an instance derives from. */
  private becomeExternal(self: Instance, args: Value[], named: Named): void {
    for (const path of self.class_.external()) {
      const made = layerOf(path, args, named, self.site, (items) => this.list(items));
      if (made instanceof Layer && made.kind === 'opaque') continue;
      if (made instanceof Layer || made instanceof Container) {
        self.base = made;
        return;
      }
    }
  }

  private moduleMethod(object: ModuleValue, name: string, args: Value[], named: Named): Value {
    const container =
      object instanceof Container
        ? object
        : object instanceof Instance && object.base instanceof Container
          ? object.base
          : undefined;
    const [first] = args;
    const argument = (index: number, key: string): Value => args[index] ?? named.get(key) ?? unknown;
    switch (name) {
      case 'register_buffer':
      case 'register_parameter': {
        const key = argument(0, 'name');
        if (typeof key === 'string') this.setAttribute(object, key, argument(1, 'tensor'));
        return null;
      }
      case 'add_module':
      case 'register_module':
      case '__setattr__': {
        const [key, value] = [argument(0, 'name'), argument(1, 'module')];
        this.addModule(object, key, value);
        return null;
      }
      case 'append':
        if (container && first !== undefined) this.append(container.list, first);
        return object;
      case 'extend':
        if (container && first !== undefined) {
          for (const item of this.items(first)) this.append(container.list, item);
        }
        return object;
      case 'insert':
        if (container && typeof first === 'number') container.list.items.splice(first, 0, args[1] ?? unknown);
        return object;
      case 'add': // Keras
        if (container && first !== undefined) this.append(container.list, first);
        return null;
      case 'modules':
      case 'children':
        return container ? container.list : unknown;
      case 'items':
      case 'values':
      case 'keys':
      case 'forward':
      case 'state_dict':
      case 'load_state_dict':
      case 'parameters':
      case '__call__':
        return unknown;
      default:
        // `.to(device)`, `.cuda()`, `.eval()` and their like give the module back.
        return /^(to|cuda|cpu|eval|train|float|half|double|bfloat16|requires_grad_|apply|share_memory|type|compile|__enter__|clone)$/.test(
          name,
        )
          ? object
          : unknown;
    }
  }

  addModule(object: ModuleValue, key: Value, value: Value): void {
    const container =
      object instanceof Container
        ? object
        : object instanceof Instance && object.base instanceof Container
          ? object.base
          : undefined;
    if (container) {
      container.named.set(key, value);
      return;
    }
    if (!(object instanceof Instance)) return;
    if (typeof key === 'string') this.setAttribute(object, key, value);
    else if (key instanceof Pattern) object.attributes.set(patternName(key), value);
    else object.open = true;
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

  private instantiate(cls: ClassValue, args: Value[], named: Named, site: Site | undefined): Value {
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
      this.register(instance, cls.definition.name, named);
    }
    return instance;
  }

  /** Fields of a data class, or of a Flax module: annotated in the class, set in order. */
  private setFields(instance: Instance, args: readonly Value[], named: ReadonlyMap<string, Value>): void {
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

  private flax(instance: Instance): void {
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

  /** Flax: what a compact method builds is a submodule, named by its class and a number. */
  private register(made: ModuleValue, className: string, named: ReadonlyMap<string, Value>): void {
    const compact = this.frame?.compact;
    if (!compact) return;
    const { instance, counts } = compact;
    const given = named.get('name');
    if (typeof given === 'string') {
      instance.attributes.set(given, made);
      return;
    }
    if (given instanceof Pattern) {
      instance.attributes.set(patternName(given), made);
      return;
    }
    if (this.uncertain.some(({ repeats }) => repeats)) {
      instance.attributes.set(patternName(new Pattern([`${className}_`, null])), made);
      return;
    }
    const count = counts.get(className) ?? 0;
    counts.set(className, count + 1);
    instance.attributes.set(`${className}_${count}`, made);
  }

  private callFunction(
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

  private bind(
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

  private argument(
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

  private callExternal({ path, name }: External, args: Value[], named: Named, site: Site | undefined): Value {
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
      if (layer instanceof Layer && path.startsWith('flax')) this.register(layer, layer.name, named);
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
