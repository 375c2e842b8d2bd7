/**
 * What training code says about a checkpoint's network: constants that are passed to its class, factors
 * inside its sines, how coordinates are made. Only code that builds exactly these layers is asked.
 */
import path from 'node:path';
import { fillCoordinates, conventionName } from '../inr/coordinates';
import {
  activation as activationSetting,
  finalActivation as finalSetting,
  hiddenOmega,
  omega0,
  range as rangeSetting,
  scale as scaleSetting,
  size as sizeSetting,
  type Setting,
  type SettingValue,
} from '../inr/settings';
import { comparable } from '../inr/configuration';
import type { Evidence } from '../inr/types';
import { Evaluator } from './evaluate/evaluator';
import { nameOf } from './evaluate/names';
import type { Match } from './match';
import { Correspondence, type CheckpointNames } from './places';
import { childrenOf, visit, type Project } from './project';
import type { Expression, FunctionDefinition, Statement } from './python/syntax';
import {
  Container,
  FunctionValue,
  Instance,
  isModule,
  Layer,
  List,
  Scope,
  Tensor,
  type ModuleValue,
  type Site,
  type Value,
} from './values';

/** Constants that the code gives when it is called are surer than defaults. */
const SURE = { built: 0.85, fallback: 0.7, guessed: 0.6 } as const;

interface Applied {
  readonly kind: string;
  /** Factor inside: ω of a sine, s of a Gaussian. */
  readonly factor?: number;
  /** Where the function stands. */
  readonly site?: Site;
}

const short = ({ file, span }: Site) => `${path.basename(file)}:${span.row + 1}`;
const numberText = (value: number) => String(Number(value.toPrecision(6)));

/** @param names all layers of the checkpoint */
export function trainingEvidence(project: Project, names: CheckpointNames): Evidence[] {
  const found = new Correspondence(project, names).found;
  // A network found twice, or two in one file, say nothing certain about either.
  const [match] = found;
  if (found.length !== 1 || !(match.root instanceof Instance || match.root instanceof Container)) return [];
  const evidence = new Map<string, Evidence>();
  const add = (name: string, value: SettingValue | undefined, detail: string, confidence: number) => {
    if (value === undefined || evidence.has(name)) return;
    evidence.set(name, { name, value, source: 'training code', confidence, detail });
  };
  const sure = match.root.site ? SURE.built : SURE.fallback;
  activations(project, names, match, (name, value, detail) => add(name, value, detail, sure));
  constants(project, match, (name, value, detail, confidence) =>
    add(name, value, detail, confidence ?? sure),
  );
  const grid = coordinates(project, match);
  if (grid) add('coords', grid.convention, `${short(grid.site)} coordinates`, grid.confidence);
  return [...evidence.values()];
}

// ---- activations and their constants

type Add = (name: string, value: SettingValue | undefined, detail: string, confidence?: number) => void;

function activations(project: Project, names: CheckpointNames, match: Match, add: Add): void {
  const inMatch = names.layers
    .map(({ name }) => name.replaceAll('/', '.'))
    .filter((name) => match.nodes.has(name));
  const applied = inMatch.map((name) => behind(project, match, name));
  const [first, ...hidden] = applied.slice(0, -1);
  const last = applied.at(-1);
  const same = (list: readonly (Applied | undefined)[]) =>
    list.length > 0 && list.every((one) => one?.kind === list[0]?.kind && one?.factor === list[0]?.factor)
      ? list[0]
      : undefined;
  const middle = same(hidden) ?? (hidden.length === 0 ? first : undefined);
  const detail = ({ site, factor }: Applied, names_: readonly string[], fallback: string) =>
    provenance(match, factor, names_) ?? (site ? `${short(site)} ${fallback}` : fallback);
  if (first && middle && first.kind === middle.kind) {
    add('activation', activationSetting.read(first.kind), detail(first, [], first.kind));
  }
  if (first?.factor !== undefined && first.factor > 0) {
    const text = numberText(first.factor);
    if (['sine', 'finer'].includes(first.kind)) {
      add('omega0', first.factor, detail(first, omega0.aliases, `ω = ${text}`));
    } else if (first.kind === 'gaussian')
      add('scale', first.factor, detail(first, scaleSetting.aliases, `scale = ${text}`));
  }
  if (middle?.factor !== undefined && middle.factor > 0 && ['sine', 'finer'].includes(middle.kind)) {
    add(
      'hiddenOmega',
      middle.factor,
      detail(middle, hiddenOmega.aliases, `ω = ${numberText(middle.factor)}`),
    );
  }
  const after = last && last.kind !== 'identity' ? last : undefined;
  const root = match.root;
  const outer = root instanceof Instance ? returned(root) : undefined;
  const final = outer ?? after ?? last;
  // A class that hidden layers share may leave its activation out at the end (`z if self.last else …`).
  const shared = !outer && after !== undefined && after.kind === middle?.kind;
  if (final && !shared) add('finalActivation', finalSetting.read(final.kind), detail(final, [], final.kind));
}

