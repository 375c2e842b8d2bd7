import { html } from 'lit';

/** Codicons have no lasso. */
export const lassoIcon = html`<svg
  viewBox="0 0 16 16"
  width="16"
  height="16"
  fill="none"
  stroke="currentColor"
  aria-hidden="true"
>
  <ellipse cx="8" cy="6.5" rx="6" ry="4"></ellipse>
  <path d="M4.2 9.6c-.9.5-1.2 1.6-.4 2.2.8.5 1.7-.3 1.3-1.2M3.8 11.9c-.1 1.1.4 2 1.6 2.6"></path>
</svg>`;
