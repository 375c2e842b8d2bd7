/** Which places in code are which layers of a checkpoint, and back. */
import { dirname } from 'node:path';
import { nameOf } from './evaluate/names';
import { better, matchModule, pathTree, type CheckpointLayer, type Match, type PathNode } from './match';
import { childrenOf, visit, type Project } from './project';
import type { ClassDefinition, Expression, FunctionDefinition, Span, Statement } from './python/syntax';
import {
  ClassValue,
  Either,
  Instance,
  isModule,
  Layer,
  type ModuleValue,
  type Scope,
  type Site,
  type Value,
} from './values';

/** A checkpoint's layers and where it lies; those of one run share their layers. */
export interface CheckpointNames {
  readonly file: string;
  readonly layers: readonly CheckpointLayer[];
}

/** What stands at a place in the code, in one checkpoint. */
export interface Found {
  /** Dotted names as in the checkpoint, in its order. */
  readonly layers: readonly string[];
  /** The code that names them. */
  readonly span: Span;
  /** `self.net`, `nn.Linear`, … */
  readonly label: string;
}

export interface ClassLens {
  readonly name: string;
  readonly span: Span;
  readonly layers: readonly string[];
}

/** A checkpoint's networks in the code, with everything that can be asked about them. */
export class Correspondence {
  private readonly tree: PathNode;
  private readonly matches: Match[] = [];
  /** Names in the checkpoint that a place builds: by the place's span. */
  private readonly bySpan = new Map<Span, { readonly site: Site; readonly paths: Set<string> }>();
  private readonly byClass = new Map<ClassDefinition, Set<string>>();
  private readonly nodes = new Map<string, ModuleValue[]>();
  private readonly lengths = new Map<string, number>();

  constructor(
    private readonly project: Project,
    readonly checkpoint: CheckpointNames,
  ) {
    this.tree = pathTree(checkpoint.layers);
    this.find();
    for (const match of this.matches) this.note(match);
  }

  get found(): readonly Match[] {
    return this.matches;
  }

  /** Files whose code built what was found. */
  get files(): ReadonlySet<string> {
    return new Set([...this.bySpan.values()].map(({ site }) => site.file));
  }

  /** Networks of the code, the best first, until every layer is found or nothing else fits. */
  private find(): void {
    const { project, checkpoint } = this;
    const candidates: { readonly match: Match; readonly distance: number; readonly variant: number }[] = [];
    const consider = (root: ModuleValue, file: string, variant: number, deep: boolean): boolean => {
      const match = matchModule(root, this.tree, deep);
      if (match) candidates.push({ match, variant, distance: apart(file, checkpoint.file) });
      return match !== undefined;
    };
    const all = this.tree.count;
    for (const deep of [false, true]) {
      for (const file of project.files) {
        if (!mayBuild(project.source(file) ?? '')) continue;
        const { built, classes } = project.facts(file);
        const seen = new Set<ClassValue>();
        for (const root of built) {
          if (root instanceof Layer) continue;
          if (consider(root, file, 0, deep) && root instanceof Instance) seen.add(root.class_);
        }
        for (const cls of classes) {
          if (seen.has(cls)) continue;
          let variant = 1;
          for (const root of project.variants(cls)) if (consider(root, file, variant++, deep)) break;
        }
      }
      // Deeper places are for networks whose wrapping the code does not tell.
      if (candidates.some(({ match }) => match.layers === all)) break;
    }
    candidates.sort(
      (a, b) =>
        Number(better(b.match, a.match)) - Number(better(a.match, b.match)) ||
        // The whole network before its parts.
        b.match.nodes.size - a.match.nodes.size ||
        a.variant - b.variant ||
        a.distance - b.distance,
    );
    const covered = new Set<string>();
    const names = (match: Match) =>
      [...match.nodes.keys()].filter((name) => this.node(name)?.layer !== undefined);
    for (const { match } of candidates) {
      const own = names(match);
      if (own.length === 0 || own.some((name) => covered.has(name))) continue;
      for (const name of own) covered.add(name);
      this.matches.push(match);
    }
  }

