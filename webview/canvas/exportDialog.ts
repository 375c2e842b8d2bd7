import '@vscode-elements/elements/dist/vscode-button/index.js';
import { css, html, LitElement, nothing } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { controls } from '../shared/controls';
import { OutdatedError } from '../shared/host';
import { base } from '../shared/styles';
import type { Canvas } from './canvas';
import { figure, png, type FigureOptions } from './figure';

const defaults = { content: 'picture', scale: 2, scaleBar: true, caption: true, forPrint: false };

/**
 * Figure and files of what the canvas shows.
 * @fires close
 */
@customElement('nc-export')
export class ExportDialog extends LitElement {
  static override styles = [
    base,
    controls,
    css`
      :host {
        position: absolute;
        z-index: 20;
        top: 36px;
        right: 12px;
        width: min(320px, calc(100% - 24px));
        max-height: calc(100% - 48px);
        overflow: auto;
        padding: 12px;
        color: var(--vscode-menu-foreground);
        background: var(--vscode-menu-background);
        border: 1px solid var(--vscode-menu-border, var(--line));
        border-radius: 6px;
        box-shadow: 0 4px 16px var(--vscode-widget-shadow, transparent);
      }
      h2 {
        margin-bottom: 8px;
      }
      .preview {
        display: flex;
        align-items: center;
        justify-content: center;
        height: 140px;
        margin-bottom: 10px;
        border: 1px solid var(--line);
        border-radius: 3px;
        background: var(--vscode-editor-background);
        overflow: hidden;
      }
      .preview canvas {
        max-width: 100%;
        max-height: 100%;
      }
      .grid {
        display: grid;
        grid-template-columns: auto 1fr;
        align-items: center;
        gap: 6px 10px;
        margin-bottom: 12px;
      }
      .grid label.check {
        grid-column: 2;
        display: flex;
        align-items: center;
        gap: 6px;
      }
      input[type='checkbox'] {
        margin: 0;
        accent-color: var(--vscode-progressBar-background, var(--accent));
      }
      .buttons {
        display: flex;
        flex-wrap: wrap;
        gap: 8px;
      }
      hr {
        margin: 12px -12px;
        border: none;
        border-top: 1px solid var(--line);
      }
      p {
        margin: 8px 0 0;
      }
      .failed {
        color: var(--vscode-errorForeground);
      }
    `,
  ];

  @property({ attribute: false }) canvas!: Canvas;
  @state() private message: { readonly text: string; readonly failed: boolean } | null = null;
  @state() private busy = false;
  @query('.preview') private readonly preview!: HTMLElement;

  private get options(): FigureOptions {
    const kept = this.canvas.kept('export', defaults);
    const content = kept.content === 'maps' ? 'maps' : 'picture';
    return { ...kept, content, scale: Math.max(1, Math.min(4, Math.round(kept.scale))) };
  }

  private get name(): string {
    return this.canvas.session.view?.name.replace(/\.[^.]*$/, '') ?? 'canvas';
  }

  override firstUpdated(): void {
    this.renderRoot.querySelector('select')?.focus();
  }

  override updated(): void {
    let content: Node;
    try {
      content = figure(this.canvas, { ...this.options, scale: 1 });
    } catch (error) {
      content = document.createTextNode(error instanceof Error ? error.message : String(error));
    }
    this.preview.replaceChildren(content);
  }

  private set(change: Partial<FigureOptions>): void {
    this.message = null;
    this.canvas.keep('export', change);
    this.requestUpdate();
  }

  /** Does something that takes its time, and says how it went. @param act resolves to what to say, null when nothing */
  private async run(act: () => Promise<string | null>): Promise<void> {
    this.busy = true;
    try {
      const text = await act();
      this.message = text === null ? null : { text, failed: false };
    } catch (error) {
      if (error instanceof OutdatedError) return;
      this.message = { text: error instanceof Error ? error.message : String(error), failed: true };
    } finally {
      this.busy = false;
    }
  }

