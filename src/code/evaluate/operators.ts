/** Python's operators, comparisons and text methods on values that may be unknown. */
import {
  ClassValue,
  Dictionary,
  Either,
  either,
  FunctionValue,
  Group,
  isModule,
  isUnknown,
  List,
  Pattern,
  Symbolic,
  Tensor,
  unknown,
  type Value,
} from '../values';
import { tensorArithmetic } from '../tensors';
import { MAX_ITERATIONS } from './sequences';

/** A Python operator. @param list makes a list */
export function binary(
  operator: string,
  left: Value,
  right: Value,
  list: (items: readonly Value[]) => List,
): Value {
  if (left instanceof Either || right instanceof Either) {
    const [lefts, rights] = [left, right].map((side) => (side instanceof Either ? side.options : [side]));
    return either(lefts.flatMap((a) => rights.map((b) => binary(operator, a, b, list))));
  }
  if (left instanceof Tensor || right instanceof Tensor) return tensorArithmetic(operator, left, right);
  if (typeof left === 'boolean') left = Number(left);
  if (typeof right === 'boolean') right = Number(right);
  if (typeof left === 'number' && typeof right === 'number') return arithmetic(operator, left, right);
  if (operator === '+' && typeof left === 'string' && typeof right === 'string') return left + right;
  if (operator === '+' && (isText(left) || isText(right))) {
    return new Pattern([...textParts(left), ...textParts(right)]);
  }
  if (operator === '%' && isText(left)) {
    const text = typeof left === 'string' ? left : '';
    const filling = right instanceof List ? right.items : [right];
    let next = 0;
    const parts = text.split(/%[-+0-9.]*[dsifg]/).flatMap((part, i, all): (string | null)[] => {
      if (i === all.length - 1) return [part];
      const value = filling[next++];
      return [part, typeof value === 'string' || typeof value === 'number' ? String(value) : null];
    });
    return parts.every((part) => part !== null) ? parts.join('') : new Pattern(parts);
  }
  if (operator === '+' && left instanceof List && right instanceof List) {
    return list([...left.items, ...right.items]);
  }
  const [repeated, count] = left instanceof List ? [left, right] : [right, left];
  if (operator === '*' && repeated instanceof List) {
    if (typeof count === 'number' && count <= MAX_ITERATIONS && repeated.items.length <= MAX_ITERATIONS) {
      return list(Array.from({ length: Math.max(0, count) }, () => repeated.items).flat());
    }
    const group = new Group(true);
    group.items.push(...repeated.items);
    return list([group]);
  }
  if (left instanceof Symbolic && typeof right === 'number') return linear(operator, left, right);
  if (right instanceof Symbolic && typeof left === 'number') {
    if (operator === '+' || operator === '*') return linear(operator, right, left);
    if (operator === '-') return new Symbolic(right.symbol, -right.scale, left - right.offset);
  }
  return unknown;
}

export const isText = (value: Value): value is string | Pattern =>
  typeof value === 'string' || value instanceof Pattern;
const textParts = (value: Value): (string | null)[] =>
  typeof value === 'string'
    ? [value]
    : value instanceof Pattern
      ? [...value.parts]
      : typeof value === 'number'
        ? [String(value)]
        : [null];

export function textMethod(text: string | Pattern, name: string, args: readonly Value[]): Value {
  if (name === 'format' && typeof text === 'string') {
    let next = 0;
    const parts = text.split(/\{[^}]*\}/).flatMap((part, i, all): (string | null)[] => {
      if (i === all.length - 1) return [part];
      const value = args[next++];
      return [part, typeof value === 'string' || typeof value === 'number' ? String(value) : null];
    });
    return parts.every((part) => part !== null) ? parts.join('') : new Pattern(parts);
  }
  if (typeof text !== 'string') return unknown;
  const [first] = args;
  switch (name) {
    case 'lower':
      return text.toLowerCase();
    case 'upper':
      return text.toUpperCase();
    case 'strip':
      return text.trim();
    case 'startswith':
      return typeof first === 'string' ? text.startsWith(first) : unknown;
    case 'endswith':
      return typeof first === 'string' ? text.endsWith(first) : unknown;
    case 'split':
      return new List(text.split(typeof first === 'string' ? first : /\s+/));
    default:
      return unknown;
  }
}

/** Python's truth of a value, undefined when unknown. */
export function truth(value: Value): boolean | undefined {
  if (value === null) return false;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return value !== 0;
  if (typeof value === 'string') return value !== '';
  if (value instanceof List) return value.exact ? value.items.length > 0 : undefined;
  if (value instanceof Dictionary) return value.open ? undefined : value.entries.size > 0;
  if (isModule(value) || value instanceof FunctionValue || value instanceof ClassValue) return true;
  if (value instanceof Either) {
    const all = new Set(value.options.map(truth));
    return all.size === 1 ? [...all][0] : undefined;
  }
  return undefined;
}

export function compared(operator: string, left: Value, right: Value): boolean | undefined {
  const simple = (value: Value) => value === null || ['number', 'string', 'boolean'].includes(typeof value);
  if (operator === 'in' || operator === 'not in') {
    const items =
      right instanceof List && right.exact
        ? right.items
        : right instanceof Dictionary && !right.open
          ? [...right.entries.keys()]
          : undefined;
    if (typeof right === 'string' && typeof left === 'string') {
      return right.includes(left) === (operator === 'in');
    }
    if (!items || !simple(left) || !items.every(simple)) return undefined;
    return items.includes(left) === (operator === 'in');
  }
  const equality = { '==': true, is: true, '!=': false, 'is not': false }[operator];
  if (equality !== undefined) {
    if (simple(left) && simple(right)) return (left === right) === equality;
    if ((left === null || right === null) && !isUnknown(left) && !isUnknown(right)) {
      return left instanceof Either || right instanceof Either ? undefined : !equality;
    }
    return undefined;
  }
  if (typeof left !== 'number' || typeof right !== 'number') return undefined;
  switch (operator) {
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    default:
      return undefined;
  }
}

function arithmetic(operator: string, a: number, b: number): Value {
  const result = {
    '+': a + b,
    '-': a - b,
    '*': a * b,
    '/': a / b,
    '//': Math.floor(a / b),
    '%': a - Math.floor(a / b) * b,
    '**': a ** b,
    '<<': a * 2 ** b,
    '>>': Math.floor(a / 2 ** b),
  }[operator];
  return result !== undefined && Number.isFinite(result) ? result : unknown;
}

function linear(operator: string, { symbol, scale, offset }: Symbolic, n: number): Value {
  switch (operator) {
    case '+':
      return new Symbolic(symbol, scale, offset + n);
    case '-':
      return new Symbolic(symbol, scale, offset - n);
    case '*':
      return n === 0 ? 0 : new Symbolic(symbol, scale * n, offset * n);
    case '/':
      return n === 0 ? unknown : new Symbolic(symbol, scale / n, offset / n);
    default:
      return unknown;
  }
}
