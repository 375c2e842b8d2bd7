/** Resize as a weighted sum of picked rows, one axis after the other. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { floatAttribute, intAttribute, intsAttribute, textAttribute, wrapAxis } from '../../graph/shapes';
import type { GraphNode } from '../../graph/types';
import { numbers, pick, UnsupportedError, type Call } from './call';

/** Which elements of an axis make those of the resized one: `indices[tap][i]` by `weights[tap][i]`. */
interface Taps {
  readonly indices: number[][];
  readonly weights: Float32Array[];
}

export function resize(call: Call): Tensor {
  const { tf, node, inputs } = call;
  const [x] = inputs as [Tensor];
  if (intAttribute(node, 'antialias', 0) !== 0) throw new UnsupportedError(node, 'smooths (antialias)');
  if (textAttribute(node, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch') {
    throw new UnsupportedError(node, 'keeps the aspect ratio');
  }
  const axes = intsAttribute(
    node,
    'axes',
    x.shape.map((_, i) => i),
  ).map((axis) => wrapAxis(axis, x.rank));
  const scales = numbers(call, 2);
  const sizes = numbers(call, 3);
  return axes.reduce((result, axis, i) => {
    const from = x.shape[axis];
    const scale = sizes?.length ? sizes[i] / from : scales![i];
    const to = sizes?.length ? sizes[i] : Math.floor(from * scale);
    if (scale === 1 && to === from) return result;
    const { indices, weights } = taps(node, from, to, scale);
    const along = x.shape.map((_, k) => (k === axis ? to : 1));
    const parts = indices.map((picked, tap) => {
      const values = pick(tf, result, axis, picked);
      return weights.length === 0 ? values : tf.mul(values, tf.tensor(weights[tap], along, 'float32'));
    });
    return parts.slice(1).reduce((sum, part) => tf.add(sum, part), parts[0]);
  }, tf.clone(x));
}

function taps(node: GraphNode, from: number, to: number, scale: number): Taps {
  const within = (i: number) => Math.min(Math.max(i, 0), from - 1);
  const places = Array.from({ length: to }, (_, i) => place(node, i, from, to, scale));
  const mode = textAttribute(node, 'mode', 'nearest');
  if (mode === 'nearest') {
    const round = rounding(node);
    return { indices: [places.map((x) => within(round(x)))], weights: [] };
  }
  const first = mode === 'cubic' ? -1 : 0;
  const count = mode === 'cubic' ? 4 : 2;
  const a = floatAttribute(node, 'cubic_coeff_a', -0.75);
  const excluded = intAttribute(node, 'exclude_outside', 0) !== 0;
  const indices = Array.from({ length: count }, () => new Array<number>(to));
  const weights = Array.from({ length: count }, () => new Float32Array(to));
  for (const [i, x] of places.entries()) {
    const low = Math.floor(x);
    const t = x - low;
    const all = mode === 'cubic' ? cubic(t, a) : [1 - t, t];
    const kept = all.map((w, k) => (excluded && within(low + first + k) !== low + first + k ? 0 : w));
    const total = excluded ? kept.reduce((sum, w) => sum + w, 0) : 1;
    for (let k = 0; k < count; k++) {
      indices[k][i] = within(low + first + k);
      weights[k][i] = kept[k] / total;
    }
  }
  return { indices, weights };
}

/** Where element `i` of the resized axis lies on the original one; in float32, as onnxruntime reckons. */
function place(node: GraphNode, i: number, from: number, to: number, scale: number): number {
  const f = Math.fround;
  const s = f(scale);
  const half = () => f(f(f(i + 0.5) / s) - 0.5);
  const mode = textAttribute(node, 'coordinate_transformation_mode', 'half_pixel');
  switch (mode) {
    case 'half_pixel':
      return half();
    case 'pytorch_half_pixel':
      return to > 1 ? half() : 0;
    case 'half_pixel_symmetric':
      return (from / 2) * (1 - to / (scale * from)) + half();
    case 'align_corners':
      return to > 1 ? f(f(i * (from - 1)) / (to - 1)) : 0;
    case 'asymmetric':
      return f(i / s);
    default:
      throw new UnsupportedError(node, `places pixels by ${mode}`);
  }
}

function rounding(node: GraphNode): (x: number) => number {
  const mode = textAttribute(node, 'nearest_mode', 'round_prefer_floor');
  switch (mode) {
    case 'floor':
      return Math.floor;
    case 'ceil':
      return Math.ceil;
    case 'round_prefer_ceil':
      return (x) => Math.floor(x + 0.5);
    case 'round_prefer_floor':
      return (x) => Math.ceil(x - 0.5);
    default:
      throw new UnsupportedError(node, `rounds by ${mode}`);
  }
}

/** Keys' cubic kernel at −1 − t, −t, 1 − t and 2 − t. */
function cubic(t: number, a: number): number[] {
  const near = (x: number) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x: number) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return [far(1 + t), near(t), near(1 - t), far(2 - t)];
}
