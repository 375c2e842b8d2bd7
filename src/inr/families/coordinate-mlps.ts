import type { GraphBuilder } from '../../graph/build';
import { finalAct, relu, type Act } from '../activations';
import { fourierFeatures } from '../encodings';
import type { Candidate, Family } from '../family';
import { coordinateChain, unexplained, type CoordinateChain } from '../layouts';
import { buildMlp, noEncoding, type Encoding } from '../mlp';
import { choiceSetting, finalActivation } from '../settings';

const kinds = [
  'gaussian',
  'relu',
  'quadratic',
  'multi-quadratic',
  'laplacian',
  'super-gaussian',
  'expsin',
] as const;
type Kind = (typeof kinds)[number];
const activation = choiceSetting<Kind>('activation', ['arch', 'act', 'activation'], kinds);

/** An activation with its learnt parameters a (and b). */
function parametric(kind: Kind, a: number, b: number): Act {
  if (kind === 'relu') return relu;
  const square = (graph: GraphBuilder, z: string) => graph.op('Mul', [z, z]);
  const quadratic = (graph: GraphBuilder, z: string) =>
    graph.op('Reciprocal', [graph.op('Add', [square(graph, graph.scale(z, a)), graph.scalar(1)])]);
  const formulas: Readonly<Record<Exclude<Kind, 'relu'>, (graph: GraphBuilder, z: string) => string>> = {
    gaussian: (graph, z) => graph.op('Exp', [graph.scale(square(graph, z), -1 / (2 * a * a))]),
    quadratic,
    'multi-quadratic': (graph, z) => graph.op('Sqrt', [quadratic(graph, z)]),
    laplacian: (graph, z) => graph.op('Exp', [graph.scale(graph.op('Abs', [z]), -1 / a)]),
    'super-gaussian': (graph, z) => graph.op('Exp', [graph.scale(square(graph, z), -b / (2 * a * a))]),
    expsin: (graph, z) => graph.op('Exp', [graph.op('Neg', [graph.op('Sin', [graph.scale(z, a)])])]),
  };
  return { kind: kind === 'gaussian' ? 'gaussian' : 'other', apply: formulas[kind] };
}

/** a and b after the i-th affine layer: `net.{2i+1}.a`. */
function parameters({ others }: Candidate, net: CoordinateChain): { a: number; b: number }[] | undefined {
  const found = net.layers.slice(0, -1).map(({ path }) => {
    const module = [...path.slice(0, -1), Number(path.at(-1)) + 1].join('.');
    const [a, b] = ['a', 'b'].map((name) => others.get(`${module}.${name}`));
    return a?.size === 1 ? { a: a.read()[0], b: b?.size === 1 ? b.read()[0] : 1 } : undefined;
  });
  return found.every((pair) => pair !== undefined) ? found : undefined;
}

/** `pe.P` `[dims, frequencies]`, or no encoding. */
function encodingOf({ others }: Candidate, net: CoordinateChain): Encoding | undefined {
  if (net.inputs <= 3) return noEncoding(net.inputs);
  const P = [...others].find(([name]) => /(^|\.)pe\.P$/.test(name))?.[1];
  if (P?.shape.length !== 2 || P.shape[0] > 3 || 2 * P.shape[1] !== net.inputs) return undefined;
  return fourierFeatures(P.read(), P.shape[0], { transposed: true, factor: 2 * Math.PI, cosFirst: false });
}

/** kwea123's Coordinate-MLPs: activations with parameters, sigmoid at the end. */
export const coordinateMlps: Family = {
  id: 'coordinate-mlps',
  title: 'Coordinate-MLPs',
  match: (candidate) => {
    const net = coordinateChain(candidate);
    const encoding = net && encodingOf(candidate, net);
    if (!net || !encoding || !['sequential', 'dalmia'].includes(net.layout)) return undefined;
    const own = parameters(candidate, net);
    if (!own && encoding.label === 'none') return undefined;
    if (unexplained(candidate.others, (name) => /(^|\.)(pe\.P|\d+\.[ab])$/.test(name)).length)
      return undefined;
    return {
      score: 0.93,
      build: (settings) => {
        const kind = settings.get(
          activation,
          own
            ? {
                value: 'gaussian',
                source: 'default',
                confidence: 0.4,
                choices: kinds.filter((k) => k !== 'relu'),
              }
            : { value: 'relu', source: 'inferred', confidence: 0.9, choices: ['relu'] },
        );
        const final = settings.get(finalActivation, {
          value: 'sigmoid',
          source: 'default',
          confidence: 0.9,
          choices: ['sigmoid', 'identity'],
        });
        const last = net.layers.length - 1;
        return buildMlp(
          {
            layers: net.layers,
            acts: net.layers.map((_, i) =>
              i === last ? finalAct(final, 1) : parametric(kind, own?.[i].a ?? 1, own?.[i].b ?? 1),
            ),
            encoding,
            picture: {
              coords: {
                value: 'xy-per-side',
                source: 'default',
                confidence: 0.7,
                detail: 'as its code does',
              },
              range: { value: '0..1', source: 'default', confidence: 0.95 },
            },
          },
          settings,
        );
      },
    };
  },
};
