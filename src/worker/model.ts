import path from 'node:path';
import { openCheckpoint } from '../checkpoint/open';
import { findSidecars, readSidecar } from '../checkpoint/sidecar';
import { fileSource } from '../checkpoint/source';
import type { Plain } from '../checkpoint/types';
import { recognise } from '../inr/recognise';
import type { Inr } from '../inr/types';
import type { Inspection, NotAnInr, Source } from './protocol';

export interface Model {
  readonly inr: Inr;
  readonly inspection: Inspection;
  /** Milliseconds. */
  readonly timings: { readonly read: number; readonly recognise: number };
}

export const isModel = (opened: Model | NotAnInr): opened is Model => 'inr' in opened;

/**
 * Reads a checkpoint and what lies beside it, and recognises its network. Synchronous: worker only.
 * The weights are in the returned model; the file is closed.
 * @throws CheckpointError @throws UsageError
 */
export function openModel(source: Source): Model | NotAnInr {
  const began = performance.now();
  const bytes = fileSource(source.file);
  try {
    const checkpoint = openCheckpoint(bytes);
    const found = findSidecars(source.file);
    const sidecars = source.config ? [readSidecar(source.config), ...found.sidecars] : found.sidecars;
    const read = performance.now() - began;
    const recognition = recognise(checkpoint, {
      sidecars,
      corrections: new Map(Object.entries(source.corrections)),
    });
    const timings = { read, recognise: performance.now() - began - read };
    if (!recognition.recognised) {
      const { seen, closest, nextStep, tensors } = recognition;
      const missing = closest ? ` Closest is ${closest.title}: ${closest.missing}.` : '';
      return {
        file: source.file,
        format: checkpoint.format,
        message: `${path.basename(source.file)} is not recognised as an INR. ${seen}${missing} ${nextStep}`,
        seen,
        ...(closest && { closest }),
        nextStep,
        tensors,
      };
    }
    const { inr } = recognition;
    return {
      inr,
      timings,
      inspection: {
        file: source.file,
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
        warnings: [...checkpoint.warnings, ...found.warnings],
      },
    };
  } finally {
    bytes.close();
  }
}
