/** Traces by other methods than XINC's: maps that reach the pixel from any depth (tracing.md §1). */
import { runTiles } from '../engine/tiles';
import type { Engine } from '../engine/types';
import type { CancelToken } from '../errors';
import { fillCoordinates } from '../inr/coordinates';
import type { Inr, TracedLayer } from '../inr/types';
import type { Baseline } from './ablation';
import { asTheyAre, type ActivationTile, type ContributionFormula } from './contributions';
import { seededRandom } from './random';
import { pause } from './regions';
import { costBehind, gradientsOf, SampledNetwork, valuesOf, type Means } from './sampled';
import type { PassRunner } from './pass';
import { LayerAccumulator } from './statistics';
import { PictureTrace, type Traced } from './trace';
import type { LayerTrace, Method, NeuronStatistics } from './types';

/** Operations that ablating all neurons of a layer one by one may take; beyond, fewer pixels are taken. */
const ABLATION_BUDGET = 3e10;
/** Pixels ablated at a time: a run of them holds many neurons' pictures side by side. */
const CHUNK = 512;
const SEED = 0;

/**
 * `gradient`: a_i·∂y/∂a_i, by one backward run. `ablation`: y − y without the neuron, one run of the layers
 * behind for every neuron; of large networks at one random pixel of every square of some side, which then
 * stands for the square.
 */
export class MethodTrace extends PictureTrace {
  /** Contributions computed before, by layer and channel; only the whole ones when memory allows. */
  private readonly known = new Map<string, readonly ActivationTile[]>();

  private readonly keep: boolean;

  constructor(
    inr: Inr,
    engine: Engine,
    passes: PassRunner,
    wanted: readonly TracedLayer[],
    memoryBudget: number,
    private readonly method: Exclude<Method, 'xinc'>,
    private readonly baseline: Baseline,
  ) {
    super(inr, engine, passes, wanted, 1, 0);
    this.traced.forEach((traced, i) => {
      this.traced[i] = { ...traced, formula: this.definition(traced.layer) };
    });
    const values = wanted.reduce((sum, layer) => sum + layer.inputs * this.pixels, 0);
    this.keep = values * Float32Array.BYTES_PER_ELEMENT <= memoryBudget;
  }

  override async run(cancel: CancelToken, progress?: (fraction: number) => void): Promise<void> {
    const { channels } = this.inr.signal;
    const { output } = this.inr.graph;
    this.reconstruction = new Float32Array(this.pixels * channels);
    await this.activations.compute([output], cancel, (start, end, outputs) => {
      const { data } = outputs.get(output)!;
      const count = end - start;
      for (let c = 0; c < channels; c++) {
        for (let k = 0; k < count; k++) this.reconstruction[(start + k) * channels + c] = data[c * count + k];
      }
    });
    for (const [index, traced] of this.traced.entries()) {
      const { layer, formula } = traced;
      const accumulator = new LayerAccumulator(formula, this.size.height, this.size.width);
      await this.eachContribution(traced, cancel, (tile) => {
        accumulator.add(tile, cancel);
        progress?.((index + (tile.start + tile.count) / this.pixels) / this.traced.length);
      });
      const described = this.described(index, accumulator);
      this.layers.push({ ...described, ...this.sampleOf(described.statistics, layer) });
    }
  }

  private definition(layer: TracedLayer, channel?: number): ContributionFormula {
    const y = channel === undefined ? 'Σ_c y_c' : `y_${channel}`;
    if (this.method === 'gradient') return asTheyAre(layer.inputs, `a_i · ∂(${y})/∂a_i`);
    const off = this.baseline === 'zero' ? '0' : 'mean of a_i';
    const side = this.side(layer);
    const where = side > 1 ? `, at one random pixel of every ${side}×${side}` : '';
    return asTheyAre(layer.inputs, `${y} − ${y} with a_i := ${off}${where}`);
  }

  protected override channelFormula(layer: TracedLayer, channel: number): ContributionFormula {
    return this.definition(layer, channel);
  }

  /** Side of the squares of which one pixel is ablated; 1 when all are. */
  private side(layer: TracedLayer): number {
    if (this.method !== 'ablation') return 1;
    const cost = layer.inputs * this.pixels * costBehind(this.inr, layer);
    return Math.max(1, Math.ceil(Math.sqrt(cost / ABLATION_BUDGET)));
  }

  /** Which pixels the statistics stand on, when not on all. */
  private sampleOf(statistics: NeuronStatistics, layer: TracedLayer): Pick<LayerTrace, 'sample'> {
    const side = this.side(layer);
    const tiles = this.known.get(keyOf(layer));
    if (side === 1 || !tiles) return {};
    const { height, width } = this.inr.signal;
    const pixels = Math.ceil(height / side) * Math.ceil(width / side);
    // As if the pixels had been drawn anywhere: one a square varies less.
    const standardError = statistics.mean.map((mean, i) => {
      let squares = 0;
      for (const { values, count } of tiles) {
        for (let p = i * count; p < (i + 1) * count; p++) squares += (Math.abs(values[p]) - mean) ** 2;
      }
      return this.pixels * Math.sqrt(squares / this.pixels / Math.max(1, pixels - 1));
    });
    return { sample: { pixels, of: this.pixels, standardError } };
  }

