/** Frames of a clip taken together: against NumPy and PyTorch (fixtures/video/make_clip.py). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { CancelledError, neverCancelled, UsageError } from '../../../src/errors';
import { analyse, type Findings } from '../../../src/tracing/findings';
import type { Subject } from '../../../src/tracing/subject';
import { Clip } from '../../../src/worker/clip';
import { clipSubject, framesTaken } from '../../../src/worker/clipSubject';
import { inspectModel, isModel } from '../../../src/worker/model';

const root = path.resolve(import.meta.dirname, '../../..');
const engine = onnxruntimeEngine(1);
const quiet = () => undefined;

function clipOf(file: string, corrections: Record<string, string> = {}): Clip {
  const source = { file: path.join(root, file), corrections };
  const model = inspectModel(source);
  if (!isModel(model)) throw new Error(model.message);
  return new Clip(model, source, engine, { memoryBudget: 2 ** 28, method: 'xinc' }, undefined);
}

async function subjectOfClip(clip: Clip): Promise<Subject> {
  const shown = await clip.trace(0, { cancel: neverCancelled });
  return clipSubject(clip, shown, neverCancelled, quiet);
}

interface Reference {
  readonly labels: number[];
  readonly target: number[];
  readonly psnr: number;
  readonly layers: {
    readonly name: string;
    readonly total: number[];
    readonly signedMean: number[];
    readonly max: number[];
    readonly pixels: number[];
    readonly gini: number;
    readonly perPixel: number[];
    readonly stableRank: number;
    /** Of each neuron. */
    readonly space: number[];
    readonly objects: number[];
    readonly curves: Record<'total' | 'ablation', number[]>;
    readonly residual: { readonly largest: number; readonly mean: number };
  }[];
}

describe('five frames of a decoder', () => {
  const reference = JSON.parse(
    readFileSync(path.join(root, 'test/fixtures/video/clip.json'), 'utf8'),
  ) as Reference;
  const area = 12 * 18;
  let subject: Subject;
  let findings: Findings;
  beforeAll(async () => {
    subject = await subjectOfClip(clipOf('test/fixtures/video/nerv.pt'));
    const labels = Uint16Array.from(reference.labels);
    const areas = new Uint32Array(4);
    for (const label of labels) areas[label]++;
    const targets = Array.from({ length: 5 }, (_, k) =>
      Float32Array.from(reference.target.slice(3 * k * area, 3 * (k + 1) * area)),
    );
    ({ findings } = await analyse(subject, engine, {
      method: 'xinc',
      baseline: 'zero',
      seed: 0,
      cancel: neverCancelled,
      objects: { regions: 4, labels, areas, names: [0, 1, 2, 3] },
      targets,
    }));
  });

  it('have the statistics of all their pixels', () => {
    expect(subject.frames).toEqual([0, 1, 2, 3, 4]);
    for (const [k, { statistics, distributedness, neuronsPerPixel }] of subject.layers.entries()) {
      const theirs = reference.layers[k];
      const scale = Math.max(...theirs.max);
      for (const i of theirs.total.keys()) {
        expect(Math.abs(statistics.total[i] / theirs.total[i] - 1)).toBeLessThan(1e-5);
        expect(Math.abs(statistics.mean[i] * 5 * area - theirs.total[i])).toBeLessThan(
          1e-5 * theirs.total[i],
        );
        expect(Math.abs(statistics.signedMean[i] - theirs.signedMean[i])).toBeLessThan(1e-5 * scale);
        expect(Math.abs(statistics.max[i] - theirs.max[i])).toBeLessThan(1e-5 * scale);
        expect(Math.abs(statistics.pixels[i] - theirs.pixels[i])).toBeLessThanOrEqual(3);
      }
      expect(distributedness.gini).toBeCloseTo(theirs.gini, 5);
      neuronsPerPixel.forEach(({ mean }, a) =>
        expect(Math.abs(mean - theirs.perPixel[a])).toBeLessThan(0.005),
      );
    }
  });

  it('have preferences over the whole clip', () => {
    for (const [k, { affinity, preferring, neurons, stableRank }] of findings.layers.entries()) {
      for (const feature of ['space', 'objects'] as const) {
        const theirs = reference.layers[k][feature];
        for (const one of preferring[feature]!) expect(one.affinity).toBeCloseTo(theirs[one.neuron], 5);
        expect(preferring[feature]![0].affinity).toBeCloseTo(Math.max(...theirs), 5);
        const { observed, neurons: tested } = affinity[feature]!;
        if (tested === neurons)
          expect(observed).toBeCloseTo(theirs.reduce((sum, v) => sum + v, 0) / neurons, 5);
      }
      expect(stableRank).toBeCloseTo(reference.layers[k].stableRank, 3);
    }
    expect(findings.objects).toHaveLength(3);
    for (const object of findings.objects!) expect(object.area).toBeCloseTo(0.25, 1);
    expect(findings.psnr).toBeCloseTo(reference.psnr, 3);
    expect(findings.frames).toEqual([0, 1, 2, 3, 4]);
  });

  it('have one card', () => {
    const { sample, layers } = findings.card!;
    expect(sample).toMatchObject({ pixels: 5 * area, of: 5 * area, frames: [0, 1, 2, 3, 4] });
    for (const [k, { deletion, completeness }] of layers.entries()) {
      for (const order of ['total', 'ablation'] as const) {
        const { psnr } = deletion.curves.find((own) => own.order === order)!;
        psnr.forEach((v, c) => expect(Math.abs(v - reference.layers[k].curves[order][c])).toBeLessThan(0.01));
      }
      const [next, picture] = completeness;
      expect(next.exact).toBe(true);
      expect(Math.abs(picture.largest - reference.layers[k].residual.largest)).toBeLessThan(1e-4);
      expect(Math.abs(picture.mean - reference.layers[k].residual.mean)).toBeLessThan(1e-4);
    }
    expect(findings.card!.randomised).toHaveLength(4);
  });

  it('have signs of all of them', () => {
    expect(findings.signs.find(({ kind }) => kind === 'dead-channel')!.sentence).toMatch(
      /at 5 frames of the clip/,
    );
  });
});

