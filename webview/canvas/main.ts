import '@vscode-elements/elements/dist/vscode-button/index.js';
import '@vscode-elements/elements/dist/vscode-icon/index.js';
import { html, LitElement, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import type { Inspection } from '../../src/worker/protocol';
import { percent } from '../shared/format';
import { Canvas } from './canvas';
import './changeForm';
import type { Change } from './changeForm';
import './exportDialog';
import type { OverflowRow } from '../shared/overflow';
import { divider } from './divider';
import { inSlot } from './parts';
import { pictureArea } from './pictureArea';
import { sheetArea } from './sheetArea';
import * as states from './states';
import { styles } from './styles';
import { toolbar } from './toolbar';

/**
 * The neural canvas: the picture above, every neuron's map of a layer below. What it consists of is in
 * `parts.ts`, `modes.ts` and `actions.ts`; what all of it shares is `canvas.ts`.
 */
@customElement('nc-canvas')
export class CanvasView extends LitElement {
  static override styles = styles;

  private readonly canvas: Canvas = new Canvas(this);

  private readonly actions: states.Actions = {
    command: (command) => this.canvas.session.host.post({ type: 'command', command }),
    retrace: () => this.canvas.session.host.post({ type: 'retrace' }),
    cancel: () => this.canvas.session.host.post({ type: 'cancel' }),
  };

  override willUpdate(): void {
    this.canvas.update();
  }

  override render() {
    const { canvas } = this;
    const { view, reconstruction } = canvas.session;
    if (view === undefined) return nothing;
    if (view === null) return states.nothingOpen(this.actions);
    const { status } = view;
    if (status.state === 'not-an-inr') return states.notAnInr(view, status.report, this.actions);
    if (status.state === 'failed') return states.failed(view, status.message, this.actions);
    if (!reconstruction) {
      return status.state === 'tracing'
        ? states.tracing(status.detail, status.fraction, this.actions)
        : states.cancelled(view, this.actions);
    }
    if (canvas.changing && view.inspection) return this.changeForm(view.name, view.inspection);
    const { split } = canvas.intent.value;
    return html`${toolbar(canvas)} ${inSlot(canvas, 'banner')}
      <main style="grid-template-rows: minmax(140px, ${split}fr) auto auto minmax(120px, ${1 - split}fr)">
        ${pictureArea(canvas)}
        <div class="under">${inSlot(canvas, 'underPicture')}</div>
        ${divider(canvas)} ${sheetArea(canvas)}
      </main>
      ${canvas.exporting ? this.exportDialog() : nothing}
      <div class="visually-hidden" role="status" aria-live="polite">${this.announcement()}</div>
      <div class="visually-hidden" role="status" aria-live="polite" data-testid="said">${canvas.said}</div>`;
  }

  private changeForm(name: string, inspection: Inspection) {
    const { canvas } = this;
    const close = () => {
      canvas.changing = false;
      this.requestUpdate();
    };
    return html`<nc-change-form
      .host=${canvas.session.host}
      .inspection=${inspection}
      .name=${name}
      @close=${close}
      @apply=${({ detail }: CustomEvent<Change>) => {
        close();
        canvas.session.host.post({ type: 'apply', ...detail });
      }}
    ></nc-change-form>`;
  }

  private exportDialog() {
    const { canvas } = this;
    const close = () => {
      canvas.exporting = false;
      this.requestUpdate();
      this.renderRoot.querySelector<OverflowRow>('.actions')?.focusEntry('export');
    };
    return html`<nc-export .canvas=${canvas} @close=${close}></nc-export>`;
  }

  private announcement(): string {
    const { selected, layer } = this.canvas;
    if (!layer || selected.length === 0) return '';
    if (selected.length > 1) return `${selected.length} neurons selected`;
    return `Neuron ${selected[0]} selected, share ${percent(layer.statistics.share[selected[0]])}`;
  }
}
