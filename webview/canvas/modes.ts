/** What the picture can show. To add one, name it in `modes`. */
import { html, nothing, type TemplateResult } from 'lit';
import { decibel, percent, signed, significant } from '../shared/format';
import type { ColourMap } from '../shared/colourMaps';
import { Memo } from '../shared/memo';
import type { Canvas } from './canvas';
import { enlarged, errorMap, largest, paintMagnitude, paintOverlay } from './paint';
import type { Bitmap } from './picture';

/** Answers of the host that a mode is painted from. */
export type Need = 'selection' | 'neuronsPerPixel' | 'ablation';

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
}

const always = () => null;
const needsNeurons = ({ selected }: Canvas) => (selected.length > 0 ? null : 'Select a neuron below');
const hasTarget = ({ session }: Canvas) => session.target !== null;

const errors = new Memo<ReturnType<typeof errorMap> | null>();
const error = ({ session: { reconstruction, target } }: Canvas) =>
  errors.get([reconstruction, target], () =>
    reconstruction && target ? errorMap(reconstruction, target) : null,
  );

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
    legend(canvas) {
      const map = error(canvas);
      return map ? legend('0', significant(largest(map), 2), canvas.theme.magnitude) : nothing;
    },
  },
  {
    id: 'map',
    name: ({ selected }) =>
      selected.length === 1
        ? `Neuron ${selected[0]} over picture`
        : selected.length > 1
          ? `Sum of ${selected.length} neurons`
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
    legend({ map, theme }) {
      if (!map) return nothing;
      const limit = significant(largest(map), 2);
      return legend(`−${limit}`, `+${limit}`, theme.signed);
    },
  },
  {
    id: 'without',
    name: ({ selected }) =>
      selected.length > 1
        ? `Without ${selected.length} neurons`
        : selected.length === 1
          ? `Without neuron ${selected[0]}`
          : 'Without neuron',
    short: () => 'Without',
    needs: ['ablation'],
    missing: needsNeurons,
    paint: ({ session, ablation }) =>
      ablation && session.reconstruction && enlarged(ablation.picture, session.reconstruction),
    legend: cost,
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
    legend: ({ neuronsPerPixel: map, theme }) =>
      map ? legend('0', percent(largest(map), 0), theme.magnitude) : nothing,
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

export const legend = (low: string, high: string, colours: ColourMap) =>
  html`<div class="overlay legend number">
    <span>${low}</span><i style="background: ${gradient(colours)}"></i><span>${high}</span>
  </div>`;

/** What taking the neurons away costs. */
function cost(canvas: Canvas) {
  const { ablation, baseline } = canvas;
  const change = (event: Event) => canvas.set({ baseline: (event.target as HTMLSelectElement).value });
  const loss =
    ablation?.psnr !== undefined && ablation.psnrBefore !== undefined
      ? `${decibel(ablation.psnr)}, ${signed(ablation.psnr - ablation.psnrBefore, 2)} dB`
      : ablation
        ? `${decibel(ablation.likeness)} to the whole picture`
        : 'Drawing …';
  return html`<div class="overlay legend number" data-testid="ablation" role="status">
    <span>${loss}</span>
    <label
      >set to
      <select data-testid="baseline" @change=${change}>
        <option value="zero" ?selected=${baseline === 'zero'}>zero</option>
        <option value="mean" ?selected=${baseline === 'mean'}>their mean</option>
      </select></label
    >
  </div>`;
}
