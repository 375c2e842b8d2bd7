import '@vscode-elements/elements/dist/vscode-button/index.js';
import { css, html, nothing, type TemplateResult } from 'lit';
import type { Session } from './session';

export const statusStyles = css`
  .status {
    display: flex;
    flex-direction: column;
    align-items: center;
    justify-content: center;
    gap: 10px;
    height: 100%;
    padding: 12px 20px;
    text-align: center;
    overflow: auto;
  }
  .drawing {
    color: var(--muted);
  }
  /* Words and buttons come first. */
  @media (max-height: 200px) {
    .drawing {
      display: none;
    }
  }
  .status p {
    margin: 0;
    max-width: 60ch;
    overflow-wrap: anywhere;
  }
  .progress {
    width: min(240px, 80%);
    height: 2px;
    overflow: hidden;
    background: var(--vscode-editorWidget-border, #8883);
  }
  .progress > div {
    height: 100%;
    background: var(--vscode-progressBar-background);
  }
  @keyframes pass {
    from {
      transform: translateX(-100%);
    }
    to {
      transform: translateX(333%);
    }
  }
  .progress > .endless {
    width: 30%;
    animation: pass 1.6s ease-in-out infinite;
  }
  @media (prefers-reduced-motion: reduce) {
    .progress > .endless {
      width: 100%;
      opacity: 0.6;
      animation: none;
    }
  }
`;

/** @param fraction 0–1; null when nobody knows how far it is */
export const progressBar = (label: string, fraction: number | null) => html`
  <div
    class="progress"
    role="progressbar"
    aria-label=${label}
    aria-valuenow=${fraction === null ? nothing : Math.round(fraction * 100)}
  >
    <div
      class=${fraction === null ? 'endless' : ''}
      style=${fraction === null ? nothing : `width: ${fraction * 100}%`}
    ></div>
  </div>
`;

/** What a bottom panel says in place of its content. @param state names it for tests */
export const notice = (state: string, content: unknown, drawing: unknown = nothing) =>
  html`<div class="status" role="status" data-testid="state-${state}">
    ${drawing === nothing ? nothing : html`<div class="drawing">${drawing}</div>`}${content}
  </div>`;

/**
 * Why there is nothing to show yet, and what to do; null when the session has been traced.
 * @param purpose sentence that says what the panel will show
 * @param drawing of that
 */
export function sessionNotice(
  session: Session,
  purpose: string,
  drawing: unknown = nothing,
): TemplateResult | typeof nothing | null {
  const { view, host } = session;
  if (view === undefined) return nothing;
  const button = (label: string, act: () => void) =>
    html`<vscode-button secondary @click=${act}>${label}</vscode-button>`;
  const again = button('Trace Again', () => host.post({ type: 'retrace' }));
  if (view === null) {
    const pick = () => host.post({ type: 'command', command: 'pickCheckpoint' });
    return notice(
      'empty',
      html`<p>${purpose}</p>
        <vscode-button @click=${pick}>Trace a Checkpoint…</vscode-button>`,
      drawing,
    );
  }
  const { status, name } = view;
  switch (status.state) {
    case 'ready':
      return null;
    case 'tracing':
      return notice(
        'tracing',
        html`<p>${status.detail}</p>
          ${progressBar(`Tracing ${name}`, status.fraction)}`,
      );
    case 'cancelled':
      return notice(
        'cancelled',
        html`<p>Tracing ${name} was cancelled.</p>
          ${again}`,
      );
    case 'failed':
      return notice(
        'failed',
        html`<p>${status.message}</p>
          ${again}`,
      );
    case 'not-an-inr':
      return notice(
        'not-an-inr',
        html`<p>${status.report.message}</p>
          <p class="muted">The canvas shows what was found in ${name} and what to do next.</p>`,
      );
  }
}
