/** Frames of NeRV-like decoders: contributions of convolution kernels (tracing.md §1). */
import type { Engine } from '../../engine/types';
import { neverCancelled, UsageError, type CancelToken } from '../../errors';
import type { Inr, TracedLayer } from '../../inr/types';
import type { FloatMap, NeuronRef, PixelProbe } from '../../worker/protocol';
import type { Ablated, Baseline } from '../ablation';
import { traceKey, type Gathered } from '../cache';
import { chosenLayers } from '../chosenLayers';
import { ALPHAS } from '../contributionTrace';
import { shownPicture } from '../picture';
import type { PictureValues } from '../regions';
import { distributedness, Thresholds } from '../statistics';
import type { Trace, TraceOptions } from '../trace';
import type { Completeness, LayerResidual, LayerTrace } from '../types';
import { atFrame, convolved } from './atFrame';
import { ChannelTrace } from './channelTrace';
import { kernelSize } from './convolution';
import { padded } from './loops';
import type { KernelPath } from './path';
import { kernelsAtPixel } from './pixel';
import { FrameRunner, interleaved } from './runner';
import { withoutKernels, type Removal } from './without';
import {
  added,
  atlasOf,
  inThisThread,
  kernelStatistics,
  perKernel,
  previewSide,
  residualOf,
  sharedFloats,
  sharesOf,
  type KernelLayer,
  type RoundShare,
  type RunRound,
} from './statistics';
import { Turn } from './turn';

/** Contributions (kernels × pixels) that are traced unasked; the head and the last two blocks always are. */
const UNASKED = 2 ** 29;
const ALWAYS = 3;

export interface FrameOptions extends TraceOptions {
  /** Of the same network, for many frames one after another. */
  readonly runner?: FrameRunner;
  /** Layer that is traced before the others. */
  readonly first?: string;
  /** Shares rounds over kernels among other threads; in this one when undefined. */
  readonly runRound?: RunRound;
}

/**
 * Traces the kernels of a decoder at one frame, or by other methods than XINC's the channels that each layer reads.
 * Without `layers`, the head and the last two blocks, and the ones before as long as they are small.
 * @throws CancelledError @throws UsageError when a layer is not the network's, or the frame not the video's
 */
export async function traceFrame(
  inr: Inr,
  engine: Engine,
  options: FrameOptions & { readonly method?: 'xinc' },
): Promise<VideoTrace>;
export async function traceFrame(
  inr: Inr,
  engine: Engine,
  options: FrameOptions,
): Promise<VideoTrace | ChannelTrace>;
export async function traceFrame(
  inr: Inr,
  engine: Engine,
  options: FrameOptions,
): Promise<VideoTrace | ChannelTrace> {
  const { cancel = neverCancelled, frame = 0, first, onReconstruction, onLayer, onProgress } = options;
  if (inr.layers.length === 0 || inr.layers.some(({ kind }) => kind !== 'convolution')) {
    throw new UsageError(
      `${inr.title} is recognised, but its layers are no chain of convolutions that could be traced; use inspect.`,
    );
  }
  const { method = 'xinc', baseline = 'zero', memoryBudget, cache } = options;
  checkFrame(inr, frame);
  const wanted = options.layers ? chosenLayers(inr, options.layers) : layersUnasked(inr);
  onProgress?.('Drawing the frame', 0);
  const runner = options.runner ?? new FrameRunner(inr, engine);
  const trace =
    method === 'xinc'
      ? await VideoTrace.of(runner, frame, wanted)
      : await ChannelTrace.of(runner, frame, wanted, { method, baseline, memoryBudget });
  cancel.throwIfCancelled();
  onReconstruction?.(trace.reconstruction, inr.signal);
  const layers = wanted.map(({ name }) => name);
  const key = traceKey(inr, { engine: engine.name, layers, method, baseline, frame });
  const known = await cache?.find<Gathered>(key);
  if (known) trace.restore(known);

  const costs = wanted.map(({ inputs, outputs }) => inputs * (method === 'xinc' ? outputs : 1));
  const whole = costs.reduce((a, b) => a + b, 0);
  // The head first: it is small, and what reaches the pixels.
  let done = 0;
  const order = [...wanted.keys()]
    .reverse()
    .sort((a, b) => Number(wanted[b].name === first) - Number(wanted[a].name === first));
  for (const [count, index] of order.entries()) {
    const detail = `Tracing layer ${count + 1} of ${wanted.length}: ${wanted[index].name}`;
    const progress = (fraction: number) =>
      onProgress?.(detail, 0.05 + (0.95 * (done + costs[index] * fraction)) / whole);
    progress(0);
    const layer = known
      ? known.layers[index].layer
      : await trace.addLayer(index, cancel, progress, options.runRound);
    done += costs[index];
    onLayer?.(index, layer);
  }
  if (!known) await cache?.keep(key, trace.gathered());
  return trace;
}

