/** What traces share whose maps come as tiles of contributions, all neurons of a layer at some pixels at once. */
import { neverCancelled, type CancelToken } from '../errors';
import type { Inr, TracedLayer } from '../inr/types';
import type { FloatMap, NeuronRef, PixelProbe } from '../worker/protocol';
import type { Ablated, Baseline } from './ablation';
import type { Gathered } from './cache';
import { evaluate, type ActivationTile, type ContributionFormula } from './contributions';
import { shownPicture } from './picture';
import type { PictureValues } from './regions';
import { countAbove, distributedness, Thresholds, type LayerAccumulator } from './statistics';
import type { Trace, Traced } from './trace';
import type { Completeness, LayerTrace } from './types';

/** Parts α of the total that fall below the threshold of `neuronsPerPixel`. */
export const ALPHAS = [0.1, 0.5] as const;

/** Of every neuron at one pixel of a tile. */
export function contributionsOf(
  formula: ContributionFormula,
  tile: ActivationTile,
  at: number,
): Float32Array {
  const values = new Float32Array(formula.neurons);
  for (let i = 0; i < values.length; i++) evaluate(formula, i, tile, at, 1, values, i);
  return values;
}

export abstract class ContributionTrace implements Trace {
  readonly layers: LayerTrace[] = [];
  /** `[H, W, C]`, unclamped. */
  reconstruction: Float32Array = new Float32Array(0);
  private readonly allThresholds: Thresholds[] = [];
  restored = false;
  abstract get completeness(): Completeness;

  /** @param size of what is drawn */
  protected constructor(
    readonly inr: Inr,
    readonly frame: number,
    readonly size: { readonly height: number; readonly width: number },
    protected readonly traced: Traced[],
  ) {}

  protected get pixels(): number {
    return this.size.height * this.size.width;
  }

  /** What the layer's formula takes, over the whole picture. @throws CancelledError */
  protected abstract eachContribution(
    traced: Traced,
    cancel: CancelToken,
    onTile: (tile: ActivationTile) => void | Promise<void>,
    channel?: number,
  ): Promise<void>;

  protected abstract channelFormula(layer: TracedLayer, channel: number): ContributionFormula;

  abstract without(
    neurons: readonly NeuronRef[],
    baseline: Baseline,
    step: number,
    cancel: CancelToken,
  ): Promise<Ablated>;

  abstract dispose(): void;

  gathered(): Gathered {
    return {
      layers: this.layers.map((layer, index) => ({ layer, histogram: this.allThresholds[index].histogram })),
      completeness: this.completeness,
      reconstruction: this.reconstruction,
    };
  }

  /** Takes up what an earlier trace of the same gathered. */
  restore({ layers, reconstruction }: Gathered): void {
    this.restored = true;
    this.reconstruction = reconstruction!;
    for (const [index, { layer, histogram }] of layers.entries()) {
      this.layers[index] = layer;
      this.allThresholds[index] = new Thresholds(histogram);
    }
  }

  /** A layer from all that was gathered of it. */
  protected described(index: number, accumulator: LayerAccumulator): LayerTrace {
    const { layer, formula } = this.at(index);
    const thresholds = (this.allThresholds[index] = accumulator.thresholds());
    const statistics = accumulator.statistics();
    return {
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
  }

  protected at(index: number): Traced {
    const traced = this.traced[index];
    if (!traced) throw new RangeError(`no traced layer ${index}`);
    return traced;
  }

  protected picture(data: Float32Array): FloatMap {
    return { width: this.inr.signal.width, height: this.inr.signal.height, data };
  }

  protected checkNeuron({ layer }: Traced, neuron: number): void {
    if (!Number.isInteger(neuron) || neuron < 0 || neuron >= layer.inputs) {
      throw new RangeError(`${layer.name} has no neuron ${neuron}`);
    }
  }

  async map({ layer, neuron }: NeuronRef, channel?: number): Promise<FloatMap> {
    const traced = this.at(layer);
    this.checkNeuron(traced, neuron);
    const formula = channel === undefined ? traced.formula : this.channelFormula(traced.layer, channel);
    const out = new Float32Array(this.pixels);
    const take = (tile: ActivationTile) => evaluate(formula, neuron, tile, 0, tile.count, out, tile.start);
    await this.eachContribution(traced, neverCancelled, take, channel);
    return this.picture(out);
  }

  async sum(layer: number, neurons: readonly number[]): Promise<FloatMap> {
    const traced = this.at(layer);
    for (const neuron of neurons) this.checkNeuron(traced, neuron);
    const out = new Float32Array(this.pixels);
    await this.eachContribution(traced, neverCancelled, (tile) => {
      const part = new Float32Array(tile.count);
      for (const neuron of neurons) {
        evaluate(traced.formula, neuron, tile, 0, tile.count, part);
        for (let k = 0; k < tile.count; k++) out[tile.start + k] += part[k];
      }
    });
    return this.picture(out);
  }

  async eachRun(
    layer: number,
    cancel: CancelToken,
    visit: (neuron: number, start: number, values: Float32Array) => void,
  ): Promise<void> {
    const traced = this.at(layer);
    await this.eachContribution(traced, cancel, (tile) => {
      const values = new Float32Array(tile.count);
      for (let neuron = 0; neuron < traced.layer.inputs; neuron++) {
        evaluate(traced.formula, neuron, tile, 0, tile.count, values);
        visit(neuron, tile.start, values);
      }
    });
  }

  thresholds(layer: number): Thresholds {
    return this.allThresholds[layer];
  }

  picture01(): PictureValues {
    return shownPicture(this.inr, this.reconstruction);
  }

  async neuronsPerPixel(layer: number, alpha: number): Promise<FloatMap> {
    const traced = this.at(layer);
    const limit = this.thresholds(layer).at(alpha);
    const out = new Float32Array(this.pixels);
    await this.eachContribution(traced, neverCancelled, (tile) => {
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
      const values = await this.contributionsAt(traced, pixel);
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

  /** Of every neuron at one pixel, by its row-major index. */
  protected contributionsAt(traced: Traced, pixel: number): Promise<Float32Array> {
    return this.contributionsAmong(traced, pixel);
  }

  /** The same, taken from those of the whole picture. */
  protected async contributionsAmong(traced: Traced, pixel: number): Promise<Float32Array> {
    let found: Float32Array | undefined;
    await this.eachContribution(traced, neverCancelled, (tile) => {
      const from = pixel - tile.start;
      if (from >= 0 && from < tile.count) found = contributionsOf(traced.formula, tile, from);
    });
    return found!;
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
}
