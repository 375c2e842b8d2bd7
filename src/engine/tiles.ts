import { neverCancelled, type CancelToken } from '../errors';
import { pixelCost } from '../graph/cost';
import type { Graph } from '../graph/types';
import type { EngineSession, EngineTensor } from './types';

export interface TileRun {
  readonly session: EngineSession;
  /** The graph that the session runs: one input `[dims, P]`, outputs `[n, P]`. */
  readonly graph: Graph;
  /** Number of pixels of the whole picture. */
  readonly pixels: number;
  /** Writes the coordinates of pixels `start` to `end` (exclusive), `[dims, end − start]` row-major. */
  readonly fill: (coordinates: Float32Array, start: number, end: number) => void;
  /**
   * Takes the outputs of pixels `start` to `end`, each `[n, end − start]`. The tensors are overwritten
   * by the next tile, except those named in `keep`: copy what must last.
   */
  readonly onTile: (
    start: number,
    end: number,
    outputs: ReadonlyMap<string, EngineTensor>,
  ) => void | Promise<void>;
  /** Outputs that get memory of their own in every tile. */
  readonly keep?: ReadonlySet<string>;
  /** Takes the next pixels to run, at most `size`; undefined when there are none left. In order when omitted. */
  readonly claim?: Claim;
  /** Bytes that the values of one tile may take. */
  readonly memoryBudget?: number;
  readonly cancel?: CancelToken;
}

/** Hands out each pixel of a picture once, as runs of consecutive ones `[start, end)`. */
export type Claim = (size: number) => readonly [start: number, end: number] | undefined;

/** Claims from the first pixel to the last. */
export function inOrder(pixels: number): Claim {
  let next = 0;
  return (size) => {
    if (next >= pixels) return undefined;
    const start = next;
    next = Math.min(start + size, pixels);
    return [start, next];
  };
}

/** Longest time that one run may keep the thread, so that cancelling takes effect soon. Milliseconds. */
const longestRun = 50;
/** Larger tiles are no faster: values leave the cache (docs/decisions/0002-layout-and-tiles.md). */
const largestTile = 4096;
const smallestTile = 64;
/** Guess for the first tile, deliberately low: operations a millisecond of a slow core. */
const slowSpeed = 5e6;

/** Largest power of two of at most `pixels`, within the limits for a tile. */
function tileSize(pixels: number, limit: number): number {
  const size = 2 ** Math.floor(Math.log2(Math.max(pixels, 1)));
  return Math.max(smallestTile, Math.min(size, limit));
}

/**
 * Runs a pixel graph over a picture, tile by tile; memory does not grow with the picture.
 * Between tiles the event loop gets its turn and `cancel` is asked.
 * @throws CancelledError
 */
export async function runTiles(run: TileRun): Promise<void> {
  const {
    session,
    graph,
    fill,
    onTile,
    keep,
    claim = inOrder(run.pixels),
    memoryBudget = 64 << 20,
    cancel = neverCancelled,
  } = run;
  const [input] = graph.inputs;
  const dims = input.shape[0];
  if (graph.inputs.length !== 1 || input.shape.length !== 2 || typeof dims !== 'number') {
    throw new Error('a graph to be run in tiles has one input [dims, P]');
  }
  const cost = pixelCost(graph);
  const limit = tileSize(memoryBudget / Math.max(cost.bytes, 1), largestTile);
  let tile = tileSize((longestRun * slowSpeed) / Math.max(cost.flops, 1), limit);
  const coordinates = new Float32Array(dims * limit);
  let buffers = new Map<string, { readonly rows: number; readonly data?: Float32Array }>();

  for (let span = claim(tile); span; span = claim(tile)) {
    cancel.throwIfCancelled();
    const [start, end] = span;
    const count = end - start;
    const view = coordinates.subarray(0, dims * count);
    fill(view, start, end);
    const into = new Map(
      Array.from(buffers, ([name, { rows, data }]) => [
        name,
        { shape: [rows, count], data: data?.subarray(0, rows * count) ?? new Float32Array(rows * count) },
      ]),
    );
    const feeds = new Map([[input.name, { shape: [dims, count], data: view }]]);
    const before = performance.now();
    const outputs = await session.run(feeds, into.size > 0 ? into : undefined);
    const elapsed = performance.now() - before;
    await onTile(start, end, outputs);

    const next = tileSize((count * longestRun) / Math.max(elapsed, 0.1), limit);
    // A short last tile says little; growing one step at a time forgives one lucky measurement.
    if (count === tile) tile = Math.min(next, 2 * tile, limit);
    if (buffers.size === 0) {
      buffers = new Map(Array.from(outputs, ([name, output]) => [name, bufferFor(name, output)]));
    }
  }

  function bufferFor(name: string, { shape }: EngineTensor) {
    if (shape.length !== 2) throw new Error(`output ${name} is not [n, P]`);
    const [rows] = shape;
    return keep?.has(name) ? { rows } : { rows, data: new Float32Array(rows * limit) };
  }
}
