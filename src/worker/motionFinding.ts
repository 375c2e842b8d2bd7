/** The findings page's answer about motion: do neurons change where the picture moves? */
import type { CancelToken } from '../errors';
import type { MotionFigure, MotionFinding } from '../findings/document';
import { seededRandom } from '../tracing/random';
import type { Trace } from '../tracing/trace';
import { agreement, randomShifts } from '../tracing/video/motionChance';
import type { Clip } from './clip';
import type { Motion } from './protocol';
import { MOST_CONTRIBUTIONS, motionBetween } from './throughTime';

/** Pairs of neighbouring frames that are compared. */
const PAIRS = 3;
const SHIFTS = 199;

/** Each is compared with the frame before it: the first, a middle and the last that has one. */
export const sampledPairs = (frames: number): number[] => {
  const count = Math.min(PAIRS, frames - 1);
  return Array.from({ length: count }, (_, k) =>
    count === 1 ? 1 : 1 + Math.round((k * (frames - 2)) / (count - 1)),
  );
};

/**
 * @param trace the frame that is shown: its layers are compared
 * @param drawing makes the figure's pictures of the pair in the middle
 * @throws CancelledError
 */
export async function motionFinding(
  clip: Clip,
  trace: Trace,
  seed: number,
  cancel: CancelToken,
  drawing: (motion: Motion) => MotionFigure,
  onProgress: (detail: string, fraction: number) => void,
): Promise<MotionFinding> {
  const { height, width } = clip.signal;
  const layers = trace.layers.map(({ name, neurons }) => ({ name, neurons }));
  const contributions = layers.reduce((sum, { neurons }) => sum + neurons, 0) * height * width;
  if (contributions > MOST_CONTRIBUTIONS) {
    return {
      missing:
        'Comparing frames of so large a network takes minutes: open Motion beside the time line for a frame.',
    };
  }
  const frames = sampledPairs(clip.frames);
  const pairs: Motion[] = [];
  for (const [k, frame] of frames.entries()) {
    const progress = (detail: string, fraction: number) => onProgress(detail, (k + fraction) / frames.length);
    const now = await clip.maps(frame, cancel);
    try {
      pairs.push(await motionBetween(clip, { trace: now, frame, layers }, cancel, progress));
    } finally {
      now.dispose();
    }
  }
  const shifts = randomShifts(SHIFTS, height, width, seededRandom(seed));
  const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const found = [];
  for (const layer of layers.keys()) {
    await new Promise((resolve) => setImmediate(resolve));
    cancel.throwIfCancelled();
    const known = pairs.map(({ layers: each, flow }) => [each[layer].change.data, flow.data] as const);
    const ranked = pairs.map(({ layers: each }) => each[layer].spearman).filter((r) => !Number.isNaN(r));
    const { observed, shifted, pValue } = agreement(known, height, width, shifts);
    found.push({ pearson: observed, spearman: mean(ranked), shifted, pValue });
  }
  return {
    frames,
    of: pairs[0].of,
    shifts: SHIFTS,
    layers: found,
    figure: drawing(pairs[pairs.length >> 1]),
  };
}
