/** Pages shown in place of a canvas. */
import { html, nothing } from 'lit';
import { exportSnippet } from '../../src/panels/exportSnippet';
import type { SessionView, ViewMessage } from '../../src/panels/protocol';
import type { NotAnInr } from '../../src/worker/protocol';
import { brokenDrawing, mapsDrawing } from '../shared/drawings';
import { plural } from '../shared/format';

type Command = Extract<ViewMessage, { type: 'command' }>['command'];

export interface Actions {
  command(command: Command): void;
  retrace(): void;
  cancel(): void;
}

export function nothingOpen(actions: Actions) {
  return html`<div class="fill" data-testid="state-empty">
    <div class="drawing">${mapsDrawing()}</div>
    <div>
      <strong>No checkpoint is open</strong>
      <p class="muted">Right-click a checkpoint in the Explorer and choose “Trace Contributions”.</p>
    </div>
    <vscode-button @click=${() => actions.command('pickCheckpoint')}>Choose a Checkpoint…</vscode-button>
  </div>`;
}

/** The canvas to come, in grey: the picture, the strongest neurons of a pixel, and maps. */
const skeleton = () =>
  html`<div class="skeleton" aria-hidden="true">
    <i class="picture"></i>
    <div class="bars">${[90, 72, 66, 48, 40, 30].map((width) => html`<i style="width: ${width}%"></i>`)}</div>
    <div class="tiles">${Array.from({ length: 12 }, () => html`<i></i>`)}</div>
  </div>`;

export function tracing(detail: string, fraction: number, actions: Actions) {
  return html`<div class="fill" data-testid="state-tracing" role="status">
    ${skeleton()}
    <div>${detail} …</div>
    <div
      class="progress"
      role="progressbar"
      aria-label="Progress of the trace"
      aria-valuemin="0"
      aria-valuemax="100"
      aria-valuenow=${Math.round(100 * fraction)}
    >
      <i style="width: ${100 * fraction}%"></i>
    </div>
    <vscode-button secondary @click=${() => actions.cancel()}>Cancel</vscode-button>
  </div>`;
}

export function cancelled({ name }: SessionView, actions: Actions) {
  return html`<div class="fill" data-testid="state-cancelled">
    <div class="drawing">${mapsDrawing()}</div>
    <div>Tracing ${name} was cancelled.</div>
    <vscode-button @click=${() => actions.retrace()}>Trace Again</vscode-button>
  </div>`;
}

export function failed({ name }: SessionView, message: string, actions: Actions) {
  return html`<div class="fill" data-testid="state-failed" role="alert">
    <div class="drawing error">${brokenDrawing()}</div>
    <div class="sentence">
      <strong>${name} could not be traced</strong>
      <p>${message}</p>
    </div>
    <div class="row">
      <vscode-button @click=${() => actions.retrace()}>Trace Again</vscode-button>
      <vscode-button secondary @click=${() => actions.command('showLog')}>Show Log</vscode-button>
    </div>
  </div>`;
}

/** Rows of the table of tensors; more say nothing more. */
const MOST_TENSORS = 200;

export function notAnInr({ name }: SessionView, report: NotAnInr, actions: Actions) {
  const { tensors, closest, known } = report;
  return html`<div class="page" data-testid="state-not-an-inr">
    ${
      known
        ? html`<h1>${name} is recognised, but cannot be traced</h1>
            <p data-testid="reason"><strong>${known.title}</strong>: ${known.untraceable}.</p>`
        : html`<h1>${name} is not recognised as an INR</h1>
            <p data-testid="reason">${report.seen}</p>
            ${
              closest
                ? html`<p>Closest is <strong>${closest.title}</strong>: ${closest.missing}.</p>`
                : nothing
            }`
    }
    <p>${report.nextStep}</p>
    <pre class="mono" tabindex="0" aria-label="Python that exports the network">${exportSnippet(name)}</pre>
    <div class="row">
      <vscode-button @click=${() => actions.command('insertExportSnippet')}
        >Insert into Python File</vscode-button
      >
      <vscode-button secondary @click=${() => actions.command('showLog')}>Show Log</vscode-button>
    </div>
    ${
      tensors.length === 0
        ? nothing
        : html`<h2>${plural(tensors.length, 'tensor')} · ${report.format}</h2>
            <table>
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col">Shape</th>
                  <th scope="col">Type</th>
                </tr>
              </thead>
              <tbody>
                ${tensors.slice(0, MOST_TENSORS).map(
                  (tensor) =>
                    html`<tr>
                      <td class="mono">${tensor.name}</td>
                      <td class="number">${tensor.shape.join(' × ') || 'scalar'}</td>
                      <td class="muted">${tensor.dtype}</td>
                    </tr>`,
                )}
              </tbody>
            </table>
            ${
              tensors.length > MOST_TENSORS
                ? html`<p class="muted">and ${tensors.length - MOST_TENSORS} more</p>`
                : nothing
            }`
    }
  </div>`;
}
