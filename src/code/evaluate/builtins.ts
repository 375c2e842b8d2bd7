/** Python's built-in functions. */
import {
  Dictionary,
  either,
  External,
  Group,
  isModule,
  isUnknown,
  List,
  Parser,
  Pattern,
  Symbolic,
  unknown,
  type ModuleValue,
  type Site,
  type Value,
} from '../values';
import type { Named } from './methods';
import { patternName } from './names';
import { truth } from './operators';
import { flatten, MAX_ITERATIONS, type Sequences } from './sequences';

export const BUILTINS = new Set(
  'range len enumerate zip list tuple iter reversed sorted map dict vars int float bool str round abs max min sum isinstance getattr setattr eval print'.split(
    ' ',
  ),
);

/** What built-in functions ask of the evaluator. */
export interface Machine extends Sequences {
  invoke(callee: Value, args: Value[], named: Named, site: Site | undefined): Value;
  attribute(object: Value, name: string): Value;
  addModule(object: ModuleValue, key: Value, value: Value): void;
}

/** A function of Python itself, as far as constructors use it. */
export function builtin(machine: Machine, name: string, args: Value[], named: Named): Value {
  const [first, second] = args;
  switch (name) {
    case 'range': {
      const numbers = args.filter((arg): arg is number => typeof arg === 'number');
      if (numbers.length !== args.length || args.length === 0) return unknown;
      const [from, to, step] =
        numbers.length === 1 ? [0, numbers[0], 1] : [numbers[0], numbers[1], numbers[2] ?? 1];
      const count = step === 0 ? 0 : Math.max(0, Math.ceil((to - from) / step));
      if (!(count <= 4 * MAX_ITERATIONS)) return unknown;
      return machine.list(Array.from({ length: count }, (_, i) => from + i * step));
    }
    case 'len': {
      const items = first !== undefined ? machine.known(first) : undefined;
      return items ? items.length : unknown;
    }
    case 'enumerate': {
      const items = first !== undefined ? machine.known(first) : undefined;
      if (items) return machine.list(items.map((item, i) => machine.list([i, item])));
      const group = new Group(true);
      group.items.push(machine.list([unknown, machine.element(first ?? unknown)]));
      return machine.list([group]);
    }
    case 'zip': {
      const columns = args.map((arg) => machine.known(arg));
      if (columns.some((column) => column === undefined)) {
        const group = new Group(true);
        group.items.push(machine.list(args.map((arg) => machine.element(arg))));
        return machine.list([group]);
      }
      const length = Math.min(...columns.map((column) => column!.length));
      return machine.list(
        Array.from({ length }, (_, i) => machine.list(columns.map((column) => column![i]))),
      );
    }
    case 'list':
    case 'tuple':
    case 'iter':
      return first === undefined
        ? machine.list()
        : first instanceof Dictionary || first instanceof List || isModule(first)
          ? machine.list(machine.items(first))
          : unknown;
    case 'reversed':
    case 'sorted': {
      const items = first !== undefined ? machine.known(first) : undefined;
      if (!items) return unknown;
      return name === 'reversed' ? machine.list([...items].reverse()) : machine.list(items);
    }
    case 'map': {
      const items = second !== undefined ? machine.known(second) : undefined;
      if (!items || first === undefined) return unknown;
      return machine.list(items.map((item) => machine.invoke(first, [item], new Map(), undefined)));
    }
    case 'dict': {
      const dictionary = new Dictionary(new Map(named));
      dictionary.open = dictionary.entries.delete('**');
      if (first instanceof Dictionary)
        for (const [key, value] of first.entries) dictionary.entries.set(key, value);
      for (const pair of first instanceof List ? flatten(first.items) : []) {
        const [key, value] = pair instanceof List ? pair.items : [];
        if (typeof key === 'string' && value !== undefined) dictionary.entries.set(key, value);
        else if (key instanceof Pattern && value !== undefined)
          dictionary.entries.set(patternName(key), value);
        else dictionary.open = true;
      }
      return dictionary;
    }
    case 'vars':
      return first instanceof Parser ? new Dictionary(new Map(first.defaults)) : unknown;
    case 'int':
    case 'float':
      if (typeof first === 'number') return name === 'int' ? Math.trunc(first) : first;
      if (typeof first === 'string' && first.trim() !== '' && !Number.isNaN(Number(first)))
        return Number(first);
      return first instanceof Symbolic ? first : unknown;
    case 'bool':
      return first === undefined ? false : (truth(first) ?? unknown);
    case 'str':
      return typeof first === 'number' || typeof first === 'string' ? String(first) : new Pattern([null]);
    case 'round':
    case 'abs':
      return typeof first === 'number' ? Math[name](first) : unknown;
    case 'max':
    case 'min': {
      const items = args.length === 1 ? machine.known(args[0]) : args;
      const numbers = items?.filter((item): item is number => typeof item === 'number') ?? [];
      return items && numbers.length === items.length && items.length > 0 ? Math[name](...numbers) : unknown;
    }
    case 'sum': {
      const items = first !== undefined ? machine.known(first) : undefined;
      const numbers = items?.filter((item): item is number => typeof item === 'number') ?? [];
      return items && numbers.length === items.length ? numbers.reduce((a, b) => a + b, 0) : unknown;
    }
    case 'isinstance':
      if (second instanceof External && second.path === 'builtins.int') {
        return isUnknown(first ?? unknown) ? unknown : typeof first === 'number';
      }
      if (second instanceof External && /^builtins\.(list|tuple)$/.test(second.path)) {
        return isUnknown(first ?? unknown) ? unknown : first instanceof List;
      }
      return unknown;
    case 'getattr': {
      if (first === undefined || typeof second !== 'string') return unknown;
      const found = machine.attribute(first, second);
      return isUnknown(found) && args[2] !== undefined ? either([found, args[2]]) : found;
    }
    case 'setattr':
      if (isModule(first)) machine.addModule(first, second ?? unknown, args[2] ?? unknown);
      return null;
    case 'eval':
    default:
      return unknown;
  }
}
