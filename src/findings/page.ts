/** The findings page: the same for the panel and the report. */
import { shortNames } from '../../webview/shared/names';
import type { Sign } from '../tracing/clinical';
import type { LayerFaithfulness, Order } from '../tracing/faithfulness/card';
import type { Feature } from '../tracing/findings';
import { barChart, lineChart, type Series } from './charts';
import type { FindingsDocument } from './document';
import { h, type Child, type Element, type Nested } from './element';
import { pText, percent, sampleText, statements, type Statement } from './sentences';

const verdictText = { yes: 'Yes', partly: 'Partly', no: 'No' } as const;
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

/** Grey last: it is what random orders and even spreads are drawn in. */
const layerColour = (layer: number) => [0, 1, 2, 3, 5, 4][layer % 6];

export const number = (value: number, digits = 3): string => {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? '–' : '∞';
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e5 ? value.toExponential(1) : String(Number(value.toPrecision(digits)));
};

/** @param interactive with buttons that select neurons */
export function page(findings: FindingsDocument, interactive: boolean): Element {
  const names = shortNames(findings.layers.map(({ name }) => name));
  const said = statements(findings, names);
  const figures: Readonly<Record<Statement['id'], () => Nested>> = {
    distributed: () => [distributionFigure(findings, names, interactive)],
    color: () => [affinityFigure(findings, names, 'color', interactive)],
    edge: () => [affinityFigure(findings, names, 'edge', interactive)],
    space: () => [affinityFigure(findings, names, 'space', interactive)],
    objects: () => [
      objectFigure(findings, names, interactive),
      affinityFigure(findings, names, 'objects', interactive),
    ],
    faithful: () => cardFigure(findings, names),
    motion: () => motionFigure(findings, names),
  };
  return h(
    'article',
    { class: 'findings' },
    header(findings),
    said.map(({ id, question, verdict, sentence, comparison }) =>
      h(
        'section',
        { id, 'data-testid': `finding-${id}`, 'aria-labelledby': `q-${id}` },
        h(
          'h2',
          { id: `q-${id}` },
          question,
          verdict && h('span', { class: `verdict ${verdict}` }, verdictText[verdict]),
        ),
        h('p', { class: 'sentence' }, sentence),
        comparison && h('p', { class: 'comparison' }, comparison),
        figures[id](),
      ),
    ),
    signs(findings, names, interactive),
    method(findings, names),
  );
}

function header({
  file,
  title,
  picture,
  parameters,
  encoding,
  method,
  psnr,
  target,
  figures,
  frame,
}: FindingsDocument) {
  const facts = [
    title,
    `${picture.height} × ${picture.width} pixels${frame > 0 ? `, frame ${frame}` : ''}`,
    `${parameters.toLocaleString('en')} parameters`,
    ...(encoding === 'none' ? [] : [encoding]),
    `method ${method}`,
    ...(psnr === null ? [] : [`${psnr.toFixed(1)} dB against ${target ?? 'its target'}`]),
  ];
  return h(
    'header',
    null,
    h(
      'div',
      { class: 'title' },
      h('p', { class: 'kicker' }, 'Findings'),
      h('h1', null, file),
      h('p', { class: 'facts' }, facts.join(' · ')),
    ),
    h(
      'div',
      { class: 'pictures' },
      pictureOf(figures.picture, 'what the network paints'),
      figures.target && pictureOf(figures.target, 'what it was trained on'),
    ),
  );
}

const pictureOf = (src: string, caption: string) =>
  h('figure', { class: 'picture' }, h('img', { src, alt: caption }), h('figcaption', null, caption));

/** A neuron by name; in the panel it selects it everywhere. */
function neuronLink(
  layer: number,
  neuron: number,
  label: string,
  interactive: boolean,
  inner?: Child,
): Element {
  const content = inner ? [inner, h('span', null, label)] : [label];
  return interactive
    ? h(
        'button',
        {
          type: 'button',
          class: 'neuron',
          'data-layer': layer,
          'data-neurons': neuron,
          title: 'Select in all panels',
        },
        content,
      )
    : h('span', { class: 'neuron' }, content);
}

