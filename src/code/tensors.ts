/**
 * Small arrays with NumPy's and PyTorch's names, as far as coordinate grids need them: the evaluator runs
 * the code that makes coordinates on a picture of a few pixels, to see their order and range.
 */
import { List, Tensor, unknown, type Value } from './values';

const MAX_ELEMENTS = 4096;

const sizeOf = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);

function tensor(shape: readonly number[], data: ArrayLike<number>): Value {
  return new Tensor(shape, data.length <= MAX_ELEMENTS ? Float64Array.from(data) : undefined);
}

interface Array_ {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

function asArray(value: Value | undefined): Array_ | undefined {
  if (typeof value === 'number') return { shape: [], data: [value] };
  if (value instanceof Tensor && value.shape && value.data) return { shape: value.shape, data: value.data };
  if (value instanceof List && value.exact && value.items.length > 0 && value.items.length <= 64) {
    const rows = value.items.map(asArray);
    const [first] = rows;
    if (!first || rows.some((row) => !row || row.shape.join() !== first.shape.join())) return undefined;
    return {
      shape: [rows.length, ...first.shape],
      data: rows.flatMap((row) => Array.from(row!.data)),
    };
  }
  return undefined;
}

const numbers = (values: readonly (Value | undefined)[]): number[] | undefined =>
  values.every((value) => typeof value === 'number') ? (values as number[]) : undefined;

/** Row-major strides, 0 where a side of one is spread. */
function strides(shape: readonly number[], rank: number): number[] {
  const out = new Array<number>(rank).fill(0);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] > 1) out[rank - shape.length + i] = step;
    step *= shape[i];
  }
  return out;
}

