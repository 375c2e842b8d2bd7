/** Partitions of a picture into regions by colour, edges and place (tracing.md §3). */
import { kmeansGenerator } from 'ml-kmeans';
import type { CancelToken } from '../errors';
import { sampleIndices, seededRandom } from './random';
import type { RegionFeature } from './types';

/** A picture with values in [0, 1], `[height, width, channels]`. */
export interface PictureValues {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly data: Float32Array;
}

export interface Partition {
  readonly regions: number;
  /** Region of each pixel, row-major; of several frames one after another. */
  readonly labels: Uint16Array;
  /** Number of pixels of each region; none is empty. */
  readonly areas: Uint32Array;
}

/** Regions of a colour or edge partition; fewer when the picture has fewer kinds of pixels. */
const CLUSTERS = 32;
/** Side of a cell of the partition by place, in pixels, and most cells along a side: then they are larger. */
const CELL = 16;
const MOST_CELLS = 64;
/** Edges and colours of larger pictures are told apart on a reduced picture: memory stays bounded. */
const MOST_PIXELS = 1 << 18;
/** Pixels that k-means sees; all pixels are then assigned to the nearest centre. */
const SAMPLE = 4096;
const ITERATIONS = 50;

const ORIENTATIONS = 4;
const SIGMAS = [1, 3];
const FREQUENCIES = [0.05, 0.25, 0.5];

/**
 * @param pictures of equal size: one, or frames of a clip, in which like places have the same region
 * @throws CancelledError
 */
export async function partition(
  pictures: readonly PictureValues[],
  feature: RegionFeature,
  seed: number,
  cancel: CancelToken,
): Promise<Partition> {
  const [{ height, width }] = pictures;
  if (feature === 'space') {
    const side = Math.max(CELL, Math.ceil(Math.max(height, width) / MOST_CELLS));
    const columns = Math.ceil(width / side);
    const cell = (_: number, y: number, x: number) => Math.floor(y / side) * columns + Math.floor(x / side);
    return labelled(pictures, columns * Math.ceil(height / side), cell);
  }
  const factor = Math.ceil(Math.sqrt((pictures.length * height * width) / MOST_PIXELS));
  const small = pictures.map((picture) => reduced(picture, factor));
  const each: (readonly Float32Array[])[] = [];
  for (const one of small) each.push(feature === 'color' ? colours(one) : await gaborResponses(one, cancel));
  const { regions, labels } = await kinds(oneAfterAnother(each), seed, cancel);
  const { width: columns } = small[0];
  const area = small[0].height * columns;
  const kind = (k: number, y: number, x: number) =>
    labels[k * area + Math.floor(y / factor) * columns + Math.floor(x / factor)];
  return labelled(pictures, regions, kind);
}

/** Planes of several pictures as those of one. */
function oneAfterAnother(each: readonly (readonly Float32Array[])[]): readonly Float32Array[] {
  if (each.length === 1) return each[0];
  return each[0].map((first, f) => {
    const plane = new Float32Array(first.length * each.length);
    for (const [k, planes] of each.entries()) plane.set(planes[f], k * first.length);
    return plane;
  });
}

function labelled(
  pictures: readonly PictureValues[],
  regions: number,
  label: (k: number, y: number, x: number) => number,
): Partition {
  const [{ height, width }] = pictures;
  const labels = new Uint16Array(pictures.length * height * width);
  let p = 0;
  for (const k of pictures.keys())
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) labels[p++] = label(k, y, x);
  return { regions, labels, areas: areasOf(labels, regions) };
}

