import '@vscode-elements/elements/dist/vscode-button/index.js';
import '@vscode-elements/elements/dist/vscode-icon/index.js';
import { html, LitElement, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import type { FindingsDocument } from '../../src/findings/document';
import type { Child } from '../../src/findings/element';
import { page } from '../../src/findings/page';
import type { FindingsChange } from '../../src/panels/findingsWork';
import { findingsJson, findingsMarkdown, reportHtml } from '../../src/findings/report';
import { fillPage } from '../shared/page';
import { Session } from '../shared/session';
import { notice, progressBar, sessionNotice } from '../shared/status';
import { styles } from './styles';

const SVG = 'http://www.w3.org/2000/svg';

/** Builds nodes, never markup: names in findings come from strangers' files. */
function toDom(child: Child, namespace: string | null = null): Node {
  if (typeof child === 'string') return document.createTextNode(child);
  const inside = child.tag === 'svg' ? SVG : namespace;
  const element = inside ? document.createElementNS(inside, child.tag) : document.createElement(child.tag);
  for (const [name, value] of Object.entries(child.attributes)) element.setAttribute(name, value);
  element.append(...child.children.map((own) => toDom(own, inside)));
  return element;
}

/** What a trace says about its network, in words, numbers and figures. */
@customElement('nc-findings')
export class FindingsView extends LitElement {
  static override styles = styles;

  private readonly session = new Session(this);
  @state() private said = '';
  /** What the article shows. */
  private shown: FindingsDocument | null = null;

  private get findings(): FindingsDocument | null {
    return this.session.findings?.findings ?? null;
  }

  protected override updated(): void {
    const { findings } = this;
    const { view } = this.session;
    // Findings may not have been wanted before this page was opened.
    if (
      view?.status.state === 'ready' &&
      !findings &&
      !this.session.findings?.working &&
      !this.session.findings?.error
    ) {
      this.session.host.post({ type: 'analyse' });
    }
    const place = this.renderRoot.querySelector('.article');
    if (!findings || !place || (this.shown === findings && place.childElementCount > 0)) return;
    const open = place.querySelector('details')?.open;
    this.shown = findings;
    place.replaceChildren(toDom(page(findings, true)));
    const details = place.querySelector('details');
    if (details && open) details.open = true;
  }

  /** Buttons in the article name neurons: they are selected in all panels. */
  private pick(event: Event): void {
    const button = (event.target as Element).closest<HTMLElement>('[data-neurons]');
    if (!button) return;
    const layer = Number(button.dataset.layer);
    const neurons = (button.dataset.neurons ?? '').split(' ').map(Number);
    this.session.select({ layer, neurons: neurons.map((neuron) => ({ layer, neuron })) });
    const unit = this.session.layers[layer]?.convolution ? 'kernel' : 'neuron';
    this.said =
      neurons.length === 1
        ? `${unit === 'kernel' ? 'Kernel' : 'Neuron'} ${neurons[0]} selected.`
        : `${neurons.length} ${unit}s selected.`;
  }

  private async save(kind: 'html' | 'json'): Promise<void> {
    const { findings } = this;
    if (!findings) return;
    const text = kind === 'html' ? reportHtml(findings) : findingsJson(findings);
    const suggestedName = `${findings.file.replace(/\.[^.]*$/, '')}-findings.${kind}`;
    const bytes = new TextEncoder().encode(text);
    await this.tell(
      this.session.host
        .call('save', { suggestedName, bytes })
        .then((name) => (name ? `Saved as ${name}.` : '')),
    );
  }

  private async copy(): Promise<void> {
    const { findings } = this;
    if (!findings) return;
    const text = findingsMarkdown(findings);
    await this.tell(this.session.host.call('copyText', { text }).then(() => 'Copied as Markdown.'));
  }

  private async addObjects(): Promise<void> {
    await this.tell(
      this.session.host.call('pickMask', { folder: this.session.findings?.clip ?? false }).then((objects) => {
        if (objects !== null) this.analyse({ objects });
        return '';
      }),
    );
  }

  private async tell(done: Promise<string>): Promise<void> {
    try {
      this.said = await done;
    } catch (error) {
      this.said = error instanceof Error ? error.message : String(error);
    }
  }

  override render() {
    const early = sessionNotice(
      this.session,
      'Says in words and numbers what a network does: whether its work is distributed, what its neurons prefer, and whether the maps are to be believed.',
    );
    if (early) return early;
    const { findings } = this;
    const { working = null, error = null, objects = null, clip = false } = this.session.findings ?? {};
    if (!findings) {
      if (error) {
        return notice(
          'findings-failed',
          html`<p>${error}</p>
            <div class="choices">
              <vscode-button @click=${() => this.analyse({})}>Analyse Again</vscode-button>
              ${
                clip
                  ? html`<vscode-button secondary @click=${() => this.analyse({ clip: false })}
                      >Analyse the Frame</vscode-button
                    >`
                  : nothing
              }
              ${
                objects === null
                  ? nothing
                  : html`<vscode-button secondary @click=${() => this.analyse({ objects: null })}
                      >Without ${objects.split('/').at(-1)}</vscode-button
                    >`
              }
            </div>`,
        );
      }
      const detail = working?.detail ?? 'Grouping neurons first';
      return notice(
        'analysing',
        html`<p>${detail}</p>
          ${progressBar(detail, working?.fraction ?? null)}`,
      );
    }
    return html`<div class="panel">
      <div class="toolbar">
        ${this.scope(findings)} ${this.button('html', 'file-code', 'Export as HTML', () => this.save('html'))}
        ${this.button('json', 'json', 'Export as JSON', () => this.save('json'))}
        ${this.button('markdown', 'copy', 'Copy as Markdown', () => this.copy())}
        ${
          objects === null
            ? this.button(
                'objects',
                'symbol-misc',
                'Add Objects…',
                () => this.addObjects(),
                clip
                  ? 'A folder with one label image a frame: which neurons draw which object?'
                  : 'A PNG whose values are labels: which neurons draw which object?',
              )
            : this.button('no-objects', 'close', `Without ${objects.split('/').at(-1)}`, () =>
                this.analyse({ objects: null }),
              )
        }
        <span class="said ellipsis ${error ? 'failed' : 'muted'}" role="status" data-testid="findings-status">
          ${working ? working.detail : (error ?? this.said)}
        </span>
        ${
          working
            ? html`<button
                type="button"
                class="link"
                @click=${() => this.session.host.post({ type: 'stopAnalysing' })}
              >
                Stop
              </button>`
            : findings.milliseconds === null
              ? html`<button type="button" class="link" @click=${() => this.analyse({})}>Continue</button>`
              : nothing
        }
      </div>
      ${working ? html`<div class="pending">${progressBar(working.detail, working.fraction)}</div>` : nothing}
      <div class="article" tabindex="0" @click=${(event: Event) => this.pick(event)}></div>
    </div>`;
  }

  private analyse(change: FindingsChange): void {
    this.session.host.post({ type: 'analyse', change });
  }

  /** Of a video: the frame shown, or the clip; and another frame, when that is shown by now. */
  private scope({ frames }: FindingsDocument) {
    const { inspection, frame = null } = this.session.view ?? {};
    const { clip = false } = this.session.findings ?? {};
    if (frame === null || inspection?.signal.kind !== 'video') return nothing;
    const choose = (event: Event) =>
      this.analyse({ clip: (event.target as HTMLSelectElement).value === 'clip' });
    return html`<select
        class="scope"
        aria-label="Frames that findings are over"
        data-testid="findings-scope"
        @change=${choose}
      >
        <option value="frame" .selected=${live(!clip)}>
          ${clip ? `Frame ${frame}` : `Frame ${frames[0]}`}
        </option>
        <option value="clip" .selected=${live(clip)}>Whole clip</option>
      </select>
      ${
        clip || frames[0] === frame
          ? nothing
          : this.button('frame', 'refresh', `Analyse Frame ${frame}`, () => this.analyse({}))
      }`;
  }

  private button(id: string, icon: string, label: string, run: () => unknown, title = label) {
    return html`<button
      type="button"
      class="action"
      title=${title}
      data-testid="findings-${id}"
      @click=${run}
    >
      <vscode-icon name=${icon}></vscode-icon><span>${label}</span>
    </button>`;
  }
}

fillPage();
