import { readFileSync } from 'node:fs';
import { unzipSync } from 'fflate';
import { neverCancelled } from '../src/errors';
import type { Inr } from '../src/inr/types';
import type { TraceOptions, TraceResult } from '../src/worker/protocol';
import type { Service } from '../src/worker/service';

/** Arrays of an NPZ file as numbers, by name. float32, float64 and int64 only. */
export function readNpz(
  file: string,
): Map<string, { readonly shape: readonly number[]; readonly data: Float64Array }> {
  const entries = Object.entries(unzipSync(readFileSync(file)));
  return new Map(
    entries.map(([name, bytes]) => {
      const length = bytes[8] | (bytes[9] << 8);
      const header = Buffer.from(bytes.subarray(10, 10 + length)).toString('latin1');
      const type = /'descr': '(.+?)'/.exec(header)?.[1];
      const shape = (/\((.*?)\)/.exec(header)?.[1] ?? '')
        .split(',')
        .filter((s) => s.trim())
        .map(Number);
      const body = bytes.slice(10 + length).buffer;
      const data =
        type === '<f4'
          ? Float64Array.from(new Float32Array(body))
          : type === '<f8'
            ? new Float64Array(body)
            : Float64Array.from(new BigInt64Array(body), Number);
      return [name.replace(/\.npy$/, ''), { shape, data }];
    }),
  );
}

/** Traces a file as the worker would; fails when it is not recognised. */
export async function traceFile(
  service: Service,
  file: string,
  corrections: Record<string, string> = {},
  options: Partial<TraceOptions> = {},
  trace = 'test',
): Promise<TraceResult> {
  const result = await service.call(
    'trace',
    {
      trace,
      options: { file, corrections, method: 'xinc', memoryBudget: 2 ** 30, ...options },
    },
    () => {},
    neverCancelled,
  );
  if ('notAnInr' in result) throw new Error(result.notAnInr.message);
  return result;
}

/** A network with weight matrices and biases changed in place of the stored ones. @param change of layer k */
export function withWeights(
  inr: Inr,
  change: (k: number, weight: Float32Array, bias: Float32Array) => void,
): Inr {
  const constants = new Map(inr.graph.constants);
  const layers = inr.layers.map((layer, k) => {
    const [weight, bias] = [layer.weight.slice(), layer.bias!.slice()];
    change(k, weight, bias);
    for (const [name, constant] of inr.graph.constants) {
      if (constant.data === layer.weight) constants.set(name, { ...constant, data: weight });
      if (constant.data === layer.bias) constants.set(name, { ...constant, data: bias });
    }
    return { ...layer, weight, bias };
  });
  return { ...inr, graph: { ...inr.graph, constants }, layers };
}
