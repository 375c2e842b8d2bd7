import { css, html, LitElement } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import type { ClusterSummary, PreviewAtlas } from '../../src/tracing/types';
import type { ColourMap } from './colourMaps';
import { paintPreview } from './mapRenderer';

/** A small picture: a neuron's preview out of its layer's atlas, or a cluster's mean map. The page sets its size. */
@customElement('nc-thumbnail')
export class Thumbnail extends LitElement {
  static override styles = css`
    :host {
      display: inline-block;
      flex: none;
      overflow: hidden;
      border-radius: 2px;
    }
    canvas {
      display: block;
      width: 100%;
      height: 100%;
    }
  `;

  /** Signed map of 256 entries for previews, magnitudes for mean maps. */
  @property({ attribute: false }) colours!: ColourMap;
  @property({ attribute: false }) atlas: PreviewAtlas | undefined;
  @property({ attribute: false }) neuron = 0;
  @property({ attribute: false }) meanMap: ClusterSummary['meanMap'] | undefined;
  @query('canvas') private readonly canvas!: HTMLCanvasElement;

  override render() {
    return html`<canvas aria-hidden="true"></canvas>`;
  }

  override updated(): void {
    const { canvas, atlas, meanMap, colours } = this;
    const size = meanMap ?? atlas;
    if (!size) return;
    canvas.width = size.width;
    canvas.height = size.height;
    const context = canvas.getContext('2d')!;
    const image = context.createImageData(size.width, size.height);
    if (meanMap) {
      const [words, palette] = [new Uint32Array(image.data.buffer), new Uint32Array(colours.buffer)];
      // A mean has little contrast: from its own least to its own largest.
      const least = meanMap.data.reduce((a, b) => Math.min(a, b), 255);
      const range = meanMap.data.reduce((a, b) => Math.max(a, b), 0) - least || 1;
      for (let i = 0; i < words.length; i++) {
        words[i] = palette[Math.round((255 * (meanMap.data[i] - least)) / range)];
      }
    } else if (atlas) {
      paintPreview(image.data, atlas, this.neuron, { colours, signed: true, limit: null });
    }
    context.putImageData(image, 0, 0);
  }
}