/** `train.py:42 omega_0=30`: the argument that carried a constant, nearest to where the network is built. */
function provenance(
  match: Match,
  factor: number | undefined,
  aliases: readonly string[],
): string | undefined {
  if (factor === undefined) return undefined;
  const wanted = new Set(aliases.map(comparable));
  const owners: ModuleValue[] = [match.root, ...match.nodes.values()];
  for (const owner of owners) {
    if (!(owner instanceof Instance)) continue;
    for (const [name, value] of owner.args) {
      if (value !== factor || !wanted.has(comparable(name))) continue;
      const at = owner.site ?? { file: owner.class_.file, span: owner.class_.definition.nameSpan };
      return `${short(at)} ${name}=${numberText(factor)}`;
    }
  }
  return undefined;
}

/** What is applied to a layer's result. */
function behind(project: Project, match: Match, name: string): Applied | undefined {
  const at = name.lastIndexOf('.');
  const [parentPath, own] = at < 0 ? ['', name] : [name.slice(0, at), name.slice(at + 1)];
  const node = match.nodes.get(name);
  const parent = match.nodes.get(parentPath) ?? (parentPath === match.prefix ? match.root : undefined);
  // A layer that holds its weight itself applies its activation itself.
  if (node instanceof Instance && node.attributes.get('weight') instanceof Tensor)
    return inForward(project, node);
  const container =
    parent instanceof Container ? parent : parent instanceof Instance ? parent.base : undefined;
  if (container instanceof Container && /^\d+$/.test(own)) {
    const next = container.list.items[Number(own) + 1];
    if (next !== undefined && isModule(next) && !weighted(next)) return appliedBy(project, next);
    // A block of its own, `Sequential(linear, sine)`, or the last one.
    return { kind: 'identity' };
  }
  if (parent instanceof Instance && parent !== match.root) return inForward(project, parent);
  if (parent instanceof Instance) return inForward(project, parent);
  return undefined;
}

const weighted = (module: ModuleValue): boolean =>
  module instanceof Layer
    ? module.kind !== 'plain'
    : module instanceof Container
      ? module.list.items.some((item) => isModule(item) && weighted(item))
      : module.attributes.get('weight') instanceof Tensor ||
        [...module.attributes.values()].some((value) => isModule(value) && weighted(value));

const PLAIN: Readonly<Record<string, string>> = {
  ReLU: 'relu',
  Sigmoid: 'sigmoid',
  Tanh: 'tanh',
  GELU: 'gelu',
  SiLU: 'swish',
  Softplus: 'softplus',
  ELU: 'elu',
  SELU: 'selu',
  LeakyReLU: 'leaky-relu',
  Identity: 'identity',
};

function appliedBy(project: Project, module: ModuleValue): Applied | undefined {
  if (module instanceof Layer) {
    const kind = PLAIN[module.name];
    return kind === undefined ? undefined : { kind, ...(module.site && { site: module.site }) };
  }
  return module instanceof Instance ? inForward(project, module) : undefined;
}

const forwardOf = (instance: Instance): FunctionValue | undefined => {
  const member = instance.class_.member('forward') ?? instance.class_.member('__call__');
  return member?.value instanceof FunctionValue ? member.value : undefined;
};

