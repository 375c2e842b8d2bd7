/** Hypotheses without a picture to compare with: what outputs of trained networks look like. */
import type { Checkpoint } from '../checkpoint/types';
import { cosineTransform } from '../cosineTransform';
import type { CancelToken } from '../errors';
import { coordinatesAt } from './coordinates';
import type { Evaluate, Hypotheses, Hypothesis } from './hypothesis';
import { BUDGET, choicesOf, isOpen, product, samplePixels, work, type Values } from './openSettings';
import { recognise } from './recognise';
import type { RangeName } from './settings';
import type { Evidence, Inr, RecognitionContext } from './types';

const PROBE = 32;

/**
 * Without a picture: range and spectrum of the outputs; then what stays open is shown to be chosen from.
 * @throws CancelledError
 */
export async function unaided(
  checkpoint: Checkpoint,
  context: RecognitionContext,
  inr: Inr,
  evaluate: Evaluate,
  cancel: CancelToken,
): Promise<Hypotheses> {
  const evidence: Evidence[] = [];
  const under = (more: readonly Evidence[]) => {
    const result = recognise(checkpoint, {
      ...context,
      evidence: [...(context.evidence ?? []), ...evidence, ...more],
    });
    return result.recognised ? result.inr : undefined;
  };
  const again = () => under([]) ?? inr;
  const orders = await coherent(inr, under, evaluate, cancel);
  if (orders.length > 0) evidence.push(...orders[0].evidence);
  const open = new Map(
    again()
      .assumptions.filter(isOpen)
      .map((assumption) => [assumption.name, assumption]),
  );
  const range = open.get('range');
  if (inr.domain.kind === 'pixels' && range) {
    let [low, high] = await outputRange(again(), evaluate);
    const detail = () => `outputs lie mostly in ${low.toFixed(2)} … ${high.toFixed(2)}`;
    const final = open.get('finalActivation');
    // Logits go far beyond any picture's range.
    if (
      final?.value === 'identity' &&
      final.choices?.includes('sigmoid') &&
      (low < -1.7 || high > 2.2) &&
      high < 30
    ) {
      evidence.push({
        name: 'finalActivation',
        value: 'sigmoid',
        source: 'inferred',
        confidence: 0.7,
        detail: detail(),
      });
      [low, high] = await outputRange(again(), evaluate);
    }
    const value: RangeName =
      high > 30 ? '0..255' : low < -0.3 ? '-1..1' : low > -0.15 ? '0..1' : (range.value as RangeName);
    evidence.push({ name: 'range', value, source: 'inferred', confidence: 0.75, detail: detail() });
  }
  const best = again();
  const values = Object.fromEntries(
    best.assumptions.filter(isOpen).map((assumption) => [assumption.name, assumption.value]),
  );
  const tied = alternatives(
    best,
    values,
    orders.slice(1).map((order) => order.values),
  );
  return { recognised: true, inr: best, evidence, ranked: tied.length ? tied : [{ values }], tied };
}

/** Settings under whose wrong values the layers meet features in another order than they were trained on. */
const ORDERS = ['encoding', 'frequencyFactor', 'skipOrder', 'normPlace'];
/** Longest side of the detail that is painted under each of them, pixels. */
const DETAIL = 64;
/** What is assumed stands while less of its variation than this is in fine detail, or another has not three times less. */
const [FINE, LEAD] = [0.02, 3];

/**
 * The orders of features by how little of what they paint is fine detail, the one to take first: features that
 * come in another order than in training paint noise (docs/recognition.md, “Measured”). ω is not chosen so: a
 * lower one always paints a smoother picture.
 * @returns an empty list where no order is open
 */
