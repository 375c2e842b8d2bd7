import { describe, expect, it } from 'vitest';
import type { Value } from '../../../src/checkpoint/types';
import { UsageError } from '../../../src/errors';
import { recognise } from '../../../src/inr/recognise';
import type { Inr, RecognitionContext } from '../../../src/inr/types';
import { checkpointOf, dictOf, random, sirenDict, tensor } from './checkpoints';

const plain: RecognitionContext = { sidecars: [], corrections: new Map() };
const corrected = (corrections: Record<string, string>): RecognitionContext => ({
  sidecars: [],
  corrections: new Map(Object.entries(corrections)),
});

function inrOf(root: Value, context = plain): Inr {
  const result = recognise(checkpointOf(root), context);
  if (!result.recognised) throw new Error(`not recognised: ${result.seen}`);
  return result.inr;
}

const linear = (sizes: readonly number[], name: (i: number) => string) =>
  dictOf(
    Object.fromEntries(
      sizes.slice(1).flatMap((n, i): [string, number[]][] => [
        [`${name(i)}.weight`, [n, sizes[i]]],
        [`${name(i)}.bias`, [n]],
      ]),
    ),
  );

describe('what is named but not traced', () => {
  const at = (prefix: string, shapes: Record<string, number[]>) =>
    Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [prefix + name, shape]));
  const axes = [0, 1, 2];
  const factors = (name: string, shape: number[]) =>
    Object.fromEntries(axes.map((i) => [`${name}.${i}`, shape]));

  it.each<[string, Record<string, number[]>, string]>([
    [
      'TensoRF',
      {
        ...factors('density_plane', [1, 4, 12, 12]),
        ...factors('density_line', [1, 4, 12, 1]),
        ...factors('app_plane', [1, 6, 12, 12]),
        ...factors('app_line', [1, 6, 12, 1]),
        'basis_mat.weight': [9, 18],
        'renderModule.mlp.0.weight': [16, 30],
        'renderModule.mlp.0.bias': [16],
        'renderModule.mlp.2.weight': [3, 16],
        'renderModule.mlp.2.bias': [3],
      },
      'dictionary-field',
    ],
    [
      'Gaussian splats as attributes of the model',
      at('model.', {
        _xyz: [50, 3],
        _features_dc: [50, 1, 3],
        _features_rest: [50, 15, 3],
        _scaling: [50, 3],
        _rotation: [50, 4],
        _opacity: [50, 1],
      }),
      'gaussian-splats',
    ],
    [
      'Gaussian splats of gsplat',
      { means: [50, 3], scales: [50, 3], quats: [50, 4], opacities: [50], sh0: [50, 1, 3], shN: [50, 15, 3] },
      'gaussian-splats',
    ],
  ])('%s', (_what, shapes, family) => {
    const result = recognise(checkpointOf(dictOf(shapes)), plain);
    expect(result).toMatchObject({ recognised: false, known: { family } });
  });
});

