import type { Column, Rows } from './rows';

/** Whether a row passes. */
export type Filter = (row: number) => boolean;

export type Parsed = { readonly filter: Filter } | { readonly error: string };

/** The language by examples, for the help beside the filter box. */
export const examples: readonly { readonly text: string; readonly meaning: string }[] = [
  { text: 'decoder', meaning: 'layers whose name contains it' },
  { text: 'layer:net.2', meaning: 'one layer; layer:net.1,net.2 for either' },
  { text: '#27', meaning: 'neuron 27' },
  { text: 'dead:no', meaning: 'neurons that contribute; dead:yes for the others' },
  { text: 'share>1%', meaning: 'also <, >=, <=, = with total, mean, max, pixels, neuron' },
  { text: 'removed<-0.5', meaning: 'neurons whose removal costs more than half a dB, once measured' },
  { text: 'cluster:3', meaning: 'members of cluster 3; cluster:none for the rest' },
  { text: '-layer:net.0', meaning: 'a minus in front turns a condition round' },
];

const comparable: readonly string[] = [
  'share',
  'total',
  'mean',
  'max',
  'pixels',
  'neuron',
  'removed',
  'affinity',
] satisfies Column[];

type Test = (rows: Rows, layerNames: readonly string[]) => Filter;

/**
 * Understands the filter box: words separated by spaces, all of which must hold (see `examples`).
 * @param layerNames dotted names by traced-layer index
 * @returns what to show when it cannot be understood, as a sentence, or the filter
 */
export function parseFilter(text: string, rows: Rows, layerNames: readonly string[]): Parsed {
  const filters: Filter[] = [];
  // “share > 1 %” is one condition, not four words.
  const joined = text.replace(/\s*(>=|<=|>|<|=)\s*/g, '$1').replace(/\s+%/g, '%');
  for (const word of joined.split(/\s+/).filter(Boolean)) {
    const negated = word.startsWith('-') && word.length > 1;
    const test = parseWord(negated ? word.slice(1) : word);
    if (typeof test === 'string') return { error: test };
    const filter = test(rows, layerNames);
    filters.push(negated ? (row) => !filter(row) : filter);
  }
  return { filter: (row) => filters.every((filter) => filter(row)) };
}

function parseWord(word: string): Test | string {
  const comparison = /^([^<>=]*)(>=|<=|>|<|=)(.*)$/.exec(word);
  if (comparison) return parseComparison(comparison[1].toLowerCase(), comparison[2], comparison[3]);
  const field = /^([a-z]+):(.*)$/i.exec(word);
  if (field) return parseField(field[1].toLowerCase(), field[2].toLowerCase());
  const number = /^#(\d+)$/.exec(word);
  if (number) return (rows) => (row) => rows.neuron[row] === Number(number[1]);
  const part = word.toLowerCase();
  return byLayer((name) => name.includes(part));
}

function parseComparison(field: string, operator: string, text: string): Test | string {
  if (!comparable.includes(field)) {
    return `“${field}” cannot be compared; use ${comparable.join(', ')}.`;
  }
  const isPercent = text.endsWith('%');
  const digits = isPercent ? text.slice(0, -1) : text;
  const number = Number(digits);
  if (digits === '' || Number.isNaN(number)) {
    return `“${field}${operator}” needs a number behind it, such as ${field}${operator}${field === 'share' ? '1%' : '10'}.`;
  }
  if (isPercent && field !== 'share') return `“%” goes with share only; write ${field}${operator}${digits}.`;
  if (!isPercent && field === 'share' && number >= 1) {
    return `A share is a part of its layer; write share${operator}${digits}%.`;
  }
  const limit = isPercent ? number / 100 : number;
  const column = field as Column;
  return (rows) => {
    const values = rows[column];
    switch (operator) {
      case '>':
        return (row) => values[row] > limit;
      case '>=':
        return (row) => values[row] >= limit;
      case '<':
        return (row) => values[row] < limit;
      case '<=':
        return (row) => values[row] <= limit;
      default:
        return (row) => values[row] === limit;
    }
  };
}

function parseField(field: string, value: string): Test | string {
  const values = value.split(',').filter(Boolean);
  if (!['layer', 'dead', 'cluster'].includes(field)) {
    return `“${field}:” is not known; use layer:, dead: or cluster:.`;
  }
  if (values.length === 0) return `“${field}:” needs a value behind it.`;
  if (field === 'layer') return byLayer((name) => values.some((part) => hasPart(name, part)));
  if (field === 'dead') {
    if (value !== 'yes' && value !== 'no') return '“dead:” takes yes or no.';
    const dead = value === 'yes' ? 1 : 0;
    return (rows) => (row) => rows.dead[row] === dead;
  }
  if (values.some((part) => part !== 'none' && !/^[1-9]\d*$/.test(part))) {
    return '“cluster:” takes the number of a cluster, or none.';
  }
  const clusters = values.map((part) => (part === 'none' ? NaN : Number(part) - 1));
  // `includes` finds NaN too.
  return (rows) => (row) => clusters.includes(rows.cluster[row]);
}

/** Whether `part` is in a dotted name from the start of one of its parts on: net.1 is in net.1.linear, not in net.10. */
function hasPart(name: string, part: string): boolean {
  for (let at = name.indexOf(part); at >= 0; at = name.indexOf(part, at + 1)) {
    const startsPart = at === 0 || name[at - 1] === '.';
    const cutsNumber = /\d$/.test(part) && /\d/.test(name.charAt(at + part.length));
    if (startsPart && !cutsNumber) return true;
  }
  return false;
}

function byLayer(passes: (name: string) => boolean): Test {
  return (rows, layerNames) => {
    const passing = layerNames.map((name) => passes(name.toLowerCase()));
    return (row) => passing[rows.layer[row]] ?? false;
  };
}
