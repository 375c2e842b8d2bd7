/** The Python files of a workspace (or beside a checkpoint), and what their code builds. */
import path from 'node:path';
import type { Parser } from '@vscode/tree-sitter-wasm';
import { Evaluator, type Files } from './evaluate/evaluator';
import { isModuleClass } from './libraries';
import { PythonDocument } from './python/document';
import type { Expression, FunctionDefinition, Span, Statement } from './python/syntax';
import type { Instance } from './values';
import {
  ClassValue,
  FunctionValue,
  Pattern,
  Symbolic,
  unknown,
  type ModuleValue,
  type Value,
} from './values';

/** A line that writes or reads a checkpoint. */
export interface Exchange {
  readonly kind: 'save' | 'load';
  readonly span: Span;
  /** The path as far as it is known, `*` for what is not; undefined when nothing is. */
  readonly path?: string;
}

/** What one file says about networks. */
export interface FileFacts {
  readonly file: string;
  /** Classes that are networks or parts of them. */
  readonly classes: readonly ClassValue[];
  /** What its functions and top level build. */
  readonly built: readonly ModuleValue[];
  readonly exchanges: readonly Exchange[];
}

/** Longer files are not written by people. */
const MAX_CHARACTERS = 2_000_000;

export class Project implements Files {
  private readonly documents = new Map<string, PythonDocument>();
  private readonly known = new Map<string, FileFacts>();
  private evaluator_: Evaluator | undefined;
  /** Folders whose modules are imported by absolute names; nearest first is tried anyway. */
  roots: readonly string[] = [];
  /** Counts changes, for caches. */
  version = 0;

  constructor(private readonly parser: Parser) {}

  get files(): readonly string[] {
    return [...this.documents.keys()];
  }

  set(file: string, text: string): void {
    if (text.length > MAX_CHARACTERS) return this.delete(file);
    const document = this.documents.get(file);
    if (document) {
      if (document.source === text) return;
      document.update(text);
    } else {
      this.documents.set(file, new PythonDocument(this.parser, file, text));
    }
    this.changed();
  }

  delete(file: string): void {
    const document = this.documents.get(file);
    if (!document) return;
    document.dispose();
    this.documents.delete(file);
    this.changed();
  }

  private changed(): void {
    this.version++;
    // Values refer to each other across files: all of them are built anew, when they are next asked for.
    this.evaluator_ = undefined;
    this.known.clear();
  }

  get evaluator(): Evaluator {
    return (this.evaluator_ ??= new Evaluator(this));
  }

  statements(file: string): readonly Statement[] | undefined {
    return this.documents.get(file)?.statements;
  }

  source(file: string): string | undefined {
    return this.documents.get(file)?.source;
  }

