/** The findings page: the same for the panel and the report. */
import { shortNames } from '../../webview/shared/names';
import { cardFigure } from './card';
import type { FindingsDocument } from './document';
import { h, type Element, type Nested } from './element';
import { affinityFigure, distributionFigure, motionFigure, objectFigure } from './figures';
import { pictureOf } from './parts';
import { atFrames, sampleText, statements, unitsOf, type Statement } from './sentences';
import { signs } from './signs';

const nth = (n: number) => `${n}${({ 2: 'nd', 3: 'rd' } as Readonly<Record<number, string>>)[n] ?? 'th'}`;

const verdictText = { yes: 'Yes', partly: 'Partly', no: 'No' } as const;
/** @param interactive with buttons that select neurons */
export function page(findings: FindingsDocument, interactive: boolean): Element {
  const names = shortNames(findings.layers.map(({ name }) => name));
  const said = statements(findings, names);
  const figures: Readonly<Record<Statement['id'], () => Nested>> = {
    distributed: () => [distributionFigure(findings, names, interactive)],
    color: () => [affinityFigure(findings, names, 'color', interactive)],
    edge: () => [affinityFigure(findings, names, 'edge', interactive)],
    space: () => [affinityFigure(findings, names, 'space', interactive)],
    objects: () => [
      objectFigure(findings, names, interactive),
      affinityFigure(findings, names, 'objects', interactive),
    ],
    faithful: () => cardFigure(findings, names),
    motion: () => motionFigure(findings, names),
  };
  return h(
    'article',
    { class: 'findings' },
    header(findings),
    said.map(({ id, question, verdict, sentence, comparison }) =>
      h(
        'section',
        { id, 'data-testid': `finding-${id}`, 'aria-labelledby': `q-${id}` },
        h(
          'h2',
          { id: `q-${id}` },
          question,
          verdict && h('span', { class: `verdict ${verdict}` }, verdictText[verdict]),
        ),
        h('p', { class: 'sentence' }, sentence),
        comparison && h('p', { class: 'comparison' }, comparison),
        figures[id](),
      ),
    ),
    signs(findings, names, interactive),
    method(findings, names),
  );
}

function header({
  file,
  title,
  picture,
  parameters,
  encoding,
  method,
  psnr,
  target,
  figures,
  frames,
}: FindingsDocument) {
  const facts = [
    title,
    `${picture.height} × ${picture.width} pixels${atFrames(frames)}`,
    `${parameters.toLocaleString('en')} parameters`,
    ...(encoding === 'none' ? [] : [encoding]),
    `method ${method}`,
    ...(psnr === null ? [] : [`${psnr.toFixed(1)} dB against ${target ?? 'its target'}`]),
  ];
  const middle = frames.length > 1 ? ` at frame ${frames[frames.length >> 1]}` : '';
  return h(
    'header',
    null,
    h(
      'div',
      { class: 'title' },
      h('p', { class: 'kicker' }, 'Findings'),
      h('h1', null, file),
      h('p', { class: 'facts' }, facts.join(' · ')),
    ),
    h(
      'div',
      { class: 'pictures' },
      pictureOf(figures.picture, `what the network paints${middle}`),
      figures.target && pictureOf(figures.target, 'what it was trained on'),
    ),
  );
}

function method(
  {
    method: name,
    baseline,
    frames,
    grid,
    seed,
    layers,
    card,
    engine,
    milliseconds,
    picture,
  }: FindingsDocument,
  names: readonly string[],
): Element {
  const tested = layers.flatMap((layer) => Object.values(layer.affinity).map(({ neurons }) => neurons));
  const most = Math.max(0, ...tested);
  const clip = frames.length > 1;
  const where =
    grid.step === 1
      ? `all ${picture.height * picture.width} pixels`
      : `every ${nth(grid.step)} row and column (${grid.rows} × ${grid.columns})`;
  return h(
    'footer',
    { id: 'method' },
    h('h2', null, 'Method and sample'),
    h(
      'p',
      null,
      `Maps by ${name}: ${[...new Set(layers.map(({ mapDefinition }, k) => `${mapDefinition} (${names[k]})`))].join(', ')}. Neurons are switched off to ${baseline === 'zero' ? 'zero' : 'their mean'}. `,
      clip
        ? `All is over frames ${frames.join(', ')} together: regions are of all of them, pictures are of frame ${frames[frames.length >> 1]}, maps the mean of all. `
        : '',
      `Statistics are over ${clip ? 'all pixels' : 'the whole picture'}; preferences over ${where}${clip ? ' of each' : ''}${most > 0 ? `, tested on up to ${most} random ${unitsOf(layers)} a layer` : ''}. `,
      card
        ? `The card stands on ${sampleText(card.sample)}, ${card.repetitions.orders} random orders and ${card.repetitions.sets} random sets of each size; ± is a standard error. `
        : '',
      `Seed ${seed}. ${engine}${milliseconds === null ? '' : `, ${(milliseconds / 1000).toFixed(1)} s`}.`,
    ),
    h(
      'p',
      null,
      'Contributions: Padmanabhan et al., Explaining the Implicit Neural Canvas, CVPR 2024. Completeness: Sundararajan et al. 2017. Deletion: Petsiuk et al. 2018. Sensitivity-n: Ancona et al. 2018. Shuffled weights: Adebayo et al. 2018. δ is a neuron’s contribution to a region beyond an even spread, relative to it.',
    ),
  );
}
