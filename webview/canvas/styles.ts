import { css } from 'lit';
import { controls } from '../shared/controls';
import { base } from '../shared/styles';

export const styles = [
  base,
  controls,
  css`
    :host {
      display: flex;
      flex-direction: column;
      height: 100vh;
      min-width: 0;
      container-type: inline-size;
      overflow: hidden;
      background: var(--vscode-editor-background);
    }
    header {
      display: grid;
      grid-template-columns: minmax(0, 1fr) auto;
      align-items: center;
      gap: 2px 8px;
      padding: 6px 12px 4px;
    }
    .actions {
      /* No more than its buttons, no less than the menu: the modes take what is left. */
      width: min(calc(24px * var(--count)), 30cqw);
    }
    .facts {
      padding: 0 8px;
      font-size: 12px;
    }
    header .status {
      justify-content: flex-end;
    }
    .row {
      display: flex;
      align-items: center;
      gap: 8px;
      min-width: 0;
    }
    .status {
      flex: 0 1 auto;
    }
    .progress {
      width: 240px;
      max-width: 100%;
      height: 3px;
      border-radius: 2px;
      overflow: hidden;
      background: var(--vscode-editorWidget-background, #8883);
    }
    .progress.small {
      width: 64px;
      flex: none;
    }
    .progress i {
      display: block;
      height: 100%;
      background: var(--vscode-progressBar-background);
    }
    .drawing {
      color: var(--muted);
    }
    .drawing.error {
      color: var(--vscode-errorForeground);
    }
    .skeleton {
      display: grid;
      grid-template: minmax(0, 3fr) minmax(0, 2fr) / minmax(0, 2fr) minmax(0, 1fr);
      gap: 12px;
      width: min(80%, 420px);
      aspect-ratio: 4 / 3;
      max-height: 50%;
      animation: breathe 2.4s ease-in-out infinite;
    }
    .skeleton i {
      display: block;
      border: 1px solid var(--vscode-contrastBorder, transparent);
      border-radius: 3px;
      background: color-mix(in srgb, var(--vscode-foreground) 10%, transparent);
    }
    .skeleton .bars {
      display: flex;
      flex-direction: column;
      justify-content: space-between;
    }
    .skeleton .bars i {
      height: 8px;
    }
    .skeleton .tiles {
      grid-column: 1 / -1;
      display: grid;
      grid-template-columns: repeat(6, 1fr);
      gap: 8px;
    }
    @keyframes breathe {
      50% {
        opacity: 0.5;
      }
    }
    @media (prefers-reduced-motion: reduce) {
      .skeleton {
        animation: none;
      }
    }
    .banner {
      padding: 3px 12px;
      font-size: 12px;
      border-block: 1px solid var(--line);
      background: var(--vscode-editorWidget-background);
      max-height: 40%;
      overflow: auto;
      flex: none;
    }
    .banner .disclose {
      padding: 0;
      flex: none;
    }
    .banner table {
      margin: 2px 0 4px 20px;
      border-spacing: 0;
    }
    .banner th,
    .banner td {
      text-align: left;
      font-weight: normal;
      padding: 1px 16px 1px 0;
      vertical-align: top;
    }
    .banner p {
      margin: 4px 0 4px 20px;
    }
    .time {
      padding: 4px 12px 0;
      min-width: 0;
    }
    .time nc-timeline {
      flex: 1;
    }
    .topics {
      display: flex;
      flex: none;
      gap: 2px;
    }
    .topics button {
      padding: 1px 8px;
      border-radius: 10px;
      color: var(--muted);
    }
    .topics button:hover {
      color: var(--vscode-foreground);
    }
    .topics button[aria-pressed='true'],
    .topics button[aria-checked='true'] {
      color: var(--vscode-inputOption-activeForeground, var(--vscode-foreground));
      background: var(--vscode-inputOption-activeBackground);
      outline: 1px solid var(--vscode-inputOption-activeBorder, transparent);
      outline-offset: -1px;
    }
    .channels {
      padding: 4px 12px 0;
      font-size: 12px;
    }
    main {
      flex: 1;
      min-height: 0;
      display: grid;
      grid-template-columns: minmax(0, 1fr);
    }
    .top {
      display: grid;
      grid-template-columns: minmax(0, 1fr) minmax(200px, 26%);
      gap: 12px;
      padding: 8px 12px 0;
      min-height: 0;
    }
    .side {
      min-width: 0;
      min-height: 0;
      overflow: auto;
    }
    @container (min-width: 1100px) {
      header {
        grid-template-columns: minmax(0, 3fr) minmax(0, 2fr) auto auto;
      }
      header .actions {
        order: 1;
      }
      header .facts {
        text-align: right;
      }
    }
    @container (max-width: 640px) {
      .top {
        grid-template-columns: minmax(0, 1fr) minmax(150px, 34%);
        gap: 8px;
      }
    }
    @container (max-width: 400px) {
      .top {
        grid-template-columns: minmax(0, 1fr);
        grid-template-rows: minmax(110px, 1fr) minmax(0, auto);
      }
      .side {
        max-height: 96px;
      }
      /* The picture needs the room more than the hint. */
      nc-probe.idle {
        display: none;
      }
      .legend i {
        width: 32px;
      }
    }
    .over {
      position: absolute;
      inset: 0;
      pointer-events: none;
    }
    .tools {
      position: absolute;
      left: 8px;
      top: 8px;
      display: flex;
      flex-direction: column;
      gap: 2px;
    }
    /* Low pictures have room beside each other, not below. */
    @media (max-height: 560px) {
      .tools {
        flex-direction: row;
      }
    }
    @container (max-width: 400px) {
      .tools {
        flex-direction: row;
      }
    }
    .tools:not(:has(button)) {
      display: none;
    }
    .ablation {
      display: flex;
      flex-wrap: wrap;
      align-items: center;
      gap: 4px 10px;
      padding: 6px 12px 0;
      font-size: 12px;
    }
    .ablation label {
      display: flex;
      align-items: center;
      gap: 5px;
      color: var(--muted);
    }
    .ablation input[type='range'] {
      width: 140px;
    }
    .ablation input[type='number'] {
      width: 64px;
      height: 22px;
      padding: 0 4px;
      font: inherit;
      color: var(--vscode-input-foreground);
      background: var(--vscode-input-background);
      border: 1px solid var(--vscode-input-border, transparent);
      border-radius: 2px;
    }
    .ablation .cost {
      margin-left: auto;
    }
    .tools button.icon {
      color: var(--vscode-editorWidget-foreground, var(--vscode-foreground));
      background: var(--vscode-editorWidget-background);
      border: 1px solid var(--vscode-contrastBorder, transparent);
    }
    .tools button.icon[aria-pressed='true'] {
      color: var(--vscode-button-foreground);
      background: var(--vscode-button-background);
    }
    /* Above the layer that is drawn on. */
    .region {
      position: absolute;
      left: 38px;
      top: 8px;
      max-width: calc(100% - 110px);
      padding: 0 2px 0 8px;
      min-height: 22px;
      pointer-events: auto;
    }
    .region:not(:has(button)) {
      padding-right: 8px;
    }
    .divider {
      height: 9px;
      cursor: ns-resize;
      touch-action: none;
      display: flex;
      align-items: center;
      justify-content: center;
    }
    .divider::after {
      content: '';
      width: 32px;
      height: 3px;
      border-radius: 2px;
      background: var(--muted);
      opacity: 0.35;
    }
    .divider:hover::after {
      background: var(--vscode-sash-hoverBorder, var(--accent));
      opacity: 1;
    }
    .bottom {
      display: flex;
      flex-direction: column;
      min-height: 0;
    }
    nc-sheet {
      flex: 1;
    }
    .bar {
      display: flex;
      flex-wrap: wrap;
      align-items: center;
      justify-content: space-between;
      gap: 2px 16px;
      padding: 0 12px;
      border-bottom: 1px solid var(--line);
    }
    .tabs {
      display: flex;
      min-width: 0;
      overflow-x: auto;
      scrollbar-width: thin;
      gap: 4px;
    }
    .tabs button {
      display: flex;
      align-items: baseline;
      gap: 6px;
      max-width: 220px;
      min-width: 0;
      flex: none;
      padding: 6px 8px;
      border-radius: 0;
      border-bottom: 2px solid transparent;
      color: var(--vscode-panelTitle-inactiveForeground, var(--muted));
    }
    .tabs button:hover:enabled {
      color: var(--vscode-foreground);
    }
    .tabs button[aria-selected='true'] {
      color: var(--vscode-foreground);
      border-bottom-color: var(--vscode-panelTitle-activeBorder, var(--accent));
    }
    /* The layer at the caret in the code: a mark that does not rely on colour. */
    .tabs button.caret {
      outline: 1px dashed var(--vscode-focusBorder, var(--accent));
      outline-offset: -2px;
    }
    .note .link {
      display: inline-flex;
      align-items: center;
      gap: 3px;
      flex: none;
    }
    .note vscode-icon {
      font-size: 14px;
    }
    .tabs .count {
      font-size: 11px;
    }
    .controls {
      display: flex;
      flex-wrap: wrap;
      align-items: center;
      gap: 2px 12px;
      padding: 3px 0;
      font-size: 12px;
      color: var(--muted);
    }
    .controls label {
      display: flex;
      align-items: center;
      gap: 4px;
      white-space: nowrap;
    }
    .display label {
      justify-content: space-between;
    }
    .display .value {
      width: 2.4em;
    }
    select {
      font: inherit;
      color: var(--vscode-dropdown-foreground, inherit);
      background: var(--vscode-dropdown-background, transparent);
      border: 1px solid var(--vscode-dropdown-border, transparent);
      border-radius: 3px;
      padding: 1px 2px;
      height: 22px;
    }
    input[type='range'] {
      width: 72px;
      accent-color: var(--vscode-progressBar-background, var(--accent));
    }
    input[type='checkbox'] {
      margin: 0;
      accent-color: var(--vscode-progressBar-background, var(--accent));
    }
    .note {
      display: flex;
      gap: 16px;
      margin: 0;
      padding: 5px 12px 3px;
      font-size: 12px;
      white-space: nowrap;
    }
    .note .reach {
      margin-left: auto;
      flex: none;
    }
    @container (max-width: 640px) {
      .note .reach {
        display: none;
      }
    }
    .pictures {
      display: grid;
      min-width: 0;
      min-height: 0;
    }
    .pictures.beside {
      grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
      gap: 8px;
    }
    .overlay {
      display: flex;
      align-items: center;
      gap: 8px;
      min-width: 0;
      padding: 3px 8px;
      font-size: 11px;
      border-radius: 3px;
      color: var(--vscode-editorWidget-foreground, var(--vscode-foreground));
      background: var(--vscode-editorWidget-background);
      border: 1px solid var(--vscode-contrastBorder, transparent);
    }
    /* What lies over the picture leaves the rest of it to the pointer. */
    .foot,
    .head {
      position: absolute;
      left: 8px;
      right: 8px;
      display: flex;
      flex-wrap: wrap;
      justify-content: space-between;
      gap: 4px 8px;
      pointer-events: none;
    }
    .foot {
      bottom: 8px;
      align-items: end;
    }
    .head {
      top: 8px;
      justify-content: flex-end;
      align-items: start;
    }
    .foot > *,
    .head > * {
      pointer-events: auto;
    }
    .legend {
      flex-wrap: wrap;
      gap: 2px 8px;
    }
    .legend i {
      width: 96px;
      height: 8px;
      border-radius: 2px;
    }
    .legend .figures {
      display: flex;
      flex-wrap: wrap;
      gap: 0 12px;
    }
    @container (max-width: 420px) {
      .legend i {
        width: 48px;
      }
    }
    /* It would cover the picture that it explains. */
    @container (max-width: 260px) {
      .legend {
        display: none;
      }
    }
    .overlay select {
      height: 20px;
      max-width: 100%;
    }
    .choice {
      padding: 1px;
    }
    .cover {
      padding: 0 6px;
    }
    .wiper {
      position: absolute;
      top: 0;
      bottom: 0;
      width: 15px;
      margin-left: -8px;
      cursor: ew-resize;
      touch-action: none;
    }
    .wiper::before {
      content: '';
      position: absolute;
      inset: 0 6px;
      background: #fff;
      border-inline: 1px solid #000a;
    }
    .wiper::after {
      content: '';
      position: absolute;
      top: 50%;
      left: 1px;
      width: 13px;
      height: 28px;
      margin-top: -14px;
      border-radius: 7px;
      background: #fff;
      border: 1px solid #000a;
    }
    .wiper:focus-visible {
      outline: none;
    }
    .wiper:focus-visible::after {
      outline: 2px solid var(--vscode-focusBorder);
      outline-offset: 1px;
    }
    .problem {
      position: absolute;
      left: 8px;
      top: 8px;
      max-width: calc(100% - 16px);
      color: var(--vscode-errorForeground);
    }
    .error {
      color: var(--vscode-errorForeground);
    }
    .sentence {
      max-width: 60ch;
      overflow-wrap: anywhere;
    }
    .page {
      overflow: auto;
      padding: 24px;
      max-width: 100ch;
      overflow-wrap: anywhere;
    }
    .page h1 {
      margin: 0 0 8px;
      font-size: 18px;
      font-weight: 500;
    }
    .page h2 {
      margin: 24px 0 6px;
    }
    .page .row {
      flex-wrap: wrap;
      margin-top: 16px;
    }
    .page table {
      border-spacing: 0;
      width: 100%;
    }
    .page th,
    .page td {
      text-align: left;
      font-weight: normal;
      padding: 2px 16px 2px 0;
      border-bottom: 1px solid var(--line);
    }
    .page th {
      color: var(--muted);
    }
    pre {
      margin: 12px 0 0;
      padding: 10px 12px;
      overflow: auto;
      border: 1px solid var(--line);
      border-radius: 4px;
      background: var(--vscode-textCodeBlock-background);
    }
    .mono {
      font-family: var(--vscode-editor-font-family, monospace);
      font-size: 12px;
    }
  `,
];
