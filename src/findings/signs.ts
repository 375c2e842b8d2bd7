/** Clinical signs, and the error by fineness of detail. */
import type { Sign } from '../tracing/clinical';
import type { FindingsDocument } from './document';
import { h, type Element } from './element';
import { neuronsLink } from './parts';
import { percent } from './sentences';

export function signs(
  { signs: all, layers, bands }: FindingsDocument,
  names: readonly string[],
  interactive: boolean,
): Element {
  const nameOf = (layer: string | null) =>
    names[layers.findIndex(({ name }) => name === layer)] ?? layer ?? '';
  const indexOf = (layer: string | null) => layers.findIndex(({ name }) => name === layer);
  const explained = new Set<string>();
  /** Once for each kind. */
  const explanation = ({ kind, severity, explanation: text }: Sign) => {
    if (severity === 'good' || explained.has(kind)) return null;
    explained.add(kind);
    return h('p', { class: 'note' }, text);
  };
  const item = (sign: Sign) =>
    h(
      'li',
      { class: `is-${sign.severity}`, 'data-testid': `sign-${sign.kind}` },
      h(
        'p',
        null,
        h(
          'span',
          { class: `mark is-${sign.severity}`, 'aria-label': sign.severity },
          { warning: '!', note: 'i', good: '✓' }[sign.severity],
        ),
        sign.layer && h('b', null, `${nameOf(sign.layer)}: `),
        sign.sentence,
        ' ',
        neuronsLink(indexOf(sign.layer), sign.neurons, interactive, sign.kernels),
      ),
      explanation(sign),
    );
  const rank = { warning: 0, note: 1, good: 2 };
  const found = all
    .filter(({ severity }) => severity !== 'good')
    .sort((a, b) => rank[a.severity] - rank[b.severity]);
  const good = all.filter(({ severity }) => severity === 'good');
  return h(
    'section',
    { id: 'signs', 'data-testid': 'finding-signs' },
    h(
      'h2',
      null,
      'Clinical signs',
      all.length > 0 &&
        h(
          'span',
          {
            class: `verdict ${found.some((s) => s.severity === 'warning') ? 'no' : found.length > 0 ? 'partly' : 'yes'}`,
          },
          found.length > 0 ? `${found.length} found` : 'None found',
        ),
    ),
    found.length > 0 && h('ul', { class: 'signs' }, found.map(item)),
    bands && bandTable(bands),
    good.length > 0 &&
      h(
        'details',
        { open: !interactive && 'open' },
        h('summary', null, `Looked for and not found (${good.length})`),
        h('ul', { class: 'signs good' }, good.map(item)),
      ),
  );
}

function bandTable(bands: NonNullable<FindingsDocument['bands']>): Element {
  const name = (from: number, to: number) =>
    Number.isFinite(to) && to !== null
      ? `${from === 0 ? 0 : `1/${1 / from}`} – 1/${1 / to}`
      : `above 1/${1 / from}`;
  return h(
    'table',
    { class: 'bands' },
    h('caption', null, 'Error by fineness of detail'),
    h(
      'thead',
      null,
      h(
        'tr',
        null,
        ['Cycles a pixel', 'Of the target', 'Of the error', 'Error / target'].map((t, k) =>
          h('th', { scope: 'col', class: k > 0 && 'number' }, t),
        ),
      ),
    ),
    h(
      'tbody',
      null,
      bands.map(({ from, to, target, error, missed }) =>
        h(
          'tr',
          null,
          h('th', { scope: 'row' }, name(from, to)),
          [percent(target, 1), percent(error, 1), percent(missed, 1)].map((t) =>
            h('td', { class: 'number' }, t),
          ),
        ),
      ),
    ),
  );
}
