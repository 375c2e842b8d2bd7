/** The picture with what lies over it, and the pixel probe beside it. */
import { html, nothing } from 'lit';
import { significant } from '../shared/format';
import { Memo } from '../shared/memo';
import type { Canvas } from './canvas';
import { modes, type PictureMode } from './modes';
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
      [
        ...[reconstruction, target, mode, map, neuronsPerPixel, ablation, theme.signed],
        ...[intent.value.cover, intent.value.errorOf],
      ],
      () => mode.paint(canvas) ?? reconstruction,
    );
  }
}

const [shown, shownSecond] = [new Shown(), new Shown()];

export function pictureArea(canvas: Canvas) {
  return html`<section class="top" aria-label="Picture">
    <div class="pictures ${canvas.layout}">
      ${picture(canvas)} ${canvas.layout === 'beside' ? secondPicture(canvas) : nothing}
    </div>
    <div class="side">${probe(canvas)} ${inSlot(canvas, 'side')}</div>
  </section>`;
}

const views = new Memo<View>();

/** The same for both pictures: what is seen, the pixel, and what pointer and keys do. */
function shared(canvas: Canvas) {
  const { zoom, centreX, centreY } = canvas.intent.value;
  return {
    view: views.get([zoom, centreX, centreY], () => ({ zoom, centreX, centreY })),
    changeView: ({ detail }: CustomEvent<View>) => canvas.set({ ...detail }),
    hover: ({ detail }: CustomEvent<Pixel | null>) => canvas.hover(detail),
    pick: ({ detail }: CustomEvent<Pixel | null>) => canvas.session.select({ pixel: detail }),
  };
}

const label = (canvas: Canvas, mode: PictureMode, bitmap: Bitmap | null) =>
  `${mode.name(canvas)} of ${canvas.session.view?.name ?? ''}, ${bitmap?.height ?? 0} by ${bitmap?.width ?? 0} pixels. Arrow keys move the probe, plus and minus zoom.`;

/** Red, green and blue as shown, where a mode has nothing better to say. */
const coloursOf = (bitmap: Bitmap | null) => (row: number, column: number) => {
  const i = 4 * (row * (bitmap?.width ?? 0) + column);
  return [...(bitmap?.rgba.subarray(i, i + 3) ?? [])].map(String);
};

const valuesOf = (canvas: Canvas, mode: PictureMode, bitmap: Bitmap | null) =>
  mode.values ? (row: number, column: number) => mode.values!(canvas, row, column) : coloursOf(bitmap);

function picture(canvas: Canvas) {
  const { session, mode, intent, layout } = canvas;
  const { view, changeView, hover, pick } = shared(canvas);
  const bitmap = shown.of(canvas, mode);
  const other = layout === 'wipe' ? canvas.otherMode : null;
  return html`<nc-picture
    .bitmap=${bitmap}
    .second=${other && shownSecond.of(canvas, other)}
    .wipe=${intent.value.wipe}
    .reconstruction=${session.reconstruction}
    .pixel=${session.selection.pixel}
    .view=${view}
    .values=${layout === 'wipe' ? null : valuesOf(canvas, mode, bitmap)}
    label=${label(canvas, mode, bitmap)}
    @view-change=${changeView}
    @transform-change=${({ detail, target }: CustomEvent<Transform>) => {
      const { clientWidth: width, clientHeight: height } = target as HTMLElement;
      canvas.transform = detail;
      canvas.frame = { width, height };
      canvas.requestUpdate();
    }}
    @hover-pixel=${hover}
    @pick-pixel=${pick}
  >
    <div class="over">${inSlot(canvas, 'overPicture')}</div>
    ${other ? wipe(canvas) : nothing}
    <div class="tools" role="toolbar" aria-label="Picture tools" aria-orientation="vertical">
      ${inSlot(canvas, 'pictureTools')}
    </div>
    <div class="foot">${mode.legend?.(canvas) ?? nothing} ${mode.id === 'map' ? cover(canvas) : nothing}</div>
    <div class="head">
      ${other ? otherChoice(canvas) : nothing}
      ${
        intent.value.zoom > 1
          ? html`<button
              class="overlay zoom"
              title="Show the whole picture (0)"
              @click=${() => canvas.set({ ...fit })}
            >
              ${significant(intent.value.zoom, 2)}×
            </button>`
          : nothing
      }
    </div>
    ${canvas.problem ? html`<div class="overlay problem" role="alert">${canvas.problem}</div>` : nothing}
  </nc-picture>`;
}

