import type { Engine, EngineSession, EngineTensor } from '../../engine/types';
import { GraphBuilder } from '../../graph/build';
import type { Graph } from '../../graph/types';
import type { TracedLayer } from '../../inr/types';
import { kernelSize } from './path';

/** Bytes of kernels' results that one run gives. */
const RUN_BYTES = 16 << 20;

/** One input channel against any number of kernels; the weights are an input, so one session does for all. */
function convolution(kernel: number, height: number, width: number): Graph {
  const graph = new GraphBuilder();
  const x = graph.input('x', [1, 1, height, width]);
  const w = graph.input('w', ['n', 1, kernel, kernel]);
  const b = graph.input('b', ['n']);
  const reach = (kernel - 1) / 2;
  return graph.build(
    graph.op('Conv', [x, w, b], {
      pads: { ints: [reach, reach, reach, reach] },
      strides: { ints: [1, 1] },
      group: { int: 1 },
    }),
  );
}

interface RunOptions {
  readonly x?: Float32Array;
  readonly bias?: boolean;
  readonly into?: Float32Array;
}

/** What single kernels of a layer make of their inputs: `conv2d(x_i, W[o, i]) + b_o / n`, `[h, w]`. */
export class KernelConvolutions {
  readonly kernel: number;
  private readonly session: Promise<EngineSession>;
  private readonly output: string;
  private readonly shares: Float32Array;

  /** @param input the layer's input, `[inputs, height, width]` */
  constructor(
    engine: Engine,
    private readonly layer: TracedLayer,
    private readonly input: Float32Array,
    private readonly height: number,
    private readonly width: number,
  ) {
    this.kernel = kernelSize(layer);
    const graph = convolution(this.kernel, height, width);
    this.output = graph.output;
    this.session = engine.load(graph, [graph.output]);
    // Reported by whoever runs first.
    this.session.catch(() => undefined);
    this.shares = Float32Array.from(
      { length: layer.outputs },
      (_, o) => (layer.bias?.[o] ?? 0) / layer.inputs,
    );
  }

  /** Outputs that one run gives at most. */
  get most(): number {
    return Math.max(1, Math.min(this.layer.outputs, Math.floor(RUN_BYTES / (4 * this.height * this.width))));
  }

  plane(input: number): Float32Array {
    const area = this.height * this.width;
    return this.input.subarray(input * area, (input + 1) * area);
  }

  /**
   * @param x another plane than that of the input channel
   * @param bias false leaves the share of the bias out
   * @param into memory for the result, at least as large: fresh memory for every run takes longer than the run
   * @returns `[outputs.length, h, w]`, to be overwritten at will
   */
  async run(
    input: number,
    outputs: readonly number[],
    { x = this.plane(input), bias = true, into }: RunOptions = {},
  ): Promise<Float32Array> {
    const { kernel, height, width, layer } = this;
    const size = kernel * kernel;
    const n = outputs.length;
    const weights = new Float32Array(n * size);
    const biases = new Float32Array(n);
    for (const [k, o] of outputs.entries()) {
      const from = (o * layer.inputs + input) * size;
      weights.set(layer.weight.subarray(from, from + size), k * size);
      if (bias) biases[k] = this.shares[o];
    }
    const feeds = new Map<string, EngineTensor>([
      ['x', { shape: [1, 1, height, width], data: x }],
      ['w', { shape: [n, 1, kernel, kernel], data: weights }],
      ['b', { shape: [n], data: biases }],
    ]);
    const session = await this.session;
    const result = into && {
      shape: [1, n, height, width],
      data: into.subarray(0, n * height * width),
    };
    return (await session.run(feeds, result && new Map([[this.output, result]]))).get(this.output)!.data;
  }

  /** The share of the bias in every kernel of an output channel. */
  biasShare(output: number): number {
    return this.shares[output];
  }

  release(): Promise<void> {
    return this.session.then(
      (session) => session.release(),
      () => undefined,
    );
  }
}
