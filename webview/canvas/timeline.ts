import '@vscode-elements/elements/dist/vscode-icon/index.js';
import { css, html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { Picture } from '../../src/worker/protocol';
import { controls } from '../shared/controls';
import { decibel } from '../shared/format';
import type { Host } from '../shared/host';
import { base } from '../shared/styles';

interface Still {
  readonly picture: Picture;
  readonly psnr?: number;
}

/** Frames a second while playing. */
const RATE = 15;
/** Frames asked for ahead of the one shown. */
const AHEAD = 4;
/** How long the slider rests before maps follow, milliseconds. */
const REST = 60;
const MOST_STILLS = 128;

/**
 * Moves through the frames of a video: pictures at once, maps when it stops.
 * @fires show-still detail: Picture, the frame that is looked at
 * @fires scrub detail: boolean, whether the person is still moving
 * @fires move-frame detail: number, where it stopped
 */
@customElement('nc-timeline')
export class Timeline extends LitElement {
  static override styles = [
    base,
    controls,
    css`
      :host {
        display: grid;
        grid-template-columns: auto minmax(60px, 1fr) auto;
        align-items: center;
        gap: 8px;
        min-width: 0;
      }
      .buttons {
        display: flex;
        gap: 2px;
      }
      .track {
        position: relative;
        display: grid;
        align-items: center;
        height: 22px;
      }
      input[type='range'] {
        width: 100%;
        margin: 0;
        accent-color: var(--vscode-progressBar-background, var(--accent));
      }
      .ticks {
        position: absolute;
        inset: auto 8px 1px;
        height: 3px;
        pointer-events: none;
        background: repeating-linear-gradient(
          to right,
          var(--muted) 0 1px,
          transparent 1px calc((100% - 1px) / var(--steps))
        );
        opacity: 0.6;
      }
      .where {
        display: flex;
        gap: 12px;
        min-width: 0;
        justify-content: flex-end;
        font-size: 12px;
        white-space: nowrap;
      }
    `,
  ];

  @property({ attribute: false }) host: Host | null = null;
  /** Names the trace that frames are asked of. */
  @property() trace = '';
  @property({ type: Number }) frames = 1;
  /** Frame that is selected. */
  @property({ type: Number }) frame = 0;
  /** Frame whose maps are shown; null while there are none. */
  @property({ attribute: false }) traced: number | null = null;
  @property({ attribute: false }) psnr: number | null = null;
  @property({ attribute: false }) problem: string | null = null;
  @state() private at = 0;
  @state() private playing = false;
  private readonly stills = new Map<number, Still>();
  private readonly asked = new Set<number>();
  private wanted: number | null = null;
  private timer = 0;
  private rest = 0;

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('trace')) {
      this.stills.clear();
      this.asked.clear();
      this.stop();
    }
    if (!this.playing && this.wanted === null && (changed.has('frame') || changed.has('trace'))) {
      this.at = this.frame;
    }
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stop();
    clearTimeout(this.rest);
  }

  override render() {
    const last = this.frames - 1;
    const { at, playing } = this;
    const psnr = this.stills.get(at)?.psnr ?? (at === this.traced ? this.psnr : null);
    const step = (by: number) => () => {
      this.stop();
      this.look((at + by + this.frames) % this.frames);
    };
    return html`<div class="buttons">
        <button
          class="icon"
          data-testid="play"
          aria-label=${playing ? 'Pause' : 'Play'}
          title=${playing ? 'Pause' : 'Play'}
          @click=${() => (playing ? this.pause() : this.play())}
        >
          <vscode-icon name=${playing ? 'debug-pause' : 'play'}></vscode-icon>
        </button>
        <button
          class="icon"
          data-testid="previous-frame"
          aria-label="Previous frame"
          title="Previous frame"
          @click=${step(-1)}
        >
          <vscode-icon name="chevron-left"></vscode-icon>
        </button>
        <button
          class="icon"
          data-testid="next-frame"
          aria-label="Next frame"
          title="Next frame"
          @click=${step(1)}
        >
          <vscode-icon name="chevron-right"></vscode-icon>
        </button>
      </div>
      <div class="track">
        <input
          type="range"
          data-testid="frame"
          aria-label="Frame"
          aria-valuetext="frame ${at} of ${this.frames}"
          min="0"
          max=${last}
          step="1"
          .value=${String(at)}
          @input=${(event: Event) => {
            this.stop();
            this.look(Number((event.target as HTMLInputElement).value));
          }}
        />
        ${last <= 64 ? html`<div class="ticks" style="--steps: ${last}"></div>` : nothing}
      </div>
      <div class="where number" data-testid="where">
        ${
          this.problem
            ? html`<span role="alert">${this.problem}</span>`
            : html`<span>Frame ${at} of ${last}</span>
                ${psnr === null || psnr === undefined ? nothing : html`<span class="muted">${decibel(psnr)}</span>`}
                <span class="muted" data-testid="maps-of"
                  >${at === this.traced ? 'maps of this frame' : playing ? 'playing' : 'maps follow …'}</span
                >`
        }
      </div>`;
  }

  private play(): void {
    this.playing = true;
    this.scrub(true);
    let due = performance.now();
    const tick = () => {
      const next = (this.at + 1) % this.frames;
      this.prefetch(next);
      if (this.stills.has(next)) {
        this.at = next;
        this.show(next);
        due = Math.max(due + 1000 / RATE, performance.now() - 200);
      }
      this.timer = window.setTimeout(tick, Math.max(4, this.stills.has(next) ? due - performance.now() : 8));
    };
    tick();
  }

  private pause(): void {
    this.stop();
    this.settle();
  }

  private stop(): void {
    clearTimeout(this.timer);
    this.playing = false;
  }

  /** Shows a frame as soon as it is there; maps follow when the person rests. */
  private look(frame: number): void {
    this.at = frame;
    this.wanted = frame;
    this.scrub(true);
    if (this.stills.has(frame)) this.show(frame);
    else this.ask(frame);
    clearTimeout(this.rest);
    this.rest = window.setTimeout(() => this.settle(), REST);
  }

  private settle(): void {
    clearTimeout(this.rest);
    this.wanted = null;
    this.scrub(false);
    this.dispatchEvent(new CustomEvent('move-frame', { detail: this.at }));
  }

  private scrub(moving: boolean): void {
    this.dispatchEvent(new CustomEvent('scrub', { detail: moving }));
  }

  private show(frame: number): void {
    const still = this.stills.get(frame);
    if (still) this.dispatchEvent(new CustomEvent('show-still', { detail: still.picture }));
  }

  private prefetch(from: number): void {
    for (let k = 0; k < Math.min(AHEAD, this.frames); k++) this.ask((from + k) % this.frames);
  }

  private ask(frame: number): void {
    const { host, trace } = this;
    if (!host || this.stills.has(frame) || this.asked.has(frame)) return;
    this.asked.add(frame);
    host.call('still', { frame }).then(
      (still) => {
        if (trace !== this.trace) return;
        this.asked.delete(frame);
        this.stills.set(frame, still);
        for (const [first] of this.stills) if (this.stills.size > MOST_STILLS) this.stills.delete(first);
        if (!this.playing && this.at === frame) this.show(frame);
        this.requestUpdate();
      },
      () => this.asked.delete(frame),
    );
  }
}
