/**
 * Runs Python constructors in the abstract, to see which modules they build: values are known where the
 * code says them, branches on what is unknown are both taken, loops of unknown length run once. Nothing
 * of a library runs and nothing is imported; code is data.
 */
import type { Expression, Statement } from '../python/syntax';
import {
  ClassValue,
  Container,
  Dictionary,
  Either,
  either,
  External,
  FileValue,
  FunctionValue,
  Instance,
  List,
  Scope,
  Symbolic,
  Tensor,
  unknown,
  type Site,
  type Value,
} from '../values';
import { nameOf } from './names';
import { truth } from './operators';
import { MAX_ITERATIONS } from './sequences';
import { OutOfSteps } from './calls';
import { Expressions } from './expressions';

/** The code that may be imported. */
export interface Files {
  /** File of an imported module, absolute; undefined when it is a library's. @param level leading dots */
  resolve(module: string, level: number, from: string): string | undefined;
  statements(file: string): readonly Statement[] | undefined;
}

export class Evaluator extends Expressions {
  private readonly scopes = new Map<string, Scope>();

  /** With hints: every small tensor that was assigned, and where. */
  readonly tensors: { readonly tensor: Tensor; readonly site: Site }[] = [];

  /**
   * @param hints what a name stands for that is a size or a picture; for code that makes coordinates, which
   * then runs on a picture of a few pixels
   */
  constructor(
    private readonly files: Files,
    hints?: (name: string) => Value | undefined,
  ) {
    super(hints);
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

  /** @returns whether the rest does not run any more */
  protected run(statements: readonly Statement[]): boolean {
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

  protected loop(
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

  protected submodule(name: string, of: string): string | undefined {
    return this.files.resolve(name, 1, of);
  }

  protected assign(target: Expression, given: Value): void {
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
}
