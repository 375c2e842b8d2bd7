/** Two videos side by side: their frames, and what a decoder's layers cost when they are swapped. */
import type { Engine } from '../../engine/types';
import type { CancelToken } from '../../errors';
import type { Graph } from '../../graph/types';
import type { Inr } from '../../inr/types';
import { psnr } from '../picture';
import { pause } from '../regions';
import { FrameRunner } from '../video/runner';
import type { Compared, Comparison, LayerComparison } from './compare';
import { convolutionOf } from './swap';

/** Frames that are compared besides the one that was traced. */
const FRAMES = 4;

const shown = (values: Float32Array, [low, high]: readonly [number, number]) =>
  values.map((v) => Math.min(1, Math.max(0, (v - low) / (high - low))));

/** The first, the last and some between, with the one that is shown. */
export function sampledFrames(frames: number, shownFrame: number): number[] {
  const count = Math.min(FRAMES, frames);
  const spread = Array.from({ length: count }, (_, k) =>
    count === 1 ? 0 : Math.round((k * (frames - 1)) / (count - 1)),
  );
  return [...new Set([...spread, shownFrame])].sort((a, b) => a - b);
}

/** PSNR of several pictures together. */
function pooled(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let [sum, count] = [0, 0];
  for (const [k, values] of a.entries()) {
    for (let i = 0; i < values.length; i++) sum += (values[i] - b[k][i]) ** 2;
    count += values.length;
  }
  return sum > 0 ? -10 * Math.log10(sum / count) : Infinity;
}

/** The two at the same frames, or at the same relative times where they have different numbers of them. */
export async function compareFrames(
  a: Compared,
  b: Compared,
  cancel: CancelToken,
): Promise<NonNullable<Comparison['clip']> | null> {
  const [first, second] = [a.video, b.video];
  if (!first || !second) return null;
  const frames = sampledFrames(first.frames, a.trace.frame);
  const scale = (second.frames - 1) / (first.frames - 1);
  const others = frames.map((frame) => (second.frames === first.frames ? frame : Math.round(frame * scale)));
  const found: { psnr: number; toTarget: [number | null, number | null] }[] = [];
  const all: [Float32Array[], Float32Array[]] = [[], []];
  for (const [k, frame] of frames.entries()) {
    await pause(cancel);
    const values = shown(await first.values(frame), a.range);
    const other = shown(await second.values(others[k]), b.range);
    const targets = [first.targetOf(frame), second.targetOf(others[k])] as const;
    all[0].push(values);
    all[1].push(other);
    found.push({
      psnr: psnr(values, other),
      toTarget: [
        targets[0] ? psnr(values, targets[0].values) : null,
        targets[1] ? psnr(other, targets[1].values) : null,
      ],
    });
  }
  return {
    frames: [frames, others],
    psnr: pooled(all[0], all[1]),
    byFrame: found.map((one) => one.psnr),
    toTarget: [found.map(({ toTarget }) => toTarget[0]), found.map(({ toTarget }) => toTarget[1])],
  };
}

/**
 * What a decoder loses with each of the compared layers of b in place of its own, b's channels put where a has
 * theirs, over some frames. Both are built alike.
 * @param partners b's channel for each of a's, of the layers compared
 * @throws CancelledError
 */
export async function swapDecoderLayers(
  a: Compared,
  b: Compared,
  layers: readonly LayerComparison[],
  partners: readonly Int32Array[],
  engine: Engine,
  cancel: CancelToken,
  onProgress: (fraction: number) => void,
): Promise<readonly NonNullable<LayerComparison['swap']>[]> {
  const { inr, frame } = a.trace;
  const indexOf = (name: string) => inr.layers.findIndex((layer) => layer.name === name);
  // Order of the channels behind each layer. The head's are those behind the last block.
  const behind = new Map<number, Int32Array>();
  for (const [k, { name, unit }] of [...layers.entries()].reverse()) {
    const index = indexOf(name[0]);
    behind.set(unit === 'input channel' ? index - 1 : index, partners[k]);
  }
  const frames = a.video ? sampledFrames(a.video.frames, frame) : [frame];
  const own = await painted(inr, inr.graph, frames, engine, a.range, cancel);
  const targets = frames.map((at) => a.video?.targetOf(at)?.values);
  const known = [...frames.keys()].filter((k) => targets[k]);
  const some = (pictures: readonly (Float32Array | undefined)[]) => known.map((k) => pictures[k]!);
  const found: NonNullable<LayerComparison['swap']>[] = [];
  for (const [k, { name }] of layers.entries()) {
    onProgress(k / layers.length);
    const index = indexOf(name[0]);
    const order = (at: number, channels: number) => {
      const partner = behind.get(at);
      return partner?.length === channels ? partner : undefined;
    };
    const { inputs, outputs, shuffle = 1 } = inr.layers[index];
    const graph = convolutionOf(
      inr,
      b.trace.inr,
      index,
      order(index - 1, inputs),
      order(index, outputs / shuffle ** 2),
    );
    const swapped = await painted(inr, graph, frames, engine, a.range, cancel);
    found.push({
      likeness: pooled(swapped, own),
      ...(known.length > 0 && {
        change: pooled(some(swapped), some(targets)) - pooled(some(own), some(targets)),
      }),
    });
  }
  return found;
}

async function painted(
  inr: Inr,
  graph: Graph,
  frames: readonly number[],
  engine: Engine,
  range: readonly [number, number],
  cancel: CancelToken,
): Promise<Float32Array[]> {
  const runner = new FrameRunner({ ...inr, graph }, engine);
  try {
    const pictures: Float32Array[] = [];
    for (const frame of frames) {
      await pause(cancel);
      pictures.push(shown(await runner.picture(frame), range));
    }
    return pictures;
  } finally {
    runner.release();
  }
}
