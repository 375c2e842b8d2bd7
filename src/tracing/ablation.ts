/** What the network paints without some of its neurons: the causal side of a contribution (tracing.md §1). */
import type { Engine, EngineSession, EngineTensor } from '../engine/types';
import type { CancelToken } from '../errors';
import { behind } from '../graph/cut';
import { coordinatesAt } from '../inr/coordinates';
import type { Inr, TracedLayer } from '../inr/types';
import type { ActivationTile } from './contributions';

/** What an ablated neuron puts out everywhere: nothing, or its mean over the picture. */
export type Baseline = 'zero' | 'mean';

/** Hands over a layer's activations over the whole picture, tile by tile. */
export type EachTile = (
  cancel: CancelToken,
  onTile: (tile: ActivationTile) => void | Promise<void>,
) => Promise<void>;

/** A picture drawn at every `step`-th row and column. */
export interface Ablated {
  readonly height: number;
  readonly width: number;
  readonly step: number;
  /** Row-major `[height, width, channels]`, unclamped. */
  readonly values: Float32Array;
}

/** Pixels of one run; as many as the engine takes at once without leaving the cache (decision 0002). */
const RUN = 4096;

/** Runs the layers behind one layer, again and again. */
export class Ablation {
  private readonly values: readonly string[];
  private readonly readsCoordinates: boolean;

  private constructor(
    private readonly inr: Inr,
    private readonly layer: TracedLayer,
    private readonly session: EngineSession,
    inputs: readonly string[],
  ) {
    this.values = valuesOf(layer);
    this.readsCoordinates = inputs.some((name) => !this.values.includes(name));
  }

  static async of(inr: Inr, layer: TracedLayer, engine: Engine): Promise<Ablation> {
    const graph = behind(inr.graph, valuesOf(layer));
    const session = await engine.load(graph, [graph.output]);
    return new Ablation(
      inr,
      layer,
      session,
      graph.inputs.map(({ name }) => name),
    );
  }

  /**
   * The picture with some neurons' activations replaced by the baseline.
   * @param activations of the layer
   * @param step 1 draws every pixel
   * @throws CancelledError @throws RangeError when the layer has no such neuron
   */
  async without(
    neurons: readonly number[],
    baseline: Baseline,
    step: number,
    activations: EachTile,
    cancel: CancelToken,
  ): Promise<Ablated> {
    const { signal, domain } = this.inr;
    if (domain.kind !== 'pixels') throw new Error('frames are not made of pixels');
    const { inputs } = this.layer;
    for (const neuron of neurons) {
      if (!(Number.isInteger(neuron) && neuron >= 0 && neuron < inputs)) {
        throw new RangeError(`${this.layer.name} has no neuron ${neuron}`);
      }
    }
    const replaced = baseline === 'mean' ? await this.means(neurons, activations, cancel) : undefined;
    const { width, channels } = signal;
    const columns = Math.ceil(width / step);
    const rows = Math.ceil(signal.height / step);
    const values = new Float32Array(rows * columns * channels);

    const run = async (pixels: Uint32Array, tensors: readonly Float32Array[]) => {
      cancel.throwIfCancelled();
      const n = pixels.length;
      const feeds = new Map<string, EngineTensor>(
        this.values.map((name, k) => [name, { shape: [inputs, n], data: tensors[k] }]),
      );
      if (this.readsCoordinates) {
        const data = coordinatesAt(domain.convention, signal.height, width, pixels);
        feeds.set(this.inr.graph.inputs[0].name, { shape: [2, n], data });
      }
      const { data } = (await this.session.run(feeds)).get(this.inr.graph.output)!;
      pixels.forEach((pixel, i) => {
        const row = Math.floor(pixel / width) / step;
        const at = (row * columns + (pixel % width) / step) * channels;
        for (let c = 0; c < channels; c++) values[at + c] = data[c * n + i];
      });
    };

    await activations(cancel, async ({ start, count, values: real, imaginary }) => {
      const drawn = drawnPixels(start, count, width, step);
      for (let from = 0; from < drawn.length; from += RUN) {
        const pixels = drawn.subarray(from, from + RUN);
        const tensors = [real, ...(imaginary ? [imaginary] : [])].map((source, part) => {
          const out = new Float32Array(inputs * pixels.length);
          for (let i = 0, at = 0; i < inputs; i++) {
            for (const pixel of pixels) out[at++] = source[i * count + pixel - start];
          }
          for (const neuron of neurons) {
            const value = replaced?.[part].get(neuron) ?? 0;
            out.fill(value, neuron * pixels.length, (neuron + 1) * pixels.length);
          }
          return out;
        });
        await run(pixels, tensors);
      }
    });
    return { height: rows, width: columns, step, values };
  }

  /** Mean activation of some neurons, real and imaginary parts. */
  private async means(neurons: readonly number[], activations: EachTile, cancel: CancelToken) {
    const sums = this.values.map(() => new Map(neurons.map((neuron) => [neuron, 0])));
    let pixels = 0;
    await activations(cancel, ({ count, values, imaginary }) => {
      pixels += count;
      [values, ...(imaginary ? [imaginary] : [])].forEach((source, part) => {
        for (const neuron of neurons) {
          let sum = 0;
          for (let k = neuron * count; k < (neuron + 1) * count; k++) sum += source[k];
          sums[part].set(neuron, sums[part].get(neuron)! + sum);
        }
      });
    });
    return sums.map((part) => new Map([...part].map(([neuron, sum]) => [neuron, sum / pixels])));
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

const valuesOf = ({ input, inputImaginary }: TracedLayer) =>
  inputImaginary ? [input, inputImaginary] : [input];

/** Pixels of a run of consecutive ones that lie on every `step`-th row and column. */
function drawnPixels(start: number, count: number, width: number, step: number): Uint32Array {
  if (step === 1) return Uint32Array.from({ length: count }, (_, k) => start + k);
  const drawn: number[] = [];
  for (let pixel = start; pixel < start + count; pixel++) {
    if (Math.floor(pixel / width) % step === 0 && (pixel % width) % step === 0) drawn.push(pixel);
  }
  return Uint32Array.from(drawn);
}