/** Zoomed, panned and probed together with the first. */
function secondPicture(canvas: Canvas) {
  const { session } = canvas;
  const mode = canvas.otherMode!;
  const { view, changeView, hover, pick } = shared(canvas);
  const bitmap = shownSecond.of(canvas, mode);
  return html`<nc-picture
    class="second"
    .bitmap=${bitmap}
    .reconstruction=${session.reconstruction}
    .pixel=${session.selection.pixel}
    .view=${view}
    .values=${valuesOf(canvas, mode, bitmap)}
    label=${label(canvas, mode, bitmap)}
    @view-change=${changeView}
    @hover-pixel=${hover}
    @pick-pixel=${pick}
  >
    <div class="foot">${mode.legend?.(canvas) ?? nothing}</div>
    <div class="head">${otherChoice(canvas)}</div>
  </nc-picture>`;
}

/** What the second picture shows. */
function otherChoice(canvas: Canvas) {
  const { otherMode } = canvas;
  const offered = modes.filter((mode) => mode.offered?.(canvas) ?? true);
  return html`<label class="overlay choice"
    ><span class="visually-hidden">Second picture</span
    ><select
      data-testid="other-mode"
      @change=${(event: Event) => canvas.set({ other: (event.target as HTMLSelectElement).value })}
    >
      ${offered.map(
        (mode) =>
          html`<option
            value=${mode.id}
            .selected=${mode === otherMode}
            ?disabled=${mode.missing(canvas) !== null}
          >
            ${mode.name(canvas)}
          </option>`,
      )}
    </select></label
  >`;
}

/** The slider between two pictures that lie over each other; arrow keys move it too. */
function wipe(canvas: Canvas) {
  const { transform, intent } = canvas;
  const { width = 0 } = canvas.session.reconstruction ?? {};
  if (!transform || width === 0) return nothing;
  const span = width * transform.scale;
  const to = (part: number) => canvas.set({ wipe: Math.max(0, Math.min(1, part)) });
  const drag = (event: PointerEvent) => {
    const handle = event.currentTarget as HTMLElement;
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = handle.closest('nc-picture')!.getBoundingClientRect();
    to((event.clientX - box.left - transform.x) / span);
  };
  const key = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    to(intent.value.wipe + step);
  };
  return html`<div
    class="wiper"
    role="slider"
    tabindex="0"
    aria-label="Border between the two pictures"
    aria-valuemin="0"
    aria-valuemax="100"
    aria-valuenow=${Math.round(100 * intent.value.wipe)}
    data-testid="wipe"
    style="left: ${transform.x + intent.value.wipe * span}px"
    @pointerdown=${(event: PointerEvent) =>
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId)}
    @pointermove=${drag}
    @keydown=${key}
  ></div>`;
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
    class=${canvas.probe ? '' : 'idle'}
    .probe=${canvas.probe}
    .layer=${canvas.layerIndex}
    .neurons=${layer?.neurons ?? 0}
    .selected=${new Set(canvas.selected)}
    .colour=${`rgb(${[...rgb].join(',')})`}
    .colours=${[colour(8), colour(247)]}
    @pick-neuron=${({ detail }: CustomEvent<number>) => canvas.choose([detail])}
  ></nc-probe>`;
}
