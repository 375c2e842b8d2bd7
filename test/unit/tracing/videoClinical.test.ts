/** Clinical signs of decoders: faults planted in the sample, and stable ranks by NumPy (fixtures/video/make_clinical.py). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { onnxruntimeEngine } from '../../../src/engine/onnxruntime';
import { CancelledError, neverCancelled } from '../../../src/errors';
import { toHtml } from '../../../src/findings/element';
import { page } from '../../../src/findings/page';
import { findingsMarkdown } from '../../../src/findings/report';
import type { Inr } from '../../../src/inr/types';
import type { Sign, SignKind } from '../../../src/tracing/clinical';
import { decoderSigns } from '../../../src/tracing/video/clinical';
import { subjectOf } from '../../../src/tracing/subject';
import { traceFrame } from '../../../src/tracing/video/trace';
import { inspectModel, isModel } from '../../../src/worker/model';
import { Service } from '../../../src/worker/service';
import { traceFile, withWeights } from '../../support';

const root = path.resolve(import.meta.dirname, '../../..');
const sample = 'samples/video/checkpoints/nerv.pth';
const engine = onnxruntimeEngine(1);

function open(file: string, corrections: Record<string, string> = {}): Inr {
  const model = inspectModel({ file: path.join(root, file), corrections });
  if (!isModel(model)) throw new Error(model.message);
  return model.inr;
}

async function signsOf(inr: Inr, frame = 3, layers?: readonly string[]) {
  const trace = await traceFrame(inr, engine, { memoryBudget: 2 ** 28, frame, ...(layers && { layers }) });
  const found = await decoderSigns(subjectOf(trace), engine, { seed: 0, cancel: neverCancelled });
  trace.dispose();
  return found;
}

const pick = (signs: readonly Sign[], kind: SignKind, layer: string) =>
  signs.find((sign) => sign.kind === kind && sign.layer === layer)!;

/** Rows of a block's weights that write a channel. */
const rowsOf = (channel: number, shuffle: number) =>
  Array.from({ length: shuffle ** 2 }, (_, row) => channel * shuffle ** 2 + row);

describe('the sample as it is', () => {
  it('shows no sign that is not there', async () => {
    const { signs, ranks } = await signsOf(open(sample));
    expect(signs.filter(({ severity }) => severity !== 'good')).toEqual([]);
    expect(signs.every(({ neurons }) => neurons.length === 0)).toBe(true);
    expect(pick(signs, 'dead-channel', 'layers.1.conv.conv').sentence).toBe(
      'None of 28 channels is dead at frame 3.',
    );
    expect(pick(signs, 'duplicated', 'head_layers.2').sentence).toBe(
      'None of 20 channels is a copy of another at frame 3.',
    );
    // GELU has no bounds.
    expect(signs.some(({ kind }) => kind === 'saturated')).toBe(false);
    expect(ranks.every((rank) => rank > 1.05)).toBe(true);
    expect(signs.some(({ sentence }) => sentence.includes('neuron'))).toBe(false);
  });
});

