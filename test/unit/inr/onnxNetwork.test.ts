import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { neverCancelled } from '../../../src/errors';
import { Service } from '../../../src/worker/service';
import { readNpz, traceFile } from '../../support';

const folder = path.resolve(import.meta.dirname, '../../fixtures/inr/onnx');
const file = (name: string) => path.join(folder, `${name}.onnx`);

const written = mkdtempSync(path.join(tmpdir(), 'neural-canvas-'));
afterAll(() => rmSync(written, { recursive: true }));

/** Largest difference between what we paint and PyTorch's output. */
async function difference(name: string, service: Service): Promise<number> {
  const bytes = readFileSync(path.join(folder, `${name}.f32`));
  const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const maps = path.join(written, `${name}.npz`);
  await service.call('export', { trace: 'test', maps }, () => {}, neverCancelled);
  const { data, shape } = readNpz(maps).get('reconstruction')!;
  expect(data).toHaveLength(expected.length);
  expect(shape.slice(0, 2)).toEqual([12, 20]);
  return expected.reduce((worst, v, i) => Math.max(worst, Math.abs(v - data[i])), 0);
}

describe('a coordinate network in an ONNX file', () => {
  it.each([
    ['siren', ['0', '2', '4'], ['sine', 'sine', 'identity'], 'none'],
    ['siren-fixed', ['0', '2', '4'], ['sine', 'sine', 'identity'], 'none'],
    ['residual-fourier', ['lift', 'block', 'join', 'colour'], ['relu', 'gelu', 'tanh', 'sigmoid'], 'Fourier'],
    [
      'residual-fourier-grid',
      ['lift', 'block', 'join', 'colour'],
      ['relu', 'gelu', 'tanh', 'sigmoid'],
      'Fourier',
    ],
    ['filters', ['first', 'mix', 'second', 'out'], ['sine', 'identity', 'sine', 'identity'], 'none'],
    ['pixelwise', ['layers.0', 'layers.2', 'layers.4'], ['swish', 'leaky-relu', 'identity'], 'none'],
  ])(
    '%s paints what PyTorch paints, and its layers are traced',
    async (name, layers, activations, encoding) => {
      const service = new Service();
      const { inspection, completeness } = await traceFile(service, file(name), { size: '12x20' });
      expect(inspection.layers.map((layer) => layer.name)).toEqual(layers);
      expect(inspection.layers.map((layer) => layer.activation)).toEqual(activations);
      expect(inspection.encoding).toContain(encoding);
      expect(await difference(name, service)).toBeLessThan(1e-4);
      expect(completeness.largest).toBeLessThan(1e-4);
    },
  );

  it('takes the picture size from an input of fixed size', async () => {
    const grid = await traceFile(new Service(), file('residual-fourier-grid'));
    expect(grid.inspection.signal).toMatchObject({ height: 12, width: 20 });
    const list = await traceFile(new Service(), file('siren-fixed'));
    expect(list.inspection.signal).toMatchObject({ height: 16, width: 16 });
  });

  it.each([
    ['two-inputs', /2 inputs/],
    ['classifier', /its output is \[1, 10\]/],
    ['latent', /its output is \[P, 64\]/],
  ])('%s is refused with what is missing', async (name, message) => {
    await expect(traceFile(new Service(), file(name))).rejects.toThrow(message);
  });
});
