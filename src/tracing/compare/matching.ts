/** Which neuron of one network is which of another: by likeness of their contribution maps. */
import type { Engine } from '../../engine/types';
import type { CancelToken } from '../../errors';
import type { Runs } from '../regionMask';
import { assign } from './assignment';

/** Neurons of one layer at some pixels. */
export interface SampledMaps {
  readonly neurons: number;
  readonly pixels: number;
  /** Contributions `[neurons, pixels]`. */
  readonly data: Float32Array;
}

/** @param pixels in any order, row-major indices @throws CancelledError */
export async function sampleMaps(
  trace: Runs,
  layer: number,
  neurons: number,
  pixels: Uint32Array,
  cancel: CancelToken,
): Promise<SampledMaps> {
  const places = Array.from(pixels.keys()).sort((a, b) => pixels[a] - pixels[b]);
  const data = new Float32Array(neurons * pixels.length);
  let tile = { start: -1, length: -1, at: [] as number[] };
  await trace.eachRun(layer, cancel, (neuron, start, values) => {
    if (tile.start !== start || tile.length !== values.length) {
      const at = places.filter((k) => pixels[k] >= start && pixels[k] < start + values.length);
      tile = { start, length: values.length, at };
    }
    const row = neuron * pixels.length;
    for (const k of tile.at) data[row + k] = values[pixels[k] - start];
  });
  return { neurons, pixels: pixels.length, data };
}

/** Each row less its mean, of length 1; rows that are constant become zero. */
export function normalised({ neurons, pixels, data }: SampledMaps): Float32Array {
  const out = new Float32Array(data.length);
  for (let i = 0; i < neurons; i++) {
    const row = data.subarray(i * pixels, (i + 1) * pixels);
    let mean = 0;
    for (const value of row) mean += value / pixels;
    let squares = 0;
    let size = 0;
    for (const value of row) {
      squares += (value - mean) ** 2;
      size = Math.max(size, Math.abs(value));
    }
    // What rounding leaves of a constant is no pattern.
    if (squares <= pixels * (1e-6 * size) ** 2) continue;
    const factor = 1 / Math.sqrt(squares);
    for (let k = 0; k < pixels; k++) out[i * pixels + k] = (row[k] - mean) * factor;
  }
  return out;
}

/** Pearson correlations of all pairs of maps, `[neurons of a, neurons of b]`; 0 with a constant map. */
export async function correlations(engine: Engine, a: SampledMaps, b: SampledMaps): Promise<Float32Array> {
  const [first, second] = [normalised(a), normalised(b)];
  const turned = new Float32Array(second.length);
  for (let i = 0; i < b.neurons; i++) {
    for (let k = 0; k < b.pixels; k++) turned[k * b.neurons + i] = second[i * b.pixels + k];
  }
  const session = await engine.load(
    {
      inputs: [
        { name: 'a', shape: ['N', 'S'] },
        { name: 'b', shape: ['S', 'M'] },
      ],
      nodes: [{ op: 'MatMul', inputs: ['a', 'b'], outputs: ['c'] }],
      constants: new Map(),
      output: 'c',
    },
    ['c'],
  );
  try {
    const feeds = new Map([
      ['a', { shape: [a.neurons, a.pixels], data: first }],
      ['b', { shape: [b.pixels, b.neurons], data: turned }],
    ]);
    return (await session.run(feeds)).get('c')!.data;
  } finally {
    await session.release();
  }
}

/**
 * How much the mean correlation must rise for neurons to be taken for others than their own place in the layer
 * says: training moves maps, and of neurons that are much alike, chance would swap some.
 */
export const MARGIN = 0.05;
/** Layers of more neurons are matched by place. */
export const MOST_ASSIGNED = 2048;

export interface Matching {
  readonly by: 'identity' | 'assignment';
  /** Neuron of b for each of a; −1 for none. */
  readonly partner: Int32Array;
  /** Mean correlation of matched neurons that are not constant, by place where both have as many, and at best. */
  readonly identityMean: number | null;
  readonly assignedMean: number | null;
}

/** Maps that are constant, such as those of dead neurons: they correlate with nothing. */
export function constants(maps: SampledMaps): Uint8Array {
  const rows = normalised(maps);
  return Uint8Array.from({ length: maps.neurons }, (_, i) =>
    rows.subarray(i * maps.pixels, (i + 1) * maps.pixels).every((v) => v === 0) ? 1 : 0,
  );
}

/** @param constant neurons of a and of b whose maps are constant: two of them say nothing about the match */
export function match(
  similarity: Float32Array,
  a: number,
  b: number,
  constant: readonly [Uint8Array, Uint8Array],
): Matching {
  const identity = Int32Array.from({ length: a }, (_, i) => (i < b ? i : -1));
  const mean = (partner: Int32Array) => {
    let [sum, count] = [0, 0];
    partner.forEach((j, i) => {
      if (j < 0 || (constant[0][i] && constant[1][j])) return;
      sum += similarity[i * b + j];
      count++;
    });
    return count > 0 ? sum / count : 0;
  };
  const identityMean = a === b ? mean(identity) : null;
  if (Math.max(a, b) > MOST_ASSIGNED) {
    return { by: 'identity', partner: identity, identityMean: mean(identity), assignedMean: null };
  }
  const assigned = assign(similarity, a, b);
  const assignedMean = mean(assigned);
  const keep = identityMean !== null && assignedMean - identityMean <= MARGIN;
  return {
    by: keep ? 'identity' : 'assignment',
    partner: keep ? identity : assigned,
    identityMean,
    assignedMean,
  };
}
