/** A traced video through time: motion, neurons over the frames, objects over the frames. */
import fs from 'node:fs';
import path from 'node:path';
import { UsageError, type CancelToken } from '../errors';
import { pearson, spearman } from '../tracing/correlation';
import type { Trace } from '../tracing/trace';
import { greyOf, magnitude, opticalFlow, type Grey } from '../tracing/video/flow';
import { changeMap, normalised, objectDensities, totalsOf } from '../tracing/video/throughTime';
import type { Clip } from './clip';
import { evenly } from './clipSubject';
import { scaled } from './ablations';
import { frameFolder, type FrameFolder } from './frames';
import { labelFolder, readLabels } from './labels';
import type { Motion, ObjectsThroughTime, Series } from './protocol';

type Progress = (detail: string, fraction: number) => void;

/** Frames that a curve over time has at most; longer clips are sampled evenly. */
const MOST_POINTS = 128;
/** Contributions of a frame beyond which comparing two takes minutes. */
export const MOST_CONTRIBUTIONS = 4e9;
/** Neurons named for each object. */
const TOP = 8;
const LABEL_FOLDERS = ['labels', 'masks', 'objects', 'segmentation', 'annotations', 'Annotations'];

/**
 * How a traced frame differs from the one before, layer by layer, and what moved meanwhile.
 * @throws UsageError at the first frame @throws CancelledError
 */
export async function motionOf(
  clip: Clip,
  now: Trace,
  cancel: CancelToken,
  onProgress: Progress,
): Promise<Motion> {
  const frame = Math.round(now.frame);
  if (frame < 1)
    throw new UsageError('The first frame has none before it; move to a later one to see motion.');
  return motionBetween(clip, { trace: now, frame, layers: now.layers }, cancel, onProgress);
}

/** The same for maps of any frame from 1 on. @throws CancelledError */
export async function motionBetween(
  clip: Clip,
  now: {
    readonly trace: Pick<Trace, 'inr' | 'maps'>;
    readonly frame: number;
    readonly layers: readonly { readonly name: string; readonly neurons: number }[];
  },
  cancel: CancelToken,
  onProgress: Progress,
): Promise<Motion> {
  const { trace, frame } = now;
  const { height, width } = trace.inr.signal;
  onProgress('Following what moves', 0);
  const { flow, given } = await flowTo(clip, frame, trace.inr.outputRange);
  const moved = magnitude(flow);
  cancel.throwIfCancelled();
  const before = await clip.maps(frame - 1, cancel);
  const layers: Motion['layers'][number][] = [];
  try {
    for (const [layer, { name, neurons }] of now.layers.entries()) {
      const share = 1 / now.layers.length;
      const change = await changeMap(before, trace, layer, neurons, cancel, (fraction) =>
        onProgress(`Comparing frames: ${name}`, share * (layer + fraction)),
      );
      layers.push({
        layer,
        change: { width, height, data: change },
        pearson: pearson(change, moved),
        spearman: spearman(change, moved),
      });
    }
  } finally {
    before.dispose();
  }
  return {
    frame,
    of: given ? 'frames' : 'reconstruction',
    flow: { width, height, data: moved },
    direction: { x: flow.x, y: flow.y },
    layers,
  };
}

/** Optical flow from the frame before, of the frames given, else of the reconstruction. */
async function flowTo(clip: Clip, frame: number, range: readonly [number, number]) {
  const { height, width, channels } = clip.signal;
  const targets = [clip.targetOf(frame - 1), clip.targetOf(frame)];
  const grey = (values: Float32Array): Grey => greyOf(values, height, width, channels);
  const given = targets[0] && targets[1];
  const [first, second] = given
    ? [grey(targets[0]!.values), grey(targets[1]!.values)]
    : [grey(scaled(await clip.values(frame - 1), range)), grey(scaled(await clip.values(frame), range))];
  return { flow: opticalFlow(first, second), given: given !== undefined };
}

/**
 * What moves at a traced frame: since the one before, or at the first until the one behind. The neighbour is the
 * caller's to dispose of; undefined where comparing maps would take minutes. @throws CancelledError
 */
export async function movingAt(
  clip: Clip,
  trace: Trace,
  cancel: CancelToken,
): Promise<{ readonly neighbour: Trace; readonly motion: Float32Array } | undefined> {
  const frame = Math.round(trace.frame);
  const { height, width } = clip.signal;
  const neurons = trace.layers.reduce((sum, layer) => sum + layer.neurons, 0);
  if (neurons * height * width > MOST_CONTRIBUTIONS) return undefined;
  const { flow } = await flowTo(clip, Math.max(1, frame), trace.inr.outputRange);
  cancel.throwIfCancelled();
  const neighbour = await clip.maps(frame > 0 ? frame - 1 : 1, cancel);
  return { neighbour, motion: magnitude(flow) };
}