describe('faults planted in the sample', () => {
  const [DEAD, ORIGINAL, COPY, UNREAD, LOUD] = [5, 3, 9, 7, 2];
  const inr = open(sample);
  const planted = withWeights(inr, (k, weight, bias) => {
    const { inputs, outputs, shuffle = 1 } = inr.layers[k];
    const [row, taps] = [weight.length / outputs, weight.length / (inputs * outputs)];
    if (k === 0) {
      for (const o of rowsOf(DEAD, shuffle)) bias[o] = -1000;
      const from = rowsOf(ORIGINAL, shuffle);
      for (const [phase, o] of rowsOf(COPY, shuffle).entries()) {
        weight.copyWithin(o * row, from[phase] * row, (from[phase] + 1) * row);
        bias[o] = bias[from[phase]];
      }
    } else if (k === 1) {
      for (let o = 0; o < outputs; o++) {
        // A whole channel, and a third of each kernel of another.
        weight.fill(0, o * row + UNREAD * taps, o * row + (UNREAD + 1) * taps);
        weight.fill(0, o * row + 20 * taps, o * row + 20 * taps + 3);
      }
      // One kernel alone: 11→4.
      weight.fill(0, 4 * row + 11 * taps, 4 * row + 12 * taps);
    } else if (k === 2) {
      for (const o of rowsOf(LOUD, shuffle)) bias[o] = 1e4;
      for (let at = 0; at < weight.length; at += 3) weight[at] = 0;
    }
  });
  const [, second, third, head] = inr.layers.map(({ name }) => name);
  let signs: readonly Sign[];
  beforeAll(async () => {
    ({ signs } = await signsOf(planted, 3, [second, third, head]));
  });
  const { outputs } = inr.layers[1];
  const kernelsOf = (channel: number) =>
    Array.from({ length: outputs }, (_, output) => channel * outputs + output);

  it('the dead channel, by the kernels that read it', () => {
    expect(pick(signs, 'dead-channel', second)).toMatchObject({
      severity: 'note',
      sentence: `1 dead channel of 28 at frame 3: ${DEAD}.`,
      channels: [DEAD],
      neurons: kernelsOf(DEAD),
      kernels: outputs,
    });
    expect(pick(signs, 'dead-channel', third).severity).toBe('good');
  });

  it('the copies', () => {
    expect(pick(signs, 'duplicated', second)).toMatchObject({
      severity: 'note',
      sentence: `Channels that are copies of each other at frame 3: ${ORIGINAL} and ${COPY}.`,
      channels: [ORIGINAL, COPY],
      neurons: [...kernelsOf(ORIGINAL), ...kernelsOf(COPY)],
    });
    expect(pick(signs, 'duplicated', third).severity).toBe('good');
  });

  it('kernels of zeros, the channel that nothing reads, and the part of zeros', () => {
    const empty = [...kernelsOf(UNREAD), 11 * outputs + 4];
    const own = pick(signs, 'pruned', second);
    expect(own).toMatchObject({
      severity: 'note',
      neurons: empty,
      kernels: empty.length,
      channels: [UNREAD],
    });
    expect(own.sentence).toBe(
      `Pruned: 4.8 % of its weights are exactly zero; ${outputs + 1} of ${28 * outputs} kernels are zero as a whole: ` +
        `${Array.from({ length: 12 }, (_, o) => `${UNREAD}→${o}`).join(', ')} and ${outputs - 11} more; ` +
        `no kernel reads 1 channel: ${UNREAD}.`,
    );
    expect(pick(signs, 'pruned', third)).toMatchObject({
      severity: 'note',
      sentence: 'Pruned: 33 % of its weights are exactly zero; no kernel is zero as a whole.',
    });
    expect(pick(signs, 'pruned', head).severity).toBe('good');
  });

  it('the layer whose channels act as one', () => {
    expect(pick(signs, 'stable-rank', head)).toMatchObject({
      severity: 'note',
      sentence: 'Stable rank 1.0 of 20 channels at frame 3: they act almost as one.',
    });
    expect(pick(signs, 'stable-rank', second).severity).toBe('good');
  });
});

it('selects channels where the maps are those of channels', async () => {
  const inr = withWeights(open('test/fixtures/video/nerv.pt'), (k, weight, bias) => {
    // Nothing is written to channel 1 of what the second block reads, and GELU makes zero of zero.
    if (k !== 0) return;
    const each = weight.length / bias.length;
    for (const row of rowsOf(1, 2)) {
      weight.fill(0, row * each, (row + 1) * each);
      bias[row] = 0;
    }
  });
  const trace = await traceFrame(inr, engine, { memoryBudget: 2 ** 28, frame: 3, method: 'ablation' });
  const { signs } = await decoderSigns(subjectOf(trace), engine, { seed: 0, cancel: neverCancelled });
  const second = inr.layers[1].name;
  expect(pick(signs, 'dead-channel', second)).toMatchObject({ neurons: [1], channels: [1] });
  expect(signs.some(({ kind }) => kind === 'dead')).toBe(false);
  expect(pick(signs, 'pruned', inr.layers[0].name).neurons).toEqual([]);
  expect(trace.layers[1].statistics.dead[1]).toBe(1);
  trace.dispose();
});

it('keeps selections bounded, of every channel alike', async () => {
  const inr = open(sample);
  // All that the first layer reads is zero: it has 32 · 448 kernels.
  const [first] = inr.layers;
  const silent: Inr = {
    ...inr,
    graph: {
      ...inr.graph,
      nodes: inr.graph.nodes.flatMap((node) =>
        node.outputs[0] === first.input
          ? [
              { ...node, outputs: ['before'] },
              { op: 'Sub' as const, inputs: ['before', 'before'], outputs: [first.input] },
            ]
          : [node],
      ),
    },
  };
  const { signs } = await signsOf(silent, 3, [first.name]);
  const own = pick(signs, 'dead-channel', first.name);
  expect(own).toMatchObject({ severity: 'warning', kernels: 32 * 448 });
  expect(own.channels).toHaveLength(32);
  expect(own.neurons).toHaveLength(512);
  expect(new Set(own.neurons.map((kernel) => Math.floor(kernel / 448))).size).toBe(32);
  expect(new Set(own.neurons).size).toBe(512);
  expect(pick(signs, 'stable-rank', first.name)).toBeUndefined();
});

