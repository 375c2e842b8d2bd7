import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import type * as OrtCommon from 'onnxruntime-common';
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { ExitCode, UserError } from '../errors';
import { toOnnx } from '../graph/onnx';
import type { Graph } from '../graph/types';
import type { Engine, EngineSession, EngineTensor } from './types';

type Ort = typeof OrtCommon;

/** Loaded when first needed, and by `require` at run time, so that bundles leave the binary outside. */
function loadOrt(): Ort {
  try {
    return createRequire(__filename)('onnxruntime-node') as Ort;
  } catch (error) {
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
 * @param threads for each operator; one a core when omitted
 * @throws UserError when there is no binary for this platform
 */
export function onnxruntimeEngine(threads = availableParallelism()): Engine {
  const ort = loadOrt();
  return {
    name: `onnxruntime ${ort.env.versions.node ?? ort.env.versions.common} (cpu)`,
    async load(graph: Graph, outputs: readonly string[]): Promise<EngineSession> {
      const session = await ort.InferenceSession.create(toOnnx(graph, outputs), {
        executionProviders: ['cpu'],
        graphOptimizationLevel: 'all',
        intraOpNumThreads: threads,
        executionMode: 'sequential',
        // Tiles have one size, so neither a growing arena nor a plan of past shapes pays for its memory.
        enableCpuMemArena: false,
        enableMemPattern: false,
        logSeverityLevel: 3,
      });
      return new OnnxRuntimeSession(ort, session);
    },
  };
}

class OnnxRuntimeSession implements EngineSession {
  constructor(
    private readonly ort: Ort,
    private readonly session: InferenceSession,
  ) {}

  private tensor({ data, shape }: EngineTensor): Tensor {
    return new this.ort.Tensor('float32', data, shape);
  }

  async run(
    feeds: ReadonlyMap<string, EngineTensor>,
    into?: ReadonlyMap<string, EngineTensor>,
  ): Promise<ReadonlyMap<string, EngineTensor>> {
    const tensors = (values: ReadonlyMap<string, EngineTensor>) =>
      Object.fromEntries(Array.from(values, ([name, value]) => [name, this.tensor(value)] as const));
    if (into) {
      await this.session.run(tensors(feeds), tensors(into));
      return into;
    }
    const results = await this.session.run(tensors(feeds));
    return new Map(
      this.session.outputNames.map((name) => {
        const { dims, data } = results[name];
        if (!(data instanceof Float32Array)) throw new Error(`output ${name} is not float32`);
        return [name, { shape: dims, data }];
      }),
    );
  }

  release(): Promise<void> {
    return this.session.release();
  }
}
