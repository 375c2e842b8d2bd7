/** The worker's side of findings: analysis, and small pictures for its figures. */
import path from 'node:path';
import { encode } from 'fast-png';
import { magnitudeMap } from '../../webview/shared/colourMaps';
import type { Engine } from '../engine/types';
import { UsageError, type CancelToken } from '../errors';
import type { Figures, FindingsDocument, MotionFigure, MotionFinding } from '../findings/document';
import { renumbered } from '../tracing/affinity';
import type { Baseline } from '../tracing/ablation';
import {
  analyse,
  type Feature,
  type Findings,
  type FindingsOptions,
  type Partitions,
} from '../tracing/findings';
import { toRgba } from '../tracing/picture';
import type { PictureValues } from '../tracing/regions';
import { fitted } from '../tracing/previews';
import { subjectOf, type Subject } from '../tracing/subject';
import type { Trace } from '../tracing/trace';
import type { Method } from '../tracing/types';
import type { Clip } from './clip';
import { isFolder } from './frames';
import { labelFolder, readLabels } from './labels';
import { motionFinding } from './motionFinding';
import type { EventOf, Inspection, Motion, Params } from './protocol';

/** Longest side of a figure, pixels. */
const SIDE = 256;

export interface Analysed {
  readonly trace: Trace;
  readonly inspection: Inspection;
  readonly method: Method;
  readonly baseline: Baseline;
  /** `[H, W, C]` in [0, 1]. */
  readonly target?: Float32Array;
  readonly targetName?: string;
  readonly engine: string;
  /** The video that the trace is a frame of. */
  readonly video: Clip | undefined;
  /** Several of the clip's frames, traced when they are asked for. @throws UsageError @throws CancelledError */
  overClip(cancel: CancelToken, onProgress: Progress): Promise<Subject>;
}

type Progress = (detail: string, fraction: number) => void;

/** @throws UsageError when the mask cannot be used @throws CancelledError */
export async function findingsOf(
  analysed: Analysed,
  engine: Engine,
  { objects, clip = false, seed = 0 }: Omit<Params<'findings'>, 'trace'>,
  emit: (event: EventOf<'findings'>) => void,
  cancel: CancelToken,
): Promise<FindingsDocument> {
  const began = performance.now();
  const { trace, inspection, method, baseline, engine: engineName, video } = analysed;
  const progress = (detail: string, fraction: number) =>
    emit({ type: 'phase', phase: 'findings', detail, fraction });
  const subject = clip ? await analysed.overClip(cancel, progress) : subjectOf(trace);
  const { targets, targetName } = clip
    ? targetsOf(video!, subject.frames)
    : { targets: [analysed.target], targetName: analysed.targetName };
  const { height, width, channels } = trace.inr.signal;
  const middle = subject.frames.length >> 1;
  const png = (values: Float32Array) => pngOf(toRgba(values, channels, [0, 1]), height, width);
  const picture = png(subject.pictures[middle].data);
  const targetPicture = targets[middle] ? png(targets[middle]) : null;
  let motion: MotionFinding | null = null;
  let figures: Figures = { picture, target: targetPicture, partitions: {}, maps: [] };
  const document = (findings: Findings, milliseconds: number | null): FindingsDocument => ({
    document: 'neural-canvas findings',
    version: 1,
    file: path.basename(inspection.file),
    title: inspection.title,
    parameters: inspection.parameters,
    encoding: inspection.encoding,
    activation: inspection.activation,
    target: targetName ?? null,
    engine: engineName,
    milliseconds,
    ...findings,
    figures,
    ...(video && { motion }),
  });
  const draw = (findings: Findings, partitions: Partitions) => {
    const drawn = { ...figures.partitions };
    for (const [feature, partition] of Object.entries(partitions) as [
      Feature,
      NonNullable<Partitions[Feature]>,
    ][]) {
      drawn[feature] ??= regionsPng(subject.pictures[middle], middle, feature, partition);
    }
    figures = { ...figures, partitions: drawn, maps: mapsOf(subject, findings) };
  };
  const options: FindingsOptions = {
    method,
    baseline,
    seed,
    cancel,
    alternatives: inspection.alternatives,
    ...(objects !== undefined && { objects: objectPartition(objects, subject.frames, video, height, width) }),
    targets,
    onProgress: progress,
    onPart: (findings, partitions) => {
      draw(findings, partitions);
      emit({ type: 'part', findings: document(findings, null) });
    },
  };
  const { findings } = await analyse(subject, engine, options);
  if (video) {
    emit({ type: 'part', findings: document(findings, null) });
    motion = await motionFinding(video, trace, seed, cancel, motionFigure, progress);
  }
  return document(findings, performance.now() - began);
}

/** The frames' own pictures to compare with. */
function targetsOf(clip: Clip, frames: readonly number[]) {
  const found = frames.map((frame) => clip.targetOf(frame));
  const named = found.find((one) => one !== undefined);
  return { targets: found.map((one) => one?.values), targetName: named && clip.folder!.name };
}