/** Average of blocks of `factor` × `factor` pixels; those at the right and bottom may be cut. */
function reduced(picture: PictureValues, factor: number): PictureValues {
  if (factor === 1) return picture;
  const { channels } = picture;
  const height = Math.ceil(picture.height / factor);
  const width = Math.ceil(picture.width / factor);
  const data = new Float32Array(height * width * channels);
  const covered = new Float32Array(height * width);
  for (let y = 0, from = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++) {
      const at = Math.floor(y / factor) * width + Math.floor(x / factor);
      covered[at]++;
      for (let c = 0; c < channels; c++) data[at * channels + c] += picture.data[from++];
    }
  }
  for (let k = 0; k < data.length; k++) data[k] /= covered[Math.floor(k / channels)];
  return { height, width, channels, data };
}

function areasOf(labels: Uint16Array, regions: number): Uint32Array {
  const areas = new Uint32Array(regions);
  for (const label of labels) areas[label]++;
  return areas;
}

/** One plane a colour, `[channels][pixels]`. */
function colours({ height, width, channels, data }: PictureValues): Float32Array[] {
  return Array.from({ length: channels }, (_, c) => {
    const plane = new Float32Array(height * width);
    for (let p = 0; p < plane.length; p++) plane[p] = data[p * channels + c];
    return plane;
  });
}

/** Groups pixels of like features by k-means. @param planes features, `[features][pixels]` */
async function kinds(
  planes: readonly Float32Array[],
  seed: number,
  cancel: CancelToken,
): Promise<{ regions: number; labels: Uint16Array }> {
  const pixels = planes[0].length;
  const vector = (p: number) => planes.map((plane) => plane[p]);
  const sample = Array.from(sampleIndices(pixels, SAMPLE, seededRandom(seed)), vector);
  const distinct = new Set(sample.map((v) => v.join())).size;
  const centres = await kmeansCentres(sample, Math.min(CLUSTERS, distinct), seed, cancel);
  const nearest = await assign(planes, pixels, centres, cancel);

  // A centre without pixels is no region.
  const renumbered = new Uint16Array(centres.length);
  let regions = 0;
  for (const [centre, area] of areasOf(nearest, centres.length).entries()) {
    if (area > 0) renumbered[centre] = regions++;
  }
  return { regions, labels: nearest.map((centre) => renumbered[centre]) };
}

/** Lets events through, so that a cancellation can arrive. @throws CancelledError */
export async function pause(cancel: CancelToken): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  cancel.throwIfCancelled();
}

/** Centres of at most `k` clusters, by k-means++ and Lloyd's algorithm. @throws CancelledError */
export async function kmeansCentres(
  vectors: number[][],
  k: number,
  seed: number,
  cancel: CancelToken,
): Promise<number[][]> {
  let centres: number[][] = [];
  for (const step of kmeansGenerator(vectors, k, {
    seed,
    initialization: 'kmeans++',
    maxIterations: ITERATIONS,
  })) {
    await pause(cancel);
    centres = step.centroids;
  }
  return centres;
}

/** Index of the nearest centre of each pixel. */
async function assign(
  planes: readonly Float32Array[],
  pixels: number,
  centres: readonly number[][],
  cancel: CancelToken,
): Promise<Uint16Array> {
  const labels = new Uint16Array(pixels);
  const features = planes.length;
  const flat = Float64Array.from(centres.flat());
  const vector = new Float64Array(features);
  for (let p = 0; p < pixels; p++) {
    if (p % 16384 === 0) await pause(cancel);
    for (let f = 0; f < features; f++) vector[f] = planes[f][p];
    let best = Infinity;
    for (let c = 0; c < centres.length; c++) {
      let distance = 0;
      for (let f = 0, at = c * features; f < features && distance < best; f++, at++) {
        const d = vector[f] - flat[at];
        distance += d * d;
      }
      if (distance < best) {
        best = distance;
        labels[p] = c;
      }
    }
  }
  return labels;
}

/**
 * Real parts of a Gabor filter bank's responses to the picture's luminance, `[filters][pixels]`: four
 * orientations, two widths, three frequencies; the picture is mirrored at its borders.
 * The filters are those of skimage.filters.gabor_kernel with equal widths along and across.
 * @param orientations 1 is what XINC's released code has: it returns inside its loop over orientations
 */
