/** Kernels of random decoders against the rules of tracing.md §1, written plainly and slowly. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { neverCancelled } from '../../../src/errors';
import { plainActs } from '../../../src/inr/activations';
import type { TracedLayer } from '../../../src/inr/types';
import { KernelPath } from '../../../src/tracing/video/path';
import { kernelsAtPixel } from '../../../src/tracing/video/pixel';
import {
  added,
  perKernel,
  residualOf,
  sharedFloats,
  shareRound,
  sharesOf,
  type KernelLayer,
} from '../../../src/tracing/video/statistics';

const acts = ['gelu', 'relu', 'swish', 'tanh', 'sigmoid', 'softplus', 'leaky-relu'] as const;

type Sides = readonly [height: number, width: number];

interface Shape {
  readonly height: number;
  readonly width: number;
  readonly inputs: number;
  readonly blocks: readonly { readonly channels: number; readonly stride: number; readonly kernel: Sides }[];
  readonly headKernel: Sides;
  readonly act: (typeof acts)[number];
  readonly scale: number;
  readonly seed: number;
}

const side = fc.constantFrom(1, 2, 3, 4, 5, 7);
// Most are square.
const kernelSizes = fc.oneof(
  side.map((n): Sides => [n, n]),
  fc.tuple(side, side),
);
const shapes: fc.Arbitrary<Shape> = fc.record({
  height: fc.integer({ min: 1, max: 6 }),
  width: fc.integer({ min: 1, max: 7 }),
  inputs: fc.integer({ min: 1, max: 3 }),
  blocks: fc.array(
    fc.record({
      // With 9, threads take output channels, with fewer, input channels.
      channels: fc.constantFrom(1, 1, 2, 2, 9),
      stride: fc.integer({ min: 1, max: 5 }),
      kernel: kernelSizes,
    }),
    { maxLength: 3 },
  ),
  headKernel: kernelSizes,
  act: fc.constantFrom(...acts),
  // Beyond 8, σ comes from no table.
  scale: fc.constantFrom(0.3, 1, 12),
  seed: fc.integer({ min: 1, max: 1e6 }),
});

const area = ([height, width]: Sides) => height * width;
/** Values that the plain rules go through. */
const work = ({ height, width, inputs, blocks, headKernel }: Shape) => {
  const pixels = height * width * blocks.reduce((scale, { stride }) => scale * stride ** 2, 1);
  const outputs = blocks.length > 0 ? blocks[0].channels * blocks[0].stride ** 2 : 3;
  return inputs * outputs * pixels * (area(headKernel) + blocks.reduce((a, b) => a + area(b.kernel), 0));
};

function made({ height, width, inputs, blocks, headKernel, act, scale, seed }: Shape): KernelLayer {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return scale * (state / 2 ** 31 - 1);
  };
  const random = (length: number) => Float32Array.from({ length }, uniform);
  const all = [
    ...blocks.map(({ channels, stride, kernel }) => ({ outputs: channels * stride ** 2, stride, kernel })),
    { outputs: 3, stride: 1, kernel: headKernel },
  ];
  let channels = inputs;
  const layers = all.map(({ outputs, stride, kernel }, k): TracedLayer => {
    const last = k === all.length - 1;
    const layer = {
      name: `layer${k}`,
      kind: 'convolution' as const,
      inputs: channels,
      outputs,
      input: '',
      preActivation: '',
      weight: random(outputs * channels * area(kernel)),
      ...(kernel[0] !== kernel[1] && { kernel }),
      bias: k % 2 === 0 ? random(outputs) : null,
      ...(!last && { shuffle: stride }),
      activation: last ? ('identity' as const) : act,
      last,
    };
    channels = outputs / stride ** 2;
    return layer;
  });
  const input = random(inputs * height * width);
  const kernels = { layers, input, height, width, previewSide: 8, kernelSide: 4 };
  return { ...kernels, result: plainResult(kernels) };
}

/** `[height, width]` */
type Plane = readonly (readonly number[])[];
const grid = (height: number, width: number, at: (y: number, x: number) => number): Plane =>
  Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => at(y, x)));
const sizeOf = (plane: Plane) => [plane.length, plane[0].length] as const;
const kernelOf = ({ weight, kernel, inputs, outputs }: TracedLayer): Sides => {
  const side = Math.sqrt(weight.length / inputs / outputs);
  return kernel ?? [side, side];
};

/** With PyTorch's padding `same`. */
function correlate(plane: Plane, kernel: Sides, weight: (k: number) => number, bias: number): Plane {
  const [height, width] = kernel;
  const [above, before] = kernel.map((n) => Math.floor((n - 1) / 2));
  return grid(...sizeOf(plane), (y, x) => {
    let sum = bias;
    for (let k = 0; k < height * width; k++) {
      const value = plane[y + Math.floor(k / width) - above]?.[x + (k % width) - before] ?? 0;
      sum += weight(k) * value;
    }
    return sum;
  });
}

