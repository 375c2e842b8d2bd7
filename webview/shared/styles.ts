import { css } from 'lit';

/** What all panels share: type, links, headings, plain buttons, focus. */
export const base = css`
  :host {
    color: var(--vscode-foreground);
    font-family: var(--vscode-font-family);
    font-size: var(--vscode-font-size, 13px);
    line-height: 1.4;
    --line: var(--vscode-contrastBorder, var(--vscode-panel-border, var(--vscode-editorGroup-border, #8884)));
    --muted: var(--vscode-descriptionForeground);
    --accent: var(--vscode-focusBorder);
  }
  * {
    box-sizing: border-box;
  }
  [hidden] {
    display: none !important;
  }
  h2 {
    margin: 0;
    font-size: 11px;
    font-weight: 600;
    letter-spacing: 0.04em;
    text-transform: uppercase;
    color: var(--vscode-foreground);
  }
  button {
    font: inherit;
    color: inherit;
    background: none;
    border: none;
    border-radius: 3px;
    padding: 2px 6px;
    cursor: pointer;
  }
  button:disabled {
    cursor: default;
    opacity: 0.5;
  }
  button.link {
    color: var(--vscode-textLink-foreground);
    padding: 0 2px;
  }
  button.link:hover {
    text-decoration: underline;
  }
  :focus-visible {
    outline: 1px solid var(--vscode-focusBorder);
    outline-offset: -1px;
  }
  .muted {
    color: var(--muted);
  }
  .number {
    font-variant-numeric: tabular-nums;
  }
  .ellipsis {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  /* Cut at its start: dotted names differ at their ends. */
  .ellipsis.start {
    direction: rtl;
    text-align: left;
  }
  .visually-hidden {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  .fill {
    display: flex;
    flex-direction: column;
    align-items: center;
    justify-content: center;
    gap: 12px;
    height: 100%;
    padding: 24px;
    text-align: center;
  }
`;