/** Label pictures of some frames, one after another. @param given one, or of a video a folder of them @throws UsageError */
function objectPartition(
  given: string,
  frames: readonly number[],
  video: Clip | undefined,
  height: number,
  width: number,
): NonNullable<FindingsOptions['objects']> {
  const name = path.basename(given);
  const labels = new Uint16Array(frames.length * height * width);
  const files = video && isFolder(given) ? labelFolder(given, video.frames).files : undefined;
  if (!files && frames.length > 1) {
    throw new UsageError(
      `Objects move: over the clip, give a folder with one label image a frame, not ${name}.`,
    );
  }
  const known = new Map([[0, 0]]);
  for (const [k, frame] of frames.entries()) {
    const file = files?.[Math.round(frame)] ?? given;
    const mask = readLabels(file, known);
    if (mask.width !== width || mask.height !== height) {
      throw new UsageError(
        `The mask ${path.basename(file)} is ${mask.height}x${mask.width}, but the picture is ${height}x${width}; give one of the picture’s size.`,
      );
    }
    labels.set(mask.labels, k * height * width);
  }
  const areas = new Uint32Array(labels.reduce((most, label) => Math.max(most, label), 0) + 1);
  for (const label of labels) areas[label]++;
  const names = [...areas.keys()].filter((label) => areas[label] > 0);
  if (names.length < 2) {
    throw new UsageError(
      `The mask ${name} marks no object: all its pixels are ${names[0]}; give one with labels.`,
    );
  }
  if (names.length > 256) {
    throw new UsageError(
      `The mask ${name} has ${names.length} labels, more than 256; give one with fewer objects.`,
    );
  }
  return { ...renumbered(labels, areas), names };
}

function pngOf(rgba: Uint8ClampedArray, height: number, width: number, side = SIDE): string {
  const small = fitted(height, width, side);
  let [data, h, w] = [rgba, height, width];
  if (small.height < height || small.width < width) {
    [h, w] = [small.height, small.width];
    data = new Uint8ClampedArray(4 * h * w);
    // Means of the pixels that fall together.
    for (let y = 0; y < h; y++) {
      const [top, bottom] = [Math.floor((y * height) / h), Math.ceil(((y + 1) * height) / h)];
      for (let x = 0; x < w; x++) {
        const [left, right] = [Math.floor((x * width) / w), Math.ceil(((x + 1) * width) / w)];
        for (let c = 0; c < 4; c++) {
          let sum = 0;
          for (let v = top; v < bottom; v++)
            for (let u = left; u < right; u++) sum += rgba[4 * (v * width + u) + c];
          data[4 * (y * w + x) + c] = sum / ((bottom - top) * (right - left));
        }
      }
    }
  }
  const bytes = encode({ width: w, height: h, data, channels: 4 });
  return `data:image/png;base64,${Buffer.from(bytes).toString('base64')}`;
}

/** Regions of one of the frames: of colours and edges in the mean colour of their pixels, places by their own; objects by hues. */
function regionsPng(
  { height, width, channels, data }: PictureValues,
  frame: number,
  feature: Feature,
  { labels: all, regions }: NonNullable<Partitions[Feature]>,
): string {
  const picture = toRgba(data, channels, [0, 1]);
  const colours = new Float64Array(3 * regions);
  const labels = all.subarray(frame * height * width, (frame + 1) * height * width);
  const areas = new Uint32Array(regions);
  for (const label of labels) areas[label]++;
  labels.forEach((g, p) => {
    for (let c = 0; c < 3; c++) colours[3 * g + c] += picture[4 * p + c] / areas[g];
  });
  if (feature === 'edge' || feature === 'objects') {
    // Golden angle: neighbours in number are far apart in hue.
    for (let g = 0; g < regions; g++) {
      const hue = (g * 137.508) % 360;
      for (let c = 0; c < 3; c++) {
        const k = (c * 4 + hue / 30) % 12;
        const value = 0.55 - 0.28 * Math.max(-1, Math.min(k - 3, 9 - k, 1));
        colours[3 * g + c] = feature === 'objects' && g === 0 ? 128 : 255 * value;
      }
    }
  }
  const rgba = new Uint8ClampedArray(4 * labels.length);
  labels.forEach((g, p) => {
    for (let c = 0; c < 3; c++) rgba[4 * p + c] = colours[3 * g + c];
    rgba[4 * p + 3] = 255;
  });
  return pngOf(rgba, height, width, SIDE / 2);
}

const magnitude = magnitudeMap();

/** Previews of the neurons that findings name: the strongest of each layer. */
function mapsOf(subject: Subject, findings: Findings): Figures['maps'] {
  return findings.layers.flatMap(({ index, strongest }) => {
    const { width, height, data } = subject.layers[index].previews;
    return strongest.map(({ neuron }) => {
      const own = data.subarray(neuron * width * height, (neuron + 1) * width * height);
      const rgba = new Uint8ClampedArray(4 * own.length);
      own.forEach((v, p) => {
        const at = 4 * Math.min(255, 2 * Math.abs(v - 128));
        rgba.set(magnitude.subarray(at, at + 4), 4 * p);
      });
      return { layer: index, neuron, png: pngOf(rgba, height, width) };
    });
  });
}

/** Motion and change by magnitude, each up to its own largest value. */
function motionFigure({ frame, flow, layers }: Motion): MotionFigure {
  const png = ({ width, height, data }: Motion['flow']) => {
    const most = data.reduce((a, b) => Math.max(a, b), 0) || 1;
    const rgba = new Uint8ClampedArray(4 * data.length);
    data.forEach((v, p) => {
      const at = 4 * Math.round((255 * v) / most);
      rgba.set(magnitude.subarray(at, at + 4), 4 * p);
    });
    return pngOf(rgba, height, width, SIDE / 2);
  };
  return { frame, motion: png(flow), changes: layers.map(({ change }) => png(change)) };
}
