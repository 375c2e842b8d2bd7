/** Runs recognised networks in full, for comparison with PyTorch's own output. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { decode } from 'fast-png';
import { unzipSync } from 'fflate';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { findSidecars } from '../../../src/checkpoint/sidecar';
import { fileSource } from '../../../src/checkpoint/source';
import type { Sidecar } from '../../../src/checkpoint/types';
import { toOnnx } from '../../../src/graph/onnx';
import { fillCoordinates } from '../../../src/inr/coordinates';
import type { Evaluate } from '../../../src/inr/hypothesis';
import type { Target } from '../../../src/inr/inside';
import { recognise } from '../../../src/inr/recognise';
import type { Evidence, Inr, Recognition } from '../../../src/inr/types';

interface Given {
  readonly corrections?: Readonly<Record<string, string>>;
  /** Those beside the file when left out. */
  readonly sidecars?: readonly Sidecar[];
  readonly evidence?: readonly Evidence[];
}

export function recogniseFile(file: string, given: Given = {}): Recognition {
  return recognise(openCheckpoint(fileSource(file)), {
    sidecars: given.sidecars ?? findSidecars(file).sidecars,
    corrections: new Map(Object.entries(given.corrections ?? {})),
    ...(given.evidence && { evidence: given.evidence }),
  });
}

/** The network in a file. @throws Error with what was seen when there is none */
export function inrIn(file: string, given: Given = {}): Inr {
  const recognition = recogniseFile(file, given);
  if (!recognition.recognised) {
    throw new Error(`${file}: ${recognition.seen} ${recognition.closest?.missing ?? ''}`);
  }
  return recognition.inr;
}

/** Graph values of a whole picture, or of frame `k` of a video. */
export async function values(inr: Inr, names: readonly string[], k = 0): Promise<Map<string, Float32Array>> {
  const { height, width } = inr.signal;
  const session = await InferenceSession.create(toOnnx(inr.graph, names));
  const feeds: Record<string, Tensor> = {};
  if (inr.domain.kind === 'pixels') {
    const data = new Float32Array(2 * height * width);
    fillCoordinates(inr.domain.convention, height, width, 0, height * width, data);
    feeds.coords = new Tensor('float32', data, [2, height * width]);
  } else {
    feeds.t = new Tensor('float32', Float32Array.of(k / inr.domain.divisor), [1, 1]);
  }
  const results = await session.run(feeds);
  return new Map(names.map((name) => [name, results[name].data as Float32Array]));
}

/** The network's output, row-major `[height, width, channels]`. */
export async function reconstruct(inr: Inr, k = 0): Promise<Float32Array> {
  const planes = (await values(inr, [inr.graph.output], k)).get(inr.graph.output)!;
  const { channels } = inr.signal;
  const pixels = planes.length / channels;
  const out = new Float32Array(planes.length);
  for (let c = 0; c < channels; c++) {
    for (let p = 0; p < pixels; p++) out[p * channels + c] = planes[c * pixels + p];
  }
  return out;
}

export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}`);
  let largest = 0;
  // NaN must not pass for equal.
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

/** Runs a network once, as the worker would. */
export const evaluate: Evaluate = async (inr, feed) => {
  const session = await InferenceSession.create(toOnnx(inr.graph));
  const [{ name }] = inr.graph.inputs;
  const results = await session.run({ [name]: new Tensor('float32', feed.data, feed.shape) });
  await session.release();
  const output = results[inr.graph.output];
  return { shape: [...output.dims], data: output.data as Float32Array };
};

/** A PNG as a target. */
export function targetFrom(file: string): Target {
  const { data, width, height, channels, depth } = decode(readFileSync(file));
  const white = 2 ** depth - 1;
  return { width, height, channels, data: Float32Array.from(data, (value) => value / white) };
}

const data = path.join(import.meta.dirname, '../../../../shared/data');

/** The float32 array `prediction` of an NPZ file. */
export function prediction(folder: string): Float32Array {
  const archive = unzipSync(readFileSync(path.join(data, folder, 'reference.npz')));
  const bytes = archive['prediction.npy'];
  const header = 10 + new DataView(bytes.buffer, bytes.byteOffset).getUint16(8, true);
  return new Float32Array(bytes.slice(header).buffer);
}
