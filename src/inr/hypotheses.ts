/**
 * What the tensors cannot tell is a small search space. With a picture to compare with, each hypothesis
 * is run on a sample of pixels and scored; without one, `unaided.ts` looks at its outputs.
 */
import type { Checkpoint } from '../checkpoint/types';
import { neverCancelled, type CancelToken } from '../errors';
import { finalScalar } from './activations';
import { coordinatesAt } from './coordinates';
import { MAX_CHANNELS } from './layouts';
import type { Evaluate, Hypotheses, Hypothesis } from './hypothesis';
import { pictureInside, type Target } from './inside';
import { BUDGET, choicesOf, isOpen, product, samplePixels, work, type Values } from './openSettings';
import { recognise } from './recognise';
import {
  rangeValues,
  ranges,
  sizeText,
  type FinalActivation,
  type RangeName,
  type SettingValue,
} from './settings';
import type {
  Assumption,
  CoordinateConvention,
  Evidence,
  Inr,
  NotRecognised,
  RecognitionContext,
} from './types';
import { unaided } from './unaided';

export interface SearchOptions {
  /** Picture the network was trained on; one inside the file is used when there is none. */
  readonly target?: Target;
  /** Name of the target for messages. */
  readonly targetName?: string;
  /** Frame of a video that the target shows; 0 when left out. */
  readonly frame?: number;
  readonly cancel?: CancelToken;
}

interface Scored {
  readonly values: Values;
  readonly psnr: number;
}

const SAMPLE = { search: 256, final: 1024 } as const;

/** Channels that can be compared with a picture: of more than it may have, the three that are shown. */
const compared = (channels: number) => (channels > MAX_CHANNELS ? 3 : channels);

/** Target at the sampled pixels, `[channels, n]`. */
function targetAt(target: Target, pixels: Uint32Array, channels: number): Float32Array {
  const n = pixels.length;
  const out = new Float32Array(channels * n);
  pixels.forEach((pixel, i) => {
    const at = (c: number) => target.data[pixel * target.channels + c];
    for (let c = 0; c < channels; c++) {
      if (c < target.channels) out[c * n + i] = at(c);
      // A fourth channel is opacity.
      else out[c * n + i] = c === 3 ? 1 : at(0);
    }
    if (channels === 1 && target.channels >= 3) out[i] = 0.299 * at(0) + 0.587 * at(1) + 0.114 * at(2);
  });
  return out;
}

const decibels = (squared: number, count: number) => -10 * Math.log10(Math.max(squared / count, 1e-12));

/** PSNR of outputs shown with the given black and white, clamped as a picture is. */
function psnr(outputs: Float32Array, target: Float32Array, range: RangeName): number {
  const [black, white] = rangeValues(range);
  let sum = 0;
  for (let i = 0; i < target.length; i++) {
    const shown = Math.min(1, Math.max(0, (outputs[i] - black) / (white - black)));
    sum += (shown - target[i]) ** 2;
  }
  return Number.isNaN(sum) ? -Infinity : decibels(sum, target.length);
}

/**
 * PSNR after the best brightness and contrast for each channel: tells whether a hypothesis paints the
 * right picture before its range and final activation are settled.
 */
function fittedPsnr(outputs: Float32Array, target: Float32Array, channels: number): number {
  const n = target.length / channels;
  let residual = 0;
  for (let c = 0; c < channels; c++) {
    let [sx, sy, sxx, sxy, syy] = [0, 0, 0, 0, 0];
    for (let i = c * n; i < (c + 1) * n; i++) {
      const [x, y] = [outputs[i], target[i]];
      sx += x;
      sy += y;
      sxx += x * x;
      sxy += x * y;
      syy += y * y;
    }
    const [vxx, vxy, vyy] = [sxx - (sx * sx) / n, sxy - (sx * sy) / n, syy - (sy * sy) / n];
    // A negative picture is no match.
    residual += vyy - (vxx > 0 && vxy > 0 ? (vxy * vxy) / vxx : 0);
  }
  return Number.isNaN(residual) ? -Infinity : decibels(residual, target.length);
}

