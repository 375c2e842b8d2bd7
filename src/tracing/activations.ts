/** What the neurons of a coordinate network put out over its picture, when somebody looks. */
import { runTiles } from '../engine/tiles';
import type { Engine, EngineSession, EngineTensor } from '../engine/types';
import { CancelledError, cancelWhen, type CancelToken } from '../errors';
import { coordinatesAt, fillCoordinates } from '../inr/coordinates';
import type { Inr, TracedLayer } from '../inr/types';
import type { ActivationTile } from './contributions';
import { inThisThread, type PassRunner, type PassTile } from './pass';

/** Milliseconds after which the event loop gets its turn. */
const TURN = 40;

const valuesOf = ({ input, inputImaginary }: TracedLayer) =>
  inputImaginary === undefined ? [input] : [input, inputImaginary];

/**
 * A trace does not need them once their statistics are gathered, and keeping them would take it a third longer
 * (docs/benchmarks.md). So they come with the first question about a layer, for all layers that fit into memory.
 */
export class Activations {
  /** Of the layers that fit, by name; empty until they are asked for. */
  private readonly kept = new Map<string, ActivationTile[]>();
  private filled = false;
  private filling: Promise<void> | undefined;
  private disposed = false;
  private onePixel: Promise<EngineSession> | undefined;
  private latest: { readonly pixel: number; readonly outputs: Promise<Outputs> } | undefined;
  /** Bytes of the budget that are not used. */
  readonly left: number;

  /**
   * @param layers that questions are about
   * @param memoryBudget bytes that activations may take; the last layers are kept first
   */
  constructor(
    private readonly inr: Inr,
    private readonly engine: Engine,
    private readonly passes: PassRunner,
    private readonly layers: readonly TracedLayer[],
    memoryBudget: number,
  ) {
    const { height, width } = inr.signal;
    let left = memoryBudget;
    for (const layer of layers.toReversed()) {
      const bytes = 4 * valuesOf(layer).length * layer.inputs * height * width;
      // Coordinates are made again in no time.
      if (bytes > left || layer.input === inr.graph.inputs[0].name) continue;
      left -= bytes;
      this.kept.set(layer.name, []);
    }
    this.left = left;
  }

  /** A layer's, if they are in memory. They must stay as they are. */
  known({ name }: TracedLayer): readonly ActivationTile[] | undefined {
    return this.filled ? this.kept.get(name) : undefined;
  }

  /** A layer's over the whole picture, from memory or computed again. @throws CancelledError */
  async eachTile(
    layer: TracedLayer,
    cancel: CancelToken,
    onTile: (tile: ActivationTile) => void | Promise<void>,
  ): Promise<void> {
    this.checkOpen();
    const kept = this.kept.get(layer.name);
    if (kept) {
      if (!this.filled) await (this.filling ??= this.fill());
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
    await this.compute(valuesOf(layer), cancel, (start, end, outputs) =>
      onTile({ start, count: end - start, ...activationsIn(layer, outputs) }),
    );
  }

  /** A layer's at one pixel: the network runs there alone. */
  async at(layer: TracedLayer, pixel: number): Promise<ActivationTile> {
    // A question about a pixel is one about every layer.
    if (this.latest?.pixel !== pixel) this.latest = { pixel, outputs: this.runAt(pixel) };
    const { outputs } = this.latest;
    try {
      return { start: pixel, count: 1, ...activationsIn(layer, await outputs) };
    } catch (error) {
      // Tried again when asked again.
      if (this.latest?.outputs === outputs) this.latest = undefined;
      this.onePixel = undefined;
      throw error;
    }
  }

  private async runAt(pixel: number): Promise<Outputs> {
    const { graph, signal } = this.inr;
    const { height, width } = signal;
    const names = [...new Set(this.layers.flatMap(valuesOf))];
    this.checkOpen();
    this.onePixel ??= this.engine.load(graph, names);
    const session = await this.onePixel;
    const data = coordinatesAt(this.convention, height, width, Uint32Array.of(pixel));
    return session.run(new Map([[graph.inputs[0].name, { shape: [data.length, 1], data }]]));
  }

  /** Whoever is still asking would compute, and keep, for nobody. @throws CancelledError once disposed */
  private checkOpen(): void {
    if (this.disposed) throw new CancelledError();
  }

  private get convention() {
    const { domain } = this.inr;
    if (domain.kind !== 'pixels') throw new Error('frames are not made of pixels');
    return domain.convention;
  }

  /** Runs the network tile by tile for some of its values. @throws CancelledError */
  async compute(
    names: readonly string[],
    cancel: CancelToken,
    onTile: (start: number, end: number, outputs: Outputs) => void | Promise<void>,
  ): Promise<void> {
    const { graph, signal } = this.inr;
    const { height, width } = signal;
    const { convention } = this;
    const session = await this.engine.load(graph, names);
    try {
      await runTiles({
        session,
        graph,
        pixels: height * width,
        fill: (out, start, end) => fillCoordinates(convention, height, width, start, end, out),
        onTile,
        cancel,
      });
    } finally {
      await session.release();
    }
  }

  /** All that are to be kept, in one run of the network. */
  private async fill(): Promise<void> {
    // Tiles still come after a disposal, until the pass has noticed.
    const wanted = this.layers.flatMap((layer) => {
      const tiles = this.kept.get(layer.name);
      return tiles ? [{ layer, tiles }] : [];
    });
    const keep = [...new Set(wanted.flatMap(({ layer }) => valuesOf(layer)))];
    const cancel = cancelWhen(() => this.disposed);
    const take = ({ start, count, kept }: PassTile) => {
      for (const { layer, tiles } of wanted) {
        const values = kept.get(layer.input)!;
        const imaginary = layer.inputImaginary === undefined ? undefined : kept.get(layer.inputImaginary);
        tiles.push({ start, count, values, ...(imaginary && { imaginary }) });
      }
    };
    try {
      const { graph, signal } = this.inr;
      const { height, width } = signal;
      const { convention } = this;
      const pass = { graph, convention, height, width, step: 1, layers: [], keep };
      // A person waits: not until another trace, which may take a minute, has ended.
      const passes = this.passes.busy ? inThisThread(this.engine) : this.passes;
      await passes.run(pass, cancel, take);
      for (const { tiles } of wanted) tiles.sort((a, b) => a.start - b.start);
      this.filled = true;
    } catch (error) {
      for (const { tiles } of wanted) tiles.length = 0;
      throw error;
    } finally {
      this.filling = undefined;
    }
  }

  dispose(): void {
    this.disposed = true;
    this.kept.clear();
    void this.onePixel?.then((session) => session.release()).catch(() => undefined);
    this.onePixel = undefined;
  }
}

type Outputs = ReadonlyMap<string, EngineTensor>;

function activationsIn({ input, inputImaginary }: TracedLayer, outputs: Outputs) {
  const imaginary = inputImaginary === undefined ? undefined : outputs.get(inputImaginary)!.data;
  return { values: outputs.get(input)!.data, ...(imaginary && { imaginary }) };
}
