import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import type { Engine, EngineTensor } from '../../../src/engine/types';
import { CancelledError, neverCancelled, type CancelToken } from '../../../src/errors';
import { behind } from '../../../src/graph/cut';
import { coordinatesAt } from '../../../src/inr/coordinates';
import type { Inr } from '../../../src/inr/types';
import { traceInr } from '../../../src/tracing/trace';
import { isModel, openModel } from '../../../src/worker/model';
import type { NeuronRef, Params } from '../../../src/worker/protocol';
import { Service } from '../../../src/worker/service';
import { traceFile } from '../../support';

const root = path.resolve(import.meta.dirname, '../../..');
const siren = path.join(root, 'samples/pictures/checkpoints/siren.pth');
const fixture = (name: string) => path.join(root, 'test/fixtures/inr', name);

/** Without some neurons of one layer, by their indices. */
const without = (
  service: Service,
  {
    layer = 0,
    neurons = [],
    ...params
  }: Partial<Omit<Params<'without'>, 'neurons'>> & {
    layer?: number;
    neurons?: number[];
  },
  cancel = neverCancelled,
) =>
  service.call(
    'without',
    {
      trace: 'test',
      neurons: neurons.map((neuron) => ({ layer, neuron })),
      baseline: 'zero',
      ...params,
    },
    () => {},
    cancel,
  );

interface Reference {
  psnr: number;
  cases: { neurons: NeuronRef[]; baseline: 'zero' | 'mean'; psnr: number; likeness: number }[];
  alone: Record<'zero' | 'mean', number[]>;
  againstTarget: number[];
}
const reference = JSON.parse(
  readFileSync(path.join(root, 'test/fixtures/tracing/ablation.json'), 'utf8'),
) as Reference;

const removals = (service: Service, layer: number, baseline: 'zero' | 'mean', cancel = neverCancelled) =>
  service.call('removals', { trace: 'test', layer, baseline }, () => {}, cancel);

const cancelled: CancelToken = {
  cancelled: true,
  throwIfCancelled() {
    throw new CancelledError();
  },
};

describe('against NumPy (fixtures/tracing/make_ablation.py)', () => {
  it('the picture without neurons of one layer and of two has the PSNR computed there', async () => {
    const service = new Service();
    const { psnr } = await traceFile(service, siren);
    expect(psnr).toBeCloseTo(reference.psnr, 2);
    for (const { neurons, baseline, psnr: expected, likeness } of reference.cases) {
      const params = { trace: 'test', neurons, baseline };
      const found = await service.call('without', params, () => {}, neverCancelled);
      expect(found.psnr).toBeCloseTo(expected, 2);
      expect(found.likeness).toBeCloseTo(likeness, 2);
    }
  });

  it.each(['zero', 'mean'] as const)('each neuron alone, set to its %s, on all pixels', async (baseline) => {
    const service = new Service();
    await traceFile(service, siren, { size: '24x32' });
    const found = await removals(service, 2, baseline);
    expect(found).toMatchObject({ reference: 'reconstruction', sample: 768, pixels: 768 });
    for (const [i, expected] of reference.alone[baseline].entries()) {
      expect(Math.abs(found.change[i] - expected)).toBeLessThan(0.01);
      expect(found.error[i]).toBe(0);
    }
  });

  it('each neuron alone on a sample lies as close as its standard error says', async () => {
    const service = new Service();
    await traceFile(service, siren);
    const { change, error, sample, pixels, reference: of } = await removals(service, 4, 'zero');
    expect([of, pixels]).toEqual(['target', 192 * 256]);
    expect(sample).toBeLessThan(pixels);
    const off = reference.againstTarget.map((expected, i) => Math.abs(change[i] - expected) / error[i]);
    // Of 96 normal deviates about 91 lie within two.
    expect(off.filter((z) => z < 2).length).toBeGreaterThan(80);
    expect(Math.max(...off)).toBeLessThan(6);
  });
});