describe('what is no INR', () => {
  const convolution = (name: string, out: number, n: number, k = 3) => ({
    [`${name}.weight`]: [out, n, k, k],
    [`${name}.bias`]: [out],
  });
  const batchNorm = (name: string, n: number) => ({
    [`${name}.weight`]: [n],
    [`${name}.bias`]: [n],
    [`${name}.running_mean`]: [n],
    [`${name}.running_var`]: [n],
  });
  const resnet = dictOf({
    'conv1.weight': [16, 3, 7, 7],
    ...batchNorm('bn1', 16),
    'layer1.0.conv1.weight': [16, 16, 3, 3],
    ...batchNorm('layer1.0.bn1', 16),
    'layer1.0.conv2.weight': [16, 16, 3, 3],
    ...batchNorm('layer1.0.bn2', 16),
    'fc.weight': [10, 16],
    'fc.bias': [10],
  });
  const bert = dictOf({
    'bert.embeddings.word_embeddings.weight': [300, 32],
    'bert.embeddings.position_embeddings.weight': [64, 32],
    'bert.encoder.layer.0.attention.self.query.weight': [32, 32],
    'bert.encoder.layer.0.attention.self.query.bias': [32],
    'bert.encoder.layer.0.attention.self.key.weight': [32, 32],
    'bert.encoder.layer.0.attention.self.key.bias': [32],
    'bert.encoder.layer.0.output.LayerNorm.weight': [32],
    'bert.encoder.layer.0.output.LayerNorm.bias': [32],
    'classifier.weight': [2, 32],
    'classifier.bias': [2],
  });
  const unet = dictOf({
    ...convolution('down.0', 8, 3),
    ...convolution('down.1', 16, 8),
    ...convolution('up.0', 8, 16),
    ...convolution('up.1', 8, 16),
    ...convolution('outc', 3, 8, 1),
  });
  const names = (i: number) => `net.${2 * i}`;

  it.each<[string, Value]>([
    ['a ResNet', resnet],
    ['BERT', bert],
    ['a UNet', unet],
    ['a digit classifier', linear([784, 128, 64, 10], (i) => `fc${i + 1}`)],
    ['a binary classifier of pictures', linear([784, 128, 128, 1], names)],
    ['a tabular regressor', linear([13, 64, 64, 1], names)],
    ['a tabular regressor with 30 inputs', linear([30, 64, 64, 1], names)],
    ['an iris classifier', linear([4, 32, 32, 3], names)],
    ['a small control policy', linear([2, 64, 3], names)],
    ['an autoencoder', linear([784, 64, 784], names)],
    ['an embedding table', dictOf({ weight: [1000, 64] })],
    ['a single linear layer', dictOf({ weight: [3, 2], bias: [3] })],
    [
      'an MLP with LayerNorm whose place is unknown',
      new Map([...linear([2, 32, 32, 3], names), ...dictOf({ 'norm.weight': [32], 'norm.bias': [32] })]),
    ],
    [
      'a point-cloud network',
      dictOf({
        ...batchNorm('bn1', 64),
        'conv1.weight': [64, 3, 1],
        'conv1.bias': [64],
        'fc.weight': [3, 64],
      }),
    ],
    [
      'a nerve of two branches',
      new Map([...linear([2, 32, 32], (i) => `a.${i}`), ...linear([3, 32, 32], (i) => `b.${i}`)]),
    ],
    [
      'an LSTM',
      dictOf({ 'lstm.weight_ih_l0': [128, 3], 'lstm.weight_hh_l0': [128, 32], 'fc.weight': [3, 32] }),
    ],
  ])('%s is refused', (_, root) => {
    const result = recognise(checkpointOf(root), plain);
    expect(result).toMatchObject({ recognised: false });
    if (result.recognised) return;
    expect(result.seen).toMatch(/tensors? with/);
    expect(result.nextStep).toMatch(/torch\.onnx\.export/);
    expect(result.tensors.length).toBeGreaterThan(0);
  });

  it('says so when a file holds no weights', () => {
    const optimizer = new Map<string, Value>([
      ['optimizer', new Map<string, Value>([['state', new Map([['0', tensor([3, 3])]])]])],
    ]);
    const result = recognise(checkpointOf(optimizer), plain);
    expect(result).toMatchObject({
      recognised: false,
      seen: expect.stringMatching(/no network weights/) as string,
    });
  });

  it('tells what is missing from Fourier features without B', () => {
    const result = recognise(checkpointOf(linear([512, 64, 64, 3], names)), plain);
    expect(result).toMatchObject({
      recognised: false,
      closest: {
        title: 'Fourier-feature network',
        missing: expect.stringContaining('256 frequencies') as string,
      },
    });
  });
});