  private note({ nodes, lengths }: Match): void {
    const place = (site: Site | undefined, path: string) => {
      if (!site) return;
      const known = this.bySpan.get(site.span) ?? { site, paths: new Set<string>() };
      known.paths.add(path);
      this.bySpan.set(site.span, known);
    };
    for (const [path, node] of nodes) {
      this.nodes.set(path, [...(this.nodes.get(path) ?? []), node]);
      place(node.site, path);
      if (!(node instanceof Instance)) continue;
      for (const cls of node.class_.lineage()) {
        const paths = this.byClass.get(cls.definition) ?? new Set<string>();
        paths.add(path);
        this.byClass.set(cls.definition, paths);
      }
      for (const [name, sites] of node.assigned) {
        const child = join(path, name);
        if (this.node(child)) for (const site of sites) place(site, child);
      }
    }
    for (const [path, length] of lengths) this.lengths.set(path, length);
  }

  private node(path: string): PathNode | undefined {
    let node: PathNode | undefined = this.tree;
    if (path === '') return node;
    for (const part of path.split('.')) node = node?.children.get(part);
    return node;
  }

  /** Layers at and below some paths, in the checkpoint's order. */
  private layersAt(paths: Iterable<string>): string[] {
    const wanted = [...paths].map((path) => this.node(path)).filter((node) => node !== undefined);
    const found = new Set<CheckpointLayer>();
    const collect = (node: PathNode) => {
      if (node.layer) found.add(node.layer);
      for (const child of node.children.values()) collect(child);
    };
    wanted.forEach(collect);
    return this.checkpoint.layers.filter((layer) => found.has(layer)).map(({ name }) => name);
  }

  /** Classes of a file that are networks in the checkpoint, or parts of them. */
  classes(file: string): ClassLens[] {
    return this.project.facts(file).classes.flatMap(({ definition }) => {
      const layers = this.layersAt(this.byClass.get(definition) ?? []);
      return layers.length > 0 ? [{ name: definition.name, span: definition.nameSpan, layers }] : [];
    });
  }

  /** The line that makes a layer: the one that makes the fewest others besides. */
  reveal(layer: string): Site | undefined {
    const parts = layer.split(/[./]/).filter((part) => part !== '');
    let best: { readonly site: Site; readonly count: number } | undefined;
    for (let length = parts.length; length > 0; length--) {
      const path = parts.slice(0, length).join('.');
      for (const { site, paths } of this.bySpan.values()) {
        if (!paths.has(path)) continue;
        const count = this.layersAt(paths).length;
        if (!best || count < best.count) best = { site, count };
      }
    }
    return best?.site;
  }

  /** What stands at a place of a file. */
  at(file: string, row: number, column: number): Found | undefined {
    const statements = this.project.statements(file);
    if (!statements) return undefined;
    const context = contextAt(statements, row, column);
    const { chain, definition } = context;
    if (definition) {
      const layers = this.layersAt(this.byClass.get(definition) ?? []);
      return layers.length > 0 ? { layers, span: definition.nameSpan, label: definition.name } : undefined;
    }
    for (let i = chain.length - 1; i >= 0; i--) {
      const around = chain[i - 1];
      // `SineLayer(…)` is the layers made there, not all that the class makes.
      if (around?.kind === 'call' && around.callee === chain[i]) {
        const made = this.expressionAt(chain, i - 1, context, file, row, column);
        if (made) return made;
      }
      const found = this.expressionAt(chain, i, context, file, row, column);
      if (found) return found;
      // Further out only while the place is still in the name of what is called or indexed.
      const outer = chain[i - 1];
      if (!outer) break;
      const inner = chain[i];
      const continues =
        (outer.kind === 'attribute' && outer.object === inner) ||
        (outer.kind === 'call' && outer.callee === inner) ||
        (outer.kind === 'unary' && inner.kind === 'literal') ||
        (outer.kind === 'subscript' && (outer.object !== inner || inner.kind === 'name'));
      if (!continues) break;
    }
    return undefined;
  }

