import '@vscode-elements/elements/dist/vscode-button/index.js';
import { css, html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { Assumption } from '../../src/inr/types';
import type { CorrectionValues, ViewCalls } from '../../src/panels/protocol';
import type { Alternative, Inspection, Preview } from '../../src/worker/protocol';
import { controls } from '../shared/controls';
import { decibel, parameterName, percent } from '../shared/format';
import { Latest, type Host } from '../shared/host';
import { base } from '../shared/styles';
import type { Bitmap } from './picture';

/** What the person decides in the form. */
export interface Change {
  readonly corrections: CorrectionValues;
  readonly save: boolean;
}

type Wanted = ViewCalls['preview']['params'];

const isCorrected = ({ source }: Assumption) => source === 'correction';

/**
 * The settings that a file does not tell, each changeable, with the picture they give.
 * @fires apply detail: Change
 * @fires close
 */
@customElement('nc-change-form')
export class ChangeForm extends LitElement {
  static override styles = [
    base,
    controls,
    css`
      :host {
        display: grid;
        grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
        grid-template-rows: minmax(0, 1fr) auto;
        gap: 0 24px;
        flex: 1;
        min-height: 0;
        padding: 12px;
        container-type: inline-size;
      }
      .settings {
        overflow: auto;
        min-height: 0;
        padding-right: 4px;
      }
      .setting {
        display: grid;
        grid-template-columns: minmax(90px, 30%) minmax(0, 1fr) auto;
        align-items: center;
        gap: 2px 10px;
        padding: 5px 0;
      }
      .setting .why {
        grid-column: 2 / -1;
        font-size: 12px;
        overflow-wrap: anywhere;
      }
      .setting input,
      .setting select {
        width: 100%;
      }
      h2 {
        margin: 16px 0 6px;
      }
      h2:first-child {
        margin-top: 0;
      }
      .view {
        display: flex;
        flex-direction: column;
        gap: 8px;
        min-height: 0;
      }
      .view canvas {
        min-height: 0;
        flex: 0 1 auto;
        max-width: 100%;
        object-fit: contain;
        image-rendering: pixelated;
        border: 1px solid var(--line);
        border-radius: 4px;
      }
      .view canvas.stale {
        opacity: 0.5;
      }
      .problem {
        color: var(--vscode-errorForeground);
        overflow-wrap: anywhere;
        margin: 0;
      }
      .thumbnails {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(110px, 1fr));
        gap: 8px;
      }
      .thumbnails button {
        display: flex;
        flex-direction: column;
        align-items: stretch;
        gap: 4px;
        padding: 4px;
        text-align: left;
        border: 1px solid var(--line);
        font-size: 11px;
      }
      .thumbnails button[aria-pressed='true'] {
        border-color: var(--accent);
        background: var(--vscode-list-inactiveSelectionBackground);
      }
      .thumbnails canvas {
        width: 100%;
        image-rendering: pixelated;
      }
      .ranked {
        border-spacing: 0;
        width: 100%;
      }
      .ranked button {
        display: grid;
        grid-template-columns: 64px minmax(0, 1fr);
        gap: 8px;
        width: 100%;
        text-align: left;
      }
      .ranked button:hover {
        background: var(--vscode-list-hoverBackground);
      }
      footer {
        grid-column: 1 / -1;
        display: flex;
        flex-wrap: wrap;
        justify-content: flex-end;
        align-items: center;
        gap: 8px;
        padding-top: 12px;
      }
      footer .muted {
        margin-right: auto;
        min-width: 0;
      }
      @container (max-width: 560px) {
        .setting {
          grid-template-columns: minmax(0, 1fr) auto;
        }
        .setting label {
          grid-column: 1 / -1;
        }
        .setting .why {
          grid-column: 1 / -1;
        }
      }
    `,
  ];

  @property({ attribute: false }) host!: Host;
  /** As traced last. */
  @property({ attribute: false }) inspection!: Inspection;
  @property({ attribute: false }) name = '';
  @state() private corrections: CorrectionValues = {};
  @state() private shown: Preview | null = null;
  @state() private working = true;
  @state() private problem: string | null = null;
  /** Pictures of what nothing tells apart, by index. */
  @state() private thumbnails: readonly (Bitmap | null)[] = [];

  /** As searched last; null while a correction that was taken back may change what is found. */
  private searched: Inspection | null = null;

  private readonly previews = new Latest<Wanted, Preview>(
    (wanted) => this.host.call('preview', wanted),
    (preview, { corrections, assumed }) => {
      this.shown = preview;
      if (!assumed) this.searched = preview.inspection;
      this.problem = null;
      this.working = this.corrections !== corrections;
      if (preview.dropped.length === 0 || this.working) return;
      // A Gaussian has no ω₀: what no longer applies is forgotten.
      const kept = Object.entries(corrections).filter(([name]) => !preview.dropped.includes(name));
      this.corrections = Object.fromEntries(kept);
    },
    (error) => {
      this.problem = error instanceof Error ? error.message : String(error);
      this.working = false;
    },
  );

  private get base(): Inspection {
    return this.searched ?? this.inspection;
  }

  /** Values found by search, without the person's own. */
  private get assumed(): Record<string, string | number | boolean> {
    const found = this.base.assumptions.filter((assumption) => !isCorrected(assumption));
    return Object.fromEntries(found.map(({ name, value }) => [name, value]));
  }

  private get tied(): readonly Alternative[] {
    const { alternatives } = this.base;
    return alternatives.length > 1 && alternatives.every(({ psnr }) => psnr === undefined)
      ? alternatives.slice(0, 4)
      : [];
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.searched = this.inspection;
    this.corrections = this.inspection.corrections;
    this.request();
    void this.drawThumbnails();
  }

  private async drawThumbnails(): Promise<void> {
    const { tied } = this;
    this.thumbnails = tied.map(() => null);
    for (const [i, { values }] of tied.entries()) {
      try {
        const { picture } = await this.host.call('preview', {
          corrections: textsOf(values),
          assumed: this.assumed,
        });
        if (!this.isConnected) return;
        this.thumbnails = this.thumbnails.with(i, picture);
      } catch {
        // Its button still says what it is.
      }
    }
  }

  private set(corrections: CorrectionValues): void {
    this.corrections = corrections;
    this.request();
  }

  private request(): void {
    this.working = true;
    const { corrections, searched, assumed } = this;
    this.previews.request({ corrections, assumed: searched && assumed });
  }

  private correct(name: string, value: string): void {
    const { [name]: _, ...others } = this.corrections;
    if (value.trim() === '' || name === 'target') this.searched = null;
    this.set(value.trim() === '' ? others : { ...others, [name]: value.trim() });
  }

  private async pickTarget(): Promise<void> {
    const target = await this.host.call('pickTarget', null);
    if (target !== null) this.correct('target', target);
  }

  override updated(changed: PropertyValues): void {
    if (changed.has('shown') && this.shown)
      paint(this.renderRoot.querySelector('#preview'), this.shown.picture);
    if (changed.has('thumbnails')) {
      for (const [i, picture] of this.thumbnails.entries()) {
        if (picture) paint(this.renderRoot.querySelector(`#thumbnail-${i}`), picture);
      }
    }
    if (changed.has('inspection') && changed.get('inspection') === undefined) {
      this.renderRoot.querySelector<HTMLElement>('select, input')?.focus();
    }
  }

  private apply(save: boolean): void {
    this.dispatchEvent(new CustomEvent<Change>('apply', { detail: { corrections: this.corrections, save } }));
  }

  override render() {
    const inspection = this.shown?.inspection ?? this.inspection;
    const file = this.inspection.correctionsFile?.replace(/^.*[\\/]/, '');
    const hasTarget = this.shown?.psnr !== undefined;
    const close = () => this.dispatchEvent(new CustomEvent('close'));
    return html`
      <section class="settings" aria-label="What was assumed">
        ${this.tiedView()}
        <h2>What was assumed about ${this.name}</h2>
        ${inspection.assumptions.map((assumption) => this.setting(assumption))}
        <div class="setting">
          <span>compare with</span>
          <span class="ellipsis"
            >${this.corrections.target ?? (hasTarget ? 'a picture beside the file' : 'no picture')}</span
          >
          <button class="link" data-testid="pick-target" @click=${() => this.pickTarget()}>Choose…</button>
        </div>
        ${this.rankedView()}
      </section>
      <section class="view" aria-label="Preview" aria-busy=${this.working}>
        <canvas
          id="preview"
          data-testid="preview"
          class=${this.problem ? 'stale' : ''}
          role="img"
          aria-label="Preview under these settings"
        ></canvas>
        <div class="muted number" role="status" data-testid="preview-facts">
          ${
            this.problem
              ? html`<p class="problem">${this.problem}</p>`
              : this.working
                ? 'Drawing …'
                : [
                    inspection.title,
                    `${inspection.signal.height}×${inspection.signal.width}`,
                    ...(this.shown?.psnr === undefined ? [] : [decibel(this.shown.psnr)]),
                  ].join(' · ')
          }
        </div>
      </section>
      <footer>
        <span class="muted ellipsis"
          >${file ? `Kept in ${file}` : 'Kept with this workspace unless saved beside the checkpoint'}</span
        >
        <vscode-button secondary @click=${close}>Cancel</vscode-button>
        ${
          file
            ? nothing
            : html`<vscode-button
                secondary
                data-testid="apply-save"
                ?disabled=${this.problem !== null}
                title="Writes ${this.name}.inr.json, which can be committed"
                @click=${() => this.apply(true)}
                >Apply and Save Beside Checkpoint</vscode-button
              >`
        }
        <vscode-button
          data-testid="apply"
          ?disabled=${this.problem !== null}
          @click=${() => this.apply(false)}
          >Apply</vscode-button
        >
      </footer>
    `;
  }

  private setting(shown: Assumption) {
    const { name, value, choices } = shown;
    const corrected = name in this.corrections;
    // The preview only repeats what was found before; the reason stands there.
    const before = this.base.assumptions.find((other) => other.name === name && other.value === value);
    const { source, confidence, detail } = before ?? shown;
    const id = `setting-${name}`;
    const change = (event: Event) =>
      this.correct(name, (event.target as HTMLInputElement | HTMLSelectElement).value);
    const text = this.corrections[name] ?? String(value);
    const options = choices && !choices.includes(text) ? [text, ...choices] : (choices ?? []);
    // Numbers can be any; the choices are the usual ones.
    const control =
      choices && typeof value !== 'number'
        ? html`<select id=${id} data-testid=${id} @change=${change}>
            ${options.map((choice) => html`<option value=${choice} ?selected=${choice === text}>${choice}</option>`)}
          </select>`
        : html`<input
              id=${id}
              data-testid=${id}
              type="text"
              inputmode=${typeof value === 'number' ? 'decimal' : 'text'}
              list=${`${id}-usual`}
              spellcheck="false"
              .value=${text}
              @change=${change}
            /><datalist id=${`${id}-usual`}>
              ${(choices ?? []).map((choice) => html`<option value=${choice}></option>`)}
            </datalist>`;
    // “hyper-parameters: first_omega_0” names its source already.
    const told = detail?.startsWith(source);
    const sure = `${percent(confidence, 0)} sure`;
    const why = told ? `${detail}, ${sure}` : `${source}, ${sure}${detail ? ` — ${detail}` : ''}`;
    return html`<div class="setting">
      <label for=${id}>${parameterName(name)}</label>
      <span>${control}</span>
      ${
        corrected
          ? html`<button class="link" title="Decide automatically" @click=${() => this.correct(name, '')}>
              Reset
            </button>`
          : html`<span></span>`
      }
      <span class="why muted">${corrected ? 'set by you' : why}</span>
    </div>`;
  }

  /** What tells an alternative from the present settings. */
  private differences({ values }: Alternative): string {
    const { assumed } = this;
    const different = Object.entries(values).filter(([name, value]) => assumed[name] !== value);
    return different.map(([name, value]) => `${parameterName(name)} = ${value}`).join(', ') || 'as assumed';
  }

  private chosen({ values }: Alternative): boolean {
    const { assumed, corrections } = this;
    return Object.entries(values).every(
      ([name, value]) => (corrections[name] ?? String(assumed[name])) === String(value),
    );
  }

  private choose(alternative: Alternative): void {
    const { assumed } = this;
    const kept = 'target' in this.corrections ? { target: this.corrections.target } : {};
    const different = Object.entries(alternative.values).filter(([name, value]) => assumed[name] !== value);
    this.set({ ...kept, ...textsOf(Object.fromEntries(different)) });
  }

  private tiedView() {
    const { tied } = this;
    if (tied.length === 0) return nothing;
    return html`<h2>Which one looks right?</h2>
      <div class="thumbnails">
        ${tied.map(
          (alternative, i) =>
            html`<button
              data-testid="tied-${i}"
              aria-pressed=${this.chosen(alternative)}
              @click=${() => this.choose(alternative)}
            >
              <canvas id="thumbnail-${i}" aria-hidden="true"></canvas>
              <span>${this.differences(alternative)}</span>
            </button>`,
        )}
      </div>`;
  }

  private rankedView() {
    const ranked = this.base.alternatives.filter(({ psnr }) => psnr !== undefined);
    if (ranked.length < 2) return nothing;
    return html`<h2>Scored against the picture</h2>
      <div class="ranked">
        ${ranked.map(
          (alternative) =>
            html`<button aria-pressed=${this.chosen(alternative)} @click=${() => this.choose(alternative)}>
              <span class="number">${decibel(alternative.psnr!)}</span>
              <span class="ellipsis">${this.differences(alternative)}</span>
            </button>`,
        )}
      </div>`;
  }
}

const textsOf = (values: Alternative['values']): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));

function paint(canvas: HTMLCanvasElement | null, { width, height, rgba }: Bitmap): void {
  if (!canvas) return;
  canvas.width = width;
  canvas.height = height;
  canvas.getContext('2d')?.putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), 0, 0);
}

declare global {
  interface HTMLElementTagNameMap {
    'nc-change-form': ChangeForm;
  }
}
