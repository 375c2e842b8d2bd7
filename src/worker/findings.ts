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
import { fitted } from '../tracing/previews';
import type { Trace } from '../tracing/trace';
import type { Method } from '../tracing/types';
import type { Clip } from './clip';
import { readLabels } from './labels';
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
}

/** @throws UsageError when the mask cannot be used @throws CancelledError */
export async function findingsOf(
  { trace, inspection, method, baseline, target, targetName, engine: engineName, video }: Analysed,
  engine: Engine,
  { objects, seed = 0 }: Omit<Params<'findings'>, 'trace'>,
  emit: (event: EventOf<'findings'>) => void,
  cancel: CancelToken,
): Promise<FindingsDocument> {
  const began = performance.now();
  const { height, width, channels } = trace.inr.signal;
  const picture = pngOf(toRgba(trace.picture01().data, channels, [0, 1]), height, width);
  const targetPicture = target ? pngOf(toRgba(target, channels, [0, 1]), height, width) : null;
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
      drawn[feature] ??= regionsPng(trace, feature, partition);
    }
    figures = { ...figures, partitions: drawn, maps: mapsOf(trace, findings) };
  };
  const options: FindingsOptions = {
    method,
    baseline,
    seed,
    cancel,
    alternatives: inspection.alternatives,
    ...(objects !== undefined && { objects: objectPartition(objects, height, width) }),
    ...(target && { target }),
    onProgress: (detail, fraction) => emit({ type: 'phase', phase: 'findings', detail, fraction }),
    onPart: (findings, partitions) => {
      draw(findings, partitions);
      emit({ type: 'part', findings: document(findings, null) });
    },
  };
  const { findings } = await analyse(trace, engine, options);
  if (video) {
    emit({ type: 'part', findings: document(findings, null) });
    const progress = (detail: string, fraction: number) =>
      emit({ type: 'phase', phase: 'findings', detail, fraction });
    motion = await motionFinding(video, trace, seed, cancel, motionFigure, progress);
  }
  return document(findings, performance.now() - began);
}

/** @throws UsageError */
function objectPartition(
  file: string,
  height: number,
  width: number,
): NonNullable<FindingsOptions['objects']> {
  const mask = readLabels(file);
  const name = path.basename(file);
  if (mask.width !== width || mask.height !== height) {
    throw new UsageError(
      `The mask ${name} is ${mask.height}x${mask.width}, but the picture is ${height}x${width}; give one of the picture’s size.`,
    );
  }
  const areas = new Uint32Array(mask.labels.reduce((most, label) => Math.max(most, label), 0) + 1);
  for (const label of mask.labels) areas[label]++;
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
  return { ...renumbered(mask.labels, areas), names };
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

/** Regions of colours and edges in the mean colour of their pixels, places by their own; objects by hues. */
function regionsPng(
  trace: Trace,
  feature: Feature,
  { labels, areas, regions }: NonNullable<Partitions[Feature]>,
): string {
  const { height, width, channels } = trace.inr.signal;
  const picture = toRgba(trace.picture01().data, channels, [0, 1]);
  const colours = new Float64Array(3 * regions);
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
function mapsOf(trace: Trace, findings: Findings): Figures['maps'] {
  return findings.layers.flatMap(({ index, strongest }) => {
    const { width, height, data } = trace.layers[index].previews;
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
