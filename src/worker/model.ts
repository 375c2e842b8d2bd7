import path from 'node:path';
import { openCheckpoint } from '../checkpoint/open';
import { findSidecars, readSidecar } from '../checkpoint/sidecar';
import { fileSource } from '../checkpoint/source';
import type { Checkpoint, Plain } from '../checkpoint/types';
import type { Engine, EngineTensor } from '../engine/types';
import type { CancelToken } from '../errors';
import { searchHypotheses } from '../inr/hypotheses';
import type { Target } from '../inr/inside';
import { recognise } from '../inr/recognise';
import type { Inr, NotRecognised, RecognitionContext } from '../inr/types';
import type { Inspection, NotAnInr, Source } from './protocol';

export interface Model {
  readonly inr: Inr;
  readonly inspection: Inspection;
  /** Milliseconds. */
  readonly timings: { readonly read: number; readonly recognise: number };
}

export const isModel = (opened: Model | NotAnInr): opened is Model => 'inr' in opened;

type Recognised = { readonly inr: Inr } | NotRecognised;

/**
 * Reads a checkpoint and what lies beside it, and recognises its network from what is written there.
 * Synchronous: worker only. The weights are in the returned model; the file is closed.
 * @throws CheckpointError @throws UsageError
 */
export function inspectModel(source: Source): Model | NotAnInr {
  const began = performance.now();
  const opened = open(source);
  try {
    const read = performance.now() - began;
    return result(source.file, opened, recognise(opened.checkpoint, opened.context), read, began);
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
 * @throws CheckpointError @throws UsageError @throws CancelledError
 */
export async function openModel(
  source: Source,
  engine: Engine,
  target: NamedTarget | undefined,
  cancel: CancelToken,
): Promise<Model | NotAnInr> {
  const began = performance.now();
  const opened = open(source);
  const read = performance.now() - began;
  const evaluate = async (inr: Inr, feed: EngineTensor) => {
    const session = await engine.load(inr.graph, [inr.graph.output]);
    try {
      const outputs = await session.run(new Map([[inr.graph.inputs[0].name, feed]]));
      return outputs.get(inr.graph.output)!;
    } finally {
      await session.release();
    }
  };
  try {
    const found = await searchHypotheses(opened.checkpoint, opened.context, evaluate, {
      ...(target && { target: target.picture, targetName: target.name }),
      cancel,
    });
    return result(source.file, opened, found, read, began);
  } finally {
    opened.close();
  }
}

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
      context: { sidecars, corrections },
      warnings: [...checkpoint.warnings, ...found.warnings],
      close: () => bytes.close(),
    };
  } catch (error) {
    bytes.close();
    throw error;
  }
}

function result(
  file: string,
  { checkpoint, warnings }: Opened,
  found: Recognised,
  read: number,
  began: number,
): Model | NotAnInr {
  if (!('inr' in found)) {
    const { seen, closest, nextStep, tensors } = found;
    const missing = closest ? ` Closest is ${closest.title}: ${closest.missing}.` : '';
    return {
      file,
      format: checkpoint.format,
      message: `${path.basename(file)} is not recognised as an INR. ${seen}${missing} ${nextStep}`,
      seen,
      ...(closest && { closest }),
      nextStep,
      tensors,
    };
  }
  const { inr } = found;
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
      assumptions: inr.assumptions,
      hyperParameters: inr.hyperParameters as Readonly<Record<string, Plain>>,
      opaque: checkpoint.opaque,
      warnings,
    },
  };
}
