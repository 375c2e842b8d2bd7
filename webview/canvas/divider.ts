import { html } from 'lit';
import type { Canvas } from './canvas';
import { defaults } from './linkedView';

const clamp = (value: number) => Math.max(0.15, Math.min(0.85, value));

/** Between picture and contact sheet; moved by pointer and arrow keys. */
export function divider(canvas: Canvas) {
  const { split } = canvas.intent.value;
  const drag = (event: PointerEvent) => {
    const handle = event.currentTarget as HTMLElement;
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = handle.parentElement!.getBoundingClientRect();
    canvas.set({ split: clamp((event.clientY - box.top) / box.height) });
  };
  const key = (event: KeyboardEvent) => {
    const step = { ArrowUp: -0.05, ArrowDown: 0.05 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    canvas.set({ split: clamp(split + step) });
  };
  return html`<div
    class="divider"
    role="separator"
    aria-orientation="horizontal"
    aria-label="Height of the picture"
    aria-valuenow=${Math.round(100 * split)}
    tabindex="0"
    @pointerdown=${(event: PointerEvent) =>
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId)}
    @pointermove=${drag}
    @keydown=${key}
    @dblclick=${() => canvas.set({ split: defaults.split })}
  ></div>`;
}
