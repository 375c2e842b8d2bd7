import { describe, expect, it } from 'vitest';
import type { TracedLayer } from '../../../src/inr/types';
import {
  detailSign,
  duplicates,
  finiteSign,
  noiseSign,
  orientationSign,
  prunedSign,
  rankSign,
  saturationSign,
  settingSign,
} from '../../../src/tracing/clinical';
import { seededRandom } from '../../../src/tracing/random';

const random = seededRandom(4);
const noise = (n: number) => Float32Array.from({ length: n }, () => random());

describe('clinical signs', () => {
  it('finds copies up to scale, sign and shift, and nothing else', () => {
    const rows = [noise(50), noise(50), noise(50)];
    const values = Float32Array.from([
      ...rows[0],
      ...rows[1],
      ...rows[0].map((v) => 3 - 2 * v),
      ...rows[2],
      ...rows[1],
      ...new Float32Array(50).fill(2),
      ...new Float32Array(50).fill(5),
    ]);
    expect(duplicates(values, 7)).toEqual([
      [0, 2],
      [1, 4],
    ]);
  });

  it('calls a tanh at its bounds saturated, and knows no bounds of a sine', () => {
    const values = Float32Array.from([...new Float32Array(20).fill(0.999), ...noise(20)]);
    expect(saturationSign('a', 'tanh', values, 2)).toMatchObject({ neurons: [0] });
    expect(saturationSign('a', 'sine', values, 2)).toBeUndefined();
  });

  it('names neurons that nothing leaves', () => {
    const weight = Float32Array.of(1, 0, 3, 0, 0, 6);
    const layer = { name: 'net.1', inputs: 3, outputs: 2, weight } as TracedLayer;
    expect(prunedSign(layer)).toMatchObject({ severity: 'note', neurons: [1] });
    expect(prunedSign({ ...layer, weight: noise(6).map((v) => v + 1) })).toMatchObject({ severity: 'good' });
  });

  it('sees a picture that lies on its head', () => {
    const target = noise(6 * 5 * 3);
    const turned = target.slice();
    for (let y = 0; y < 6; y++) turned.set(target.subarray(y * 15, (y + 1) * 15), (5 - y) * 15);
    expect(orientationSign(turned, target, 6, 5, 3)).toMatchObject({ severity: 'warning' });
    expect(orientationSign(turned, target, 6, 5, 3).sentence).toContain('upside down');
    expect(orientationSign(target, target, 6, 5, 3).severity).toBe('good');
  });

  it('names a setting that fits better', () => {
    const others = [
      { values: { omega0: 30 }, psnr: 12 },
      { values: { omega0: 60 }, psnr: 31 },
    ];
    expect(settingSign(others, 12)?.sentence).toContain('omega0 = 60');
    expect(settingSign(others, 31)?.severity).toBe('good');
    expect(settingSign([], 31)).toBeUndefined();
  });

  it('tells noise from a picture', () => {
    expect(noiseSign(noise(3000), 20, 50, 3).severity).toBe('warning');
    const slope = Float32Array.from({ length: 1000 }, (_, p) => (p % 50) / 50);
    expect(noiseSign(slope, 20, 50, 1).severity).toBe('good');
    expect(noiseSign(new Float32Array(20), 4, 5, 1).severity).toBe('good');
  });

  it('says which detail is missed', () => {
    const band = (from: number, to: number, missed: number) => ({
      from,
      to,
      target: 0.3,
      error: 0.5,
      missed,
    });
    expect(detailSign([band(0, 1 / 32, 0.01), band(1 / 8, 1 / 4, 0.9)]).sentence).toContain('1/8–1/4');
    expect(detailSign([band(0, 1 / 32, 0.01)]).severity).toBe('good');
  });

  it('reports what is not finite, and layers that act as one', () => {
    expect(finiteSign({ w: Float32Array.of(1, NaN, Infinity) })?.sentence).toContain('w (2)');
    expect(finiteSign({ w: Float32Array.of(1) })).toBeUndefined();
    expect(rankSign('a', 1.01, 64).severity).toBe('note');
    expect(rankSign('a', 12, 64).severity).toBe('good');
  });
});
