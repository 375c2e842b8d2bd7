import { css, unsafeCSS } from 'lit';
import { colours, pageStyle } from '../../src/findings/style';
import { controls } from '../shared/controls';
import { statusStyles } from '../shared/status';
import { base } from '../shared/styles';

const variables = (values: readonly string[]) =>
  unsafeCSS(values.map((value, k) => `--c${k}: ${value};`).join(' '));

export const styles = [
  base,
  controls,
  statusStyles,
  css`
    ${unsafeCSS(pageStyle)}
    :host {
      display: block;
      height: 100vh;
      background: var(--vscode-editor-background);
      --bg: var(--vscode-editor-background);
      --fg: var(--vscode-foreground);
      --link: var(--vscode-textLink-foreground);
      --yes: var(--vscode-testing-iconPassed, #3fa266);
      --partly: var(--vscode-editorWarning-foreground, #b58900);
      --no: var(--vscode-errorForeground, #d9534f);
      ${variables(colours.dark)}
    }
    :host-context(.vscode-light),
    :host-context(.vscode-high-contrast-light) {
      ${variables(colours.light)}
      --yes: #04734f;
      --partly: #8a5300;
      --no: #b3261e;
    }
    .choices {
      display: flex;
      flex-wrap: wrap;
      gap: 8px;
    }
    .panel {
      display: flex;
      flex-direction: column;
      height: 100%;
    }
    .toolbar {
      min-height: 34px;
      border-bottom: 1px solid var(--line);
    }
    button.action {
      display: inline-flex;
      align-items: center;
      gap: 5px;
      height: 24px;
      padding: 0 7px;
      border-radius: 5px;
    }
    button.action:hover {
      background: var(--vscode-toolbar-hoverBackground);
    }
    .said {
      flex: 1 1 0;
      min-width: 0;
      text-align: right;
    }
    .toolbar .failed {
      color: var(--vscode-errorForeground);
    }
    .pending {
      height: 2px;
      margin-bottom: -2px;
    }
    .pending .progress {
      width: 100%;
      background: none;
    }
    .article {
      flex: 1;
      min-height: 0;
      overflow: auto;
    }
    .article:focus-visible {
      outline-offset: -2px;
    }
    @media (max-width: 620px) {
      button.action span {
        display: none;
      }
    }
  `,
];