  private save(): Promise<void> {
    return this.run(async () => {
      const blob = await png(figure(this.canvas, this.options));
      const bytes = new Uint8Array(await blob.arrayBuffer());
      const { content } = this.options;
      const suggestedName = `${this.name}-${content === 'maps' ? 'maps' : this.canvas.mode.id}.png`;
      const saved = await this.canvas.session.host.call('save', { suggestedName, bytes });
      return saved && `Saved ${saved}.`;
    });
  }

  private copy(): Promise<void> {
    return this.run(async () => {
      // The promise inside the item keeps the click's permission while the figure is drawn.
      const item = new ClipboardItem({ 'image/png': png(figure(this.canvas, this.options)) });
      await navigator.clipboard.write([item]).catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        throw new Error(`The clipboard refused the figure (${why}); save it instead.`);
      });
      return 'The figure is on the clipboard.';
    });
  }

  private saveMaps(): Promise<void> {
    return this.run(async () => {
      const saved = await this.canvas.session.host.call('saveMaps', null);
      return saved && `Saved ${saved}; numpy.load reads it.`;
    });
  }

  private close(): void {
    this.dispatchEvent(new CustomEvent('close'));
  }

  override render() {
    const { options, busy, message } = this;
    const checked = (event: Event) => (event.target as HTMLInputElement).checked;
    const value = (event: Event) => (event.target as HTMLSelectElement).value;
    const check = (name: 'scaleBar' | 'caption' | 'forPrint', label: string) =>
      html`<label class="check"
        ><input
          type="checkbox"
          data-testid="export-${name}"
          .checked=${options[name]}
          @change=${(event: Event) => this.set({ [name]: checked(event) })}
        />${label}</label
      >`;
    return html`<div
      role="dialog"
      aria-label="Export"
      data-testid="export"
      @keydown=${(event: KeyboardEvent) => {
        if (event.key !== 'Escape') return;
        event.stopPropagation();
        this.close();
      }}
    >
      <h2>Figure</h2>
      <div class="preview" role="img" aria-label="Preview of the figure"></div>
      <div class="grid">
        <label for="content">Shows</label>
        <select
          id="content"
          data-testid="export-content"
          @change=${(event: Event) => this.set({ content: value(event) === 'maps' ? 'maps' : 'picture' })}
        >
          <option value="picture" ?selected=${options.content === 'picture'}>
            ${this.canvas.mode.name(this.canvas)}
          </option>
          <option value="maps" ?selected=${options.content === 'maps'}>Maps of the layer</option>
        </select>
        <label for="scale">Scale</label>
        <select
          id="scale"
          data-testid="export-scale"
          @change=${(event: Event) => this.set({ scale: Number(value(event)) })}
        >
          ${[1, 2, 3, 4].map(
            (scale) => html`<option value=${scale} ?selected=${scale === options.scale}>${scale}×</option>`,
          )}
        </select>
        ${options.content === 'picture' ? check('scaleBar', 'Scale bar and colours') : nothing}
        ${check('caption', 'Caption')} ${check('forPrint', 'Black on white, for print')}
      </div>
      <div class="buttons">
        <vscode-button data-testid="export-png" ?disabled=${busy} @click=${() => this.save()}
          >Save PNG…</vscode-button
        >
        <vscode-button secondary data-testid="export-copy" ?disabled=${busy} @click=${() => this.copy()}
          >Copy</vscode-button
        >
      </div>
      <hr />
      <h2>Data</h2>
      <div class="buttons">
        <vscode-button secondary data-testid="export-npz" ?disabled=${busy} @click=${() => this.saveMaps()}
          >Save All Maps as NPZ…</vscode-button
        >
      </div>
      <p class="muted">The table is saved as CSV from Neuron Rankings.</p>
      <p role="status" class=${message?.failed ? 'failed' : ''} data-testid="export-message">
        ${message?.text ?? ''}
      </p>
    </div>`;
  }
}