/** @throws UsageError */
export function checkFrame({ signal, domain }: Inr, frame: number): void {
  const end = domain.kind === 'frames' ? Math.max(domain.divisor, signal.frames - 1) : signal.frames - 1;
  // t = 1 lies behind the last frame of most code bases, but the network has a value there.
  if (frame >= 0 && (frame < signal.frames || (frame <= end && !Number.isInteger(frame)))) return;
  throw new UsageError(
    `There is no frame ${frame}: the video has ${signal.frames}, from 0 to ${signal.frames - 1}. ` +
      'Give another frame, or the number of frames with --set frames=N.',
  );
}

/** Layers traced when nobody says which. */
export function layersUnasked({ layers, signal, domain }: Inr): readonly TracedLayer[] {
  if (domain.kind !== 'frames') return layers;
  const pixels = signal.height * signal.width;
  let sum = 0;
  let first = layers.length;
  while (first > 0) {
    const { inputs, outputs } = layers[first - 1];
    sum += inputs * outputs * pixels;
    if (layers.length - first >= ALWAYS && sum > UNASKED) break;
    first--;
  }
  return layers.slice(first);
}

interface Kernels {
  /** As it is at this frame. */
  readonly layer: TracedLayer;
  /** As it is in the network, and what an instance norm multiplies each row of its weights by at this frame. */
  readonly own: TracedLayer;
  readonly gain: Float32Array | undefined;
  /** Of the maps that are asked for one by one. */
  readonly path: KernelPath;
  /** `[inputs, h, w]`, as threads share it. */
  readonly input: Float32Array;
  readonly previewSide: number;
  readonly kernelSide: number;
  /** What the network makes of it: the next layer's input, or of the head the affine output; shared, too. */
  readonly result: Float32Array;
  /** Layers from this one to the head. */
  readonly from: readonly TracedLayer[];
  thresholds?: Thresholds;
  /** Neurons per pixel at the first α. */
  above?: Float32Array;
}

/** The trace of one frame: statistics of every kernel, and maps on demand. */
export class VideoTrace implements Trace {
  layers: LayerTrace[] = [];
  restored = false;
  private readonly residuals: LayerResidual[] = [];

  private constructor(
    private readonly runner: FrameRunner,
    readonly frame: number,
    readonly reconstruction: Float32Array,
    private readonly kernels: readonly Kernels[],
  ) {
    this.layers.length = kernels.length;
  }

  get inr(): Inr {
    return this.runner.inr;
  }

  /** Runs the network at one frame. @throws CancelledError */
  static async of(runner: FrameRunner, frame: number, wanted: readonly TracedLayer[]): Promise<VideoTrace> {
    const { inr } = runner;
    const { layers, graph, signal } = inr;
    const head = layers.at(-1)!;
    const following = wanted.map((layer) => layers[layers.indexOf(layer) + 1]?.input ?? head.preActivation);
    const inputs = wanted.map(({ input }) => input);
    const normalised = wanted.filter(({ instanceNorm }) => instanceNorm).map(convolved);
    const names = [...new Set([graph.output, ...inputs, ...following, ...normalised])];
    const values = await runner.run(frame, names);
    // What one layer makes is what the next one reads.
    const shared = new Map<string, Float32Array>();
    const share = (name: string) => {
      let found = shared.get(name);
      if (!found) {
        const { data } = values.get(name)!;
        shared.set(name, (found = sharedFloats(data.length)));
        found.set(data);
      }
      return found;
    };
    const kernels = wanted.map((own, k): Kernels => {
      const [height, width] = values.get(own.input)!.shape.slice(-2);
      const { layer, gain } = atFrame(own, values.get(convolved(own))?.data);
      const from = [layer, ...layers.slice(layers.indexOf(own) + 1)];
      const [side, kernelSide] = (['made', 'sent'] as const).map((which) =>
        previewSide(layer.inputs * layer.outputs, signal, which),
      );
      return {
        layer,
        own,
        gain,
        path: runner.path(from, { height, width }, side, kernelSide),
        input: share(layer.input),
        previewSide: side,
        kernelSide,
        result: share(following[k]),
        from,
      };
    });
    const reconstruction = interleaved(values.get(graph.output)!.data, signal.channels);
    return new VideoTrace(runner, frame, reconstruction, kernels);
  }

