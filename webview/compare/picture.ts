import { css, html, LitElement } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import type { Picture } from '../../src/worker/protocol';

/** A picture, as large as there is room, its pixels sharp when enlarged. */
@customElement('nc-compare-picture')
export class ComparePicture extends LitElement {
  static override styles = css`
    :host {
      display: block;
      position: relative;
    }
    canvas {
      position: absolute;
      inset: 0;
      width: 100%;
      height: 100%;
      object-fit: contain;
      object-position: left top;
      image-rendering: pixelated;
    }
  `;

  @property({ attribute: false }) picture: Picture | null = null;
  @property() label = '';
  @query('canvas') private readonly canvas!: HTMLCanvasElement;

  override render() {
    return html`<canvas role="img" aria-label=${this.label}></canvas>`;
  }

  override updated(): void {
    const { canvas, picture } = this;
    if (!picture) return;
    const { width, height, rgba } = picture;
    [canvas.width, canvas.height] = [width, height];
    this.style.aspectRatio = `${width} / ${height}`;
    canvas.getContext('2d')!.putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), 0, 0);
  }
}
