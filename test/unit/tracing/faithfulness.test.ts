/** The card, the methods and planted faults against NumPy and SciPy (fixtures/tracing/make_planted.py). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { CancelledError, neverCancelled } from '../../../src/errors';
import { findingsMarkdown, reportHtml } from '../../../src/findings/report';
import type { FindingsDocument } from '../../../src/findings/document';
import type { Inr } from '../../../src/inr/types';
import type { FaithfulnessCard } from '../../../src/tracing/faithfulness/card';
import { faithfulness } from '../../../src/tracing/faithfulness/coordinates';
import { meanOver } from '../../../src/tracing/faithfulness/measures';
import { pearson, spearman } from '../../../src/tracing/correlation';
import { errorByBand } from '../../../src/tracing/spectrum';
import { subjectOf } from '../../../src/tracing/subject';
import { traceInr } from '../../../src/tracing/trace';
import type { Method } from '../../../src/tracing/types';
import { inspectModel, isModel } from '../../../src/worker/model';
import { Service } from '../../../src/worker/service';
import { traceFile, withWeights } from '../../support';

const fixtures = path.resolve(import.meta.dirname, '../../fixtures/tracing');
const file = path.join(fixtures, 'planted.ckpt');
const reference = JSON.parse(readFileSync(path.join(fixtures, 'planted.json'), 'utf8')) as {
  square: number[];
  dead: number;
  copies: number[];
  counts: number[];
  layers: {
    total: number[];
    gradient: number[];
    ablation: number[];
    meanAblation: number[];
    agreement: number;
    curves: Record<'total' | 'weights' | 'activation', { psnr: number[]; area: number }>;
    sensitivity: { n: number; correlation: number }[];
    pictureResidual: number;
  }[];
  spectrum: {
    height: number;
    width: number;
    picture: number[];
    target: number[];
    bands: number[];
    error: number[];
  };
};
const engine = onnxruntimeEngine(1);

function planted(): Inr {
  const model = inspectModel({ file, corrections: {} });
  if (!isModel(model)) throw new Error(model.message);
  return model.inr;
}

const tracing = (inr: Inr, method: Method, baseline: 'zero' | 'mean' = 'zero') =>
  traceInr(inr, engine, { memoryBudget: 2 ** 28, method, baseline });

const near = (ours: ArrayLike<number>, theirs: ArrayLike<number>, part = 1e-4) => {
  expect(ours.length).toBe(theirs.length);
  const largest = Math.max(...Array.from(theirs, Math.abs));
  const worst = Math.max(...Array.from(theirs, (v, i) => Math.abs(v - ours[i])));
  expect(worst).toBeLessThanOrEqual(part * largest);
};

describe('totals by each method equal NumPy', () => {
  it.each([
    ['xinc', 'zero', 'total'],
    ['gradient', 'zero', 'gradient'],
    ['ablation', 'zero', 'ablation'],
    ['ablation', 'mean', 'meanAblation'],
  ] as const)('%s, %s', async (method, baseline, key) => {
    const trace = await tracing(planted(), method, baseline);
    // At the kink of a ReLU rounding decides which way its gradient goes; backward.test.ts is strict.
    const part = method === 'gradient' ? 0.05 : 1e-4;
    for (const [k, layer] of trace.layers.entries()) {
      near(layer.statistics.total, reference.layers[k][key], part);
    }
    expect(trace.layers[0].mapDefinition).toMatch({ xinc: /σ/, gradient: /∂/, ablation: /:=/ }[method]);
  });

  it('gives maps on demand that add up to the same', async () => {
    for (const method of ['gradient', 'ablation'] as const) {
      const trace = await tracing(planted(), method);
      const neuron = reference.square[2];
      const { data } = await trace.map({ layer: 3, neuron });
      near([data.reduce((sum, v) => sum + Math.abs(v), 0)], [trace.layers[3].statistics.total[neuron]]);
      const channels = await Promise.all([0, 1, 2].map((c) => trace.map({ layer: 3, neuron }, c)));
      near(
        data,
        data.map((_, p) => channels.reduce((sum, { data: own }) => sum + own[p], 0)),
      );
      trace.dispose();
    }
  });
});

describe('the faithfulness card equals NumPy on all pixels', () => {
  let card: FaithfulnessCard;
  beforeAll(async () => {
    const inr = planted();
    card = await faithfulness(subjectOf(await tracing(inr, 'xinc')), engine, {
      method: 'xinc',
      baseline: 'zero',
      seed: 0,
      cancel: neverCancelled,
    });
  });

  it('takes the whole of a small picture', () => {
    expect(card.sample).toMatchObject({ pixels: 576, of: 576 });
  });

  it('deletes in ranked order', () => {
    for (const [k, { deletion, agreement }] of card.layers.entries()) {
      expect(deletion.counts).toEqual(reference.counts);
      for (const order of ['total', 'weights', 'activation'] as const) {
        const curve = deletion.curves.find((own) => own.order === order)!;
        curve.psnr.forEach((v, c) =>
          expect(Math.abs(v - reference.layers[k].curves[order].psnr[c])).toBeLessThan(0.05),
        );
        expect(Math.abs(curve.area - reference.layers[k].curves[order].area)).toBeLessThan(0.05);
      }
      expect(Math.abs(agreement - reference.layers[k].agreement)).toBeLessThan(0.02);
      // No order beats the true one by its first neuron.
      const first = deletion.curves.map(({ psnr }) => psnr[0]);
      expect(Math.min(...first)).toBe(deletion.curves.find(({ order }) => order === 'ablation')!.psnr[0]);
    }
  });

  it('correlates contributions with true changes', () => {
    for (const [k, { sensitivity }] of card.layers.entries()) {
      for (const { n, correlation } of reference.layers[k].sensitivity) {
        const ours = sensitivity.find((own) => own.n === n)!;
        expect(Math.abs(ours.correlation - correlation)).toBeLessThan(0.15);
      }
    }
    for (const { correlation } of card.layers[3].sensitivity) expect(correlation).toBeCloseTo(1, 4);
  });

  it('labels what is exact and what is not', () => {
    expect(card.layers.map(({ approximate }) => approximate === null)).toEqual([false, false, false, true]);
    expect(card.layers[3].completeness.every(({ exact }) => exact)).toBe(true);
    for (const [k, { completeness }] of card.layers.entries()) {
      expect(Math.abs(completeness.at(-1)!.largest - reference.layers[k].pictureResidual)).toBeLessThan(1e-3);
    }
  });

  it('shows which totals depend on shuffled weights', () => {
    expect(card.randomised.map(({ from }) => from)).toEqual([3, 2, 1, 0].map((k) => `model.net.${k}.linear`));
    // A hidden layer's XINC map does not see the layers behind it.
    card.randomised.forEach(({ correlations }, stage) => {
      correlations.forEach((r, layer) => {
        if (layer < 3 - stage) expect(r).toBeCloseTo(1, 9);
        else expect(r).toBeLessThan(0.95);
      });
    });
  });

  it('stops when told to', async () => {
    const inr = planted();
    const subject = subjectOf(await tracing(inr, 'xinc'));
    let asked = 0;
    const cancel = {
      cancelled: false,
      throwIfCancelled() {
        if (++asked > 6) throw new CancelledError();
      },
    };
    const stopped = faithfulness(subject, engine, { method: 'xinc', baseline: 'zero', seed: 0, cancel });
    await expect(stopped).rejects.toThrow(CancelledError);
  });
});

describe('invariances', () => {
  const WIDTH = 24;
  /** Part of the pixels that agree: at the kink of a ReLU rounding decides which way its gradient goes. */
  const share = (a: Float32Array, b: Float32Array) =>
    a.filter((v, p) => Math.abs(v - b[p]) < 2e-5).length / a.length;
  const copyRow = (data: Float32Array, from: number, to: number) =>
    data.copyWithin(to * WIDTH, from * WIDTH, (from + 1) * WIDTH);
  const column = (data: Float32Array, i: number) =>
    Float32Array.from({ length: data.length / WIDTH }, (_, j) => data[j * WIDTH + i]);
  const setColumn = (data: Float32Array, i: number, values: Float32Array) =>
    values.forEach((v, j) => (data[j * WIDTH + i] = v));

  it.each(['xinc', 'gradient', 'ablation'] as const)(
    '%s: permuting hidden units permutes the maps',
    async (method) => {
      const inr = planted();
      const order = Array.from({ length: WIDTH }, (_, i) => (7 * i + 3) % WIDTH);
      const mixed = withWeights(inr, (k, weight, bias) => {
        const [w, b] = [weight.slice(), bias.slice()];
        if (k === 1) {
          order.forEach((from, to) => {
            weight.set(w.subarray(from * WIDTH, (from + 1) * WIDTH), to * WIDTH);
            bias[to] = b[from];
          });
        }
        if (k === 2) order.forEach((from, to) => setColumn(weight, to, column(w, from)));
      });
      const [before, after] = [await tracing(inr, method), await tracing(mixed, method)];
      for (const [to, from] of order.entries()) {
        const [a, b] = [
          await before.map({ layer: 2, neuron: from }),
          await after.map({ layer: 2, neuron: to }),
        ];
        // XINC's maps do not depend on sums over neurons, so not even rounding differs.
        if (method === 'xinc') expect(b.data).toEqual(a.data);
        else expect(share(a.data, b.data)).toBeGreaterThan(0.98);
      }
    },
  );

  it.each(['xinc', 'gradient', 'ablation'] as const)(
    '%s: a duplicated neuron gets the same map',
    async (method) => {
      const [from, to] = reference.copies;
      const twins = withWeights(planted(), (k, weight, bias) => {
        if (k === 1) {
          copyRow(weight, from, to);
          bias[to] = bias[from];
        }
        if (k === 2) setColumn(weight, to, column(weight, from));
      });
      const trace = await tracing(twins, method);
      const [a, b] = await Promise.all([from, to].map((neuron) => trace.map({ layer: 2, neuron })));
      if (method === 'xinc') expect(b.data).toEqual(a.data);
      else a.data.forEach((v, p) => expect(Math.abs(v - b.data[p])).toBeLessThan(2e-6));
    },
  );

  it.each(['gradient', 'ablation'] as const)(
    '%s: a neuron that nothing leaves adds nothing',
    async (method) => {
      const cut = withWeights(planted(), (k, weight) => {
        if (k === 2) setColumn(weight, 10, new Float32Array(WIDTH));
      });
      const trace = await tracing(cut, method);
      const { data } = await trace.map({ layer: 2, neuron: 10 });
      expect(data.every((v) => v === 0)).toBe(true);
      expect(trace.layers[2].statistics.dead[10]).toBe(1);
    },
  );
});

