/** What hovers say. Names come from files: they are escaped, and links are only to our own commands. */
import * as vscode from 'vscode';
import type { LayerTrace } from '../../tracing/types';
import type { Tile } from './strip';

export const hoverCommands = [
  'neuralCanvas.code.open',
  'neuralCanvas.code.rank',
  'neuralCanvas.code.traceAndShow',
  'neuralCanvas.code.choose',
];

/** Text that is neither Markdown nor HTML, whatever it holds. */
export const escaped = (text: string) =>
  text.replace(/[^A-Za-z0-9 ]/gu, (character) => `&#${character.codePointAt(0)};`);

const link = (text: string, command: string, ...args: readonly unknown[]) =>
  `[${text}](command:${command}?${encodeURIComponent(JSON.stringify(args))})`;

const anchor = (inner: string, command: string, ...args: readonly unknown[]) =>
  `<a href="command:${command}?${encodeURIComponent(JSON.stringify(args)).replaceAll("'", '%27')}">${inner}</a>`;

const percent = (share: number) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
const count = (n: number, noun: string) => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`;

function markdown(lines: readonly string[]): vscode.MarkdownString {
  const text = new vscode.MarkdownString(lines.join('\n\n'), true);
  text.supportHtml = true;
  text.isTrusted = { enabledCommands: hoverCommands };
  return text;
}

export interface HoverLayer {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly trace?: LayerTrace;
}

interface Shown {
  readonly checkpoint: vscode.Uri;
  /** File, PSNR and age: `siren.pth · 40.1 dB · 3 min ago`. */
  readonly facts: string;
  /** Other checkpoints fit as well. */
  readonly others: number;
  readonly document: vscode.Uri;
}

const MOST_ROWS = 12;

function heading(layers: readonly HoverLayer[]): string {
  const [first] = layers;
  if (layers.length === 1) return `**${escaped(first.name)}** · ${shape(first)}`;
  return `**${count(layers.length, 'layer')}** · ${escaped(first.name)} … ${escaped(layers.at(-1)!.name)}`;
}

const shape = ({ inputs, outputs }: HoverLayer) =>
  `${inputs.toLocaleString('en')} → ${outputs.toLocaleString('en')}`;

const footer = ({ checkpoint, facts, others, document }: Shown, links: readonly string[]) =>
  [
    ...links,
    ...(others > 0
      ? [
          link(
            `$(files) ${count(others, 'other checkpoint')}`,
            'neuralCanvas.code.choose',
            document.toString(),
          ),
        ]
      : []),
    `<span title="${escaped(checkpoint.fsPath)}">${escaped(facts)}</span>`,
  ].join(' &nbsp; ');

/** A hover with pictures. @param shown layer that the tiles belong to */
export function tracedHover(
  layers: readonly HoverLayer[],
  shown: LayerTrace,
  tiles: readonly Tile[],
  what: Shown,
): vscode.MarkdownString {
  const target = what.checkpoint.toString();
  const { distributedness: d, neurons } = shown;
  // Pictures first: VS Code cuts long hovers off.
  const lines = [heading(layers)];
  if (tiles.length > 0) {
    const pictures = tiles.map(({ neuron, share, uri, width, height }) => {
      const alt = `Neuron ${neuron}, ${percent(share)} of the layer`;
      const image = `<img src="${uri}" width="${width}" height="${height}" alt="${alt}" title="${alt}">`;
      return `<td>${anchor(image, 'neuralCanvas.code.open', target, shown.name, neuron)}</td>`;
    });
    const labels = tiles.map(({ neuron, share }) => `<td>#${neuron} · ${percent(share)}</td>`);
    const reach = shown.last ? ', which add up to the picture' : '';
    lines.push(
      `Strongest maps${layers.length > 1 ? ` of ${escaped(shown.name)}` : ''}${reach}`,
      `<table><tr>${pictures.join('')}</tr><tr>${labels.join('')}</tr></table>`,
    );
  } else {
    lines.push('All neurons are dead: their maps are zero everywhere.');
  }
  if (layers.length > 1) {
    const rows = layers.slice(-MOST_ROWS).map(({ name, trace, ...size }) => {
      const cells = [
        anchor(escaped(name), 'neuralCanvas.code.open', target, name),
        shape({ name, ...size }),
        trace ? count(trace.neurons, 'neuron') : 'not traced',
        trace ? `${trace.distributedness.dead} dead` : '',
        trace ? `${trace.distributedness.neuronsFor50} hold half` : '',
      ];
      return `<tr>${cells.map((cell) => `<td>${cell}&nbsp;&nbsp;</td>`).join('')}</tr>`;
    });
    lines.push(`<table>${rows.join('')}</table>`);
  } else {
    lines.push(
      [
        count(neurons, 'neuron'),
        `${d.dead.toLocaleString('en')} dead`,
        `${count(d.neuronsFor50, 'neuron')} hold${d.neuronsFor50 === 1 ? 's' : ''} half, ${d.neuronsFor90.toLocaleString('en')} hold 90 %`,
        `Gini ${d.gini.toFixed(2)}`,
      ].join(' · '),
    );
  }
  lines.push(
    footer(what, [
      link('$(symbol-color) Open in canvas', 'neuralCanvas.code.open', target, shown.name),
      link('$(list-ordered) Rank', 'neuralCanvas.code.rank', target, shown.name),
    ]),
  );
  return markdown(lines);
}

/** A hover before there is a trace: what is known without one, and a link that makes one. */
export function untracedHover(
  layers: readonly HoverLayer[],
  what: Shown,
  state: { readonly working?: string; readonly failed?: string },
  position: vscode.Position,
): vscode.MarkdownString {
  const lines = [heading(layers)];
  if (layers.length > 1) {
    const rows = layers
      .slice(-MOST_ROWS)
      .map((layer) => `<tr><td>${escaped(layer.name)}&nbsp;&nbsp;</td><td>${shape(layer)}</td></tr>`);
    lines.push(`<table>${rows.join('')}</table>`);
  }
  if (state.failed !== undefined) lines.push(`$(warning) ${escaped(state.failed)}`);
  const { line, character } = position;
  lines.push(
    footer(what, [
      state.working !== undefined
        ? `$(loading~spin) ${escaped(state.working)} …`
        : link(
            '$(symbol-color) Trace and show maps',
            'neuralCanvas.code.traceAndShow',
            what.checkpoint.toString(),
            what.document.toString(),
            line,
            character,
          ),
    ]),
  );
  return markdown(lines);
}