async function coherent(
  inr: Inr,
  under: (evidence: readonly Evidence[]) => Inr | undefined,
  evaluate: Evaluate,
  cancel: CancelToken,
): Promise<{ readonly values: Values; readonly evidence: readonly Evidence[] }[]> {
  const open = inr.assumptions.filter(
    (assumption) => ORDERS.includes(assumption.name) && isOpen(assumption) && assumption.confidence < 0.85,
  );
  if (inr.domain.kind !== 'pixels' || open.length === 0) return [];
  const orders = product(open.map((assumption) => [assumption.name, choicesOf(assumption)] as const));
  const affordable = Math.floor(Math.sqrt(BUDGET / 2 / orders.length / work(inr)));
  const side = Math.min(DETAIL, affordable);
  if (side < 16) return [];
  const pixels = middle(inr.signal, side);
  const painted: {
    readonly values: Values;
    readonly fine: number;
    readonly evidence: readonly Evidence[];
  }[] = [];
  for (const values of orders) {
    cancel.throwIfCancelled();
    const evidence = Object.entries(values).map(([name, value]): Evidence => ({
      name,
      value,
      source: 'inferred',
      confidence: 0.7,
    }));
    const other = under(evidence);
    if (other?.domain.kind !== 'pixels') continue;
    const { height, width, channels } = other.signal;
    const data = coordinatesAt(other.domain.convention, height, width, pixels.indices);
    const outputs = await evaluate(other, { shape: [2, pixels.indices.length], data });
    const fine = fineDetail(outputs.data, channels, pixels.rows, pixels.columns);
    painted.push({ values, fine, evidence });
  }
  const [assumed, ...others] = painted;
  if (!assumed) return [];
  const ranked = others.toSorted((a, b) => a.fine - b.fine);
  if (ranked.length === 0 || assumed.fine < FINE || ranked[0].fine * LEAD > assumed.fine) {
    return [{ values: assumed.values, evidence: [] }, ...ranked];
  }
  const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
  const detail = `${percent(ranked[0].fine)} of the variation is fine detail, ${percent(assumed.fine)} as usually assumed`;
  const [best, ...rest] = ranked;
  return [{ ...best, evidence: best.evidence.map((each) => ({ ...each, detail })) }, assumed, ...rest];
}

/** Indices of the pixels in the middle of a picture, at most `side` a side. */
function middle({ height, width }: Inr['signal'], side: number) {
  const [rows, columns] = [Math.min(height, side), Math.min(width, side)];
  const [top, left] = [(height - rows) >> 1, (width - columns) >> 1];
  const indices = Uint32Array.from(
    { length: rows * columns },
    (_, i) => (top + Math.floor(i / columns)) * width + left + (i % columns),
  );
  return { rows, columns, indices };
}

/** Part of a picture's variation (mean over channels) above half the finest frequency of either axis. */
function fineDetail(outputs: Float32Array, channels: number, rows: number, columns: number): number {
  const n = rows * columns;
  const grey = new Float64Array(n);
  for (let c = 0; c < channels; c++) for (let i = 0; i < n; i++) grey[i] += outputs[c * n + i] / channels;
  const spectrum = cosineTransform(grey, rows, columns);
  let [fine, all] = [0, 0];
  for (let k = 1; k < n; k++) {
    const energy = spectrum[k] ** 2;
    all += energy;
    if (Math.floor(k / columns) > rows / 2 || k % columns > columns / 2) fine += energy;
  }
  return all > 0 ? fine / all : 0;
}

/** First and last percentile of the outputs on a coarse grid. */
async function outputRange(inr: Inr, evaluate: Evaluate): Promise<[number, number]> {
  const { height, width } = inr.signal;
  const pixels = samplePixels(PROBE * PROBE, height * width);
  if (inr.domain.kind !== 'pixels') return [0, 1];
  const data = coordinatesAt(inr.domain.convention, height, width, pixels);
  const outputs = await evaluate(inr, { shape: [2, pixels.length], data });
  const sorted = outputs.data.toSorted();
  const at = (fraction: number) => sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))];
  return [at(0.01), at(0.99)];
}

/**
 * The hypothesis and its rivals: coordinates swapped, another activation.
 * @param orders other values of {@link ORDERS}, the likeliest first
 */
function alternatives(inr: Inr, values: Values, orders: readonly Values[]): Hypothesis[] {
  const tied: Hypothesis[] = [{ values }];
  const open = (name: string) =>
    inr.assumptions.find(
      (assumption) => assumption.name === name && isOpen(assumption) && assumption.confidence < 0.8,
    );
  const coords = open('coords');
  if (coords) {
    const text = String(coords.value);
    const swapped = text.startsWith('rc') ? text.replace('rc', 'xy') : text.replace('xy', 'rc');
    tied.push({ values: { ...values, coords: swapped } });
  }
  if (orders.length > 0) tied.push({ values: { ...values, ...orders[0] } });
  for (const name of ['activation', 'encoding', 'finalActivation']) {
    if (orders.length > 0 && name === 'encoding') continue;
    const assumption = open(name);
    if (!assumption || assumption.confidence >= 0.7 || tied.length >= 4) continue;
    tied.push({ values: { ...values, [name]: choicesOf(assumption)[1] } });
  }
  return tied.length > 1 ? tied : [];
}
