/** Two videos: the sample against itself, a pruned copy and a copy with its channels shuffled. */
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { comparisonJson, comparisonText } from '../../../src/worker/comparisonText';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { neverCancelled } from '../../../src/errors';
import type { Graph } from '../../../src/graph/types';
import type { Inr } from '../../../src/inr/types';
import { compare, type Compared, type Comparison } from '../../../src/tracing/compare/compare';
import { convolutionOf } from '../../../src/tracing/compare/swap';
import { FrameRunner } from '../../../src/tracing/video/runner';
import { traceFrame } from '../../../src/tracing/video/trace';
import { inspectModel, isModel } from '../../../src/worker/model';
import { Service } from '../../../src/worker/service';
import { withWeights } from '../../support';

const root = path.resolve(import.meta.dirname, '../../..');
const file = path.join(root, 'samples/video/checkpoints/nerv.pth');
const engine = onnxruntimeEngine(1);
const opened = inspectModel({ file, corrections: {} });
if (!isModel(opened)) throw new Error(opened.message);
const { inr } = opened;
const inspection = { ...opened.inspection, corrections: {} };
const FRAMES = 16;
const names = ['layers.1.conv.conv', 'layers.2.conv.conv', 'head_layers.2'];

async function traced(of: Inr, frame = 9): Promise<Compared> {
  const runner = new FrameRunner(of, engine);
  const trace = await traceFrame(of, engine, { memoryBudget: 2 ** 28, frame, layers: names, runner });
  const video = {
    frames: FRAMES,
    values: (at: number) => runner.picture(at),
    targetOf: () => undefined,
  };
  return { trace, range: of.outputRange, video };
}

const compared = async (b: Inr): Promise<Comparison> =>
  compare(await traced(inr), await traced(b), engine, neverCancelled, () => undefined);

/** Copies output channels of layer k, or input channels, to other places: the one at `to` is that of `order[to]`. */
function reorder(weight: Float32Array, bias: Float32Array, k: number, what: 'out' | 'in', order: number[]) {
  const { inputs, outputs, shuffle = 1 } = inr.layers[k];
  const [w, b] = [weight.slice(), bias.slice()];
  const size = weight.length / (inputs * outputs);
  const phases = shuffle ** 2;
  for (let o = 0; o < outputs; o++) {
    const from = what === 'out' ? order[Math.floor(o / phases)] * phases + (o % phases) : o;
    if (what === 'out') bias[o] = b[from];
    for (let i = 0; i < inputs; i++) {
      const column = what === 'in' ? order[i] : i;
      const start = (from * inputs + column) * size;
      weight.set(w.subarray(start, start + size), (o * inputs + i) * size);
    }
  }
}

