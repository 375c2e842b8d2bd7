/** Convolutions in ONNX's layout (channels first) by TensorFlow's (channels last). */
import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import { convolutionPads, intAttribute, intsAttribute } from '../../graph/shapes';
import type { Tf } from './api';
import { UnsupportedError, type Call } from './call';

interface Window {
  readonly strides: [number, number];
  readonly dilations: [number, number];
  readonly groups: number;
}

/** Lists of one or two axes as two: a signal is a picture one pixel wide. */
const paired = (list: readonly number[], fill: number): [number, number] => [list[0], list[1] ?? fill];

function settings({ node }: Call, rank: number) {
  const spatial = rank - 2;
  if (spatial < 1 || spatial > 2) throw new UnsupportedError(node, `has ${spatial} spatial axes`);
  const ones = new Array<number>(spatial).fill(1);
  const pads = convolutionPads(node, spatial);
  return {
    spatial,
    window: {
      strides: paired(intsAttribute(node, 'strides', ones), 1),
      dilations: paired(intsAttribute(node, 'dilations', ones), 1),
      groups: intAttribute(node, 'group', 1),
    },
    before: paired(pads.slice(0, spatial), 0),
    after: paired(pads.slice(spatial), 0),
    extra: paired(
      intsAttribute(
        node,
        'output_padding',
        ones.map(() => 0),
      ),
      0,
    ),
  };
}

const asPicture = (tf: Tf, x: Tensor): Tensor => (x.rank === 3 ? tf.reshape(x, [...x.shape, 1]) : x);

/** `[n, c, h, w]` with zeros around it; negative padding crops. */
function padded(tf: Tf, x: Tensor, before: readonly number[], after: readonly number[]): Tensor {
  const cropped = tf.slice(
    x,
    [0, 0, ...before.map((n) => Math.max(0, -n))],
    x.shape.map((size, i) => (i < 2 ? size : size + Math.min(0, before[i - 2]) + Math.min(0, after[i - 2]))),
  );
  const around = before.map((n, i): [number, number] => [Math.max(0, n), Math.max(0, after[i])]);
  return tf.pad(cropped, [[0, 0], [0, 0], ...around]);
}

/** `[n, c, h, w]` with `steps − 1` zeros between its elements. */
function spread(tf: Tf, x: Tensor, steps: readonly [number, number]): Tensor {
  const [sy, sx] = steps;
  if (sy === 1 && sx === 1) return x;
  const [n, c, h, w] = x.shape;
  const around = tf.pad(tf.reshape(x, [n * c, h, 1, w, 1]), [
    [0, 0],
    [0, 0],
    [0, sy - 1],
    [0, 0],
    [0, sx - 1],
  ]);
  const larger = tf.reshape(around, [n, c, h * sy, w * sx]);
  return tf.slice(larger, [0, 0, 0, 0], [n, c, (h - 1) * sy + 1, (w - 1) * sx + 1]);
}

/**
 * Convolution without padding.
 * @param x `[n, c, h, w]`
 * @param filter of group `g`: `[h, w, c / groups, m / groups]`, or for one group a channel `[h, w, c, m / c]`
 */
function windows(
  tf: Tf,
  x: Tensor,
  { strides, dilations, groups }: Window,
  filter: (group: number) => Tensor,
): Tensor {
  const pixels = tf.transpose(x, [0, 2, 3, 1]) as Tensor4D;
  const channels = pixels.shape[3];
  if (groups > 1 && groups === channels) {
    return tf.depthwiseConv2d(pixels, filter(0) as Tensor4D, strides, 'valid', 'NHWC', dilations);
  }
  const size = channels / groups;
  const parts = Array.from({ length: groups }, (_, g) => {
    const part =
      groups === 1 ? pixels : tf.slice(pixels, [0, 0, 0, g * size], [...pixels.shape.slice(0, 3), size]);
    return tf.conv2d(part, filter(g) as Tensor4D, strides, 'valid', 'NHWC', dilations);
  });
  return groups === 1 ? parts[0] : tf.concat(parts, 3);
}

/** Bias added and channels first again. */
function finished(tf: Tf, pixels: Tensor, bias: Tensor | undefined, spatial: number): Tensor {
  const result = tf.transpose(bias ? tf.add(pixels, bias) : pixels, [0, 3, 1, 2]);
  return spatial === 1 ? tf.reshape(result, result.shape.slice(0, 3)) : result;
}

export function convolution(call: Call): Tensor {
  const { tf, inputs } = call;
  const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor | undefined];
  const { spatial, window, before, after } = settings(call, x.rank);
  const { strides, dilations, groups } = window;
  const depthwise = groups > 1 && groups === x.shape[1];
  // TensorFlow takes steps or gaps, not both: then the gaps go into the filter.
  const both = strides.some((s) => s > 1) && dilations.some((d) => d > 1);
  const filter = (g: number) =>
    call.prepared(1, `filter ${g}`, () => {
      const all = spread(tf, asPicture(tf, weight), both ? dilations : [1, 1]);
      const [m, c, h, w] = all.shape;
      if (depthwise) return tf.transpose(tf.reshape(all, [groups, m / groups, h, w]), [2, 3, 0, 1]);
      return tf.transpose(tf.slice(all, [(g * m) / groups, 0, 0, 0], [m / groups, c, h, w]), [2, 3, 1, 0]);
    });
  const input = padded(tf, asPicture(tf, x), before, after);
  const pixels = windows(tf, input, { ...window, dilations: both ? [1, 1] : dilations }, filter);
  return finished(tf, pixels, bias, spatial);
}

/** As a convolution of the input with zeros between its pixels and the filter turned round. */
export function transposedConvolution(call: Call): Tensor {
  const { tf, node, inputs } = call;
  const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor | undefined];
  if (node.attributes?.output_shape !== undefined) throw new UnsupportedError(node, 'has an output_shape');
  const { spatial, window, before, after, extra } = settings(call, x.rank);
  const { strides, dilations, groups } = window;
  const [c, m] = weight.shape;
  const depthwise = groups > 1 && groups === c;
  const filter = (g: number) =>
    call.prepared(1, `filter ${g}`, () => {
      const turned = tf.reverse(asPicture(tf, weight), [2, 3]);
      const [, , h, w] = turned.shape;
      // [channels, outputs, h, w]: a depthwise filter has its channels where the others have inputs.
      if (depthwise) return tf.transpose(turned, [2, 3, 0, 1]);
      return tf.transpose(tf.slice(turned, [(g * c) / groups, 0, 0, 0], [c / groups, m, h, w]), [2, 3, 0, 1]);
    });
  const kernel = paired(weight.shape.slice(2), 1);
  const reach = kernel.map((k, i) => (k - 1) * dilations[i]);
  const input = padded(
    tf,
    spread(tf, asPicture(tf, x), strides),
    reach.map((r, i) => r - before[i]),
    reach.map((r, i) => r - after[i] + extra[i]),
  );
  const pixels = windows(tf, input, { strides: [1, 1], dilations, groups }, filter);
  return finished(tf, pixels, bias, spatial);
}
