import '@vscode-elements/elements/dist/vscode-icon/index.js';
import { css, html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { controls } from './controls';
import { base } from './styles';

export interface Entry {
  readonly id: string;
  readonly label: string;
  /** Shown when the labels do not all fit. */
  readonly short?: string;
  /** Codicon in place of the label. */
  readonly icon?: string;
  readonly title?: string;
  readonly checked?: boolean;
  readonly disabled?: boolean;
  readonly testId?: string;
}

/** Space between two buttons, and the menu's button with it, CSS pixels. */
const GAP = 2;
const MENU = 26;

/**
 * Which entries stay in a row, given their widths: as many as fit, in their order, and always the chosen one.
 * @returns their indices
 */
export function fitting(widths: readonly number[], room: number, chosen: number): number[] {
  const whole = widths.reduce((sum, width) => sum + width + GAP, -GAP);
  if (whole <= room) return [...widths.keys()];
  let left = room - MENU - (chosen >= 0 ? widths[chosen] + GAP : 0);
  const shown: number[] = [];
  let full = false;
  for (const [i, width] of widths.entries()) {
    if (i === chosen) shown.push(i);
    else if (!full && width + GAP <= left) {
      left -= width + GAP;
      shown.push(i);
    } else full = true;
  }
  return shown;
}

/**
 * A row of buttons that never wraps: first the labels become short, then what has no room moves into a menu.
 * As a radio group one of them is chosen, and the arrow keys move between them.
 * @fires choose-entry detail: id
 */
@customElement('nc-overflow')
export class OverflowRow extends LitElement {
  static override styles = [
    base,
    controls,
    css`
      :host {
        display: flex;
        position: relative;
        min-width: 26px;
      }
      .row {
        display: flex;
        flex: 1;
        gap: 2px;
        min-width: 0;
      }
      :host([end]) .row {
        justify-content: flex-end;
      }
      .row button.away {
        position: absolute;
        visibility: hidden;
      }
      button.text {
        flex: none;
        height: 22px;
        padding: 0 8px;
        border-radius: 5px;
        white-space: nowrap;
        color: var(--muted);
      }
      button.text:hover:enabled {
        color: var(--vscode-foreground);
        background: var(--vscode-toolbar-hoverBackground);
      }
      button.text[aria-checked='true'] {
        color: var(--vscode-foreground);
        background: var(--vscode-toolbar-activeBackground, var(--vscode-list-inactiveSelectionBackground));
        outline: 1px solid var(--vscode-contrastActiveBorder, transparent);
        outline-offset: -1px;
      }
      button.text:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
      }
      .menu {
        position: absolute;
        z-index: 10;
        top: calc(100% + 2px);
        right: 0;
        min-width: 160px;
        padding: 4px;
        border: 1px solid var(--vscode-menu-border, var(--line));
        border-radius: 6px;
        color: var(--vscode-menu-foreground);
        background: var(--vscode-menu-background);
        box-shadow: 0 2px 8px var(--vscode-widget-shadow, transparent);
      }
      .menu button {
        display: flex;
        align-items: center;
        gap: 8px;
        width: 100%;
        height: 24px;
        padding: 0 8px;
        white-space: nowrap;
        text-align: left;
      }
      .menu button:hover:enabled,
      .menu button:focus {
        color: var(--vscode-menu-selectionForeground);
        background: var(--vscode-menu-selectionBackground);
        outline: 1px solid var(--vscode-menu-selectionBorder, transparent);
        outline-offset: -1px;
      }
    `,
  ];

  @property({ attribute: false }) entries: readonly Entry[] = [];
  @property() label = '';
  /** One of the entries is chosen; otherwise each acts on its own. */
  @property({ type: Boolean }) radio = false;
  @state() private shown: readonly number[] = [];
  @state() private useShort = false;
  @state() private open = false;
  private readonly resized = new ResizeObserver(() => this.measure());
  private readonly closeOutside = (event: Event) => {
    if (!event.composedPath().includes(this)) this.open = false;
  };

  override connectedCallback(): void {
    super.connectedCallback();
    this.resized.observe(this);
    document.addEventListener('pointerdown', this.closeOutside);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resized.disconnect();
    document.removeEventListener('pointerdown', this.closeOutside);
  }

  override render() {
    const { entries, radio } = this;
    const away = entries.filter((_, i) => !this.shown.includes(i));
    const chosen = entries.findIndex(({ checked }) => checked);
    const tabStop = chosen >= 0 ? chosen : entries.findIndex(({ disabled }) => !disabled);
    const button = (entry: Entry, i: number) => {
      const isAway = !this.shown.includes(i);
      return html`<button
        class="${entry.icon ? 'icon' : 'text'} ${isAway ? 'away' : ''}"
        role=${radio ? 'radio' : nothing}
        aria-checked=${radio ? entry.checked === true : nothing}
        aria-pressed=${!radio && entry.checked !== undefined ? entry.checked : nothing}
        aria-label=${entry.label}
        aria-hidden=${isAway ? 'true' : nothing}
        data-testid=${isAway ? nothing : (entry.testId ?? nothing)}
        tabindex=${isAway || (radio && i !== tabStop) ? -1 : 0}
        title=${entry.title ?? (entry.icon || this.useShort ? entry.label : '')}
        ?disabled=${entry.disabled}
        @click=${() => this.choose(entry.id)}
      >
        ${
          entry.icon
            ? html`<vscode-icon name=${entry.icon}></vscode-icon>`
            : this.useShort
              ? (entry.short ?? entry.label)
              : entry.label
        }
      </button>`;
    };
    return html`<div
        class="row"
        role=${radio ? 'radiogroup' : 'toolbar'}
        aria-label=${this.label}
        @keydown=${this.key}
      >
        ${entries.map(button)}
      </div>
      ${
        away.length === 0
          ? nothing
          : html`<button
              class="icon"
              data-testid="more"
              aria-label="More: ${this.label}"
              title="More"
              aria-haspopup="menu"
              aria-expanded=${this.open}
              @click=${() => this.toggle()}
            >
              <vscode-icon name=${radio ? 'chevron-down' : 'ellipsis'}></vscode-icon>
            </button>`
      }
      ${
        this.open && away.length > 0
          ? html`<div class="menu" role="menu" aria-label=${this.label} @keydown=${this.menuKey}>
              ${away.map(
                (entry) =>
                  html`<button
                    role=${radio ? 'menuitemradio' : entry.checked !== undefined ? 'menuitemcheckbox' : 'menuitem'}
                    aria-checked=${radio || entry.checked !== undefined ? entry.checked === true : nothing}
                    data-testid=${entry.testId ?? nothing}
                    title=${entry.title ?? ''}
                    tabindex="-1"
                    ?disabled=${entry.disabled}
                    @click=${() => this.choose(entry.id)}
                  >
                    ${entry.icon ? html`<vscode-icon name=${entry.icon}></vscode-icon>` : nothing}
                    ${entry.label}
                  </button>`,
              )}
            </div>`
          : nothing
      }`;
  }

  override updated(changed: PropertyValues<this>): void {
    if (changed.has('entries')) this.measure();
  }

  private measure(): void {
    const buttons = [...this.renderRoot.querySelectorAll<HTMLElement>('.row > button')];
    const room = this.clientWidth;
    if (buttons.length === 0 || room === 0) return;
    const chosen = this.radio ? this.entries.findIndex(({ checked }) => checked) : -1;
    // Both lengths are measured in the button itself: what is drawn depends on its font.
    const widths = (short: boolean) =>
      buttons.map((button, i) => {
        const { icon, label, short: few } = this.entries[i];
        if (icon) return 22;
        const shown = this.useShort ? (few ?? label) : label;
        const wanted = short ? (few ?? label) : label;
        return (
          button.offsetWidth + (shown === wanted ? 0 : textWidth(button, wanted) - textWidth(button, shown))
        );
      });
    const long = widths(false);
    const useShort = fitting(long, room, chosen).length < long.length;
    const shown = fitting(useShort ? widths(true) : long, room, chosen);
    if (useShort !== this.useShort) this.useShort = useShort;
    if (shown.join() !== this.shown.join()) this.shown = shown;
    if (shown.length === buttons.length) this.open = false;
  }

  /** Puts the focus on an entry, or on the menu that holds it. */
  focusEntry(id: string): void {
    const at = this.entries.findIndex((entry) => entry.id === id);
    const button = this.shown.includes(at)
      ? this.renderRoot.querySelectorAll<HTMLElement>('.row > button')[at]
      : this.renderRoot.querySelector<HTMLElement>('[data-testid=more]');
    button?.focus();
  }

  private choose(id: string): void {
    this.open = false;
    this.dispatchEvent(new CustomEvent('choose-entry', { detail: id }));
  }

  private toggle(): void {
    this.open = !this.open;
    if (this.open) void this.updateComplete.then(() => this.focusItem(0));
  }

  private focusItem(at: number): void {
    const items = [...this.renderRoot.querySelectorAll<HTMLElement>('.menu button:enabled')];
    items.at(at % Math.max(1, items.length))?.focus();
  }

  private menuKey(event: KeyboardEvent): void {
    const items = [...this.renderRoot.querySelectorAll<HTMLElement>('.menu button:enabled')];
    const at = items.indexOf((this.renderRoot as ShadowRoot).activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to !== undefined) this.focusItem(to);
    else if (event.key === 'Escape' || event.key === 'Tab') {
      this.open = false;
      this.renderRoot.querySelector<HTMLElement>('[data-testid=more]')?.focus();
      if (event.key === 'Tab') return;
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private key(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!this.radio || step === undefined) return;
    const possible = this.entries.filter(({ disabled }) => !disabled);
    const at = possible.findIndex(({ checked }) => checked);
    const to = possible.at((at + step) % possible.length);
    event.preventDefault();
    if (!to) return;
    this.choose(to.id);
    void this.updateComplete.then(() =>
      requestAnimationFrame(() =>
        this.renderRoot.querySelector<HTMLElement>('.row [aria-checked=true]')?.focus(),
      ),
    );
  }
}

let pen: CanvasRenderingContext2D | null = null;

function textWidth(element: HTMLElement, text: string): number {
  pen ??= document.createElement('canvas').getContext('2d');
  if (!pen) return 8 * text.length;
  pen.font = getComputedStyle(element).font;
  return Math.ceil(pen.measureText(text).width);
}
