/** Real checkpoints (../shared/data) against the results that came with them. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { inrIn, largestDifference, prediction, reconstruct, values } from './run';

const data = path.join(import.meta.dirname, '../../../../shared/data');
const here = existsSync(data);

describe.skipIf(!here)('shared checkpoints', () => {
  it('XINC’s Fourier-feature network needs no option', async () => {
    const inr = inrIn(path.join(data, 'xinc-ffn/best_model.ckpt'));
    expect([inr.family, inr.parameters]).toEqual(['xinc-fourier', 32_971]);
    expect(inr.layers.map((layer) => [layer.name, layer.inputs, layer.outputs])).toEqual([
      ['model.net.0.linear', 208, 104],
      ['model.net.1.linear', 104, 104],
      ['model.net.2.linear', 104, 3],
    ]);
    expect(inr.assumptions.filter(({ confidence }) => confidence < 0.8)).toEqual([]);
    expect(largestDifference(await reconstruct(inr), prediction('xinc-ffn'))).toBeLessThan(1e-4);
  });

  it('is understood from its hyper-parameters alone', async () => {
    const inr = inrIn(path.join(data, 'xinc-ffn/best_model.ckpt'), { sidecars: [] });
    expect(inr.assumptions.find(({ name }) => name === 'size')).toMatchObject({
      value: '128x256',
      source: 'hyper-parameters',
    });
    expect(largestDifference(await reconstruct(inr), prediction('xinc-ffn'))).toBeLessThan(1e-4);
  });

  it('COIN’s SIREN needs its size only', async () => {
    const inr = inrIn(path.join(data, 'coin-kodim15/best_model_15.pt'), { corrections: { size: '128x192' } });
    expect(inr.family).toBe('siren-coin');
    expect(largestDifference(await reconstruct(inr), prediction('coin-kodim15'))).toBeLessThan(1e-4);
  });

  it('WIRE needs its size only', async () => {
    const inr = inrIn(path.join(data, 'wire-kodim05/wire_kodim05.pth'), { corrections: { size: '128x192' } });
    expect(inr.family).toBe('wire');
    expect(largestDifference(await reconstruct(inr), prediction('wire-kodim05'))).toBeLessThan(1e-4);
  });

  it('NeRV needs its number of frames only', async () => {
    const inr = inrIn(path.join(data, 'nerv-bunny/model_best.pth'), { corrections: { frames: '16' } });
    expect([inr.family, inr.signal]).toEqual([
      'nerv-hnerv',
      { kind: 'video', channels: 3, height: 128, width: 256, frames: 16 },
    ]);
    expect(inr.layers.map(({ name, inputs, outputs, shuffle }) => [name, inputs, outputs, shuffle])).toEqual([
      ['decoder.1.conv.upconv.0', 42, 560, 4],
      ['decoder.2.conv.upconv.0', 35, 116, 2],
      ['decoder.3.conv.upconv.0', 29, 96, 2],
      ['head_layer', 24, 3, undefined],
    ]);
    const frame = (await values(inr, [inr.graph.output], 3)).get(inr.graph.output)!;
    expect(largestDifference(frame, prediction('nerv-bunny'))).toBeLessThan(1e-4);
  });
});
