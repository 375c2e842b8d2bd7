/** Kernels of small decoders against PyTorch, one literal map after another (test/fixtures/video/make.py). */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { CancelledError, neverCancelled, UsageError } from '../../../src/errors';
import type { Inr } from '../../../src/inr/types';
import { FrameRunner } from '../../../src/tracing/video/runner';
import { traceFrame, type VideoTrace } from '../../../src/tracing/video/trace';
import { inspectModel, isModel } from '../../../src/worker/model';
import { readNpz } from '../../support';

const fixtures = path.resolve(import.meta.dirname, '../../fixtures/video');
const engine = onnxruntimeEngine(1);
const options = { memoryBudget: 2 ** 28, cancel: neverCancelled };

function open(file: string): Inr {
  const model = inspectModel({ file, corrections: {} });
  if (!isModel(model)) throw new Error(model.message);
  return model.inr;
}

describe.each([
  ['hnerv-mode', 2],
  ['nerv', 3],
  ['even', 1],
  ['nerv-batch', 1],
  ['nerv-instance', 1],
  ['nerv-scaled', 1],
  ['hnerv-batch', 1],
] as const)('%s', (name, frame) => {
  const inr = open(path.join(fixtures, `${name}.pt`));
  const { height, width } = inr.signal;
  const expected = readNpz(path.join(fixtures, `${name}.npz`));
  const pixels = expected.get('pixels')!.data;
  let trace: VideoTrace;
  beforeAll(async () => {
    trace = await traceFrame(inr, engine, { ...options, frame });
  });
  afterAll(() => trace.dispose());

  it('paints what PyTorch paints', () => {
    const { data, shape } = expected.get('prediction')!;
    expect(shape).toEqual([height, width, 3]);
    const far = trace.reconstruction.findIndex((v, k) => !(Math.abs(v - data[k]) <= 1e-5));
    expect(far).toBe(-1);
  });

  it('gives the maps and sums of every kernel of every layer', async () => {
    expect(trace.layers.map((layer) => layer.name)).toEqual(inr.layers.map((layer) => layer.name));
    for (const [index, layer] of trace.layers.entries()) {
      const { data, shape } = expected.get(layer.name)!;
      const { inputs, outputs } = layer.convolution!;
      expect(shape).toEqual([inputs, outputs, pixels.length]);
      const largest = Math.max(...layer.statistics.max);
      expect(largest).toBeGreaterThan(0);
      let neuron = 0;
      let worst = 0;
      for await (const map of trace.maps(index)) {
        for (const [k, pixel] of pixels.entries()) {
          worst = Math.max(worst, Math.abs(map[pixel] - data[neuron * pixels.length + k]));
        }
        neuron++;
      }
      expect(neuron).toBe(inputs * outputs);
      expect(worst, layer.name).toBeLessThanOrEqual(1e-5 * largest);
      const sums = expected.get(`${layer.name}:sums`)!.data;
      for (const [k, sum] of sums.entries()) {
        expect(Math.abs(sum - layer.statistics.total[k])).toBeLessThanOrEqual(1e-4 * Math.max(...sums));
      }
    }
  });

  it('counts shares, pixels, means and thresholds as their definitions say', async () => {
    for (const [index, layer] of trace.layers.entries()) {
      const maps: Float32Array[] = [];
      for await (const map of trace.maps(index)) maps.push(map.slice());
      const area = height * width;
      const together = new Float64Array(area);
      for (const map of maps) map.forEach((v, p) => (together[p] += Math.abs(v)));
      const { statistics: s, neuronsPerPixel } = layer;
      expect(s.share.reduce((a, b) => a + b)).toBeCloseTo(1, 6);
      const { threshold } = neuronsPerPixel[0];
      let above = 0;
      for (const [i, map] of maps.entries()) {
        const fair = map.reduce((n, v, p) => n + (Math.abs(v) * maps.length > together[p] ? 1 : 0), 0);
        expect(Math.abs(s.pixels[i] - fair)).toBeLessThanOrEqual(1);
        expect(Math.abs(s.signedMean[i] - map.reduce((a, b) => a + b, 0) / area)).toBeLessThan(1e-5);
        expect(s.max[i]).toBe(map.reduce((a, b) => Math.max(a, Math.abs(b)), 0));
        above += map.reduce((n, v) => n + (Math.abs(v) > threshold ? 1 : 0), 0);
      }
      expect(neuronsPerPixel[0].mean).toBeCloseTo(above / (area * maps.length), 3);
      const heat = await trace.neuronsPerPixel(index, 0.1);
      expect(heat.data.reduce((a, b) => a + b) / area).toBeCloseTo(above / (area * maps.length), 5);
      const other = await trace.neuronsPerPixel(index, 0.5);
      expect(other.data.reduce((a, b) => a + b) / area).toBeCloseTo(neuronsPerPixel[1].mean, 3);
    }
  });

  it('adds up: kernels of a block make what follows it', () => {
    const { layers = [], layer, largest } = trace.completeness;
    expect(layer).toBe(inr.layers.at(-1)!.name);
    expect(largest).toBeLessThan(1e-5);
    expect(layers.map((each) => each.layer).sort()).toEqual(inr.layers.map((each) => each.name).sort());
    for (const each of layers) expect(each.largest).toBeLessThan(1e-5);
  });

  it('probes a pixel with the values of the maps', async () => {
    const [row, column] = [height - 1, 5];
    const probe = await trace.probe(row, column, 4);
    for (const { layer, top } of probe.layers) {
      for (const { neuron, contribution } of top) {
        const { data } = await trace.map({ layer, neuron });
        expect(contribution).toBeCloseTo(data[row * width + column], 5);
      }
      let strongest = 0;
      for await (const map of trace.maps(layer)) {
        strongest = Math.max(strongest, Math.abs(map[row * width + column]));
      }
      expect(Math.abs(top[0].contribution)).toBeCloseTo(strongest, 5);
    }
  });

  it('sums kernels, and previews channels as sums of them', async () => {
    const index = 1;
    const { convolution, channelPreviews } = trace.layers[index];
    const neurons = Array.from({ length: convolution!.outputs }, (_, o) => convolution!.outputs + o);
    const { data } = await trace.sum(index, neurons);
    // The frame is smaller than a preview, so a preview is the map.
    const { inputs } = channelPreviews!;
    expect([inputs.height, inputs.width]).toEqual([height, width]);
    const size = height * width;
    for (let p = 0; p < size; p++) {
      const shown = ((inputs.data[size + p] - 128) / 127) * inputs.limit[1];
      expect(Math.abs(shown - data[p])).toBeLessThanOrEqual(inputs.limit[1] / 120);
    }
  });

  it('paints without kernels what the network paints with those weights at zero', async () => {
    const index = 0;
    const layer = inr.layers[index];
    const neurons = [1, layer.outputs + 2];
    const refs = neurons.map((neuron) => ({ layer: index, neuron }));
    const size = layer.weight.length / (layer.inputs * layer.outputs);
    const weight = layer.weight.slice();
    for (const neuron of neurons) {
      const [i, o] = [Math.floor(neuron / layer.outputs), neuron % layer.outputs];
      weight.fill(0, (o * layer.inputs + i) * size, (o * layer.inputs + i + 1) * size);
    }
    const constants = new Map(inr.graph.constants);
    for (const [key, constant] of constants) {
      if (constant.data === layer.weight) constants.set(key, { ...constant, data: weight });
    }
    const changed = new FrameRunner({ ...inr, graph: { ...inr.graph, constants } }, engine);
    const wanted = await changed.picture(frame);
    changed.release();
    const { values } = await trace.without(refs, 'zero', 1, neverCancelled);
    expect(wanted.findIndex((v, k) => Math.abs(v - values[k]) > 1e-5)).toBe(-1);
    expect(values.findIndex((v, k) => Math.abs(v - trace.reconstruction[k]) > 1e-4)).not.toBe(-1);
    const coarse = await trace.without(refs, 'zero', 2, neverCancelled);
    expect([coarse.height, coarse.width]).toEqual([height / 2, width / 2]);
    expect(coarse.values[3]).toBe(values[6]);
  });

  if (expected.has('without:zero')) {
    it('paints without a normalised kernel what PyTorch paints', async () => {
      const kernel = { layer: 0, neuron: inr.layers[0].outputs + 2 };
      for (const baseline of ['zero', 'mean'] as const) {
        const { values } = await trace.without([kernel], baseline, 1, neverCancelled);
        const { data } = expected.get(`without:${baseline}`)!;
        expect(values.findIndex((v, k) => !(Math.abs(v - data[k]) <= 1e-5))).toBe(-1);
        expect(values.findIndex((v, k) => Math.abs(v - trace.reconstruction[k]) > 1e-4)).not.toBe(-1);
      }
    });
  }

  it('puts the mean of an input in the place of a kernel', async () => {
    const head = inr.layers.at(-1)!;
    const index = trace.layers.length - 1;
    const [input, output] = [1, 2];
    const neuron = input * head.outputs + output;
    const runner = new FrameRunner(inr, engine);
    const x = (await runner.run(frame, [head.input])).get(head.input)!.data;
    runner.release();
    const area = height * width;
    const mean = x.subarray(input * area, (input + 1) * area).reduce((a, b) => a + b) / area;
    const size = head.weight.length / (head.inputs * head.outputs);
    const from = (output * head.inputs + input) * size;
    const weight = head.weight.subarray(from, from + size).reduce((a, b) => a + b);
    const own = (await trace.map({ layer: index, neuron })).data;
    const { values } = await trace.without([{ layer: index, neuron }], 'mean', 1, neverCancelled);
    const pixel = Math.floor(height / 2) * width + Math.floor(width / 2);
    const affine = (v: number) => Math.atanh(2 * v - 1);
    const at = 3 * pixel + output;
    const instead = mean * weight + head.bias![output] / head.inputs;
    expect(affine(values[at])).toBeCloseTo(affine(trace.reconstruction[at]) - own[pixel] + instead, 4);
    expect(values[at - 1]).toBeCloseTo(trace.reconstruction[at - 1], 6);
  });
});

describe('a frame', () => {
  const inr = open(path.join(fixtures, 'nerv.pt'));

  it('that the video does not have is refused', async () => {
    await expect(traceFrame(inr, engine, { ...options, frame: 5 })).rejects.toThrow(UsageError);
    await expect(traceFrame(inr, engine, { ...options, frame: -1 })).rejects.toThrow(/from 0 to 4/);
  });

  it('is traced no further once cancelled', async () => {
    const cancel = {
      cancelled: true,
      throwIfCancelled() {
        throw new CancelledError();
      },
    };
    await expect(traceFrame(inr, engine, { ...options, frame: 1, cancel })).rejects.toThrow(CancelledError);
  });

  it('is traced for the layers asked for', async () => {
    const trace = await traceFrame(inr, engine, { ...options, frame: 1, layers: ['layers.1.conv.conv'] });
    expect(trace.layers.map(({ name }) => name)).toEqual(['layers.1.conv.conv']);
    expect(trace.completeness.largest).toBeNaN();
    trace.dispose();
  });
});
