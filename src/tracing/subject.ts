import type { CancelToken } from '../errors';
import type { Inr } from '../inr/types';
import type { PictureValues } from './regions';
import type { Trace } from './trace';
import type { Completeness, LayerTrace } from './types';

/** What findings are about: a picture, a frame, or several frames of a clip taken together. */
export interface Subject {
  /** One of a picture. */
  readonly frames: readonly number[];
  /** With statistics over all frames. */
  readonly layers: readonly LayerTrace[];
  readonly completeness: Completeness;
  /** As shown, one a frame. */
  readonly pictures: readonly PictureValues[];
  /** The network that paints frame `frames[k]`: of a decoder always the same, given another time. */
  inrAt(k: number): Inr;
  /** `Trace.eachRun` of frame `frames[k]`. @throws CancelledError */
  eachRun(
    k: number,
    layer: number,
    cancel: CancelToken,
    visit: (neuron: number, start: number, values: Float32Array) => void,
  ): Promise<void>;
}

export const subjectOf = (trace: Trace): Subject => ({
  frames: [trace.frame],
  layers: trace.layers,
  completeness: trace.completeness,
  pictures: [trace.picture01()],
  inrAt: () => trace.inr,
  eachRun: (_, layer, cancel, visit) => trace.eachRun(layer, cancel, visit),
});

/** For sentences: `frame 3`, or how many there are. */
export const framesText = (frames: readonly number[]): string =>
  frames.length === 1 ? `frame ${frames[0]}` : `${frames.length} frames of the clip`;
