import type { Engine } from '../engine/types';
import { neverCancelled, UsageError, type CancelToken } from '../errors';
import type { Inr, TracedLayer } from '../inr/types';
import type { FloatMap, NeuronRef, PixelProbe } from '../worker/protocol';
import {
  channelFormula,
  contributionFormula,
  type ActivationTile,
  type ContributionFormula,
} from './contributions';
import { traceKey, type Cache, type Gathered } from './cache';
import { ContributionTrace, contributionsOf } from './contributionTrace';
import { chosenLayers } from './chosenLayers';
import { Ablations, type Ablated, type Baseline } from './ablation';
import { Activations } from './activations';
import type { PictureValues } from './regions';
import { drawnSize, inThisThread, type Pass, type PassRunner } from './pass';
import { LayerAccumulator, type LayerShare, type Thresholds } from './statistics';
import type { Completeness, LayerTrace, Method } from './types';
import { traceFrame } from './video/trace';

export interface TraceOptions {
  /** Bytes that kept activations may take; what does not fit is computed again when asked for. */
  readonly memoryBudget: number;
  /** Dotted names; all when undefined. */
  readonly layers?: readonly string[];
  /** `xinc` when undefined. */
  readonly method?: Method;
  /** What `ablation` puts in a neuron's place; zero when undefined. */
  readonly baseline?: Baseline;
  readonly cancel?: CancelToken;
  /** The network's output `[H, W, C]`, unclamped, before any map. */
  readonly onReconstruction?: (
    values: Float32Array,
    size: { readonly height: number; readonly width: number },
  ) => void;
  /** Runs the network in other threads; in this one when undefined. */
  readonly passes?: PassRunner;
  /** Frame of a video; a fraction lies between two. 0 when undefined. */
  readonly frame?: number;
  /** Traces that were made before are taken from there; none when undefined. */
  readonly cache?: Cache;
  readonly onLayer?: (index: number, layer: LayerTrace) => void;
  /** What is being done, and the part of the whole that is done. */
  readonly onProgress?: (detail: string, fraction: number) => void;
}

export interface Traced {
  readonly layer: TracedLayer;
  readonly formula: ContributionFormula;
}

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
  /** Whether an earlier trace of the same was taken up. */
  readonly restored: boolean;
  /** What can be kept of it. */
  gathered(): Gathered;

  /** One neuron's contributions, `[H, W]`, signed; of one channel when `channel` is given. */
  map(neuron: NeuronRef, channel?: number): Promise<FloatMap>;
  /** Σ of several neurons' maps. */
  sum(layer: number, neurons: readonly number[]): Promise<FloatMap>;
  /**
   * The picture without some neurons, of whichever layers: only what is behind the first of them runs again.
   * @param step 1 draws every pixel, n every n-th row and column
   * @throws CancelledError
   */
  without(
    neurons: readonly NeuronRef[],
    baseline: Baseline,
    step: number,
    cancel: CancelToken,
  ): Promise<Ablated>;
  /** Ablations of coordinate networks, pixel by pixel; undefined where frames are drawn whole. */
  readonly ablations?: Ablations;
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
  /** The magnitudes of all contributions of a layer. */
  thresholds(layer: number): Thresholds;
  /** The network's output at one pixel, and the strongest neurons of every traced layer there. */
  probe(row: number, column: number, top: number): Promise<PixelProbe>;
  /** Every map of a layer in order, `[H, W]` each; the array is reused. */
  maps(layer: number): AsyncIterable<Float32Array>;
  /** Every neuron's maps of the last layer for each channel in turn, `[H, W]` each. */
  channelMaps(layer: number): AsyncIterable<Float32Array>;
  dispose(): void;
}

/** Pictures of so many pixels and more are drawn coarsely first, so that there is something to look at. */
const LARGE = 1 << 18;
/** Pixels on the long side of the coarse picture. */
const COARSE_SIDE = 128;

/**
 * Traces every layer of a network over its picture, or over one frame. Of a large picture, coarse results
 * come first: the callbacks are then called twice.
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
  const passes = options.passes ?? inThisThread(engine);
  const { height, width } = inr.signal;
  const publish = (trace: PictureTrace) => {
    onReconstruction?.(trace.reconstruction, trace.size);
    for (const [index, layer] of trace.layers.entries()) {
      cancel.throwIfCancelled();
      onLayer?.(index, layer);
    }
    cancel.throwIfCancelled();
  };

  const { method = 'xinc', baseline = 'zero', cache } = options;
  const make = async () => {
    if (method === 'xinc') return new PictureTrace(inr, engine, passes, wanted, 1, memoryBudget);
    // It extends what is below, so it can only be loaded afterwards.
    const { MethodTrace } = await import('./methodTrace');
    return new MethodTrace(inr, engine, passes, wanted, memoryBudget, method, baseline);
  };
  const layers = wanted.map(({ name }) => name);
  const key = traceKey(inr, { engine: engine.name, layers, method, baseline, frame: 0 });
  const known = await cache?.find<Gathered>(key);
  if (known) {
    const trace = await make();
    trace.restore(known);
    publish(trace);
    return trace;
  }
  const step = Math.ceil(Math.max(height, width) / COARSE_SIDE);
  const coarse = height * width >= LARGE && method === 'xinc';
  if (coarse) {
    onProgress?.('Drawing a coarse picture', 0);
    const sketch = new PictureTrace(inr, engine, passes, wanted, step, 0);
    await sketch.run(cancel);
    publish(sketch);
  }
  const trace = await make();
  const detail = `Tracing ${wanted.length === 1 ? wanted[0].name : `${wanted.length} layers`}`;
  await trace.run(cancel, (fraction) => onProgress?.(detail, fraction));
  publish(trace);
  await cache?.keep(key, trace.gathered());
  return trace;
}

/** The trace of a coordinate network: activations of linear layers, pixel by pixel. */
export class PictureTrace extends ContributionTrace {
  private residual: Completeness = { layer: '', largest: NaN, mean: NaN };
  protected readonly activations: Activations;
  readonly ablations: Ablations;

