/** The video sample through the worker's calls: frames, motion, neurons and objects over time. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CancelledError, neverCancelled, UsageError } from '../../../src/errors';
import type { CallName, EventOf, Params, TraceResult } from '../../../src/worker/protocol';
import { Service } from '../../../src/worker/service';
import { traceFile } from '../../support';

const sample = path.resolve(import.meta.dirname, '../../../samples/video');
const file = path.join(sample, 'checkpoints/nerv.pth');
const fixtures = path.resolve(import.meta.dirname, '../../fixtures');
const layers = ['layers.2.conv.conv', 'head_layers.2'];

const service = new Service();
const call = <K extends CallName>(name: K, params: Params<K>, emit: (event: EventOf<K>) => void = () => {}) =>
  service.call(name, params, emit, neverCancelled);

describe('the video sample', () => {
  let first: TraceResult;
  beforeAll(async () => {
    first = await traceFile(service, file, {}, { layers, frame: 2 });
  }, 120_000);
  afterAll(() => call('close', { trace: 'test' }));

  it('is compared with the frame of that number in the folder beside it', () => {
    expect(first.frame).toBe(2);
    expect(first.inspection.signal.frames).toBe(16);
    expect(first.target).toBe('frames/002.png');
    expect(first.psnr).toBeGreaterThan(50);
  });

  it('plays any frame, with its likeness to the target', async () => {
    const [a, b] = [
      await call('still', { trace: 'test', frame: 2 }),
      await call('still', { trace: 'test', frame: 9 }),
    ];
    expect([a.picture.width, a.picture.height]).toEqual([128, 64]);
    expect(a.picture.rgba).not.toEqual(b.picture.rgba);
    expect(a.psnr).toBeCloseTo(first.psnr!, 3);
    expect(b.psnr).toBeGreaterThan(50);
    await expect(call('still', { trace: 'test', frame: 16 })).rejects.toThrow(/from 0 to 15/);
  });

  it('moves to another frame, whose maps are then asked for', async () => {
    const neuron = { layer: 0, neuron: 100 };
    const before = await call('map', { trace: 'test', neuron });
    const events: string[] = [];
    const moved = await call('frame', { trace: 'test', frame: 9, first: layers[0] }, (event) => {
      if (event.type !== 'phase') events.push(event.type === 'layer' ? event.layer.name : event.type);
    });
    expect(events).toEqual(['reconstruction', ...layers]);
    expect(moved.frame).toBe(9);
    expect(moved.target).toBe('frames/009.png');
    expect(moved.layers.map(({ name }) => name)).toEqual(layers);
    const after = await call('map', { trace: 'test', neuron });
    expect(after.data).not.toEqual(before.data);
    const anew = new Service();
    await traceFile(anew, file, {}, { layers, frame: 9 });
    expect(after.data).toEqual(
      (await anew.call('map', { trace: 'test', neuron }, () => {}, neverCancelled)).data,
    );
  }, 120_000);

  it('finds that what changes is what moves', async () => {
    await call('frame', { trace: 'test', frame: 9 });
    const motion = await call('motion', { trace: 'test' });
    expect(motion.frame).toBe(9);
    expect(motion.of).toBe('frames');
    expect(motion.layers.map(({ layer }) => layer)).toEqual([0, 1]);
    // The change map by its definition, of the head.
    const maps = async (frame: number) => {
      await call('frame', { trace: 'test', frame });
      const all: Float32Array[] = [];
      for (let neuron = 0; neuron < first.layers[1].neurons; neuron++) {
        all.push((await call('map', { trace: 'test', neuron: { layer: 1, neuron } })).data);
      }
      return all;
    };
    const [earlier, later] = [await maps(8), await maps(9)];
    const pixel = 30 * 128 + 60;
    const change = later.reduce(
      (sum, map, k) => sum + Math.abs(Math.abs(map[pixel]) - Math.abs(earlier[k][pixel])),
      0,
    );
    expect(motion.layers[1].change.data[pixel]).toBeCloseTo(change, 4);
    for (const { pearson, spearman } of motion.layers) {
      expect(Math.abs(pearson)).toBeLessThanOrEqual(1);
      expect(spearman).toBeGreaterThan(0);
    }
    // The camera pans by 40 pixels in 16 frames, and the meadow with it.
    const meadow = motion.flow.data.subarray(60 * 128 + 16, 60 * 128 + 112).toSorted();
    expect(meadow[48]).toBeGreaterThan(2.2);
    expect(meadow[48]).toBeLessThan(2.8);
    await call('frame', { trace: 'test', frame: 0 });
    await expect(call('motion', { trace: 'test' })).rejects.toThrow(UsageError);
  }, 120_000);

  it('follows neurons over the clip', async () => {
    const { frames, neurons } = await call('series', { trace: 'test', layer: 1, neurons: [4, 7] });
    expect(frames).toEqual(Array.from({ length: 16 }, (_, k) => k));
    expect(neurons.map(({ neuron }) => neuron)).toEqual([4, 7]);
    const total = first.layers[1].statistics.total[7];
    expect(Math.abs(neurons[1].totals[2] - total)).toBeLessThan(1e-4 * total);
  }, 120_000);

  it('follows objects over the clip', async () => {
    const folder = await call('findLabels', { trace: 'test' });
    expect(folder).toBe(path.join(sample, 'labels'));
    const { objects, frames } = await call('objects', { trace: 'test', layer: 1, folder: folder! });
    expect(objects.map(({ label }) => label)).toEqual([0, 1, 2, 3, 4]);
    expect(frames).toHaveLength(16);
    const areas = objects.map((object) => object.areas[2]);
    expect(areas.reduce((a, b) => a + b)).toBe(64 * 128);
    // All objects together are the picture, so their sums are the layer's.
    const sum = objects.reduce((total, { density, areas: all }) => total + density[2] * all[2], 0);
    const whole = first.layers[1].statistics.total.reduce((a, b) => a + b);
    expect(Math.abs(sum - whole)).toBeLessThan(1e-4 * whole);
    for (const { normalised, top } of objects) {
      expect(normalised.reduce((a, b) => a + b) / 16).toBeCloseTo(1, 6);
      expect(top[0].density).toBeGreaterThanOrEqual(top[1].density);
    }
  }, 120_000);

  it('says what is wrong with a folder of labels', async () => {
    const objects = (folder: string) => call('objects', { trace: 'test', layer: 1, folder });
    await expect(objects(path.join(sample, 'checkpoints'))).rejects.toThrow(/holds no PNG/);
    const folder = mkdtempSync(path.join(tmpdir(), 'neural-canvas-'));
    cpSync(path.join(sample, 'labels/000.png'), path.join(folder, '0.png'));
    await expect(objects(folder)).rejects.toThrow(/holds 1 pictures, but the video has 16/);
    rmSync(folder, { recursive: true });
  });

  it('stops when it is cancelled', async () => {
    const cancel = {
      cancelled: true,
      throwIfCancelled() {
        throw new CancelledError();
      },
    };
    const params = { trace: 'test', layer: 0, neurons: [1, 2, 3] };
    await expect(service.call('series', params, () => {}, cancel)).rejects.toThrow(CancelledError);
  });
});

describe('a network over row, column and time', () => {
  it('is traced frame by frame', async () => {
    const video = path.join(fixtures, 'video/siren-time.pt');
    const at = async (frame: number) => {
      const trace = new Service();
      const result = await traceFile(trace, video, { size: '8x10', frames: '5' }, { frame });
      const map = await trace.call(
        'map',
        { trace: 'test', neuron: { layer: 1, neuron: 3 } },
        () => {},
        neverCancelled,
      );
      return { result, map, trace };
    };
    const [zero, three] = [await at(0), await at(3)];
    expect(zero.result.frame).toBe(0);
    expect(three.map.data).not.toEqual(zero.map.data);
    await zero.trace.call('frame', { trace: 'test', frame: 3 }, () => {}, neverCancelled);
    const moved = await zero.trace.call(
      'map',
      { trace: 'test', neuron: { layer: 1, neuron: 3 } },
      () => {},
      neverCancelled,
    );
    expect(moved.data).toEqual(three.map.data);
    const still = await zero.trace.call('still', { trace: 'test', frame: 3 }, () => {}, neverCancelled);
    expect([still.picture.width, still.picture.height]).toEqual([10, 8]);
  }, 60_000);
});

describe('a picture', () => {
  it('has no frames', async () => {
    const picture = path.join(fixtures, 'inr/siren-coin.pt');
    await expect(traceFile(new Service(), picture, { size: '8x8' }, { frame: 2 })).rejects.toThrow(
      /one picture/,
    );
    const trace = new Service();
    await traceFile(trace, picture, { size: '8x8' });
    await expect(trace.call('still', { trace: 'test', frame: 0 }, () => {}, neverCancelled)).rejects.toThrow(
      /not a video/,
    );
  }, 60_000);
});