  protected override async eachContribution(
    traced: Traced,
    cancel: CancelToken,
    onTile: (tile: ActivationTile) => void | Promise<void>,
    channel?: number,
  ): Promise<void> {
    const { layer } = traced;
    const known = this.known.get(keyOf(layer));
    if (known && channel === undefined) {
      for (const tile of known) {
        await pause(cancel);
        await onTile(tile);
      }
      return;
    }
    const tiles: ActivationTile[] = [];
    // Ablation is too dear to be repeated for every look at a map.
    const keep = channel === undefined && (this.keep || this.method === 'ablation');
    const take = async (tile: ActivationTile) => {
      if (keep) tiles.push(tile);
      await onTile(tile);
    };
    if (this.method === 'gradient') await this.gradients(layer, cancel, take, channel);
    else await this.ablatePixels(traced, cancel, take, channel);
    if (keep) this.known.set(keyOf(layer), tiles);
  }

  /** They are no function of the activations there. */
  protected override contributionsAt(traced: Traced, pixel: number): Promise<Float32Array> {
    return this.contributionsAmong(traced, pixel);
  }

  private async gradients(
    layer: TracedLayer,
    cancel: CancelToken,
    onTile: (tile: ActivationTile) => Promise<void>,
    channel?: number,
  ): Promise<void> {
    const { domain, signal } = this.inr;
    if (domain.kind !== 'pixels') throw new Error('frames are not made of pixels');
    const { graph, gradients } = gradientsOf(this.inr, layer, channel);
    const names = valuesOf(layer).filter((name) => gradients.has(name));
    const outputs = names.flatMap((name) => [name, gradients.get(name)!]);
    if (outputs.length === 0) outputs.push(layer.input);
    const session = await this.engine.load(graph, outputs);
    try {
      await runTiles({
        session,
        graph,
        pixels: this.pixels,
        fill: (out, start, end) =>
          fillCoordinates(domain.convention, signal.height, signal.width, start, end, out),
        cancel,
        onTile: async (start, end, results) => {
          const count = end - start;
          const values = new Float32Array(layer.inputs * count);
          for (const name of names) {
            const [a, g] = [results.get(name)!.data, results.get(gradients.get(name)!)!.data];
            for (let k = 0; k < values.length; k++) values[k] += a[k] * g[k];
          }
          await onTile({ start, count, values });
        },
      });
    } finally {
      await session.release();
    }
  }

  /** Mean activations over the whole picture. */
  private async means(traced: Traced, cancel: CancelToken): Promise<Means> {
    const { inputs, inputImaginary } = traced.layer;
    const sums = Array.from({ length: inputImaginary === undefined ? 1 : 2 }, () => new Float64Array(inputs));
    await this.activations.eachTile(traced.layer, cancel, ({ values, imaginary, count }) => {
      for (const [k, part] of (imaginary ? [values, imaginary] : [values]).entries()) {
        for (let i = 0; i < inputs; i++) {
          for (let p = i * count; p < (i + 1) * count; p++) sums[k][i] += part[p];
        }
      }
    });
    return sums.map((part) => part.map((sum) => sum / this.pixels));
  }

  private async ablatePixels(
    traced: Traced,
    cancel: CancelToken,
    onTile: (tile: ActivationTile) => Promise<void>,
    channel?: number,
  ): Promise<void> {
    const { layer } = traced;
    const { height, width } = this.inr.signal;
    const index = this.inr.layers.indexOf(layer);
    const off = this.baseline === 'mean' ? await this.means(traced, cancel) : 'zero';
    const side = this.side(layer);
    const [rows, columns] = [Math.ceil(height / side), Math.ceil(width / side)];
    const random = seededRandom(SEED);
    const drawn = Uint32Array.from({ length: rows * columns }, (_, k) => {
      const [top, left] = [Math.floor(k / columns) * side, (k % columns) * side];
      const y = top + Math.floor(random() * Math.min(side, height - top));
      return y * width + left + Math.floor(random() * Math.min(side, width - left));
    });
    // A band of squares at a time: its rows are whole, so that tiles are runs of pixels.
    const bands = Math.max(1, Math.floor(CHUNK / columns));
    for (let band = 0; band < rows; band += bands) {
      const end = Math.min(band + bands, rows);
      const pixels = drawn.subarray(band * columns, end * columns);
      const network = await SampledNetwork.at(this.inr, this.engine, pixels, cancel);
      let maps: Float32Array;
      try {
        maps = await network.maps(index, 'ablation', off, cancel, channel);
      } finally {
        await network.release();
      }
      const start = band * side * width;
      const count = (Math.min(end * side, height) - band * side) * width;
      const values = new Float32Array(layer.inputs * count);
      for (let i = 0; i < layer.inputs; i++) {
        for (let p = 0; p < count; p++) {
          const at = Math.floor(Math.floor(p / width) / side) * columns + Math.floor((p % width) / side);
          values[i * count + p] = maps[i * pixels.length + at];
        }
      }
      await onTile({ start, count, values });
    }
  }

  override dispose(): void {
    this.known.clear();
    super.dispose();
  }
}

const keyOf = ({ name }: TracedLayer) => name;
