/** Layers of checkpoints found from their places in code and back. */
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Correspondence } from '../../../src/code/places';
import { layersAt, layersOf, projectOf, projectWith, samples, tests } from './project';

const code = path.join(tests, 'fixtures/code');
const inr = path.join(tests, 'fixtures/inr');

function open(folder: string, checkpoint: string) {
  const project = projectOf(folder);
  const found = new Correspondence(project, layersOf(checkpoint));
  const at = (file: string, text: string, within?: string) =>
    layersAt(found, project, path.join(folder, file), text, within);
  return { project, found, at, names: found.checkpoint.layers.map(({ name }) => name) };
}

const both: readonly (readonly [folder: string, checkpoint: string])[] = [
  [path.join(samples, 'pictures'), path.join(samples, 'pictures/checkpoints/siren.pth')],
  [path.join(samples, 'pictures'), path.join(samples, 'pictures/checkpoints/fourier.pth')],
  [path.join(samples, 'video'), path.join(samples, 'video/checkpoints/nerv.pth')],
  ...(
    [
      ['official', 'siren-official.pt'],
      ['official', 'official-relu.pt'],
      ['notebook', 'siren-notebook.pt'],
      ['notebook', 'siren-notebook-sine-last.pt'],
      ['lucidrains', 'siren-lucidrains.pt'],
      ['lucidrains', 'siren-lucidrains-wrapper.pt'],
      ['coin', 'siren-coin.pt'],
      ['jhlew', 'siren-jhlew.pt'],
      ['dalmia', 'siren-dalmia.pt'],
      ['wire', 'wire.pt'],
      ['wire', 'gaussian-wire.pt'],
      ['mfn', 'mfn-fourier.pt'],
      ['nerv', 'nerv.pt'],
      ['hnerv', 'hnerv.pt'],
      ['xinc', 'xinc-fourier.pt'],
      ['nerf', 'nerf.tar'],
      ['coordinates', 'coordinate-mlps-gaussian.pt'],
    ] as const
  ).map(([folder, file]) => [path.join(code, folder), path.join(inr, file)] as const),
];

describe('every layer is found in the code, and the code in the checkpoint', () => {
  it.each(both.map(([folder, file]) => [`${path.basename(folder)}: ${path.basename(file)}`, folder, file]))(
    '%s',
    (_, folder, file) => {
      const { found, names } = open(folder, file);
      for (const name of names) {
        const site = found.reveal(name);
        expect([name, site !== undefined]).toEqual([name, true]);
        const { row, column } = site!.span;
        // On the name of what is built or assigned there.
        const back = [0, 1, 3, 6]
          .map((step) => found.at(site!.file, row, column + step)?.layers ?? [])
          .find((layers) => layers.includes(name));
        expect([name, back?.includes(name)]).toEqual([name, true]);
      }
    },
  );
});

describe('the sample', () => {
  const { at } = open(path.join(samples, 'pictures'), path.join(samples, 'pictures/checkpoints/siren.pth'));
  const all = ['net.0.linear', 'net.1.linear', 'net.2.linear', 'net.3.linear', 'net.4'];

  it.each([
    ['models.py', 'self.net = nn.Sequential(\n            SineLayer', 'net', all],
    ['models.py', 'return self.net(coords)', 'net', all],
    ['models.py', 'class Siren', 'Siren', all],
    ['models.py', 'SineLayer(2, hidden', 'SineLayer', ['net.0.linear']],
    ['models.py', '*[SineLayer', 'SineLayer', ['net.1.linear', 'net.2.linear', 'net.3.linear']],
    ['models.py', 'last = nn.Linear', 'nn.Linear', ['net.4']],
    ['models.py', 'class SineLayer', 'SineLayer', all.slice(0, 4)],
    ['models.py', 'self.linear = nn.Linear', 'nn.Linear', all.slice(0, 4)],
    ['models.py', 'self.omega_0 * self.linear', 'linear', all.slice(0, 4)],
    ['train.py', 'return Siren(**hparams)', 'Siren', all],
    ['models.py', 'self.omega_0 = omega_0', 'omega_0', []],
    ['models.py', 'def coordinates', 'coordinates', []],
    ['models.py', 'class FourierFeatureNet', 'FourierFeatureNet', []],
    ['models.py', 'class DenseLayer', 'DenseLayer', []],
  ])('%s: %s', (file, text, within, layers) => {
    expect(at(file, text, within)).toEqual(layers);
  });
});

