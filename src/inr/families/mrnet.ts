import type { Value } from '../../checkpoint/types';
import { Tensor } from '../../checkpoint/types';
import { GraphBuilder } from '../../graph/build';
import { finalAct, sine } from '../activations';
import type { Settings } from '../assumptions';
import type { Candidate, Family, Network } from '../family';
import { affineLayers, type Affine } from '../layers';
import { MAX_CHANNELS, unexplained } from '../layouts';
import { numberOfParameters, summaryOf } from '../mlp';
import { picture } from '../picture';
import { finalActivation, hiddenOmega, numberSetting, omega0 } from '../settings';
import { LayerWriter } from '../writer';

/** A SIREN that adds its detail to what the stages before paint. */
interface Stage {
  readonly first: Affine;
  readonly middle: readonly Affine[];
  readonly last: Affine;
  readonly omega: number | undefined;
  readonly hiddenOmega: number | undefined;
}

/** Number i of a list in the file's own hyper-parameters. */
function listed({ checkpoint: { root } }: Candidate, key: string, i: number): number | undefined {
  const list: unknown = root instanceof Map ? (root as ReadonlyMap<string, Value>).get(key) : undefined;
  const value: unknown = Array.isArray(list) ? list[i] : list;
  const number = value instanceof Tensor && value.size === 1 ? value.read()[0] : value;
  return typeof number === 'number' && number > 0 ? number : undefined;
}

/** All layers of a file with `module{k}_state_dict`, each under the name of its stage. */
function layersOf({ checkpoint: { root }, layers }: Candidate): readonly Affine[] {
  if (!(root instanceof Map)) return layers;
  const stages = [...(root as ReadonlyMap<string, Value>)].filter(([key]) =>
    /^module\d+_state_dict$/.test(key),
  );
  if (stages.length < 2) return layers;
  return stages.flatMap(([key, dictionary]) => {
    const tensors = new Map<string, Tensor>();
    for (const [name, value] of dictionary instanceof Map ? (dictionary as ReadonlyMap<string, Value>) : []) {
      if (value instanceof Tensor) tensors.set(`${key}.${name}`, value);
    }
    return affineLayers(tensors);
  });
}

function stagesIn(candidate: Candidate): Stage[] | undefined {
  const groups = new Map<string, Affine[]>();
  for (const layer of layersOf(candidate)) {
    const match = /^(.*?)(first_layer\.linear|middle_layers\.\d+\.linear|final_linear)$/.exec(layer.name);
    if (!match) return undefined;
    groups.set(match[1], [...(groups.get(match[1]) ?? []), layer]);
  }
  const prefixes = [...groups.keys()].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const stages = prefixes.map((prefix, i): Stage | undefined => {
    const layers = groups.get(prefix)!;
    const named = (text: string) => layers.find(({ name }) => name === prefix + text);
    const [first, last] = [named('first_layer.linear'), named('final_linear')];
    const middle = layers
      .filter(({ name }) => name.includes('middle_layers'))
      .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
    return (
      first &&
      last && {
        first,
        middle,
        last,
        omega: listed(candidate, 'omega_0', i),
        hiddenOmega: listed(candidate, 'hidden_omega_0', i),
      }
    );
  });
  const present = stages.filter((stage) => stage !== undefined);
  if (present.length === 0 || present.length !== stages.length) return undefined;
  let basis = 0;
  for (const { first, middle, last } of present) {
    // M-Nets hand the features of a stage on to the next.
    const widths = [first.outputs, ...middle.map(({ outputs }) => outputs)];
    const fits =
      first.inputs <= 3 &&
      middle.every(
        ({ inputs }, i) => inputs === widths[i] || (i === 0 && basis > 0 && inputs === widths[0] + basis),
      ) &&
      last.inputs === widths.at(-1) &&
      last.outputs === present[0].last.outputs &&
      last.outputs <= MAX_CHANNELS;
    if (!fits) return undefined;
    basis = widths.at(-1)!;
  }
  return present;
}

const stageCount = numberSetting('stages', [], { min: 1, max: 1000 });

function build(stages: readonly Stage[], candidate: Candidate, settings: Settings): Network {
  const [coarsest] = stages;
  const stated = (value: number | undefined, name: string, usual: number) =>
    value === undefined
      ? ({ value: usual, source: 'default', confidence: 0.5 } as const)
      : ({ value, source: 'state dict', confidence: 1, detail: name } as const);
  const first = settings.get(omega0, stated(coarsest.omega, 'omega_0', 30));
  const hidden = settings.get(hiddenOmega, stated(coarsest.hiddenOmega, 'hidden_omega_0', 30));
  const used =
    stages.length > 1
      ? Math.min(
          stages.length,
          Math.round(
            settings.get(stageCount, {
              value: stages.length,
              source: 'state dict',
              confidence: 1,
              detail: 'all stages, the finest included',
              choices: stages.map((_, i) => i + 1),
            }),
          ),
        )
      : 1;
  // Periodic networks have whole frequencies in the first layer instead of ω.
  const periodic = (listed(candidate, 'period', 0) ?? 0) > 0;
  const final = finalAct(
    settings.get(finalActivation, {
      value: 'identity',
      source: 'default',
      confidence: 0.9,
      choices: ['identity', 'sigmoid'],
    }),
    1,
  );
  const shown = picture(settings, coarsest.first.inputs, coarsest.last.outputs, {
    coords: { value: 'xy-per-side', source: 'default', confidence: 0.6, detail: 'as MR-Net’s code does' },
    range: { value: '0..1', source: 'default', confidence: 0.7 },
  });
  const graph = new GraphBuilder();
  const writer = new LayerWriter(graph);
  const coords = shown.coordinates(graph);
  let sum: string | undefined;
  let basis: string | undefined;
  stages.slice(0, used).forEach((stage, i) => {
    const omega = i === 0 ? first : (stage.omega ?? first);
    const inner = i === 0 ? hidden : (stage.hiddenOmega ?? hidden);
    let value = writer.layer(stage.first, coords, sine(periodic ? 1 : omega));
    stage.middle.forEach((layer, k) => {
      const joins = k === 0 && basis !== undefined && layer.inputs > stage.first.outputs;
      value = writer.layer(layer, joins ? graph.concat([value, basis!], 0) : value, sine(inner));
    });
    basis = value;
    const detail = writer.affine(stage.last, value, final, i === used - 1);
    sum = sum === undefined ? detail : graph.op('Add', [sum, detail]);
  });
  return {
    parameters: numberOfParameters(stages.flatMap(({ first: a, middle, last }) => [a, ...middle, last])),
    signal: shown.signal,
    domain: shown.domain,
    encoding: 'none',
    activation: 'sine',
    graph: graph.build(final.apply(graph, sum!)),
    outputRange: shown.outputRange,
    summary: writer.layers.map(summaryOf),
    layers: writer.layers,
  };
}

/** MR-Net (Paz et al. 2023): sine networks that add up from coarse to fine. */
export const mrnet: Family = {
  id: 'siren-mrnet',
  title: 'MR-Net',
  match: (candidate) => {
    const stages = stagesIn(candidate);
    if (!stages || unexplained(candidate.others).length) return undefined;
    return { score: 0.93, build: (settings) => build(stages, candidate, settings) };
  },
};