function neuronsLink(layer: number, neurons: readonly number[], interactive: boolean): Element | null {
  if (!interactive || neurons.length === 0) return null;
  const text = neurons.length === 1 ? 'Select it' : `Select all ${neurons.length}`;
  return h(
    'button',
    { type: 'button', class: 'link', 'data-layer': layer, 'data-neurons': neurons.join(' ') },
    text,
  );
}

function distributionFigure(
  { layers, figures }: FindingsDocument,
  names: readonly string[],
  interactive: boolean,
): Element {
  const series: Series[] = [
    ...layers.map(({ lorenz }, k): Series => ({
      label: names[k],
      colour: layerColour(k),
      points: lorenz.map((part, i) => [i / (lorenz.length - 1), part] as const),
    })),
    {
      label: 'all equal',
      colour: 7,
      dashed: true,
      points: [
        [0, 0],
        [1, 1],
      ],
    },
  ];
  const axis = { from: 0, to: 1, ticks: [0, 0.25, 0.5, 0.75, 1], text: (v: number) => percent(v) };
  const cell = (text: string) => h('td', { class: 'number' }, text);
  return h(
    'div',
    { class: 'figures' },
    lineChart(
      series,
      { ...axis, label: 'neurons, weakest first' },
      { ...axis, label: 'of the contribution' },
      'Lorenz curves of the layers',
    ),
    h(
      'div',
      { class: 'tables' },
      h(
        'table',
        null,
        h(
          'thead',
          null,
          h(
            'tr',
            null,
            [
              'Layer',
              'Neurons',
              'Hold 50 %',
              'Hold 90 %',
              'Effective',
              'Gini',
              'Stable rank',
              'Dead',
              'At a pixel',
            ].map((t, k) => h('th', { class: k > 0 && 'number', scope: 'col' }, t)),
          ),
        ),
        h(
          'tbody',
          null,
          layers.map(({ distributedness: d, neurons, stableRank, neuronsPerPixel }, k) =>
            h(
              'tr',
              null,
              h('th', { scope: 'row' }, h('i', { class: `dot c${layerColour(k)}` }), names[k]),
              cell(String(neurons)),
              cell(String(d.neuronsFor50)),
              cell(String(d.neuronsFor90)),
              cell(d.effectiveNeurons.toFixed(1)),
              cell(d.gini.toFixed(2)),
              cell(stableRank === null ? '–' : stableRank.toFixed(1)),
              cell(String(d.dead)),
              cell(neuronsPerPixel[0] ? percent(neuronsPerPixel[0].mean) : '–'),
            ),
          ),
        ),
      ),
      h(
        'p',
        { class: 'note' },
        'Effective: exp of the entropy of the shares. At a pixel: part of the neurons whose contribution counts there (α = 0.1).',
      ),
      layers.map(({ index, strongest }, k) => {
        const shown = strongest.flatMap(({ neuron, share }) => {
          const map = figures.maps.find((own) => own.layer === index && own.neuron === neuron);
          return map
            ? [
                neuronLink(
                  index,
                  neuron,
                  `${neuron} · ${percent(share, 1)}`,
                  interactive,
                  h('img', { src: map.png, alt: '' }),
                ),
              ]
            : [];
        });
        return (
          shown.length > 0 &&
          h(
            'div',
            { class: 'strip' },
            h('h3', null, `Strongest of ${names[k]}`),
            h('div', { class: 'maps' }, shown),
          )
        );
      }),
    ),
  );
}

const regionCaption: Readonly<Record<Feature, string>> = {
  color: 'regions of like colour',
  edge: 'regions of like edges (hue is arbitrary)',
  space: 'cells of a grid',
  objects: 'objects of the label picture (hue is arbitrary)',
};