  resolve(module: string, level: number, from: string): string | undefined {
    const parts = module === '' ? [] : module.split('.');
    const inFolder = (folder: string): string | undefined => {
      const base = path.join(folder, ...parts);
      const candidates = [parts.length > 0 ? `${base}.py` : undefined, path.join(base, '__init__.py')];
      return candidates.find((file) => file !== undefined && this.documents.has(file));
    };
    let folder = path.dirname(from);
    if (level > 0) {
      for (let up = 1; up < level; up++) folder = path.dirname(folder);
      return inFolder(folder);
    }
    // Scripts import what lies beside them or in the folder they are run from: the nearest wins.
    for (let up = 0; up < 8; up++) {
      const found = inFolder(folder);
      if (found !== undefined) return found;
      const parent = path.dirname(folder);
      if (parent === folder) break;
      folder = parent;
    }
    for (const root of this.roots) {
      const found = inFolder(root) ?? inFolder(path.join(root, 'src'));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** What a file's code builds; it is run in the abstract on first use. */
  facts(file: string): FileFacts {
    const known = this.known.get(file);
    if (known) return known;
    const { evaluator } = this;
    const from = evaluator.built.length;
    const scope = evaluator.file(file);
    const classes: ClassValue[] = [];
    const functions: FunctionValue[] = [];
    for (const value of scope?.own.values() ?? []) {
      if (value instanceof FunctionValue && value.scope === scope) functions.push(value);
      if (!(value instanceof ClassValue) || value.file !== file) continue;
      if (isModuleClass(value)) classes.push(value);
      else {
        // A trainer or a data set: its constructor and methods build networks too.
        const made = evaluator.construct(value);
        for (const member of value.members.own.values()) {
          if (member instanceof FunctionValue && member.definition.name !== '__init__') {
            functions.push(new FunctionValue(member.definition, member.scope, made, value));
          }
        }
      }
    }
    for (const fn of functions) evaluator.explore(fn);
    const built = evaluator.built.slice(from).filter(({ site }) => site?.file === file);
    const facts: FileFacts = {
      file,
      classes,
      built,
      exchanges: this.exchanges(file),
    };
    this.known.set(file, facts);
    return facts;
  }

  /** Instances of a class to compare with a checkpoint: as its defaults make it, then with open sizes. */
  *variants(cls: ClassValue): Generator<Instance> {
    const { evaluator } = this;
    const plain = evaluator.construct(cls);
    if (plain) yield plain;
    const init = cls.member('__init__')?.value;
    if (!(init instanceof FunctionValue)) return;
    const open = (keepChoices: boolean) =>
      new Map(
        init.definition.parameters.slice(1).flatMap(({ name, stars, fallback }): [string, Value][] => {
          if (stars > 0) return [];
          const value = fallback?.kind === 'literal' ? fallback.value : fallback ? unknown : undefined;
          if (typeof value === 'number' || value === undefined) return [[name, new Symbolic(name)]];
          if (keepChoices && fallback?.kind === 'literal') return [[name, value]];
          return [[name, unknown]];
        }),
      );
    for (const keepChoices of [true, false]) {
      const made = evaluator.construct(cls, open(keepChoices));
      if (made) yield made;
    }
  }

  private exchanges(file: string): Exchange[] {
    const found: Exchange[] = [];
    const scope = this.evaluator.file(file);
    const source = this.source(file) ?? '';
    if (!scope || !/save|load/.test(source)) return found;
    visit(this.statements(file) ?? [], (expression, owner) => {
      if (expression.kind !== 'call') return;
      const { callee, args } = expression;
      const name = callee.kind === 'attribute' ? callee.name : callee.kind === 'name' ? callee.id : '';
      const kind = exchangeKind(name, callee);
      if (!kind) return;
      const inner = kind === 'load' && name === 'load_state_dict' ? undefined : args;
      const pathArgument =
        inner?.find(({ name: key }) => key === 'f' || key === 'path')?.value ??
        inner?.[
          kind === 'save' &&
          /^(save|save_file|savez|dump)$/.test(name) &&
          args.length > 1 &&
          !/^(np|numpy)$/.test(libraryOf(callee))
            ? 1
            : 0
        ]?.value;
      let text: string | undefined;
      if (pathArgument) {
        const variables = owner ? this.evaluator.variables.get(owner) : undefined;
        text = pathText(this.evaluator.evaluate(pathArgument, variables ?? scope));
      }
      // `model.load_state_dict(torch.load(path))` is one line: the outer call carries the inner one's path.
      if (found.some(({ span }) => span.row === expression.span.row)) {
        const at = found.findIndex(({ span }) => span.row === expression.span.row);
        if (text !== undefined && found[at].path === undefined) found[at] = { ...found[at], path: text };
        return;
      }
      found.push({ kind, span: expression.span, ...(text !== undefined && { path: text }) });
    });
    return found;
  }
}

const libraryOf = (callee: Expression) =>
  callee.kind === 'attribute' && callee.object.kind === 'name' ? callee.object.id : '';

function exchangeKind(name: string, callee: Expression): Exchange['kind'] | undefined {
  const library = libraryOf(callee);
  if (name === 'load_state_dict' || name === 'load_weights') return 'load';
  if (name === 'save_weights' || name === 'save_checkpoint' || name === 'save_file') return 'save';
  if (/^(torch|th)$/.test(library)) return name === 'save' ? 'save' : name === 'load' ? 'load' : undefined;
  if (name === 'load_from_checkpoint') return 'load';
  return undefined;
}

/** A path with `*` for what is unknown; undefined when nothing is known of its file name. */
function pathText(value: Value): string | undefined {
  if (typeof value === 'string') return value;
  if (!(value instanceof Pattern)) return undefined;
  const text = value.parts.map((part) => part ?? '*').join('');
  return /[A-Za-z0-9]/.test(text.slice(text.lastIndexOf('/') + 1).replace(/\.\w+$/, '')) ? text : undefined;
}

/** Every expression of some statements, outermost first, with the function it stands in. */
export function visit(
  statements: readonly Statement[],
  take: (expression: Expression, owner: FunctionDefinition | undefined, cls: string | undefined) => void,
): void {
  const expression = (
    e: Expression | undefined,
    owner: FunctionDefinition | undefined,
    cls: string | undefined,
  ) => {
    if (!e) return;
    take(e, owner, cls);
    for (const child of childrenOf(e)) expression(child, owner, cls);
  };
  const walk = (
    list: readonly Statement[],
    owner: FunctionDefinition | undefined,
    cls: string | undefined,
  ) => {
    for (const s of list) {
      switch (s.kind) {
        case 'function':
          for (const each of s.decorators) expression(each, owner, cls);
          for (const parameter of s.parameters) expression(parameter.fallback, owner, cls);
          walk(s.body, s, cls);
          break;
        case 'class':
          for (const each of [...s.decorators, ...s.bases]) expression(each, owner, cls);
          walk(s.body, owner, s.name);
          break;
        case 'assign':
          for (const target of s.targets) expression(target, owner, cls);
          expression(s.value, owner, cls);
          break;
        case 'augmented':
          expression(s.target, owner, cls);
          expression(s.value, owner, cls);
          break;
        case 'expression':
        case 'return':
          expression(s.value, owner, cls);
          break;
        case 'if':
          expression(s.test, owner, cls);
          walk(s.body, owner, cls);
          walk(s.otherwise, owner, cls);
          break;
        case 'for':
          expression(s.target, owner, cls);
          expression(s.iterable, owner, cls);
          walk(s.body, owner, cls);
          break;
        case 'block':
          for (const value of s.values) expression(value, owner, cls);
          walk(s.body, owner, cls);
          break;
        case 'import':
        case 'jump':
          break;
      }
    }
  };
  walk(statements, undefined, undefined);
}

export function childrenOf(e: Expression): readonly Expression[] {
  switch (e.kind) {
    case 'name':
    case 'literal':
      return [];
    case 'format':
      return e.parts.filter((part) => typeof part !== 'string');
    case 'attribute':
      return [e.object];
    case 'call':
      return [e.callee, ...e.args.map(({ value }) => value)];
    case 'subscript':
      return [e.object, ...e.index];
    case 'slice':
      return e.parts.filter((part) => part !== undefined);
    case 'binary':
      return [e.left, e.right];
    case 'unary':
      return [e.operand];
    case 'compare':
      return e.operands;
    case 'condition':
      return [e.then, e.test, e.otherwise];
    case 'sequence':
      return e.items;
    case 'dictionary':
      return e.pairs.flatMap(([key, value]) => (key ? [key, value] : [value]));
    case 'comprehension':
      return [
        e.element,
        ...(e.value ? [e.value] : []),
        ...e.clauses.flatMap((clause) =>
          clause.kind === 'for' ? [clause.target, clause.iterable] : [clause.test],
        ),
      ];
    case 'starred':
      return [e.value];
    case 'lambda':
      return [e.body];
    case 'other':
      return e.children;
  }
}
