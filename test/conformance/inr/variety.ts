/** Examines one generated checkpoint (test/fixtures/variety/make.py) as a person would open it. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { findSidecars } from '../../../src/checkpoint/sidecar';
import { fileSource } from '../../../src/checkpoint/source';
import type { Checkpoint } from '../../../src/checkpoint/types';
import { UnknownSettingError } from '../../../src/inr/assumptions';
import { searchHypotheses } from '../../../src/inr/hypotheses';
import type { Target } from '../../../src/inr/inside';
import { recognise } from '../../../src/inr/recognise';
import type { Inr, RecognitionContext } from '../../../src/inr/types';
import { evaluate, largestDifference, reconstruct, targetFrom } from './run';

interface Case {
  readonly id: string;
  readonly family: string;
  readonly file: string;
  /** Identifiers of ours that are right. */
  readonly families: readonly string[];
  readonly container: string;
  readonly wrap: string;
  readonly prefix: string;
  readonly dtype: string;
  /** Only the name is asked for. */
  readonly named: boolean;
  /** Recognised only when a size or a picture is given. */
  readonly meant?: boolean;
  readonly size: string;
  readonly dims: number;
  readonly trained: boolean;
  readonly coords: string;
  readonly range: string;
  readonly frame?: number;
  readonly settings: Readonly<Record<string, string | number>>;
}

/** What was right; undefined where the question does not arise. */
export interface Outcome {
  readonly id: string;
  readonly how: string;
  readonly opened: boolean;
  readonly recognised: boolean;
  readonly family?: boolean;
  readonly given?: boolean;
  readonly target?: boolean;
  readonly blind?: boolean;
  readonly shown?: boolean;
  readonly milliseconds?: number;
  readonly misses: readonly string[];
}

/** Recognition under settings of which this network may lack some. */
function under(checkpoint: Checkpoint, context: RecognitionContext): Inr | undefined {
  const corrections = new Map(context.corrections);
  for (;;) {
    try {
      const result = recognise(checkpoint, { ...context, corrections });
      return result.recognised ? result.inr : undefined;
    } catch (error) {
      if (!(error instanceof UnknownSettingError)) throw error;
      corrections.delete(error.setting);
    }
  }
}

const text = (inr: Inr) =>
  `${inr.family} ${inr.assumptions.map(({ name, value }) => `${name}=${String(value)}`).join(' ')}`;

/** As a picture from black to white. */
const asShown = (values: Float32Array, [black, white]: readonly [number, number]) =>
  values.map((value) => Math.min(1, Math.max(0, (value - black) / (white - black))));

export async function examine(folder: string): Promise<Outcome> {
  const the = JSON.parse(readFileSync(path.join(folder, 'case.json'), 'utf8')) as Case;
  const misses: string[] = [];
  const base = {
    id: the.id,
    how: `${the.container}, ${the.wrap}, “${the.prefix}”, ${the.dtype}`,
    opened: false,
    recognised: false,
    misses,
  };
  const file = path.join(folder, the.file);
  let checkpoint: Checkpoint;
  try {
    checkpoint = openCheckpoint(fileSource(file));
  } catch (error) {
    misses.push(String(error));
    return base;
  }
  const { sidecars } = findSidecars(file);
  const context = { sidecars, corrections: new Map<string, string>() };
  const first = the.meant ? { ...context, corrections: new Map([['size', the.size]]) } : context;
  const result = recognise(checkpoint, first);
  const onnx = the.container === 'onnx';
  if (!result.recognised && the.named && result.known && the.families.includes(result.known.family)) {
    return { ...base, opened: true, recognised: true, family: true };
  }
  if (!result.recognised) {
    misses.push(`${result.seen} ${result.closest?.title ?? ''}: ${result.closest?.missing ?? ''}`);
    return { ...base, opened: true };
  }
  const family = onnx || the.families.includes(result.inr.family);
  if (!family) misses.push(`taken for ${text(result.inr)}`);
  const outcome = { ...base, opened: true, recognised: true, family };
  const reference = path.join(folder, 'expected.f32');
  if (!existsSync(reference)) return outcome;

  const expected = new Float32Array(new Uint8Array(readFileSync(reference)).buffer);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  const differs = async (inr: Inr) =>
    largestDifference(await reconstruct(inr, the.frame), expected) / largest;

  const size = [
    ['size', the.size],
    ['coords', the.coords],
    ['range', the.range],
  ] as const;
  const all = [...Object.entries(the.settings).map(([k, v]) => [k, String(v)] as const), ...size];
  const asked = under(checkpoint, { ...context, corrections: new Map(all) });
  let difference = Infinity;
  if (asked) {
    try {
      difference = await differs(asked);
    } catch (error) {
      misses.push(`given all: ${String(error)}`);
    }
  }
  const given = difference < 1e-4 || (the.family === 'finer' && difference < 2e-3);
  if (!given) {
    misses.push(`given all: ${difference.toExponential(1)} off, ${asked ? text(asked) : 'not recognised'}`);
  }
  if (!existsSync(path.join(folder, 'truth.png')) || the.frame !== undefined) return { ...outcome, given };

  const image: Target = targetFrom(path.join(folder, 'truth.png'));
  const began = performance.now();
  const found = await searchHypotheses(checkpoint, context, evaluate, {
    target: image,
    targetName: 'truth.png',
  });
  const milliseconds = performance.now() - began;
  let target = false;
  if (found.recognised) {
    const seen = asShown(await reconstruct(found.inr), found.inr.outputRange);
    const [low, high] = the.range.split('..').map(Number);
    target = largestDifference(seen, asShown(expected, [low, high])) < 4e-3;
    if (!target) misses.push(`with target: ${text(found.inr)}`);
  }

  const without = { ...context, corrections: new Map([['size', the.size]]) };
  const guess = await searchHypotheses(checkpoint, without, evaluate, {});
  let [blind, shown] = [false, false];
  if (guess.recognised) {
    blind = (await differs(guess.inr)) < 1e-3;
    shown = blind;
    for (const { values } of guess.tied) {
      if (shown) break;
      const evidence = Object.entries(values).map(([name, value]) => ({
        name,
        value,
        source: 'target' as const,
        confidence: 1,
      }));
      const inr = under(checkpoint, { ...without, evidence });
      if (inr) shown = (await differs(inr)) < 1e-3;
    }
    if (!shown) misses.push(`blind: ${text(guess.inr)} [${guess.tied.length} shown]`);
  }
  return { ...outcome, given, target, blind, shown, milliseconds, misses };
}