/** Calls back with the index of each element, row-major. */
function* places(shape: readonly number[]): Generator<readonly number[]> {
  const index = shape.map(() => 0);
  for (let n = sizeOf(shape); n > 0; n--) {
    yield index;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

const OPERATIONS: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '//': (a, b) => Math.floor(a / b),
  '**': (a, b) => a ** b,
};

/** Element by element, with broadcasting; unknown where a side is. */
export function tensorArithmetic(operator: string, left: Value, right: Value): Value {
  const [a, b] = [asArray(left), asArray(right)];
  const operation = OPERATIONS[operator];
  if (!a || !b || !operation) return new Tensor(undefined, undefined);
  const rank = Math.max(a.shape.length, b.shape.length);
  const side = (array: Array_, axis: number) => array.shape[axis - rank + array.shape.length] ?? 1;
  const shape = Array.from({ length: rank }, (_, axis) => Math.max(side(a, axis), side(b, axis)));
  if (shape.some((n, axis) => [side(a, axis), side(b, axis)].some((m) => m !== 1 && m !== n))) return unknown;
  if (sizeOf(shape) > MAX_ELEMENTS) return unknown;
  const [sa, sb] = [strides(a.shape, rank), strides(b.shape, rank)];
  const at = (steps: readonly number[], index: readonly number[]) =>
    index.reduce((sum, i, axis) => sum + i * steps[axis], 0);
  const data = Array.from(places(shape), (index) => operation(a.data[at(sa, index)], b.data[at(sb, index)]));
  return tensor(shape, data);
}

function join(parts: readonly Array_[], axis: number, stacked: boolean): Value {
  const [first] = parts;
  if (!first) return unknown;
  const rank = first.shape.length + (stacked ? 1 : 0);
  const along = axis < 0 ? rank + axis : axis;
  if (along < 0 || along >= rank) return unknown;
  const shapes = parts.map(({ shape }) =>
    stacked ? [...shape.slice(0, along), 1, ...shape.slice(along)] : shape,
  );
  if (shapes.some((shape) => shape.length !== rank)) return unknown;
  if (shapes.some((shape) => shape.some((n, i) => i !== along && n !== shapes[0][i]))) return unknown;
  const shape = shapes[0].map((n, i) => (i === along ? shapes.reduce((sum, s) => sum + s[along], 0) : n));
  const outer = sizeOf(shape.slice(0, along));
  const data: number[] = [];
  for (let o = 0; o < outer; o++) {
    parts.forEach(({ data: from }, p) => {
      const inner = sizeOf(shapes[p].slice(along));
      for (let i = 0; i < inner; i++) data.push(from[o * inner + i]);
    });
  }
  return tensor(shape, data);
}

function permute({ shape, data }: Array_, order: readonly number[]): Value {
  if (order.length !== shape.length) return unknown;
  const steps = strides(
    shape.map((n) => Math.max(n, 1)),
    shape.length,
  );
  // A side of one has stride 0; its index is always 0.
  const to = order.map((axis) => shape[axis]);
  return tensor(
    to,
    Array.from(places(to), (index) => data[index.reduce((sum, i, k) => sum + i * steps[order[k]], 0)]),
  );
}

function reshape({ shape, data }: Array_, wanted: readonly number[]): Value {
  const size = sizeOf(shape);
  const rest = wanted.filter((n) => n !== -1).reduce((product, n) => product * n, 1);
  const to = wanted.map((n) => (n === -1 ? size / rest : n));
  return sizeOf(to) === size && to.every(Number.isInteger) ? tensor(to, data) : unknown;
}

/** A method of a tensor that is not a tensor's own: undefined. */
export function methodOfTensor(self: Tensor, name: string, args: readonly Value[]): Value | undefined {
  if (
    /^(float|double|half|to|cuda|cpu|type|astype|numpy|contiguous|clone|copy|detach|requires_grad_|tolist|int|long)$/.test(
      name,
    )
  ) {
    return self;
  }
  const array = asArray(self);
  if (!array) return undefined;
  const { shape } = array;
  const [first] = args;
  const axis = (value: Value | undefined, rank: number) =>
    typeof value === 'number' ? (value < 0 ? value + rank : value) : undefined;
  switch (name) {
    case 'reshape':
    case 'view': {
      const sides = numbers(first instanceof List ? first.items : args);
      return sides ? reshape(array, sides) : unknown;
    }
    case 'flatten':
    case 'ravel': {
      const from = axis(first, shape.length) ?? 0;
      const to = axis(args[1], shape.length) ?? shape.length - 1;
      return tensor(
        [...shape.slice(0, from), sizeOf(shape.slice(from, to + 1)), ...shape.slice(to + 1)],
        array.data,
      );
    }
    case 'unsqueeze': {
      const at = axis(first, shape.length + 1);
      return at === undefined ? unknown : tensor([...shape.slice(0, at), 1, ...shape.slice(at)], array.data);
    }
    case 'squeeze':
      return tensor(
        shape.filter((n, i) => n !== 1 || (first !== undefined && axis(first, shape.length) !== i)),
        array.data,
      );
    case 't':
      return permute(
        array,
        shape.map((_, i) => shape.length - 1 - i),
      );
    case 'transpose':
    case 'swapaxes': {
      const [a, b] = [axis(first, shape.length), axis(args[1], shape.length)];
      if (a === undefined || b === undefined)
        return permute(
          array,
          shape.map((_, i) => shape.length - 1 - i),
        );
      return permute(
        array,
        shape.map((_, i) => (i === a ? b : i === b ? a : i)),
      );
    }
    case 'permute': {
      const order = numbers(first instanceof List ? first.items : args);
      return order ? permute(array, order) : unknown;
    }
    case 'nonzero':
      return nonzero(array);
    case 'max':
      return args.length === 0 ? Math.max(...Array.from(array.data)) : unknown;
    case 'size': {
      const at = axis(first, shape.length);
      return at === undefined ? new List([...shape]) : (shape[at] ?? unknown);
    }
    case 'sub_':
    case 'sub':
      return tensorArithmetic('-', self, first ?? unknown);
    case 'add_':
    case 'add':
      return tensorArithmetic('+', self, first ?? unknown);
    case 'mul_':
    case 'mul':
      return tensorArithmetic('*', self, first ?? unknown);
    case 'div_':
    case 'div':
      return tensorArithmetic('/', self, first ?? unknown);
    case 'flip':
      return tensorFunction('torch', 'flip', [self, ...args], new Map());
    default:
      return undefined;
  }
}

function nonzero({ shape, data }: Array_): Value {
  const rows: number[] = [];
  let k = 0;
  for (const index of places(shape)) if (data[k++] !== 0) rows.push(...index);
  return tensor([rows.length / Math.max(shape.length, 1), shape.length], rows);
}

type Named = ReadonlyMap<string, Value>;

/**
 * A function of NumPy or PyTorch on small arrays.
 * @param library `torch`, `numpy`, `jax.numpy`, …
 * @returns undefined when it is none of those that make coordinates
 */
export function tensorFunction(
  library: string,
  name: string,
  args: readonly Value[],
  named: Named,
): Value | undefined {
  const argument = (index: number, ...keys: string[]): Value | undefined =>
    args[index] ?? keys.map((key) => named.get(key)).find((value) => value !== undefined);
  const number = (index: number, ...keys: string[]) => {
    const value = argument(index, ...keys);
    return typeof value === 'number' ? value : undefined;
  };
  switch (name) {
    case 'linspace': {
      const [from, to] = [number(0, 'start'), number(1, 'end', 'stop')];
      const count = number(2, 'steps', 'num');
      if (from === undefined || to === undefined || count === undefined || !(count >= 1 && count <= 256)) {
        return new Tensor(undefined, undefined);
      }
      const open = named.get('endpoint') === false;
      const step = count > 1 ? (to - from) / (open ? count : count - 1) : 0;
      return tensor(
        [count],
        Array.from({ length: count }, (_, i) => from + i * step),
      );
    }
    case 'arange': {
      const given = numbers(args);
      if (!given || given.length === 0) return new Tensor(undefined, undefined);
      const [from, to, step] = given.length === 1 ? [0, given[0], 1] : [given[0], given[1], given[2] ?? 1];
      const count = Math.ceil((to - from) / step - 1e-9);
      if (!(count >= 1 && count <= 256)) return new Tensor(undefined, undefined);
      return tensor(
        [count],
        Array.from({ length: count }, (_, i) => from + i * step),
      );
    }
    case 'meshgrid': {
      const given = args.length === 1 && args[0] instanceof List ? args[0].items : args;
      const axes = given.map(asArray);
      if (axes.length === 0 || axes.some((array) => array?.shape.length !== 1)) {
        return new List(given.map(() => new Tensor(undefined, undefined)));
      }
      const indexing = named.get('indexing') ?? (library === 'torch' ? 'ij' : 'xy');
      const order = axes.map((_, i) => i);
      if (indexing === 'xy' && axes.length > 1) [order[0], order[1]] = [1, 0];
      const shape = order.map((axis) => axes[axis]!.shape[0]);
      return new List(
        axes.map((array, axis) =>
          tensor(
            shape,
            Array.from(places(shape), (index) => array!.data[index[order.indexOf(axis)]]),
          ),
        ),
      );
    }
    case 'cartesian_prod': {
      const axes = args.map(asArray);
      if (axes.some((array) => array?.shape.length !== 1)) return new Tensor(undefined, undefined);
      const shape = axes.map((array) => array!.shape[0]);
      const rows = Array.from(places(shape), (index) => index.map((i, axis) => axes[axis]!.data[i])).flat();
      return tensor([sizeOf(shape), axes.length], rows);
    }
    case 'stack':
    case 'cat':
    case 'concat':
    case 'concatenate':
    case 'hstack':
    case 'vstack':
    case 'dstack':
    case 'column_stack': {
      const list = args[0];
      const parts = list instanceof List ? list.items.map(asArray) : [asArray(list)];
      if (parts.some((part) => !part)) return new Tensor(undefined, undefined);
      const known = parts as Array_[];
      const axis = number(1, 'dim', 'axis') ?? 0;
      if (name === 'stack') return join(known, axis, true);
      const flat = known.every(({ shape }) => shape.length === 1);
      if (name === 'hstack') return join(known, flat ? 0 : 1, false);
      if (name === 'vstack') return join(known, 0, flat);
      if (name === 'column_stack') return join(known, 1, flat);
      if (name === 'dstack')
        return join(
          known,
          2,
          known.every(({ shape }) => shape.length === 2),
        );
      return join(known, axis, false);
    }
    case 'ones':
    case 'zeros':
    case 'empty': {
      const sides = numbers(args[0] instanceof List ? args[0].items : args);
      if (!sides) return new Tensor(undefined, undefined);
      if (sizeOf(sides) > MAX_ELEMENTS) return new Tensor(sides, undefined);
      return tensor(sides, new Array<number>(sizeOf(sides)).fill(name === 'ones' ? 1 : 0));
    }
    case 'nonzero': {
      const array = asArray(args[0]);
      return array ? nonzero(array) : undefined;
    }
    case 'tensor':
    case 'as_tensor':
    case 'from_numpy':
    case 'array':
    case 'asarray':
    case 'Tensor':
    case 'FloatTensor':
    case 'float32': {
      const array = asArray(args[0]);
      return array ? tensor(array.shape, array.data) : new Tensor(undefined, undefined);
    }
    case 'flip': {
      const array = asArray(args[0]);
      const axis = number(1, 'dims', 'axis');
      const sides =
        argument(1, 'dims') instanceof List ? numbers((argument(1, 'dims') as List).items) : undefined;
      const wanted = sides?.length === 1 ? sides[0] : axis;
      if (!array || wanted === undefined) return undefined;
      const at = wanted < 0 ? wanted + array.shape.length : wanted;
      const steps = strides(array.shape, array.shape.length);
      return tensor(
        array.shape,
        Array.from(
          places(array.shape),
          (index) =>
            array.data[
              index.reduce(
                (sum, i, axis_) => sum + (axis_ === at ? array.shape[at] - 1 - i : i) * steps[axis_],
                0,
              )
            ],
        ),
      );
    }
    default: {
      // `torch.reshape(x, …)` is `x.reshape(…)`.
      const [self, ...rest] = args;
      return self instanceof Tensor ? methodOfTensor(self, name, rest) : undefined;
    }
  }
}

/** One element of an index: a number, everything (`:`), a new axis (`None`), or the rest (`...`). */
export type TensorIndex = number | 'all' | 'new' | 'rest';

export function indexTensor(self: Tensor, index: readonly TensorIndex[]): Value {
  const array = asArray(self);
  if (!array) return self;
  const { shape, data } = array;
  const used = index.filter((i) => i !== 'new' && i !== 'rest').length;
  const full = index.includes('rest') ? index : [...index, 'rest' as const];
  const expanded = full.flatMap((i): TensorIndex[] =>
    i === 'rest' ? new Array<TensorIndex>(Math.max(0, shape.length - used)).fill('all') : [i],
  );
  const steps = strides(shape, shape.length);
  let axis = 0;
  let offset = 0;
  const to: number[] = [];
  const along: number[] = [];
  for (const i of expanded) {
    if (i === 'new') {
      to.push(1);
      along.push(0);
      continue;
    }
    if (axis >= shape.length) return unknown;
    if (typeof i === 'number') {
      const at = i < 0 ? i + shape[axis] : i;
      if (at < 0 || at >= shape[axis]) return unknown;
      offset += at * steps[axis];
    } else {
      to.push(shape[axis]);
      along.push(steps[axis]);
    }
    axis++;
  }
  return tensor(
    to,
    Array.from(places(to), (place) => data[offset + place.reduce((sum, k, n) => sum + k * along[n], 0)]),
  );
}
