/** The search for what a file does not say: with a picture the right hypothesis must win. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { fileSource } from '../../../src/checkpoint/source';
import { searchHypotheses, type SearchOptions } from '../../../src/inr/hypotheses';
import type { Target } from '../../../src/inr/inside';
import { evaluate, largestDifference, prediction, reconstruct, targetFrom } from './run';

const fixtures = path.join(import.meta.dirname, '../../fixtures/inr');
const shared = path.join(import.meta.dirname, '../../../../shared/data');

async function search(file: string, options: SearchOptions, corrections: Record<string, string> = {}) {
  const checkpoint = openCheckpoint(fileSource(file));
  const context = { sidecars: [], corrections: new Map(Object.entries(corrections)) };
  const found = await searchHypotheses(checkpoint, context, evaluate, options);
  if (!found.recognised) throw new Error(found.seen);
  return { ...found, value: (name: string) => found.inr.assumptions.find((a) => a.name === name) };
}

interface Fixture {
  readonly name: string;
  readonly file: string;
  readonly size: string;
  readonly channels: number;
}
const index = JSON.parse(readFileSync(path.join(fixtures, 'index.json'), 'utf8')) as Fixture[];

/** What PyTorch painted, as a picture shown from black to white; and the values themselves. */
function painted(name: string, black: number, white: number) {
  const fixture = index.find((each) => each.name === name)!;
  const values = new Float32Array(new Uint8Array(readFileSync(path.join(fixtures, `${name}.f32`))).buffer);
  const [height, width] = fixture.size.split('x').map(Number);
  const data = values.map((value) => Math.min(1, Math.max(0, (value - black) / (white - black))));
  const target: Target = { height, width, channels: fixture.channels, data };
  return { file: path.join(fixtures, fixture.file), target, values };
}

describe('with a target picture', () => {
  it.each([
    ['siren-coin', 0, 1, { coords: 'rc-height', omega0: 30, size: '12x20' }],
    ['siren-notebook', -1, 1, { activation: 'sine', coords: 'rc-per-side', range: '-1..1' }],
    ['siren-notebook-sine-last', -1, 1, { finalActivation: 'sine' }],
    ['official-relu', -1, 1, { activation: 'relu' }],
    ['siren-lucidrains-wrapper', 0, 1, { finalActivation: 'sigmoid' }],
    ['gaussian-wire', 0, 1, { activation: 'gaussian', coords: 'xy-per-side', scale: 10 }],
    ['finer', -1, 1, { activation: 'finer', range: '-1..1' }],
    ['posenc-wire', 0, 1, { encoding: 'interleaved', frequencyFactor: 'pi', coords: 'xy-per-side' }],
    ['pemlp-finer', 0, 1, { encoding: 'nerf', frequencyFactor: '1' }],
    ['tancik', 0, 1, { finalActivation: 'sigmoid', coords: 'xy-per-side-01-open' }],
    ['tancik-transposed', 0, 1, { finalActivation: 'sigmoid', coords: 'rc-per-side' }],
    ['coordinate-mlps-expsin', 0, 1, {}],
    ['wire', 0, 1, { coords: 'xy-per-side' }],
    ['mfn-gabor', -1, 1, { coords: 'rc-per-side' }],
    ['bacon', 0, 1, { outputLayer: 4, coordScale: 0.5 }],
  ] as const)('%s', async (name, black, white, expected) => {
    const { file, target, values } = painted(name, black, white);
    const found = await search(file, { target, targetName: 'painted.png' });
    for (const [setting, value] of Object.entries(expected)) {
      expect([setting, found.value(setting)?.value]).toEqual([setting, value]);
    }
    expect(largestDifference(await reconstruct(found.inr), values)).toBeLessThan(1e-3);
    expect(found.tied).toEqual([]);
    expect(found.ranked[0].psnr).toBeGreaterThan(35);
    for (let i = 1; i < found.ranked.length; i++) {
      expect(found.ranked[i].psnr).toBeLessThanOrEqual(found.ranked[i - 1].psnr!);
    }
  });

  it('uses the picture inside the file when none is given', async () => {
    const { file, values } = painted('finer', -1, 1);
    const found = await search(file, {});
    expect(found.inr.family).toBe('finer');
    expect(found.value('activation')).toMatchObject({
      source: 'target',
      detail: expect.stringContaining('pred_img') as string,
    });
    expect(largestDifference(await reconstruct(found.inr), values)).toBeLessThan(1e-3);
  });

  it('does not overrule the person', async () => {
    const { file, target } = painted('siren-coin', 0, 1);
    const found = await search(file, { target }, { coords: 'xy-per-side', omega0: '20' });
    expect(found.value('coords')).toMatchObject({ value: 'xy-per-side', source: 'correction' });
    expect(found.value('omega0')).toMatchObject({ value: 20, source: 'correction' });
  });

  it('claims nothing when no hypothesis paints the target', async () => {
    const { file, target } = painted('siren-coin', 0, 1);
    const noise = target.data.map((_, i) => (i * 7919) % 2);
    const found = await search(file, { target: { ...target, data: noise } });
    expect(found.value('coords')!.confidence).toBeLessThan(0.8);
    expect(found.tied.length).toBeGreaterThan(1);
  });
});

describe('without a target', () => {
  it('reads the range off the outputs', async () => {
    const { file } = painted('siren-lucidrains', 0, 1);
    const found = await search(file, {}, { size: '12x20' });
    expect(found.value('range')).toMatchObject({
      source: 'inferred',
      detail: expect.stringMatching(/outputs lie/) as string,
    });
  });

  it('takes the order of features that paints no noise', async () => {
    const folder = path.join(import.meta.dirname, '../../fixtures/unseen/sample/44-sines_then_cosines');
    const found = await search(path.join(folder, 'model.pth'), {}, { size: '20x28' });
    expect(found.value('encoding')).toMatchObject({ value: 'sin-cos', source: 'inferred' });
    expect(found.value('frequencyFactor')).toMatchObject({ value: '1', source: 'inferred' });
    expect(found.value('encoding')?.detail).toMatch(/fine detail/);
    const painted = new Float32Array(new Uint8Array(readFileSync(path.join(folder, 'expected.f32'))).buffer);
    expect(largestDifference(await reconstruct(found.inr), painted)).toBeLessThan(1e-3);
  });

  it('offers two to four pictures to choose from, the transposed one among them', async () => {
    const { file } = painted('siren-notebook', -1, 1);
    const found = await search(file, {});
    expect(found.tied.length).toBeGreaterThanOrEqual(2);
    expect(found.tied.length).toBeLessThanOrEqual(4);
    expect(found.tied.map(({ values }) => values.coords)).toEqual(
      expect.arrayContaining(['rc-per-side', 'xy-per-side']),
    );
  });
});

describe.skipIf(!existsSync(shared))('shared checkpoints with their pictures and no other hint', () => {
  it.each([
    ['coin-kodim15', 'best_model_15.pt', 'kodim15.png'],
    ['wire-kodim05', 'wire_kodim05.pth', 'kodim05.png'],
  ])('%s', async (folder, file, picture) => {
    const at = (name: string) => path.join(shared, folder, name);
    const { inr } = await search(at(file), { target: targetFrom(at(picture)), targetName: picture });
    expect(inr.assumptions.filter(({ confidence }) => confidence < 0.8)).toEqual([]);
    expect(largestDifference(await reconstruct(inr), prediction(folder))).toBeLessThan(1e-3);
  });
});
