/** Below the picture without some neurons: which ones, what they put out instead, and what it costs. */
import { html, nothing } from 'lit';
import { live } from 'lit/directives/live.js';
import { decibel, integer, plural, signed } from '../shared/format';
import { choiceOf, choose, switchedOff, whats, type What } from './ablationChoice';
import type { Canvas } from './canvas';
import type { Part } from './parts';

const valueOf = (event: Event) => (event.target as HTMLInputElement | HTMLSelectElement).value;

export const ablationControls: Part = {
  slot: 'underPicture',
  render(canvas) {
    if (canvas.mode.id !== 'without') return nothing;
    const { what, cluster } = choiceOf(canvas);
    const { clustering } = canvas.session;
    const names: Readonly<Record<What, string>> = {
      selected: 'the selected neurons',
      others: 'all but the selected',
      top: 'the strongest',
      cluster: 'a cluster',
    };
    return html`<div class="ablation" data-testid="ablation">
      <label
        >Without
        <select
          data-testid="ablation-what"
          @change=${(event: Event) => choose(canvas, { what: valueOf(event) as What })}
        >
          ${whats
            .filter((name) => name !== 'cluster' || clustering !== null)
            .map(
              (name) => html`<option value=${name} .selected=${live(name === what)}>${names[name]}</option>`,
            )}
        </select></label
      >
      ${what === 'top' ? count(canvas) : nothing}
      ${
        what === 'cluster' && clustering
          ? html`<select
              aria-label="Cluster"
              data-testid="ablation-cluster"
              @change=${(event: Event) => choose(canvas, { cluster: Number(valueOf(event)) })}
            >
              ${clustering.summaries.map(
                ({ size }, index) =>
                  html`<option value=${index} .selected=${live(index === cluster)}>
                    ${index + 1} (${plural(size, 'neuron')})
                  </option>`,
              )}
            </select>`
          : nothing
      }
      <label title="What a neuron that is switched off puts out at every pixel"
        >set to
        <select data-testid="baseline" @change=${(event: Event) => canvas.set({ baseline: valueOf(event) })}>
          <option value="zero" .selected=${live(canvas.baseline === 'zero')}>zero</option>
          <option value="mean" .selected=${live(canvas.baseline === 'mean')}>their mean</option>
        </select></label
      >
      <span class="cost number" role="status" data-testid="ablation-cost">${cost(canvas)}</span>
    </div>`;
  },
};

function count(canvas: Canvas) {
  const { count } = choiceOf(canvas);
  const most = canvas.layer?.neurons ?? 1;
  const change = (event: Event) => {
    const value = Number(valueOf(event));
    if (Number.isFinite(value) && value >= 1) choose(canvas, { count: Math.round(value) });
  };
  return html`<input
      type="range"
      min="1"
      max=${most}
      aria-label="How many of the strongest"
      data-testid="ablation-slider"
      .value=${live(String(count))}
      @input=${change}
    /><input
      type="number"
      min="1"
      max=${most}
      aria-label="How many of the strongest, as a number"
      data-testid="ablation-count"
      .value=${live(String(count))}
      @change=${change}
    /><span class="muted">of ${integer(most)}</span>`;
}

function cost(canvas: Canvas) {
  const { ablation } = canvas;
  const off = switchedOff(canvas);
  if (off.length === 0) {
    const { what } = choiceOf(canvas);
    return html`<span class="muted"
      >${
        what === 'others'
          ? 'Select the neurons to keep, in this layer'
          : 'Select neurons below; Ctrl+click adds, also from other layers'
      }</span
    >`;
  }
  const layers = new Set(off.map(({ layer }) => layer)).size;
  const where = layers > 1 ? ` in ${layers} layers` : '';
  if (!ablation) return html`<span class="muted">Drawing …</span>`;
  const off_ = `${plural(off.length, 'neuron')}${where} off`;
  if (ablation.psnr !== undefined && ablation.psnrBefore !== undefined) {
    return html`<span class="muted">${off_}:</span>
      <strong data-testid="ablation-delta">${signed(ablation.psnr - ablation.psnrBefore, 2)} dB</strong>
      <span class="muted"
        >PSNR, ${decibel(ablation.psnrBefore)} → ${decibel(ablation.psnr)} to the target</span
      >`;
  }
  return html`<span class="muted">${off_}:</span>
    <strong data-testid="ablation-delta">${decibel(ablation.likeness)}</strong>
    <span class="muted">PSNR to the whole picture</span>`;
}
