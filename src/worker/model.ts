import path from 'node:path';
import type { Parser } from '@vscode/tree-sitter-wasm';
import { openCheckpoint } from '../checkpoint/open';
import { findSidecars, readSidecar } from '../checkpoint/sidecar';
import { fileSource } from '../checkpoint/source';
import type { Checkpoint, Plain } from '../checkpoint/types';
import { stateDicts } from '../checkpoint/values';
import { trainingEvidence } from '../code/evidence';
import { codeBeside, projectFrom } from '../code/folder';
import type { Project } from '../code/project';
import { pythonParser } from '../code/python/grammar';
import type { Engine, EngineTensor } from '../engine/types';
import { UsageError, type CancelToken } from '../errors';
import { UnknownSettingError } from '../inr/assumptions';
import { coordinatesAt } from '../inr/coordinates';
import { searchHypotheses } from '../inr/hypotheses';
import type { Target } from '../inr/inside';
import { affineLayers } from '../inr/layers';
import { recognise } from '../inr/recognise';
import type { Evidence, Inr, Known, NotRecognised, RecognitionContext } from '../inr/types';
import { frameCount, type FrameFolder } from './frames';
import { readTarget } from './target';
import type { Alternative, Inspection, NotAnInr, Source } from './protocol';

export interface Model {
  readonly inr: Inr;
  readonly inspection: Omit<Inspection, 'corrections'>;
  /** Milliseconds. */
  readonly timings: { readonly read: number; readonly recognise: number };
}

export const isModel = (opened: Model | NotAnInr): opened is Model => 'inr' in opened;

type Recognised = { readonly inr: Inr; readonly ranked?: readonly Alternative[] } | NotRecognised;

/**
 * Reads a checkpoint and what lies beside it, and recognises its network from what is written there.
 * Synchronous: worker only. The weights are in the returned model; the file is closed.
 * @throws CheckpointError @throws UsageError
 */
export function inspectModel(source: Source, frames?: FrameFolder): Model | NotAnInr {
  const began = performance.now();
  const opened = open(source);
  try {
    const read = performance.now() - began;
    const context = withFrames(opened.context, frames);
    return result(source.file, opened, recognise(opened.checkpoint, context), read, began);
  } finally {
    opened.close();
  }
}

/** A picture to compare with, and its name for people. */
export interface NamedTarget {
  readonly name: string;
  readonly picture: Target;
}

/**
 * The same, and what the files do not say is tried out: scored against the target where there is one.
 * @param frames a folder of pictures: if the network paints frames, these are its
 * @throws CheckpointError @throws UsageError @throws CancelledError
 */
export async function openModel(
  source: Source,
  engine: Engine,
  target: NamedTarget | undefined,
  cancel: CancelToken,
  frames?: FrameFolder,
): Promise<Model | NotAnInr> {
  const began = performance.now();
  const opened = open(source);
  const read = performance.now() - began;
  try {
    const evaluate = (inr: Inr, feed: EngineTensor) => runOnce(engine, inr, feed);
    const context = withFrames(opened.context, frames);
    const first = target ?? (frames && firstFrame(opened.checkpoint, context, frames));
    const found = await searchHypotheses(opened.checkpoint, context, evaluate, {
      ...(first && { target: first.picture, targetName: first.name }),
      cancel,
    });
    return result(source.file, opened, found, read, began);
  } finally {
    opened.close();
  }
}

const withFrames = (context: RecognitionContext, frames: FrameFolder | undefined): RecognitionContext =>
  frames ? { ...context, evidence: [...(context.evidence ?? []), frameCount(frames)] } : context;

/** The first frame to compare with, if the network is one that paints frames of that size. */
function firstFrame(
  checkpoint: Checkpoint,
  context: RecognitionContext,
  { name, files }: FrameFolder,
): NamedTarget | undefined {
  const found = recognise(checkpoint, context);
  if (!found.recognised || found.inr.domain.kind !== 'frames') return undefined;
  try {
    const picture = readTarget(files[0]);
    const { height, width } = found.inr.signal;
    if (picture.height !== height || picture.width !== width) return undefined;
    return { name: `${name}${path.basename(files[0])}`, picture };
  } catch {
    // Another program's picture, or half written; nobody asked for it.
    return undefined;
  }
}

