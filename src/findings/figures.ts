/** Figures of what neurons do: how the work is spread, and what neurons prefer, draw and follow. */
import type { Feature } from '../tracing/findings';
import { barChart, lineChart, type Series } from './charts';
import type { FindingsDocument } from './document';
import { h, table, type Element, type Nested } from './element';
import { layerColour, neuronLink, neuronsLink, pictureOf } from './parts';
import { capital, counted, pText, percent, unitsOf } from './sentences';

export function distributionFigure(
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
      { ...axis, label: `${unitsOf(layers)}, weakest first` },
      { ...axis, label: 'of the contribution' },
      'Lorenz curves of the layers',
    ),
    h(
      'div',
      { class: 'tables' },
      table(
        [
          'Layer',
          capital(unitsOf(layers)),
          'Hold 50 %',
          'Hold 90 %',
          'Effective',
          'Gini',
          'Stable rank',
          'Dead',
          'At a pixel',
        ].map((t, k) => h('th', { class: k > 0 && 'number', scope: 'col' }, t)),
        layers.map(({ distributedness: d, neurons, stableRank, neuronsPerPixel }, k) =>
          h(
            'tr',
            null,
            h('th', { scope: 'row' }, h('i', { class: `dot c${layerColour(k)}` }), names[k]),
            cell(counted(neurons)),
            cell(counted(d.neuronsFor50)),
            cell(counted(d.neuronsFor90)),
            cell(counted(d.effectiveNeurons, 1)),
            cell(d.gini.toFixed(2)),
            cell(stableRank === null ? '–' : stableRank.toFixed(1)),
            cell(counted(d.dead)),
            cell(neuronsPerPixel[0] ? percent(neuronsPerPixel[0].mean) : '–'),
          ),
        ),
      ),
      h(
        'p',
        { class: 'note' },
        'Effective: exp of the entropy of the shares. At a pixel: part of them whose contribution counts there (α = 0.1).',
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

export function affinityFigure(
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

export function motionFigure({ motion }: FindingsDocument, names: readonly string[]): Nested {
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

export function objectFigure(
  { objects }: FindingsDocument,
  names: readonly string[],
  interactive: boolean,
): Element | null {
  if (!objects) return null;
  return table(
    ['Object', 'Of the picture', 'Drawn by'].map((t) => h('th', { scope: 'col' }, t)),
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
    { class: 'objects' },
  );
}
