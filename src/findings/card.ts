/** The faithfulness card, layer by layer. */
import type { LayerFaithfulness, Order } from '../tracing/faithfulness/card';
import { lineChart, type Series } from './charts';
import type { FindingsDocument } from './document';
import { h, table, type Child, type Element } from './element';
import { number } from './parts';
import { percent } from './sentences';

const orderText: Readonly<Record<Order, string>> = {
  total: 'by total contribution',
  random: 'random',
  weights: 'by weight norm',
  activation: 'by mean |activation|',
  ablation: 'by true effect',
};
/** Colours that stay apart; the ranking in question is first. */
const orderColour: Readonly<Record<Order, number>> = {
  total: 0,
  random: 4,
  weights: 2,
  activation: 3,
  ablation: 1,
};

export function cardFigure({ card, layers }: FindingsDocument, names: readonly string[]): Child[] {
  if (!card) return [];
  const shortOf = (full: string) => names[layers.findIndex(({ name }) => name === full)] ?? full;
  return [
    ...card.layers.map((layer) => layerCard(layer, names[layer.index])),
    ...(card.randomised.length > 0
      ? [
          h(
            'div',
            { class: 'block' },
            h('h3', null, 'Weights shuffled, from the top'),
            h(
              'p',
              { class: 'note' },
              'Rank correlation of the totals before and after. Near 0: the maps depend on the weights. Near 1: they do not, and say nothing about what was learnt. A hidden layer’s XINC map never sees the layers behind it.',
            ),
            table(
              [
                h('th', { scope: 'col' }, 'Shuffled'),
                names.map((name) => h('th', { scope: 'col', class: 'number' }, name)),
              ],
              card.randomised.map(({ from, correlations }, row) =>
                h(
                  'tr',
                  null,
                  h('th', { scope: 'row' }, row === 0 ? shortOf(from) : `${shortOf(from)} and behind`),
                  correlations.map((r) =>
                    h(
                      'td',
                      {
                        class: 'number',
                        style: `--heat: ${Number.isNaN(r) ? 0 : Math.round(100 * Math.abs(r))}%`,
                      },
                      number(r, 2),
                    ),
                  ),
                ),
              ),
              { class: 'heat' },
            ),
          ),
        ]
      : []),
  ];
}

function layerCard(
  { completeness, approximate, deletion, sensitivity, agreement, unit, units }: LayerFaithfulness,
  name: string,
): Element {
  const top = Math.max(...deletion.curves.flatMap(({ psnr }) => psnr));
  const bottom = Math.min(...deletion.curves.flatMap(({ psnr }) => psnr));
  const [from, to] = [
    Math.floor(bottom / 10) * 10,
    Math.max(Math.ceil(Math.min(top, 60) / 10) * 10, Math.floor(bottom / 10) * 10 + 10),
  ];
  const tens = Array.from({ length: (to - from) / 10 + 1 }, (_, k) => from + 10 * k);
  const curves = deletion.curves.map(({ order, psnr }): Series => ({
    label: orderText[order],
    colour: orderColour[order],
    dashed: order === 'random',
    points: psnr.map((v, k) => [deletion.counts[k] / units, v] as const),
  }));
  const cell = (text: string) => h('td', { class: 'number' }, text);
  return h(
    'div',
    { class: 'block' },
    h(
      'h3',
      null,
      name,
      h(
        'span',
        { class: `verdict ${approximate === null ? 'yes' : 'partly'}` },
        approximate === null ? 'Exact' : 'Approximate',
      ),
    ),
    approximate && h('p', { class: 'note' }, `${approximate[0].toUpperCase()}${approximate.slice(1)}.`),
    h(
      'div',
      { class: 'figures' },
      lineChart(
        curves,
        {
          from: 0,
          to: 1,
          ticks: [0, 0.25, 0.5, 0.75, 1],
          text: (v) => percent(v),
          label: `${unit}s taken away`,
        },
        { from, to, ticks: tens, label: 'PSNR, dB' },
        `Deletion curves of ${name}`,
      ),
      h(
        'div',
        { class: 'tables' },
        table(
          [
            h('th', { scope: 'col' }, 'Taken away'),
            h('th', { scope: 'col', class: 'number' }, 'Mean PSNR'),
            h('th', { scope: 'col', class: 'number' }, 'First'),
          ],
          deletion.curves.map(({ order, area, psnr, standardError }) =>
            h(
              'tr',
              null,
              h('th', { scope: 'row' }, h('i', { class: `dot c${orderColour[order]}` }), orderText[order]),
              cell(`${area.toFixed(1)} dB`),
              cell(`${psnr[0].toFixed(1)} ± ${standardError[0].toFixed(1)}`),
            ),
          ),
        ),
        h(
          'p',
          { class: 'note' },
          `Lower is a better ranking. Totals against the true effect of each ${unit}: rank correlation ${number(agreement, 2)}.`,
        ),
        table(
          [
            h('th', { scope: 'col' }, `Sets of n ${unit}s`),
            sensitivity.map(({ n }) => h('th', { scope: 'col', class: 'number' }, String(n))),
          ],
          h(
            'tr',
            null,
            h('th', { scope: 'row' }, 'Correlation with the true change'),
            sensitivity.map(({ correlation, standardError }) =>
              h('td', { class: 'number', title: `± ${number(standardError, 1)}` }, number(correlation, 2)),
            ),
          ),
        ),
        table(
          [
            h('th', { scope: 'col' }, 'Contributions against'),
            ['Largest', 'Mean', 'Of'].map((t) => h('th', { scope: 'col', class: 'number' }, t)),
          ],
          completeness.map(({ against, largest, mean, scale }) =>
            h(
              'tr',
              null,
              h('th', { scope: 'row' }, against),
              cell(number(largest, 2)),
              cell(number(mean, 2)),
              cell(number(scale, 2)),
            ),
          ),
        ),
      ),
    ),
  );
}
