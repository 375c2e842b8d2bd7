import type { Checkpoint, Plain, Tensor } from '../checkpoint/types';
import { hyperParameters, stateDicts } from '../checkpoint/values';
import { Settings } from './assumptions';
import { comparable, Configuration } from './configuration';
import { families } from './families';
import { isMatch, type Candidate, type Family, type Match, type Near } from './family';
import { affineLayers, commonPrefix, pathOf } from './layers';
import { isUnsuitable, onnxNetwork, type OnnxNetwork } from './onnxNetwork';
import { activation, type HiddenActivation } from './settings';
import type { NotRecognised, Recognise, RecognitionContext } from './types';

/** Matches below this are coincidences. */
const LEAST_SCORE = 0.35;

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
  const evidence = context.evidence?.find(({ name }) => name === activation.name);
  return found?.value ?? (evidence && activation.read(evidence.value));
}

/** A checkpoint taken apart, without what the surroundings say. */
interface Contents {
  readonly hyperParameters: Readonly<Record<string, Plain>>;
  readonly dictionaries: readonly ReadonlyMap<string, Tensor>[];
  readonly parts: readonly Pick<Candidate, 'checkpoint' | 'tensors' | 'layers' | 'others'>[];
}

/** Hypotheses recognise one checkpoint many times. */
const contents = new WeakMap<Checkpoint, Contents>();

function contentsOf(checkpoint: Checkpoint): Contents {
  let found = contents.get(checkpoint);
  if (!found) {
    const dictionaries = stateDicts(checkpoint).map(({ tensors }) => tensors);
    const parts = dictionaries
      .flatMap((tensors) => [tensors, ...mainModules(tensors)])
      .map((tensors) => {
        const layers = affineLayers(tensors);
        const used = new Set(layers.flatMap((layer) => layer.keys));
        return {
          checkpoint,
          tensors,
          layers,
          others: new Map([...tensors].filter(([name]) => !used.has(name))),
        };
      });
    found = { hyperParameters: hyperParameters(checkpoint), dictionaries, parts };
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
  const { hyperParameters: parameters, dictionaries, parts } = contentsOf(checkpoint);
  const configuration = new Configuration([
    { source: 'hyper-parameters', label: 'hyper-parameters', values: parameters },
    ...context.sidecars.map(({ path, values }) => ({ source: 'sidecar file', label: path, values }) as const),
  ]);
  if (checkpoint.onnx) return recogniseOnnx(checkpoint, checkpoint.onnx, configuration, context);
  const stated = statedActivation(configuration, context);

  let best: { readonly family: Family; readonly match: Match } | undefined;
  let nearest: { readonly family: Family; readonly near: Near } | undefined;
  for (const part of parts) {
    const candidate: Candidate = { ...part, configuration, activation: stated };
    for (const family of families) {
      const match = family.match(candidate);
      if (isMatch(match)) {
        if (match.score >= LEAST_SCORE && match.score > (best?.match.score ?? 0)) best = { family, match };
      } else if (match && match.likeness > (nearest?.near.likeness ?? 0)) {
        nearest = { family, near: match };
      }
    }
  }

  if (!best) return notRecognised(checkpoint, dictionaries, nearest);
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

/** An ONNX file says what it computes; no family has to be guessed. */
function recogniseOnnx(
  checkpoint: Checkpoint,
  onnx: NonNullable<Checkpoint['onnx']>,
  configuration: Configuration,
  context: RecognitionContext,
): ReturnType<Recognise> {
  const title = 'ONNX coordinate network';
  let found = graphs.get(checkpoint);
  if (!found) {
    try {
      found = onnxNetwork(onnx);
    } catch (error) {
      if (!isUnsuitable(error)) throw error;
      found = error;
    }
    graphs.set(checkpoint, found);
  }
  const { hyperParameters: parameters, dictionaries } = contentsOf(checkpoint);
  if (found instanceof Error) {
    return {
      ...notRecognised(checkpoint, dictionaries, undefined),
      closest: { title, missing: found.message.replace(/\.$/, '') },
      nextStep:
        'Export the network with torch.onnx.export, with one input [pixels, coordinates], one output [pixels, channels] and dynamic_axes for the pixels.',
    };
  }
  const settings = new Settings(configuration, context.corrections, context.evidence);
  const network = found.build(settings);
  settings.finish(title);
  return {
    recognised: true,
    inr: {
      family: 'onnx',
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
  nearest: { readonly family: Family; readonly near: Near } | undefined,
): NotRecognised {
  const tensors = dictionaries.length ? [...dictionaries[0]] : [];
  return {
    recognised: false,
    seen: tensors.length
      ? `The file holds ${describe(new Map(tensors))}`
      : `The file was read (${checkpoint.format}), but it holds no network weights.`,
    ...(nearest && { closest: { title: nearest.family.title, missing: nearest.near.missing } }),
    nextStep: tensors.length
      ? 'If it is an implicit neural representation, export it with torch.onnx.export and open the .onnx file.'
      : 'Save the network with torch.save(model.state_dict(), path) and open that file.',
    tensors: tensors
      .slice(0, MAX_LISTED)
      .map(([name, { dtype, shape }]) => ({ name, dtype, shape: [...shape] })),
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
