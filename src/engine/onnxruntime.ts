import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import type * as OrtCommon from 'onnxruntime-common';
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { CancelledError, ExitCode, UserError } from '../errors';
import { upTo } from '../graph/cut';
import { toOnnx } from '../graph/onnx';
import type { Graph } from '../graph/types';
import { nativeCalls } from './nativeCalls';
import { refuseTelemetry } from './telemetry';
import type { Engine, EngineSession, EngineTensor } from './types';

type Ort = typeof OrtCommon;

/** Loaded when first needed, and by `require` at run time, so that bundles leave the binary outside. */
function loadOrt(): Ort {
  refuseTelemetry();
  try {
    return nativeCalls.duringSync(() => createRequire(__filename)('onnxruntime-node') as Ort);
  } catch (error) {
    if (error instanceof CancelledError) throw error;
    const platform = `${process.platform}-${process.arch}`;
    throw new UserError(
      `onnxruntime cannot be loaded on ${platform} (${firstLine(error)}); it needs a complete installation on 64-bit Linux or Windows or a Mac with Apple silicon.`,
      ExitCode.usage,
    );
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0];
}

/**
 * The engine on onnxruntime's CPU kernels.
 * @param usual threads for each operator; one a core when omitted
 * @throws UserError when there is no binary for this platform
 */
export function onnxruntimeEngine(usual = availableParallelism()): Engine {
  const ort = loadOrt();
  return {
    name: `onnxruntime ${ort.env.versions.node ?? ort.env.versions.common} (cpu)`,
    async load(graph: Graph, outputs: readonly string[], threads = usual): Promise<EngineSession> {
      const given = new Set(graph.inputs.map(({ name }) => name));
      const computed = outputs.filter((name) => !given.has(name));
      if (computed.length === 0)
        return {
          run: (feeds, into) => Promise.resolve(copies(outputs, feeds, into)),
          release: () => Promise.resolve(),
        };
      const model = toOnnx(upTo(graph, computed), computed);
      const session = await nativeCalls.during(() =>
        ort.InferenceSession.create(model, {
          executionProviders: ['cpu'],
          graphOptimizationLevel: 'all',
          intraOpNumThreads: threads,
          executionMode: 'sequential',
          // Tiles have one size, so neither a growing arena nor a plan of past shapes pays for its memory.
          enableCpuMemArena: false,
          enableMemPattern: false,
          logSeverityLevel: 3,
        }),
      );
      return new OnnxRuntimeSession(ort, session, outputs);
    },
  };
}

class OnnxRuntimeSession implements EngineSession {
  constructor(
    private readonly ort: Ort,
    private readonly session: InferenceSession,
    private readonly outputs: readonly string[],
  ) {}

  private tensor({ data, shape }: EngineTensor): Tensor {
    return new this.ort.Tensor('float32', data, shape);
  }

  async run(
    feeds: ReadonlyMap<string, EngineTensor>,
    into?: ReadonlyMap<string, EngineTensor>,
  ): Promise<ReadonlyMap<string, EngineTensor>> {
    const { outputNames } = this.session;
    const tensors = (values: Iterable<readonly [string, EngineTensor]>) =>
      Object.fromEntries(Array.from(values, ([name, value]) => [name, this.tensor(value)] as const));
    const wanted = into && tensors(outputNames.map((name) => [name, into.get(name)!] as const));
    const results = await nativeCalls.during(() =>
      wanted ? this.session.run(tensors(feeds), wanted) : this.session.run(tensors(feeds)),
    );
    // onnxruntime leaves a given tensor as it is when the output is an input of the graph.
    const values = new Map(
      copies(
        this.outputs.filter((name) => feeds.has(name)),
        feeds,
        into,
      ),
    );
    for (const name of outputNames) {
      const given = into?.get(name);
      const { dims, data } = given ? { dims: given.shape, data: given.data } : results[name];
      if (!(data instanceof Float32Array)) throw new Error(`output ${name} is not float32`);
      values.set(name, { shape: dims, data });
    }
    return values;
  }

  release(): Promise<void> {
    return nativeCalls.during(() => this.session.release());
  }
}

/** Outputs that are inputs of the graph. */
function copies(
  names: readonly string[],
  feeds: ReadonlyMap<string, EngineTensor>,
  into: ReadonlyMap<string, EngineTensor> | undefined,
): ReadonlyMap<string, EngineTensor> {
  return new Map(
    names.map((name) => {
      const { shape, data } = feeds.get(name)!;
      const copy = into?.get(name) ?? { shape, data: new Float32Array(data.length) };
      copy.data.set(data);
      return [name, copy];
    }),
  );
}
