/** A trace's findings as text that a person or a language model reads: bounded, names from the file cleaned. */
import path from 'node:path';
import type { LayerTrace } from '../tracing/types';
import { unitOf } from '../tracing/units';
import type { Inspection, NotAnInr, TraceResult } from './protocol';

const MOST_LAYERS = 40;
const MOST_NEURONS = 8;
const MOST_DEAD = 16;
const MOST_NAME = 100;

const number = (value: number) => value.toLocaleString('en');
const percent = (fraction: number) => `${(100 * fraction).toFixed(1)} %`;
const plural = (count: number, one: string) => `${number(count)} ${one}${count === 1 ? '' : 's'}`;

/** A name from a file is a name, on one line and of bearable length, whatever it says. */
export function plain(name: string): string {
  const clean = name.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  return clean.length > MOST_NAME ? `${clean.slice(0, MOST_NAME - 1)}…` : clean;
}

export function inspectionFindings(inspection: Inspection): string[] {
  const { signal, assumptions, warnings } = inspection;
  const frames = signal.frames > 1 ? `, ${signal.frames} frames` : '';
  const size = `${signal.height}x${signal.width} pixels, ${plural(signal.channels, 'channel')}${frames}`;
  const guessed = assumptions.filter(
    ({ source }) => source === 'inferred' || source === 'default' || source === 'training code',
  );
  return [
    `${plain(path.basename(inspection.file))}: ${plain(inspection.title)}, ${size}, ${number(inspection.parameters)} parameters, format ${inspection.format}.`,
    `Layers: ${inspection.layers
      .slice(0, MOST_LAYERS)
      .map(
        ({ name, inputs, outputs, activation }) => `${plain(name)} (${inputs} -> ${outputs}, ${activation})`,
      )
      .join(', ')}${inspection.layers.length > MOST_LAYERS ? ', …' : ''}.`,
    guessed.length === 0
      ? 'Everything needed to evaluate the network is written in the file, beside it, or was given.'
      : `Assumed, because neither the file nor its configuration says it: ${guessed
          .map(
            ({ name, value, source, confidence }) =>
              `${name} = ${plain(String(value))} (${source}, ${Math.round(100 * confidence)} % sure)`,
          )
          .join('; ')}. A wrong assumption makes wrong maps.`,
    ...warnings.slice(0, 5).map((warning) => `Warning: ${plain(warning)}`),
  ];
}

function layerFindings(layer: LayerTrace) {
  const { name, neurons, statistics, distributedness: d, neuronsPerPixel, last } = layer;
  const unit = unitOf(layer);
  const order = Array.from(statistics.share.keys()).sort((a, b) => statistics.share[b] - statistics.share[a]);
  const strongest = order.slice(0, MOST_NEURONS).filter((i) => statistics.share[i] > 0);
  const dead = Array.from(statistics.dead.keys()).filter((i) => statistics.dead[i] === 1);
  const pixel = neuronsPerPixel.at(0);
  return [
    `${plain(name)}${last ? ' (last layer)' : ''}: ${plural(neurons, unit)}, ${number(d.dead)} dead. ` +
      `Gini ${d.gini.toFixed(2)}; ${plural(d.neuronsFor50, unit)} hold half of the contributions, ` +
      `${number(d.neuronsFor90)} hold 90 %.` +
      (pixel ? ` On average ${percent(pixel.mean)} of the ${unit}s count at a pixel.` : ''),
    ...(strongest.length > 0
      ? [
          `  Strongest: ${strongest.map((i) => `#${i} ${percent(statistics.share[i])}`).join(', ')} of the layer's total.`,
        ]
      : []),
    ...(dead.length > 0
      ? [
          `  Dead: ${dead
            .slice(0, MOST_DEAD)
            .map((i) => `#${i}`)
            .join(', ')}${dead.length > MOST_DEAD ? ` and ${dead.length - MOST_DEAD} more` : ''}.`,
        ]
      : []),
  ];
}

/** @param most characters */
export function traceFindings(result: TraceResult, most = 12_000): string {
  const { inspection, layers, psnr, target, completeness, timings, engine, over } = result;
  const lines = [
    ...inspectionFindings(inspection),
    psnr === undefined
      ? 'No target picture was found, so there is no PSNR.'
      : `PSNR ${psnr.toFixed(2)} dB against ${plain(target ?? 'the target')}.`,
    `Contribution maps, traced in ${Math.round(timings.trace)} ms by ${engine}${over ? `; statistics over frames ${over.join(', ')}` : ''}:`,
    ...layers.slice(0, MOST_LAYERS).flatMap((layer) => layerFindings(layer)),
    ...(layers.length > MOST_LAYERS ? [`… and ${plural(layers.length - MOST_LAYERS, 'more layer')}.`] : []),
    `The last layer's maps add up to the picture; the largest residual is ${completeness.largest.toExponential(1)}. ` +
      'The map of a neuron in an earlier layer is its contribution to the next layer, not to the pixel.',
  ];
  return bounded(lines, most);
}

export const notAnInrFindings = (report: NotAnInr, most = 4000) =>
  bounded(
    [
      plain(path.basename(report.file)) +
        ' was read, but is not recognised as an implicit neural representation.',
      ...[report.seen, report.closest && `Closest is ${report.closest.title}: ${report.closest.missing}.`]
        .filter((text): text is string => Boolean(text))
        .map((text) => text.replace(/[\p{C}]+/gu, ' ')),
      report.nextStep,
    ],
    most,
  );

function bounded(lines: readonly string[], most: number): string {
  const text = lines.join('\n');
  if (text.length <= most) return text;
  const end = '\n… shortened; “neural-canvas trace --json” has all of it.';
  return text.slice(0, Math.max(0, most - end.length)) + end;
}
