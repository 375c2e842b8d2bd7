/** The picture with what lies over it, and the pixel probe beside it. */
import { html, nothing } from 'lit';
import { significant } from '../shared/format';
import { Memo } from '../shared/memo';
import type { Canvas } from './canvas';
import type { PictureMode } from './modes';
import { inSlot } from './parts';
import type { Bitmap, Pixel } from './picture';
import './picture';
import './probe';
import { fit, type Transform, type View } from './viewTransform';

/** The bitmap of a mode; the same object as long as nothing it depends on changes. */
class Shown {
  private readonly memo = new Memo<Bitmap | null>();

  of(canvas: Canvas, mode: PictureMode): Bitmap | null {
    const { session, theme, intent, map, neuronsPerPixel, ablation } = canvas;
    const { reconstruction, target } = session;
    return this.memo.get(
      [reconstruction, target, mode, map, neuronsPerPixel, ablation, theme.signed, intent.value.cover],
      () => mode.paint(canvas) ?? reconstruction,
    );
  }
}

const shown = new Shown();

export function pictureArea(canvas: Canvas) {
  return html`<section class="top" aria-label="Picture">
    ${picture(canvas)}
    <div class="side">${probe(canvas)} ${inSlot(canvas, 'side')}</div>
  </section>`;
}

function picture(canvas: Canvas) {
  const { session, mode, intent } = canvas;
  const { zoom, centreX, centreY } = intent.value;
  const bitmap = shown.of(canvas, mode);
  return html`<nc-picture
    .bitmap=${bitmap}
    .reconstruction=${session.reconstruction}
    .pixel=${session.selection.pixel}
    .view=${{ zoom, centreX, centreY }}
    label="${mode.name(canvas)} of ${session.view?.name ?? ''}, ${bitmap?.height ?? 0} by
    ${bitmap?.width ?? 0} pixels. Arrow keys move the probe, plus and minus zoom."
    @view-change=${({ detail }: CustomEvent<View>) => canvas.set({ ...detail })}
    @transform-change=${({ detail }: CustomEvent<Transform>) => {
      canvas.transform = detail;
      canvas.requestUpdate();
    }}
    @hover-pixel=${({ detail }: CustomEvent<Pixel | null>) => canvas.hover(detail)}
    @pick-pixel=${({ detail }: CustomEvent<Pixel | null>) => session.select({ pixel: detail })}
  >
    <div class="over">${inSlot(canvas, 'overPicture')}</div>
    <div class="tools" role="toolbar" aria-label="Picture tools" aria-orientation="vertical">
      ${inSlot(canvas, 'pictureTools')}
    </div>
    ${mode.legend?.(canvas) ?? nothing}
    ${
      zoom > 1
        ? html`<button
            class="overlay zoom"
            title="Show the whole picture (0)"
            @click=${() => canvas.set({ ...fit })}
          >
            ${significant(zoom, 2)}×
          </button>`
        : nothing
    }
    ${mode.id === 'map' ? cover(canvas) : nothing}
    ${canvas.problem ? html`<div class="overlay problem" role="alert">${canvas.problem}</div>` : nothing}
  </nc-picture>`;
}

const cover = (canvas: Canvas) =>
  html`<label class="overlay cover"
    ><span class="visually-hidden">How much the map covers the picture</span
    ><input
      type="range"
      min="0"
      max="1"
      step="0.05"
      title="How much the map covers the picture"
      .value=${String(canvas.intent.value.cover)}
      @input=${(event: Event) => canvas.set({ cover: Number((event.target as HTMLInputElement).value) })}
  /></label>`;

function probe(canvas: Canvas) {
  const { layer, session, theme } = canvas;
  const { reconstruction } = session;
  const at =
    canvas.probe && reconstruction ? 4 * (canvas.probe.row * reconstruction.width + canvas.probe.column) : -1;
  const rgb = at >= 0 && reconstruction ? reconstruction.rgba.subarray(at, at + 3) : [];
  const colour = (index: number) => `rgb(${theme.signed.subarray(4 * index, 4 * index + 3).join(',')})`;
  return html`<nc-probe
    .probe=${canvas.probe}
    .layer=${canvas.layerIndex}
    .neurons=${layer?.neurons ?? 0}
    .selected=${new Set(canvas.selected)}
    .colour=${`rgb(${[...rgb].join(',')})`}
    .colours=${[colour(8), colour(247)]}
    @pick-neuron=${({ detail }: CustomEvent<number>) => canvas.choose([detail])}
  ></nc-probe>`;
}
