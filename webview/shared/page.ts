import { css } from 'lit';

/** Gives the whole page to the panel; VS Code's own style leaves a margin at the sides. */
export function fillPage(): void {
  const { styleSheet } = css`
    html,
    body {
      height: 100%;
      margin: 0;
      padding: 0;
      overflow: hidden;
    }
  `;
  if (styleSheet) document.adoptedStyleSheets = [...document.adoptedStyleSheets, styleSheet];
}
