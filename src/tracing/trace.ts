import { runTiles } from '../engine/tiles';
import type { Engine, EngineTensor } from '../engine/types';
import { neverCancelled, UsageError, type CancelToken } from '../errors';
import { fillCoordinates } from '../inr/coordinates';
import type { Inr, TracedLayer } from '../inr/types';
import type { FloatMap, NeuronRef, PixelProbe } from '../worker/protocol';
import {
  channelFormula,
  contributionFormula,
  evaluate,
  type ActivationTile,
  type ContributionFormula,
} from './contributions';
import { chosenLayers } from './chosenLayers';
import { Ablation, type Ablated, type Baseline } from './ablation';
import type { PictureValues } from './regions';
import { countAbove, distributedness, LayerAccumulator, type Thresholds } from './statistics';
import type { Completeness, LayerTrace } from './types';
import { traceFrame } from './video/trace';

/** Parts α of the total that fall below the threshold of `neuronsPerPixel`. */
const ALPHAS = [0.1, 0.5] as const;

export interface TraceOptions {
  /** Bytes that kept activations may take; what does not fit is computed again when asked for. */
  readonly memoryBudget: number;
  /** Dotted names; all when undefined. */
  readonly layers?: readonly string[];
  readonly cancel?: CancelToken;
  /** The network's output `[H, W, C]`, unclamped, before any map. */
  readonly onReconstruction?: (values: Float32Array) => void;
  /** Frame of a video; a fraction lies between two. 0 when undefined. */
  readonly frame?: number;
  readonly onLayer?: (index: number, layer: LayerTrace) => void;
  /** What is being done, and the part of the whole that is done. */
  readonly onProgress?: (detail: string, fraction: number) => void;
}

interface Traced {
  readonly layer: TracedLayer;
  readonly formula: ContributionFormula;
  /** Activations over the whole picture, tile by tile, when they fit. */
  readonly kept: readonly ActivationTile[] | undefined;
}

/** Graph values of consecutive pixels, by name. */
interface KeptTile {
  readonly start: number;
  readonly count: number;
  readonly values: ReadonlyMap<string, Float32Array>;
}

/** Milliseconds after which the event loop gets its turn. */
const TURN = 40;

/**
 * A traced network: statistics of every neuron, and full-precision maps on demand. What reads it need not
 * know whether a neuron is a unit of a linear layer or a kernel of a convolution.
 */
export interface Trace {
  readonly inr: Inr;
  /** Frame that was traced; 0 of a picture. */
  readonly frame: number;
  readonly layers: readonly LayerTrace[];
  /** `[H, W, C]`, unclamped. */
  readonly reconstruction: Float32Array;
  /** Residual of the contributions that must add up; NaN when their layer was not traced. */
  readonly completeness: Completeness;

  /** One neuron's contributions, `[H, W]`, signed; of one channel when `channel` is given. */
  map(neuron: NeuronRef, channel?: number): Promise<FloatMap>;
  /** Σ of several neurons' maps. */
  sum(layer: number, neurons: readonly number[]): Promise<FloatMap>;
  /**
   * The picture without some neurons of a layer: only the layers behind it run again.
   * @param step 1 draws every pixel, n every n-th row and column
   * @throws CancelledError
   */
  without(
    layer: number,
    neurons: readonly number[],
    baseline: Baseline,
    step: number,
    cancel: CancelToken,
  ): Promise<Ablated>;
  /**
   * Hands over all contributions of a layer: of a neuron, those of `values.length` consecutive pixels
   * (row-major) from `start` on. The array is reused and may be changed. @throws CancelledError
   */
  eachRun(
    layer: number,
    cancel: CancelToken,
    visit: (neuron: number, start: number, values: Float32Array) => void,
  ): Promise<void>;
  /** The picture as shown, clamped to [0, 1], `[H, W, C]`. */
  picture01(): PictureValues;
  /** Part of the layer's neurons whose |C| is above the threshold, at each pixel. */
  neuronsPerPixel(layer: number, alpha: number): Promise<FloatMap>;
  /** The network's output at one pixel, and the strongest neurons of every traced layer there. */
  probe(row: number, column: number, top: number): Promise<PixelProbe>;
  /** Every map of a layer in order, `[H, W]` each; the array is reused. */
  maps(layer: number): AsyncIterable<Float32Array>;
  /** Every neuron's maps of the last layer for each channel in turn, `[H, W]` each. */
  channelMaps(layer: number): AsyncIterable<Float32Array>;
  dispose(): void;
}

/**
 * Traces every layer of a network over its picture, or over one frame.
 * @throws CancelledError @throws UsageError when a layer is not the network's, or its signal no picture
 */
