/** The paper's conclusions on its own released example, as numbers (docs/method.md). */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { neverCancelled } from '../../src/errors';
import type { FindingsDocument } from '../../src/findings/document';
import { Service } from '../../src/worker/service';
import { traceFile } from '../support';

const file = path.resolve(import.meta.dirname, '../../../shared/data/xinc-ffn/best_model.ckpt');

describe.skipIf(!existsSync(file))('findings of the released XINC example (needs ../shared/data)', () => {
  let findings: FindingsDocument;
  beforeAll(async () => {
    const service = new Service();
    await traceFile(service, file);
    findings = await service.call('findings', { trace: 'test' }, () => {}, neverCancelled);
  }, 600_000);

  it('hidden neurons prefer colours and edges, against both kinds of random regions', () => {
    for (const { affinity } of findings.layers.slice(1)) {
      for (const feature of ['color', 'edge'] as const) {
        for (const kind of ['moved', 'scattered'] as const) {
          expect(affinity[feature]![kind].ratio).toBeGreaterThan(1.2);
          expect(affinity[feature]![kind].pValue).toBeLessThanOrEqual(0.05);
        }
      }
    }
  });

  it('places are near chance', () => {
    for (const { affinity } of findings.layers) {
      expect(Math.abs(affinity.space!.moved.ratio - 1)).toBeLessThan(0.05);
    }
  });

  it('no few neurons do it all', () => {
    for (const { distributedness: d, neurons } of findings.layers) {
      expect(d.neuronsFor90).toBeGreaterThan(0.3 * neurons);
    }
  });

  it('the last layer is exact and its ranking beats chance by far', () => {
    const last = findings.card!.layers.at(-1)!;
    expect(last.approximate).toBeNull();
    expect(last.agreement).toBeGreaterThan(0.8);
    const area = (order: string) => last.deletion.curves.find((curve) => curve.order === order)!.area;
    expect(area('total')).toBeLessThan(area('random') - 3);
  });
});
