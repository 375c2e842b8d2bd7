/** A clip as what findings are about: some of its frames, taken together. */
import { UsageError, type CancelToken } from '../errors';
import { completenessOverFrames, layerOverFrames } from '../tracing/video/overFrames';
import type { PictureValues } from '../tracing/regions';
import type { Thresholds } from '../tracing/statistics';
import type { Subject } from '../tracing/subject';
import type { Trace } from '../tracing/trace';
import type { Completeness, LayerTrace } from '../tracing/types';
import type { Clip } from './clip';

/** Frames that are taken, evenly over the clip. */
const MOST_FRAMES = 8;
/** Contributions of all these frames: more take minutes, so that there are fewer frames. */
const MOST_CONTRIBUTIONS = 2 ** 34;
const FEWEST_FRAMES = 2;

export const evenly = (frames: number, most: number): number[] => {
  const count = Math.min(frames, most);
  return Array.from({ length: count }, (_, k) => Math.round((k * (frames - 1)) / Math.max(1, count - 1)));
};

/** @param layers those traced */
export function framesTaken(clip: Clip, layers: readonly Pick<LayerTrace, 'neurons'>[]): number[] {
  const { height, width } = clip.signal;
  const each = layers.reduce((sum, { neurons }) => sum + neurons, 0) * height * width;
  const affordable = Math.max(FEWEST_FRAMES, Math.floor(MOST_CONTRIBUTIONS / each));
  return evenly(clip.frames, Math.min(MOST_FRAMES, affordable));
}

/**
 * Traces the frames, one after another. @param shown the frame that is, for the layers that are traced
 * @throws UsageError when the clip is of one frame @throws CancelledError
 */
export async function clipSubject(
  clip: Clip,
  shown: Pick<Trace, 'layers'>,
  cancel: CancelToken,
  onProgress: (detail: string, fraction: number) => void,
): Promise<Subject> {
  if (clip.frames < 2)
    throw new UsageError('The clip has one frame only; what is said of it is said of all.');
  const frames = framesTaken(clip, shown.layers);
  const pictures: PictureValues[] = [];
  const completeness: Completeness[] = [];
  const layers = shown.layers.map((): LayerTrace[] => []);
  const thresholds = shown.layers.map((): Thresholds[] => []);
  for (const [k, frame] of frames.entries()) {
    const progress = (_: string, fraction: number) =>
      onProgress(`Tracing frame ${frame}, ${k + 1} of ${frames.length}`, (k + fraction) / frames.length);
    progress('', 0);
    const trace = await clip.trace(frame, { cancel, onProgress: progress });
    try {
      pictures.push(trace.picture01());
      completeness.push(trace.completeness);
      for (const [index, layer] of trace.layers.entries()) {
        layers[index].push(layer);
        thresholds[index].push(trace.thresholds(index));
      }
    } finally {
      trace.dispose();
    }
  }
  return {
    frames,
    layers: layers.map((own, index) => layerOverFrames(own, thresholds[index])),
    completeness: completenessOverFrames(completeness),
    pictures,
    inrAt: (k) => clip.modelAt(frames[k]).inr,
    async eachRun(k, layer, token, visit) {
      const { name } = layers[layer][0];
      const trace = await clip.maps(frames[k], token, [name]);
      try {
        await trace.eachRun(0, token, visit);
      } finally {
        trace.dispose();
      }
    },
  };
}
