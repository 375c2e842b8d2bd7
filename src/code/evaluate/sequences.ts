import { Container, Dictionary, Either, either, Group, Instance, List, unknown, type Value } from '../values';

/** Longer loops run once, as if their length were unknown. */
export const MAX_ITERATIONS = 64;

/** Code under way that may run several times, or not at all. */
export interface Uncertain {
  readonly repeats: boolean;
  readonly groups: Map<List, Group>;
}

/** Lists as code builds them: what is added within loops and branches repeats, or may be missing. */
export class Sequences {
  readonly uncertain: Uncertain[] = [];
  /** How many uncertain blocks were open when a list, scope or instance came to be. */
  readonly born = new WeakMap<object, number>();

  /** All items of a sequence of known length. */
  known(value: Value): Value[] | undefined {
    if (value instanceof List) return value.exact ? value.items : undefined;
    if (value instanceof Container && value.named.size === 0) return this.known(value.list);
    if (value instanceof Instance && value.base instanceof Container) return this.known(value.base);
    if (value instanceof Dictionary && !value.open) return [...value.entries.keys()];
    if (typeof value === 'string') return [...value];
    return undefined;
  }

  /** The same with groups, for copying. */
  items(value: Value): readonly Value[] {
    if (value instanceof List) return value.items;
    if (value instanceof Container) return value.list.items;
    if (value instanceof Instance && value.base instanceof Container) return value.base.list.items;
    const known = this.known(value);
    if (known) return known;
    const group = new Group(true);
    group.items.push(this.element(value));
    return [group];
  }

  /** Any one item of a sequence. */
  element(value: Value): Value {
    if (value instanceof Either) return either(value.options.map((option) => this.element(option)));
    const items =
      value instanceof List
        ? value.items
        : value instanceof Container
          ? value.list.items
          : value instanceof Instance && value.base instanceof Container
            ? value.base.list.items
            : undefined;
    if (!items) return unknown;
    const flat = flatten(items);
    return flat.length > 0 ? either(flat) : unknown;
  }

  /** Adds to a list, within the loops and branches that surround this and not the list. */
  append(list: List, value: Value): void {
    let items = list.items;
    for (let at = this.born.get(list) ?? 0; at < this.uncertain.length; at++) {
      const { repeats, groups } = this.uncertain[at];
      let group = groups.get(list);
      if (!group) {
        group = new Group(repeats);
        groups.set(list, group);
        items.push(group);
      }
      items = group.items;
    }
    items.push(value);
  }

  list(items: readonly Value[] = []): List {
    const list = new List([...items]);
    this.born.set(list, this.uncertain.length);
    return list;
  }

  isUncertain(owner: object): boolean {
    return this.uncertain.slice(this.born.get(owner) ?? 0).some(({ repeats }) => !repeats);
  }
}

export const flatten = (items: readonly Value[]): Value[] =>
  items.flatMap((item) => (item instanceof Group ? flatten(item.items) : [item]));
