import '@vscode-elements/elements/dist/vscode-icon/index.js';
import { css, html, LitElement } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { controls } from './controls';
import { base } from './styles';

/**
 * Controls that stand in a row where there is room, and behind a button where there is none: the panel is a
 * container (`container-type: inline-size`), and `--wide` decides as a container query does.
 */
@customElement('nc-disclosure')
export class Disclosure extends LitElement {
  static override styles = [
    base,
    controls,
    css`
      :host {
        position: relative;
        display: flex;
      }
      .content {
        position: absolute;
        z-index: 10;
        top: calc(100% + 4px);
        right: 0;
        display: flex;
        flex-direction: column;
        align-items: stretch;
        gap: 8px;
        min-width: 180px;
        padding: 10px 12px;
        color: var(--vscode-menu-foreground);
        background: var(--vscode-menu-background);
        border: 1px solid var(--vscode-menu-border, var(--line));
        border-radius: 6px;
        box-shadow: 0 2px 8px var(--vscode-widget-shadow, transparent);
      }
      :host(:not([open])) .content {
        display: none;
      }
      @container (min-width: 1240px) {
        button.icon {
          display: none;
        }
        :host .content,
        :host(:not([open])) .content {
          all: unset;
          display: flex;
          flex-wrap: wrap;
          align-items: center;
          gap: 2px 12px;
        }
      }
    `,
  ];

  @property() label = '';
  @property() icon = 'settings';
  @state() private isOpen = false;
  private readonly closeOutside = (event: Event) => {
    if (this.isOpen && !event.composedPath().includes(this)) this.open(false);
  };

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('pointerdown', this.closeOutside);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener('pointerdown', this.closeOutside);
  }

  private open(open: boolean): void {
    this.isOpen = open;
    this.toggleAttribute('open', open);
  }

  private key(event: KeyboardEvent): void {
    if (event.key !== 'Escape' || !this.isOpen) return;
    event.stopPropagation();
    this.open(false);
    this.renderRoot.querySelector('button')?.focus();
  }

  override render() {
    return html`<button
        class="icon"
        type="button"
        title=${this.label}
        aria-label=${this.label}
        aria-expanded=${this.isOpen}
        data-testid="disclosure"
        @click=${() => this.open(!this.isOpen)}
        @keydown=${this.key}
      >
        <vscode-icon name=${this.icon}></vscode-icon>
      </button>
      <div class="content" @keydown=${this.key}><slot></slot></div>`;
  }
}
