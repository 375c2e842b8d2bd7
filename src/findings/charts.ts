/** Small charts as SVG; colours are CSS variables, so that they follow the theme and print. */
import { h, type Element } from './element';

export interface Series {
  readonly label: string;
  /** Index into the page's categorical colours. */
  readonly colour: number;
  readonly dashed?: boolean;
  readonly points: readonly (readonly [number, number])[];
}

interface Axis {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
  readonly label: string;
  readonly text?: (value: number) => string;
}

const M = { left: 60, right: 20, top: 8, bottom: 36 };

const two = (value: number) => value.toFixed(1);

export function lineChart(
  series: readonly Series[],
  x: Axis,
  y: Axis,
  title: string,
  size: { readonly width: number; readonly height: number } = { width: 360, height: 220 },
): Element {
  const { width, height } = size;
  const px = (v: number) => M.left + ((v - x.from) / (x.to - x.from || 1)) * (width - M.left - M.right);
  const py = (v: number) =>
    height - M.bottom - ((v - y.from) / (y.to - y.from || 1)) * (height - M.top - M.bottom);
  const inside = (v: number) => Math.min(y.to, Math.max(y.from, v));
  const xText = x.text ?? String;
  const yText = y.text ?? String;
  const plot = h(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, class: 'chart', role: 'img', 'aria-label': title },
    y.ticks.map((v) =>
      h('g', null, [
        h('line', { class: 'grid', x1: M.left, x2: width - M.right, y1: two(py(v)), y2: two(py(v)) }),
        h('text', { class: 'tick', x: M.left - 6, y: two(py(v) + 3.5), 'text-anchor': 'end' }, yText(v)),
      ]),
    ),
    x.ticks.map((v) =>
      h(
        'text',
        { class: 'tick', x: two(px(v)), y: height - M.bottom + 14, 'text-anchor': 'middle' },
        xText(v),
      ),
    ),
    h('line', {
      class: 'axis',
      x1: M.left,
      x2: width - M.right,
      y1: height - M.bottom,
      y2: height - M.bottom,
    }),
    h(
      'text',
      { class: 'label', x: two((M.left + width - M.right) / 2), y: height - 4, 'text-anchor': 'middle' },
      x.label,
    ),
    h(
      'text',
      {
        class: 'label',
        x: 11,
        y: two((M.top + height - M.bottom) / 2),
        'text-anchor': 'middle',
        transform: `rotate(-90 11 ${two((M.top + height - M.bottom) / 2)})`,
      },
      y.label,
    ),
    series.map(({ colour, dashed, points }) =>
      h('polyline', {
        class: `line c${colour}${dashed ? ' dashed' : ''}`,
        points: points
          .filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b))
          .map(([a, b]) => `${two(px(a))},${two(py(inside(b)))}`)
          .join(' '),
      }),
    ),
  );
  return h('figure', { class: 'plot' }, plot, legend(series));
}

const legend = (series: readonly Series[]) =>
  h(
    'figcaption',
    { class: 'legend' },
    series.map(({ label, colour, dashed }) =>
      h('span', null, h('i', { class: `key c${colour}${dashed ? ' dashed' : ''}` }), label),
    ),
  );

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly text: string;
  readonly colour: number;
  /** Drawn pale: no more than chance. */
  readonly weak?: boolean;
}

/** Horizontal bars from zero, with a line at `reference`. */
export function barChart(
  bars: readonly Bar[],
  reference: number,
  referenceText: string,
  title: string,
): Element {
  const most = Math.max(reference * 1.25, ...bars.map(({ value }) => value).filter(Number.isFinite));
  const part = (value: number) => `${((100 * Math.min(most, Math.max(0, value))) / most).toFixed(1)}%`;
  return h(
    'figure',
    {
      class: 'bars',
      role: 'img',
      'aria-label': `${title}: ${bars.map(({ label, text }) => `${label} ${text}`).join(', ')}`,
    },
    bars.map(({ label, value, text, colour, weak }) =>
      h(
        'div',
        { class: 'row', 'aria-hidden': 'true' },
        h('span', { class: 'name', title: label }, label),
        h(
          'span',
          { class: 'track' },
          h('b', { class: `amount c${colour}${weak ? ' weak' : ''}`, style: `width: ${part(value)}` }),
          h('em', { class: 'reference', style: `left: ${part(reference)}` }),
        ),
        h('span', { class: 'value' }, text),
      ),
    ),
    h('figcaption', { class: 'legend' }, h('span', null, h('i', { class: 'key mark' }), referenceText)),
  );
}