describe('places that name layers', () => {
  it('indices, from either end, and keys of state dicts', () => {
    const { at } = open(path.join(code, 'notebook'), path.join(inr, 'siren-notebook.pt'));
    expect(at('siren.py', 'img_siren.net[0].linear', 'linear')).toEqual(['net.0.linear']);
    expect(at('siren.py', 'img_siren.net[0]', '[0]')).toEqual(['net.0.linear']);
    expect(at('siren.py', 'img_siren.net[-1]', '[-1]')).toEqual(['net.4']);
    expect(at('siren.py', '"net.4.weight"')).toEqual(['net.4']);
    expect(at('siren.py', '"siren-notebook.pt"')).toEqual([]);
  });

  it('behind prefixes and inside other modules', () => {
    const { at, names } = open(path.join(code, 'xinc'), path.join(inr, 'xinc-fourier.pt'));
    expect(at('trainer.py', 'self.model.net[0].linear', 'linear')).toEqual(['model.net.0.linear']);
    expect(at('trainer.py', 'self.model(batch', 'model')).toEqual(names);
    expect(at('models/ffn.py', 'return self.net', 'net')).toEqual(names);
    expect(at('models/layers.py', 'self.act(self.linear', 'linear')).toEqual(names);
  });

  it('loops over a list of layers', () => {
    const { at } = open(path.join(code, 'lucidrains'), path.join(inr, 'siren-lucidrains.pt'));
    expect(at('siren_pytorch.py', 'x = layer(x)', 'layer')).toEqual([
      'layers.0',
      'layers.1',
      'layers.2',
      'layers.3',
    ]);
  });

  it('names made in a loop', () => {
    const source = `
from torch import nn
class Net(nn.Module):
    def __init__(self, width, count):
        super().__init__()
        for i in range(count):
            self.add_module(f"fc{i}", nn.Linear(2 if i == 0 else width, width))
        setattr(self, "out", nn.Linear(width, 3))
`;
    const project = projectWith({ 'net.py': source });
    const layer = (name: string, inputs: number, outputs: number) => ({ name, inputs, outputs });
    const found = new Correspondence(project, {
      file: '/project/a.pt',
      layers: [layer('fc0', 2, 9), layer('fc1', 9, 9), layer('fc2', 9, 9), layer('out', 9, 3)],
    });
    expect(layersAt(found, project, '/project/net.py', 'f"fc{i}", nn.Linear', 'nn.Linear')).toEqual([
      'fc0',
      'fc1',
      'fc2',
    ]);
    expect(layersAt(found, project, '/project/net.py', '"out", nn.Linear', 'nn.Linear')).toEqual(['out']);
  });

  it('Flax: numbered by class, by name, and lists of setup', () => {
    const project = projectOf(path.join(code, 'flax'));
    const file = path.join(code, 'flax/model.py');
    const layer = (name: string, inputs: number, outputs: number) => ({ name, inputs, outputs });
    const compact = new Correspondence(project, {
      file: '/a.msgpack',
      layers: [layer('params/Dense_0', 2, 16), layer('params/Dense_1', 16, 16), layer('params/head', 16, 3)],
    });
    expect(layersAt(compact, project, file, 'nn.Dense(size)', 'nn.Dense')).toEqual([
      'params/Dense_0',
      'params/Dense_1',
    ]);
    expect(layersAt(compact, project, file, 'nn.Dense(self.out', 'nn.Dense')).toEqual(['params/head']);
    const setup = new Correspondence(project, {
      file: '/b.msgpack',
      layers: [layer('params/layers_0', 2, 8), layer('params/layers_1', 8, 8), layer('params/last', 8, 3)],
    });
    expect(layersAt(setup, project, file, 'self.last = nn.Dense', 'nn.Dense')).toEqual(['params/last']);
  });

  it('Keras: a list of Sequential, by class or by name, and attributes of a model', () => {
    const source = `
import keras
from keras import layers

def build(width=32):
    return keras.Sequential([
        layers.Dense(width, activation="relu"),
        layers.Dense(2 * width, activation="relu"),
        layers.Dense(3, name="rgb"),
    ])

class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Dense(16)
        self.last = layers.Dense(3)
`;
    const project = projectWith({ 'net.py': source });
    const layer = (name: string, inputs: number, outputs: number) => ({ name, inputs, outputs });
    const at = (file: string, layers: ReturnType<typeof layer>[], text: string) =>
      layersAt(
        new Correspondence(project, { file, layers }),
        project,
        '/project/net.py',
        text,
        'layers.Dense',
      );
    const list = [layer('dense', 2, 32), layer('dense_1', 32, 64), layer('rgb', 64, 3)];
    expect(at('/project/a.keras', list, 'layers.Dense(width')).toEqual(['dense']);
    expect(at('/project/a.keras', list, 'layers.Dense(2 * width')).toEqual(['dense_1']);
    expect(at('/project/a.keras', list, 'layers.Dense(3, name')).toEqual(['rgb']);
    const model = [layer('first', 2, 16), layer('last', 16, 3)];
    expect(at('/project/b.keras', model, 'self.last = layers.Dense')).toEqual(['last']);
    expect(
      at('/project/c.keras', [layer('first', 2, 8), layer('last', 8, 3)], 'self.last = layers.Dense'),
    ).toEqual([]);
  });
});

describe('what does not match', () => {
  it('other shapes, another number of layers, other names', () => {
    for (const checkpoint of ['siren-notebook.pt', 'mlp-plain.pt', 'siren-coin.pt']) {
      const { found } = open(path.join(code, 'lightning'), path.join(inr, checkpoint));
      expect(found.found.map(({ prefix }) => prefix)).toEqual([]);
    }
  });

  it.each([
    ['coin', 'siren-notebook.pt'],
    ['notebook', 'siren-coin.pt'],
    ['jhlew', 'siren-lucidrains.pt'],
    ['dalmia', 'mlp-plain.pt'],
    ['nerf', 'nerv.pt'],
  ])('the code of %s and %s', (folder, checkpoint) => {
    const { found } = open(path.join(code, folder), path.join(inr, checkpoint));
    expect(found.found).toEqual([]);
  });

  it('a size that contradicts itself', () => {
    const source = `
from torch import nn
class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, width), nn.Linear(width, width), nn.Linear(width, 3))
`;
    const project = projectWith({ 'net.py': source });
    const layers = (w: number) => [
      { name: 'net.0', inputs: 2, outputs: 8 },
      { name: 'net.1', inputs: 8, outputs: w },
      { name: 'net.2', inputs: w, outputs: 3 },
    ];
    const matches = (w: number) =>
      new Correspondence(project, { file: '/a.pt', layers: layers(w) }).found.length;
    expect([matches(8), matches(9)]).toEqual([1, 0]);
  });
});
