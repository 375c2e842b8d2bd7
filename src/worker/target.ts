/** The picture a network was trained on: given, or found beside the checkpoint. */
import fs from 'node:fs';
import path from 'node:path';
import { decode } from 'fast-png';
import { UsageError } from '../errors';
import { readRegularFile } from '../files';
import type { Target } from '../inr/inside';

/** Names that training code gives the picture, without `.png`; `*` is the checkpoint's own name. */
const NAMES = ['target', 'gt', 'ground_truth', 'groundtruth', 'original', 'image', '*'];
/** A PNG of more bytes than this is not looked into unasked. */
const MOST_BYTES = 64 << 20;

/** Whether it may be read unasked: not a pipe, nor a link to nowhere, nor something huge. */
function isPicture(file: string): boolean {
  const status = fs.statSync(file, { throwIfNoEntry: false });
  return status !== undefined && status.isFile() && status.size <= MOST_BYTES;
}

/** @throws UsageError when it is missing or not a PNG */
export function readTarget(file: string): Target {
  if (!fs.existsSync(file)) {
    throw new UsageError(`The target ${path.basename(file)} does not exist; give the path of a PNG.`);
  }
  try {
    return decodePng(readRegularFile(file));
  } catch {
    throw new UsageError(`The target ${path.basename(file)} is not a readable PNG picture; give a PNG.`);
  }
}

function decodePng(bytes: Uint8Array): Target {
  const image = decode(bytes);
  const { width, height, palette } = image;
  const largest = 2 ** image.depth - 1;
  const channels = palette ? 3 : image.channels >= 3 ? 3 : 1;
  const sample = (pixel: number, channel: number): number =>
    palette
      ? palette[image.data[pixel]][channel] / 255
      : image.data[pixel * image.channels + channel] / largest;
  const data = new Float32Array(height * width * channels);
  for (let p = 0, at = 0; p < height * width; p++) {
    for (let c = 0; c < channels; c++) data[at++] = sample(p, c);
  }
  return { width, height, channels, data };
}

/**
 * A picture that lies in the checkpoint's folder or the one above under a usual name.
 * @returns its absolute path, undefined when there is none or more than one could be meant
 */
export function findTarget(checkpoint: string): string | undefined {
  const folder = path.dirname(checkpoint);
  const stem = path.parse(checkpoint).name;
  for (const place of [folder, path.dirname(folder)]) {
    let entries: string[];
    try {
      entries = fs.readdirSync(place);
    } catch {
      continue;
    }
    const wanted = new Set(NAMES.map((name) => `${name === '*' ? stem : name}.png`.toLowerCase()));
    const found = entries.filter((entry) => wanted.has(entry.toLowerCase()));
    if (found.length > 1) return undefined;
    const file = found.length === 1 ? path.join(place, found[0]) : undefined;
    if (file && isPicture(file)) return file;
  }
  return undefined;
}
