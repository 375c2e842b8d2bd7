import type { GraphBuilder } from '../graph/build';
import type { Fallback, Settings } from './assumptions';
import { conventionParts } from './coordinates';
import {
  choiceSetting,
  coords as coordsSetting,
  integerSetting,
  numberSetting,
  parseSize,
  range as rangeSetting,
  rangeValues,
  size as sizeSetting,
  type RangeName,
} from './settings';
import type { CoordinateConvention, Domain, Signal } from './types';

/** What a code base usually does where the file is silent. */
export interface PictureDefaults {
  readonly coords: Fallback<CoordinateConvention>;
  readonly range: Fallback<RangeName>;
  readonly size?: Fallback<string>;
  /** Factor on the coordinates, e.g. 0.5 for [−0.5, 0.5]. */
  readonly coordScale?: number;
  /** Which coordinate of a volume a slice holds fixed; the last when left out. */
  readonly sliceAxis?: SliceAxis;
}

const sliceAxes = ['first', 'middle', 'last'] as const;
export type SliceAxis = (typeof sliceAxes)[number];
/** Which coordinate of a volume or field the slice holds fixed. */
const sliceAxis = choiceSetting<SliceAxis>('sliceAxis', ['slice_axis'], sliceAxes);

/** Where a slice lies, as the network's coordinate. */
export const depth = numberSetting('depth', [], { min: -1e6 });

/** The signal a coordinate network paints, and how its coordinates come about. */
export interface Picture {
  readonly signal: Signal;
  readonly domain: Domain;
  readonly outputRange: readonly [number, number];
  /** Adds the input `coords` and returns the value the network takes, `[dims, P]`. */
  readonly coordinates: (graph: GraphBuilder) => string;
}

export const frames = integerSetting('frames', ['num_frames', 'n_frames', 'frame_num', 'nframes'], 1, 1e6);
const frame = integerSetting('frame', [], 0, 1e6);
const coordScale = numberSetting('coordScale', ['coord_scale'], { choices: [1, 0.5, 2] });

export const DEFAULT_SIZE: Fallback<string> = {
  value: '256x256',
  source: 'default',
  confidence: 0.05,
  detail: 'nothing says how large the picture was',
};

const kindOf = (dims: number, channels: number): Signal['kind'] =>
  dims === 1
    ? 'audio'
    : dims === 2
      ? channels === 2
        ? 'field'
        : 'image'
      : channels === 3
        ? 'video'
        : channels === 1
          ? 'volume'
          : 'field';

/**
 * Settles coordinates, range and size of a network with `dims` coordinates.
 * Networks over (t, row, column), a volume or more coordinates are shown one frame or slice at a time,
 * which is part of the graph: its input stays `[2, P]`. A signal over one coordinate is a picture one
 * pixel high.
 */
export function picture(
  settings: Settings,
  dims: number,
  channels: number,
  defaults: PictureDefaults,
): Picture {
  const convention = settings.get(coordsSetting, defaults.coords);
  const range = settings.get(rangeSetting, defaults.range);
  const kind = kindOf(dims, channels);
  const fallback = dims === 1 ? { ...DEFAULT_SIZE, value: '1x4096' } : (defaults.size ?? DEFAULT_SIZE);
  const { height, width } = parseSize(settings.get(sizeSetting, fallback))!;
  const factor =
    defaults.coordScale === undefined
      ? 1
      : settings.get(coordScale, { value: defaults.coordScale, source: 'default', confidence: 0.9 });

  const parts = conventionParts(convention);
  let count = 1;
  const middle = parts.unit ? 0.5 : 0;
  /** The value of each coordinate that is none of the picture's two. */
  const fixed = new Map<number, number>();
  if (kind === 'video') {
    count = settings.get(frames, {
      value: 1,
      source: 'default',
      confidence: 0.05,
      detail: 'the middle slice',
    });
    const k = settings.get(frame, { value: 0, source: 'default', confidence: 1 });
    let t = middle;
    if (count > 1) {
      const u =
        parts.sampling === 'ends' ? k / (count - 1) : (k + (parts.sampling === 'open' ? 0 : 0.5)) / count;
      t = parts.unit ? u : 2 * u - 1;
    }
    fixed.set(0, t);
  } else if (dims > 2) {
    const axis = settings.get(sliceAxis, {
      value: defaults.sliceAxis ?? 'last',
      source: 'default',
      confidence: 0.5,
      detail: 'a slice shows two of the coordinates',
    });
    const at = settings.get(depth, {
      value: middle,
      source: 'default',
      confidence: 0.8,
      detail: 'a slice through the middle',
    });
    const own = { first: 0, middle: 1, last: dims - 1 }[axis];
    fixed.set(own, at);
    // Of more than three coordinates the rest stays in the middle.
    for (let i = dims - 1; fixed.size < dims - 2; i--) if (!fixed.has(i)) fixed.set(i, middle);
  }
  return {
    signal: { kind, channels, height, width, frames: count },
    domain: { kind: 'pixels', dims: 2, convention },
    outputRange: rangeValues(range),
    coordinates: (graph) => {
      let value = graph.input('coords', [2, 'P']);
      if (factor !== 1) value = graph.scale(value, factor);
      if (dims === 2) return value;
      const column = graph.slice(value, 0, parts.order === 'rc' ? 1 : 0, parts.order === 'rc' ? 2 : 1);
      if (dims === 1) return column;
      const constant = (x: number) => graph.op('Add', [graph.scale(column, 0), graph.scalar(x)]);
      let own = 0;
      const rows = Array.from({ length: dims }, (_, i) => {
        const x = fixed.get(i);
        return x === undefined ? graph.slice(value, 0, own, ++own) : constant(x);
      });
      return graph.concat(rows, 0);
    },
  };
}