function affinityFigure(
  { layers, figures }: FindingsDocument,
  names: readonly string[],
  feature: Feature,
  interactive: boolean,
): Element | null {
  const known = layers.flatMap((layer, k) =>
    layer.affinity[feature] ? [{ layer, k, own: layer.affinity[feature] }] : [],
  );
  if (known.length === 0) return null;
  const src = figures.partitions[feature];
  return h(
    'div',
    { class: 'figures' },
    src && pictureOf(src, regionCaption[feature]),
    h(
      'div',
      { class: 'tables' },
      barChart(
        known.map(({ k, own }) => ({
          label: names[k],
          value: own.moved.ratio,
          text: `${own.moved.ratio.toFixed(2)} ×  ${pText(own.moved.pValue)}`,
          colour: layerColour(k),
          weak: own.moved.pValue > 0.05,
        })),
        1,
        'the same regions moved at random',
        'Preference against moved regions',
      ),
      h(
        'p',
        { class: 'note' },
        `Mean |δ| ${known.map(({ own }) => own.observed.toFixed(3)).join(', ')}; moved ${known.map(({ own }) => own.moved.mean.toFixed(3)).join(', ')}; scattered ${known.map(({ own }) => own.scattered.mean.toFixed(3)).join(', ')} (${known.map(({ own }) => pText(own.scattered.pValue)).join(', ')}).`,
      ),
      h(
        'p',
        { class: 'preferring' },
        'Strongest preferences: ',
        known
          .map(({ layer, k }, n) => [
            n > 0 ? '; ' : '',
            `${names[k]} `,
            ...(layer.preferring[feature] ?? [])
              .slice(0, 5)
              .flatMap(({ neuron }, i) => [
                i > 0 ? ', ' : '',
                neuronLink(layer.index, neuron, String(neuron), interactive),
              ]),
          ])
          .flat(),
      ),
    ),
  );
}

function motionFigure({ motion }: FindingsDocument, names: readonly string[]): Nested {
  if (!motion || 'missing' in motion) return [];
  const { figure } = motion;
  return [
    h(
      'div',
      { class: 'figures' },
      pictureOf(figure.motion, `what moves at frame ${figure.frame}`),
      figure.changes.map((src, k) => pictureOf(src, `change in ${names[k]}`)),
    ),
  ];
}

function objectFigure(
  { objects }: FindingsDocument,
  names: readonly string[],
  interactive: boolean,
): Element | null {
  if (!objects) return null;
  return h(
    'table',
    { class: 'objects' },
    h(
      'thead',
      null,
      h(
        'tr',
        null,
        ['Object', 'Of the picture', 'Drawn by'].map((t) => h('th', { scope: 'col' }, t)),
      ),
    ),
    h(
      'tbody',
      null,
      objects.map(({ label, area, drawnBy }) => {
        const layers = [...new Set(drawnBy.map(({ layer }) => layer))];
        return h(
          'tr',
          null,
          h('th', { scope: 'row' }, String(label)),
          h('td', null, percent(area, 1)),
          h(
            'td',
            null,
            layers.length === 0
              ? 'no neuron of its own'
              : layers.map((layer) => {
                  const own = drawnBy.filter((ref) => ref.layer === layer).map(({ neuron }) => neuron);
                  return h(
                    'div',
                    null,
                    `${names[layer]}: `,
                    own
                      .slice(0, 24)
                      .flatMap((neuron, i) => [
                        i > 0 ? ', ' : '',
                        neuronLink(layer, neuron, String(neuron), interactive),
                      ]),
                    own.length > 24 ? ` and ${own.length - 24} more ` : ' ',
                    neuronsLink(layer, own, interactive),
                  );
                }),
          ),
        );
      }),
    ),
  );
}