describe('a pruned copy', () => {
  const channel = 3;
  let found: Comparison;
  beforeAll(async () => {
    found = await compared(
      withWeights(inr, (k, weight) => {
        const { outputs, shuffle = 1 } = inr.layers[k];
        // Nothing is written to one channel of layers.2 but its bias.
        const each = (weight.length / outputs) * shuffle ** 2;
        if (k === 2) weight.fill(0, channel * each, (channel + 1) * each);
      }),
    );
  });

  it('costs what the layer alone costs, over the frames that are named', () => {
    expect(found.clip!.frames[0]).toEqual([0, 5, 9, 10, 15]);
    expect(found.clip!.byFrame).toHaveLength(5);
    const [before, pruned, head] = found.layers;
    expect(before.swap!.likeness).toBe(Infinity);
    expect(head.swap!.likeness).toBe(Infinity);
    // Only that layer differs, so with it a paints what b paints, in every frame.
    expect(pruned.swap!.likeness).toBeCloseTo(found.clip!.psnr, 6);
    expect(found.clip!.psnr).toBeLessThan(60);
    const shown = found.clip!.byFrame[2];
    expect(found.output!.psnr).toBeCloseTo(shown, 4);
  });

  it('shows the channel that changed, first', () => {
    const [before, pruned] = found.layers;
    expect(pruned).toMatchObject({ matched: 'identity', unit: 'output channel', units: [20, 20] });
    expect(pruned.pairs[0]).toMatchObject({ a: channel, b: channel });
    expect(pruned.pairs[0].difference).toBeGreaterThan(0.1);
    expect(pruned.pairs[1].difference).toBeLessThan(1e-4);
    expect(pruned.meanTotal[1]).toBeLessThan(pruned.meanTotal[0]);
    expect(pruned.gini[1]).not.toBe(pruned.gini[0]);
    expect(before.pairs[0].difference).toBeLessThan(1e-4);
    const text = comparisonText([inspection, inspection], found);
    expect(text).toMatch(/Over frames 0, 5, 9, 10, 15: \d+\.\d\d dB between them \(/);
    expect(text).toMatch(/layers\.2\.conv\.conv: 1920 kernels of 20 output channels/);
    expect(text).toMatch(/A with this layer of B: nothing changes/);
  });
});

it('a convolution changes place with what scales and shifts its channels', async () => {
  const scaled = inspectModel({
    file: path.join(root, 'test/fixtures/video/nerv-scaled.pt'),
    corrections: {},
  });
  if (!isModel(scaled)) throw new Error(scaled.message);
  const picture = async (graph: Graph) => {
    const runner = new FrameRunner({ ...scaled.inr, graph }, engine);
    const values = await runner.picture(1);
    runner.release();
    return values;
  };
  const order = Int32Array.of(2, 0, 1);
  const own = await picture(scaled.inr.graph);
  const written = convolutionOf(scaled.inr, scaled.inr, 0, undefined, order);
  const moved = { ...scaled.inr, graph: written };
  // Written elsewhere, the channels are not what the next layer reads; read there as well, nothing has changed.
  const near = (values: Float32Array) => values.every((v, k) => Math.abs(v - own[k]) < 1e-5);
  expect(near(await picture(written))).toBe(false);
  expect(near(await picture(convolutionOf(moved, scaled.inr, 1, order, undefined)))).toBe(true);
});

it('a shuffled copy is matched channel by channel, and costs nothing layer by layer', async () => {
  const orders = [null, 24, 20].map((n) =>
    n === null ? [] : Array.from({ length: n }, (_, i) => (7 * i + 3) % n),
  );
  const found = await compared(
    withWeights(inr, (k, weight, bias) => {
      if (k > 1) reorder(weight, bias, k, 'in', orders[k - 1]);
      if (k === 1 || k === 2) reorder(weight, bias, k, 'out', orders[k]);
    }),
  );
  expect(found.output!.largest).toBeLessThan(1e-4);
  for (const [k, layer] of found.layers.entries()) {
    expect(layer.matched).toBe('assignment');
    const order = orders[Math.min(k + 1, 2)];
    for (const { a, b, correlation } of layer.pairs) {
      expect(order[b]).toBe(a);
      expect(correlation === null || correlation > 0.9999).toBe(true);
    }
    expect(layer.swap!.likeness).toBeGreaterThan(90);
  }
});

it('with itself, by the worker: nothing changes, against the frames given', async () => {
  const service = new Service();
  for (const trace of ['a', 'b']) {
    const options = { file, corrections: {}, method: 'xinc', memoryBudget: 2 ** 28, layers: names } as const;
    await service.call('trace', { trace, options }, () => {}, neverCancelled);
  }
  const found = await service.call('compare', { a: 'a', b: 'b' }, () => {}, neverCancelled);
  expect(found.notCompared).toEqual([]);
  expect(found.clip!.toTarget[0].every((value) => value! > 20)).toBe(true);
  expect(found.layers.map(({ swap }) => swap)).toEqual(names.map(() => ({ likeness: Infinity, change: 0 })));
  const json = JSON.parse(JSON.stringify(comparisonJson([inspection, inspection], found))) as {
    clip: { psnr: number | null; byFrame: unknown[] };
  };
  expect(json.clip.psnr).toBeNull();
  expect(comparisonText([inspection, inspection], found)).toContain(
    'Over frames 0, 5, 10, 15: identical between them',
  );
  for (const trace of ['a', 'b']) await service.call('close', { trace }, () => {}, neverCancelled);
});

it('a picture and a video: what cannot be compared is said', async () => {
  const service = new Service();
  const picture = path.join(root, 'samples/pictures/checkpoints/siren.pth');
  for (const [trace, own] of [
    ['a', file],
    ['b', picture],
  ] as const) {
    const corrections = trace === 'b' ? { size: '64x128' } : {};
    const options = { file: own, corrections, method: 'xinc', memoryBudget: 2 ** 28 } as const;
    const layers = trace === 'a' ? { layers: names } : {};
    await service.call('trace', { trace, options: { ...options, ...layers } }, () => {}, neverCancelled);
  }
  const found = await service.call('compare', { a: 'a', b: 'b' }, () => {}, neverCancelled);
  expect(found.clip).toBeUndefined();
  expect(found.notCompared.join(' ')).toMatch(/paints whole frames.*only one of the two is a video/s);
  expect(found.output!.psnr).toBeGreaterThan(0);
});
