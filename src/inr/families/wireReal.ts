import { GraphBuilder } from '../../graph/build';
import { finalAct, identity, type Act } from '../activations';
import type { Settings } from '../assumptions';
import type { Candidate, Family, Network } from '../family';
import { sizeInside } from '../inside';
import type { Affine } from '../layers';
import { MAX_CHANNELS, unexplained } from '../layouts';
import { numberOfParameters, summaryOf } from '../mlp';
import { picture } from '../picture';
import { finalActivation, omega0, scale } from '../settings';
import { LayerWriter } from '../writer';

interface RealGabor {
  /** Frequencies and widths of each hidden layer, and the last layer. */
  readonly hidden: readonly { readonly freqs: Affine; readonly widths: Affine }[];
  readonly last: Affine;
}

function gaborIn({ layers }: Candidate): RealGabor | undefined {
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const freqs = layers
    .filter(({ path }) => path.at(-1) === 'freqs')
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  if (freqs.length === 0) return undefined;
  const hidden = freqs.map((layer) => ({
    freqs: layer,
    widths: byName.get([...layer.path.slice(0, -1), 'scale'].join('.')),
  }));
  const pairs = hidden.flatMap(({ freqs: layer, widths }) => (widths ? [{ freqs: layer, widths }] : []));
  const rest = layers.filter((layer) => pairs.every((pair) => pair.freqs !== layer && pair.widths !== layer));
  const [last] = rest;
  const fits =
    pairs.length === freqs.length &&
    rest.length === 1 &&
    freqs[0].inputs <= 3 &&
    pairs.every(
      (pair, i) =>
        pair.freqs.inputs === pair.widths.inputs &&
        pair.freqs.outputs === pair.widths.outputs &&
        (i === 0 || pair.freqs.inputs === freqs[i - 1].outputs),
    ) &&
    last.inputs === freqs.at(-1)!.outputs &&
    last.outputs <= MAX_CHANNELS;
  return fits ? { hidden: pairs, last } : undefined;
}

const gabor: Act = { ...identity, kind: 'gabor' };

/** cos(ω·(Fx + f))·exp(−(s·(Gx + g))²) */
function build({ hidden, last }: RealGabor, candidate: Candidate, settings: Settings): Network {
  const omega = settings.get(omega0, { value: 10, source: 'default', confidence: 0.5 });
  const s = settings.get(scale, { value: 10, source: 'default', confidence: 0.5 });
  const final = finalAct(
    settings.get(finalActivation, {
      value: 'identity',
      source: 'default',
      confidence: 0.9,
      choices: ['identity', 'sigmoid'],
    }),
    1,
  );
  const size = sizeInside(candidate);
  const shown = picture(settings, hidden[0].freqs.inputs, last.outputs, {
    coords: { value: 'xy-per-side', source: 'default', confidence: 0.6, detail: 'as WIRE’s code does' },
    range: { value: '0..1', source: 'default', confidence: 0.8 },
    ...(size && { size }),
  });
  const graph = new GraphBuilder();
  const writer = new LayerWriter(graph);
  let value = shown.coordinates(graph);
  for (const { freqs, widths } of hidden) {
    const wave = graph.op('Cos', [graph.scale(writer.affine(freqs, value, gabor), omega)]);
    const width = graph.scale(
      graph.linear(value, widths.weight(), widths.bias(), widths.outputs, widths.inputs),
      s,
    );
    const envelope = graph.op('Exp', [graph.op('Neg', [graph.op('Mul', [width, width])])]);
    value = graph.op('Mul', [wave, envelope]);
  }
  value = writer.layer(last, value, final, true);
  return {
    parameters: numberOfParameters([...hidden.flatMap(({ freqs, widths }) => [freqs, widths]), last]),
    signal: shown.signal,
    domain: shown.domain,
    encoding: 'none',
    activation: 'gabor',
    graph: graph.build(value),
    outputRange: shown.outputRange,
    summary: writer.layers.map(summaryOf),
    layers: writer.layers,
  };
}

/** WIRE's layer in real numbers. */
export const wireReal: Family = {
  id: 'wire-real',
  title: 'WIRE, real Gabor',
  match: (candidate) => {
    const found = gaborIn(candidate);
    if (!found || unexplained(candidate.others).length) return undefined;
    return { score: 0.95, build: (settings) => build(found, candidate, settings) };
  },
};