  gathered(): Gathered {
    return {
      layers: this.layers.map((layer, index) => {
        const { thresholds, above } = this.kernels[index];
        return { layer, histogram: thresholds!.histogram, ...(above && { above }) };
      }),
      completeness: this.completeness,
    };
  }

  /** Takes up what an earlier trace of the same gathered. */
  restore({ layers, completeness }: Gathered): void {
    this.restored = true;
    this.residuals.push(...completeness.layers!);
    for (const [index, { layer, histogram, above }] of layers.entries()) {
      const kernels = this.kernels[index];
      this.layers[index] = layer;
      kernels.thresholds = new Thresholds(histogram);
      if (above) kernels.above = above;
    }
  }

  /** Of the head, and of each block: Σ over kernels, then σ, against what the next layer is given. */
  get completeness(): Completeness {
    const head = this.inr.layers.at(-1)!.name;
    const own = this.residuals.find(({ layer }) => layer === head);
    return { ...(own ?? { layer: '', largest: NaN, mean: NaN }), layers: this.residuals };
  }

  /** Every kernel of a layer, its path ready to be read. @throws CancelledError */
  private async eachKernel(
    kernels: Kernels,
    cancel: CancelToken,
    visit: (neuron: number) => void,
  ): Promise<void> {
    const turn = new Turn(cancel);
    const { inputs, outputs } = kernels.layer;
    for (let neuron = 0; neuron < inputs * outputs; neuron++) {
      ready(kernels, neuron);
      visit(neuron);
      if (turn.due) await turn.pause(() => undefined);
    }
  }

  /** @throws CancelledError */
  async addLayer(
    index: number,
    cancel: CancelToken,
    progress: (fraction: number) => void,
    run: RunRound = inThisThread,
  ): Promise<LayerTrace> {
    const kernels = this.kernels[index];
    const { layer, path, from, input, previewSide, kernelSide, result } = kernels;
    const { inputs, outputs } = layer;
    const { frameHeight, frameWidth, previewSize, kernelPreviewSize } = path;
    // Functions cannot be sent; the path knows them by name.
    const layers = from.map(({ activate: _, ...plain }) => plain);
    const { height, width } = path;
    const round: KernelLayer = { layers, input, height, width, previewSide, kernelSide, result };
    const into = perKernel(round, kernelPreviewSize.height * kernelPreviewSize.width);

    const shares = await run({ kernels: round, into }, cancel, (fraction) => progress(0.6 * fraction));
    this.residuals.push(completenessOf(round, path, shares));
    const thresholds = (kernels.thresholds = Thresholds.of(added(shares.map(({ counts }) => counts!))));
    const sums = added(shares.map((share) => share.sums!));
    const fair = sharedFloats(sums.length);
    for (let k = 0; k < sums.length; k++) fair[k] = sums[k] / (inputs * outputs);

    const second = { fair, threshold: thresholds.at(ALPHAS[0]) };
    const others = await run({ kernels: round, into, second }, cancel, (fraction) =>
      progress(0.6 + 0.4 * fraction),
    );
    const above = added(others.map((share) => share.above!));
    kernels.above = Float32Array.from({ length: this.pixels }, (_, p) => {
      const column = p % frameWidth;
      return above[((p - column) / frameWidth) * padded(frameWidth) + column] / (inputs * outputs);
    });
    const gathered = kernelStatistics(into, frameHeight * frameWidth);
    const traced: LayerTrace = {
      name: layer.name,
      kind: 'convolution',
      neurons: inputs * outputs,
      outputs,
      convolution: { inputs, outputs, kernel: kernelSize(layer), shuffle: layer.shuffle ?? 1 },
      activation: layer.activation,
      last: layer.last,
      mapDefinition: definition(kernels),
      statistics: gathered,
      distributedness: distributedness(gathered.total),
      neuronsPerPixel: ALPHAS.map((alpha) => thresholds.summary(alpha)),
      previews: { ...kernelPreviewSize, data: into.previews.slice(), limit: into.limits.slice() },
      channelPreviews: {
        inputs: atlasOf(added(shares.map(({ inputSums }) => inputSums!)), previewSize),
        outputs: atlasOf(added(shares.map(({ outputSums }) => outputSums!)), previewSize),
      },
    };
    this.layers[index] = traced;
    return traced;
  }

