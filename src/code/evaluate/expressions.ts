/** Expressions: names, operators, attributes, subscripts, methods. */
import type { Argument, Expression, Span, Statement } from '../python/syntax';
import { libraryConstant } from '../libraries';
import { indexTensor, methodOfTensor, type TensorIndex } from '../tensors';
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
  isModule,
  isUnknown,
  Layer,
  List,
  Parser,
  Pattern,
  Scope,
  Super,
  Tensor,
  unknown,
  type Site,
  type Value,
} from '../values';
import { BUILTINS } from './builtins';
import { Calls, OutOfSteps } from './calls';
import { dictionaryMethod, listMethod, parserMethod, type Named } from './methods';
import { nameOf } from './names';
import { binary, compared, isText, textMethod, truth } from './operators';

/** Statements and expressions that one exploration may take. */
const MAX_STEPS = 60_000;

export abstract class Expressions extends Calls {
  protected steps = 0;

  /** Names of a file; runs its top level on first use. */
  abstract file(path: string): Scope | undefined;
  /** File of a module beside another, absolute; undefined when there is none. */
  protected abstract submodule(name: string, of: string): string | undefined;
  protected abstract assign(target: Expression, value: Value): void;
  /** Runs a loop's body for each item, or once where they are not known. */
  protected abstract loop(
    target: Expression,
    iterable: Value,
    body: () => boolean,
    statements: readonly Statement[],
  ): boolean;

  /** Runs what may not run at all, or many times. */
  protected perhaps<T>(repeats: boolean, work: () => T): T {
    this.uncertain.push({ repeats, groups: new Map() });
    try {
      return work();
    } finally {
      this.uncertain.pop();
    }
  }

  protected hinted(name: string, value: Value): Value {
    if (!this.hints || !(isUnknown(value) || typeof value === 'number')) return value;
    return this.hints(name) ?? value;
  }

  protected step(): void {
    if (++this.steps > MAX_STEPS) throw new OutOfSteps();
  }

  protected get scope(): Scope {
    return this.frame!.scope;
  }

  protected site(span: Span): Site {
    return { file: this.scope.file, span };
  }

  protected value(expression: Expression): Value {
    this.step();
    if (this.depth > 400) throw new OutOfSteps();
    this.depth++;
    try {
      return this.compute(expression);
    } finally {
      this.depth--;
    }
  }

  protected binary(operator: string, left: Value, right: Value): Value {
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
      const submodule = this.submodule(name, object.path);
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
}