async function runOnce(engine: Engine, { graph }: Inr, feed: EngineTensor): Promise<EngineTensor> {
  const session = await engine.load(graph, [graph.output]);
  try {
    return (await session.run(new Map([[graph.inputs[0].name, feed]]))).get(graph.output)!;
  } finally {
    await session.release();
  }
}

/**
 * The network under the given corrections without a search: `assumed` are the values that an earlier one
 * found. Corrections that the network does not have are left out, and named.
 * @throws CheckpointError @throws UsageError
 */
export function assumeModel(
  source: Source,
  assumed: Readonly<Record<string, string | number | boolean>>,
): { readonly opened: Model | NotAnInr; readonly dropped: readonly string[] } {
  const began = performance.now();
  const opened = open(source);
  const { checkpoint, context } = opened;
  const assumptions = Object.entries(assumed).map(([name, value]): Evidence => ({
    name,
    value,
    source: 'inferred',
    confidence: 0.9,
  }));
  const corrections = new Map(context.corrections);
  const dropped: string[] = [];
  const attempt = (): ReturnType<typeof recognise> => {
    try {
      return recognise(checkpoint, {
        ...context,
        corrections,
        // An earlier search has weighed the training code already.
        evidence: assumptions,
      });
    } catch (error) {
      if (!(error instanceof UnknownSettingError)) throw error;
      corrections.delete(error.setting);
      dropped.push(error.setting);
      return attempt();
    }
  };
  try {
    return { opened: result(source.file, opened, attempt(), 0, began), dropped };
  } finally {
    opened.close();
  }
}

/** A coarse picture. */
export interface Sketch {
  readonly height: number;
  readonly width: number;
  /** Row-major `[height, width, channels]`, as the network puts them out. */
  readonly values: Float32Array;
  /** Indices of the pixels drawn, row-major over the whole picture. */
  readonly pixels: Uint32Array;
}

/**
 * The picture at every n-th pixel.
 * @param side longest side of the sketch, pixels
 * @throws UsageError for a video, whose frames are drawn whole or not at all
 */
export async function sketch({ inr }: Model, engine: Engine, side: number): Promise<Sketch> {
  if (inr.domain.kind !== 'pixels') {
    throw new UsageError('A video has no preview yet; apply the change to see its frames.');
  }
  const { height, width, channels } = inr.signal;
  const step = Math.max(1, Math.ceil(Math.max(height, width) / side));
  const rows = Math.ceil(height / step);
  const columns = Math.ceil(width / step);
  const n = rows * columns;
  const pixels = Uint32Array.from(
    { length: n },
    (_, i) => Math.floor(i / columns) * step * width + (i % columns) * step,
  );
  const coordinates = coordinatesAt(inr.domain.convention, height, width, pixels);
  const { data } = await runOnce(engine, inr, { shape: [2, n], data: coordinates });
  const values = new Float32Array(n * channels);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < n; i++) values[i * channels + c] = data[c * n + i];
  }
  return { height: rows, width: columns, values, pixels };
}

/** Reads Python; prepared by `readTrainingCode`, because loading the grammar takes a moment. */
let reader: Parser | undefined;

/**
 * Prepares to read the training code beside a checkpoint, where there is any; `inspectModel` and its like
 * then take it for evidence. Without it nothing is known of code.
 */
export async function readTrainingCode({ file }: Source): Promise<void> {
  if (reader || codeBeside(file).length === 0) return;
  reader = await pythonParser().catch(() => undefined);
}

/** What training code near the file says; nothing when it cannot be read: it is only a hint. */
function codeEvidence(file: string, checkpoint: Checkpoint): Evidence[] {
  if (!reader) return [];
  const files = codeBeside(file);
  const [dictionary] = stateDicts(checkpoint);
  if (files.length === 0 || !dictionary) return [];
  const layers = affineLayers(dictionary.tensors).map(({ name, inputs, outputs }) => ({
    name,
    inputs,
    outputs,
  }));
  if (layers.length === 0) return [];
  try {
    const project = projectFrom(files, reader);
    const key = JSON.stringify([file, layers]);
    if (evidence?.project !== project || evidence.key !== key) {
      evidence = { project, key, found: trainingEvidence(project, { file, layers }) };
    }
    return evidence.found;
  } catch {
    return [];
  }
}

