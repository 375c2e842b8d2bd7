import { html, nothing } from 'lit';
import { parameterName, percent, plural } from '../shared/format';
import type { Canvas } from './canvas';

/** What had to be assumed; nothing when everything is known. */
export function assumptions(canvas: Canvas) {
  const inspection = canvas.session.view?.inspection;
  if (!inspection) return nothing;
  // Everything else was read in the file, beside it, or said by the person.
  const guessed = inspection.assumptions.filter(
    ({ source }) => source === 'inferred' || source === 'default' || source === 'training code',
  );
  const { warnings } = inspection;
  if (guessed.length === 0 && warnings.length === 0) return nothing;
  const open = canvas.intent.value.assumptionsOpen;
  const short = guessed.slice(0, 3).map(({ name, value }) => `${parameterName(name)} = ${value}`);
  const rest = guessed.length > 3 ? ` and ${guessed.length - 3} more` : '';
  const change = () => {
    canvas.changing = true;
    canvas.requestUpdate();
  };
  return html`<div class="banner" data-testid="banner">
    <div class="row">
      <button
        class="disclose"
        aria-expanded=${open}
        aria-label="Assumptions"
        @click=${() => canvas.set({ assumptionsOpen: !open })}
      >
        <vscode-icon name=${open ? 'chevron-down' : 'chevron-right'}></vscode-icon>
      </button>
      <span class="ellipsis">
        ${guessed.length > 0 ? html`Assumed ${short.join(', ')}${rest}` : plural(warnings.length, 'warning')}
      </span>
      <button class="link" data-testid="change" @click=${change}>Change…</button>
    </div>
    ${
      open
        ? html`<table>
              ${inspection.assumptions.map(
                (assumption) =>
                  html`<tr>
                    <th scope="row">${parameterName(assumption.name)}</th>
                    <td class="number">${String(assumption.value)}</td>
                    <td class="muted">
                      ${assumption.source}, ${percent(assumption.confidence, 0)}
                      sure${assumption.detail ? html` — ${assumption.detail}` : nothing}
                    </td>
                  </tr>`,
              )}
            </table>
            ${warnings.map((warning) => html`<p>${warning}</p>`)}`
        : nothing
    }
  </div>`;
}