/** Outputs of a network that ends linearly, followed by a final activation. */
function finalOf(name: FinalActivation, outputs: Float32Array, inr: Inr): Float32Array {
  if (name === 'identity') return outputs;
  const omega = inr.assumptions.find((assumption) => assumption.name === 'hiddenOmega')?.value ?? 30;
  return outputs.map(finalScalar(name, Number(omega)));
}

/** dB on a few pixels from which on a hypothesis paints the picture, or paints it exactly. */
const [GOOD, EXACT] = [27, 45];

class Search {
  private spent = 0;
  /** PSNR by setting and value: the best that any hypothesis with that value reached. */
  private readonly reached = new Map<string, Map<SettingValue, number>>();
  readonly found: Scored[] = [];

  constructor(
    private readonly checkpoint: Checkpoint,
    private readonly context: RecognitionContext,
    private readonly evaluate: Evaluate,
    private readonly target: Target,
    private readonly targetName: string,
    private readonly frame: number,
    private readonly cancel: CancelToken,
  ) {}

  /** The network under some values, as if scoring had found them. */
  with(values: Values, confidence = 0.9, detail?: string): Inr | undefined {
    const evidence = Object.entries(values).map(([name, value]) => ({
      name,
      value,
      source: 'target' as const,
      confidence,
      ...(detail !== undefined && { detail }),
    }));
    const result = recognise(this.checkpoint, {
      ...this.context,
      evidence: [...(this.context.evidence ?? []), this.size(), ...evidence],
    });
    return result.recognised ? result.inr : undefined;
  }

  /** A picture that is compared pixel by pixel gives the size. */
  size(): Evidence {
    return {
      name: 'size',
      value: sizeText(this.target),
      source: 'target',
      confidence: 0.97,
      detail: `size of ${this.targetName}`,
    };
  }

  private get affordable(): boolean {
    return this.spent < BUDGET;
  }

  /** Outputs at the target's pixels for each convention, `[compared channels, n]` each. */
  private async outputs(
    inr: Inr,
    conventions: readonly CoordinateConvention[],
    pixels: Uint32Array,
  ): Promise<Float32Array[]> {
    this.cancel.throwIfCancelled();
    const { height, width } = this.target;
    const n = pixels.length;
    if (inr.domain.kind === 'frames') {
      this.spent += work(inr);
      const t = { shape: [1, 1], data: Float32Array.of(this.frame / inr.domain.divisor) };
      const { data } = await this.evaluate(inr, t);
      const size = height * width;
      return [
        Float32Array.from(
          { length: compared(inr.signal.channels) * n },
          (_, i) => data[Math.floor(i / n) * size + pixels[i % n]],
        ),
      ];
    }
    this.spent += work(inr) * n * conventions.length;
    const lists = conventions.map((convention) => coordinatesAt(convention, height, width, pixels));
    const total = n * lists.length;
    const feed = new Float32Array(2 * total);
    lists.forEach((list, k) => {
      feed.set(list.subarray(0, n), k * n);
      feed.set(list.subarray(n), total + k * n);
    });
    const { data } = await this.evaluate(inr, { shape: [2, total], data: feed });
    return conventions.map((_, k) =>
      Float32Array.from(
        { length: compared(inr.signal.channels) * n },
        (__, i) => data[Math.floor(i / n) * total + k * n + (i % n)],
      ),
    );
  }

  /** Conventions that differ on this picture: for a square one all scales are one. */
  private distinct(
    conventions: readonly CoordinateConvention[],
    pixels: Uint32Array,
  ): CoordinateConvention[] {
    const { height, width } = this.target;
    const seen = new Set<string>();
    return conventions.filter((convention) => {
      const key = coordinatesAt(convention, height, width, pixels.subarray(0, 64)).join();
      return !seen.has(key) && seen.add(key);
    });
  }

