/** The answers, in words: each with its number and with what it is compared with. */
import type { Affinity } from '../tracing/affinity';
import type { FaithfulnessCard } from '../tracing/faithfulness/card';
import type { Feature, LayerFindings } from '../tracing/findings';
import { listed } from '../tracing/clinical';
import { framesText } from '../tracing/subject';
import type { FindingsDocument, MotionFinding } from './document';

export interface Statement {
  readonly id: 'distributed' | Feature | 'faithful' | 'motion';
  readonly question: string;
  /** null while it is being computed or when nothing can be said. */
  readonly verdict: 'yes' | 'partly' | 'no' | null;
  readonly sentence: string;
  /** What the number is compared with. */
  readonly comparison: string;
}

/** Nine tenths of the total held by at least this part of the neurons: distributed; by at most that: not. */
const SPREAD = { yes: 0.5, no: 0.2 };
const SIGNIFICANT = 0.05;
/** Preferences that are that much above those of moved regions count for something. */
const NOTABLE = 1.1;

/** What the neurons of all layers are called; `neurons` where it differs. */
export function unitsOf(layers: readonly Pick<LayerFindings, 'unit'>[]): string {
  const [first, ...others] = new Set(layers.map(({ unit }) => unit));
  return `${others.length > 0 ? 'neuron' : (first ?? 'neuron')}s`;
}
export const capital = (text: string) => `${text[0].toUpperCase()}${text.slice(1)}`;
/** `14,336` */
export const counted = (value: number, digits = 0) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const percent = (part: number, digits = 0) => `${(100 * part).toFixed(digits)} %`;
export const ratio = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} times`;
export const pText = (p: number) => `p ${p < 0.01 ? '< 0.01' : `= ${p.toFixed(2)}`}`;

const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;

export function statements(findings: FindingsDocument, names: readonly string[]): Statement[] {
  const { layers, objects } = findings;
  const found: Statement[] = [
    distributed(layers, names),
    preference(layers, 'color', 'Do neurons prefer colours?', 'colours', names),
    preference(layers, 'edge', 'Do neurons prefer edges?', 'edges', names),
    preference(layers, 'space', 'Do neurons prefer places?', 'places', names),
  ];
  if (objects) found.push(objectStatement(findings, names));
  if (findings.motion !== undefined) found.push(motionStatement(findings.motion, names));
  found.push(faithful(findings, names));
  return found;
}

function distributed(layers: readonly LayerFindings[], names: readonly string[]): Statement {
  const parts = layers.map(({ distributedness: d, neurons }) => d.neuronsFor90 / Math.max(1, neurons));
  const all = (holds: (part: number) => boolean) => parts.every(holds);
  const verdict = all((p) => p >= SPREAD.yes) ? 'yes' : all((p) => p <= SPREAD.no) ? 'no' : 'partly';
  const word = { yes: 'distributed', partly: 'partly distributed', no: 'concentrated in few neurons' }[
    verdict
  ];
  const each = layers.map(
    ({ distributedness: d, neurons }, k) =>
      `${counted(d.neuronsFor90)} of ${counted(neurons)} (${percent(parts[k])}) in ${names[k]}`,
  );
  return {
    id: 'distributed',
    question: 'Is the work distributed?',
    verdict,
    sentence: `The work is ${word}: nine tenths of the contribution need ${each.join(', ')}.`,
    comparison:
      'If all neurons did the same, 90 % of them would be needed (Gini 0); if one did everything, one (Gini near 1). ' +
      `Here the Gini coefficient is ${layers.map(({ distributedness: d }) => d.gini.toFixed(2)).join(', ')}.`,
  };
}

function preference(
  layers: readonly LayerFindings[],
  feature: Feature,
  question: string,
  what: string,
  names: readonly string[],
): Statement {
  const known = layers.flatMap((layer, k) => {
    const own = layer.affinity[feature];
    return own ? [{ name: names[k], own }] : [];
  });
  const base = { id: feature, question } as const;
  if (known.length === 0) {
    const possible = layers.every((layer) => Object.keys(layer.affinity).length === 0);
    return {
      ...base,
      verdict: null,
      sentence: possible
        ? 'Being compared with random regions …'
        : `The picture has only one region by ${what}.`,
      comparison: '',
    };
  }
  const holds = ({ moved }: Affinity) => moved.pValue <= SIGNIFICANT && moved.ratio >= NOTABLE;
  const count = known.filter(({ own }) => holds(own)).length;
  const verdict = count === known.length ? 'yes' : count === 0 ? 'no' : 'partly';
  // The sentence is about those that do, when some do not.
  const meant = verdict === 'partly' ? known.filter(({ own }) => holds(own)) : known;
  const others = known.filter((one) => !meant.includes(one));
  const times = mean(meant.map(({ own }) => own.moved.ratio));
  const scattered = mean(meant.map(({ own }) => own.scattered.ratio));
  const delta = mean(meant.map(({ own }) => own.observed));
  const list = (some: typeof known) => some.map(({ name }) => name).join(', ');
  const who =
    verdict === 'yes'
      ? 'Neurons of all layers'
      : verdict === 'no'
        ? 'Neurons hardly'
        : `Neurons of ${list(meant)}`;
  const pValues = meant.map(({ own }) => own.moved.pValue);
  const [best, worst] = [Math.min(...pValues), Math.max(...pValues)];
  const p = best === worst ? pText(best) : `${pText(best)} to ${worst.toFixed(2)}`;
  const not =
    others.length === 0
      ? ''
      : ` Those of ${list(others)} do not (${others.map(({ own }) => own.moved.ratio.toFixed(2)).join(', ')} times).`;
  return {
    ...base,
    verdict,
    sentence:
      `${who} prefer some ${what} to others: in a region a neuron gives ${percent(delta)} more or less than an even ` +
      `spread, ${ratio(times)} what the same regions moved elsewhere give (${p}).${not}`,
    comparison:
      `Compared with ${known[0].own.permutations} random moves of the same ${known[0].own.regions} regions, which keep ` +
      `their sizes and shapes. Against pixels scattered at random into regions of those sizes it is ${ratio(scattered)}: ` +
      'that also counts that maps are smooth.',
  };
}

function objectStatement({ objects, layers }: FindingsDocument, names: readonly string[]): Statement {
  const drawn = (objects ?? []).filter(({ drawnBy }) => drawnBy.length > 0);
  const base = preference(layers, 'objects', 'Do neurons draw objects?', 'objects', names);
  const each = drawn.map(({ label, drawnBy }) => {
    const byLayer = [...new Set(drawnBy.map(({ layer }) => layer))].map((layer) => {
      const own = drawnBy.filter((ref) => ref.layer === layer).map(({ neuron }) => neuron);
      return `${own.length} of ${names[layer]} (${listed(own)})`;
    });
    return `object ${label} is drawn by ${byLayer.join(' and ')}`;
  });
  return {
    ...base,
    verdict: drawn.length > 0 ? (drawn.length === objects?.length ? 'yes' : 'partly') : 'no',
    sentence:
      drawn.length > 0
        ? `${drawn.length} of ${objects!.length} object${objects!.length === 1 ? '' : 's'} ${drawn.length === 1 ? 'has neurons of its own' : 'have neurons of their own'}: ${each.join('; ')}.`
        : `None of ${objects!.length} object${objects!.length === 1 ? '' : 's'} has neurons of its own.`,
    comparison:
      'A neuron draws an object when at least half of its contribution lies inside, and twice what an even spread would ' +
      `put there. ${base.verdict === null ? '' : base.sentence}`,
  };
}

function motionStatement(motion: MotionFinding | null, names: readonly string[]): Statement {
  const base = {
    id: 'motion',
    question: 'Do neurons follow motion?',
    verdict: null,
    comparison: '',
  } as const;
  if (!motion) return { ...base, sentence: 'Frames are being compared …' };
  if ('missing' in motion) return { ...base, sentence: motion.missing };
  const { layers, frames, of, shifts } = motion;
  const known = layers.flatMap((layer, k) =>
    Number.isNaN(layer.pearson) ? [] : [{ ...layer, name: names[k] }],
  );
  const each = frames.length === 1 ? `frame ${frames[0]}` : `frames ${frames.join(', ')}`;
  if (known.length === 0) {
    return { ...base, sentence: `Nothing moves between ${each} and the frame before.` };
  }
  const holds = ({ pearson, pValue }: (typeof known)[number]) => pearson > 0 && pValue <= SIGNIFICANT;
  const count = known.filter(holds).length;
  const r = (value: number) => value.toFixed(2).replace('-', '−');
  const list = known
    .map(
      ({ name, pearson, spearman, pValue }) =>
        `${r(pearson)} in ${name} (by ranks ${r(spearman)}; ${pText(pValue)})`,
    )
    .join(', ');
  const verdict = count === known.length ? 'yes' : count === 0 ? 'no' : 'partly';
  const where = {
    yes: 'Maps change where the picture moves',
    partly: 'The maps of some layers change where the picture moves',
    no: 'Maps change no more where the picture moves than elsewhere',
  }[verdict];
  return {
    ...base,
    verdict,
    sentence: `${where}: from one frame to the next, change and optical flow correlate by ${list}.`,
    comparison:
      `Compared with ${shifts} random shifts of the flow around the frame, which keep its sizes and shapes: ` +
      `${known.map(({ shifted }) => r(shifted)).join(', ')} on average. Flow of the ` +
      `${of === 'frames' ? 'frames given' : 'reconstruction'}; ${each}, each with the one before.`,
  };
}

function faithful({ card, method }: FindingsDocument, names: readonly string[]): Statement {
  const base = { id: 'faithful', question: 'Are the maps to be believed?' } as const;
  if (!card || card.layers.length === 0) {
    const omitted = card?.omitted.join(' ');
    return { ...base, verdict: null, sentence: omitted || 'Neurons are being taken away …', comparison: '' };
  }
  const { sample, omitted } = card;
  const units = card.layers.every(({ unit }) => unit === 'neuron') ? 'neurons' : 'channels';
  const better = card.layers.map(({ deletion }) => {
    const area = (order: string) => deletion.curves.find((curve) => curve.order === order)!.area;
    return { total: area('total'), random: area('random') };
  });
  const wins = better.filter(({ total, random }) => total < random - 0.5).length;
  const verdict = wins === card.layers.length ? 'yes' : wins === 0 ? 'no' : 'partly';
  const exact = card.layers
    .filter(({ approximate }) => approximate === null)
    .map(({ index }) => names[index]);
  const agreement = card.layers.map(({ agreement: r }) => r.toFixed(2)).join(', ');
  const losses = better
    .map(({ total, random }) => `${total.toFixed(1)} against ${random.toFixed(1)} dB`)
    .join(', ');
  const layersText = exact.length > 0 ? `exact in ${exact.join(', ')}` : 'approximate in all layers';
  return {
    ...base,
    verdict,
    sentence:
      `Taking the strongest ${units} away costs ${verdict === 'no' ? 'no more' : 'more'} than random ones` +
      `${verdict === 'partly' ? ' in some layers' : ''} (mean PSNR ${losses}); the ${method} maps are ${layersText}.`,
    comparison:
      `Rank correlation of totals with what taking each ${units.slice(0, -1)} away really does: ${agreement}. ` +
      `On ${sampleText(sample)}.${omitted.map((reason) => ` ${reason}`).join('')}`,
  };
}

/** Behind the size of a picture: which frames it is of, unless that goes without saying. */
export const atFrames = (frames: readonly number[]): string =>
  frames.length === 1 && frames[0] === 0 ? '' : `, ${framesText(frames)}`;

/** The pixels that a card stands on. */
export function sampleText({ pixels, of, frames }: FaithfulnessCard['sample']): string {
  const some =
    pixels === of ? `all ${counted(of)} pixels` : `${counted(pixels)} random ones of ${counted(of)} pixels`;
  return frames ? `${some} of ${framesText(frames)}` : some;
}