/** Averages over equal cells, by how much of each value lies inside. */
function cells(plane: Plane, { height, width }: { readonly height: number; readonly width: number }): Plane {
  const [rows, columns] = sizeOf(plane);
  const inside = (k: number, cell: number, n: number, count: number) =>
    Math.max(0, Math.min((k + 1) / n, (cell + 1) / count) - Math.max(k / n, cell / count)) * count;
  return grid(height, width, (r, c) =>
    plane.reduce(
      (sum, row, y) =>
        sum + inside(y, r, rows, height) * row.reduce((s, v, x) => s + v * inside(x, c, columns, width), 0),
      0,
    ),
  );
}

const mean = (plane: Plane, kernel: Sides) => correlate(plane, kernel, () => 1 / area(kernel), 0);

/** Of one kernel, before PixelShuffle. */
function plainKernel(
  { layers: [own], input, height, width }: Omit<KernelLayer, 'result'>,
  i: number,
  o: number,
): Plane {
  const kernel = kernelOf(own);
  const weights = own.weight.subarray((o * own.inputs + i) * area(kernel));
  const x = grid(height, width, (r, c) => input[(i * height + r) * width + c]);
  return correlate(x, kernel, (k) => weights[k], (own.bias?.[o] ?? 0) / own.inputs);
}

/** PixelShuffle and σ of all kernels together. */
function plainResult(kernels: Omit<KernelLayer, 'result'>): Float32Array {
  const [{ inputs, outputs, shuffle: s = 1, activation, last }] = kernels.layers;
  const { height, width } = kernels;
  const result = new Float32Array(outputs * height * width);
  for (let o = 0; o < outputs; o++) {
    const planes = Array.from({ length: inputs }, (_, i) => plainKernel(kernels, i, o));
    const [row, column] = [Math.floor((o % s ** 2) / s), o % s];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const z = planes.reduce((sum, plane) => sum + plane[y][x], 0);
        const at = ((Math.floor(o / s ** 2) * height + y) * s + row) * width * s + x * s + column;
        result[at] = last ? z : plainActs[activation as 'gelu'].scalar(z);
      }
    }
  }
  return result;
}

/** Mask by phase → σ → for each later block {mean filter → up-sample → σ} → mean filter of the head. */
function plainMap(kernels: KernelLayer, i: number, o: number): number[] {
  const { layers, height, width } = kernels;
  const [own, ...later] = layers;
  let plane = plainKernel(kernels, i, o);
  if (own.last) return plane.flat();
  const s = own.shuffle!;
  const [row, column] = [Math.floor((o % s ** 2) / s), o % s];
  const sigma = plainActs[own.activation as 'gelu'].scalar;
  const result = plane;
  plane = grid(height * s, width * s, (r, c) =>
    r % s === row && c % s === column ? result[Math.floor(r / s)][Math.floor(c / s)] : 0,
  ).map((line) => line.map(sigma));
  for (const layer of later) {
    const smooth = mean(plane, kernelOf(layer));
    const up = layer.shuffle ?? 1;
    const [h, w] = sizeOf(smooth);
    plane = layer.last
      ? smooth
      : grid(h * up, w * up, (r, c) => sigma(smooth[Math.floor(r / up)][Math.floor(c / up)]));
  }
  return plane.flat();
}

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let most = a.length === b.length ? 0 : Infinity;
  for (let k = 0; k < a.length; k++) most = Math.max(most, Math.abs(a[k] - b[k]));
  return most;
};