  /** Which of several function hypotheses paints the picture, whatever its brightness: all of them, with all coordinates. */
  async coarse(base: Inr): Promise<Values> {
    const pixels = samplePixels(SAMPLE.search, this.target.height * this.target.width);
    const expected = targetAt(this.target, pixels, compared(base.signal.channels));
    let best: { values: Values; score: number } = { values: {}, score: -Infinity };
    for (const { values, complete, tuned } of this.functions(base, () =>
      best.score > GOOD ? best.values : undefined,
    )) {
      if (!this.affordable) break;
      const final = base.assumptions.find(({ name }) => name === 'finalActivation');
      // What follows the last layer is a function of each output: one run scores all.
      const finals = final && isOpen(final) ? (choicesOf(final) as FinalActivation[]) : [];
      const inr = this.with(finals.length ? { ...values, finalActivation: 'identity' } : values);
      if (inr?.signal.channels !== base.signal.channels) continue;
      const coords = inr.assumptions.find(({ name }) => name === 'coords');
      const conventions = coords
        ? this.distinct(
            (isOpen(coords) ? choicesOf(coords) : [coords.value]) as CoordinateConvention[],
            pixels,
          )
        : [];
      const all = await this.outputs(inr, conventions, pixels);
      all.forEach((outputs, k) => {
        const place = coords && isOpen(coords) ? { coords: conventions[k] } : {};
        for (const name of finals.length ? finals : [undefined]) {
          const after = name === undefined ? outputs : finalOf(name, outputs, inr);
          // Overshooting outputs are cut off in the picture, which only the plain comparison sees.
          const score = Math.max(
            fittedPsnr(after, expected, compared(inr.signal.channels)),
            psnr(after, expected, '0..1'),
            psnr(after, expected, '-1..1'),
          );
          // The usual final activation unless another is clearly better.
          if (score > best.score + (name === undefined || name === finals[0] ? 0.01 : 0.2)) {
            best = { values: { ...values, ...place, ...(name && { finalActivation: name }) }, score };
          }
        }
      });
      // Under ω nothing wrong comes close (recognition.md: in 18 of 18 the true one was first by far); the
      // activations without one paint flat pictures alike, so all of them are tried.
      if (complete && best.score > (tuned ? GOOD : EXACT)) break;
    }
    return best.values;
  }

  /**
   * Combinations of activation, its constants and the encoding, the likeliest first; `complete` after the
   * last encoding of each, since another order of features may paint the picture roughly; `tuned` for
   * activations with an ω. Once there is a good one, the others are tried with its encoding only.
   */
  private *functions(
    base: Inr,
    good: () => Values | undefined,
  ): Generator<{ readonly values: Values; readonly complete: boolean; readonly tuned: boolean }> {
    const activation = base.assumptions.find(({ name }) => name === 'activation');
    const kinds = activation && isOpen(activation) ? choicesOf(activation) : [undefined];
    for (const kind of kinds) {
      const chosen: Values = kind === undefined ? {} : { activation: kind };
      const inr = kind === undefined ? base : this.with(chosen);
      if (!inr) continue;
      const open = new Map(inr.assumptions.filter(isOpen).map((assumption) => [assumption.name, assumption]));
      const [first, hidden] = [open.get('omega0'), open.get('hiddenOmega')];
      const found = good();
      if (found && first && kind !== kinds[0]) continue;
      // Most code has one ω, or 1 for the hidden layers; a second ω of its own is refined later.
      const omegas: Values[] = first
        ? choicesOf(first).flatMap((omega): Values[] => {
            if (!hidden) return [{ omega0: omega }];
            const own = omega === first.value ? [hidden.value, omega, 1] : [omega, hidden.value];
            return [...new Set(own)].map((value) => ({ omega0: omega, hiddenOmega: value }));
          })
        : [{}];
      const rest = ['scale', 'encoding', 'frequencyFactor', 'embedBase', 'skipOrder', 'normPlace']
        .map((name) => open.get(name))
        .filter((assumption) => assumption !== undefined)
        .map((assumption) => {
          const settled = assumption.name === 'scale' ? undefined : found?.[assumption.name];
          return [assumption.name, settled === undefined ? choicesOf(assumption) : [settled]] as const;
        });
      for (const omega of omegas) {
        const combinations = product(rest);
        for (const [i, values] of combinations.entries()) {
          yield {
            values: { ...chosen, ...omega, ...values },
            complete: i === combinations.length - 1,
            tuned: kind === undefined || first !== undefined,
          };
        }
      }
    }
  }