describe('names and wrappers', () => {
  const layouts: readonly (readonly [string, (count: number) => string[], string])[] = [
    [
      'siren-coin',
      (n) => [...Array.from({ length: n - 1 }, (_, i) => `net.${i}.linear`), 'last_layer.linear'],
      '0',
    ],
    [
      'siren-notebook',
      (n) => [...Array.from({ length: n - 1 }, (_, i) => `net.${i}.linear`), `net.${n - 1}`],
      '0',
    ],
    ['siren-official', (n) => Array.from({ length: n }, (_, i) => `net.net.${i}.0`), '0'],
    [
      'siren-lucidrains',
      (n) => [...Array.from({ length: n - 1 }, (_, i) => `layers.${i}`), 'last_layer'],
      '1',
    ],
    [
      'siren-jhlew',
      (n) => [...Array.from({ length: n - 1 }, (_, i) => `layers.${i}.fc`), `layers.${n - 1}`],
      '1',
    ],
    ['siren', (n) => Array.from({ length: n }, (_, i) => `fc${i}`), '0'],
    [
      'siren',
      (n) => ['input_layer', ...Array.from({ length: n - 2 }, (_, i) => `hidden_${i}`), 'to_rgb'],
      '0',
    ],
  ];
  const wrappers: readonly ((dict: Map<string, ReturnType<typeof tensor>>) => Value)[] = [
    (dict) => dict,
    (dict) => new Map([['state_dict', dict]]),
    (dict) =>
      new Map<string, Value>([
        ['epoch', 3],
        ['net', dict],
        ['optimizer', new Map()],
      ]),
    (dict) => new Map([...dict].map(([name, value]) => [`module.${name}`, value])),
    (dict) => new Map([...dict].map(([name, value]) => [`_orig_mod.inr.decoder.${name}`, value])),
    (dict) => new Map([['params', new Map([...dict].map(([name, value]) => [`model.f.${name}`, value]))]]),
    // Alphabetical, as some formats sort: net.10 stands before net.2.
    (dict) => new Map([...dict].sort(([a], [b]) => (a < b ? -1 : 1))),
    (dict) => new Map<string, Value>([...dict, ['coords_grid.grid', tensor([77, 2])]]),
  ];
  const cases = layouts.flatMap(([family, name, unit], i) =>
    wrappers.map((wrap, k) => [`${family} ${i}, wrapper ${k}`, family, name, wrap, unit === '1'] as const),
  );

  it.each(cases)('%s', (label, family, name, wrap, unit) => {
    const next = random(label.length * 131 + label.charCodeAt(label.length - 1));
    const count = 3 + Math.floor(next() * 10);
    const width = 9 + Math.floor(next() * 60);
    const sizes = [2, ...Array.from({ length: count - 1 }, () => width), 3];
    const names = name(count);
    const inr = inrOf(wrap(sirenDict(names, sizes, unit ? 1 : 30)));
    expect(inr.family).toBe(family);
    expect(inr.layers.map((layer) => [layer.inputs, layer.outputs])).toEqual(
      sizes.slice(1).map((n, i) => [sizes[i], n]),
    );
    // Full names, in the order of the network.
    inr.layers.forEach((layer, i) => expect(layer.name.endsWith(names[i])).toBe(true));
    expect(inr.layers.at(-1)).toMatchObject({ last: true });
    const assumed = new Map(inr.assumptions.map((assumption) => [assumption.name, assumption.value]));
    expect([assumed.get('omega0'), assumed.get('hiddenOmega')]).toEqual([30, unit ? 1 : 30]);
  });

  it('a network beside losses and averaged copies is found', () => {
    const net = [...sirenDict(['net.0.linear', 'net.1.linear', 'net.2'], [2, 20, 20, 3], 30)];
    const dict = new Map([
      ...net.map(([name, value]) => [`model.${name}`, value] as const),
      ...net.map(([name, value]) => [`ema_model.${name}`, value] as const),
      ...dictOf({ 'lpips.net.slice1.0.weight': [64, 3, 11, 11], 'lpips.lin0.weight': [1, 64, 1, 1] }),
    ]);
    const inr = inrOf(dict);
    expect(inr.layers.map(({ name }) => name)).toEqual([
      'model.net.0.linear',
      'model.net.1.linear',
      'model.net.2',
    ]);
  });

  it('weights stored as [inputs, outputs] are turned', () => {
    const sizes = [2, 24, 24, 3];
    const dict = new Map(
      [...sirenDict(['d0', 'd1', 'd2'], sizes, 30)].map(([name, value]) => {
        if (name.endsWith('bias')) return [name, value] as const;
        return [name.replace('weight', 'kernel'), tensor([...value.shape].reverse(), 0.3)] as const;
      }),
    );
    const [first] = inrOf(dict, corrected({ activation: 'sine' })).layers;
    expect([first.inputs, first.outputs]).toEqual([2, 24]);
    const stored = dict.get('d0.kernel')!.read();
    // Output 5 of input 1 stands in row 1, column 5.
    expect(first.weight[5 * 2 + 1]).toBe(stored[1 * 24 + 5]);
  });

  it('weight norm is undone', () => {
    const dict = sirenDict(['net.0', 'net.2', 'net.4'], [2, 16, 16, 3], 30);
    const v = tensor([16, 16], 0.2, 5);
    const g = tensor([16, 1], 1, 6);
    dict.delete('net.2.weight');
    dict.set('net.2.weight_g', g).set('net.2.weight_v', v);
    const { weight } = inrOf(dict).layers[1];
    const row = weight.subarray(16, 32);
    expect(Math.hypot(...row)).toBeCloseTo(Math.abs(g.read()[1]), 5);
    expect(row[3] / row[0]).toBeCloseTo(v.read()[19] / v.read()[16], 4);
  });
});

