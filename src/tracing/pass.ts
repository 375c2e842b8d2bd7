/**
 * One run of a coordinate network over its picture that gathers all a trace needs: the picture, the
 * statistics of every layer, and activations to keep. No activation is read twice from memory, and tiles
 * are independent, so that several threads can share a pass.
 */
import { inOrder, runTiles, type Claim } from '../engine/tiles';
import type { Engine, EngineTensor } from '../engine/types';
import type { CancelToken } from '../errors';
import type { Graph } from '../graph/types';
import { coordinatesAt, fillCoordinates } from '../inr/coordinates';
import type { CoordinateConvention } from '../inr/types';
import { evaluate, type ActivationTile, type ContributionFormula } from './contributions';
import { LayerAccumulator, type LayerShare } from './statistics';

export interface PassLayer {
  /** Graph values of its neurons' activations. */
  readonly input: string;
  readonly inputImaginary?: string;
  readonly formula: ContributionFormula;
}

/** Plain data, so that it can be sent to other threads. */
export interface Pass {
  readonly graph: Graph;
  readonly convention: CoordinateConvention;
  /** The whole picture's. */
  readonly height: number;
  readonly width: number;
  /** 1 for every pixel, n for every n-th row and column. */
  readonly step: number;
  /** Whose statistics are gathered. */
  readonly layers: readonly PassLayer[];
  /** Graph values that are handed over. */
  readonly keep: readonly string[];
  /** The layer whose contributions must add up to a graph value, one formula an output. */
  readonly check?: {
    readonly layer: number;
    readonly value: string;
    readonly outputs: readonly ContributionFormula[];
  };
}

export interface PassTile {
  /** First pixel (of those drawn, row-major) and their number. */
  readonly start: number;
  readonly count: number;
  /** The network's output, `[channels, count]`. */
  readonly output: Float32Array;
  /** Values to be kept, `[neurons, count]` each, by name. Own memory. */
  readonly kept: ReadonlyMap<string, Float32Array>;
}

/** What some of a pass's tiles gave. */
export interface PassShare {
  readonly layers: readonly LayerShare[];
  readonly residual: { readonly largest: number; readonly sum: number };
}

export interface PassRunner {
  /** Carries out a pass, in whatever threads. @throws CancelledError */
  run(pass: Pass, cancel: CancelToken, onTile: (tile: PassTile) => void): Promise<readonly PassShare[]>;
  /** Whether others are being carried out, so that one would have to wait. */
  readonly busy: boolean;
}

/** Runs passes without other threads. */
export const inThisThread = (engine: Engine): PassRunner => ({
  async run(pass, cancel, onTile) {
    const { height, width } = drawnSize(pass);
    return [await runShare(pass, engine, inOrder(height * width), cancel, onTile)];
  },
  busy: false,
});

/** Size of the grid that a pass draws. */
export const drawnSize = ({ height, width, step }: Pick<Pass, 'height' | 'width' | 'step'>) => ({
  height: Math.ceil(height / step),
  width: Math.ceil(width / step),
});

/**
 * Runs the tiles that `claim` hands out.
 * @throws CancelledError
 */
export async function runShare(
  pass: Pass,
  engine: Engine,
  claim: Claim,
  cancel: CancelToken,
  onTile: (tile: PassTile) => void,
): Promise<PassShare> {
  const { graph, layers, check } = pass;
  const { height, width } = drawnSize(pass);
  const accumulators = layers.map(({ formula }) => new LayerAccumulator(formula, height, width));
  const residual = { largest: 0, sum: 0 };
  const valuesOf = ({ input, inputImaginary }: PassLayer) =>
    inputImaginary === undefined ? [input] : [input, inputImaginary];
  const keep = new Set(pass.keep);
  const names = [graph.output, ...(check ? [check.value] : []), ...layers.flatMap(valuesOf), ...keep];

  const takeTile = (start: number, end: number, outputs: ReadonlyMap<string, EngineTensor>) => {
    const count = end - start;
    for (const [index, { input, inputImaginary }] of layers.entries()) {
      const imaginary = inputImaginary === undefined ? undefined : outputs.get(inputImaginary)!.data;
      const values = outputs.get(input)!.data;
      const tile: ActivationTile = { start, count, values, ...(imaginary && { imaginary }) };
      accumulators[index].add(tile, cancel);
      if (check?.layer === index) addResidual(check.outputs, tile, outputs.get(check.value)!.data, residual);
    }
    onTile({
      start,
      count,
      output: outputs.get(graph.output)!.data.slice(),
      kept: new Map(Array.from(keep, (name) => [name, outputs.get(name)!.data])),
    });
  };

  const session = await engine.load(graph, [...new Set(names)]);
  try {
    await runTiles({
      session,
      graph,
      pixels: height * width,
      fill: coordinatesOf(pass),
      onTile: takeTile,
      keep,
      claim,
      cancel,
    });
  } finally {
    await session.release();
  }
  return { layers: accumulators.map((accumulator) => accumulator.share()), residual };
}

function coordinatesOf({ convention, height, width, step }: Pass) {
  if (step === 1) {
    return (out: Float32Array, start: number, end: number) =>
      fillCoordinates(convention, height, width, start, end, out);
  }
  const columns = Math.ceil(width / step);
  return (out: Float32Array, start: number, end: number) => {
    const pixels = Uint32Array.from({ length: end - start }, (_, k) => {
      const row = Math.floor((start + k) / columns);
      return step * (row * width + (start + k - row * columns));
    });
    out.set(coordinatesAt(convention, height, width, pixels));
  };
}

/** Σ of all contributions against the affine output as the network itself computed it. */
function addResidual(
  outputs: readonly ContributionFormula[],
  tile: ActivationTile,
  affine: Float32Array,
  residual: { largest: number; sum: number },
): void {
  const { count, values } = tile;
  const added = outputs.map(() => new Float64Array(count));
  const part = new Float32Array(count);
  for (let i = 0; i < outputs[0].neurons; i++) {
    const x = values.subarray(i * count, (i + 1) * count);
    for (const [j, formula] of outputs.entries()) {
      if (formula.complex) {
        evaluate(formula, i, tile, 0, count, part);
        addScaled(added[j], part, 1, 0);
      } else addScaled(added[j], x, formula.scale[i], formula.shift);
    }
  }
  for (const [j, sum] of added.entries()) {
    for (let k = 0; k < count; k++) {
      const difference = Math.abs(sum[k] - affine[j * count + k]);
      residual.largest = Math.max(residual.largest, difference);
      residual.sum += difference;
    }
  }
}

function addScaled(sum: Float64Array, x: Float32Array, scale: number, shift: number): void {
  for (let k = 0; k < x.length; k++) sum[k] += scale * x[k] + shift;
}
