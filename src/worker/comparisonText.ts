/** A comparison as JSON and as text. */
import type { Comparison, LayerComparison } from '../tracing/compare/compare';
import type { Inspection } from './protocol';

type Both<T> = readonly [T, T];

/** JSON has no Infinity: equal pictures have no PSNR. */
const finite = (value: number | null | undefined) =>
  value === undefined ? undefined : value !== null && Number.isFinite(value) ? value : null;

export function comparisonJson(inspections: Both<Inspection>, comparison: Comparison) {
  const { output, layers, psnr, clip, ...rest } = comparison;
  const [a, b] = inspections.map(({ file, family }, side) => ({ file, family, psnr: finite(psnr[side]) }));
  return {
    a,
    b,
    output: output && {
      psnr: finite(output.psnr),
      identical: output.largest === 0,
      largest: output.largest,
      mean: output.mean,
    },
    ...(clip && { clip: { ...clip, psnr: finite(clip.psnr), byFrame: clip.byFrame.map(finite) } }),
    layers: layers.map(({ layer: _, swap, ...layer }) => ({
      ...layer,
      swap: swap && {
        likeness: finite(swap.likeness),
        ...(swap.change !== undefined && { change: swap.change }),
      },
    })),
    ...rest,
  };
}

/** Differences below are what float32 leaves of none. */
const ROUNDING = 1e-5;
/** Neurons named for each layer. */
const MOST_CHANGED = 5;

export function comparisonText(
  inspections: Both<Inspection>,
  { output, psnr, clip, layers, sample, pixels, notCompared }: Comparison,
): string {
  const lines = inspections.map(
    ({ file, title }, side) =>
      `${'AB'[side]}  ${file}: ${title}${psnr[side] === null ? '' : `, ${decibel(psnr[side])} to the target`}`,
  );
  if (output) {
    lines.push(
      output.largest < ROUNDING
        ? 'The pictures are the same.'
        : `The pictures: ${decibel(output.psnr)} between them, largest difference ${output.largest.toFixed(3)}, mean ${output.mean.toFixed(4)}`,
    );
  }
  if (clip) lines.push(clipText(clip));
  for (const layer of layers) lines.push('', ...layerLines(layer));
  lines.push(
    '',
    sample === pixels
      ? 'Neurons were compared on all pixels.'
      : `Neurons were compared on ${sample} of ${pixels} pixels.`,
    ...notCompared,
  );
  return lines.join('\n');
}

/** What two videos have in common, frame by frame. */
export function clipText({ frames, psnr, byFrame }: NonNullable<Comparison['clip']>): string {
  const each = byFrame.map((value) => (value === Infinity ? 'identical' : value.toFixed(1))).join(', ');
  return `Over frames ${frames[0].join(', ')}: ${decibel(psnr)} between them${psnr === Infinity ? '' : ` (${each})`}`;
}

function layerLines(layer: LayerComparison): string[] {
  const {
    name,
    neurons,
    unit,
    units,
    dead,
    gini,
    neuronsFor50,
    pairs,
    unmatched,
    swap,
    reason,
    meanCorrelation,
  } = layer;
  const both = <T>([a, b]: Both<T>, show: (value: T) => string = String) =>
    show(a) === show(b) ? show(a) : `${show(a)} → ${show(b)}`;
  const changed = pairs.filter(({ difference }) => difference > ROUNDING).slice(0, MOST_CHANGED);
  const cost =
    swap &&
    (swap.likeness === Infinity
      ? 'nothing changes'
      : swap.change === undefined
        ? `${decibel(swap.likeness)} to A’s picture`
        : `${swap.change >= 0 ? '+' : ''}${swap.change.toFixed(2)} dB`);
  return [
    `${both(name)}: ${both(neurons)} ${unit === 'neuron' ? 'neurons' : `kernels of ${both(units)} ${unit}s`}, dead ${both(dead)}, Gini ${both(gini, (v) => v.toFixed(3))}, ${both(neuronsFor50)} hold half`,
    `  ${reason}`,
    `  Mean correlation ${meanCorrelation.toFixed(3)}${cost === undefined ? '' : `; A with this layer of B: ${cost}`}`,
    ...(unmatched.some((left) => left.length > 0)
      ? [`  Without a partner: ${unmatched[0].length} of A, ${unmatched[1].length} of B`]
      : []),
    ...(changed.length > 0
      ? [
          `  Changed most: ${changed
            .map(
              ({ a, b, difference }) =>
                `#${a}${a === b ? '' : `→#${b}`} by ${(100 * difference).toFixed(1)} %`,
            )
            .join(', ')}`,
        ]
      : []),
  ];
}

const decibel = (value: number | null) =>
  value === null ? '–' : value === Infinity ? 'identical' : `${value.toFixed(2)} dB`;
