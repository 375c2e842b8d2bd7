/** Channels of small decoders by `gradient` and `ablation`, against PyTorch (test/fixtures/video/make_channels.py). */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { CancelledError, neverCancelled, UsageError } from '../../../src/errors';
import type { Baseline } from '../../../src/tracing/ablation';
import type { Trace } from '../../../src/tracing/trace';
import type { Method } from '../../../src/tracing/types';
import { traceFrame } from '../../../src/tracing/video/trace';
import { inspectModel, isModel } from '../../../src/worker/model';
import { readNpz } from '../../support';

const fixtures = path.resolve(import.meta.dirname, '../../fixtures/video');
const expected = readNpz(path.join(fixtures, 'channels.npz'));
const engine = onnxruntimeEngine(1);
const STEP = 7;

const open = (name: string) => {
  const model = inspectModel({ file: path.join(fixtures, `${name}.pt`), corrections: {} });
  if (!isModel(model)) throw new Error(model.message);
  return model.inr;
};
const options = { memoryBudget: 2 ** 26, cancel: neverCancelled };

describe.each([
  ['nerv', 3],
  ['hnerv-mode', 2],
  ['nerv-scaled', 1],
] as const)('%s', (name, frame) => {
  const inr = open(name);
  const pixels = inr.signal.height * inr.signal.width;

  describe.each<[Method, Baseline, string]>([
    ['gradient', 'zero', 'gradient'],
    ['ablation', 'zero', 'zero'],
    ['ablation', 'mean', 'mean'],
  ])('by %s, %s', (method, baseline, key) => {
    let trace: Trace;
    beforeAll(async () => {
      trace = await traceFrame(inr, engine, { ...options, frame, method, baseline });
    });
    afterAll(() => trace.dispose());

    it('has the maps and totals of every channel', async () => {
      expect(trace.layers.map((layer) => layer.neurons)).toEqual(inr.layers.map(({ inputs }) => inputs));
      for (const [index, layer] of trace.layers.entries()) {
        const { data, shape } = expected.get(`${name}:${layer.name}:${key}`)!;
        const [channels, places, colours] = shape;
        expect([channels, places]).toEqual([layer.neurons, Math.ceil(pixels / STEP)]);
        const largest = Math.max(...layer.statistics.max);
        let worst = 0;
        let neuron = 0;
        for await (const map of trace.maps(index)) {
          const total = map.reduce((sum, v) => sum + Math.abs(v), 0);
          expect(total).toBeCloseTo(layer.statistics.total[neuron], 3);
          for (let k = 0; k < places; k++) {
            const from = (neuron * places + k) * colours;
            const sum = data.slice(from, from + colours).reduce((a, b) => a + b, 0);
            worst = Math.max(worst, Math.abs(map[k * STEP] - sum));
          }
          neuron++;
        }
        expect(worst, layer.name).toBeLessThan(1e-4 * largest);
        const green = (await trace.map({ layer: index, neuron: 1 }, 1)).data;
        const far = (k: number) => Math.abs(green[k * STEP] - data[(places + k) * colours + 1]);
        expect(Math.max(...Array.from({ length: places }, (_, k) => far(k)))).toBeLessThan(1e-4 * largest);
      }
    });

    it('probes, sums and hands over what the maps say', async () => {
      const [row, column] = [2, 5];
      const probe = await trace.probe(row, column, 3);
      expect(probe.layers).toHaveLength(trace.layers.length);
      for (const { layer, top } of probe.layers) {
        for (const { neuron, contribution } of top) {
          const { data } = await trace.map({ layer, neuron });
          expect(contribution).toBeCloseTo(data[row * inr.signal.width + column], 6);
        }
      }
      const [a, b] = [0, 1].map((neuron) => trace.map({ layer: 1, neuron }));
      const both = (await trace.sum(1, [0, 1])).data;
      const parts = [(await a).data, (await b).data];
      expect(both.every((v, p) => Math.abs(v - parts[0][p] - parts[1][p]) < 1e-6)).toBe(true);
    });
  });

  it('paints without channels of two layers what PyTorch paints', async () => {
    const trace = await traceFrame(inr, engine, { ...options, frame, method: 'ablation' });
    const last = inr.layers.length - 1;
    const neurons = [0, 2].filter((neuron) => neuron < inr.layers[last].inputs);
    const refs = [{ layer: 0, neuron: 1 }, ...neurons.map((neuron) => ({ layer: last, neuron }))];
    const { values } = await trace.without(refs, 'mean', 1, neverCancelled);
    const { data } = expected.get(`${name}:pair`)!;
    expect(values.findIndex((v, k) => !(Math.abs(v - data[k]) < 1e-5))).toBe(-1);
    const coarse = await trace.without(refs, 'mean', 2, neverCancelled);
    expect(coarse.values[3]).toBe(values[6]);
    await expect(trace.without([{ layer: 0, neuron: 99 }], 'zero', 1, neverCancelled)).rejects.toThrow(
      RangeError,
    );
    trace.dispose();
  });
});

it('gives the same maps from memory and computed again', async () => {
  const inr = open('nerv');
  const small =
    4 * Math.max(...inr.layers.map(({ inputs }) => inputs)) * inr.signal.height * inr.signal.width;
  const traces = await Promise.all(
    [2 ** 26, small].map((memoryBudget) =>
      traceFrame(inr, engine, { ...options, memoryBudget, frame: 1, method: 'gradient' }),
    ),
  );
  for (const [index] of inr.layers.entries()) {
    const [a, b] = await Promise.all(traces.map((trace) => trace.map({ layer: index, neuron: 1 })));
    expect(b.data).toEqual(a.data);
  }
  await expect(
    traceFrame(inr, engine, { ...options, memoryBudget: small - 1, frame: 1, method: 'gradient' }),
  ).rejects.toThrow(UsageError);
  for (const trace of traces) trace.dispose();
});

it('answers questions that are under way at once as it does one by one', async () => {
  const inr = open('nerv');
  const trace = await traceFrame(inr, engine, { ...options, frame: 1, method: 'ablation', baseline: 'mean' });
  const neurons = [0, 1, 2];
  const ask = (neuron: number) => trace.map({ layer: 1, neuron }, 0);
  const alone = [];
  for (const neuron of neurons) alone.push(await ask(neuron));
  expect(await Promise.all(neurons.map(ask))).toEqual(alone);
  trace.dispose();
});

it('stops when cancelled', async () => {
  const cancel = {
    cancelled: false,
    throwIfCancelled() {
      if (this.cancelled) throw new CancelledError();
    },
  };
  const traced = traceFrame(open('nerv'), engine, {
    ...options,
    cancel,
    frame: 1,
    method: 'ablation',
    onProgress: (_, fraction) => (cancel.cancelled = fraction > 0.3),
  });
  await expect(traced).rejects.toThrow(CancelledError);
});