export async function traceInr(inr: Inr, engine: Engine, options: TraceOptions): Promise<Trace> {
  const { memoryBudget, cancel = neverCancelled, onReconstruction, onLayer, onProgress } = options;
  if (inr.domain.kind === 'frames') return traceFrame(inr, engine, options);
  if (inr.domain.kind !== 'pixels' || inr.domain.dims !== 2) {
    throw new UsageError(
      `${inr.title} is recognised, but tracing is for networks from (row, column) to a picture; use inspect.`,
    );
  }
  const wanted = chosenLayers(inr, options.layers);
  const pixels = inr.signal.height * inr.signal.width;
  const bytes = wanted.reduce((sum, l) => sum + l.inputs * pixels * (l.inputImaginary ? 8 : 4), 0);
  const keep = bytes <= memoryBudget;

  const trace = new PictureTrace(inr, engine);
  const kept = await trace.reconstruct(new Set(keep ? valuesOf(wanted) : []), cancel, (fraction) =>
    onProgress?.('Drawing the picture', fraction * (keep ? 0.5 : 0.3)),
  );
  onReconstruction?.(trace.reconstruction);

  const begun = keep ? 0.5 : 0.3;
  for (const [index, layer] of wanted.entries()) {
    const share = (1 - begun) / wanted.length;
    const detail = `Tracing layer ${index + 1} of ${wanted.length}: ${layer.name}`;
    const progress = (fraction: number) => onProgress?.(detail, begun + share * (index + fraction));
    progress(0);
    const result = await trace.addLayer(layer, keep ? kept : undefined, cancel, progress);
    onLayer?.(index, result);
  }
  return trace;
}

const valuesOf = (layers: readonly TracedLayer[]) =>
  layers.flatMap(({ input, inputImaginary }) => (inputImaginary ? [input, inputImaginary] : [input]));

function addScaled(sum: Float64Array, x: Float32Array, scale: number, shift: number): void {
  for (let k = 0; k < x.length; k++) sum[k] += scale * x[k] + shift;
}

/** The trace of a coordinate network: activations of linear layers, pixel by pixel. */
export class PictureTrace implements Trace {
  readonly frame = 0;
  readonly layers: LayerTrace[] = [];
  /** `[H, W, C]`, unclamped. */
  reconstruction: Float32Array = new Float32Array(0);
  private readonly traced: Traced[] = [];
  private readonly thresholds: Thresholds[] = [];
  private residual: Completeness | undefined;
  /** Of the layer asked about last. */
  private ablation: { readonly layer: number; readonly runs: Promise<Ablation> } | undefined;
  /** Last layer's output before its activation, `[channels, P]`. */
  private affineOutput = new Float32Array(0);

  constructor(
    readonly inr: Inr,
    private readonly engine: Engine,
  ) {}

  private get pixels(): number {
    return this.inr.signal.height * this.inr.signal.width;
  }

  /** Residual of the last layer's contributions; NaN when that layer was not traced. */
  get completeness(): Completeness {
    return this.residual ?? { layer: '', largest: NaN, mean: NaN };
  }

  /** Runs the network tile by tile for `names`; those in `keep` get memory of their own in every tile. */
  private async run(
    names: readonly string[],
    cancel: CancelToken,
    onTile: (start: number, end: number, outputs: ReadonlyMap<string, EngineTensor>) => void | Promise<void>,
    keep: ReadonlySet<string> = new Set(),
  ): Promise<void> {
    const { domain, graph, signal } = this.inr;
    if (domain.kind !== 'pixels') throw new Error('frames are not made of pixels');
    const session = await this.engine.load(graph, [...new Set(names)]);
    try {
      await runTiles({
        session,
        graph,
        pixels: this.pixels,
        fill: (out, start, end) =>
          fillCoordinates(domain.convention, signal.height, signal.width, start, end, out),
        onTile,
        keep,
        cancel,
      });
    } finally {
      await session.release();
    }
  }

  /** @returns the values named in `keep`, over the whole picture */
  async reconstruct(
    keep: ReadonlySet<string>,
    cancel: CancelToken,
    progress: (fraction: number) => void,
  ): Promise<readonly KeptTile[]> {
    const { graph, signal } = this.inr;
    const { channels } = signal;
    const { pixels } = this;
    const affine = this.inr.layers.at(-1)!.preActivation;
    this.affineOutput = new Float32Array(pixels * channels);
    this.reconstruction = new Float32Array(pixels * channels);
    const kept: KeptTile[] = [];
    const takeTile = (start: number, end: number, outputs: ReadonlyMap<string, EngineTensor>) => {
      const count = end - start;
      const planes = outputs.get(graph.output)!.data;
      const affinePlanes = outputs.get(affine)!.data;
      for (let c = 0; c < channels; c++) {
        this.affineOutput.set(affinePlanes.subarray(c * count, (c + 1) * count), c * pixels + start);
        for (let k = 0; k < count; k++)
          this.reconstruction[(start + k) * channels + c] = planes[c * count + k];
      }
      const values = new Map(Array.from(keep, (name) => [name, outputs.get(name)!.data]));
      kept.push({ start, count, values });
      progress(end / pixels);
    };
    await this.run([graph.output, affine, ...keep], cancel, takeTile, keep);
    return kept;
  }

