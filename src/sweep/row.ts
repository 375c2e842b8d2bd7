/** One row of a sweep, and how rows are written. */
import type { TraceResult } from '../worker/protocol';

/** What a trace of some content says; the same for every file with that content. */
export interface Outcome {
  readonly status: 'traced' | 'not an INR' | 'error';
  readonly message: string;
  readonly format: string;
  readonly family: string;
  readonly title: string;
  readonly parameters: number | null;
  readonly height: number | null;
  readonly width: number | null;
  readonly channels: number | null;
  readonly frames: number | null;
  /** dB. */
  readonly psnr: number | null;
  readonly target: string;
  readonly layers: number | null;
  readonly neurons: number | null;
  readonly dead: number | null;
  /** Mean of the layers’ Gini coefficients, weighted by their neurons. */
  readonly gini: number | null;
  /** Part of the neurons that hold half of their layer’s total. */
  readonly holdHalf: number | null;
  /** Largest |Σ contributions − output|. */
  readonly residual: number | null;
  readonly assumed: string;
  /** Of the trace. */
  readonly milliseconds: number | null;
  readonly engine: string;
}

export interface SweepRow extends Outcome {
  /** Relative to the folder that all files of the sweep share. */
  readonly file: string;
  readonly sha256: string;
  readonly bytes: number | null;
  /** ISO 8601. */
  readonly modified: string;
}

const none: Outcome = {
  status: 'error',
  message: '',
  format: '',
  family: '',
  title: '',
  parameters: null,
  height: null,
  width: null,
  channels: null,
  frames: null,
  psnr: null,
  target: '',
  layers: null,
  neurons: null,
  dead: null,
  gini: null,
  holdHalf: null,
  residual: null,
  assumed: '',
  milliseconds: null,
  engine: '',
};

export const failure = (message: string): Outcome => ({ ...none, message });
export const notAnInr = (format: string, message: string): Outcome => ({
  ...none,
  status: 'not an INR',
  format,
  message,
});

export function outcomeOf(result: TraceResult): Outcome {
  const { inspection, layers, psnr, target, completeness, timings, engine } = result;
  const { signal } = inspection;
  const sum = (pick: (layer: TraceResult['layers'][number]) => number) =>
    layers.reduce((total, layer) => total + pick(layer), 0);
  const neurons = sum((layer) => layer.neurons);
  const finite = (value: number | undefined) =>
    value !== undefined && Number.isFinite(value) ? value : null;
  return {
    status: 'traced',
    message: inspection.warnings.join(' '),
    format: inspection.format,
    family: inspection.family,
    title: inspection.title,
    parameters: inspection.parameters,
    height: signal.height,
    width: signal.width,
    channels: signal.channels,
    frames: signal.frames,
    psnr: finite(psnr),
    target: target ?? '',
    layers: layers.length,
    neurons,
    dead: sum((layer) => layer.distributedness.dead),
    gini: finite(sum((layer) => layer.distributedness.gini * layer.neurons) / neurons),
    holdHalf: finite(sum((layer) => layer.distributedness.neuronsFor50) / neurons),
    residual: finite(completeness.largest),
    assumed: inspection.assumptions
      .filter(({ source }) => source === 'inferred' || source === 'default' || source === 'training code')
      .map(({ name, value }) => `${name}=${value}`)
      .join(' '),
    milliseconds: Math.round(timings.total),
    engine,
  };
}

/** Columns in their order. */
export const columns = [
  'file',
  'status',
  'family',
  'title',
  'height',
  'width',
  'channels',
  'frames',
  'parameters',
  'psnr',
  'target',
  'layers',
  'neurons',
  'dead',
  'gini',
  'holdHalf',
  'residual',
  'assumed',
  'message',
  'format',
  'bytes',
  'modified',
  'sha256',
  'milliseconds',
  'engine',
] as const satisfies readonly (keyof SweepRow)[];

/** RFC 4180; an empty field is no value. */
export function csv(rows: readonly SweepRow[]): string {
  const field = (value: string | number | null) => {
    const text = value === null ? '' : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = rows.map((row) => columns.map((column) => field(row[column])).join(','));
  return [columns.join(','), ...lines, ''].join('\r\n');
}