/** Total contributions of some neurons over the clip. @throws CancelledError */
export async function seriesOf(
  clip: Clip,
  layer: number,
  neurons: readonly number[],
  cancel: CancelToken,
  onProgress: Progress,
): Promise<Series> {
  const frames = evenly(clip.frames, MOST_POINTS);
  const totals = neurons.map(() => new Float64Array(frames.length));
  for (const [k, frame] of frames.entries()) {
    onProgress(`Frame ${frame}`, k / frames.length);
    const trace = await clip.maps(frame, cancel);
    try {
      const values = await totalsOf(trace, layer, neurons, cancel);
      for (const [i, total] of values.entries()) totals[i][k] = total;
    } finally {
      trace.dispose();
    }
  }
  return { layer, frames, neurons: neurons.map((neuron, i) => ({ neuron, totals: totals[i] })) };
}

/** A folder of label images beside the checkpoint, or in the folder above; undefined without. */
export function findLabels(checkpoint: string, frames: number): string | undefined {
  const folder = path.dirname(checkpoint);
  for (const place of [folder, path.dirname(folder)]) {
    for (const name of LABEL_FOLDERS) {
      const found = path.join(place, name);
      if (fs.existsSync(found) && frameFolder(found)?.files.length === frames) return found;
    }
  }
  return undefined;
}

/**
 * How much neurons of a layer do for each object, frame by frame.
 * @param folder of label images, one a frame: the value of a pixel is its object
 * @throws UsageError when the folder does not fit the video @throws CancelledError
 */
export async function objectsOf(
  clip: Clip,
  layer: { readonly index: number; readonly neurons: number },
  folder: string,
  cancel: CancelToken,
  onProgress: Progress,
): Promise<ObjectsThroughTime> {
  const images = labelFolder(folder, clip.frames);
  const frames = evenly(clip.frames, MOST_POINTS);
  const known = new Map([[0, 0]]);
  const labelled = frames.map((frame) => labelsOf(clip, images, frame, known));
  const values = [...new Set(labelled.flatMap((labels) => [...new Set(labels)]))].sort((a, b) => a - b);
  const index = new Map(values.map((value, k) => [value, k]));
  const { neurons } = layer;
  const objects = values.length;
  const densities: Float64Array[] = [];
  for (const [k, frame] of frames.entries()) {
    onProgress(`Frame ${frame}`, k / frames.length);
    const trace = await clip.maps(frame, cancel);
    try {
      const labels = Uint16Array.from(labelled[k], (value) => index.get(value)!);
      densities.push(await objectDensities(trace, layer.index, neurons, labels, objects, cancel));
    } finally {
      trace.dispose();
    }
  }
  const series = (object: number, neuron: number) => densities.map((d) => d[object * neurons + neuron]);
  const whole = (object: number) =>
    densities.map((d) => d.subarray(object * neurons, (object + 1) * neurons).reduce((a, b) => a + b, 0));
  return {
    folder: images.name,
    layer: layer.index,
    frames,
    objects: values.map((value, object) => {
      const means = Float64Array.from({ length: neurons }, (_, neuron) => {
        const present = series(object, neuron).filter((v) => !Number.isNaN(v));
        return present.reduce((a, b) => a + b, 0) / present.length;
      });
      const strongest = Array.from(means.keys()).sort((a, b) => means[b] - means[a]);
      return {
        label: value,
        areas: labelled.map((labels) => labels.reduce((count, v) => count + (v === value ? 1 : 0), 0)),
        density: whole(object),
        normalised: normalised(whole(object)),
        top: strongest.slice(0, TOP).map((neuron) => ({
          neuron,
          density: means[neuron],
          normalised: normalised(series(object, neuron)),
        })),
      };
    }),
  };
}

function labelsOf(
  clip: Clip,
  { name, files }: FrameFolder,
  frame: number,
  known: Map<number, number>,
): readonly number[] {
  const { height, width, labels } = readLabels(files[frame], known);
  const { signal } = clip;
  if (height !== signal.height || width !== signal.width) {
    throw new UsageError(
      `${name}${path.basename(files[frame])} is ${height}x${width}, but the network paints ` +
        `${signal.height}x${signal.width}; give label images of that size.`,
    );
  }
  return Array.from(labels);
}
