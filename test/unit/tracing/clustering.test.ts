/** Clusters of neurons; silhouette against scikit-learn (fixtures/tracing/make_clusters.py). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { CancelledError, neverCancelled, UsageError } from '../../../src/errors';
import { affinities, deviations } from '../../../src/tracing/affinity';
import { clusterEmbedding, silhouette, type Embedding } from '../../../src/tracing/clustering';
import type { ClusterOptions, Clustering } from '../../../src/tracing/types';
import { Service } from '../../../src/worker/service';
import { traceFile } from '../../support';

const root = path.resolve(import.meta.dirname, '../../..');
const reference = JSON.parse(
  readFileSync(path.join(root, 'test/fixtures/tracing/clusters.json'), 'utf8'),
) as { points: [number, number][]; labels: number[]; silhouette: number };

const embedding = (points: readonly (readonly [number, number])[]): Embedding => ({
  options: { features: 'edge', seed: 0, layers: [0] },
  neurons: points.map((_, neuron) => ({ layer: 0, neuron })),
  deadLeftOut: 2,
  weakLeftOut: 0,
  affinities: [],
  points,
  maps: { height: 1, width: 1, data: Float32Array.from(points, (_, i) => i / points.length) },
});

it('computes the silhouette that scikit-learn computes', () => {
  const labels = Uint16Array.from(reference.labels);
  expect(silhouette(reference.points, labels, 0)).toBeCloseTo(reference.silhouette, 10);
});

it('computes how much neurons care about regions as NumPy does', () => {
  const { sums, areas, affinity } = JSON.parse(
    readFileSync(path.join(root, 'test/fixtures/tracing/cluster-affinity.json'), 'utf8'),
  ) as { sums: number[][]; areas: number[]; affinity: number[] };
  // Regions without pixels are gone before.
  const held = areas.filter((area) => area > 0);
  const own = sums.flatMap((row) => row.filter((_, g) => areas[g] > 0));
  const pixels = held.reduce((sum, area) => sum + area, 0);
  const found = affinities(deviations(Float64Array.from(own), held, pixels), held.length);
  for (const [i, value] of affinity.entries()) {
    if (sums[i].every((sum) => sum === 0)) expect(found[i]).toBeNaN();
    else expect(found[i]).toBeCloseTo(value, 10);
  }
});

describe('clusterEmbedding', () => {
  it('ranks numbers of clusters by their silhouette, also after one was chosen', async () => {
    const blobs = embedding(reference.points);
    expect((await clusterEmbedding(blobs, 5, neverCancelled)).suggestions).toEqual([]);
    const { suggestions } = await clusterEmbedding(blobs, undefined, neverCancelled);
    expect(suggestions[0].clusters).toBe(3);
    expect(suggestions.map(({ clusters }) => clusters).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 11 }, (_, i) => i + 2),
    );
    const scores = suggestions.map(({ silhouette: score }) => score);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    expect((await clusterEmbedding(blobs, 5, neverCancelled)).suggestions).toEqual(suggestions);
  });

  it('suggests the number of groups that are there, and finds them', async () => {
    const found = await clusterEmbedding(embedding(reference.points), undefined, neverCancelled);
    expect(found).toMatchObject({ clusters: 3, suggested: true, deadLeftOut: 2 });
    expect(found.silhouette).toBeCloseTo(reference.silhouette, 6);
    const pairs = new Set(found.points.map(({ cluster }, i) => `${cluster}/${reference.labels[i]}`));
    expect(pairs.size).toBe(3);
    const sizes = found.summaries.map(({ size }) => size);
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
  });

  it('names the members nearest to the centre, and means over members only', async () => {
    const points = [
      [0, 0],
      [0.2, 0],
      [-0.1, 0],
      [9, 9],
    ] as [number, number][];
    const { summaries } = await clusterEmbedding(embedding(points), 2, neverCancelled);
    expect(summaries[0].nearest.map(({ neuron }) => neuron)).toEqual([0, 2, 1]);
    expect(summaries[1].meanMap.data[0]).toBe(Math.round(255 * 0.75));
    expect(summaries[1].layerMix).toEqual([{ layer: 0, count: 1 }]);
  });

  it('takes one neuron, and refuses more clusters than neurons', async () => {
    const one = embedding([[0, 0]]);
    expect(await clusterEmbedding(one, undefined, neverCancelled)).toMatchObject({ clusters: 1 });
    await expect(clusterEmbedding(one, 2, neverCancelled)).rejects.toThrow(UsageError);
  });
});

describe('of a traced network', () => {
  const service = new Service();
  let layers: number[];
  const cluster = (options: Partial<ClusterOptions> = {}, cancel = neverCancelled): Promise<Clustering> =>
    service.call(
      'cluster',
      { trace: 'test', options: { features: 'edge', seed: 0, layers, ...options } },
      () => {},
      cancel,
    );

  beforeAll(async () => {
    const traced = await traceFile(service, path.join(root, 'samples/pictures/checkpoints/siren.pth'));
    layers = [...traced.layers.keys()];
  });

  it.each(['edge', 'color', 'space'] as const)(
    'groups every neuron by %s, the same for a seed',
    async (features) => {
      const first = await cluster({ features, seed: 4 });
      expect(first.points.length + first.deadLeftOut).toBe(2 + 4 * 96);
      expect(first.summaries.reduce((sum, { size }) => sum + size, 0)).toBe(first.points.length);
      expect(first.points.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))).toBe(true);
      // Another layout in between, so that nothing is remembered.
      await cluster({ features, seed: 5, layers: [0, 1] });
      expect(await cluster({ features, seed: 4 })).toEqual(first);
    },
  );

  it('lays neurons out close together that contribute to the same places', async () => {
    const layer = layers.length - 1;
    const { points } = await cluster({ features: 'space', layers: [layer] });
    const vectors = await Promise.all(points.map(({ neuron }) => averages(layer, neuron)));
    const unlikeness = (i: number, j: number) => Math.hypot(...vectors[i].map((v, k) => v - vectors[j][k]));
    let near = 0;
    let all = 0;
    for (const [i, p] of points.entries()) {
      const others = [...points.keys()].filter((j) => j !== i);
      const distance = (j: number) => Math.hypot(points[j].x - p.x, points[j].y - p.y);
      const nearest = others.toSorted((a, b) => distance(a) - distance(b)).slice(0, 5);
      near += nearest.reduce((sum, j) => sum + unlikeness(i, j), 0) / nearest.length;
      all += others.reduce((sum, j) => sum + unlikeness(i, j), 0) / others.length;
    }
    expect(near).toBeLessThan(0.9 * all);
  });

  /** A map's magnitude, normalised, averaged over cells of 16 pixels: computed here from the map itself. */
  async function averages(layer: number, neuron: number): Promise<number[]> {
    const params = { trace: 'test', neuron: { layer, neuron } };
    const { width, height, data } = await service.call('map', params, () => {}, neverCancelled);
    const magnitudes = data.map(Math.abs);
    const least = magnitudes.reduce((a, b) => Math.min(a, b));
    const range = magnitudes.reduce((a, b) => Math.max(a, b)) - least;
    const cells: number[] = [];
    for (let top = 0; top < height; top += 16) {
      for (let left = 0; left < width; left += 16) {
        let [sum, count] = [0, 0];
        for (let y = top; y < Math.min(top + 16, height); y++) {
          for (let x = left; x < Math.min(left + 16, width); x++, count++)
            sum += magnitudes[y * width + x] - least;
        }
        cells.push(sum / count / range);
      }
    }
    return cells;
  }

  it('groups the neurons of two checkpoints on one picture, and says whose each is', async () => {
    const trace = async (name: string, id: string) => {
      const file = path.join(root, 'test/fixtures/tracing/compare', `${name}.pth`);
      await traceFile(service, file, {}, {}, id);
    };
    await trace('base', 'a');
    await trace('shuffled', 'b');
    await trace('wide', 'c');
    const together = (other: string) =>
      service.call(
        'cluster',
        { trace: 'a', with: [other], options: { features: 'edge', seed: 0, layers: [1, 2, 3], clusters: 4 } },
        () => {},
        neverCancelled,
      );
    const { points, summaries } = await together('b');
    expect(points.filter(({ model }) => !model)).toHaveLength(3 * 16);
    expect(points.filter(({ model }) => model === 1)).toHaveLength(2 + 3 * 16);
    // The copy has the same maps at the picture, in another order: they care as much, cluster by cluster.
    for (const { affinities, size, layerMix } of summaries) {
      expect(affinities.map(({ feature }) => feature)).toEqual(['color', 'edge', 'space']);
      expect(affinities.every(({ value, random }) => value > 0 && random > 0)).toBe(true);
      expect(layerMix.reduce((sum, { count }) => sum + count, 0)).toBe(size);
    }
    // Neurons of the picture's layer lie beside their copies, which the script put in another order.
    const { orders } = JSON.parse(
      readFileSync(path.join(root, 'test/fixtures/tracing/compare/compare.json'), 'utf8'),
    ) as { orders: number[][] };
    const at = (wanted: number, neuron: number) =>
      points.find(({ model = 0, layer, neuron: n }) => model === wanted && layer === 3 && n === neuron)!;
    const distance = (a: number, b: number) => Math.hypot(at(0, a).x - at(1, b).x, at(0, a).y - at(1, b).y);
    const middle = (values: number[]) => values.sort((x, y) => x - y)[values.length >> 1];
    const twins = orders[3].map((a, b) => distance(a, b));
    const others = orders[3].flatMap((_, b) => orders[3].map((a) => distance(a, b)));
    expect(middle(twins)).toBeLessThan(0.3 * middle(others));
    await expect(together('c')).rejects.toThrow(/24x32 and 16x20; choose a checkpoint of the same size/);
  });

  it('stops when cancelled, at whichever step', async () => {
    let steps = 0;
    const counting = { cancelled: false, throwIfCancelled: () => void steps++ };
    await cluster({ seed: 9 }, counting);
    for (const stop of [1, Math.floor(steps / 3), Math.floor(steps / 2)]) {
      let left = stop;
      const cancel = {
        cancelled: false,
        throwIfCancelled() {
          if (--left < 0) throw new CancelledError();
        },
      };
      await expect(cluster({ seed: 10 + stop }, cancel)).rejects.toThrow(CancelledError);
    }
  });
});