export async function gaborResponses(
  picture: PictureValues,
  cancel: CancelToken,
  orientations = ORIENTATIONS,
): Promise<Float32Array[]> {
  const grey = luminance(picture);
  const { height, width } = picture;
  const responses: Float32Array[] = [];
  for (let orientation = 0; orientation < orientations; orientation++) {
    const theta = (orientation * Math.PI) / ORIENTATIONS;
    for (const sigma of SIGMAS) {
      for (const frequency of FREQUENCIES) {
        await pause(cancel);
        responses.push(gaborResponse(grey, height, width, theta, sigma, frequency));
      }
    }
  }
  return responses;
}

/** Rec. 709 luma, as in skimage.color.rgb2gray. */
function luminance({ height, width, channels, data }: PictureValues): Float32Array {
  const grey = new Float32Array(height * width);
  for (let p = 0, at = 0; p < grey.length; p++, at += channels) {
    grey[p] = channels < 3 ? data[at] : 0.2125 * data[at] + 0.7154 * data[at + 1] + 0.0721 * data[at + 2];
  }
  return grey;
}

/**
 * An isotropic Gaussian times cos(ax + by) is cos(ax)cos(by) − sin(ax)sin(by) times two Gaussians of one
 * variable each, so four passes along rows and columns give the response exactly.
 */
function gaborResponse(
  grey: Float32Array,
  height: number,
  width: number,
  theta: number,
  sigma: number,
  frequency: number,
): Float32Array {
  const reach = (direction: number) => Math.ceil(Math.max(Math.abs(3 * sigma * direction), 1));
  const radius = Math.max(reach(Math.cos(theta)), reach(Math.sin(theta)));
  const taps = (angular: number, wave: (z: number) => number, scale: number) =>
    Float64Array.from({ length: 2 * radius + 1 }, (_, k) => {
      const z = k - radius;
      return scale * Math.exp((-z * z) / (2 * sigma * sigma)) * wave(angular * z);
    });
  const alongX = 2 * Math.PI * frequency * Math.cos(theta);
  const alongY = 2 * Math.PI * frequency * Math.sin(theta);
  const normal = 1 / (2 * Math.PI * sigma * sigma);
  const out = new Float32Array(grey.length);
  for (const [wave, sign] of [
    [Math.cos, 1],
    [Math.sin, -1],
  ] as const) {
    const rows = alongRows(grey, height, width, taps(alongX, wave, 1));
    addAlongColumns(rows, height, width, taps(alongY, wave, sign * normal), out);
  }
  return out;
}

/** Index mirrored into 0 … n − 1, the border pixel repeated: d c b a | a b c d | d c b a. */
function mirrored(index: number, n: number): number {
  const period = 2 * n;
  const inside = ((index % period) + period) % period;
  return inside < n ? inside : period - 1 - inside;
}

function alongRows(values: Float32Array, height: number, width: number, taps: Float64Array): Float64Array {
  const radius = (taps.length - 1) / 2;
  const out = new Float64Array(values.length);
  const padded = new Float64Array(width + 2 * radius);
  for (let y = 0; y < height; y++) {
    for (let k = 0; k < padded.length; k++) padded[k] = values[y * width + mirrored(k - radius, width)];
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < taps.length; k++) sum += taps[k] * padded[x + k];
      out[y * width + x] = sum;
    }
  }
  return out;
}

function addAlongColumns(
  values: Float64Array,
  height: number,
  width: number,
  taps: Float64Array,
  out: Float32Array,
): void {
  const radius = (taps.length - 1) / 2;
  const row = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    row.fill(0);
    for (let k = 0; k < taps.length; k++) {
      const from = mirrored(y + k - radius, height) * width;
      const tap = taps[k];
      for (let x = 0; x < width; x++) row[x] += tap * values[from + x];
    }
    for (let x = 0; x < width; x++) out[y * width + x] += row[x];
  }
}
