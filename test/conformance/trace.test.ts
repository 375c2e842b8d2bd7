/** Whole traces against the released method's own arrays and PyTorch's own outputs. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { neverCancelled } from '../../src/errors';
import { Service } from '../../src/worker/service';
import { readNpz, traceFile } from '../support';

const shared = path.resolve(import.meta.dirname, '../../../shared/data');
const folder = mkdtempSync(path.join(tmpdir(), 'neural-canvas-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!existsSync(shared))('released XINC example (needs ../shared/data)', () => {
  let ours: ReturnType<typeof readNpz>;
  let theirs: ReturnType<typeof readNpz>;

  // A budget of nothing makes every map be computed again by tile; the results must be the same.
  describe.each([
    ['activations kept', 2 ** 30],
    ['activations recomputed', 0],
  ])('%s', (_, memoryBudget) => {
    beforeAll(async () => {
      const service = new Service();
      const file = path.join(shared, 'xinc-ffn/best_model.ckpt');
      await traceFile(
        service,
        file,
        {},
        memoryBudget > 0 ? { memoryBudget } : { memoryBudget, layers: ['model.net.2.linear'] },
      );
      const maps = path.join(folder, `${memoryBudget}.npz`);
      await service.call('export', { trace: 'test', maps }, () => {}, neverCancelled);
      ours = readNpz(maps);
      theirs = readNpz(path.join(shared, 'xinc-ffn/reference.npz'));
    }, 240_000);

    it('paints what PyTorch paints', () => {
      const [a, b] = [ours.get('reconstruction')!, theirs.get('prediction')!];
      expect(a.shape).toEqual(b.shape);
      for (const [k, value] of b.data.entries()) {
        if (!(Math.abs(a.data[k] - value) <= 1e-4)) expect(a.data[k]).toBeCloseTo(value, 4);
      }
    });

    const layers = memoryBudget > 0 ? [1, 2, 3] : [3];
    it.each(layers)('gives the maps of layer %i', (index) => {
      const { data, shape } = ours.get(`model.net.${index - 1}.linear`)!;
      const pixels = shape[1] * shape[2];
      const largest = data.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
      const expected = theirs.get(`layer_${index}_at_pixels`)!;
      const columns = theirs.get('pixel_index')!.data;
      expect(expected.shape[0]).toBe(shape[0]);
      let worst = 0;
      for (let i = 0; i < shape[0]; i++) {
        for (const [k, pixel] of columns.entries()) {
          const difference = Math.abs(data[i * pixels + pixel] - expected.data[i * columns.length + k]);
          worst = Math.max(worst, Number.isNaN(difference) ? Infinity : difference);
        }
      }
      expect(worst).toBeLessThanOrEqual(1e-4 * largest);
    });

    it('gives the per-channel maps of the last layer', () => {
      const { data, shape } = ours.get('model.net.2.linear:channels')!;
      const expected = theirs.get('layer_3_to_rgb_at_pixels')!.data;
      const columns = theirs.get('pixel_index')!.data;
      const pixels = shape[2] * shape[3];
      let worst = 0;
      for (let row = 0; row < shape[0] * shape[1]; row++) {
        for (const [k, pixel] of columns.entries()) {
          const difference = Math.abs(data[row * pixels + pixel] - expected[row * columns.length + k]);
          worst = Math.max(worst, Number.isNaN(difference) ? Infinity : difference);
        }
      }
      expect(worst).toBeLessThanOrEqual(1e-5);
    });
  });
});
