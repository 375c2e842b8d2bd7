/** Kernels of a convolution, first grouped by the channel they read or write, then one channel opened. */
import { html, nothing } from 'lit';
import type { LayerTrace, PreviewAtlas } from '../../src/tracing/types';
import { integer, percent } from '../shared/format';
import { Memo } from '../shared/memo';
import type { Canvas } from './canvas';
import type { Part } from './parts';

/** Layers of no more kernels are shown whole at first. */
const FEW = 128;

export type Grouping = 'input' | 'output' | 'kernel';

const defaults = { by: '' as string, channel: -1, layer: '' as string };

const names = new Memo<(neuron: number) => string>();

/** Kernel (input, output) as text; the number of another neuron. */
export const neuronNames = (layer: LayerTrace | undefined): ((neuron: number) => string) =>
  names.get([layer], () => {
    const outputs = layer?.convolution?.outputs;
    return outputs === undefined
      ? String
      : (neuron: number) => `${Math.floor(neuron / outputs)}→${neuron % outputs}`;
  });

/** How the kernels of the layer shown are grouped; null for other layers. */
export function channelsOf(canvas: Canvas) {
  const { layer } = canvas;
  if (!layer?.convolution || !layer.channelPreviews) return null;
  const kept = canvas.kept('channels', defaults);
  const usual: Grouping = layer.neurons <= FEW ? 'kernel' : 'input';
  const by = kept.by === 'input' || kept.by === 'output' || kept.by === 'kernel' ? kept.by : usual;
  const channel = kept.layer === layer.name && by !== 'kernel' ? kept.channel : -1;
  return { layer, convolution: layer.convolution, previews: layer.channelPreviews, by, channel };
}

/** Channel that a kernel belongs to. */
const channelOf = ({ convolution, by }: NonNullable<ReturnType<typeof channelsOf>>) => {
  const { outputs, shuffle } = convolution;
  return (neuron: number) =>
    by === 'input' ? Math.floor(neuron / outputs) : Math.floor((neuron % outputs) / shuffle ** 2);
};

export interface ChannelSheet {
  readonly atlas: PreviewAtlas;
  readonly order: Uint32Array;
  /** Σ of the kernels' shares. */
  readonly share: Float64Array;
  readonly name: (channel: number) => string;
}

const sheets = new Memo<ChannelSheet | null>();
const opened = new Memo<Uint32Array>();

/** The channels instead of their kernels, while none is opened. */
export function channelSheet(canvas: Canvas): ChannelSheet | null {
  const channels = channelsOf(canvas);
  const { layer, by, channel } = channels ?? {};
  const { sort } = canvas.intent.value;
  return sheets.get([layer, by, channel, sort], () => {
    if (!channels || by === 'kernel' || channel! >= 0) return null;
    const atlas = by === 'input' ? channels.previews.inputs : channels.previews.outputs;
    const share = new Float64Array(atlas.limit.length);
    const of = channelOf(channels);
    for (let k = 0; k < channels.layer.neurons; k++) share[of(k)] += channels.layer.statistics.share[k];
    const order = Uint32Array.from(share.keys());
    if (sort !== 'index') order.sort((a, b) => share[b] - share[a]);
    return { atlas, order, share, name: (k) => `${by === 'input' ? 'in' : 'out'} ${k}` };
  });
}

/** Of an order of kernels, those of the opened channel; all while none is. */
export function ofOpenedChannel(canvas: Canvas, order: Uint32Array): Uint32Array {
  const channels = channelsOf(canvas);
  return opened.get([order, channels?.layer, channels?.by, channels?.channel], () => {
    if (!channels || channels.channel < 0) return order;
    const of = channelOf(channels);
    return order.filter((neuron) => of(neuron) === channels.channel);
  });
}

export const openChannel = (canvas: Canvas, channel: number) =>
  canvas.keep('channels', { channel, layer: canvas.layer?.name ?? '' });

const groupings: readonly { readonly id: Grouping; readonly name: string }[] = [
  { id: 'input', name: 'By input channel' },
  { id: 'output', name: 'By output channel' },
  { id: 'kernel', name: 'All kernels' },
];

export const channelsPart: Part = {
  slot: 'overSheet',
  render: (canvas) => {
    const channels = channelsOf(canvas);
    if (!channels) return nothing;
    const { layer, convolution, by, channel } = channels;
    const { inputs, outputs, kernel, shuffle } = convolution;
    const written = outputs / shuffle ** 2;
    const share =
      channel < 0
        ? 0
        : layer.statistics.share.reduce((sum, s, k) => sum + (channelOf(channels)(k) === channel ? s : 0), 0);
    return html`<div class="channels row">
      <div class="topics" role="radiogroup" aria-label="How kernels are grouped">
        ${groupings.map(
          ({ id, name }) =>
            html`<button
              role="radio"
              data-testid="group-${id}"
              aria-checked=${id === by}
              @click=${() => canvas.keep('channels', { by: id, channel: -1 })}
            >
              ${name}
            </button>`,
        )}
      </div>
      ${
        channel < 0
          ? html`<span class="muted ellipsis"
              >${integer(inputs)} → ${integer(written)} channels, ${integer(layer.neurons)} kernels of
              ${kernel.join('×')}${shuffle > 1 ? `, PixelShuffle ×${shuffle}` : ''}</span
            >`
          : html`<button class="link" data-testid="close-channel" @click=${() => openChannel(canvas, -1)}>
                All channels
              </button>
              <span class="ellipsis"
                >${by === 'input' ? 'Input' : 'Output'} channel ${channel}:
                ${integer(layer.neurons / (by === 'input' ? inputs : written))} kernels, ${percent(share)} of
                the layer</span
              >`
      }
      ${leftOut(canvas)}
    </div>`;
  },
};

/** Layers with so many kernels that they are traced only when the person asks. */
function leftOut(canvas: Canvas) {
  const { view, host } = canvas.session;
  const traced = new Set(view?.traced);
  const missing =
    view?.inspection?.layers.filter(({ name, neurons }) => neurons > 0 && !traced.has(name)) ?? [];
  if (!view?.traced || missing.length === 0) return nothing;
  const kernels = missing.reduce((sum, { neurons }) => sum + neurons, 0);
  return html`<button
    class="link left-out"
    data-testid="trace-all"
    title="Left out: ${missing.map(({ name }) => name).join(', ')}"
    @click=${() => host.post({ type: 'retrace', allLayers: true })}
  >
    Trace ${integer(kernels)} kernels of earlier blocks too
  </button>`;
}
