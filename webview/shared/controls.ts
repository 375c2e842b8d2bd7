import { css } from 'lit';

/** Text boxes, choices and icon buttons in VS Code's looks, and the bar that holds them. */
export const controls = css`
  .toolbar {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 4px 10px;
    padding: 4px 12px;
  }
  .toolbar label {
    display: flex;
    align-items: center;
    gap: 6px;
    color: var(--muted);
  }
  input[type='text'],
  select {
    height: 24px;
    min-width: 0;
    padding: 0 6px;
    font: inherit;
    color: var(--vscode-input-foreground);
    background: var(--vscode-input-background);
    border: 1px solid var(--vscode-input-border, transparent);
    border-radius: 2px;
  }
  select {
    padding: 0 2px;
    color: var(--vscode-dropdown-foreground);
    background: var(--vscode-dropdown-background);
    border-color: var(--vscode-dropdown-border, transparent);
  }
  input::placeholder {
    color: var(--vscode-input-placeholderForeground);
  }
  button.icon {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    flex: none;
    width: 22px;
    height: 22px;
    padding: 0;
    border-radius: 5px;
    color: var(--vscode-icon-foreground, inherit);
  }
  button.icon:hover:enabled {
    background: var(--vscode-toolbar-hoverBackground);
    outline: 1px dashed var(--vscode-contrastActiveBorder, transparent);
    outline-offset: -1px;
  }
  button.icon[aria-pressed='true'] {
    color: var(--vscode-inputOption-activeForeground, inherit);
    background: var(--vscode-inputOption-activeBackground);
    outline: 1px solid var(--vscode-inputOption-activeBorder, transparent);
    outline-offset: -1px;
  }
  button.icon:focus-visible {
    outline: 1px solid var(--vscode-focusBorder);
  }
`;