  /** Tries every value of every open setting in turn, from the given ones on; returns the best. */
  async refine(start: Values): Promise<Scored> {
    let best = await this.score(start);
    for (let round = 0; round < 2; round++) {
      const before = best.psnr;
      for (const assumption of this.openUnder(best.values)) {
        const { name } = assumption;
        const others = choicesOf(assumption).filter(
          (value) => value !== (best.values[name] ?? assumption.value),
        );
        // One run scores all coordinates; other settings are other graphs.
        const trials = name === 'coords' ? [others] : others.map((value) => [value]);
        for (const values of trials) {
          if (!this.affordable) break;
          const scored = await this.score(best.values, name, values);
          if (scored.psnr > best.psnr + 0.01) best = scored;
        }
      }
      if (best.psnr < before + 0.05) break;
    }
    return best;
  }

  /** The best of some hypotheses that differ in one setting; all are noted. */
  private async score(values: Values, name?: string, choices: readonly SettingValue[] = []): Promise<Scored> {
    const pixels = samplePixels(SAMPLE.final, this.target.height * this.target.width);
    const trials = name === undefined ? [values] : choices.map((value) => ({ ...values, [name]: value }));
    const inr = this.with(trials[0]);
    let best: Scored = { values, psnr: -Infinity };
    if (!inr) return best;
    const assumed = new Map(inr.assumptions.map((assumption) => [assumption.name, assumption]));
    const expected = targetAt(this.target, pixels, compared(inr.signal.channels));
    const conventions = trials.map(
      (trial) => (trial.coords ?? assumed.get('coords')?.value) as CoordinateConvention,
    );
    // The range is only how the output is shown: one run scores them all.
    const range = assumed.get('range');
    const open = range !== undefined && (isOpen(range) || 'range' in values);
    const displays = open ? ranges : [(range?.value ?? '0..1') as RangeName];
    (await this.outputs(inr, conventions, pixels)).forEach((outputs, i) => {
      for (const display of displays) {
        const found = {
          values: open ? { ...trials[i], range: display } : trials[i],
          psnr: psnr(outputs, expected, display),
        };
        this.note(found);
        if (found.psnr > best.psnr + 0.01) best = found;
      }
    });
    return best;
  }

  private note(scored: Scored): void {
    this.found.push(scored);
    for (const [name, value] of Object.entries(scored.values)) {
      const by = this.reached.get(name) ?? new Map<SettingValue, number>();
      this.reached.set(name, by.set(value, Math.max(scored.psnr, by.get(value) ?? -Infinity)));
    }
  }

  /** Settings that the base or the chosen values leave open. */
  private openUnder(values: Values): Assumption[] {
    const inr = this.with(values);
    return (inr?.assumptions ?? []).filter(
      (assumption) =>
        assumption.name !== 'range' &&
        (isOpen(assumption) || (assumption.name in values && (assumption.choices?.length ?? 0) > 1)),
    );
  }

  /** How much worse the best hypothesis with another value of a setting is, in dB. */
  margin(name: string, value: SettingValue): number {
    const others = [...(this.reached.get(name) ?? [])].filter(([other]) => other !== value);
    const best = this.reached.get(name)?.get(value) ?? -Infinity;
    return others.length ? best - Math.max(...others.map(([, score]) => score)) : 0;
  }
}

/** How sure a value is, given the PSNR of the best hypothesis and its lead over other values. */
function sureness(score: number, margin: number): number {
  const fit = score >= 25 ? 0.97 : score >= 18 ? 0.93 : score >= 14 ? 0.75 : 0.4;
  return margin >= 1 ? fit : fit * (0.6 + 0.4 * Math.max(0, margin));
}