/** The activation in a module's `forward`, with its constant as this instance has it. */
function inForward(project: Project, instance: Instance, depth = 0): Applied | undefined {
  const forward = forwardOf(instance);
  if (!forward || !('kind' in forward.definition) || forward.definition.kind !== 'function' || depth > 3)
    return undefined;
  const { definition } = forward;
  const scope = new Scope(instance.class_.file, forward.scope, definition);
  scope.own.set(definition.parameters[0]?.name ?? 'self', instance);
  const value = (expression: Expression) => project.evaluator.evaluate(expression, scope, instance);
  let found: Applied | undefined;
  visit(definition.body, (expression) => {
    if (found || expression.kind !== 'call') return;
    const { callee, args } = expression;
    const [argument] = args;
    const name = nameOf(callee) ?? '';
    const site = { file: instance.class_.file, span: expression.span };
    if (callee.kind === 'attribute' && callee.object.kind === 'name' && callee.object.id === 'self') {
      const module = value(callee);
      if (isModule(module) && !weighted(module)) {
        const inner =
          module instanceof Instance ? inForward(project, module, depth + 1) : appliedBy(project, module);
        if (inner) found = inner;
      }
      return;
    }
    if (!argument || argument.stars > 0) return;
    if (name === 'sin') {
      const inner = resolved(argument.value, definition);
      const warped = contains(inner, (e) => e.kind === 'call' && nameOf(e) === 'abs');
      found = { kind: warped ? 'finer' : 'sine', factor: factorOf(inner, value, definition), site };
    } else if (name === 'exp') {
      const square = squared(argument.value);
      if (square && !contains(argument.value, (e) => e.kind === 'other')) {
        found = { kind: 'gaussian', factor: factorOf(square, value, definition), site };
      }
    } else if (/^(relu|gelu|silu|swish|softplus|elu|selu|leaky_relu)$/.test(name)) {
      const kind = activationSetting.read(name);
      if (kind !== undefined) found = { kind, site };
    }
  });
  return found;
}

/** A variable's last value in a function, where the expression is one. */
function resolved(expression: Expression, fn: FunctionDefinition, depth = 0): Expression {
  if (expression.kind !== 'name' || depth > 3) return expression;
  let last: Expression | undefined;
  const walk = (statements: readonly Statement[]) => {
    for (const statement of statements) {
      if (statement.span.row > expression.span.row) return;
      if (statement.kind === 'assign' && statement.value && statement.span.row < expression.span.row) {
        if (statement.targets.some((target) => target.kind === 'name' && target.id === expression.id))
          last = statement.value;
      }
    }
  };
  walk(fn.body);
  return last ?? expression;
}

/** The product of an expression's constant factors. */
function factorOf(expression: Expression, value: (e: Expression) => Value, fn: FunctionDefinition): number {
  const inner = resolved(expression, fn);
  if (inner.kind === 'binary' && (inner.operator === '*' || inner.operator === '/')) {
    const [left, right] = [factorOf(inner.left, value, fn), factorOf(inner.right, value, fn)];
    return inner.operator === '*' ? left * right : left / right;
  }
  if (inner.kind === 'call' || inner.kind === 'compare') return 1;
  if (inner.kind === 'unary') return factorOf(inner.operand, value, fn);
  const known = value(inner);
  return typeof known === 'number' ? known : 1;
}

/** x of −x² or −(x)**2. */
function squared(expression: Expression): Expression | undefined {
  if (expression.kind === 'unary' && expression.operator === '-') return squared(expression.operand);
  if (expression.kind === 'binary' && expression.operator === '**') {
    const { left, right } = expression;
    if (right.kind !== 'literal' || right.value !== 2) return undefined;
    return left.kind === 'unary' ? left.operand : left;
  }
  if (expression.kind === 'call' && expression.callee.kind === 'attribute') {
    const { name, object } = expression.callee;
    if (name === 'square' || (name === 'pow' && expression.args[0]?.value.kind === 'literal')) return object;
  }
  return undefined;
}

function contains(expression: Expression, test: (e: Expression) => boolean): boolean {
  return test(expression) || childrenOf(expression).some((child) => contains(child, test));
}

/** What a network's `forward` puts around its result: `torch.sigmoid(…)`, `(tanh(…) + 1) / 2`. */
function returned(root: Instance): Applied | undefined {
  const forward = forwardOf(root);
  if (!forward || !('kind' in forward.definition) || forward.definition.kind !== 'function') return undefined;
  const { definition } = forward;
  const returns: Expression[] = [];
  const walk = (statements: readonly Statement[]) => {
    for (const statement of statements) {
      if (statement.kind === 'return' && statement.value) returns.push(statement.value);
      if ('body' in statement && statement.kind !== 'function' && statement.kind !== 'class')
        walk(statement.body);
    }
  };
  walk(definition.body);
  const [only] = returns;
  if (!only || returns.length > 1) return undefined;
  const result = resolved(only.kind === 'sequence' ? (only.items[0] ?? only) : only, definition);
  const site = { file: root.class_.file, span: result.span };
  if (result.kind === 'call' && nameOf(result) === 'sigmoid') return { kind: 'sigmoid', site };
  if (result.kind === 'call' && nameOf(result) === 'tanh') return { kind: 'tanh', site };
  if (result.kind === 'binary' && contains(result, (e) => e.kind === 'call' && nameOf(e) === 'tanh')) {
    const numbers = new Set<number>();
    contains(result, (e) => {
      if (e.kind === 'literal' && typeof e.value === 'number') numbers.add(e.value);
      return false;
    });
    if ((numbers.has(1) && numbers.has(2)) || numbers.has(0.5)) return { kind: 'tanh01', site };
  }
  if (
    result.kind === 'binary' &&
    result.operator === '+' &&
    result.right.kind === 'literal' &&
    result.right.value === 0.5
  ) {
    return { kind: 'add-half', site };
  }
  return undefined;
}

