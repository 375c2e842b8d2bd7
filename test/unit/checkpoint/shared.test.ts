import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { findSidecars } from '../../../src/checkpoint/sidecar';
import { fileSource } from '../../../src/checkpoint/source';
import { hyperParameters, stateDicts } from '../../../src/checkpoint/values';
import { fixtures } from './helpers/files';

/** Real checkpoints; the folder is not part of the project. */
const shared = path.resolve(import.meta.dirname, '../../../../shared/data');

/** By file and tensor, as PyTorch reads them: dtype, shape, first and last number, sum, sum weighted by 1, 2, 3 … */
type Facts = [dtype: string, shape: number[], first: number, last: number, sum: number, weighted: number];
const facts = JSON.parse(fs.readFileSync(path.join(fixtures, 'shared.json'), 'utf8')) as Record<
  string,
  Record<string, Facts>
>;

describe.skipIf(!fs.existsSync(shared))('the shared checkpoints', () => {
  it.each(Object.keys(facts))('%s holds what PyTorch reads', (name) => {
    const source = fileSource(path.join(shared, name));
    const checkpoint = openCheckpoint(source);
    expect([checkpoint.opaque, checkpoint.warnings]).toEqual([[], []]);
    const [{ tensors }] = stateDicts(checkpoint);
    expect([...tensors.keys()]).toEqual(Object.keys(facts[name]));
    for (const [key, [dtype, shape, first, last, sum, weighted]] of Object.entries(facts[name])) {
      const tensor = tensors.get(key)!;
      const values = [...tensor.read()];
      expect([tensor.dtype, tensor.shape, values[0], values.at(-1)]).toEqual([dtype, shape, first, last]);
      const absolute = values.reduce((total, value, i) => total + Math.abs(value) * (i + 1), 1);
      expect(Math.abs(values.reduce((total, value) => total + value, 0) - sum)).toBeLessThan(
        1e-10 * absolute,
      );
      const own = values.reduce((total, value, i) => total + value * (i + 1), 0);
      expect(Math.abs(own - weighted)).toBeLessThan(1e-10 * absolute);
    }
    source.close();
  });

  it('xinc-ffn has its hyper-parameters inside and beside it', () => {
    const file = path.join(shared, 'xinc-ffn/best_model.ckpt');
    const source = fileSource(file);
    const inside = hyperParameters(openCheckpoint(source));
    const { sidecars, warnings } = findSidecars(file);
    expect(warnings).toEqual([]);
    expect(sidecars.map((sidecar) => sidecar.path)).toEqual(['exp_config.yaml', 'info.json']);
    for (const values of [inside, sidecars[0].values as typeof inside]) {
      expect(values.network).toMatchObject({
        layer_size: 104,
        final_act: null,
        pos_encoding: { type: 'fourier', fourier_mapping_size: 104, fourier_noise_scale: 10 },
      });
      expect(values.data).toMatchObject({ data_shape: [128, 256], coord_normalize_range: [-1, 1] });
    }
    source.close();
  });

  it('nerv-bunny has its hyper-parameters beside it', () => {
    const { sidecars } = findSidecars(path.join(shared, 'nerv-bunny/model_best.pth'));
    expect(sidecars.map((sidecar) => sidecar.path)).toEqual(['args.json']);
    expect(sidecars[0].values).toMatchObject({ embed: 'pe_1.25_80', dec_strds: [4, 2, 2], fc_hw: '8_16' });
  });
});
