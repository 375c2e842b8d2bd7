import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { CancelledError, neverCancelled, type CancelToken } from '../../../src/errors';
import type { Params } from '../../../src/worker/protocol';
import { Service } from '../../../src/worker/service';
import { traceFile } from '../../support';

const root = path.resolve(import.meta.dirname, '../../..');
const siren = path.join(root, 'samples/pictures/checkpoints/siren.pth');
const fixture = (name: string) => path.join(root, 'test/fixtures/inr', name);

const without = (service: Service, params: Partial<Params<'without'>>, cancel = neverCancelled) =>
  service.call(
    'without',
    { trace: 'test', layer: 0, neurons: [], baseline: 'zero', ...params },
    () => {},
    cancel,
  );

describe('the picture without some neurons', () => {
  it.each([
    ['SIREN', fixture('siren-coin.pt')],
    ['Fourier features', fixture('tancik.pt')],
    ['complex Gabor', fixture('wire.pt')],
    ['multiplicative filters, whose coordinates are read again', fixture('mfn-gabor.pt')],
    ['ONNX', fixture('onnx/residual-fourier.onnx')],
    ['ONNX by channels', fixture('onnx/pixelwise.onnx')],
  ])('%s: none taken away changes nothing, at any layer', async (_, file) => {
    const service = new Service();
    const { layers } = await traceFile(service, file, { size: '24x32' });
    for (const layer of layers.keys()) {
      const { likeness } = await without(service, { layer });
      expect(likeness).toBeGreaterThan(100);
    }
  });

  // On the last layer nothing but the sum is behind: what is missing is the neuron's map, by channel.
  it.each([
    ['SIREN', fixture('siren-coin.pt')],
    ['ONNX', fixture('onnx/siren.onnx')],
  ])('%s: on the last layer it lacks exactly the neurons’ maps', async (_, file) => {
    const service = new Service();
    const { layers, inspection } = await traceFile(service, file, { size: '16x24' });
    const { range } = Object.fromEntries(inspection.assumptions.map(({ name, value }) => [name, value]));
    const [black, white] = String(range).split('..').map(Number);
    const last = layers.length - 1;
    const neurons = [1, 4];
    const { picture } = await without(service, { layer: last, neurons });
    const whole = await without(service, { layer: last });
    for (let channel = 0; channel < inspection.signal.channels; channel++) {
      const taken = new Float32Array(picture.width * picture.height);
      for (const neuron of neurons) {
        const map = await service.call(
          'map',
          { trace: 'test', neuron: { layer: last, neuron }, channel },
          () => {},
          neverCancelled,
        );
        map.data.forEach((v, p) => (taken[p] += v));
      }
      const rest: number[] = [];
      for (let p = 0; p < taken.length; p++) {
        const [before, after] = [whole.picture.rgba[4 * p + channel], picture.rgba[4 * p + channel]];
        if (before === 0 || before === 255 || after === 0 || after === 255) continue;
        rest.push(before - after - (255 * taken[p]) / (white - black));
      }
      // The bias stays in the picture, while maps hold their share of it: a constant.
      expect(rest.length).toBeGreaterThan(20);
      expect(Math.max(...rest) - Math.min(...rest)).toBeLessThan(2.01);
    }
  });

  it('is small where asked, at the same pixels', async () => {
    const service = new Service();
    await traceFile(service, siren);
    const neurons = [0, 3, 5];
    const whole = await without(service, { layer: 2, neurons });
    const small = await without(service, { layer: 2, neurons, side: 64 });
    expect([small.picture.width, small.picture.height]).toEqual([64, 48]);
    for (let row = 0; row < 48; row++) {
      for (let column = 0; column < 64; column++) {
        for (let c = 0; c < 3; c++) {
          const expected = whole.picture.rgba[4 * (row * 4 * whole.picture.width + column * 4) + c];
          expect(Math.abs(small.picture.rgba[4 * (row * 64 + column) + c] - expected)).toBeLessThanOrEqual(1);
        }
      }
    }
  });

  it('costs PSNR, less when neurons keep their mean', async () => {
    const service = new Service();
    const { psnr } = await traceFile(service, siren);
    const zero = await without(service, { layer: 3, neurons: [0, 1, 2, 3] });
    expect(zero.psnrBefore).toBeCloseTo(psnr!, 6);
    expect(zero.psnr).toBeLessThan(psnr! - 1);
    const mean = await without(service, { layer: 3, neurons: [0, 1, 2, 3], baseline: 'mean' });
    expect(mean.psnr).not.toBe(zero.psnr);
  });

  it('is the same from memory and recomputed', async () => {
    const [kept, streamed] = [new Service(), new Service()];
    await traceFile(kept, siren);
    await traceFile(streamed, siren, {}, { memoryBudget: 0 });
    const a = await without(kept, { layer: 1, neurons: [2], baseline: 'mean' });
    const b = await without(streamed, { layer: 1, neurons: [2], baseline: 'mean' });
    expect(b.likeness).toBeCloseTo(a.likeness, 2);
  });

  it('stops when cancelled, and refuses a neuron that is not there', async () => {
    const service = new Service();
    await traceFile(service, siren);
    const cancel: CancelToken = {
      cancelled: true,
      throwIfCancelled() {
        throw new CancelledError();
      },
    };
    await expect(without(service, { layer: 1, neurons: [2] }, cancel)).rejects.toThrow(CancelledError);
    await expect(without(service, { layer: 1, neurons: [1e6] })).rejects.toThrow(/no neuron 1000000/);
  });
});
