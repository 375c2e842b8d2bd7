/** The frames a video network was trained on: a folder of pictures, given or found beside the checkpoint. */
import fs from 'node:fs';
import path from 'node:path';
import { UsageError } from '../errors';
import type { Evidence } from '../inr/types';

/** PNG files of a folder, in the order of their names. */
export interface FrameFolder {
  /** Its name for people, with a slash. */
  readonly name: string;
  /** Absolute. */
  readonly files: readonly string[];
}

/** Names that such folders have; `*` is the checkpoint's own name. */
const NAMES = ['frames', 'images', 'gt', 'target', 'video', '*', '*_frames'];
const MOST_FRAMES = 100_000;

const collator = new Intl.Collator('en', { numeric: true });

/** Undefined when the folder cannot be read or holds no PNG. */
export function frameFolder(folder: string): FrameFolder | undefined {
  let entries: string[];
  try {
    entries = fs.readdirSync(folder);
  } catch {
    return undefined;
  }
  const pictures = entries.filter((entry) => /\.png$/i.test(entry)).sort(collator.compare);
  if (pictures.length === 0 || pictures.length > MOST_FRAMES) return undefined;
  return { name: `${path.basename(folder)}/`, files: pictures.map((entry) => path.join(folder, entry)) };
}

/** A folder of several frames beside the checkpoint, or in the folder above. */
export function findFrames(checkpoint: string): FrameFolder | undefined {
  const folder = path.dirname(checkpoint);
  const stem = path.parse(checkpoint).name;
  for (const place of [folder, path.dirname(folder)]) {
    for (const name of NAMES) {
      const found = frameFolder(path.join(place, name.replace('*', stem)));
      if (found && found.files.length > 1) return found;
    }
  }
  return undefined;
}

export const isFolder = (file: string): boolean =>
  fs.statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false;

/**
 * The folder that was given as target, or one that was found; undefined when a picture was given.
 * @throws UsageError when what was given is a folder without pictures
 */
export function framesOf(file: string, target: string | undefined): FrameFolder | undefined {
  if (target === undefined) return findFrames(file);
  if (!isFolder(target)) return undefined;
  const found = frameFolder(target);
  if (!found) {
    throw new UsageError(`${path.basename(target)}/ holds no PNG pictures; give a folder of frames as PNG.`);
  }
  return found;
}

/** That there are so many frames, for a network that does not say. */
export const frameCount = ({ name, files }: FrameFolder): Evidence => ({
  name: 'frames',
  value: files.length,
  source: 'target',
  confidence: 0.9,
  detail: `${name} holds ${files.length} pictures`,
});