  /**
   * @param passes how the network runs over the whole picture
   * @param step 1 for every pixel, n for every n-th row and column
   * @param memoryBudget bytes that kept activations may take
   */
  constructor(
    inr: Inr,
    protected readonly engine: Engine,
    private readonly passes: PassRunner,
    wanted: readonly TracedLayer[],
    private readonly step: number,
    memoryBudget: number,
  ) {
    const traced = wanted.map((layer) => ({ layer, formula: contributionFormula(layer) }));
    super(inr, 0, drawnSize({ ...inr.signal, step }), traced);
    this.activations = new Activations(inr, engine, passes, wanted, memoryBudget);
    this.ablations = new Ablations(
      inr,
      wanted,
      engine,
      this.activations,
      passes,
      Math.max(this.activations.left, memoryBudget / 4),
    );
  }

  /** Residual of the last layer's contributions; NaN when that layer was not traced. */
  get completeness(): Completeness {
    return this.residual;
  }

  private pass(): Pass {
    const { domain, graph, signal } = this.inr;
    if (domain.kind !== 'pixels') throw new Error('frames are not made of pixels');
    const { height, width } = signal;
    const last = this.traced.findIndex(({ layer }) => layer.last);
    return {
      graph,
      convention: domain.convention,
      height,
      width,
      step: this.step,
      layers: this.traced.map(({ layer, formula }) => ({
        input: layer.input,
        ...(layer.inputImaginary !== undefined && { inputImaginary: layer.inputImaginary }),
        formula,
      })),
      keep: [],
      ...(last >= 0 && {
        check: {
          layer: last,
          value: this.traced[last].layer.preActivation,
          outputs: Array.from({ length: this.traced[last].layer.outputs }, (_, j) =>
            channelFormula(this.traced[last].layer, j),
          ),
        },
      }),
    };
  }

  /** Runs the network once for all layers. @throws CancelledError */
  async run(cancel: CancelToken, progress?: (fraction: number) => void): Promise<void> {
    const { channels } = this.inr.signal;
    const { pixels } = this;
    this.reconstruction = new Float32Array(pixels * channels);
    let done = 0;
    const pass = this.pass();
    const shares = await this.passes.run(pass, cancel, ({ start, count, output }) => {
      for (let c = 0; c < channels; c++) {
        for (let k = 0; k < count; k++) {
          this.reconstruction[(start + k) * channels + c] = output[c * count + k];
        }
      }
      done += count;
      progress?.(done / pixels);
    });
    for (const [index] of this.traced.entries()) {
      this.layers.push(
        this.summarise(
          index,
          shares.map(({ layers }) => layers[index]),
        ),
      );
    }
    if (pass.check) {
      const { layer } = this.traced[pass.check.layer];
      const sum = shares.reduce((all, { residual }) => all + residual.sum, 0);
      this.residual = {
        layer: layer.name,
        largest: Math.max(...shares.map(({ residual }) => residual.largest)),
        mean: sum / (pixels * layer.outputs),
      };
    }
  }

  override restore(gathered: Gathered): void {
    super.restore(gathered);
    this.residual = gathered.completeness;
  }

  private summarise(index: number, shares: readonly LayerShare[]): LayerTrace {
    const { formula } = this.traced[index];
    const [first, ...others] = shares;
    const accumulator = new LayerAccumulator(formula, this.size.height, this.size.width, first);
    for (const share of others) accumulator.merge(share);
    return this.described(index, accumulator);
  }

  protected override eachContribution(
    { layer }: Traced,
    cancel: CancelToken,
    onTile: (tile: ActivationTile) => void | Promise<void>,
    _channel?: number,
  ): Promise<void> {
    return this.activations.eachTile(layer, cancel, onTile);
  }

  protected override async contributionsAt({ layer, formula }: Traced, pixel: number): Promise<Float32Array> {
    return contributionsOf(formula, await this.activations.at(layer, pixel), 0);
  }

  protected override channelFormula(layer: TracedLayer, channel: number): ContributionFormula {
    return channelFormula(layer, channel);
  }

  without(
    neurons: readonly NeuronRef[],
    baseline: Baseline,
    step: number,
    cancel: CancelToken,
  ): Promise<Ablated> {
    return this.ablations.picture(neurons, baseline, step, cancel);
  }

  dispose(): void {
    this.activations.dispose();
    void this.ablations.release();
  }
}