  async addLayer(
    layer: TracedLayer,
    kept: readonly KeptTile[] | undefined,
    cancel: CancelToken,
    progress: (fraction: number) => void,
  ): Promise<LayerTrace> {
    const { height, width } = this.inr.signal;
    const formula = contributionFormula(layer);
    const tiles = kept?.map(({ start, count, values }) => {
      const imaginary = layer.inputImaginary && values.get(layer.inputImaginary);
      return { start, count, values: values.get(layer.input)!, ...(imaginary && { imaginary }) };
    });
    const traced: Traced = { layer, formula, kept: tiles };
    this.traced.push(traced);

    const accumulator = new LayerAccumulator(formula, height, width);
    await this.eachTile(traced, cancel, (tile) => {
      accumulator.add(tile, cancel);
      if (layer.last) this.addResidual(layer, tile);
      progress((tile.start + tile.count) / this.pixels);
    });
    const thresholds = accumulator.thresholds();
    this.thresholds.push(thresholds);

    const statistics = accumulator.statistics();
    const result: LayerTrace = {
      name: layer.name,
      kind: layer.kind,
      neurons: layer.inputs,
      outputs: layer.outputs,
      activation: layer.activation,
      last: layer.last,
      mapDefinition: formula.definition,
      statistics,
      distributedness: distributedness(statistics.total),
      neuronsPerPixel: ALPHAS.map((alpha) => thresholds.summary(alpha)),
      previews: accumulator.atlas(),
    };
    this.layers.push(result);
    return result;
  }

  /** Σ of all contributions against the last layer's affine output, as the network itself computed it. */
  private addResidual(layer: TracedLayer, tile: ActivationTile): void {
    const { inputs, outputs } = layer;
    const before = this.residual ?? { layer: layer.name, largest: 0, mean: 0 };
    let { largest } = before;
    let sum = 0;
    const added = new Float64Array(tile.count);
    const part = new Float32Array(tile.count);
    for (let j = 0; j < outputs; j++) {
      const formula = channelFormula(layer, j);
      added.fill(0);
      for (let i = 0; i < inputs; i++) {
        if (formula.complex) {
          evaluate(formula, i, tile, 0, tile.count, part);
          addScaled(added, part, 1, 0);
        } else {
          const x = tile.values.subarray(i * tile.count, (i + 1) * tile.count);
          addScaled(added, x, formula.scale[i], formula.shift);
        }
      }
      const row = j * this.pixels + tile.start;
      for (let k = 0; k < tile.count; k++) {
        const difference = Math.abs(added[k] - this.affineOutput[row + k]);
        largest = Math.max(largest, difference);
        sum += difference;
      }
    }
    this.residual = { layer: layer.name, largest, mean: before.mean + sum / (this.pixels * outputs) };
  }

  /** A layer's activations over the whole picture, from memory or computed again. @throws CancelledError */
  private async eachTile(
    { layer, kept }: Traced,
    cancel: CancelToken,
    onTile: (tile: ActivationTile) => void | Promise<void>,
  ): Promise<void> {
    if (kept) {
      let turn = performance.now();
      for (const tile of kept) {
        cancel.throwIfCancelled();
        await onTile(tile);
        if (performance.now() - turn < TURN) continue;
        await new Promise((resolve) => setImmediate(resolve));
        turn = performance.now();
      }
      return;
    }
    await this.run(valuesOf([layer]), cancel, (start, end, outputs) => {
      const imaginary = layer.inputImaginary && outputs.get(layer.inputImaginary)?.data;
      return onTile({
        start,
        count: end - start,
        values: outputs.get(layer.input)!.data,
        ...(imaginary && { imaginary }),
      });
    });
  }

  private at(index: number): Traced {
    const traced = this.traced[index];
    if (!traced) throw new RangeError(`no traced layer ${index}`);
    return traced;
  }

  private picture(data: Float32Array): FloatMap {
    return { width: this.inr.signal.width, height: this.inr.signal.height, data };
  }

  private checkNeuron({ layer }: Traced, neuron: number): void {
    if (!Number.isInteger(neuron) || neuron < 0 || neuron >= layer.inputs) {
      throw new RangeError(`${layer.name} has no neuron ${neuron}`);
    }
  }

  async map({ layer, neuron }: NeuronRef, channel?: number): Promise<FloatMap> {
    const traced = this.at(layer);
    this.checkNeuron(traced, neuron);
    const formula = channel === undefined ? traced.formula : channelFormula(traced.layer, channel);
    const out = new Float32Array(this.pixels);
    await this.eachTile(traced, neverCancelled, (tile) =>
      evaluate(formula, neuron, tile, 0, tile.count, out, tile.start),
    );
    return this.picture(out);
  }

