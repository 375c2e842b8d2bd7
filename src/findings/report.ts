/** Findings as files: one self-contained HTML page, JSON, Markdown. */
import { shortNames } from '../../webview/shared/names';
import type { FindingsDocument } from './document';
import { h, toHtml } from './element';
import { page } from './page';
import { atFrames, percent, statements, unitsOf } from './sentences';
import { pageStyle, reportStyle } from './style';

/** One file, without scripts, that needs nothing from anywhere. */
export function reportHtml(findings: FindingsDocument): string {
  const title = `Findings: ${findings.file}`;
  return (
    '<!DOCTYPE html>\n' +
    '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">' +
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">` +
    `${toHtml(h('title', null, title))}<style>${reportStyle}${pageStyle}</style></head>\n` +
    `<body>${toHtml(page(findings, false))}</body></html>\n`
  );
}

/** JSON has no NaN or infinity: they are null and "Infinity". */
export const findingsJson = (findings: FindingsDocument): string =>
  `${JSON.stringify(findings, (_, value: unknown) => (value === Infinity ? 'Infinity' : value), 2)}\n`;

/** Characters with a meaning in Markdown, in names from files. */
const plain = (text: string) => text.replace(/[\\`*_[\]<>#|]/g, (character) => `\\${character}`);

export function findingsMarkdown(findings: FindingsDocument): string {
  const { file, title, picture, frames, parameters, method, psnr, layers, signs, card, grid } = findings;
  const names = shortNames(layers.map(({ name }) => name));
  const facts = [
    title,
    `${picture.height} × ${picture.width} pixels${atFrames(frames)}`,
    `${parameters.toLocaleString('en')} parameters`,
    `method ${method}`,
    ...(psnr === null ? [] : [`${psnr.toFixed(1)} dB`]),
  ];
  const lines = [`# Findings: ${plain(file)}`, '', plain(facts.join(' · ')), ''];
  for (const { question, verdict, sentence, comparison } of statements(findings, names)) {
    lines.push(
      `## ${question}${verdict ? ` ${{ yes: 'Yes', partly: 'Partly', no: 'No' }[verdict]}.` : ''}`,
      '',
    );
    lines.push(plain(sentence), '');
    if (comparison) lines.push(plain(comparison), '');
  }
  lines.push(
    '## Layers',
    '',
    `| layer | ${unitsOf(layers)} | hold 50 % | hold 90 % | Gini | effective | stable rank | dead |`,
  );
  lines.push('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const [k, { distributedness: d, neurons, stableRank }] of layers.entries()) {
    const cells = [
      plain(names[k]),
      neurons,
      d.neuronsFor50,
      d.neuronsFor90,
      d.gini.toFixed(2),
      d.effectiveNeurons.toFixed(1),
    ];
    lines.push(`| ${[...cells, stableRank?.toFixed(1) ?? '–', d.dead].join(' | ')} |`);
  }
  const found = signs.filter(({ severity }) => severity !== 'good');
  lines.push('', '## Clinical signs', '');
  if (found.length === 0) lines.push('None found.');
  for (const { severity, layer, sentence } of found) {
    const where =
      layer === null ? '' : `${plain(names[layers.findIndex(({ name }) => name === layer)] ?? layer)}: `;
    lines.push(`- ${severity === 'warning' ? '**Warning** ' : ''}${where}${plain(sentence)}`);
  }
  const sample = card ? `; card on ${card.sample.pixels} of ${card.sample.of} pixels` : '';
  lines.push(
    '',
    `Preferences on ${percent(1 / grid.step ** 2)} of the pixels${sample}; seed ${findings.seed}.`,
    '',
  );
  return lines.join('\n');
}
