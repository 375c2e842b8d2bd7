import type { Engine, EngineSession, EngineTensor } from '../../engine/types';
import type { CancelToken } from '../../errors';
import type { Graph } from '../../graph/types';
import type { Inr, TracedLayer } from '../../inr/types';
import type { Ablated } from '../ablation';
import { KernelPath } from './path';

/** Runs a decoder frame by frame; what it needs for that is made ready once. */
export class FrameRunner {
  private readonly sessions = new Map<string, Promise<EngineSession>>();
  private readonly paths = new Map<string, KernelPath>();

  constructor(
    readonly inr: Inr,
    readonly engine: Engine,
  ) {}

  /** Values of the graph at one frame, by name. @param frame a fraction lies between two frames */
  async run(frame: number, names: readonly string[]): Promise<ReadonlyMap<string, EngineTensor>> {
    const { graph, domain } = this.inr;
    if (domain.kind !== 'frames') throw new Error('pixels are not frames');
    const key = names.join('\n');
    let session = this.sessions.get(key);
    if (!session) this.sessions.set(key, (session = this.engine.load(graph, names)));
    const t = Float32Array.of(frame / domain.divisor);
    return (await session).run(new Map([[graph.inputs[0].name, { shape: [1, 1], data: t }]]));
  }

  /** The path of a layer's kernels; the same for all frames unless a norm changes its weights. See `KernelPath` for the parameters. */
  path(
    layers: readonly TracedLayer[],
    size: { readonly height: number; readonly width: number },
    previewSide: number,
    kernelSide: number,
  ): KernelPath {
    const { name, instanceNorm } = layers[0];
    if (instanceNorm) return new KernelPath(layers, size, previewSide, kernelSide);
    let path = this.paths.get(name);
    if (!path) this.paths.set(name, (path = new KernelPath(layers, size, previewSide, kernelSide)));
    return path;
  }

  /** One frame, `[H, W, C]`, unclamped. */
  async picture(frame: number): Promise<Float32Array> {
    const { graph, signal } = this.inr;
    const values = await this.run(frame, [graph.output]);
    return interleaved(values.get(graph.output)!.data, signal.channels);
  }

  /** The same frame as another graph paints it, every n-th row and column. @throws CancelledError */
  async paintedBy(graph: Graph, frame: number, step: number, cancel: CancelToken): Promise<Ablated> {
    const runner = new FrameRunner({ ...this.inr, graph }, this.engine);
    try {
      const drawn = await runner.picture(frame);
      cancel.throwIfCancelled();
      return everyNth(drawn, this.inr.signal, step);
    } finally {
      runner.release();
    }
  }

  release(): void {
    for (const session of this.sessions.values()) {
      void session.then(
        (loaded) => loaded.release(),
        () => undefined,
      );
    }
    this.sessions.clear();
    this.paths.clear();
  }
}

/** `[1, C, H, W]` as `[H, W, C]`. */
export function interleaved(planes: Float32Array, channels: number): Float32Array {
  const pixels = planes.length / channels;
  const out = new Float32Array(planes.length);
  for (let c = 0; c < channels; c++) {
    for (let p = 0, at = c; p < pixels; p++, at += channels) out[at] = planes[c * pixels + p];
  }
  return out;
}

/** Every n-th row and column of `[H, W, C]`. */
function everyNth(
  drawn: Float32Array,
  { height, width, channels }: { readonly height: number; readonly width: number; readonly channels: number },
  step: number,
): Ablated {
  const [rows, columns] = [Math.ceil(height / step), Math.ceil(width / step)];
  const values = new Float32Array(rows * columns * channels);
  for (let y = 0, at = 0; y < height; y += step) {
    for (let x = 0; x < width; x += step, at += channels) {
      const from = (y * width + x) * channels;
      values.set(drawn.subarray(from, from + channels), at);
    }
  }
  return { height: rows, width: columns, step, values };
}

/** Some pixels of planes `[channels, H·W]`. */
export function atPixels(planes: Float32Array, channels: number, pixels: Uint32Array): Float32Array {
  const area = planes.length / channels;
  const out = new Float32Array(channels * pixels.length);
  let at = 0;
  for (let c = 0; c < channels; c++) for (const pixel of pixels) out[at++] = planes[c * area + pixel];
  return out;
}
