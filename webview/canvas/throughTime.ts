/** Below the time line: what moves, and what neurons and objects do over the frames. */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { FloatMap, Motion, ObjectsThroughTime, Picture, Series } from '../../src/worker/protocol';
import type { ColourMap } from '../shared/colourMaps';
import { significant } from '../shared/format';
import type { Host } from '../shared/host';
import { base } from '../shared/styles';
import './lines';
import { largest, paintMagnitude } from './paint';
import type { Bitmap } from './picture';

export type Topic = 'motion' | 'neurons' | 'objects';

/** Neurons drawn as curves at most. */
const MOST_CURVES = 12;

const correlation = (value: number) => (Number.isFinite(value) ? value.toFixed(2).replace('-', '−') : '–');

/**
 * @fires pick-neuron detail: number
 */
@customElement('nc-through-time')
export class ThroughTime extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        min-width: 0;
        padding: 6px 0 8px;
      }
      .figure {
        display: flex;
        gap: 10px;
        overflow-x: auto;
        padding-bottom: 4px;
      }
      figure {
        margin: 0;
        flex: 0 0 auto;
        display: grid;
        gap: 3px;
        max-width: 180px;
      }
      figure canvas {
        width: 172px;
        max-height: 110px;
        object-fit: contain;
        image-rendering: pixelated;
        border: 1px solid var(--line);
        border-radius: 2px;
      }
      figcaption {
        font-size: 11px;
        line-height: 1.35;
      }
      figcaption b {
        font-weight: 600;
        display: block;
      }
      p {
        margin: 0;
        font-size: 12px;
      }
      .neurons {
        display: flex;
        flex-wrap: wrap;
        gap: 0 4px;
        font-size: 11px;
        margin-top: 4px;
      }
    `,
  ];

  @property({ attribute: false }) host: Host | null = null;
  @property() topic: Topic = 'motion';
  /** Names trace and frame; what was asked for another one is asked anew. */
  @property() trace = '';
  @property({ attribute: false }) frame: number | null = null;
  @property({ type: Number }) layer = 0;
  @property({ attribute: false }) names: readonly string[] = [];
  @property({ attribute: false }) selected: readonly number[] = [];
  @property({ attribute: false }) colours: ColourMap = new Uint8Array(1024);
  @property({ attribute: false }) neuronName: (neuron: number) => string = String;
  @state() private motion: Motion | null = null;
  @state() private stills: readonly [Picture, Picture] | null = null;
  @state() private series: Series | null = null;
  @state() private objects: ObjectsThroughTime | null = null;
  @state() private problem: string | null = null;
  @state() private working = false;
  private asked = '';

  override willUpdate(_: PropertyValues): void {
    const { topic, trace, frame, layer, selected } = this;
    // Curves are of the whole clip: another frame of it does not change them.
    const clip = trace.replace(/(#\d+)@[^@#]*$/, '$1');
    const key =
      frame === null
        ? ''
        : topic === 'motion'
          ? `motion ${trace}`
          : topic === 'neurons'
            ? `neurons ${clip} ${layer} ${selected.join()}`
            : `objects ${clip} ${layer}`;
    if (key === this.asked) return;
    this.asked = key;
    this.problem = null;
    if (key) void this.ask(key);
  }

  private async ask(key: string): Promise<void> {
    const { host, topic, layer, frame } = this;
    if (!host || frame === null) return;
    const current = () => this.asked === key;
    this.working = true;
    try {
      if (topic === 'motion') {
        if (frame < 1) {
          this.motion = null;
          this.problem = 'The first frame has none before it; move to a later one to see motion.';
          return;
        }
        const motion = await host.call('motion', null);
        const stills = await Promise.all([frame - 1, frame].map((k) => host.call('still', { frame: k })));
        if (!current()) return;
        this.motion = motion;
        this.stills = [stills[0].picture, stills[1].picture];
      } else if (topic === 'neurons') {
        const neurons = this.selected.slice(-MOST_CURVES);
        const series = neurons.length > 0 ? await host.call('series', { layer, neurons }) : null;
        if (current()) this.series = series;
      } else {
        const objects = await host.call('objects', { layer });
        if (current()) this.objects = objects;
      }
    } catch (error) {
      if (current()) this.problem = error instanceof Error ? error.message : String(error);
    } finally {
      if (current()) this.working = false;
    }
  }

  override render() {
    if (this.problem)
      return html`<p class="muted" role="status" data-testid="time-problem">${this.problem}</p>`;
    const { topic } = this;
    return topic === 'motion'
      ? this.motionFigure()
      : topic === 'neurons'
        ? this.curves()
        : this.objectCurves();
  }

  private waiting(what: string) {
    return html`<p class="muted" role="status">${this.working ? what : nothing}</p>`;
  }

  private motionFigure() {
    const { motion, stills } = this;
    if (!motion || !stills) return this.waiting('Comparing this frame with the one before …');
    const { flow, layers, frame } = motion;
    const flowOf = motion.of === 'frames' ? 'of the frames' : 'of the reconstruction';
    return html`<div class="figure" data-testid="motion" aria-busy=${this.working}>
      ${this.image(stills[0], `Frame ${frame - 1}`, 'reconstruction')}
      ${this.image(stills[1], `Frame ${frame}`, 'reconstruction')}
      ${this.image(this.magnitude(flow), 'Motion', `optical flow ${flowOf}, up to ${significant(largest(flow), 2)} px`)}
      ${layers.map(({ layer, change, pearson, spearman }) =>
        this.image(
          this.magnitude(change),
          `Change in ${this.names[layer] ?? `layer ${layer}`}`,
          `with motion: Pearson ${correlation(pearson)}, Spearman ${correlation(spearman)}`,
        ),
      )}
    </div>`;
  }

  private magnitude(map: FloatMap): Bitmap {
    return { width: map.width, height: map.height, rgba: paintMagnitude(map, largest(map), this.colours) };
  }

  private image(bitmap: Bitmap, title: string, caption: string) {
    return html`<figure>
      <canvas
        role="img"
        aria-label="${title}: ${caption}"
        width=${bitmap.width}
        height=${bitmap.height}
        .bitmap=${bitmap}
      ></canvas>
      <figcaption><b class="ellipsis">${title}</b><span class="muted">${caption}</span></figcaption>
    </figure>`;
  }

  override updated(): void {
    for (const canvas of this.renderRoot.querySelectorAll('canvas')) {
      const { bitmap } = canvas as HTMLCanvasElement & { readonly bitmap?: Bitmap };
      if (!bitmap) continue;
      const pixels = new ImageData(new Uint8ClampedArray(bitmap.rgba), bitmap.width, bitmap.height);
      canvas.getContext('2d')?.putImageData(pixels, 0, 0);
    }
  }

  private curves() {
    if (this.selected.length === 0) {
      return html`<p class="muted">Select neurons below to see what they contribute from frame to frame.</p>`;
    }
    const { series } = this;
    if (!series) return this.waiting('Following the selected neurons through the clip …');
    return html`<nc-lines
      data-testid="series"
      label="Total contribution of the selected neurons, frame by frame"
      .frames=${series.frames}
      .now=${this.frame ?? 0}
      .lines=${series.neurons.map(({ neuron, totals }) => ({ name: this.neuronName(neuron), values: totals }))}
    ></nc-lines>`;
  }

  private objectCurves() {
    const { objects } = this;
    if (!objects) return this.waiting('Following objects through the clip …');
    return html`<nc-lines
        data-testid="objects"
        label="Contribution to each object by area, frame by frame, divided by its mean"
        .frames=${objects.frames}
        .now=${this.frame ?? 0}
        .lines=${objects.objects.map(({ label, normalised }) => ({ name: `object ${label}`, values: normalised }))}
      ></nc-lines>
      <div class="neurons">
        <span class="muted">Contribution by area, 1 is its mean. Strongest for</span>
        ${objects.objects.map(
          ({ label, top }) =>
            html`<span
              ><span class="muted">object ${label}:</span> ${top
                .slice(0, 3)
                .map(
                  ({ neuron }) =>
                    html`<button
                      class="link"
                      @click=${() => this.dispatchEvent(new CustomEvent('pick-neuron', { detail: neuron }))}
                    >
                      ${this.neuronName(neuron)}
                    </button>`,
                )}</span
            >`,
        )}
        <span class="muted">(label images in ${objects.folder})</span>
      </div>`;
  }
}