describe('activations that share a layout', () => {
  const notebook = ['net.0.linear', 'net.1.linear', 'net.2.linear', 'net.3'];
  const sizes = [2, 32, 32, 32, 3];
  const defaults = () => linear(sizes, (i) => notebook[i]);

  it('are told apart by the size of the weights', () => {
    expect(inrOf(sirenDict(notebook, sizes, 30)).family).toBe('siren-notebook');
    expect(inrOf(defaults()).family).toBe('gaussian');
  });

  it.each([
    ['gauss', 'gaussian', 'gaussian'],
    ['siren', 'siren-notebook', 'sine'],
    ['finer', 'finer', 'finer'],
    ['relu', 'mlp', 'relu'],
    ['tanh', 'mlp', 'tanh'],
  ])('follow a configuration that says %s', (text, family, kind) => {
    const root = new Map<string, Value>([
      ['model', defaults()],
      ['args', new Map([['nonlin', text]])],
    ]);
    const inr = inrOf(root);
    expect([inr.family, inr.activation]).toEqual([family, kind]);
    expect(inr.assumptions[0]).toMatchObject({ name: 'activation', source: 'hyper-parameters' });
  });

  it('follow a correction before anything else', () => {
    const root = new Map<string, Value>([
      ['model', defaults()],
      ['args', new Map([['nonlin', 'relu']])],
    ]);
    expect(inrOf(root, corrected({ activation: 'finer' })).family).toBe('finer');
  });

  it('refuse unknown settings with the names that exist', () => {
    expect(() => inrOf(defaults(), corrected({ omega0: '3' }))).toThrow(UsageError);
    expect(() => inrOf(defaults(), corrected({ omega0: '3' }))).toThrow(/activation, scale/);
  });
});

describe('signals', () => {
  it.each([
    [2, 3, 'image'],
    [2, 1, 'image'],
    [3, 3, 'video'],
    [3, 1, 'volume'],
    [1, 1, 'audio'],
  ])('%i coordinates, %i channels: %s', (inputs, channels, kind) => {
    const inr = inrOf(
      sirenDict(['net.net.0.0', 'net.net.1.0', 'net.net.2.0'], [inputs, 20, 20, channels], 30),
    );
    expect(inr.signal).toMatchObject({ kind, channels });
    expect(inr.graph.inputs).toEqual([{ name: 'coords', shape: [2, 'P'] }]);
  });

  it('lists the picture size as an assumption when nothing tells it', () => {
    const inr = inrOf(sirenDict(['net.net.0.0', 'net.net.1.0', 'net.net.2.0'], [2, 20, 20, 3], 30));
    const size = inr.assumptions.find(({ name }) => name === 'size');
    expect(size).toMatchObject({ value: '256x256', source: 'default' });
    expect(size!.confidence).toBeLessThan(0.2);
  });
});

describe('norms in the blocks of decoders', () => {
  const nerv = {
    'stem.0.weight': [24, 6],
    'stem.0.bias': [24],
    'layers.0.conv.conv.weight': [12, 4, 3, 3],
    'layers.0.conv.conv.bias': [12],
    'head_layers.0.weight': [3, 3, 1, 1],
    'head_layers.0.bias': [3],
  };
  const normOf = (inr: Inr) => inr.assumptions.find(({ name }) => name === 'norm');

  it('are none unless something tells of them', () => {
    const inr = inrOf(dictOf(nerv));
    expect(normOf(inr)?.value).toBe('none');
    expect(inr.layers.some(({ instanceNorm }) => instanceNorm)).toBe(false);
  });

  it('are instance norms when the person says so, as nothing in the file can', () => {
    const inr = inrOf(dictOf(nerv), corrected({ norm: 'instance' }));
    expect(normOf(inr)).toMatchObject({ value: 'instance', source: 'correction' });
    expect(inr.layers.map(({ instanceNorm }) => instanceNorm?.scale.length)).toEqual([3, undefined]);
  });

  it('are batch norms where running means are kept', () => {
    const parts = ['weight', 'bias', 'running_mean', 'running_var'];
    const norms = Object.fromEntries(parts.map((part) => [`layers.0.norm.${part}`, [3]]));
    expect(normOf(inrOf(dictOf({ ...nerv, ...norms })))).toMatchObject({
      value: 'batch',
      source: 'state dict',
      confidence: 1,
    });
    expect(() => inrOf(dictOf({ ...nerv, ...norms }), corrected({ norm: 'instance' }))).toThrow(UsageError);
  });

  it.each(['layers.0.norm', 'layers.0.bn', 'layers.0.norm1'])('are refused in words as other %s', (name) => {
    const shape = name.endsWith('.norm') ? [3, 1, 1] : [3];
    const root = dictOf({ ...nerv, [`${name}.weight`]: shape, [`${name}.bias`]: shape });
    const result = recognise(checkpointOf(root), plain);
    expect(result.recognised).toBe(false);
    expect(!result.recognised && result.closest?.missing).toContain('other than batch or instance norms');
  });
});
