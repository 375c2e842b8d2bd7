/** Object masks: a PNG whose values are labels, 0 the background. */
import path from 'node:path';
import { decode } from 'fast-png';
import { UsageError } from '../errors';
import { readRegularFile } from '../files';
import { frameFolder, type FrameFolder } from './frames';

export interface Labels {
  readonly width: number;
  readonly height: number;
  /** Row-major; 0 is background. */
  readonly labels: Uint16Array;
}

const MOST_BYTES = 64 << 20;
const MOST_LABELS = 65_535;

/**
 * Grey values or palette indices are the labels; in a colour picture each colour is one, black the background.
 * @param known labels of colours; given for several pictures, the same colour is the same object in all of them
 * @throws UsageError when it is not such a picture
 */
export function readLabels(file: string, known = new Map([[0, 0]])): Labels {
  const name = path.basename(file);
  let image: ReturnType<typeof decode>;
  try {
    image = decode(readRegularFile(file, MOST_BYTES));
  } catch {
    throw new UsageError(
      `The mask ${name} is not a readable PNG picture; give a PNG whose values are labels.`,
    );
  }
  const { width, height, channels, data } = image;
  const labels = new Uint16Array(width * height);
  if (image.palette || channels < 3) {
    // With two channels the second is opacity.
    for (let p = 0; p < labels.length; p++) labels[p] = data[p * channels];
    return { width, height, labels };
  }
  for (let p = 0, at = 0; p < labels.length; p++, at += channels) {
    const colour = (data[at] * 65_536 + data[at + 1]) * 65_536 + data[at + 2];
    let label = known.get(colour);
    if (label === undefined) known.set(colour, (label = known.size));
    if (label > MOST_LABELS) {
      throw new UsageError(
        `The mask ${name} has more than ${MOST_LABELS} colours, so it is a photograph; give a PNG whose values are labels.`,
      );
    }
    labels[p] = label;
  }
  return { width, height, labels };
}

/** A folder of label pictures, one for each frame of a video. @throws UsageError */
export function labelFolder(folder: string, frames: number): FrameFolder {
  const images = frameFolder(folder);
  const name = path.basename(folder);
  if (!images) {
    throw new UsageError(`${name}/ holds no PNG pictures; give a folder with one label image a frame.`);
  }
  if (images.files.length < frames) {
    throw new UsageError(
      `${name}/ holds ${images.files.length} pictures, but the video has ${frames} frames; give one label image a frame.`,
    );
  }
  return images;
}
