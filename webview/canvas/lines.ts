import { css, html, LitElement, svg } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { base } from '../shared/styles';
import { significant } from '../shared/format';

export interface Line {
  readonly name: string;
  /** One a frame; NaN leaves a gap. */
  readonly values: ArrayLike<number>;
}

const HEIGHT = 96;
const WIDTH = 600;
/** Colours of VS Code's charts, which every theme has; told apart by dashes where there are more. */
const COLOURS = ['blue', 'orange', 'green', 'purple', 'red', 'yellow', 'foreground'];
const DASHES = ['', '5 3', '1.5 3'];

/** Curves over the frames of a clip, and where the clip is now. */
@customElement('nc-lines')
export class Lines extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        gap: 4px 16px;
        min-width: 0;
        font-size: 11px;
      }
      .plot {
        display: grid;
        grid-template-columns: auto minmax(0, 1fr);
        gap: 2px 6px;
      }
      svg {
        width: 100%;
        height: ${HEIGHT}px;
        overflow: visible;
        border-left: 1px solid var(--line);
        border-bottom: 1px solid var(--line);
      }
      path {
        fill: none;
        stroke-width: 1.5px;
        vector-effect: non-scaling-stroke;
      }
      .now {
        stroke: var(--vscode-foreground);
        stroke-width: 1px;
        opacity: 0.6;
        vector-effect: non-scaling-stroke;
      }
      .scale {
        display: flex;
        flex-direction: column;
        justify-content: space-between;
        text-align: right;
        min-width: 28px;
      }
      .frames {
        grid-column: 2;
        display: flex;
        justify-content: space-between;
      }
      ul {
        list-style: none;
        margin: 0;
        padding: 0;
        max-height: ${HEIGHT + 16}px;
        overflow: auto;
      }
      li {
        display: flex;
        align-items: center;
        gap: 6px;
        white-space: nowrap;
      }
      li svg {
        width: 18px;
        height: 8px;
        border: none;
        flex: none;
      }
    `,
  ];

  @property({ attribute: false }) lines: readonly Line[] = [];
  @property({ attribute: false }) frames: readonly number[] = [];
  @property({ type: Number }) now = 0;
  @property() label = '';

  override render() {
    const { lines, frames } = this;
    const largest = lines.reduce(
      (most, { values }) => Array.from(values).reduce((a, b) => (b > a ? b : a), most),
      0,
    );
    const last = Math.max(1, frames.at(-1) ?? 1);
    const x = (frame: number) => (WIDTH * frame) / last;
    const y = (value: number) => HEIGHT * (1 - value / (largest || 1));
    const path = (values: ArrayLike<number>) => {
      let pen = false;
      return frames
        .map((frame, k) => {
          const value = values[k];
          const command = Number.isNaN(value)
            ? ''
            : `${pen ? 'L' : 'M'}${x(frame).toFixed(1)} ${y(value).toFixed(1)}`;
          pen = !Number.isNaN(value);
          return command;
        })
        .join('');
    };
    const look = (k: number) =>
      `stroke: var(--vscode-charts-${COLOURS[k % COLOURS.length]}); stroke-dasharray: ${DASHES[Math.floor(k / COLOURS.length) % DASHES.length]}`;
    return html`<div class="plot" role="img" aria-label=${this.label}>
        <div class="scale muted number"><span>${significant(largest, 2)}</span><span>0</span></div>
        <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none">
          ${lines.map(({ values }, k) => svg`<path style=${look(k)} d=${path(values)}></path>`)}
          <line class="now" x1=${x(this.now)} x2=${x(this.now)} y1="0" y2=${HEIGHT}></line>
        </svg>
        <div class="frames muted number"><span>0</span><span>frame ${last}</span></div>
      </div>
      <ul>
        ${lines.map(
          ({ name }, k) =>
            html`<li>
              <svg viewBox="0 0 18 8">${svg`<path style=${look(k)} d="M0 4H18"></path>`}</svg>${name}
            </li>`,
        )}
      </ul>`;
  }
}
