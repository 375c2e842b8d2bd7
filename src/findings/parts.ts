/** What the parts of the findings page share. */
import { h, type Child, type Element } from './element';

/** Grey last: it is what random orders and even spreads are drawn in. */
export const layerColour = (layer: number) => [0, 1, 2, 3, 5, 4][layer % 6];

export const number = (value: number, digits = 3): string => {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? '–' : '∞';
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e5 ? value.toExponential(1) : String(Number(value.toPrecision(digits)));
};

export const pictureOf = (src: string, caption: string) =>
  h('figure', { class: 'picture' }, h('img', { src, alt: caption }), h('figcaption', null, caption));

/** A neuron by name; in the panel it selects it everywhere. */
export function neuronLink(
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

/** @param kernels how many kernels of a convolution are meant, of which `neurons` may be some only */
export function neuronsLink(
  layer: number,
  neurons: readonly number[],
  interactive: boolean,
  kernels?: number,
): Element | null {
  const { length } = neurons;
  if (!interactive || length === 0) return null;
  const all = length === 1 ? 'Select it' : `Select all ${length}`;
  const text =
    kernels === undefined
      ? all
      : length < kernels
        ? `Select ${length} of ${kernels} kernels`
        : length === 1
          ? 'Select the kernel'
          : `${all} kernels`;
  return h(
    'button',
    { type: 'button', class: 'link', 'data-layer': layer, 'data-neurons': neurons.join(' ') },
    text,
  );
}
