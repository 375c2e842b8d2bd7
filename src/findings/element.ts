/** A page as data, so that a report (text) and a panel (DOM) are the same page and names from files stay text. */
export interface Element {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Child[];
}
export type Child = Element | string;

type Attributes = Readonly<Record<string, string | number | undefined | false>>;

/** What may stand among children; nothing is left out. */
export type Nested = Child | null | undefined | false | readonly Nested[];

const flat = (nested: Nested): readonly Child[] =>
  nested === null || nested === undefined || nested === false
    ? []
    : Array.isArray(nested)
      ? nested.flatMap(flat)
      : [nested as Child];

export function h(
  tag: string,
  attributes: Attributes | null = null,
  ...children: readonly Nested[]
): Element {
  const kept = Object.entries(attributes ?? {}).flatMap(([name, value]) =>
    value === undefined || value === false ? [] : [[name, String(value)] as const],
  );
  return { tag, attributes: Object.fromEntries(kept), children: flat(children) };
}

/** @param head cells of its head @param rows of its body */
export const table = (head: Nested, rows: Nested, attributes: Attributes | null = null): Element =>
  h('table', attributes, h('thead', null, h('tr', null, head)), h('tbody', null, rows));

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string) => text.replace(/[&<>"]/g, (character) => entities[character]);

const empty = new Set(['img', 'meta', 'br', 'hr']);

export function toHtml(element: Child): string {
  if (typeof element === 'string') return escaped(element);
  const { tag, attributes, children } = element;
  const written = Object.entries(attributes)
    .map(([name, value]) => ` ${name}="${escaped(value)}"`)
    .join('');
  if (empty.has(tag)) return `<${tag}${written}>`;
  return `<${tag}${written}>${children.map(toHtml).join('')}</${tag}>`;
}
