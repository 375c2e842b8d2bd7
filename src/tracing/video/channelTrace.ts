/** Frames of decoders by other methods than XINC's: maps of the channels that convolutions read (tracing.md §1). */
import { UsageError, type CancelToken } from '../../errors';
import type { Constant, Graph, GraphNode } from '../../graph/types';
import type { TracedLayer } from '../../inr/types';
import type { FloatMap, NeuronRef } from '../../worker/protocol';
import type { Ablated, Baseline } from '../ablation';
import { asTheyAre, type ActivationTile, type ContributionFormula } from '../contributions';
import { ContributionTrace } from '../contributionTrace';
import { pause } from '../regions';
import { LayerAccumulator } from '../statistics';
import type { Traced } from '../trace';
import type { Completeness, LayerTrace, Method } from '../types';
import { BehindFrame, meanOf } from './behindFrame';
import { interleaved, type FrameRunner } from './runner';

/** Pixels that are handed over at a time, so that others get their turn. */
const TILE = 1 << 15;

export interface ChannelOptions {
  readonly method: Exclude<Method, 'xinc'>;
  readonly baseline: Baseline;
  /** Bytes that maps may take; what does not fit is computed again when asked for. */
  readonly memoryBudget: number;
}

/**
 * A convolution's channel is a map of its own, so what it contributes to a pixel comes from many places of it.
 * `gradient`: Σ over them of value × derivative of the pixel, one run a channel of the network's derivative along it.
 * `ablation`: the frame less the frame without the channel, one run a channel of what is behind.
 */
export class ChannelTrace extends ContributionTrace {
  /** Σ over colours of each layer's maps, `[inputs, H·W]`, while they fit. */
  private readonly known = new Map<string, Float32Array>();
  private readonly networks = new Map<string, Promise<BehindFrame>>();
  private left: number;

  private constructor(
    private readonly runner: FrameRunner,
    frame: number,
    traced: Traced[],
    private readonly options: ChannelOptions,
  ) {
    const { inr } = runner;
    super(inr, frame, { height: inr.signal.height, width: inr.signal.width }, traced);
    this.left = options.memoryBudget;
    this.layers.length = traced.length;
  }

  /** A frame without statistics, which `addLayer` gives. @throws UsageError when a layer's maps do not fit */
  static async of(
    runner: FrameRunner,
    frame: number,
    wanted: readonly TracedLayer[],
    options: ChannelOptions,
  ): Promise<ChannelTrace> {
    const { height, width, channels } = runner.inr.signal;
    for (const { name, inputs } of wanted) {
      const bytes = 4 * inputs * height * width;
      if (bytes <= options.memoryBudget) continue;
      const [needed, given] = [bytes, options.memoryBudget].map((n) => Math.ceil(n / 2 ** 20));
      throw new UsageError(
        `The maps of ${name}’s ${inputs} channels take ${needed} MiB and ${given} are allowed; ` +
          'leave the layer out, use the method xinc, or allow more (in VS Code, neuralCanvas.memoryBudget).',
      );
    }
    const traced = wanted.map((layer) => ({ layer, formula: definition(options, layer) }));
    const trace = new ChannelTrace(runner, frame, traced, options);
    const { output } = runner.inr.graph;
    trace.reconstruction = interleaved((await runner.run(frame, [output])).get(output)!.data, channels);
    return trace;
  }

  /** What the channels add up to is told by the faithfulness card. */
  get completeness(): Completeness {
    return { layer: '', largest: NaN, mean: NaN };
  }

  /** @throws CancelledError */
  async addLayer(
    index: number,
    cancel: CancelToken,
    progress: (fraction: number) => void,
  ): Promise<LayerTrace> {
    const traced = this.at(index);
    const accumulator = new LayerAccumulator(traced.formula, this.size.height, this.size.width);
    await this.eachContribution(traced, cancel, (tile) => accumulator.add(tile, cancel), undefined, progress);
    return (this.layers[index] = this.described(index, accumulator));
  }

  protected override channelFormula(layer: TracedLayer, channel: number): ContributionFormula {
    return definition(this.options, layer, channel);
  }

  protected override async eachContribution(
    { layer }: Traced,
    cancel: CancelToken,
    onTile: (tile: ActivationTile) => void | Promise<void>,
    channel?: number,
    progress?: (fraction: number) => void,
  ): Promise<void> {
    const { pixels } = this;
    const maps = await this.mapsOf(layer, cancel, channel, progress);
    for (let start = 0; start < pixels; start += TILE) {
      await pause(cancel);
      const count = Math.min(TILE, pixels - start);
      const values = new Float32Array(layer.inputs * count);
      for (let i = 0; i < layer.inputs; i++) {
        const from = i * pixels + start;
        values.set(maps.subarray(from, from + count), i * count);
      }
      await onTile({ start, count, values });
    }
  }

