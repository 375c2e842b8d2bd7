/**
 * Speed of the engine on two networks against one large matrix product, as JSON on stdout. Run by
 * `npm run bench engine`.
 */
import { onnxruntimeEngine } from '../../src/engine/onnxruntime';
import { runTiles } from '../../src/engine/tiles';
import type { EngineSession } from '../../src/engine/types';
import { GraphBuilder } from '../../src/graph/build';
import type { Graph } from '../../src/graph/types';
import { say } from './lib/measure';

type Activation = 'none' | 'Relu' | 'Sin' | 'Mul, Sin';
type Affine = 'MatMul, Add' | 'Gemm' | 'Gemm [P, n]';

interface Network {
  readonly graph: Graph;
  readonly hidden: readonly string[];
  /** Operations of the affine layers for one pixel. */
  readonly flops: number;
}

/** Uniform in [−0.05, 0.05], the same every time. */
function weights(size: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) / 10;
  });
}

function network(widths: readonly number[], activation: Activation, affine: Affine): Network {
  const b = new GraphBuilder();
  const transposed = affine === 'Gemm [P, n]';
  let x = b.input('coords', transposed ? ['P', widths[0]] : [widths[0], 'P']);
  const hidden: string[] = [];
  let flops = 0;
  widths.slice(1).forEach((m, layer) => {
    const n = widths[layer];
    const [weight, bias] = [weights(m * n), weights(m)];
    flops += 2 * m * n;
    if (affine === 'MatMul, Add') x = b.linear(x, weight, bias, m, n);
    else if (affine === 'Gemm') x = b.op('Gemm', [b.constant(weight, [m, n]), x, b.constant(bias, [m, 1])]);
    else {
      const inputs = [x, b.constant(weight, [m, n]), b.constant(bias, [m])];
      x = b.op('Gemm', inputs, { transB: { int: 1 } });
    }
    if (layer + 2 === widths.length) return;
    if (activation === 'Mul, Sin') x = b.op('Sin', [b.scale(x, 30)]);
    else if (activation !== 'none') x = b.op(activation, [x]);
    hidden.push(x);
  });
  return { graph: b.build(x), hidden, flops };
}

/** Milliseconds of processor time that this process has taken. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Shortest of five times, milliseconds; of fewer when they take long. */
async function shortest(work: () => Promise<void>, clock = () => performance.now()): Promise<number> {
  let best = Infinity;
  await work();
  const began = performance.now();
  for (let i = 0; i < 5 && performance.now() - began < 1500; i++) {
    const start = clock();
    await work();
    best = Math.min(best, clock() - start);
  }
  return best;
}

/** GFLOP/s at one tile size, into reused tensors or (as a caller without them) fresh ones. */
async function speed(
  { graph, flops }: Network,
  outputs: readonly string[],
  tile: number,
  pixels: number,
  { threads = 2, reuse = true, clock = () => performance.now() } = {},
): Promise<number> {
  const session = await onnxruntimeEngine(threads).load(graph, outputs);
  const [{ name, shape }] = graph.inputs;
  const sizes = shape.map((d) => (typeof d === 'number' ? d : tile));
  const data = weights(sizes[0] * sizes[1]);
  const feeds = new Map([[name, { shape: sizes, data }]]);
  const into = reuse ? await session.run(feeds) : undefined;
  const time = await shortest(async () => {
    for (let done = 0; done < pixels; done += tile) await session.run(feeds, into);
  }, clock);
  await session.release();
  return Math.round((flops * pixels) / time / 1e5) / 10;
}

async function tiled(net: Network, session: EngineSession, pixels: number): Promise<number> {
  const fill = (coordinates: Float32Array) => coordinates.fill(0.5);
  return shortest(() => runTiles({ session, graph: net.graph, pixels, fill, onTile: () => undefined }));
}

async function main(): Promise<void> {
  const ffn = [208, 104, 104, 3];
  const siren = [2, 256, 256, 256, 256, 256, 3];
  const pixels = 65536;
  const report: Record<string, unknown> = { unit: 'GFLOP/s unless said otherwise' };
  const table = async <K extends string | number>(
    keys: readonly K[],
    measure: (key: K) => Promise<number>,
  ): Promise<Record<string, number>> => {
    say(`engine: ${keys.join(', ')}`);
    const rows: Record<string, number> = {};
    for (const key of keys) rows[String(key)] = await measure(key);
    return rows;
  };

  const product = network([1024, 1024], 'none', 'Gemm');
  report['one 1024 × 1024 product, by threads'] = await table([1, 2], (threads) =>
    speed(product, [product.graph.output], 4096, 8192, { threads }),
  );
  // What others do on the machine leaves this alone, more or less.
  const alone = { threads: 1, clock: processorTime };
  const sines = network(siren, 'Mul, Sin', 'MatMul, Add');
  report['one thread, by processor time'] = {
    product: await speed(product, [product.graph.output], 4096, 8192, alone),
    SIREN: await speed(sines, [sines.graph.output], 2048, 16384, alone),
    'SIREN with hidden values': await speed(sines, [...sines.hidden, sines.graph.output], 2048, 16384, alone),
  };
  for (const [name, widths] of [
    ['FFN', ffn],
    ['SIREN', siren],
  ] as const) {
    report[`${name}, ReLU, tile 4096, by affine layer`] = await table(
      ['MatMul, Add', 'Gemm', 'Gemm [P, n]'] as const,
      (affine) => {
        const net = network(widths, 'Relu', affine);
        return speed(net, [net.graph.output], 4096, pixels);
      },
    );
    const activation = name === 'FFN' ? 'Relu' : 'Mul, Sin';
    const net = network(widths, activation, 'MatMul, Add');
    report[`${name}, by tile`] = await table([256, 1024, 4096, 16384, 65536], (tile) =>
      speed(net, [net.graph.output], tile, pixels),
    );
    const all = [...net.hidden, net.graph.output];
    report[`${name}, hidden values, tile 4096`] = {
      'reused tensors': await speed(net, all, 4096, pixels),
      'fresh tensors': await speed(net, all, 4096, pixels, { reuse: false }),
    };
    report[`${name}, by threads`] = await table([1, 2], (threads) =>
      speed(net, [net.graph.output], 4096, pixels, { threads }),
    );
  }
  report['SIREN, tile 4096, by activation'] = await table(
    ['none', 'Relu', 'Sin', 'Mul, Sin'] as const,
    (activation) => {
      const net = network(siren, activation, 'MatMul, Add');
      return speed(net, [net.graph.output], 4096, pixels);
    },
  );
  const jobs = {
    'FFN 128 × 256': [ffn, 'Relu', 32768],
    'SIREN 512 × 512': [siren, 'Mul, Sin', 262144],
  } as const;
  for (const [name, [widths, activation, count]] of Object.entries(jobs)) {
    const net = network(widths, activation, 'MatMul, Add');
    const session = await onnxruntimeEngine().load(net.graph, [...net.hidden, net.graph.output]);
    const time = await tiled(net, session, count);
    report[`${name} with hidden values, in tiles`] = {
      milliseconds: Math.round(time),
      'GFLOP/s': Math.round((net.flops * count) / time / 1e5) / 10,
    };
    await session.release();
  }
  report['resident MB at the end'] = Math.round(process.memoryUsage.rss() / 1e6);
  console.log(JSON.stringify(report, null, 2));
}

void main();
