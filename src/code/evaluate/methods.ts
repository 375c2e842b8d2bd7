/** Methods of lists, dictionaries and argument parsers. */
import type { List, Parser } from '../values';
import { Dictionary, either, unknown, type Value } from '../values';
import type { Sequences } from './sequences';

export type Named = Map<string, Value>;

export function listMethod(sequences: Sequences, list: List, name: string, args: Value[]): Value {
  const [first] = args;
  switch (name) {
    case 'append':
      sequences.append(list, first ?? unknown);
      return null;
    case 'extend':
      for (const item of sequences.items(first ?? unknown)) sequences.append(list, item);
      return null;
    case 'insert':
      if (typeof first === 'number') list.items.splice(first, 0, args[1] ?? unknown);
      return null;
    case 'pop': {
      if (!list.exact || sequences.uncertain.length > (sequences.born.get(list) ?? 0)) return unknown;
      const at = typeof first === 'number' ? first : -1;
      return list.items.splice(at, 1)[0] ?? unknown;
    }
    case 'copy':
      return sequences.list(list.items);
    case 'reverse':
      list.items.reverse();
      return null;
    case 'index': {
      const at = list.items.findIndex((item) => item === first);
      return at < 0 ? unknown : at;
    }
    default:
      return unknown;
  }
}

export function dictionaryMethod(
  sequences: Sequences,
  dictionary: Dictionary,
  name: string,
  args: Value[],
  named: Named,
): Value {
  const { entries } = dictionary;
  const [key, fallback] = args;
  switch (name) {
    case 'get':
    case 'pop':
    case 'setdefault': {
      if (typeof key !== 'string' && typeof key !== 'number') {
        return entries.size > 0 ? either([...entries.values()]) : unknown;
      }
      return entries.get(String(key)) ?? (dictionary.open ? unknown : (fallback ?? null));
    }
    case 'keys':
      return dictionary.open ? unknown : sequences.list([...entries.keys()]);
    case 'values':
      return dictionary.open ? unknown : sequences.list([...entries.values()]);
    case 'items':
      return dictionary.open ? unknown : sequences.list([...entries].map((entry) => sequences.list(entry)));
    case 'update':
      if (key instanceof Dictionary) for (const [name_, value] of key.entries) entries.set(name_, value);
      for (const [name_, value] of named) entries.set(name_, value);
      return null;
    case 'copy': {
      const copy = new Dictionary(new Map(entries));
      copy.open = dictionary.open;
      return copy;
    }
    default:
      return unknown;
  }
}

export function parserMethod(
  sequences: Sequences,
  parser: Parser,
  name: string,
  args: Value[],
  named: Named,
): Value {
  switch (name) {
    case 'add_argument':
    case 'add': {
      const flags = args.filter((arg): arg is string => typeof arg === 'string');
      const long = flags.find((flag) => flag.startsWith('--')) ?? flags[0];
      const given = named.get('dest');
      const key = typeof given === 'string' ? given : long?.replace(/^-+/, '').replaceAll('-', '_');
      if (key === undefined) return null;
      const action = named.get('action');
      const fallback = named.get('default');
      const value =
        fallback !== undefined && fallback !== null
          ? fallback
          : action === 'store_true'
            ? false
            : action === 'store_false'
              ? true
              : unknown;
      // The command line may say otherwise; `typed` keeps numbers numbers.
      parser.defaults.set(
        key,
        named.get('type') && typeof value === 'string' && !Number.isNaN(Number(value))
          ? Number(value)
          : value,
      );
      return null;
    }
    case 'add_argument_group':
    case 'add_mutually_exclusive_group':
    case 'parse_args':
      return parser;
    case 'parse_known_args':
      return sequences.list([parser, unknown]);
    default:
      return unknown;
  }
}