describe('the picture without some neurons', () => {
  // What is behind runs from the layer's affine result, or from its input; the input, changed by hand, is the judge.
  it.each([
    ['SIREN', fixture('siren-coin.pt')],
    ['Fourier features', fixture('tancik.pt')],
    ['complex Gabor', fixture('wire.pt')],
    ['multiplicative filters, whose coordinates are read again', fixture('mfn-gabor.pt')],
    ['ONNX', fixture('onnx/residual-fourier.onnx')],
    ['ONNX by channels', fixture('onnx/pixelwise.onnx')],
  ])('%s: is what the whole network paints with the activation replaced', async (_, file) => {
    const engine = onnxruntimeEngine(1);
    const source = { file, corrections: { size: '12x16' } };
    const opened = await openModel(source, engine, undefined, neverCancelled);
    if (!isModel(opened)) throw new Error(opened.message);
    const { inr } = opened;
    const trace = await traceInr(inr, engine, { memoryBudget: 2 ** 30 });
    for (const [layer, traced] of inr.layers.entries()) {
      const neurons = [0, traced.inputs - 1].map((neuron) => ({ layer, neuron }));
      const found = await trace.ablations!.picture(neurons, 'zero', 1, neverCancelled);
      const expected = await paintedWith(inr, engine, layer, [0, traced.inputs - 1]);
      const largest = Math.max(1, ...expected.map(Math.abs));
      for (const [i, value] of expected.entries()) {
        expect(Math.abs(found.values[i] - value) / largest).toBeLessThan(1e-4);
      }
    }
    trace.dispose();
  });

  /** `[H, W, C]`: activations computed, changed here, and given to what is behind. */
  async function paintedWith(inr: Inr, engine: Engine, layer: number, off: number[]): Promise<number[]> {
    const { input, inputImaginary, inputs } = inr.layers[layer];
    const values = inputImaginary ? [input, inputImaginary] : [input];
    const { height, width, channels } = inr.signal;
    const n = height * width;
    if (inr.domain.kind !== 'pixels') throw new Error('not a picture');
    const data = coordinatesAt(
      inr.domain.convention,
      height,
      width,
      Uint32Array.from({ length: n }, (_, i) => i),
    );
    const coordinates = { shape: [2, n], data };
    const [{ name }] = inr.graph.inputs;
    const front = await engine.load(inr.graph, values);
    const activations = await front.run(new Map([[name, coordinates]]));
    const graph = behind(inr.graph, values);
    const back = await engine.load(graph, [graph.output]);
    const feeds = new Map<string, EngineTensor>();
    if (graph.inputs.some((other) => other.name === name)) feeds.set(name, coordinates);
    for (const value of values) {
      const changed = activations.get(value)!.data.slice();
      for (const neuron of off) changed.fill(0, neuron * n, (neuron + 1) * n);
      feeds.set(value, { shape: [inputs, n], data: changed });
    }
    const out = (await back.run(feeds)).get(graph.output)!.data;
    await Promise.all([front.release(), back.release()]);
    return Array.from({ length: n * channels }, (_, i) => out[(i % channels) * n + Math.floor(i / channels)]);
  }

  it('hides what a wholly removed layer had before it, in whichever order they are named', async () => {
    const service = new Service();
    const { layers } = await traceFile(service, siren, { size: '24x32' });
    const all = Array.from({ length: layers[3].neurons }, (_, neuron) => ({ layer: 3, neuron }));
    const some = [1, 2].flatMap((layer) => [4, 9].map((neuron) => ({ layer, neuron })));
    const call = (neurons: NeuronRef[]) =>
      service.call('without', { trace: 'test', neurons, baseline: 'zero' }, () => {}, neverCancelled);
    const [alone, both] = [await call(all), await call([...all, ...some])];
    expect(both.picture.rgba).toEqual(alone.picture.rgba);
    expect((await call(some)).picture.rgba).not.toEqual(alone.picture.rgba);
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
    await expect(without(service, { layer: 1, neurons: [2] }, cancelled)).rejects.toThrow(CancelledError);
    await expect(removals(service, 1, 'zero', cancelled)).rejects.toThrow(CancelledError);
    await expect(without(service, { layer: 1, neurons: [1e6] })).rejects.toThrow(/no neuron 1000000/);
  });
});