  private at(index: number): Kernels {
    const kernels = this.kernels[index];
    if (!kernels) throw new RangeError(`no traced layer ${index}`);
    return kernels;
  }

  private picture(data: Float32Array): FloatMap {
    return { width: this.inr.signal.width, height: this.inr.signal.height, data };
  }

  map({ layer, neuron }: NeuronRef): Promise<FloatMap> {
    const kernels = this.at(layer);
    ready(kernels, neuron);
    return Promise.resolve(this.picture(kernels.path.map().slice()));
  }

  private get pixels(): number {
    return this.inr.signal.height * this.inr.signal.width;
  }

  async sum(layer: number, neurons: readonly number[]): Promise<FloatMap> {
    const kernels = this.at(layer);
    const out = new Float32Array(this.pixels);
    const turn = new Turn(neverCancelled);
    for (const neuron of neurons) {
      ready(kernels, neuron);
      const map = kernels.path.map();
      for (let p = 0; p < out.length; p++) out[p] += map[p];
      if (turn.due) await turn.pause(() => undefined);
    }
    return this.picture(out);
  }

  /** What a kernel adds to its layer is taken away, or its mean put in its place. */
  async without(
    neurons: readonly NeuronRef[],
    baseline: Baseline,
    step: number,
    cancel: CancelToken,
  ): Promise<Ablated> {
    const removals: Removal[] = [];
    for (const index of new Set(neurons.map(({ layer }) => layer))) {
      const chosen = new Set(neurons.filter((ref) => ref.layer === index).map(({ neuron }) => neuron));
      const { own: layer, gain, path, input: planes } = this.at(index);
      const kernels = Array.from(chosen, (neuron) => kernelOf(layer, neuron));
      const { height, width } = path;
      const area = height * width;
      if (baseline === 'zero') {
        removals.push({ layer, kernels });
        continue;
      }
      const data = new Float32Array(layer.outputs * area);
      for (const [input, output] of kernels) {
        cancel.throwIfCancelled();
        const plane = planes.subarray(input * area, (input + 1) * area);
        const mean = plane.reduce((sum, v) => sum + v, 0) / area;
        const own = path.convolve(new Float32Array(area).fill(mean), input, output, 0);
        // Where the gain is zero, nothing of this reaches the frame.
        const factor = 1 / (gain?.[output] || 1);
        for (let k = 0; k < area; k++) data[output * area + k] += own[k] * factor;
      }
      removals.push({ layer, kernels, instead: { data, height, width } });
    }
    return this.runner.paintedBy(withoutKernels(this.inr.graph, removals), this.frame, step, cancel);
  }

  async eachRun(
    layer: number,
    cancel: CancelToken,
    visit: (neuron: number, start: number, values: Float32Array) => void,
  ): Promise<void> {
    const kernels = this.at(layer);
    await this.eachKernel(kernels, cancel, (neuron) => visit(neuron, 0, kernels.path.map()));
  }

  thresholds(layer: number): Thresholds {
    return this.at(layer).thresholds!;
  }

  picture01(): PictureValues {
    return shownPicture(this.inr, this.reconstruction);
  }

  async neuronsPerPixel(layer: number, alpha: number): Promise<FloatMap> {
    const kernels = this.at(layer);
    if (alpha === ALPHAS[0] && kernels.above) return this.picture(kernels.above.slice());
    const limit = this.thresholds(layer).at(alpha);
    const part = 1 / (kernels.layer.inputs * kernels.layer.outputs);
    const out = new Float32Array(this.pixels);
    await this.eachRun(layer, neverCancelled, (_, start, values) => {
      for (let k = 0; k < values.length; k++) if (Math.abs(values[k]) > limit) out[start + k] += part;
    });
    return this.picture(out);
  }