describe('planted faults are found by name', () => {
  let findings: FindingsDocument;
  beforeAll(async () => {
    const service = new Service();
    await traceFile(service, file);
    findings = await service.call(
      'findings',
      { trace: 'test', objects: path.join(fixtures, 'planted-objects.png') },
      () => {},
      neverCancelled,
    );
  });
  const layer = (k: number) => `model.net.${k}.linear`;
  const sign = (kind: string, k: number) =>
    findings.signs.find((own) => own.kind === kind && own.layer === layer(k))!;

  it('the ten neurons that draw the square', () => {
    expect(findings.objects).toHaveLength(1);
    const [square] = findings.objects!;
    expect(square).toMatchObject({ label: 7, area: 64 / 576 });
    const drawn = square.drawnBy.filter((ref) => ref.layer === 3).map(({ neuron }) => neuron);
    expect(drawn).toEqual(reference.square);
    expect(findingsMarkdown(findings)).toContain(
      'object 7 is drawn by 10 of net.3 (1, 3, 4, 8, 9, 13, 15, 18, 20, 22)',
    );
  });

  it('the dead neuron, the copies and the pruned layer', () => {
    expect(sign('dead', 2).neurons).toContain(reference.dead);
    expect(sign('duplicated', 2).sentence).toContain('6 and 17');
    expect(sign('pruned', 2)).toMatchObject({ severity: 'note' });
    expect(sign('pruned', 2).sentence).toContain('50 % of its weights');
    expect(sign('pruned', 3).severity).toBe('good');
  });

  it('a report that stands alone and keeps names as text', () => {
    const hostile = {
      ...findings,
      file: '<img src=x onerror=alert(1)>.pt',
      title: '</style><script>1</script>',
    };
    const html = reportHtml(hostile);
    expect(html).not.toContain('<img src=x');
    expect(html).not.toContain('<script');
    expect(html).not.toMatch(/(?:src|href)="(?!data:)/);
    expect(html).toContain('Do neurons draw objects?');
    expect(html).toContain('data:image/png;base64,');
    expect(findingsMarkdown(hostile)).toContain('\\<img');
  });

  it('refuses a mask of another size, with the next step', async () => {
    const service = new Service();
    await traceFile(service, path.resolve(fixtures, '../inr/siren-coin.pt'), { size: '12x20' });
    const objects = path.join(fixtures, 'planted-objects.png');
    const refused = service.call('findings', { trace: 'test', objects }, () => {}, neverCancelled);
    await expect(refused).rejects.toThrow(/24x24, but the picture is 12x20; give one/);
  });
});

describe('complex networks', () => {
  it('have a card, and gradients that agree with ablation in the last layer', async () => {
    const model = inspectModel({
      file: path.resolve(fixtures, '../inr/wire.pt'),
      corrections: { size: '13x17' },
    });
    if (!isModel(model)) throw new Error(model.message);
    const [gradient, ablation] = await Promise.all(
      (['gradient', 'ablation'] as const).map((method) => tracing(model.inr, method)),
    );
    near(gradient.layers.at(-1)!.statistics.total, ablation.layers.at(-1)!.statistics.total, 1e-3);
    const card = await faithfulness(subjectOf(gradient), engine, {
      method: 'gradient',
      baseline: 'zero',
      seed: 1,
      cancel: neverCancelled,
    });
    expect(card.layers.at(-1)!.approximate).toBeNull();
    expect(card.randomised).toHaveLength(model.inr.layers.length);
  });
});

describe('small statistics', () => {
  it('correlates, ranks ties, and is no number where nothing varies', () => {
    expect(pearson([1, 2, 3], [2, 4, 6.0001])).toBeCloseTo(1, 6);
    expect(spearman([1, 2, 2, 9], [0, 5, 5, 7])).toBeCloseTo(1, 12);
    expect(spearman([1, 1, 1], [1, 2, 3])).toBeNaN();
    expect(meanOver([0, 1, 3], [0, 2, 2])).toBeCloseTo(5 / 3, 12);
  });

  it('splits error by frequency as SciPy does', () => {
    const { height, width, picture, target, bands, error } = reference.spectrum;
    const ours = errorByBand(
      [{ picture: Float32Array.from(picture), target: Float32Array.from(target) }],
      height,
      width,
      3,
    );
    const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
    ours.forEach((band, k) => {
      expect(band.target).toBeCloseTo(bands[k] / sum(bands), 3);
      expect(band.error).toBeCloseTo(error[k] / sum(error), 3);
      if (bands[k] > 0) expect(Math.abs(band.missed / (error[k] / bands[k]) - 1)).toBeLessThan(0.01);
    });
  });
});
