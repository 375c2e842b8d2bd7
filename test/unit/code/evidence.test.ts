/** What training code says about a checkpoint, and how it fares against other evidence. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { trainingEvidence } from '../../../src/code/evidence';
import { openModel, isModel, inspectModel, readTrainingCode } from '../../../src/worker/model';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { neverCancelled } from '../../../src/errors';
import { readTarget } from '../../../src/worker/target';
import { layersOf, projectOf, projectWith, samples, tests } from './project';

const code = path.join(tests, 'fixtures/code');
const inr = path.join(tests, 'fixtures/inr');

const said = (folder: string, checkpoint: string) =>
  Object.fromEntries(
    trainingEvidence(projectOf(folder), layersOf(checkpoint)).map(({ name, value }) => [name, value]),
  );

describe('constants, activations and coordinates read from code', () => {
  it.each([
    [
      'official',
      'siren-official.pt',
      { activation: 'sine', omega0: 30, hiddenOmega: 30, coords: 'rc-per-side', range: '-1..1' },
    ],
    ['notebook', 'siren-notebook.pt', { activation: 'sine', omega0: 25, hiddenOmega: 25 }],
    [
      'lucidrains',
      'siren-lucidrains-wrapper.pt',
      { omega0: 30, hiddenOmega: 1, finalActivation: 'sigmoid', coords: 'rc-per-side' },
    ],
    [
      'coin',
      'siren-coin.pt',
      { omega0: 30, hiddenOmega: 30, finalActivation: 'identity', coords: 'rc-height' },
    ],
    ['jhlew', 'siren-jhlew.pt', { omega0: 30, hiddenOmega: 1 }],
    ['dalmia', 'siren-dalmia.pt', { omega0: 30, hiddenOmega: 1, coords: 'rc-per-side-01-open' }],
    ['wire', 'gaussian-wire.pt', { activation: 'gaussian', coords: 'xy-per-side' }],
    ['xinc', 'xinc-fourier.pt', { coords: 'rc-longest' }],
  ])('%s', (folder, checkpoint, expected) => {
    expect(said(path.join(code, folder), path.join(inr, checkpoint))).toMatchObject(expected);
  });

  it('the samples, whose two networks have coordinates of their own', () => {
    const folder = path.join(samples, 'pictures');
    expect(said(folder, path.join(folder, 'checkpoints/siren.pth'))).toMatchObject({
      omega0: 30,
      hiddenOmega: 30,
      coords: 'rc-per-side',
      range: '-1..1',
    });
    expect(said(folder, path.join(folder, 'checkpoints/fourier.pth'))).toMatchObject({
      activation: 'relu',
      coords: 'rc-longest',
      range: '0..1',
    });
  });

  it('names the line and the argument', () => {
    const evidence = trainingEvidence(
      projectOf(path.join(code, 'notebook')),
      layersOf(path.join(inr, 'siren-notebook.pt')),
    );
    expect(evidence.find(({ name }) => name === 'omega0')).toMatchObject({
      source: 'training code',
      detail: 'siren.py:39 first_omega_0=25',
    });
  });

  it('says nothing of other networks, nor where code contradicts itself', () => {
    expect(said(path.join(code, 'notebook'), path.join(inr, 'siren-coin.pt'))).toEqual({});
    const grid = (indexing: string) => `
import torch
def grid_${indexing}(h, w):
    return torch.stack(torch.meshgrid(torch.linspace(-1, 1, ${indexing === 'xy' ? 'w' : 'h'}), torch.linspace(-1, 1, ${indexing === 'xy' ? 'h' : 'w'}), indexing="${indexing}"), -1).reshape(-1, 2)
`;
    const net = readFileSync(path.join(code, 'notebook/siren.py'), 'utf8');
    const coords = (files: Readonly<Record<string, string>>) =>
      trainingEvidence(projectWith(files), layersOf(path.join(inr, 'siren-notebook.pt'))).find(
        ({ name }) => name === 'coords',
      )?.value;
    expect(coords({ 'net.py': net, 'a.py': grid('xy') })).toBe('xy-per-side');
    expect(coords({ 'net.py': net, 'a.py': grid('xy'), 'b.py': grid('ij') })).toBeUndefined();
  });
});

describe('beside a checkpoint', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-code-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const checkpoints = path.join(folder, 'project/runs/one');
  mkdirSync(checkpoints, { recursive: true });
  const file = path.join(checkpoints, 'siren-notebook.pt');
  copyFileSync(path.join(inr, 'siren-notebook.pt'), file);
  copyFileSync(path.join(code, 'notebook/siren.py'), path.join(folder, 'project/siren.py'));

  it('two folders up, it is named as the source', async () => {
    const source = { file, corrections: {} };
    await readTrainingCode(source);
    const opened = inspectModel(source);
    if (!isModel(opened)) throw new Error(opened.message);
    const omega = opened.inspection.assumptions.find(({ name }) => name === 'omega0');
    expect(omega).toMatchObject({
      value: 25,
      source: 'training code',
      detail: 'siren.py:39 first_omega_0=25',
    });
  });

  it('it loses against a picture that says otherwise', async () => {
    const project = path.join(folder, 'cat');
    const pictures = path.join(samples, 'pictures');
    mkdirSync(project);
    copyFileSync(path.join(pictures, 'checkpoints/fourier.pth'), path.join(project, 'fourier.pth'));
    const models = readFileSync(path.join(pictures, 'models.py'), 'utf8');
    const stale = models.replace(
      'torch.cartesian_prod(torch.arange(height), torch.arange(width)) / longest - 1',
      'torch.cartesian_prod(torch.arange(height), torch.arange(width)).flip(1) / longest - 1',
    );
    expect(stale).not.toBe(models);
    writeFileSync(path.join(project, 'models.py'), stale);
    const source = { file: path.join(project, 'fourier.pth'), corrections: {} };
    await readTrainingCode(source);
    const coords = (opened: Awaited<ReturnType<typeof openModel>>) => {
      if (!isModel(opened)) throw new Error(opened.message);
      return opened.inspection.assumptions.find(({ name }) => name === 'coords');
    };
    expect(coords(inspectModel(source))).toMatchObject({ value: 'xy-longest', source: 'training code' });
    const target = { name: 'target.png', picture: readTarget(path.join(pictures, 'target.png')) };
    const opened = await openModel(source, onnxruntimeEngine(), target, neverCancelled);
    expect(coords(opened)).toMatchObject({ value: 'rc-longest', source: 'target' });
  });

  it('broken and hostile code is no evidence and no error', async () => {
    writeFileSync(path.join(folder, 'project/broken.py'), `class A(nn.Module:\n${'('.repeat(20_000)}\0`);
    writeFileSync(
      path.join(folder, 'project/endless.py'),
      'def f(n):\n    return f(n + 1) + f(n + 2)\nwhile True: f(1)\nx = 9 ** 9 ** 9\n',
    );
    const source = { file, corrections: {} };
    await readTrainingCode(source);
    const opened = inspectModel(source);
    if (!isModel(opened)) throw new Error(opened.message);
    expect(opened.inspection.assumptions.find(({ name }) => name === 'omega0')).toMatchObject({ value: 25 });
  });
});
