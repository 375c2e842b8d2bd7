/** Kernels of the shared NeRV against the released method's own arrays. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { neverCancelled } from '../../src/errors';
import { Service } from '../../src/worker/service';
import { readNpz, traceFile } from '../support';
import type { TraceResult } from '../../src/worker/protocol';

const shared = path.resolve(import.meta.dirname, '../../../shared/data/nerv-bunny');

describe.skipIf(!existsSync(shared))('released XINC video code (needs ../shared/data)', () => {
  const service = new Service();
  let reference: ReturnType<typeof readNpz>;
  let result: TraceResult;

  beforeAll(async () => {
    reference = readNpz(path.join(shared, 'reference.npz'));
    result = await traceFile(service, path.join(shared, 'model_best.pth'), {}, { frame: 3 });
  }, 240_000);

  const map = (layer: number, neuron: number) =>
    service.call('map', { trace: 'test', neuron: { layer, neuron } }, () => {}, neverCancelled);

  it('traces the head and the last two blocks unasked', () => {
    expect(result.layers.map(({ name }) => name)).toEqual([
      'decoder.2.conv.upconv.0',
      'decoder.3.conv.upconv.0',
      'head_layer',
    ]);
    expect(result.inspection.signal.frames).toBe(16);
    expect(result.psnr).toBeGreaterThan(36);
  });

  it('gives the maps of the head', async () => {
    const { data } = reference.get('head_maps')!;
    const area = 128 * 256;
    let largest = 0;
    let worst = 0;
    for (let k = 0; k < 4; k++) {
      for (let c = 0; c < 3; c++) {
        const ours = await map(2, 6 * k * 3 + c);
        for (let p = 0; p < area; p++) {
          const theirs = data[(k * 3 + c) * area + p];
          largest = Math.max(largest, Math.abs(theirs));
          worst = Math.max(worst, Math.abs(theirs - ours.data[p]));
        }
      }
    }
    expect(worst).toBeLessThanOrEqual(1e-4 * largest);
  });

  it.each([
    ['block_3', 1, 5, 7],
    ['block_2', 0, 7, 11],
  ] as const)('gives the maps and sums of %s', async (block, layer, everyInput, everyOutput) => {
    const pixels = reference.get('pixel_index')!.data;
    const sums = reference.get(`${block}_abs_sum`)!;
    const { statistics, convolution } = result.layers[layer];
    expect([convolution!.inputs, convolution!.outputs]).toEqual(sums.shape);
    const largestSum = Math.max(...sums.data);
    const far = sums.data.findIndex((sum, k) => !(Math.abs(sum - statistics.total[k]) <= 1e-4 * largestSum));
    expect(far).toBe(-1);
    const largest = Math.max(...statistics.max);
    const { data, shape } = reference.get(`${block}_every_${everyInput}_${everyOutput}`)!;
    let worst = 0;
    for (let i = 0; i < shape[0]; i++) {
      for (let o = 0; o < shape[1]; o++) {
        const ours = await map(layer, i * everyInput * convolution!.outputs + o * everyOutput);
        for (const [k, pixel] of pixels.entries()) {
          const theirs = data[(i * shape[1] + o) * pixels.length + k];
          worst = Math.max(worst, Math.abs(theirs - ours.data[pixel]));
        }
      }
    }
    expect(worst).toBeLessThanOrEqual(1e-4 * largest);
  });
});
