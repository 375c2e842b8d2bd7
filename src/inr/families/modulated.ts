import type { Value } from '../../checkpoint/types';
import { asTensor } from '../../checkpoint/values';
import { finalAct, type Act } from '../activations';
import type { Settings } from '../assumptions';
import type { Candidate, Family, Match, Near } from '../family';
import type { Affine } from '../layers';
import { coordinateChain, unexplained, type CoordinateChain } from '../layouts';
import { buildMlp, noEncoding } from '../mlp';
import { booleanSetting, finalActivation, hiddenOmega, integerSetting, omega0 } from '../settings';
import type { CoordinateConvention } from '../types';

/** sin(ω·(scale·z + shift)), scale and shift one a neuron. */
const modulatedSine = (
  omega: number,
  scale: Float32Array | undefined,
  shift: Float32Array | undefined,
): Act => ({
  kind: 'sine',
  apply: (graph, z) => {
    const scaled = scale ? graph.op('Mul', [z, graph.constant(scale, [scale.length, 1])]) : z;
    const shifted = shift ? graph.op('Add', [scaled, graph.constant(shift, [shift.length, 1])]) : scaled;
    return graph.op('Sin', [graph.scale(shifted, omega)]);
  },
});

/** Codes of the signals, `[signals, length]`, where a file keeps them beside the base network. */
function codesIn({ checkpoint: { root }, others }: Candidate, length: number): Float32Array[] {
  const rows = (value: Value): Float32Array[] => {
    const tensor = asTensor(value);
    if (tensor) {
      if (tensor.shape.at(-1) !== length || tensor.isComplex) return [];
      const data = tensor.read();
      return Array.from({ length: data.length / length }, (_, i) =>
        data.subarray(i * length, (i + 1) * length),
      );
    }
    if (Array.isArray(value)) return (value as readonly Value[]).flatMap(rows);
    return [];
  };
  for (const [name, tensor] of others) {
    if (/(^|[./])latent_vector$/.test(name)) return rows(tensor);
  }
  if (!(root instanceof Map)) return [];
  for (const key of ['modulations', 'latents', 'latent', 'codes', 'modulation']) {
    const found = rows((root as ReadonlyMap<string, Value>).get(key) ?? null);
    if (found.length) return found;
  }
  return [];
}

/** ReLU MLP on one vector. */
function feed(layers: readonly Affine[], input: Float32Array): Float32Array {
  return layers.reduce((x, layer, i) => {
    const [weight, bias] = [layer.weight(), layer.bias()];
    return Float32Array.from({ length: layer.outputs }, (_, row) => {
      let sum = bias?.[row] ?? 0;
      for (let k = 0; k < layer.inputs; k++) sum += weight[row * layer.inputs + k] * x[k];
      return i < layers.length - 1 ? Math.max(0, sum) : sum;
    });
  }, input);
}

const signal = integerSetting('signal', ['sample', 'datapoint'], 0, 1e7);
const modulateScale = booleanSetting('modulateScale', ['modulate_scale']);
const modulateShift = booleanSetting('modulateShift', ['modulate_shift']);

interface Dialect {
  readonly id: string;
  readonly title: string;
  readonly isBase: (layer: Affine) => boolean;
  readonly isModulation: (name: string) => boolean;
  readonly coords: CoordinateConvention;
  /** Scales and shifts layer by layer (functa), or all scales before all shifts (COIN++). */
  readonly layerwise: boolean;
}

/** All modulations of one signal, and where they come from. */
interface Modulations {
  readonly length: number;
  /** Codes to choose from; empty when the file keeps none. */
  readonly codes: readonly Float32Array[];
  of(code: Float32Array | undefined): Float32Array;
}

function modulationsIn(candidate: Candidate, dialect: Dialect): Modulations | undefined {
  const layers = candidate.layers.filter((layer) => dialect.isModulation(layer.name));
  if (layers.length) {
    const latent = layers[0].inputs;
    const linked = layers.every((layer, i) => i === 0 || layers[i - 1].outputs === layer.inputs);
    if (!linked) return undefined;
    return {
      length: layers.at(-1)!.outputs,
      codes: codesIn(candidate, latent),
      of: (code) => feed(layers, code ?? new Float32Array(latent)),
    };
  }
  const bias = [...candidate.others].find(
    ([name, tensor]) => dialect.isModulation(name) && name.endsWith('bias') && tensor.shape.length === 1,
  )?.[1];
  if (!bias) return undefined;
  const own = () => bias.read();
  return {
    length: bias.size,
    codes: codesIn(candidate, bias.size),
    // COIN++ adds the code to a shared bias.
    of: (code) => (code ? own().map((value, i) => value + code[i]) : own()),
  };
}