// ---- constants by their names

function constants(project: Project, { root }: Match, add: Add): void {
  if (!(root instanceof Instance)) return;
  const at = root.site ?? { file: root.class_.file, span: root.class_.definition.nameSpan };
  const own = (setting: Setting<SettingValue>) => {
    for (const alias of [setting.name, ...setting.aliases]) {
      for (const [name, value] of root.args) {
        if (comparable(name) !== comparable(alias)) continue;
        const read = plain(value);
        const meaning = read === undefined ? undefined : setting.read(read);
        if (meaning !== undefined) return { meaning, detail: `${short(at)} ${name}=${String(read)}` };
      }
    }
    return undefined;
  };
  for (const setting of [omega0, hiddenOmega, scaleSetting, activationSetting, finalSetting, sizeSetting]) {
    const found = own(setting);
    if (found) add(setting.name, found.meaning, found.detail);
  }
  const range = root.class_.member('output_range')?.value;
  const pair = range === undefined ? undefined : plain(range);
  if (pair !== undefined) {
    add('range', rangeSetting.read(pair), `${path.basename(root.class_.file)} output_range`);
  }
  // `Normalize(0.5, 0.5)` stretches [0, 1] to [−1, 1]; only where the network is built.
  if (!root.site) return;
  const { file } = root.site;
  const related = project.files.filter(
    (other) => other === file || path.dirname(other) === path.dirname(file),
  );
  const sizes = new Map<string, string>();
  for (const each of related) {
    visit(project.statements(each) ?? [], (expression) => {
      if (expression.kind !== 'call') return;
      const name = nameOf(expression) ?? '';
      const where = short({ file: each, span: expression.span });
      if (name === 'Normalize' && halves(expression))
        add('range', '-1..1', `${where} Normalize(0.5, 0.5)`, SURE.guessed);
      if (name === 'Resize' && expression.args[0]) {
        const scope = project.evaluator.file(each);
        const given = scope && plain(project.evaluator.evaluate(expression.args[0].value, scope));
        // One number is the shorter side; only a pair is the size.
        if (Array.isArray(given)) {
          const text = sizeSetting.read(given);
          if (text !== undefined) sizes.set(text, `${where} Resize`);
        }
      }
    });
  }
  const [only] = sizes;
  if (sizes.size === 1 && only) add('size', only[0], only[1], SURE.guessed);
}

const halves = (call: Extract<Expression, { kind: 'call' }>): boolean => {
  const numbers: number[] = [];
  for (const { value } of call.args) {
    contains(value, (e) => {
      if (e.kind === 'literal' && typeof e.value === 'number') numbers.push(e.value);
      return false;
    });
  }
  return numbers.length >= 2 && numbers.every((n) => n === 0.5);
};

/** Numbers, texts and lists of them. */
function plain(value: Value): SettingValue | number[] | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value === 'string') return value;
  if (
    value instanceof List &&
    value.items.length > 0 &&
    value.items.every((item) => typeof item === 'number')
  ) {
    return value.items;
  }
  return undefined;
}

// ---- coordinates

/** A picture so small that code that makes its coordinates runs at once, and not square. */
const TALL = 5;
const WIDE = 8;
const SQUARE = 7;

const hintsFor =
  (channelsFirst: boolean) =>
  (name: string): Value | undefined => {
    if (/^(h|H|height|rows|n_rows|num_rows|img_h|image_height|img_height|ny|res_h)$/.test(name)) return TALL;
    if (/^(w|W|width|cols|columns|n_cols|img_w|image_width|img_width|nx|res_w)$/.test(name)) return WIDE;
    if (/^(sidelen|sidelength|side_length|side|res|resolution|img_size|image_size|size|n)$/.test(name))
      return SQUARE;
    if (/^(img|image|im|picture|gt|target)$/.test(name)) {
      return new Tensor(channelsFirst ? [3, TALL, WIDE] : [TALL, WIDE, 3], undefined);
    }
    if (/^(data_shape|img_shape|image_shape|shape|hw)$/.test(name)) return new List([TALL, WIDE]);
    return undefined;
  };

