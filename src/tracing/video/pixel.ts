import type { TracedLayer } from '../../inr/types';
import { apply } from './activation';
import { kernelSize, reachBefore } from './convolution';
import type { Stage } from './loops';
import type { KernelPath } from './path';

/** Rows and columns of a part of a picture, ends excluded. */
interface Window {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

const heightOf = ({ top, bottom }: Window) => bottom - top;
const widthOf = ({ left, right }: Window) => right - left;

/** What a stage reads to give a window. */
function read({ rows, columns }: Stage, { top, bottom, left, right }: Window): Window {
  const span = (taps: Stage['rows'], from: number, to: number) => {
    const starts = taps.start.subarray(from, to);
    const first = starts.reduce((a, b) => Math.min(a, b));
    return [first, starts.reduce((a, b) => Math.max(a, b)) + taps.width] as const;
  };
  const [a, b] = span(rows, top, bottom);
  const [c, d] = span(columns, left, right);
  return { top: a, bottom: b, left: c, right: d };
}

function stageWindow(
  { rows, columns, offset }: Stage,
  values: Float32Array,
  from: Window,
  to: Window,
): Float32Array {
  const out = new Float32Array(heightOf(to) * widthOf(to));
  let at = 0;
  for (let y = to.top; y < to.bottom; y++) {
    for (let x = to.left; x < to.right; x++) {
      let sum = offset ? offset.rows[y] * offset.columns[x] : 0;
      for (let j = 0; j < rows.width; j++) {
        const weight = rows.weights[y * rows.width + j];
        if (weight === 0) continue;
        const row = (rows.start[y] + j - from.top) * widthOf(from) - from.left + columns.start[x];
        for (let k = 0; k < columns.width; k++) {
          sum += weight * columns.weights[x * columns.width + k] * values[row + k];
        }
      }
      out[at++] = sum;
    }
  }
  return out;
}

/**
 * Contributions of all kernels of a layer to one pixel, `[inputs · outputs]`: only the few places that it
 * depends on are computed.
 * @param input the layer's input, `[inputs, height, width]`
 */
export function kernelsAtPixel(
  layer: TracedLayer,
  path: KernelPath,
  input: Float32Array,
  row: number,
  column: number,
): Float32Array {
  const { inputs, outputs } = layer;
  const { height, width, activation } = path;
  const [rows, columns] = kernelSize(layer);
  const taps = rows * columns;
  const [above, before] = [rows, columns].map(reachBefore);
  const pixel = { top: row, bottom: row + 1, left: column, right: column + 1 };
  const plans = path.branches.map(({ stages, last }) => {
    const all = [...stages, last];
    const windows = [pixel];
    for (const stage of all.toReversed()) windows.unshift(read(stage, windows[0]));
    return { all, windows };
  });
  const contributions = new Float32Array(inputs * outputs);
  for (let i = 0; i < inputs; i++) {
    const plane = input.subarray(i * height * width, (i + 1) * height * width);
    for (let o = 0; o < outputs; o++) {
      const { all, windows } = plans[o % plans.length];
      const weights = layer.weight.subarray((o * inputs + i) * taps, (o * inputs + i + 1) * taps);
      let values: Float32Array = convolved(windows[0], (layer.bias?.[o] ?? 0) / inputs, weights);
      for (const [k, stage] of all.entries()) {
        if (activation) apply(activation, values);
        if (stage.offset && activation) values = values.map((v) => v - activation.atZero);
        values = stageWindow(stage, values, windows[k], windows[k + 1]);
      }
      contributions[i * outputs + o] = values[0];
    }

    function convolved({ top, bottom, left, right }: Window, bias: number, weights: Float32Array) {
      const out = new Float32Array((bottom - top) * (right - left));
      let at = 0;
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
          let sum = bias;
          for (let j = 0; j < rows; j++) {
            const from = y + j - above;
            if (from < 0 || from >= height) continue;
            for (let k = 0; k < columns; k++) {
              const at = x + k - before;
              if (at < 0 || at >= width) continue;
              sum += weights[j * columns + k] * plane[from * width + at];
            }
          }
          out[at++] = sum;
        }
      }
      return out;
    }
  }
  return contributions;
}