function acts(net: CoordinateChain, dialect: Dialect, modulations: Modulations, settings: Settings): Act[] {
  const first = settings.get(omega0, { value: 30, source: 'default', confidence: 0.6 });
  const hidden = settings.get(hiddenOmega, { value: first, source: 'default', confidence: 0.6 });
  const { codes } = modulations;
  const width = net.layers[0].outputs;
  const count = net.layers.length - 1;
  const both = modulations.length === 2 * width * count;
  const scales = settings.get(modulateScale, { value: both, source: 'inferred', confidence: 0.9 });
  const shifts = both || settings.get(modulateShift, { value: !scales, source: 'inferred', confidence: 0.9 });
  const index = codes.length
    ? settings.get(signal, {
        value: 0,
        source: 'default',
        confidence: 0.9,
        detail: `first of ${codes.length} signals`,
      })
    : undefined;
  const values = modulations.of(index === undefined ? undefined : codes[Math.min(index, codes.length - 1)]);
  const slice = (kind: 'scale' | 'shift', i: number) => {
    const apart = dialect.layerwise ? 2 * i + (kind === 'shift' ? 1 : 0) : i + (kind === 'shift' ? count : 0);
    const at = (both ? apart : i) * width;
    return values.slice(at, at + width);
  };
  const final = finalAct(
    settings.get(finalActivation, {
      value: 'add-half',
      source: 'default',
      confidence: 0.9,
      choices: ['add-half', 'identity'],
    }),
    1,
  );
  return net.layers.map((_, i) =>
    i === count
      ? final
      : modulatedSine(
          i === 0 ? first : hidden,
          scales ? slice('scale', i).map((value) => value + 1) : undefined,
          shifts ? slice('shift', i) : undefined,
        ),
  );
}

const family = (dialect: Dialect): Family => ({
  id: dialect.id,
  title: dialect.title,
  match: (candidate): Match | Near | undefined => {
    const base = candidate.layers.filter(dialect.isBase);
    const isModulation = [...candidate.tensors.keys()].some(dialect.isModulation);
    if (base.length < 2 || !isModulation) return undefined;
    const net = coordinateChain(candidate, base);
    const modulations = modulationsIn(candidate, dialect);
    if (!net || net.inputs > 3 || !modulations) return undefined;
    const one = net.layers[0].outputs * (net.layers.length - 1);
    if (modulations.length !== one && modulations.length !== 2 * one) {
      return {
        likeness: 0.6,
        missing: `${modulations.length} modulations do not fit its ${one} hidden neurons`,
      };
    }
    if (
      unexplained(candidate.others, (name) => dialect.isModulation(name) || /latent_vector$/.test(name))
        .length
    ) {
      return undefined;
    }
    return {
      score: 0.96,
      build: (settings) =>
        buildMlp(
          {
            layers: net.layers,
            acts: acts(net, dialect, modulations, settings),
            encoding: noEncoding(net.inputs),
            picture: {
              coords: {
                value: dialect.coords,
                source: 'default',
                confidence: 0.7,
                detail: `as ${dialect.title} does`,
              },
              range: { value: '0..1', source: 'default', confidence: 0.9 },
            },
          },
          settings,
        ),
    };
  },
});

/** Base networks of many signals, with a code for each: COIN++ (Dupont et al. 2022), functa (2022). */
export const modulated: readonly Family[] = [
  family({
    id: 'coinpp',
    title: 'COIN++',
    isBase: ({ name }) => !/(^|\.)modulation_net(\.|$)/.test(name),
    isModulation: (name) => /(^|\.)modulation_net(\.|$)/.test(name),
    coords: 'rc-per-side-01',
    layerwise: false,
  }),
  family({
    id: 'functa',
    title: 'functa',
    isBase: ({ name }) => /modulated_siren_layer(_\d+)?[./]/.test(name),
    isModulation: (name) => /latent_to_modulation/.test(name),
    coords: 'rc-per-side-01-centres',
    layerwise: true,
  }),
];