/** Below this no hypothesis paints the target. */
const LEAST_PSNR = 11;

/**
 * Recognises a checkpoint, searching what is open against a target picture or, without one, against
 * what pictures look like.
 * @throws CancelledError
 */
export async function searchHypotheses(
  checkpoint: Checkpoint,
  context: RecognitionContext,
  evaluate: Evaluate,
  options: SearchOptions = {},
): Promise<Hypotheses | NotRecognised> {
  const inside = options.target ? undefined : pictureInside(checkpoint);
  const target = options.target ?? inside;
  const first = recognise(checkpoint, context);
  // A picture to compare with says that there is one to paint.
  const base = first.recognised || !target ? first : recognise(checkpoint, withSize(context, target));
  if (!base.recognised) return base;
  const cancel = options.cancel ?? neverCancelled;
  if (!target || !comparableWith(base.inr, target))
    return unaided(checkpoint, context, base.inr, evaluate, cancel);

  const name = options.targetName ?? inside?.key ?? 'the target';
  const search = new Search(checkpoint, context, evaluate, target, name, options.frame ?? 0, cancel);
  const start = search.with({}) ?? base.inr;
  const best = await search.refine(await search.coarse(start));
  const ranked = unique(search.found.toSorted((a, b) => b.psnr - a.psnr)).slice(0, 12);
  if (best.psnr < LEAST_PSNR) {
    return { recognised: true, inr: start, evidence: [search.size()], ranked, tied: ranked.slice(0, 4) };
  }
  const evidence = Object.entries(best.values)
    .map(([setting, value]): Evidence & { readonly margin: number } => {
      const margin = search.margin(setting, value);
      const detail = `${best.psnr.toFixed(1)} dB against ${name}, ${margin.toFixed(1)} dB ahead of other values`;
      return {
        name: setting,
        value,
        source: 'target',
        confidence: sureness(best.psnr, margin),
        detail,
        margin,
      };
    })
    // What makes no difference is not settled by the target.
    .filter(({ name: setting, value, margin }) => margin > 0.02 || differs(start, setting, value))
    // Training code is overruled by a picture that is painted, not by one that hardly is.
    .filter(
      ({ name: setting, value, margin }) =>
        !isFromCode(start, setting) ||
        !differs(start, setting, value) ||
        (best.psnr >= CLEAR_PSNR && margin >= CLEAR_LEAD),
    )
    .map(({ margin: _, ...rest }): Evidence => rest);
  const settled = [search.size(), ...evidence];
  const result = recognise(checkpoint, { ...context, evidence: [...(context.evidence ?? []), ...settled] });
  if (!result.recognised) return result;
  return { recognised: true, inr: result.inr, evidence: settled, ranked, tied: [] };
}

const withSize = (context: RecognitionContext, target: Target): RecognitionContext => ({
  ...context,
  evidence: [
    ...(context.evidence ?? []),
    { name: 'size', value: sizeText(target), source: 'target', confidence: 0.9 },
  ],
});

/** dB from which a target is painted beyond doubt, and by which a value must lead. */
const CLEAR_PSNR = 18;
const CLEAR_LEAD = 0.5;

const isFromCode = (inr: Inr, name: string) =>
  inr.assumptions.find((assumption) => assumption.name === name)?.source === 'training code';

const differs = (inr: Inr, name: string, value: SettingValue) =>
  inr.assumptions.find((assumption) => assumption.name === name)?.value !== value;

/** Only pictures can be compared with a picture, and a video's frames must have its size. */
function comparableWith(inr: Inr, target: Target): boolean {
  if (inr.signal.kind !== 'image' && inr.signal.kind !== 'video') return false;
  return (
    inr.domain.kind === 'pixels' || (inr.signal.height === target.height && inr.signal.width === target.width)
  );
}

function unique(hypotheses: readonly Scored[]): Hypothesis[] {
  const seen = new Set<string>();
  return hypotheses.filter(({ values }) => {
    const key = JSON.stringify(Object.entries(values).sort());
    return !seen.has(key) && seen.add(key);
  });
}
