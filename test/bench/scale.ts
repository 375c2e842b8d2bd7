/**
 * How time and memory grow with pixels and with neurons, as JSON on stdout, with the exponent of a power
 * law fitted to each series: 1 is linear. Whole command line processes. Run by `npm run bench scale`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { asProcess, machine } from './lib/measure';
import { writeSiren } from './lib/networks';

const folder = mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-scale-'));
const sides = (process.env.SIDES ?? '256,512,1024,2048').split(',').map(Number);
const widths = [32, 64, 128, 256];

interface Point {
  readonly size: number;
  /** Milliseconds inside the process: recognition and trace. */
  readonly trace: number;
  readonly peakMebibytes: number;
}

function measure(size: number, file: string, side: number): Point {
  const args = [
    'dist/cli.js',
    'trace',
    file,
    '--size',
    `${side}x${side}`,
    '--coords',
    'rc-per-side',
    '--json',
  ];
  const { stdout, peakMebibytes } = asProcess(folder, args);
  const { timings } = JSON.parse(stdout) as { timings: { trace: number } };
  return { size, trace: Math.round(timings.trace), peakMebibytes: Math.round(peakMebibytes) };
}

/** Slope of log time over log size, by least squares. */
function exponent(points: readonly Point[]): number {
  const [x, y] = [points.map(({ size }) => Math.log(size)), points.map(({ trace }) => Math.log(trace))];
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [mx, my] = [mean(x), mean(y)];
  const covariance = x.reduce((sum, value, i) => sum + (value - mx) * (y[i] - my), 0);
  return covariance / x.reduce((sum, value) => sum + (value - mx) ** 2, 0);
}

const before = machine();
const siren = path.join(folder, 'siren.safetensors');
writeSiren(siren, 256, 5);
const pixels = sides.map((side) => measure(side * side, siren, side));
// The matrix products grow with the square of the width; what is ours per neuron grows with the width.
const neurons = widths.map((width) => {
  const file = path.join(folder, `siren-${width}.safetensors`);
  writeSiren(file, width, 5);
  return measure(5 * width, file, 512);
});
const report = {
  machine: before,
  pixels: { points: pixels, exponent: exponent(pixels) },
  neurons: { points: neurons, exponent: exponent(neurons) },
};
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
rmSync(folder, { recursive: true });
