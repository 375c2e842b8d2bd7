/** Pictures without some neurons, and what they cost. */
import { UsageError, type CancelToken } from '../errors';
import { psnr, toRgba } from '../tracing/picture';
import { eachRemoval, removalSample } from '../tracing/removals';
import type { Trace } from '../tracing/trace';
import { handOver } from './handOver';
import type { Ablation, EventOf, Params, Removals } from './protocol';

/** A trace with what its picture is compared with. */
export interface Ablatable {
  readonly trace: Trace;
  readonly range: readonly [number, number];
  /** As shown, `[H, W, C]` in [0, 1]. */
  readonly target?: Float32Array;
}

/** Operations that a preview may cost: a fraction of a second on one core. */
const PREVIEW_OPERATIONS = 6e9;
/** Activations that the first preview of a layer may start from: fetching them takes as long. */
const PREVIEW_VALUES = 2 ** 22;

/** Milliseconds between two reports. */
const REPORT = 200;

export async function withoutNeurons(
  { trace, range, target }: Ablatable,
  { neurons, baseline, side }: Omit<Params<'without'>, 'trace'>,
  cancel: CancelToken,
): Promise<Ablation> {
  const { height, width, channels } = trace.inr.signal;
  const step = side === undefined ? 1 : previewStep(trace, neurons, side);
  const ablated = await trace.without(neurons, baseline, step, cancel);
  const clamp = (values: Float32Array) => values.map((v) => Math.min(1, Math.max(0, v)));
  const drawn = (values: Float32Array) => everyNth(values, height, width, channels, step);
  const now = scaled(ablated.values, range);
  const before = drawn(scaled(trace.reconstruction, range));
  return {
    picture: {
      width: ablated.width,
      height: ablated.height,
      rgba: handOver(toRgba(ablated.values, channels, range)),
    },
    likeness: psnr(now, clamp(before)),
    ...(target && { psnr: psnr(now, drawn(target)), psnrBefore: psnr(before, drawn(target)) }),
  };
}

function previewStep(trace: Trace, neurons: Params<'without'>['neurons'], side: number): number {
  const { height, width } = trace.inr.signal;
  const step = Math.max(1, Math.ceil(Math.max(height, width) / side));
  if (!trace.ablations) return step;
  const first = Math.min(trace.layers.length - 1, ...neurons.map(({ layer }) => layer));
  const operations = height * width * trace.ablations.cost(first);
  const values = height * width * trace.layers[first].neurons;
  const affordable = Math.sqrt(Math.max(operations / PREVIEW_OPERATIONS, values / PREVIEW_VALUES));
  return Math.max(step, Math.ceil(affordable));
}

/** @throws UsageError for networks that draw whole frames @throws CancelledError */
export async function removals(
  { trace, range, target }: Ablatable,
  { layer, baseline }: Omit<Params<'removals'>, 'trace'>,
  emit: (event: EventOf<'removals'>) => void,
  cancel: CancelToken,
): Promise<Removals> {
  const { ablations } = trace;
  if (!ablations) {
    throw new UsageError(
      'Removing each neuron alone is for networks of single pixels; select neurons to see the frame without them.',
    );
  }
  const { height, width, channels } = trace.inr.signal;
  const { neurons } = trace.layers[layer];
  const sample = removalSample(height * width, neurons, ablations.cost(layer));
  const reference = target
    ? { values: target, isTarget: true }
    : {
        values: scaled(trace.reconstruction, range).map((v) => Math.min(1, Math.max(0, v))),
        isTarget: false,
      };
  const change = new Float64Array(neurons);
  const error = new Float64Array(neurons);
  let [reported, at] = [0, performance.now()];
  const visit = (neuron: number, found: { change: number; error: number }) => {
    change[neuron] = found.change;
    error[neuron] = found.error;
    const now = performance.now();
    if (now - at < REPORT) return;
    const known = change.slice(reported, neuron + 1);
    emit({ type: 'neurons', from: reported, change: known, fraction: (neuron + 1) / neurons });
    [reported, at] = [neuron + 1, now];
  };
  await eachRemoval(ablations, layer, neurons, baseline, sample, reference, channels, range, cancel, visit);
  return {
    layer,
    baseline,
    reference: target ? 'target' : 'reconstruction',
    sample: sample.length,
    pixels: height * width,
    change,
    error,
  };
}

export const scaled = (values: Float32Array, [low, high]: readonly [number, number]) =>
  low === 0 && high === 1 ? values : values.map((v) => (v - low) / (high - low));

/** Every n-th row and column of a picture `[H, W, C]`. */
function everyNth(values: Float32Array, height: number, width: number, channels: number, step: number) {
  if (step === 1) return values;
  const [rows, columns] = [Math.ceil(height / step), Math.ceil(width / step)];
  const out = new Float32Array(rows * columns * channels);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (row * step * width + column * step) * channels;
      for (let c = 0; c < channels; c++) out[at++] = values[from + c];
    }
  }
  return out;
}