  private expressionAt(
    chain: readonly Expression[],
    index: number,
    context: Context,
    file: string,
    row: number,
    column: number,
  ): Found | undefined {
    const expression = chain[index];
    if (expression.kind === 'literal') {
      return typeof expression.value === 'string' ? this.key(expression.value, expression.span) : undefined;
    }
    if (expression.kind === 'call') {
      const made = this.bySpan.get(expression.span);
      const layers = made ? this.layersAt(made.paths) : [];
      if (layers.length > 0 && inside(expression.callee.span, row, column)) {
        return { layers, span: expression.callee.span, label: textOf(expression.callee) };
      }
      return undefined;
    }
    if (expression.kind === 'attribute' && !inside(expression.nameSpan, row, column)) return undefined;
    if (!['name', 'attribute', 'subscript'].includes(expression.kind)) return undefined;
    const layers = this.layersAt(this.pathsOf(expression, context, file));
    return layers.length > 0 ? { layers, span: expression.span, label: textOf(expression) } : undefined;
  }

  /** A key of a state dict, or a module's name, written as text. */
  private key(text: string, span: Span): Found | undefined {
    if (text.length > 300 || !/^[\w./*-]+$/.test(text)) return undefined;
    const bare = text.replace(/[./](weight|bias|kernel|W|w|b|weight_g|weight_v|omega_0|scale_0)$/, '');
    const parts = bare.split(/[./]/).filter((part) => part !== '');
    if (parts.length === 0 || (parts.length === 1 && bare === text)) return undefined;
    for (const candidate of prefixed(parts)) {
      const layers = this.layersAt([candidate]);
      if (layers.length > 0) return { layers, span, label: bare };
    }
    return undefined;
  }

  /** Names in the checkpoint that an expression may mean. */
  private pathsOf(expression: Expression, context: Context, file: string): Set<string> {
    const paths = new Set<string>();
    const add = (path: string) => this.node(path) && paths.add(path);
    switch (expression.kind) {
      case 'name': {
        for (const path of this.pathsOfName(expression.id, context, file)) add(path);
        break;
      }
      case 'attribute': {
        const bases = this.pathsOf(expression.object, context, file);
        for (const base of bases) {
          add(join(base, expression.name));
          // `DataParallel` and its like add a level that the checkpoint may not have.
          if (/^(module|_orig_mod|_module)$/.test(expression.name)) add(base);
        }
        if (paths.size === 0 && bases.size === 0) {
          for (const path of this.pathsOfValue(this.valueOf(expression, context, file))) add(path);
        }
        if (paths.size === 0 && bases.size === 0 && isNetworkName(expression.object)) {
          // `model.net` of a model that came from somewhere else.
          for (const { prefix } of this.matches) add(join(prefix, expression.name));
        }
        break;
      }
      case 'subscript': {
        const [index] = expression.index;
        if (!index || expression.index.length !== 1) break;
        for (const base of this.pathsOf(expression.object, context, file)) {
          for (const child of this.indexed(base, index)) add(join(base, child));
        }
        break;
      }
      case 'call': {
        // `model.to(device).net`, `getattr(self, 'net')`
        const { callee, args } = expression;
        if (callee.kind === 'attribute' && /^(to|cuda|cpu|eval|train|float|double)$/.test(callee.name)) {
          return this.pathsOf(callee.object, context, file);
        }
        const [object, name] = args;
        if (callee.kind === 'name' && callee.id === 'getattr' && object && name?.value.kind === 'literal') {
          for (const base of this.pathsOf(object.value, context, file))
            add(join(base, String(name.value.value)));
        }
        break;
      }
      default:
        break;
    }
    return paths;
  }

  private *indexed(base: string, index: Expression): Generator<string> {
    const children = [...(this.node(base)?.children.keys() ?? [])];
    const numbers = children.map(Number).filter(Number.isInteger);
    const length = this.lengths.get(base) ?? Math.max(-1, ...numbers) + 1;
    const number = (expression: Expression | undefined): number | undefined => {
      if (expression?.kind === 'literal' && typeof expression.value === 'number') return expression.value;
      if (expression?.kind === 'unary' && expression.operator === '-') {
        const operand = number(expression.operand);
        return operand === undefined ? undefined : -operand;
      }
      return undefined;
    };
    const wrap = (n: number) => (n < 0 ? length + n : n);
    if (index.kind === 'slice') {
      const [from, to] = index.parts;
      const first = from ? number(from) : 0;
      const end = to ? number(to) : length;
      for (const n of numbers) {
        if ((first === undefined || n >= wrap(first)) && (end === undefined || n < wrap(end)))
          yield String(n);
      }
      return;
    }
    const n = number(index);
    if (n !== undefined) yield String(wrap(n));
    else if (index.kind === 'literal') yield String(index.value);
    // `self.net[i]`: any of them.
    else yield* children;
  }

  private pathsOfName(name: string, context: Context, file: string): readonly string[] {
    const { cls, loops } = context;
    if (name === 'self' && cls) return [...(this.byClass.get(cls) ?? [])];
    for (const { target, iterable } of loops) {
      const place = targetIndex(target, name);
      if (place === undefined) continue;
      // `for layer in self.layers`, `for i, layer in enumerate(self.layers)`
      const inner =
        iterable.kind === 'call' && nameOf(iterable) === 'enumerate' ? iterable.args[0]?.value : iterable;
      if (!inner) continue;
      return [...this.pathsOf(inner, context, file)].flatMap((path) =>
        [...(this.node(path)?.children.keys() ?? [])].map((child) => join(path, child)),
      );
    }
    const value = this.scopeOf(context, file)?.get(name);
    return value === undefined ? [] : this.pathsOfValue(value);
  }

  private scopeOf({ owner }: Context, file: string): Scope | undefined {
    const { evaluator } = this.project;
    this.project.facts(file);
    return (owner && evaluator.variables.get(owner)) ?? evaluator.file(file);
  }

  private valueOf(expression: Expression, context: Context, file: string): Value {
    const scope = this.scopeOf(context, file);
    if (!scope) return null;
    return this.project.evaluator.evaluate(expression, scope);
  }

  /** Where modules like this one are in the checkpoint: of its class, or built at the same place. */
  private pathsOfValue(value: Value): string[] {
    if (value instanceof Either) return value.options.flatMap((option) => this.pathsOfValue(option));
    if (value instanceof ClassValue) return [...(this.byClass.get(value.definition) ?? [])];
    if (!isModule(value)) return [];
    if (value instanceof Instance) return [...(this.byClass.get(value.class_.definition) ?? [])];
    const made = value.site && this.bySpan.get(value.site.span);
    return made ? [...made.paths] : [];
  }
}

/** Paths that name the same thing with or without the usual prefixes. */
function* prefixed(parts: readonly string[]): Generator<string> {
  yield parts.join('.');
  for (let from = 1; from < parts.length; from++) {
    if (!/^(module|_orig_mod|model|net|state_dict|params)$/.test(parts[from - 1])) break;
    yield parts.slice(from).join('.');
  }
  for (const prefix of ['model', 'module', '_orig_mod', 'net', 'module.model']) {
    yield `${prefix}.${parts.join('.')}`;
  }
}

const join = (path: string, name: string) => (path === '' ? name : `${path}.${name}`);

/** Other files build no networks, so they are not run. */
const mayBuild = (source: string) => /\b(torch|nn|keras|flax|linen|jax|models?|networks?)\b/.test(source);

/** Folders between two files. */
function apart(a: string, b: string): number {
  const [from, to] = [dirname(a).split(/[\\/]/), dirname(b).split(/[\\/]/)];
  let same = 0;
  while (same < from.length && same < to.length && from[same] === to[same]) same++;
  return from.length + to.length - 2 * same;
}

/** A variable that holds a network, by its name. */
const isNetworkName = (expression: Expression) =>
  /(^|_)(model|net|network|inr|siren|mlp|decoder|generator|module|func_rep|nerv|nerf)s?\d*$/i.test(
    nameOf(expression) ?? '',
  );

function targetIndex(target: Expression, name: string): number | undefined {
  if (target.kind === 'name') return target.id === name ? 0 : undefined;
  if (target.kind !== 'sequence') return undefined;
  const at = target.items.findIndex((item) => item.kind === 'name' && item.id === name);
  // The last of `i, layer` is the element.
  return at >= 0 && at === target.items.length - 1 ? at : undefined;
}

export function inside(span: Span, row: number, column: number): boolean {
  if (row < span.row || row > span.endRow) return false;
  if (row === span.row && column < span.column) return false;
  return row < span.endRow || column <= span.endColumn;
}

/** An expression as written, shortened. */
export function textOf(expression: Expression): string {
  switch (expression.kind) {
    case 'name':
      return expression.id;
    case 'attribute':
      return `${textOf(expression.object)}.${expression.name}`;
    case 'subscript': {
      const [index] = expression.index;
      const shown =
        index?.kind === 'literal'
          ? String(index.value)
          : index?.kind === 'unary' && index.operand.kind === 'literal'
            ? `${index.operator}${String(index.operand.value)}`
            : '…';
      return `${textOf(expression.object)}[${shown}]`;
    }
    case 'call':
      return `${textOf(expression.callee)}(…)`;
    default:
      return '…';
  }
}

interface Context {
  /** Expressions around the place, outermost first. */
  readonly chain: readonly Expression[];
  /** Class whose name is at the place. */
  readonly definition?: ClassDefinition;
  /** Innermost class and function around the place. */
  readonly cls?: ClassDefinition;
  readonly owner?: FunctionDefinition;
  /** Loops around the place, innermost first. */
  readonly loops: readonly { readonly target: Expression; readonly iterable: Expression }[];
}

function contextAt(statements: readonly Statement[], row: number, column: number): Context {
  let definition: ClassDefinition | undefined;
  let cls: ClassDefinition | undefined;
  let owner: FunctionDefinition | undefined;
  const loops: { readonly target: Expression; readonly iterable: Expression }[] = [];
  const walk = (list: readonly Statement[]) => {
    for (const statement of list) {
      if (!inside(statement.span, row, column)) continue;
      if (statement.kind === 'class') {
        if (inside(statement.nameSpan, row, column)) definition = statement;
        cls = statement;
      } else if (statement.kind === 'function') owner = statement;
      else if (statement.kind === 'for') loops.unshift(statement);
      if ('body' in statement) walk(statement.body);
      if (statement.kind === 'if') walk(statement.otherwise);
    }
  };
  walk(statements);
  const chain: Expression[] = [];
  const descend = (expression: Expression) => {
    chain.push(expression);
    if (expression.kind === 'comprehension') {
      for (const clause of expression.clauses) if (clause.kind === 'for') loops.unshift(clause);
    }
    for (const child of childrenOf(expression)) {
      if (inside(child.span, row, column)) {
        descend(child);
        return;
      }
    }
  };
  const outermost = new Set<Expression>();
  visit(statements, (expression) => {
    if (outermost.size > 0 || !inside(expression.span, row, column)) return;
    outermost.add(expression);
    descend(expression);
  });
  return {
    chain,
    loops,
    ...(definition && { definition }),
    ...(cls && { cls }),
    ...(owner && { owner }),
  };
}
