/** What the history keeps of a save: a few figures for every one, picture and maps as long as there is room. */
import type { LayerTrace, PreviewAtlas } from '../tracing/types';
import type { FloatMap, Inspection, Picture, SavedFile } from '../worker/protocol';

export interface LayerFigures {
  readonly name: string;
  readonly neurons: number;
  readonly dead: number;
  readonly gini: number;
  /**
   * ‖M − M′‖ / ‖M′‖ over the previews of the layer's maps, M′ those of the save before; null when there is
   * none to compare with.
   */
  readonly change: number | null;
}

export interface SaveFigures {
  /** Beginning of the content's SHA-256: the same content is the same save. */
  readonly id: string;
  /** When the file was written, ms since 1970. */
  readonly savedAt: number;
  readonly bytes: number;
  /** dB against the target, null without one. */
  readonly psnr: number | null;
  readonly neurons: number;
  readonly dead: number;
  /** Mean over layers, weighted by their neurons. */
  readonly gini: number;
  readonly layers: readonly LayerFigures[];
}

/** An earlier save as it can still be looked at. */
export interface PastSave {
  readonly inspection: Inspection;
  readonly picture: Picture;
  readonly layers: readonly LayerTrace[];
}

/** What a finished trace says about a save. */
export interface TracedSave extends PastSave {
  readonly psnr: number | null;
}

export const saveId = (sha256: string) => sha256.slice(0, 20);

export function figuresOf(file: SavedFile, save: TracedSave, before: PastSave | undefined): SaveFigures {
  const layers = save.layers.map((layer): LayerFigures => {
    const { name, neurons, distributedness } = layer;
    const earlier = before?.layers.find((other) => other.name === name);
    const { dead, gini } = distributedness;
    return {
      name,
      neurons,
      dead,
      gini,
      change: earlier ? mapChange(earlier.previews, layer.previews) : null,
    };
  });
  const neurons = layers.reduce((sum, layer) => sum + layer.neurons, 0);
  return {
    id: saveId(file.sha256),
    savedAt: file.modified,
    bytes: file.bytes,
    psnr: save.psnr,
    neurons,
    dead: layers.reduce((sum, layer) => sum + layer.dead, 0),
    gini: layers.reduce((sum, layer) => sum + layer.gini * layer.neurons, 0) / Math.max(1, neurons),
    layers,
  };
}

/** More samples than this would be felt in the editor. */
const MOST_SAMPLES = 1 << 20;

/** Relative change of a layer's maps; null when they cannot be compared. */
export function mapChange(before: PreviewAtlas, after: PreviewAtlas): number | null {
  const { width, height, data } = after;
  if (before.width !== width || before.height !== height || before.data.length !== data.length) return null;
  const pixels = width * height;
  // Every pixel of a small layer, every n-th of a large one; odd, so that all columns take part.
  const step = 2 * Math.floor(data.length / MOST_SAMPLES / 2) + 1;
  let difference = 0;
  let size = 0;
  for (let i = 0; i < data.length; i += step) {
    const neuron = Math.floor(i / pixels);
    const was = ((before.data[i] - 128) / 127) * before.limit[neuron];
    const is = ((data[i] - 128) / 127) * after.limit[neuron];
    difference += (is - was) ** 2;
    size += was ** 2;
  }
  const change = Math.sqrt(difference / size);
  // NaN weights have no change that could be drawn.
  return size === 0 ? (difference === 0 ? 0 : null) : Number.isFinite(change) ? change : null;
}

/** Half the size, by averaging 2 × 2. */
export function halved({ width, height, data, limit }: PreviewAtlas): PreviewAtlas {
  const [columns, rows] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const maps = data.length / (width * height);
  const out = new Uint8Array(maps * rows * columns);
  for (let map = 0, at = 0; map < maps; map++) {
    const from = map * width * height;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let sum = 0;
        for (const y of [2 * row, Math.min(2 * row + 1, height - 1)]) {
          for (const x of [2 * column, Math.min(2 * column + 1, width - 1)])
            sum += data[from + y * width + x];
        }
        out[at++] = Math.round(sum / 4);
      }
    }
  }
  return { width: columns, height: rows, data: out, limit };
}

/** Σ of some neurons' maps, as coarse as the previews. */
export function mapOfPreviews(
  { width, height, data, limit }: PreviewAtlas,
  neurons: readonly number[],
): FloatMap {
  const sum = new Float32Array(width * height);
  for (const neuron of neurons) {
    const scale = limit[neuron] / 127;
    const from = neuron * sum.length;
    for (let i = 0; i < sum.length; i++) sum[i] += (data[from + i] - 128) * scale;
  }
  return { width, height, data: sum };
}