  /** `[inputs, H·W]` @throws CancelledError */
  private async mapsOf(
    layer: TracedLayer,
    cancel: CancelToken,
    channel?: number,
    progress?: (fraction: number) => void,
  ): Promise<Float32Array> {
    const known = channel === undefined ? this.known.get(layer.name) : undefined;
    if (known) return known;
    const { pixels } = this;
    const maps = new Float32Array(layer.inputs * pixels);
    for (let i = 0; i < layer.inputs; i++) {
      await pause(cancel);
      maps.set(await this.one(layer, i, channel), i * pixels);
      progress?.((i + 1) / layer.inputs);
    }
    if (channel === undefined && maps.byteLength <= this.left) {
      this.left -= maps.byteLength;
      this.known.set(layer.name, maps);
    }
    return maps;
  }

  /** One channel's map `[H·W]`, of one colour or of all together. */
  private async one(layer: TracedLayer, input: number, colour?: number): Promise<Float32Array> {
    const { pixels } = this;
    const network = await this.network(layer);
    const { method, baseline } = this.options;
    const changes =
      method === 'gradient'
        ? await network.along(input)
        : await network.without([input], () => (baseline === 'mean' ? meanOf(network.row(input)) : 0));
    const map = new Float32Array(pixels);
    const { output } = network;
    for (let c = 0; c < output.length / pixels; c++) {
      if (colour !== undefined && c !== colour) continue;
      const from = c * pixels;
      if (method === 'gradient') for (let p = 0; p < pixels; p++) map[p] += changes[from + p];
      else for (let p = 0; p < pixels; p++) map[p] += output[from + p] - changes[from + p];
    }
    return map;
  }

  private network({ input }: TracedLayer): Promise<BehindFrame> {
    let network = this.networks.get(input);
    if (!network) this.networks.set(input, (network = BehindFrame.at(this.runner, this.frame, input)));
    return network;
  }

  override async map({ layer, neuron }: NeuronRef, channel?: number): Promise<FloatMap> {
    const traced = this.at(layer);
    this.checkNeuron(traced, neuron);
    const known = channel === undefined ? this.known.get(traced.layer.name) : undefined;
    const { pixels } = this;
    return this.picture(
      known?.slice(neuron * pixels, (neuron + 1) * pixels) ?? (await this.one(traced.layer, neuron, channel)),
    );
  }

  /** The frame with some channels at zero, or at their mean. */
  async without(
    neurons: readonly NeuronRef[],
    baseline: Baseline,
    step: number,
    cancel: CancelToken,
  ): Promise<Ablated> {
    let { graph } = this.inr;
    for (const index of new Set(neurons.map(({ layer }) => layer))) {
      const traced = this.at(index);
      const off = new Map<number, number>();
      const network = await this.network(traced.layer);
      for (const { layer, neuron } of neurons) {
        if (layer !== index) continue;
        this.checkNeuron(traced, neuron);
        off.set(neuron, baseline === 'mean' ? meanOf(network.row(neuron)) : 0);
      }
      graph = withChannels(graph, traced.layer, off);
    }
    return this.runner.paintedBy(graph, this.frame, step, cancel);
  }

  dispose(): void {
    const open = [...this.networks.values()];
    this.networks.clear();
    this.known.clear();
    for (const network of open) {
      void network.then(
        (found) => found.release(),
        () => undefined,
      );
    }
  }
}

function definition(
  { method, baseline }: ChannelOptions,
  { inputs }: TracedLayer,
  channel?: number,
): ContributionFormula {
  const y = channel === undefined ? 'Σ_c y_c' : `y_${channel}`;
  return asTheyAre(
    inputs,
    method === 'gradient'
      ? `Σ_q x_i(q) · ∂(${y})/∂x_i(q), x_i a channel that the layer reads`
      : `${y} − ${y} with x_i := ${baseline === 'zero' ? '0' : 'mean of x_i'}, x_i a channel that the layer reads`,
  );
}

/** The network with constants in the place of some channels that a layer reads. */
function withChannels(graph: Graph, { input, inputs }: TracedLayer, off: ReadonlyMap<number, number>): Graph {
  const name = (what: string) => `${input}_${what}`;
  const [mask, instead, before, kept] = ['mask', 'instead', 'before', 'kept'].map(name);
  const row = (value: (i: number) => number): Constant => ({
    shape: [1, inputs, 1, 1],
    data: Float32Array.from({ length: inputs }, (_, i) => value(i)),
  });
  const made: GraphNode[] = [
    { op: 'Mul', inputs: [before, mask], outputs: [kept] },
    { op: 'Add', inputs: [kept, instead], outputs: [input] },
  ];
  return {
    ...graph,
    constants: new Map([
      ...graph.constants,
      [mask, row((i) => (off.has(i) ? 0 : 1))],
      [instead, row((i) => off.get(i) ?? 0)],
    ]),
    nodes: graph.nodes.flatMap((node) =>
      node.outputs.includes(input)
        ? [{ ...node, outputs: node.outputs.map((each) => (each === input ? before : each)) }, ...made]
        : [node],
    ),
  };
}
