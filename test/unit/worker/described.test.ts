/** What is said of files that cannot be traced, or only in part. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { findSidecars } from '../../../src/checkpoint/sidecar';
import { neverCancelled } from '../../../src/errors';
import { Service } from '../../../src/worker/service';

const folder = mkdtempSync(path.join(tmpdir(), 'neural-canvas-'));
afterAll(() => rmSync(folder, { recursive: true }));

const inspect = (file: string) =>
  new Service().call('inspect', { file, corrections: {} }, () => {}, neverCancelled);

it('describes a network that is known by name only, and refuses to trace it', async () => {
  const sample = path.resolve(import.meta.dirname, '../../fixtures/variety/sample');
  const own = path.join(
    sample,
    readdirSync(sample).find((name) => name.endsWith('hash_ngp'))!,
  );
  const file = path.join(
    own,
    readdirSync(own).find((name) => name !== 'case.json')!,
  );
  const inspection = await inspect(file);
  if ('notAnInr' in inspection) throw new Error(inspection.notAnInr.message);
  expect(inspection.family).toBe('hash-grid-ngp');
  expect(inspection.untraceable).toMatch(/hash grid/);
  expect(inspection.layers.map(({ name }) => name)).toContain('sigma_net.1');
  const options = { file, corrections: {}, method: 'xinc', memoryBudget: 2 ** 26 } as const;
  const traced = await new Service().call('trace', { trace: 'a', options }, () => {}, neverCancelled);
  expect(traced).toMatchObject({
    notAnInr: {
      message: expect.stringMatching(/is recognised as Hash-grid field .* cannot be traced/) as string,
    },
  });
});

/** A safetensors file of float32 tensors. */
function safetensors(tensors: Readonly<Record<string, { shape: number[]; data: Float32Array }>>): Uint8Array {
  let at = 0;
  const header = Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, data }]) => [
      name,
      { dtype: 'F32', shape, data_offsets: [at, (at += data.byteLength)] },
    ]),
  );
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([
    length,
    text,
    ...Object.values(tensors).map(
      ({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    ),
  ]);
}

it('names the layers whose weights are no numbers', async () => {
  const sizes = [2, 16, 16, 3];
  const tensors = Object.fromEntries(
    sizes.slice(1).flatMap((outputs, i) => {
      const name = i === 2 ? 'net.2' : `net.${i}.linear`;
      const data = Float32Array.from({ length: outputs * sizes[i] }, (_, k) => Math.sin(k) / 30);
      return [
        [`${name}.weight`, { shape: [outputs, sizes[i]], data }],
        [`${name}.bias`, { shape: [outputs], data: new Float32Array(outputs) }],
      ];
    }),
  ) as Record<string, { shape: number[]; data: Float32Array }>;
  tensors['net.1.linear.weight'].data.fill(Number.NaN, 0, 5);
  tensors['net.2.bias'].data[0] = Infinity;
  const file = path.join(folder, 'diverged.safetensors');
  writeFileSync(file, safetensors(tensors));
  const inspection = await inspect(file);
  if ('notAnInr' in inspection) throw new Error(inspection.notAnInr.message);
  expect(inspection.warnings.join()).toMatch(/net\.1\.linear \(5\), net\.2 \(1\) are NaN or infinite/);
});

it('reads the options that a folder’s name spells', () => {
  const run = path.join(
    folder,
    'bunny_embed1.25_40_512_1_fc_9_16_26__exp1.0_reduce2_low96_lr0.0005_actswish_',
  );
  mkdirSync(run);
  const { sidecars } = findSidecars(path.join(run, 'model_latest.pth'));
  expect(sidecars.at(-1)?.values).toEqual({ embed: '1.25_40', fc_hw_dim: '9_16_26', act: 'swish' });
  expect(findSidecars(path.join(folder, 'model.pth')).sidecars).toEqual([]);
});