/** The last that was found: the same checkpoint is inspected, traced, and traced again at every save. */
let evidence: { readonly project: Project; readonly key: string; readonly found: Evidence[] } | undefined;

interface Opened {
  readonly checkpoint: Checkpoint;
  readonly context: RecognitionContext;
  readonly warnings: readonly string[];
  /** Tensors are read when they are asked for; not any more after this. */
  close(): void;
}

function open(source: Source): Opened {
  const bytes = fileSource(source.file);
  try {
    const checkpoint = openCheckpoint(bytes);
    const found = findSidecars(source.file);
    const sidecars = source.config ? [readSidecar(source.config), ...found.sidecars] : found.sidecars;
    const corrections = new Map(Object.entries(source.corrections));
    return {
      checkpoint,
      context: { sidecars, corrections, evidence: codeEvidence(source.file, checkpoint) },
      warnings: [...checkpoint.warnings, ...found.warnings],
      close: () => bytes.close(),
    };
  } catch (error) {
    bytes.close();
    throw error;
  }
}

/** A network that is known by name only, as `inspect` tells it. */
const described = (
  file: string,
  checkpoint: Checkpoint,
  known: Known,
  untraceable: string,
  warnings: readonly string[],
): Omit<Inspection, 'corrections'> => ({
  file,
  format: checkpoint.format,
  family: known.family,
  title: known.title,
  confidence: 0.95,
  parameters: known.parameters,
  signal: { kind: known.signal, channels: 0, height: 0, width: 0, frames: 0 },
  encoding: 'unknown',
  activation: 'other',
  layers: known.layers,
  alternatives: [],
  assumptions: [],
  hyperParameters: known.hyperParameters as Readonly<Record<string, Plain>>,
  opaque: checkpoint.opaque,
  warnings,
  untraceable,
});

const MOST_ALTERNATIVES = 8;

function result(
  file: string,
  { checkpoint, warnings }: Opened,
  found: Recognised,
  read: number,
  began: number,
): Model | NotAnInr {
  if (!('inr' in found)) {
    const { seen, closest, known, nextStep, tensors } = found;
    const missing = closest ? ` Closest is ${closest.title}: ${closest.missing}.` : '';
    return {
      file,
      format: checkpoint.format,
      message:
        known && closest
          ? `${path.basename(file)} is recognised as ${known.title}, but it cannot be traced: ${closest.missing}. ${nextStep}`
          : `${path.basename(file)} is not recognised as an INR. ${seen}${missing} ${nextStep}`,
      seen,
      ...(closest && { closest }),
      ...(known && closest && { known: described(file, checkpoint, known, closest.missing, warnings) }),
      nextStep,
      tensors,
    };
  }
  const { inr } = found;
  const all = [...warnings, ...brokenWeights(inr)];
  return {
    inr,
    timings: { read, recognise: performance.now() - began - read },
    inspection: {
      file,
      format: checkpoint.format,
      family: inr.family,
      title: inr.title,
      confidence: inr.confidence,
      parameters: inr.parameters,
      signal: inr.signal,
      encoding: inr.encoding,
      activation: inr.activation,
      layers: inr.summary,
      alternatives: (found.ranked ?? []).slice(0, MOST_ALTERNATIVES),
      assumptions: inr.assumptions,
      hyperParameters: inr.hyperParameters as Readonly<Record<string, Plain>>,
      opaque: checkpoint.opaque,
      warnings: all,
    },
  };
}

/** A training that diverged leaves weights that are no numbers: name the layers. */
function brokenWeights({ layers }: Inr): string[] {
  const broken = layers.flatMap(({ name, weight, bias }) => {
    let count = 0;
    for (const values of [weight, bias ?? []])
      for (const value of values) if (!Number.isFinite(value)) count++;
    return count > 0 ? [`${name} (${count})`] : [];
  });
  if (broken.length === 0) return [];
  const shown = broken.slice(0, 4).join(', ');
  const more = broken.length > 4 ? ` and ${broken.length - 4} more` : '';
  return [
    `Weights of ${shown}${more} are NaN or infinite, so what depends on them is empty; the training diverged, use an earlier checkpoint.`,
  ];
}
