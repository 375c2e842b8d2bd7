import { GraphBuilder } from '../../graph/build';
import { finalAct, hiddenAct, sine } from '../activations';
import type { Settings } from '../assumptions';
import { weightScale } from '../cues';
import type { Candidate, Family, Match, Near, Network } from '../family';
import { sizeInside } from '../inside';
import type { Affine } from '../layers';
import { MAX_CHANNELS, MAX_COORDINATES, unexplained } from '../layouts';
import { numberOfParameters, summaryOf } from '../mlp';
import { picture } from '../picture';
import { activation, booleanSetting, finalActivation, hiddenOmega, omega0 } from '../settings';
import { LayerWriter } from '../writer';

/** A first layer, residual blocks of two sine layers, and a last one (Lu et al. 2021, neurcomp, CoordNet). */
interface Residual {
  readonly first: Affine;
  readonly blocks: readonly (readonly [Affine, Affine])[];
  readonly last: Affine;
}

function residualIn({ layers }: Candidate): Residual | undefined {
  const first = layers.find(({ inputs }) => inputs <= MAX_COORDINATES);
  const inner = layers.filter(({ name }) => /[._]?linear_?[12]$/.test(name));
  const rest = layers.filter((layer) => layer !== first && !inner.includes(layer));
  if (!first || inner.length < 2 || inner.length % 2 || rest.length !== 1) return undefined;
  const natural = inner.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  const blocks = natural
    .filter((_, i) => i % 2 === 0)
    .map((layer, i): [Affine, Affine] => [layer, natural[2 * i + 1]]);
  const width = first.outputs;
  const fits =
    blocks.every(
      ([a, b]) =>
        a.inputs === width &&
        a.outputs === b.inputs &&
        b.outputs === width &&
        a.name.slice(0, -1) === b.name.slice(0, -1),
    ) &&
    rest[0].inputs === width &&
    rest[0].outputs <= MAX_CHANNELS;
  return fits ? { first, blocks, last: rest[0] } : undefined;
}

/** Whether the first block but the very first halves its input and the last one its sum, as neurcomp does. */
const averaged = booleanSetting('averaged', ['ave_first', 'average']);
function build({ first, blocks, last }: Residual, candidate: Candidate, settings: Settings): Network {
  const omega = settings.get(omega0, { value: 30, source: 'default', confidence: 0.8 });
  const hidden = settings.get(hiddenOmega, { value: omega, source: 'default', confidence: 0.8 });
  const halves = settings.get(averaged, { value: true, source: 'default', confidence: 0.7 });
  const final = finalAct(
    settings.get(finalActivation, {
      value: 'identity',
      source: 'default',
      confidence: 0.8,
      choices: ['identity', 'sigmoid', 'tanh', 'sine'],
    }),
    hidden,
  );
  const size = sizeInside(candidate);
  const shown = picture(settings, first.inputs, last.outputs, {
    coords: { value: 'rc-per-side', source: 'default', confidence: 0.5 },
    range: { value: '-1..1', source: 'default', confidence: 0.6 },
    ...(size && { size }),
  });
  const graph = new GraphBuilder();
  const writer = new LayerWriter(graph);
  let value = writer.layer(first, shown.coordinates(graph), sine(omega));
  blocks.forEach(([a, b], i) => {
    const half = halves && i > 0 ? 0.5 : 1;
    const inner = writer.layer(a, graph.scale(value, half), sine(hidden));
    const sum = graph.op('Add', [value, writer.layer(b, inner, sine(hidden))]);
    value = graph.scale(sum, halves && i === blocks.length - 1 ? 0.5 : 1);
  });
  value = writer.layer(last, value, final, true);
  return {
    parameters: numberOfParameters([first, ...blocks.flat(), last]),
    signal: shown.signal,
    domain: shown.domain,
    encoding: 'none',
    activation: 'sine',
    graph: graph.build(value),
    outputRange: shown.outputRange,
    summary: writer.layers.map(summaryOf),
    layers: writer.layers,
  };
}

const sirenResidual: Family = {
  id: 'siren-residual',
  title: 'Residual SIREN (neurcomp layout)',
  match: (candidate): Match | Near | undefined => {
    const found = residualIn(candidate);
    if (!found || unexplained(candidate.others).length) return undefined;
    return { score: 0.98, build: (settings) => build(found, candidate, settings) };
  },
};

/** Blocks x + σ(Wx + b) between a first and a last layer, told from a plain chain by their names only. */
function skipping({ layers }: Candidate): readonly Affine[] | undefined {
  const blocks = layers.filter(({ path }) => path.some((token) => /^(res|skip|residual)/i.test(token)));
  if (blocks.length === 0) return undefined;
  const outside = layers.filter((layer) => !blocks.includes(layer));
  const [first, last] = outside;
  if (outside.length !== 2 || first.inputs > MAX_COORDINATES || last.outputs > MAX_CHANNELS) return undefined;
  const width = first.outputs;
  const fits = blocks.every(({ inputs, outputs }) => inputs === width && outputs === width);
  return fits && last.inputs === width
    ? [first, ...blocks.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })), last]
    : undefined;
}

const residual: Family = {
  id: 'residual',
  title: 'Residual coordinate network',
  match: (candidate) => {
    const net = skipping(candidate);
    if (!net || unexplained(candidate.others).length) return undefined;
    return {
      // Above a plain chain of sines, which it would be by its shapes alone.
      score: 0.98,
      build: (settings) => {
        const sines = weightScale(net) === 'sine';
        const kind = settings.get(activation, {
          value: sines ? 'sine' : 'relu',
          source: 'inferred',
          confidence: 0.7,
          detail: 'from the size of the weights',
        });
        const omega =
          kind === 'sine' || kind === 'finer'
            ? settings.get(omega0, { value: 30, source: 'default', confidence: 0.7 })
            : 30;
        const act = hiddenAct(kind, omega, 10);
        const final = finalAct(
          settings.get(finalActivation, {
            value: 'identity',
            source: 'default',
            confidence: 0.6,
            choices: ['identity', 'sigmoid', 'tanh'],
          }),
          omega,
        );
        const last = net[net.length - 1];
        const shown = picture(settings, net[0].inputs, last.outputs, {
          coords: { value: 'rc-per-side', source: 'default', confidence: 0.4 },
          range: { value: sines ? '-1..1' : '0..1', source: 'default', confidence: 0.5 },
        });
        const graph = new GraphBuilder();
        const writer = new LayerWriter(graph);
        let value = writer.layer(net[0], shown.coordinates(graph), act);
        for (const layer of net.slice(1, -1)) {
          value = graph.op('Add', [value, writer.layer(layer, value, act)]);
        }
        value = writer.layer(last, value, final, true);
        return {
          parameters: numberOfParameters(net),
          signal: shown.signal,
          domain: shown.domain,
          encoding: 'none',
          activation: kind,
          graph: graph.build(value),
          outputRange: shown.outputRange,
          summary: writer.layers.map(summaryOf),
          layers: writer.layers,
        };
      },
    };
  },
};

/** Networks that add a block's input to its output. */
export const residuals: readonly Family[] = [sirenResidual, residual];
