/** What the picture can show. To add one, name it in `modes`. */
import { html, nothing, type TemplateResult } from 'lit';
import type { FloatMap } from '../../src/worker/protocol';
import { decibel, integer, percent, signed, significant } from '../shared/format';
import type { ColourMap } from '../shared/colourMaps';
import { Memo } from '../shared/memo';
import { switchedOff } from './ablationChoice';
import type { Canvas } from './canvas';
import { enlarged, errorMap, largest, paintMagnitude, paintOverlay, paintSigned } from './paint';
import { likeness, ssimMap, type Likeness } from './ssim';
import type { Bitmap } from './picture';

/** Answers of the host that a mode is painted from. */
export type Need = 'selection' | 'neuronsPerPixel' | 'ablation';

export interface Range {
  readonly low: string;
  readonly high: string;
  readonly colours: ColourMap;
}

export interface PictureMode {
  readonly id: string;
  /** On its button, and on a narrow one. */
  name(canvas: Canvas): string;
  short(canvas: Canvas): string;
  readonly needs: readonly Need[];
  /** Whether this checkpoint has it at all; always when left out. */
  offered?(canvas: Canvas): boolean;
  /** What the person has to do first, as a sentence; null when nothing. */
  missing(canvas: Canvas): string | null;
  /** Null until it is there: the reconstruction is shown meanwhile. */
  paint(canvas: Canvas): Bitmap | null;
  legend?(canvas: Canvas): TemplateResult | typeof nothing;
  /** The ends of its colours, where they stand for numbers. */
  range?(canvas: Canvas): Range | null;
  /** What a pixel says when it is large enough to be written on, a line each; its colour when left out. */
  values?(canvas: Canvas, row: number, column: number): readonly string[];
}

const always = () => null;
const needsNeurons = ({ selected }: Canvas) => (selected.length > 0 ? null : 'Select a neuron below');
const hasTarget = ({ session }: Canvas) => session.target !== null;

const errors = new Memo<FloatMap | null>();
const similarities = new Memo<FloatMap | null>();

/** |difference| of reconstruction and target. */
const difference = ({ session: { reconstruction, target } }: Canvas) =>
  errors.get([reconstruction, target], () =>
    reconstruction && target ? errorMap(reconstruction, target) : null,
  );

const similarity = ({ session: { reconstruction, target } }: Canvas) =>
  similarities.get([reconstruction, target], () =>
    reconstruction && target ? ssimMap(reconstruction, target) : null,
  );

const isSsim = ({ intent }: Canvas) => intent.value.errorOf === 'ssim';

/** Dissimilarity 1 − SSIM, or |difference|: large is bad. */
const error = (canvas: Canvas) => {
  const ssim = isSsim(canvas) ? similarity(canvas) : null;
  return ssim
    ? dissimilarities.get([ssim], () => ({ ...ssim, data: ssim.data.map((v) => 1 - v) }))
    : difference(canvas);
};
const dissimilarities = new Memo<FloatMap>();

const at = (map: FloatMap | null, { session }: Canvas, row: number, column: number): number | undefined => {
  const { width = 1, height = 1 } = session.reconstruction ?? {};
  if (!map) return undefined;
  const y = Math.floor(((row + 0.5) / height) * map.height);
  return map.data[y * map.width + Math.floor(((column + 0.5) / width) * map.width)];
};

const reconstruction: PictureMode = {
  id: 'reconstruction',
  name: () => 'Reconstruction',
  short: () => 'Picture',
  needs: [],
  missing: always,
  paint: ({ session }) => session.reconstruction,
};

export const modes: readonly PictureMode[] = [
  reconstruction,
  {
    id: 'target',
    name: () => 'Target',
    short: () => 'Target',
    needs: [],
    offered: hasTarget,
    missing: always,
    paint: ({ session }) => session.target,
  },
  {
    id: 'error',
    name: () => 'Error',
    short: () => 'Error',
    needs: [],
    offered: hasTarget,
    missing: always,
    paint(canvas) {
      const map = error(canvas);
      return map && { ...map, rgba: paintMagnitude(map, largest(map), canvas.theme.magnitude) };
    },
    range(canvas) {
      const map = error(canvas);
      return map && { low: '0', high: significant(largest(map), 2), colours: canvas.theme.magnitude };
    },
    legend: errorLegend,
    values: (canvas, row, column) => [significant(at(error(canvas), canvas, row, column) ?? NaN, 2)],
  },
  {
    id: 'map',
    name: ({ selected }) =>
      selected.length === 1
        ? `Neuron ${selected[0]} over picture`
        : selected.length > 1
          ? `Sum of ${selected.length} neurons over picture`
          : 'Neuron over picture',
    short: ({ selected }) =>
      selected.length === 1
        ? `Neuron ${selected[0]}`
        : selected.length > 1
          ? `Sum of ${selected.length}`
          : 'Neuron',
    needs: ['selection'],
    missing: needsNeurons,
    paint({ session, map, theme, intent }) {
      const picture = session.reconstruction;
      if (!picture || !map) return null;
      const { width, height } = picture;
      return {
        width,
        height,
        rgba: paintOverlay(picture, map, largest(map), theme.signed, intent.value.cover),
      };
    },
    range: signedRange,
    legend: rangeLegend,
    values: (canvas, row, column) => [signed(at(canvas.map, canvas, row, column) ?? NaN, 2)],
  },
  {
    id: 'sum',
    name: ({ selected }) =>
      selected.length > 1 ? `${selected.length} neurons alone` : `Neuron ${selected[0] ?? ''} alone`,
    short: () => 'Alone',
    needs: ['selection'],
    missing: needsNeurons,
    paint: ({ map, theme }) =>
      map && { width: map.width, height: map.height, rgba: paintSigned(map, largest(map), theme.signed) },
    range: signedRange,
    legend: rangeLegend,
    values: (canvas, row, column) => [signed(at(canvas.map, canvas, row, column) ?? NaN, 2)],
  },
  {
    id: 'without',
    name: (canvas) => {
      const off = switchedOff(canvas);
      if (off.length === 0) return 'Without neurons';
      return off.length === 1 ? `Without neuron ${off[0].neuron}` : `Without ${off.length} neurons`;
    },
    short: () => 'Without',
    needs: ['ablation'],
    missing: ({ layer }) => (layer ? null : 'Wait for the first layer'),
    paint: ({ session, ablation }) =>
      ablation && session.reconstruction && enlarged(ablation.picture, session.reconstruction),
  },
  {
    id: 'perPixel',
    name: () => 'Neurons per pixel',
    short: () => 'Per pixel',
    needs: ['neuronsPerPixel'],
    missing: ({ layer }) => (layer ? null : 'Wait for the first layer'),
    paint: ({ neuronsPerPixel: map, theme }) =>
      map && {
        width: map.width,
        height: map.height,
        rgba: paintMagnitude(map, largest(map), theme.magnitude),
      },
    range: ({ neuronsPerPixel: map, theme }) =>
      map && { low: '0', high: percent(largest(map), 0), colours: theme.magnitude },
    legend: rangeLegend,
    values: (canvas, row, column) => [percent(at(canvas.neuronsPerPixel, canvas, row, column) ?? NaN, 0)],
  },
];