describe('a network over time and place', () => {
  it('is analysed over its frames, too', async () => {
    const clip = clipOf('test/fixtures/video/siren-time.pt', { size: '16x20', frames: '6' });
    const subject = await subjectOfClip(clip);
    const { findings } = await analyse(subject, engine, {
      method: 'xinc',
      baseline: 'zero',
      seed: 0,
      cancel: neverCancelled,
    });
    expect(findings.frames).toEqual([0, 1, 2, 3, 4, 5]);
    const totals = await Promise.all(
      subject.frames.map(async (frame) => {
        const trace = await clip.trace(frame, { cancel: neverCancelled });
        return trace.layers[1].statistics.total;
      }),
    );
    subject.layers[1].statistics.total.forEach((total, i) =>
      expect(total).toBeCloseTo(
        totals.reduce((sum, own) => sum + own[i], 0),
        6,
      ),
    );
    const { card } = findings;
    expect(card!.sample.frames).toEqual(subject.frames);
    expect(card!.layers.at(-1)!.completeness.every(({ exact }) => exact)).toBe(true);
    const area = (order: string) =>
      card!.layers.at(-1)!.deletion.curves.find((own) => own.order === order)!.area;
    expect(area('total')).toBeLessThan(area('random'));
  });
});

it('takes fewer frames of large networks, the first and the last among them', () => {
  const clip = clipOf('samples/video/checkpoints/nerv.pth');
  expect(framesTaken(clip, [{ neurons: 10 }])).toHaveLength(8);
  const few = framesTaken(clip, [{ neurons: 1e9 }]);
  expect(few).toEqual([0, clip.frames - 1]);
});

it('stops when told to, between frames', async () => {
  const clip = clipOf('test/fixtures/video/nerv.pt');
  const shown = await clip.trace(0, { cancel: neverCancelled });
  const seen: string[] = [];
  let cancelled = false;
  const cancel = {
    get cancelled() {
      return cancelled;
    },
    throwIfCancelled() {
      if (cancelled) throw new CancelledError();
    },
  };
  const stopped = clipSubject(clip, shown, cancel, (detail) => {
    if (seen.at(-1) !== detail) seen.push(detail);
    cancelled = seen.length === 2;
  });
  await expect(stopped).rejects.toThrow(CancelledError);
  expect(seen).toEqual(['Tracing frame 0, 1 of 5', 'Tracing frame 1, 2 of 5']);
});

it('needs more than one frame', async () => {
  const clip = clipOf('test/fixtures/video/nerv.pt', { frames: '1' });
  await expect(subjectOfClip(clip)).rejects.toThrow(UsageError);
});
