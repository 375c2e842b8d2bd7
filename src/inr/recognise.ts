import type { Checkpoint, Plain, Tensor } from '../checkpoint/types';
import { hyperParameters, stateDicts } from '../checkpoint/values';
import { fromOnnx } from '../graph/fromOnnx';
import type { Graph } from '../graph/types';
import { Settings } from './assumptions';
import { withBetween } from './between';
import { comparable, Configuration } from './configuration';
import { chains, families } from './families';
import { isMatch, type Candidate, type Family, type Match, type Near } from './family';
import { affineLayers, commonPrefix, pathOf } from './layers';
import { isUnsuitable, onnxNetwork, type OnnxNetwork } from './onnxNetwork';
import { activation, type HiddenActivation } from './settings';
import type { Known, LayerSummary, NotRecognised, Recognise, RecognitionContext } from './types';

/** Matches below this are coincidences. */
const LEAST_SCORE = 0.35;
/** The same when the person says that it paints a picture. */
const LEAST_SCORE_MEANT = 0.2;
/** For a part of a larger network. */
const LEAST_SCORE_PART = 0.8;

/** Parts of a state dict beside the network: losses, averaged copies, metrics. */
const BESIDE =
  /^(.*_)?(ema|averaged?|loss(es)?|loss_fn|lpips|vgg\d*|perceptual|criterion|metrics?|discriminator|teacher|psnr|ssim|n_averaged)(_.*)?$/i;

const elements = (tensors: Iterable<Tensor>) => {
  let sum = 0;
  for (const tensor of tensors) sum += tensor.size;
  return sum;
};

/** The one module that is left when losses and copies are taken away; outermost first. */
function* mainModules(tensors: ReadonlyMap<string, Tensor>): Generator<ReadonlyMap<string, Tensor>> {
  const depth = commonPrefix([...tensors.keys()].map(pathOf)).length;
  const network = new Map([...tensors].filter(([name]) => !BESIDE.test(pathOf(name)[depth] ?? '')));
  if (network.size === tensors.size || network.size === 0) return;
  yield network;
  yield* mainModules(network);
}

/** What the person or a configuration says about the activation, which settles the family of many layouts. */
function statedActivation(
  configuration: Configuration,
  context: RecognitionContext,
): HiddenActivation | undefined {
  for (const [name, text] of context.corrections) {
    if (comparable(name) === comparable(activation.name)) return activation.read(text);
  }
  const found = configuration.find([activation.name, ...activation.aliases], (value) =>
    activation.read(value),
  );
  const said = context.evidence?.filter(({ name }) => name === activation.name) ?? [];
  const evidence = said.find(({ source }) => source === 'target') ?? said[0];
  return found?.value ?? (evidence && activation.read(evidence.value));
}

/** A checkpoint taken apart, without what the surroundings say. */
interface Contents {
  readonly hyperParameters: Readonly<Record<string, Plain>>;
  readonly dictionaries: readonly ReadonlyMap<string, Tensor>[];
  /** What may be the network, outermost first. */
  readonly parts: () => readonly Part[];
  /** {@link parts} that hold normalisations or PReLUs between the layers of a chain. */
  readonly normed: () => readonly Part[];
  /** Single modules of larger networks. */
  readonly modules: () => readonly Part[];
}
type Part = Pick<Candidate, 'checkpoint' | 'tensors' | 'layers' | 'others'>;

/** The family that comes closest, and where. */
interface Nearest {
  readonly family: Family;
  readonly near: Near;
  readonly part: Part;
}

/** Hypotheses recognise one checkpoint many times. */
const contents = new WeakMap<Checkpoint, Contents>();

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

const MOST_MODULES = 64;