describe('small decoders', () => {
  const reference = JSON.parse(
    readFileSync(path.join(root, 'test/fixtures/video/clinical.json'), 'utf8'),
  ) as Record<string, { frame: number; layers: { name: string; stableRank: number }[] }>;

  it.each(Object.entries(reference))('%s: stable ranks as NumPy finds them', async (name, expected) => {
    const inr = open(`test/fixtures/video/${name}.pt`);
    const { ranks } = await signsOf(inr, expected.frame);
    expect(inr.layers.map((layer) => layer.name)).toEqual(expected.layers.map((layer) => layer.name));
    expected.layers.forEach(({ stableRank }, k) => expect(ranks[k]).toBeCloseTo(stableRank, 5));
  });

  it('says nothing of copies and ranks on six pixels', async () => {
    const { signs, ranks } = await signsOf(open('test/fixtures/video/nerv.pt'));
    expect(ranks[0]).toBeGreaterThan(1);
    expect(pick(signs, 'duplicated', 'layers.0.conv.conv')).toBeUndefined();
    expect(pick(signs, 'stable-rank', 'layers.0.conv.conv')).toBeUndefined();
    expect(pick(signs, 'duplicated', 'layers.1.conv.conv').severity).toBe('good');
  });

  it('finds a channel at the bounds of its tanh, and none of a GELU', async () => {
    const loud = (inr: Inr) =>
      withWeights(inr, (k, _, bias) => {
        if (k === 0) for (const o of rowsOf(1, 2)) bias[o] = 20;
      });
    const tanh = open('test/fixtures/video/nerv.pt', { activation: 'tanh' });
    const { signs } = await signsOf(loud(tanh));
    expect(pick(signs, 'saturated', 'layers.1.conv.conv')).toMatchObject({
      severity: 'warning',
      sentence: '1 saturated channel of 3 at frame 3: 1.',
      neurons: [3, 4, 5],
    });
    expect(pick(signs, 'saturated', 'layers.0.conv.conv').severity).toBe('good');
    const gelu = await signsOf(loud(open('test/fixtures/video/nerv.pt')));
    expect(gelu.signs.some(({ kind }) => kind === 'saturated')).toBe(false);
  });

  it('reports weights that are no numbers', async () => {
    const broken = withWeights(open('test/fixtures/video/nerv.pt'), (k, weight) => {
      if (k === 2) weight[4] = NaN;
    });
    const { signs } = await signsOf(broken);
    const found = signs.filter(({ kind }) => kind === 'not-finite').map(({ sentence }) => sentence);
    expect(found[0]).toBe('Not a number or infinite: weights of layers.2.conv.conv (1).');
    expect(found[1]).toContain('channels into head_layers.2 at frame 3');
  });

  it('stops when cancelled', async () => {
    const trace = await traceFrame(open('test/fixtures/video/nerv.pt'), engine, { memoryBudget: 2 ** 28 });
    const cancel = {
      cancelled: true,
      throwIfCancelled() {
        throw new CancelledError();
      },
    } as typeof neverCancelled;
    await expect(decoderSigns(subjectOf(trace), engine, { seed: 0, cancel })).rejects.toThrow(CancelledError);
  });

  it('stands on the page with a button for its kernels, in the report without', async () => {
    const service = new Service();
    const file = path.join(root, 'test/fixtures/video/nerv.pt');
    await traceFile(service, file, {}, { frame: 3 });
    const findings = await service.call('findings', { trace: 'test' }, () => {}, neverCancelled);
    expect(findings.layers.every(({ stableRank }) => stableRank !== null && stableRank >= 1)).toBe(true);
    expect(findings.signs.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['noise', 'dead', 'dead-channel', 'duplicated', 'stable-rank', 'pruned']),
    );
    const sign: Sign = {
      ...pick(findings.signs, 'dead-channel', 'layers.2.conv.conv'),
      severity: 'note',
      neurons: [18, 19],
      kernels: 18,
    };
    const changed = { ...findings, signs: [sign] };
    const html = toHtml(page(changed, true));
    expect(html).toContain('data-layer="2" data-neurons="18 19"');
    expect(html).toContain('Select 2 of 18 kernels');
    expect(findingsMarkdown(changed)).not.toContain('Select');
  });
});