  async sum(layer: number, neurons: readonly number[]): Promise<FloatMap> {
    const traced = this.at(layer);
    for (const neuron of neurons) this.checkNeuron(traced, neuron);
    const out = new Float32Array(this.pixels);
    await this.eachTile(traced, neverCancelled, (tile) => {
      const part = new Float32Array(tile.count);
      for (const neuron of neurons) {
        evaluate(traced.formula, neuron, tile, 0, tile.count, part);
        for (let k = 0; k < tile.count; k++) out[tile.start + k] += part[k];
      }
    });
    return this.picture(out);
  }

  async without(
    layer: number,
    neurons: readonly number[],
    baseline: Baseline,
    step: number,
    cancel: CancelToken,
  ): Promise<Ablated> {
    const traced = this.at(layer);
    if (this.ablation?.layer !== layer) {
      void this.ablation?.runs.then((before) => before.release());
      this.ablation = { layer, runs: Ablation.of(this.inr, traced.layer, this.engine) };
    }
    const ablation = await this.ablation.runs;
    return ablation.without(
      neurons,
      baseline,
      step,
      (token, onTile) => this.eachTile(traced, token, onTile),
      cancel,
    );
  }

  async eachRun(
    layer: number,
    cancel: CancelToken,
    visit: (neuron: number, start: number, values: Float32Array) => void,
  ): Promise<void> {
    const traced = this.at(layer);
    await this.eachTile(traced, cancel, (tile) => {
      const values = new Float32Array(tile.count);
      for (let neuron = 0; neuron < traced.layer.inputs; neuron++) {
        evaluate(traced.formula, neuron, tile, 0, tile.count, values);
        visit(neuron, tile.start, values);
      }
    });
  }

  picture01(): PictureValues {
    const { signal, outputRange } = this.inr;
    const [low, high] = outputRange;
    const data = this.reconstruction.map((v) => Math.min(1, Math.max(0, (v - low) / (high - low))));
    return { height: signal.height, width: signal.width, channels: signal.channels, data };
  }

  async neuronsPerPixel(layer: number, alpha: number): Promise<FloatMap> {
    const traced = this.at(layer);
    const limit = this.thresholds[layer].at(alpha);
    const out = new Float32Array(this.pixels);
    await this.eachTile(traced, neverCancelled, (tile) => {
      const counts = countAbove(traced.formula, tile, limit, neverCancelled);
      for (let k = 0; k < tile.count; k++) out[tile.start + k] = counts[k] / traced.layer.inputs;
    });
    return this.picture(out);
  }

  async probe(row: number, column: number, top: number): Promise<PixelProbe> {
    const { height, width, channels } = this.inr.signal;
    if (!(row >= 0 && row < height && column >= 0 && column < width)) {
      throw new RangeError(`pixel ${row}, ${column} is outside the ${height}x${width} picture`);
    }
    const pixel = row * width + column;
    const layers: PixelProbe['layers'][number][] = [];
    for (const [index, traced] of this.traced.entries()) {
      const values = new Float32Array(traced.layer.inputs);
      await this.eachTile(traced, neverCancelled, (tile) => {
        const from = pixel - tile.start;
        if (from < 0 || from >= tile.count) return;
        for (let i = 0; i < values.length; i++) evaluate(traced.formula, i, tile, from, 1, values, i);
      });
      const order = Array.from(values.keys()).sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]));
      const strongest = order.slice(0, top).map((neuron) => ({ neuron, contribution: values[neuron] }));
      const all = values.reduce((sum, v) => sum + Math.abs(v), 0);
      const held = strongest.reduce((sum, { contribution }) => sum + Math.abs(contribution), 0);
      layers.push({ layer: index, top: strongest, held: all > 0 ? held / all : 0 });
    }
    return {
      row,
      column,
      value: Array.from(this.reconstruction.subarray(pixel * channels, (pixel + 1) * channels)),
      layers,
    };
  }

  async *maps(layer: number): AsyncGenerator<Float32Array> {
    const traced = this.at(layer);
    for (let neuron = 0; neuron < traced.layer.inputs; neuron++) {
      yield (await this.map({ layer, neuron })).data;
    }
  }

  async *channelMaps(layer: number): AsyncGenerator<Float32Array> {
    const { inputs, outputs } = this.at(layer).layer;
    for (let neuron = 0; neuron < inputs; neuron++) {
      for (let channel = 0; channel < outputs; channel++) {
        yield (await this.map({ layer, neuron }, channel)).data;
      }
    }
  }

  dispose(): void {
    this.traced.length = 0;
    void this.ablation?.runs.then((runs) => runs.release());
  }
}