describe('kernels of decoders of any shape', () => {
  it('have the maps and the statistics that the rules give', async () => {
    await fc.assert(
      fc.asyncProperty(
        shapes.filter((shape) => work(shape) < 1e6),
        async (shape) => {
          const kernels = made(shape);
          const [{ inputs, outputs }] = kernels.layers;
          const path = new KernelPath(kernels.layers, kernels, kernels.previewSide, kernels.kernelSide);
          const { frameHeight, frameWidth, previewSize, kernelPreviewSize } = path;
          const n = inputs * outputs;
          const maps = Array.from({ length: n }, (_, k) =>
            plainMap(kernels, Math.floor(k / outputs), k % outputs),
          );
          const largest = maps.flat().reduce((most, v) => Math.max(most, Math.abs(v)), 0);
          const near = 1e-5 * largest + 1e-12;
          const size = kernels.height * kernels.width;
          for (const [k, map] of maps.entries()) {
            const input = Math.floor(k / outputs);
            path.convolve(kernels.input.subarray(input * size, (input + 1) * size), input, k % outputs);
            path.descend(k % outputs);
            expect(furthest(path.map(), map)).toBeLessThanOrEqual(near);
          }
          const pixels = frameHeight * frameWidth;
          const pixel = shape.seed % pixels;
          const probed = kernelsAtPixel(
            kernels.layers[0],
            path,
            kernels.input,
            Math.floor(pixel / frameWidth),
            pixel % frameWidth,
          );
          const there = maps.map((map) => map[pixel]);
          expect(furthest(probed, there)).toBeLessThanOrEqual(near);

          // Two threads, each with every other share.
          const { count, whole } = sharesOf(kernels.layers[0]);
          const into = perKernel(kernels, kernelPreviewSize.height * kernelPreviewSize.width);
          const both = (second?: { readonly fair: Float32Array; readonly threshold: number }) =>
            Promise.all(
              [0, 1].map((first) => {
                let next = first;
                const claim = () => ((next += 2) - 2 < count ? next - 2 : undefined);
                const round = { kernels, into, ...(second && { second }) };
                return shareRound(round, claim, neverCancelled, () => undefined);
              }),
            );
          const shares = await both();
          const worst = (all: Awaited<ReturnType<typeof both>>) =>
            whole
              ? Math.max(...all.flatMap(({ residuals }) => residuals!.map(({ largest }) => largest)))
              : residualOf(kernels, path.activation, 0, added(all.map(({ affine }) => affine!))).largest;
          const magnitude = inputs * area(kernelOf(kernels.layers[0])) * shape.scale ** 2;
          expect(worst(shares)).toBeLessThanOrEqual(1e-6 * magnitude);
          // Another result is noticed, wherever it differs.
          const { result } = kernels;
          const changed = shape.seed % result.length;
          result[changed] += 1;
          expect(worst(await both())).toBeGreaterThan(0.5);
          for (const [k, map] of maps.entries()) {
            const total = map.reduce((sum, v) => sum + Math.abs(v), 0);
            expect(Math.abs(into.total[k] - total)).toBeLessThanOrEqual(near * pixels);
            const most = map.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
            expect(Math.abs(into.largest[k] - most)).toBeLessThanOrEqual(near);
            const signed = map.reduce((a, v) => a + v, 0) / pixels;
            expect(Math.abs(into.signedMean[k] - signed)).toBeLessThanOrEqual(near);
          }
          const shown = kernelPreviewSize.height * kernelPreviewSize.width;
          for (const [k, map] of maps.entries()) {
            const plane = grid(frameHeight, frameWidth, (y, x) => map[y * frameWidth + x]);
            const preview = cells(cells(plane, previewSize), kernelPreviewSize).flat();
            const limit = preview.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
            expect(Math.abs(into.limits[k] - limit)).toBeLessThanOrEqual(near);
            for (const [at, v] of preview.entries()) {
              const decoded = ((into.previews[k * shown + at] - 128) / 127) * into.limits[k];
              expect(Math.abs(decoded - v)).toBeLessThanOrEqual(limit / 250 + near);
            }
          }
          const sums = added(shares.map((share) => share.sums!));
          const stride = sums.length / frameHeight;
          const place = (p: number) => Math.floor(p / frameWidth) * stride + (p % frameWidth);
          for (let p = 0; p < pixels; p++) {
            const together = maps.reduce((sum, map) => sum + Math.abs(map[p]), 0);
            expect(Math.abs(sums[place(p)] - together)).toBeLessThanOrEqual(near * n);
          }
          expect(added(shares.map((share) => share.counts!)).reduce((a, b) => a + b)).toBe(n * pixels);

          const fair = sharedFloats(sums.length);
          for (let k = 0; k < fair.length; k++) fair[k] = sums[k] / n;
          const threshold = Math.fround(0.4 * largest);
          const above = added((await both({ fair, threshold })).map((share) => share.above!));
          // Values as good as equal may fall on either side.
          const close = (v: number, limit: number) => Math.abs(Math.abs(v) - limit) <= 2 * near;
          for (const [k, map] of maps.entries()) {
            const share = (p: number) => fair[place(p)];
            const sure = map.filter((v, p) => Math.abs(v) > share(p) && !close(v, share(p))).length;
            const unsure = map.filter((v, p) => close(v, share(p))).length;
            expect(into.pixels[k]).toBeGreaterThanOrEqual(sure);
            expect(into.pixels[k]).toBeLessThanOrEqual(sure + unsure);
          }
          for (let p = 0; p < pixels; p++) {
            const sure = maps.filter(
              (map) => Math.abs(map[p]) > threshold && !close(map[p], threshold),
            ).length;
            const unsure = maps.filter((map) => close(map[p], threshold)).length;
            expect(above[place(p)]).toBeGreaterThanOrEqual(sure);
            expect(above[place(p)]).toBeLessThanOrEqual(sure + unsure);
          }
        },
      ),
      { numRuns: 40 },
    );
  }, 60_000);
});

it('loops.wasm.ts is what loops.wat says', () => {
  const root = path.resolve(import.meta.dirname, '../../..');
  const { status, stderr } = spawnSync(process.execPath, ['scripts/wat.mjs', '--check'], { cwd: root });
  expect(status, String(stderr)).toBe(0);
}, 60_000);