  probe(row: number, column: number, top: number): Promise<PixelProbe> {
    const { height, width, channels } = this.inr.signal;
    if (!(row >= 0 && row < height && column >= 0 && column < width)) {
      throw new RangeError(`pixel ${row}, ${column} is outside the ${height}x${width} picture`);
    }
    const layers = [...this.kernels.entries()]
      .filter(([index]) => this.layers[index])
      .map(([index, { layer, path, input }]) => {
        const values = kernelsAtPixel(layer, path, input, row, column);
        const strongest = strongestOf(values, top).map((neuron) => ({
          neuron,
          contribution: values[neuron],
        }));
        const all = values.reduce((sum, v) => sum + Math.abs(v), 0);
        const held = strongest.reduce((sum, { contribution }) => sum + Math.abs(contribution), 0);
        return { layer: index, top: strongest, held: all > 0 ? held / all : 0 };
      });
    const pixel = (row * width + column) * channels;
    const value = Array.from(this.reconstruction.subarray(pixel, pixel + channels));
    return Promise.resolve({ row, column, value, layers });
  }

  async *maps(layer: number): AsyncGenerator<Float32Array> {
    const kernels = this.at(layer);
    const { inputs, outputs } = kernels.layer;
    const out = new Float32Array(this.pixels);
    const turn = new Turn(neverCancelled);
    for (let neuron = 0; neuron < inputs * outputs; neuron++) {
      ready(kernels, neuron);
      // The path's own array belongs to whoever asks next, which may be before this one is read.
      out.set(kernels.path.map());
      yield out;
      if (turn.due) await turn.pause(() => undefined);
    }
  }

  /** A kernel of the head is one of a channel. */
  channelMaps(layer: number): AsyncIterable<Float32Array> {
    return this.maps(layer);
  }

  dispose(): void {
    // What takes memory outside of JavaScript is the runner's.
  }
}

/** Makes a kernel's path ready to be read. @throws RangeError when there is no such kernel */
function ready({ layer, path, input: planes }: Kernels, neuron: number): void {
  const [input, output] = kernelOf(layer, neuron);
  const area = path.height * path.width;
  path.convolve(planes.subarray(input * area, (input + 1) * area), input, output);
  path.descend(output);
}

/** @throws RangeError when there is no such kernel */
function kernelOf({ name, inputs, outputs }: TracedLayer, neuron: number): readonly [number, number] {
  if (!Number.isInteger(neuron) || neuron < 0 || neuron >= inputs * outputs) {
    throw new RangeError(`${name} has no kernel ${neuron}`);
  }
  return [Math.floor(neuron / outputs), neuron % outputs];
}

/** Indices of the largest magnitudes, descending; without sorting them all. */
function strongestOf(values: Float32Array, count: number): number[] {
  const chosen: number[] = [];
  for (let k = 0; k < values.length; k++) {
    const magnitude = Math.abs(values[k]);
    if (chosen.length === count && magnitude <= Math.abs(values[chosen[count - 1]])) continue;
    let at = chosen.length;
    while (at > 0 && Math.abs(values[chosen[at - 1]]) < magnitude) at--;
    chosen.splice(at, 0, k);
    if (chosen.length > count) chosen.pop();
  }
  return chosen;
}

/** Σ over kernels against what the network makes of them, from what all threads gave. */
function completenessOf(
  kernels: KernelLayer,
  path: KernelPath,
  shares: readonly RoundShare[],
): LayerResidual {
  const [{ name }] = kernels.layers;
  const residuals = sharesOf(kernels.layers[0]).whole
    ? shares.flatMap((share) => share.residuals!)
    : [residualOf(kernels, path.activation, 0, added(shares.map(({ affine }) => affine!)))];
  return {
    layer: name,
    largest: residuals.reduce((most, { largest }) => Math.max(most, largest), 0),
    mean: residuals.reduce((all, { sum }) => all + sum, 0) / kernels.result.length,
    scale: kernels.result.reduce((all, v) => all + Math.abs(v), 0) / kernels.result.length,
  };
}

function definition({ layer, gain, from, path }: Kernels): string {
  if (layer.last) return 'W_oi ∗ x_i + b_o/n';
  const sigma = path.activation ? layer.activation.toUpperCase() : '';
  const weights = gain ? 'W, b with the instance norm of the frame: ' : '';
  const own = `${weights}${sigma}(W_oi ∗ x_i + b_o/n)`;
  const behindIt = from.slice(1).map((l) => {
    const k = kernelSize(l).join('×');
    const scale = l.shuffle ?? 1;
    return `mean ${k}${l.last ? '' : `, up ×${scale}, ${sigma}`}`;
  });
  return [layer.shuffle ? `${own} at its phase` : own, ...behindIt].join(' → ');
}