/** The modules that a state dict consists of, as state dicts. */
function modulesOf(tensors: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor>[] {
  const depth = commonPrefix([...tensors.keys()].map(pathOf)).length;
  const groups = new Map<string, Map<string, Tensor>>();
  for (const [name, tensor] of tensors) {
    const [token] = pathOf(name).slice(depth);
    const group = groups.get(token) ?? new Map<string, Tensor>();
    groups.set(token, group.set(name, tensor));
  }
  return [...groups.values()].filter((group) => group.size > 2 && group.size < tensors.size);
}

function contentsOf(checkpoint: Checkpoint): Contents {
  let found = contents.get(checkpoint);
  if (!found) {
    const dictionaries = stateDicts(checkpoint).map(({ tensors }) => tensors);
    const partOf = (tensors: ReadonlyMap<string, Tensor>): Part => {
      const layers = affineLayers(tensors);
      const used = new Set(layers.flatMap((layer) => layer.keys));
      return {
        checkpoint,
        tensors,
        layers,
        others: new Map([...tensors].filter(([name]) => !used.has(name))),
      };
    };
    const parts = once(() =>
      dictionaries.flatMap((tensors) => [tensors, ...mainModules(tensors)]).map(partOf),
    );
    found = {
      hyperParameters: hyperParameters(checkpoint),
      dictionaries,
      parts,
      normed: once(() =>
        parts().flatMap((part) => {
          const between = withBetween(part.layers, part.others, checkpoint.format);
          return between ? [{ ...part, ...between }] : [];
        }),
      ),
      modules: once(() => dictionaries.flatMap(modulesOf).slice(0, MOST_MODULES).map(partOf)),
    };
    contents.set(checkpoint, found);
  }
  return found;
}

/**
 * Finds the network in a checkpoint, settles what the tensors do not say, and builds it.
 * Synchronous and cheap: reads the weights once, runs nothing.
 * @throws UsageError when a correction has no meaning for the network found
 * @throws CheckpointError when the file no longer holds a tensor's bytes
 */
export const recognise: Recognise = (checkpoint, context) => {
  const { hyperParameters: parameters, dictionaries, parts, normed, modules } = contentsOf(checkpoint);
  const configuration = new Configuration([
    { source: 'hyper-parameters', label: 'hyper-parameters', values: parameters },
    ...context.sidecars.map(({ path, values }) => ({ source: 'sidecar file', label: path, values }) as const),
  ]);
  const { onnx, graph } = checkpoint;
  if (onnx) {
    const read = () => fromOnnx(onnx.model, { external: onnx.external });
    return recogniseGraph(checkpoint, read, graphKinds.onnx, configuration, context);
  }
  if (graph) return recogniseGraph(checkpoint, graph, graphKinds.tfjs, configuration, context);
  const stated = statedActivation(configuration, context);

  // Who gives a picture or its size says that there is one to paint.
  const meant = context.corrections.size > 0 || (context.evidence ?? []).some(({ name }) => name === 'size');
  const least = meant ? LEAST_SCORE_MEANT : LEAST_SCORE;
  let best: { readonly family: Family; readonly match: Match } | undefined;
  let nearest: Nearest | undefined;
  const consider = (part: Part, leastOfPart: number, tried: Iterable<Family> = families) => {
    const sloped = part.layers.some(({ between }) => between?.slopes);
    const candidate: Candidate = {
      ...part,
      configuration,
      activation: stated ?? (sloped ? 'leaky-relu' : undefined),
      meant,
    };
    for (const family of tried) {
      const match = family.match(candidate);
      if (isMatch(match)) {
        if (match.score >= leastOfPart && match.score > (best?.match.score ?? 0)) best = { family, match };
      } else if (match && match.likeness > (nearest?.near.likeness ?? 0)) {
        nearest = { family, near: match, part };
      }
    }
  };
  for (const part of parts()) consider(part, least);
  if (!best) for (const part of normed()) consider(part, least, chains);
  // Beside other networks, in a module of its own.
  if (!best && !nearest?.near.certain) for (const part of modules()) consider(part, LEAST_SCORE_PART);

  if (!best) return notRecognised(checkpoint, dictionaries, nearest, parameters);
  const settings = new Settings(configuration, context.corrections, context.evidence);
  const network = best.match.build(settings);
  settings.finish(best.family.title);
  return {
    recognised: true,
    inr: {
      family: best.family.id,
      title: best.family.title,
      confidence: best.match.score,
      ...network,
      assumptions: settings.assumptions,
      hyperParameters: parameters,
    },
  };
};

/** Hypotheses recognise one file many times; its graph is read once. */
const graphs = new WeakMap<Checkpoint, OnnxNetwork | Error>();

const graphKinds = {
  onnx: {
    family: 'onnx',
    title: 'ONNX coordinate network',
    nextStep:
      'Export the network with torch.onnx.export, with one input [pixels, coordinates], one output [pixels, channels] and dynamic_axes for the pixels.',
  },
  tfjs: {
    family: 'tfjs-graph',
    title: 'TensorFlow.js coordinate network',
    nextStep:
      'Convert the network with one input [None, coordinates] and one output [None, channels], or export it as ONNX.',
  },
} as const;

/** A file with a graph says what it computes; no family has to be guessed. */
function recogniseGraph(
  checkpoint: Checkpoint,
  read: () => Graph,
  { family, title, nextStep }: (typeof graphKinds)[keyof typeof graphKinds],
  configuration: Configuration,
  context: RecognitionContext,
): ReturnType<Recognise> {
  let found = graphs.get(checkpoint);
  if (!found) {
    try {
      found = onnxNetwork(read());
    } catch (error) {
      if (!isUnsuitable(error)) throw error;
      found = error;
    }
    graphs.set(checkpoint, found);
  }
  const { hyperParameters: parameters, dictionaries } = contentsOf(checkpoint);
  if (found instanceof Error) {
    return {
      ...notRecognised(checkpoint, dictionaries, undefined, parameters),
      closest: { title, missing: found.message.replace(/\.$/, '') },
      nextStep,
    };
  }
  const settings = new Settings(configuration, context.corrections, context.evidence);
  const network = found.build(settings);
  settings.finish(title);
  return {
    recognised: true,
    inr: {
      family,
      title,
      confidence: 0.9,
      ...network,
      assumptions: settings.assumptions,
      hyperParameters: parameters,
    },
  };
}

const MAX_LISTED = 500;

function notRecognised(
  checkpoint: Checkpoint,
  dictionaries: readonly ReadonlyMap<string, Tensor>[],
  nearest: Nearest | undefined,
  parameters: Readonly<Record<string, Plain>>,
): NotRecognised {
  const tensors = dictionaries.length ? [...dictionaries[0]] : [];
  return {
    recognised: false,
    seen: tensors.length
      ? `The file holds ${describe(new Map(tensors))}`
      : `The file was read (${checkpoint.format}), but it holds no network weights.`,
    ...(nearest && { closest: { title: nearest.family.title, missing: nearest.near.missing } }),
    ...(nearest?.near.certain && { known: knownFrom(nearest, parameters) }),
    nextStep: nearest?.near.certain
      ? 'A network whose inputs are coordinates alone can be exported with torch.onnx.export and opened as .onnx.'
      : tensors.length
        ? 'If it is an implicit neural representation, export it with torch.onnx.export and open the .onnx file.'
        : 'Save the network with torch.save(model.state_dict(), path) and open that file.',
    tensors: tensors
      .slice(0, MAX_LISTED)
      .map(([name, { dtype, shape }]) => ({ name, dtype, shape: [...shape] })),
  };
}

/** What can be said of a network whose family is certain, though it cannot be run. */
function knownFrom({ family, part }: Nearest, parameters: Readonly<Record<string, Plain>>): Known {
  const affine = new Map(part.layers.map((layer) => [layer.keys[0], layer]));
  const layers: LayerSummary[] = [];
  for (const [name, { shape }] of part.tensors) {
    const layer = affine.get(name);
    const summary = { name: name.replace(/\.weight$/, ''), neurons: 0, activation: 'other' as const };
    if (layer) layers.push({ ...summary, kind: 'linear', inputs: layer.inputs, outputs: layer.outputs });
    else if (shape.length === 4)
      layers.push({ ...summary, kind: 'convolution', inputs: shape[1], outputs: shape[0] });
    else if (/embedding|grid|params|table/i.test(name) && shape.length > 0)
      layers.push({ ...summary, kind: 'grid', inputs: shape[0], outputs: shape.at(-1)! });
  }
  return {
    family: family.id,
    title: family.title,
    parameters: elements(part.tensors.values()),
    signal: family.signal ?? 'field',
    layers,
    hyperParameters: parameters,
  };
}

/** What a state dict holds, in words: counts of layers and the first one’s shape. */
function describe(tensors: ReadonlyMap<string, Tensor>): string {
  const weights = [...tensors].filter(([name]) => /(weight|kernel)$/.test(name));
  const convolutions = weights.filter(([, { shape }]) => shape.length >= 3).length;
  const linear = weights.filter(([, { shape }]) => shape.length === 2).length;
  const parts = [
    [convolutions, 'convolution'],
    [linear, 'linear or embedding layer'],
  ] as const;
  const counted = parts
    .filter(([count]) => count > 0)
    .map(([count, noun]) => `${count} ${noun}${count > 1 ? 's' : ''}`);
  const [name, first] = [...tensors][0];
  const total = elements(tensors.values()).toLocaleString('en');
  return (
    `${tensors.size} tensors with ${total} elements${counted.length ? ` (${counted.join(', ')})` : ''}, ` +
    `beginning with ${name} [${first.shape.join(', ')}], and no known kind of implicit neural representation.`
  );
}
