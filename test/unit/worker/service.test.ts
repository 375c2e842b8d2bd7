import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CancelledError, neverCancelled, type CancelToken } from '../../../src/errors';
import type { TraceEvent } from '../../../src/worker/protocol';
import { Service } from '../../../src/worker/service';
import { traceFile } from '../../support';

const samples = path.resolve(import.meta.dirname, '../../../samples/pictures');
const siren = path.join(samples, 'checkpoints/siren.pth');
const folder = mkdtempSync(path.join(tmpdir(), 'neural-canvas-'));
afterAll(() => rmSync(folder, { recursive: true }));

const options = {
  file: siren,
  corrections: {},
  method: 'xinc',
  memoryBudget: 2 ** 30,
} as const;

describe('a trace of the sample', () => {
  it('shows the picture before any map, and every layer in order', async () => {
    const events: TraceEvent[] = [];
    const result = await new Service().call(
      'trace',
      { trace: 'a', options: { ...options, target: path.join(samples, 'target.png') } },
      (event) => events.push(event),
      neverCancelled,
    );
    if ('notAnInr' in result) throw new Error(result.notAnInr.message);
    const kinds = events.map(({ type }) => type).filter((type) => type !== 'phase');
    expect(kinds).toEqual(['inspected', 'reconstruction', ...result.layers.map(() => 'layer')]);
    expect(result.psnr).toBeGreaterThan(30);
    expect(result.completeness.largest).toBeLessThan(1e-5);
  });

  it('answers the same from memory and recomputed', async () => {
    const [kept, streamed] = [new Service(), new Service()];
    const { layers } = await traceFile(kept, siren);
    const again = await traceFile(streamed, siren, {}, { memoryBudget: 0 });
    const layer = layers.length - 1;
    for (const [i, total] of layers[layer].statistics.total.entries()) {
      expect(again.layers[layer].statistics.total[i]).toBeCloseTo(total, 2);
    }
    const probe = { trace: 'test', row: 5, column: 7, top: 3 } as const;
    const a = await kept.call('probe', probe, () => {}, neverCancelled);
    const b = await streamed.call('probe', probe, () => {}, neverCancelled);
    expect(b.layers.map(({ top }) => top.map(({ neuron }) => neuron))).toEqual(
      a.layers.map(({ top }) => top.map(({ neuron }) => neuron)),
    );
  });

  it('probes what the maps say', async () => {
    const service = new Service();
    const { inspection } = await traceFile(service, siren);
    const [row, column] = [11, 23];
    const probe = await service.call(
      'probe',
      { trace: 'test', row, column, top: 5 },
      () => {},
      neverCancelled,
    );
    for (const { layer, top } of probe.layers) {
      for (const { neuron, contribution } of top) {
        const map = await service.call(
          'map',
          { trace: 'test', neuron: { layer, neuron } },
          () => {},
          neverCancelled,
        );
        expect(map.data[row * inspection.signal.width + column]).toBeCloseTo(contribution, 5);
      }
    }
  });

  // The number of tiles follows the machine's speed, so the moment is told by what was just reported.
  it.each(['phase', 'inspected', 'reconstruction', 'layer'] as const)(
    'stops when cancelled at the first %s',
    async (type) => {
      let cancelled = false;
      const cancel: CancelToken = {
        get cancelled() {
          return cancelled;
        },
        throwIfCancelled() {
          if (cancelled) throw new CancelledError();
        },
      };
      let later = 0;
      const onEvent = (event: TraceEvent) => {
        if (cancelled && event.type !== 'phase') later++;
        if (event.type === type) cancelled = true;
      };
      await expect(new Service().call('trace', { trace: 'a', options }, onEvent, cancel)).rejects.toThrow(
        CancelledError,
      );
      expect(later).toBe(0);
    },
  );
});

describe('files that are no use', () => {
  const open = (name: string, content: string | Buffer) => {
    const file = path.join(folder, name);
    writeFileSync(file, content);
    return traceFile(new Service(), file);
  };

  it.each([
    ['empty', 'empty.pth', ''],
    ['text', 'text.pth', 'loss 0.1\nloss 0.05\n'],
    ['Git-LFS pointer', 'lfs.pt', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n'],
    ['web page', 'page.ckpt', '<!DOCTYPE html><html><body>404</body></html>'],
    ['half a checkpoint', 'half.pth', readFileSync(siren).subarray(0, 40_000)],
  ])('%s: one sentence that names the file', async (_, name, content) => {
    const error: unknown = await open(name, content).catch((e: unknown) => e);
    expect(error).toMatchObject({ exitCode: 3 });
    expect((error as Error).message).toContain(name);
    expect((error as Error).message).not.toContain('\n');
  });

  it('a missing file is said to be missing', async () => {
    await expect(traceFile(new Service(), path.join(folder, 'none.pth'))).rejects.toMatchObject({
      exitCode: 3,
    });
  });

  it('an unknown layer is refused with the known ones', async () => {
    await expect(traceFile(new Service(), siren, {}, { layers: ['nowhere'] })).rejects.toThrow(
      /nowhere.*net/,
    );
  });
});