/** The mode named, or the reconstruction while that one is not possible. */
export function modeOf(canvas: Canvas, id: string): PictureMode {
  const mode = modes.find((other) => other.id === id);
  return mode && (mode.offered?.(canvas) ?? true) && mode.missing(canvas) === null ? mode : reconstruction;
}

/** A colour map as a CSS gradient. */
function gradient(colours: ColourMap): string {
  const stops = Array.from({ length: 9 }, (_, i) => {
    const entry = 4 * Math.round((i / 8) * 255);
    return `rgb(${colours.subarray(entry, entry + 3).join(',')})`;
  });
  return `linear-gradient(to right, ${stops.join(', ')})`;
}

function signedRange({ map, theme }: Canvas): Range | null {
  if (!map) return null;
  const limit = significant(largest(map), 2);
  return { low: `−${limit}`, high: `+${limit}`, colours: theme.signed };
}

const rangeBar = ({ low, high, colours }: Range) =>
  html`<span>${low}</span><i style="background: ${gradient(colours)}"></i><span>${high}</span>`;

function rangeLegend(this: PictureMode, canvas: Canvas) {
  const range = this.range?.(canvas);
  return range ? html`<div class="overlay legend number">${rangeBar(range)}</div>` : nothing;
}

const figures = new Memo<Likeness | null>();

/** Scale of the error, and how alike the pictures are: as a whole, in the marked region, and in what is seen. */
function errorLegend(canvas: Canvas) {
  const { session, theme } = canvas;
  const { reconstruction, target } = session;
  const map = error(canvas);
  const ssim = similarity(canvas);
  if (!map || !ssim || !reconstruction || !target) return nothing;
  const measured = figures.get([ssim], () => likeness(reconstruction, target, ssim, () => true));
  // The trace knows it from unrounded values.
  const all = measured && { ...measured, psnr: session.view?.psnr ?? measured.psnr };
  const part = partMeasured(canvas, ssim);
  const change = (event: Event) => canvas.set({ errorOf: (event.target as HTMLSelectElement).value });
  const words = ({ psnr, ssim: value }: Likeness) => `${decibel(psnr)} · SSIM ${value.toFixed(3)}`;
  return html`<div class="overlay legend number" data-testid="error-legend">
    <select aria-label="Measure of the error" data-testid="error-measure" @change=${change}>
      <option value="difference" ?selected=${!isSsim(canvas)}>|difference|</option>
      <option value="ssim" ?selected=${isSsim(canvas)}>1 − SSIM</option>
    </select>
    ${rangeBar({ low: '0', high: significant(largest(map), 2), colours: theme.magnitude })}
    <span class="figures">
      ${all ? html`<span title="PSNR and SSIM of the whole picture">${words(all)}</span>` : nothing}
      ${part ? html`<span data-testid="error-part" title=${part.title}>${part.name}: ${words(part.likeness)}</span>` : nothing}
    </span>
  </div>`;
}

const parts = new Memo<Likeness | null>();

/** The marked region, or what is seen of the picture when it is not the whole. */
function partMeasured(canvas: Canvas, ssim: FloatMap) {
  const { session, visible } = canvas;
  const { reconstruction, target } = session;
  if (!reconstruction || !target) return null;
  const mask = session.region?.mask;
  if (mask && mask.width === reconstruction.width && mask.height === reconstruction.height) {
    const { width, data } = mask;
    const measured = parts.get([ssim, mask], () =>
      likeness(reconstruction, target, ssim, (row, column) => data[row * width + column] === 1),
    );
    const title = `PSNR and SSIM of the ${integer(mask.area)} pixels of the marked region`;
    return measured && { name: 'region', title, likeness: measured };
  }
  if (!visible) return null;
  const { top, bottom, left, right } = visible;
  const measured = parts.get([ssim, [top, bottom, left, right].join()], () =>
    likeness(
      ...([reconstruction, target, ssim] as const),
      (row, column) => row >= top && row < bottom && column >= left && column < right,
    ),
  );
  const title = `PSNR and SSIM of rows ${top}–${bottom - 1}, columns ${left}–${right - 1}`;
  return measured && { name: 'seen', title, likeness: measured };
}