const CONVENTIONS = (['per-side', 'longest', 'height'] as const).flatMap((scale) =>
  (['rc', 'xy'] as const).flatMap((order) =>
    [false, true].flatMap((unit) =>
      (['ends', 'open', 'centres'] as const).map((sampling) =>
        conventionName({ order, scale, unit, sampling }),
      ),
    ),
  ),
);

/** The convention that a small tensor's coordinates follow. */
export function conventionOf({ shape, data }: Tensor) {
  if (!shape || !data) return undefined;
  for (const [height, width] of [
    [TALL, WIDE],
    [SQUARE, SQUARE],
  ]) {
    const pixels = height * width;
    if (data.length !== 2 * pixels) continue;
    const last = shape.at(-1) === 2;
    if (!last && shape[0] !== 2) continue;
    for (const convention of CONVENTIONS) {
      const wanted = new Float32Array(2 * pixels);
      fillCoordinates(convention, height, width, 0, pixels, wanted);
      let same = true;
      for (let p = 0; p < pixels && same; p++) {
        for (let axis = 0; axis < 2; axis++) {
          const value = last ? data[2 * p + axis] : data[axis * pixels + p];
          if (Math.abs(value - wanted[axis * pixels + p]) > 1e-5) same = false;
        }
      }
      if (same) return convention;
    }
  }
  return undefined;
}

const MAKES_GRIDS = /linspace|arange|meshgrid|nonzero|cartesian_prod/;

interface Grid {
  readonly convention: NonNullable<ReturnType<typeof conventionOf>>;
  readonly site: Site;
  readonly confidence: number;
}

/** How the code makes coordinates: in the network's own class, where it is built, or anywhere near. */
function coordinates(project: Project, { root }: Match): Grid | undefined {
  const grids: { readonly grid: Omit<Grid, 'confidence'>; readonly rank: number }[] = [];
  const classFile = root instanceof Instance ? root.class_.file : undefined;
  const classSpan = root instanceof Instance ? root.class_.definition.span : undefined;
  for (const file of project.files) {
    if (!MAKES_GRIDS.test(project.source(file) ?? '')) continue;
    const statements = project.statements(file) ?? [];
    for (const channelsFirst of [false, true]) {
      const evaluator = new Evaluator(project, hintsFor(channelsFirst));
      const scope = evaluator.file(file);
      if (!scope) continue;
      for (const definition of functionsOf(statements))
        evaluator.explore(new FunctionValue(definition, scope));
      for (const { tensor, site } of evaluator.tensors) {
        if (site.file !== file) continue;
        const convention = conventionOf(tensor);
        if (convention === undefined) continue;
        const inClass =
          file === classFile &&
          classSpan &&
          site.span.row >= classSpan.row &&
          site.span.row <= classSpan.endRow;
        // Another network's class makes its own coordinates.
        const elsewhere = project
          .facts(file)
          .classes.some(
            ({ definition: { span } }) => site.span.row >= span.row && site.span.row <= span.endRow,
          );
        if (elsewhere && !inClass) continue;
        const rank = inClass ? 0 : file === root.site?.file ? 1 : 2;
        // What is computed later in a function replaces what came before: keep the last of each.
        const owner = functionsOf(statements).find(
          ({ span }) => site.span.row >= span.row && site.span.row <= span.endRow,
        );
        const before = grids.findIndex(
          ({ grid }) =>
            grid.site.file === file &&
            owner !== undefined &&
            grid.site.span.row >= owner.span.row &&
            grid.site.span.row <= owner.span.endRow,
        );
        if (before >= 0) grids.splice(before, 1);
        grids.push({ grid: { convention, site }, rank });
      }
    }
  }
  const best = Math.min(...grids.map(({ rank }) => rank));
  const nearest = grids.filter(({ rank }) => rank === best);
  const different = new Set(nearest.map(({ grid }) => grid.convention));
  // Code that makes coordinates in two ways does not say which this network got.
  if (different.size !== 1) return undefined;
  return { ...nearest[0].grid, confidence: best < 2 ? SURE.built : SURE.fallback };
}

function functionsOf(statements: readonly Statement[]): FunctionDefinition[] {
  return statements.flatMap((statement): FunctionDefinition[] => {
    if (statement.kind === 'function') return [statement, ...functionsOf(statement.body)];
    if (statement.kind === 'class') return functionsOf(statement.body);
    return [];
  });
}
