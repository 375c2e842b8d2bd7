/** A network that paints several pictures: its frames, one at a time. */
import path from 'node:path';
import type { Engine } from '../engine/types';
import { UsageError, type CancelToken } from '../errors';
import type { Inr, Signal } from '../inr/types';
import type { Baseline } from '../tracing/ablation';
import type { Cache } from '../tracing/cache';
import { psnr, toRgba } from '../tracing/picture';
import { traceInr, type Trace, type TraceOptions } from '../tracing/trace';
import type { Method } from '../tracing/types';
import { ChannelTrace } from '../tracing/video/channelTrace';
import { FrameRunner } from '../tracing/video/runner';
import type { RunRound } from '../tracing/video/statistics';
import { checkFrame, layersUnasked, traceFrame, VideoTrace } from '../tracing/video/trace';
import { chosenLayers } from '../tracing/chosenLayers';
import type { FrameFolder } from './frames';
import { assumeModel, isModel, sketch, type Model, type NamedTarget } from './model';
import type { Picture, Source } from './protocol';
import { scaled } from './ablations';
import { comparablePicture, type Comparable } from './comparable';
import { readTarget } from './target';

/** Bytes of pictures that playing keeps. */
const STILLS = 96 << 20;
/** Networks over (t, row, column) that are kept, one a frame. */
const MOST_NETWORKS = 2;

export interface Still {
  readonly picture: Picture;
  /** dB against the frame of that number, when there is one. */
  readonly psnr?: number;
}

/** How a clip is traced; the same for all its frames. */
export interface ClipOptions {
  readonly memoryBudget: number;
  readonly method: Method;
  readonly baseline?: Baseline;
  readonly layers?: readonly string[];
  readonly cache?: Cache;
  /** Shares the kernels of a frame among threads. */
  readonly runRound?: RunRound;
}

export class Clip {
  private readonly runner: FrameRunner | undefined;
  private readonly stills = new Map<number, Still>();
  /** By frame, the latest last. */
  private readonly networks = new Map<number, Model>();
  private readonly model: Model;
  readonly folder: FrameFolder | undefined;

  /** @param folder frames to compare with */
  constructor(
    model: Model,
    private readonly source: Source,
    private readonly engine: Engine,
    private readonly options: ClipOptions,
    folder: FrameFolder | undefined,
  ) {
    this.model = model;
    // A folder of pictures beside a volume is none of its business.
    if (model.inr.signal.kind === 'video') this.folder = folder;
    if (model.inr.domain.kind === 'frames') this.runner = new FrameRunner(model.inr, engine);
  }

  static isOne({ signal, domain }: Inr): boolean {
    return domain.kind === 'frames' || signal.frames > 1;
  }

  get signal(): Signal {
    return this.model.inr.signal;
  }

  get frames(): number {
    return this.model.inr.signal.frames;
  }

  /**
   * Frame that lies at a time from 0 to 1; between two for networks that have something there.
   * @throws UsageError
   */
  frameAt(time: number): number {
    const { domain } = this.model.inr;
    if (!(time >= 0 && time <= 1))
      throw new UsageError(`The time ${time} is not between 0 and 1; give one that is.`);
    return domain.kind === 'frames' ? time * domain.divisor : Math.round(time * (this.frames - 1));
  }

  /** The network that paints a frame. @throws UsageError when the clip has no such frame */
  modelAt(frame: number): Model {
    const { model } = this;
    checkFrame(model.inr, frame);
    if (this.runner) return model;
    if (!Number.isInteger(frame)) {
      throw new UsageError(`${model.inr.title} is shown at whole frames only; give one instead of ${frame}.`);
    }
    let found = this.networks.get(frame);
    if (!found) {
      const assumed = Object.fromEntries(model.inr.assumptions.map(({ name, value }) => [name, value]));
      const corrections = { ...this.source.corrections, frame: String(frame) };
      const { opened } = assumeModel({ ...this.source, corrections }, assumed);
      if (!isModel(opened)) throw new UsageError(opened.message);
      found = opened;
    }
    this.networks.delete(frame);
    this.networks.set(frame, found);
    for (const [first] of this.networks) if (this.networks.size > MOST_NETWORKS) this.networks.delete(first);
    return found;
  }

  /** The picture that a frame is compared with. @throws UsageError when one that was given has another size */
  targetOf(frame: number): (Comparable & { readonly name: string }) | undefined {
    const { folder } = this;
    const file = folder?.files[frame];
    if (!folder || file === undefined) return undefined;
    const asked = this.source.target !== undefined;
    const name = `${folder.name}${path.basename(file)}`;
    let target: NamedTarget;
    try {
      target = { name, picture: readTarget(file) };
    } catch (error) {
      if (asked) throw error;
      return undefined;
    }
    const comparable = comparablePicture(target, this.model.inr.signal, asked);
    return comparable && { ...comparable, name };
  }

  /** `[H, W, C]`, unclamped. */
  async values(frame: number): Promise<Float32Array> {
    const model = this.modelAt(frame);
    if (this.runner) return this.runner.picture(frame);
    const { height, width } = model.inr.signal;
    return (await sketch(model, this.engine, Math.max(height, width))).values;
  }

  /** A frame without its maps, fast enough to be played. */
  async still(frame: number): Promise<Still> {
    const { signal, outputRange } = this.model.inr;
    let still = this.stills.get(frame);
    if (!still) {
      const values = await this.values(frame);
      const target = this.targetOf(frame);
      still = {
        picture: {
          width: signal.width,
          height: signal.height,
          rgba: toRgba(values, signal.channels, outputRange),
        },
        ...(target && { psnr: psnr(scaled(values, outputRange), target.values) }),
      };
    }
    this.stills.delete(frame);
    this.stills.set(frame, still);
    const most = Math.max(2, Math.floor(STILLS / (4 * signal.width * signal.height)));
    for (const [first] of this.stills) if (this.stills.size > most) this.stills.delete(first);
    return still;
  }

  /** Traces a frame with all statistics. @throws CancelledError @throws UsageError */
  trace(
    frame: number,
    options: Omit<TraceOptions, keyof ClipOptions | 'frame'>,
    first?: string,
  ): Promise<Trace> {
    const { inr } = this.modelAt(frame);
    const all = { ...this.options, ...options };
    if (!this.runner) return traceInr(inr, this.engine, all);
    return traceFrame(inr, this.engine, {
      ...all,
      frame,
      runner: this.runner,
      ...(first !== undefined && { first }),
    });
  }

  /**
   * What gives a frame's maps, without statistics where they take long.
   * @param layers dotted names; those of the trace when undefined @throws CancelledError
   */
  maps(frame: number, cancel: CancelToken, layers = this.options.layers): Promise<Trace> {
    const { inr } = this.modelAt(frame);
    const { method, baseline = 'zero', memoryBudget } = this.options;
    if (!this.runner)
      return traceInr(inr, this.engine, { ...this.options, ...(layers && { layers }), cancel });
    const wanted = layers ? chosenLayers(inr, layers) : layersUnasked(inr);
    return method === 'xinc'
      ? VideoTrace.of(this.runner, frame, wanted)
      : ChannelTrace.of(this.runner, frame, wanted, { method, baseline, memoryBudget });
  }

  dispose(): void {
    this.runner?.release();
    this.stills.clear();
    this.networks.clear();
  }
}