function cardFigure({ card, layers }: FindingsDocument, names: readonly string[]): Child[] {
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
            h(
              'table',
              { class: 'heat' },
              h(
                'thead',
                null,
                h(
                  'tr',
                  null,
                  h('th', { scope: 'col' }, 'Shuffled'),
                  names.map((name) => h('th', { scope: 'col', class: 'number' }, name)),
                ),
              ),
              h(
                'tbody',
                null,
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
              ),
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
        h(
          'table',
          null,
          h(
            'thead',
            null,
            h(
              'tr',
              null,
              h('th', { scope: 'col' }, 'Taken away'),
              h('th', { scope: 'col', class: 'number' }, 'Mean PSNR'),
              h('th', { scope: 'col', class: 'number' }, 'First'),
            ),
          ),
          h(
            'tbody',
            null,
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
        ),
        h(
          'p',
          { class: 'note' },
          `Lower is a better ranking. Totals against the true effect of each ${unit}: rank correlation ${number(agreement, 2)}.`,
        ),
        h(
          'table',
          null,
          h(
            'thead',
            null,
            h(
              'tr',
              null,
              h('th', { scope: 'col' }, `Sets of n ${unit}s`),
              sensitivity.map(({ n }) => h('th', { scope: 'col', class: 'number' }, String(n))),
            ),
          ),
          h(
            'tbody',
            null,
            h(
              'tr',
              null,
              h('th', { scope: 'row' }, 'Correlation with the true change'),
              sensitivity.map(({ correlation, standardError }) =>
                h('td', { class: 'number', title: `± ${number(standardError, 1)}` }, number(correlation, 2)),
              ),
            ),
          ),
        ),
        h(
          'table',
          null,
          h(
            'thead',
            null,
            h(
              'tr',
              null,
              h('th', { scope: 'col' }, 'Contributions against'),
              ['Largest', 'Mean', 'Of'].map((t) => h('th', { scope: 'col', class: 'number' }, t)),
            ),
          ),
          h(
            'tbody',
            null,
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
    ),
  );
}

function signs(
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
        neuronsLink(indexOf(sign.layer), sign.neurons, interactive),
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

function method(
  { method: name, baseline, grid, seed, layers, card, engine, milliseconds, picture }: FindingsDocument,
  names: readonly string[],
): Element {
  const tested = layers.flatMap((layer) => Object.values(layer.affinity).map(({ neurons }) => neurons));
  const most = Math.max(0, ...tested);
  const where =
    grid.step === 1
      ? `all ${picture.height * picture.width} pixels`
      : `every ${grid.step}th row and column (${grid.rows} × ${grid.columns})`;
  return h(
    'footer',
    { id: 'method' },
    h('h2', null, 'Method and sample'),
    h(
      'p',
      null,
      `Maps by ${name}: ${[...new Set(layers.map(({ mapDefinition }, k) => `${mapDefinition} (${names[k]})`))].join(', ')}. Neurons are switched off to ${baseline === 'zero' ? 'zero' : 'their mean'}. `,
      `Statistics are over the whole picture; preferences over ${where}${most > 0 ? `, tested on up to ${most} random neurons a layer` : ''}. `,
      card
        ? `The card stands on ${sampleText(card.sample)}, ${card.repetitions.orders} random orders and ${card.repetitions.sets} random sets of each size; ± is a standard error. `
        : '',
      `Seed ${seed}. ${engine}${milliseconds === null ? '' : `, ${(milliseconds / 1000).toFixed(1)} s`}.`,
    ),
    h(
      'p',
      null,
      'Contributions: Padmanabhan et al., Explaining the Implicit Neural Canvas, CVPR 2024. Completeness: Sundararajan et al. 2017. Deletion: Petsiuk et al. 2018. Sensitivity-n: Ancona et al. 2018. Shuffled weights: Adebayo et al. 2018. δ is a neuron’s contribution to a region beyond an even spread, relative to it.',
    ),
  );
}
