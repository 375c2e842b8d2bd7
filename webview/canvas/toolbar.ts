import { html, nothing } from 'lit';
import { decibel, duration, plural } from '../shared/format';
import '../shared/overflow';
import { actions } from './actions';
import type { Canvas } from './canvas';
import { modes } from './modes';

/** What the picture shows, what can be done, and what this network is. */
export function toolbar(canvas: Canvas) {
  const { mode } = canvas;
  const shown = modes
    .filter((other) => other.offered?.(canvas) ?? true)
    .map((other) => {
      const missing = other.missing(canvas);
      return {
        id: other.id,
        label: other.name(canvas),
        short: other.short(canvas),
        checked: other === mode,
        disabled: missing !== null,
        testId: `mode-${other.id}`,
        ...(missing !== null && { title: missing }),
      };
    });
  const possible = actions
    .filter((action) => action.possible?.(canvas) ?? true)
    .map((action) => ({
      id: action.id,
      icon: action.icon,
      label: action.label(canvas),
      testId: `action-${action.id}`,
      ...(action.pressed && { checked: action.pressed(canvas) }),
    }));
  return html`<header>
    <nc-overflow
      class="modes"
      radio
      label="What the picture shows"
      .entries=${shown}
      @choose-entry=${({ detail }: CustomEvent<string>) => canvas.set({ mode: detail })}
    ></nc-overflow>
    <nc-overflow
      class="actions"
      end
      style="--count: ${possible.length}"
      label="Canvas"
      .entries=${possible}
      @choose-entry=${({ detail }: CustomEvent<string>) =>
        actions.find(({ id }) => id === detail)?.run(canvas)}
    ></nc-overflow>
    <div class="facts ellipsis muted" data-testid="facts" title=${canvas.session.view?.path ?? ''}>
      ${facts(canvas)}
    </div>
    ${status(canvas)}
  </header>`;
}

function facts({ session: { view } }: Canvas): string {
  const inspection = view?.inspection;
  if (!view || !inspection) return '';
  const { signal, parameters, title } = inspection;
  return [
    title,
    `${signal.height}×${signal.width}${signal.frames > 1 ? ` × ${signal.frames} frames` : ''}`,
    plural(parameters, 'parameter'),
    ...(view.psnr === null ? [] : [decibel(view.psnr)]),
    ...(view.restored
      ? ['traced before']
      : view.traceMilliseconds === null
        ? []
        : [`traced in ${duration(view.traceMilliseconds)}`]),
  ].join(' · ');
}

function status({ session: { view, host } }: Canvas) {
  const status = view?.status;
  if (status?.state === 'tracing') {
    return html`<div class="row status" data-testid="status">
      <span class="ellipsis muted">${status.detail}</span>
      <div class="progress small" aria-hidden="true"><i style="width: ${100 * status.fraction}%"></i></div>
      <button class="link" @click=${() => host.post({ type: 'cancel' })}>Cancel</button>
    </div>`;
  }
  if (status?.state === 'cancelled') {
    return html`<div class="row status" data-testid="status">
      <span class="muted">Cancelled</span>
      <button class="link" @click=${() => host.post({ type: 'retrace' })}>Trace again</button>
    </div>`;
  }
  return nothing;
}
