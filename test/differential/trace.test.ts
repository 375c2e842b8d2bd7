/** A whole trace of the sample on both engines: what the panels and `trace --json` show is the same. */
import path from 'node:path';
import { expect, it } from 'vitest';
import { neverCancelled } from '../../src/errors';
import { Service } from '../../src/worker/service';
import { traceFile } from '../support';
import { difference } from './engines';

const sample = path.resolve(import.meta.dirname, '../../samples/pictures/checkpoints/siren.pth');

/** Largest difference as a part of the largest value. */
const relative = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  const largest = Array.from(a).reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return Array.from(a).reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0) / largest;
};

it('the sample is traced alike by both engines', async () => {
  const [ours, theirs] = [new Service(), new Service()];
  theirs.engines.choice = 'tensorflow';
  const expected = await traceFile(ours, sample);
  const actual = await traceFile(theirs, sample);
  expect(expected.engine).toMatch(/^onnxruntime /);
  expect(actual.engine).toMatch(/^tensorflow\.js /);
  expect(actual.psnr).toBeCloseTo(expected.psnr!, 3);
  expect(actual.inspection.assumptions).toEqual(expected.inspection.assumptions);
  for (const [index, layer] of expected.layers.entries()) {
    const other = actual.layers[index];
    expect(other.name).toBe(layer.name);
    for (const name of ['total', 'mean', 'max', 'share'] as const) {
      expect(relative(layer.statistics[name], other.statistics[name])).toBeLessThan(1e-4);
    }
    expect(other.distributedness.gini).toBeCloseTo(layer.distributedness.gini, 4);
    const neuron = { layer: index, neuron: 1 };
    const maps = await Promise.all(
      [ours, theirs].map((service) =>
        service.call('map', { trace: 'test', neuron }, () => {}, neverCancelled),
      ),
    );
    expect(difference(maps[0].data, maps[1].data)).toBeLessThan(1e-5);
  }
});
