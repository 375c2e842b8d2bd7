/** Several frames of a clip taken together (tracing.md §2): the statistics of all their contributions. */
import { ALPHAS } from '../contributionTrace';
import { distributedness, Thresholds } from '../statistics';
import type { Completeness, LayerResidual, LayerTrace, NeuronStatistics, PreviewAtlas } from '../types';
import { atlasOf } from './statistics';

/**
 * A layer over some frames: totals and pixels are sums over them, the rest is of all their pixels; a neuron is dead
 * when it is in every one. Previews are the mean of the frames'.
 * @param frames the same layer, traced at each @param thresholds of each
 */
export function layerOverFrames(
  frames: readonly LayerTrace[],
  thresholds: readonly Thresholds[],
): LayerTrace {
  const [first] = frames;
  const statistics = together(frames.map((frame) => frame.statistics));
  const all = Thresholds.together(thresholds);
  const { sample: _, channelPreviews, ...layer } = first;
  return {
    ...layer,
    statistics,
    distributedness: distributedness(statistics.total),
    neuronsPerPixel: ALPHAS.map((alpha) => all.summary(alpha)),
    previews: meanAtlas(frames.map(({ previews }) => previews)),
    ...(channelPreviews && {
      channelPreviews: {
        inputs: meanAtlas(frames.map((frame) => frame.channelPreviews!.inputs)),
        outputs: meanAtlas(frames.map((frame) => frame.channelPreviews!.outputs)),
      },
    }),
  };
}

function together(frames: readonly NeuronStatistics[]): NeuronStatistics {
  const neurons = Array.from(frames[0].total.keys());
  const sumOf = (of: (frame: NeuronStatistics) => ArrayLike<number>) =>
    neurons.map((i) => frames.reduce((sum, frame) => sum + of(frame)[i], 0));
  const meanOf = (of: (frame: NeuronStatistics) => ArrayLike<number>) =>
    Float64Array.from(sumOf(of), (sum) => sum / frames.length);
  const total = Float64Array.from(sumOf((frame) => frame.total));
  const layerTotal = total.reduce((sum, t) => sum + t, 0);
  return {
    total,
    share: total.map((t) => (layerTotal > 0 ? t / layerTotal : 0)),
    mean: meanOf((frame) => frame.mean),
    signedMean: meanOf((frame) => frame.signedMean),
    max: Float64Array.from(neurons, (i) => frames.reduce((most, { max }) => Math.max(most, max[i]), 0)),
    pixels: Uint32Array.from(sumOf((frame) => frame.pixels)),
    dead: Uint8Array.from(neurons, (i) => (frames.every(({ dead }) => dead[i] === 1) ? 1 : 0)),
  };
}

function meanAtlas(frames: readonly PreviewAtlas[]): PreviewAtlas {
  const { width, height, data } = frames[0];
  const means = new Float32Array(data.length);
  const size = width * height;
  for (const { data: values, limit } of frames) {
    for (let k = 0; k < means.length; k++) {
      means[k] += ((values[k] - 128) * limit[Math.floor(k / size)]) / (127 * frames.length);
    }
  }
  return atlasOf(means, { width, height });
}

/** The largest residual, and the mean of the means. */
export function completenessOverFrames(frames: readonly Completeness[]): Completeness {
  const [first] = frames;
  const merged = (own: readonly Omit<Completeness, 'layers'>[]) => ({
    layer: own[0].layer,
    largest: own.reduce((most, { largest }) => Math.max(most, largest), 0),
    mean: own.reduce((sum, { mean }) => sum + mean, 0) / own.length,
  });
  const layers = first.layers?.map(({ layer }): LayerResidual => {
    const own = frames.flatMap((frame) => frame.layers!.filter((other) => other.layer === layer));
    return { ...merged(own), scale: own.reduce((sum, { scale }) => sum + scale, 0) / own.length };
  });
  return { ...merged(frames), ...(layers && { layers }) };
}
