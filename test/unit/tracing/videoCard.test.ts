/** The card of a decoder's frame: against PyTorch (fixtures/video/make_card.py), and of the sample within a budget. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { CancelledError, neverCancelled } from '../../../src/errors';
import type { Inr } from '../../../src/inr/types';
import type { FaithfulnessCard } from '../../../src/tracing/faithfulness/card';
import { ChannelRemoval, decoderFaithfulness } from '../../../src/tracing/faithfulness/decoder';
import { sensitivityOf } from '../../../src/tracing/faithfulness/measures';
import type { Method } from '../../../src/tracing/types';
import { Channels } from '../../../src/tracing/video/channels';
import { FrameRunner } from '../../../src/tracing/video/runner';
import { subjectOf } from '../../../src/tracing/subject';
import { traceFrame, type VideoTrace } from '../../../src/tracing/video/trace';
import { inspectModel, isModel } from '../../../src/worker/model';

const root = path.resolve(import.meta.dirname, '../../..');
const engine = onnxruntimeEngine(1);
const options = { method: 'xinc', baseline: 'zero', seed: 0, cancel: neverCancelled } as const;

function open(file: string): Inr {
  const model = inspectModel({ file: path.join(root, file), corrections: {} });
  if (!isModel(model)) throw new Error(model.message);
  return model.inr;
}

describe('equals PyTorch on all pixels', () => {
  const reference = JSON.parse(
    readFileSync(path.join(root, 'test/fixtures/video/card.json'), 'utf8'),
  ) as readonly {
    name: string;
    total: number[];
    curves: Record<'total' | 'weights' | 'activation' | 'ablation', number[]>;
    residual: { largest: number; mean: number };
    scale: number;
    sets: number[][];
    correlation: number;
  }[];
  const inr = open('test/fixtures/video/nerv.pt');
  let trace: VideoTrace;
  let card: FaithfulnessCard;
  beforeAll(async () => {
    trace = await traceFrame(inr, engine, { memoryBudget: 2 ** 28, frame: 3 });
    card = await decoderFaithfulness(subjectOf(trace), engine, options);
  });

  it('says what it stands on', () => {
    expect(card.sample).toMatchObject({ pixels: 12 * 18, of: 12 * 18, frames: [3] });
    expect(card.omitted).toEqual([]);
    expect(card.layers.map(({ layer, unit, units }) => [layer, unit, units])).toEqual(
      reference.map(({ name, total }, k) => [
        name,
        k === 3 ? 'input channel' : 'output channel',
        total.length,
      ]),
    );
  });

  it('takes channels away in each order', () => {
    for (const [k, { deletion, units }] of card.layers.entries()) {
      expect(deletion.counts).toEqual(Array.from({ length: units }, (_, i) => i + 1));
      for (const order of ['total', 'weights', 'activation', 'ablation'] as const) {
        const curve = deletion.curves.find((own) => own.order === order)!;
        curve.psnr.forEach((v, c) => expect(Math.abs(v - reference[k].curves[order][c])).toBeLessThan(0.01));
        // All pixels are known, so nothing is estimated.
        expect(curve.standardError.every((e) => e === 0)).toBe(true);
      }
    }
  });

  it('measures what contributions miss', () => {
    for (const [k, { completeness, approximate }] of card.layers.entries()) {
      const [next, picture] = completeness;
      expect(next.exact).toBe(true);
      expect(next.mean).toBeLessThanOrEqual(next.largest);
      expect(next.mean).toBeGreaterThan(0);
      const { residual, scale } = reference[k];
      expect(Math.abs(picture.largest - residual.largest)).toBeLessThan(1e-4);
      expect(Math.abs(picture.mean - residual.mean)).toBeLessThan(1e-4);
      expect(Math.abs(picture.scale - scale)).toBeLessThan(1e-4);
      expect(approximate).toMatch(k === 3 ? /final activation/ : /mean filters/);
    }
  });

  it('correlates the same sets with the true change', async () => {
    const pixels = Uint32Array.from({ length: 12 * 18 }, (_, p) => p);
    const runner = new FrameRunner(inr, engine);
    for (const [k, { sets, correlation }] of reference.entries()) {
      const groups = new Channels(inr.layers[k]);
      const maps = new Float32Array(groups.count * pixels.length);
      await trace.eachRun(k, neverCancelled, (kernel, _, values) => {
        values.forEach((v, p) => (maps[groups.of(kernel) * pixels.length + p] += v));
      });
      const removal = await ChannelRemoval.at(
        runner,
        trace.frame,
        inr.layers[k],
        groups,
        pixels,
        'zero',
        neverCancelled,
      );
      const ours = await sensitivityOf(removal, maps, sets);
      expect(Math.abs(ours.correlation - correlation)).toBeLessThan(0.02);
      await removal.release();
    }
    runner.release();
  });
});

describe('by other methods than xinc', () => {
  const inr = open('test/fixtures/video/nerv.pt');
  const cardBy = async (method: Method, budget?: number) => {
    const trace = await traceFrame(inr, engine, { memoryBudget: 2 ** 28, frame: 3, method });
    return decoderFaithfulness(subjectOf(trace), engine, {
      ...options,
      method,
      ...(budget !== undefined && { budget }),
    });
  };

  it('ablation ranks channels as taking them away does', async () => {
    const card = await cardBy('ablation');
    expect(card.layers.map(({ unit, units }) => [unit, units])).toEqual(
      inr.layers.map(({ inputs }) => ['input channel', inputs]),
    );
    for (const { agreement, sensitivity, approximate, completeness } of card.layers) {
      expect(agreement).toBeCloseTo(1, 6);
      expect(sensitivity[0].n).toBe(1);
      expect(sensitivity[0].correlation).toBeCloseTo(1, 4);
      // Only the frame is added up to: there is no next layer's sum.
      expect(completeness.map(({ against }) => against)).toEqual(['the picture']);
      expect(approximate).toMatch(/act together/);
    }
    expect(card.randomised).toHaveLength(inr.layers.length);
  });

  it('gradient is an approximation, and says so', async () => {
    const card = await cardBy('gradient');
    for (const { approximate } of card.layers) expect(approximate).toMatch(/small changes/);
  });

  it('names what would take minutes', async () => {
    const { layers, randomised, omitted } = await cardBy('ablation', 1);
    expect([layers, randomised]).toEqual([[], []]);
    expect(omitted).toHaveLength(inr.layers.length + 1);
    expect(omitted.at(-1)).toMatch(/Weights are not shuffled/);
  });
});

describe('the sample', () => {
  const inr = open('samples/video/checkpoints/nerv.pth');
  let trace: VideoTrace;
  beforeAll(async () => {
    trace = await traceFrame(inr, engine, {
      memoryBudget: 2 ** 28,
      frame: 9,
      layers: ['layers.2.conv.conv', 'head_layers.2'],
    });
  });

  it('ranks better than chance, and its maps depend on the weights', async () => {
    const seen: number[] = [];
    const card = await decoderFaithfulness(subjectOf(trace), engine, {
      ...options,
      onLayer: ({ layers }) => seen.push(layers.length),
    });
    expect(seen).toEqual([1, 2]);
    for (const { deletion, sensitivity } of card.layers) {
      const area = (order: string) => deletion.curves.find((own) => own.order === order)!.area;
      expect(area('total')).toBeLessThan(area('random'));
      expect(area('ablation')).toBeLessThan(area('random'));
      for (const { standardError } of sensitivity) expect(standardError).toBeGreaterThan(0);
    }
    // The head's contributions are what its colours are made of.
    expect(card.layers[1].agreement).toBeGreaterThan(0.9);
    expect(card.layers[1].sensitivity[0].correlation).toBeGreaterThan(0.95);
    // A block's map does not see the head; both see the blocks before them.
    expect(card.randomised[0].from).toBe('head_layers.2');
    expect(card.randomised[0].correlations[0]).toBeCloseTo(1, 9);
    expect(card.randomised[0].correlations[1]).toBeLessThan(0.9);
    for (const r of card.randomised[3].correlations) expect(r).toBeLessThan(0.9);
  });

  it('leaves out what the budget is too small for, and says so', async () => {
    const card = await decoderFaithfulness(subjectOf(trace), engine, { ...options, budget: 3e8 });
    expect(card.layers.map(({ layer }) => layer)).toEqual(['head_layers.2']);
    expect(card.repetitions.orders).toBeLessThan(5);
    expect(card.omitted).toEqual([expect.stringMatching(/^Channels of layers\.2\.conv\.conv .*minutes\.$/)]);
  });

  it('stops when told to', async () => {
    let asked = 0;
    const cancel = {
      cancelled: false,
      throwIfCancelled() {
        if (++asked > 20) throw new CancelledError();
      },
    };
    await expect(decoderFaithfulness(subjectOf(trace), engine, { ...options, cancel })).rejects.toThrow(
      CancelledError,
    );
  });
});
