import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { chooseEngine, EngineChooser } from '../../../src/engine/choose';
import { tensorflowEngine } from '../../../src/engine/tensorflow';
import type { Engine } from '../../../src/engine/types';
import { ExitCode, UserError } from '../../../src/errors';

const named = (name: string): Engine => ({ name, load: () => Promise.reject(new Error('not here')) });
const missing = () => {
  throw new UserError(
    'onnxruntime cannot be loaded on sunos-x64 (no binary); it needs Linux.',
    ExitCode.usage,
  );
};
const both = { onnxruntime: () => named('ort'), tensorflow: () => Promise.resolve(named('tf')) };

describe('choosing an engine', () => {
  it('takes onnxruntime, unless told otherwise', async () => {
    expect(await chooseEngine('auto', both)).toMatchObject({ engine: { name: 'ort' } });
    expect(await chooseEngine('onnxruntime', both)).toMatchObject({ engine: { name: 'ort' } });
    expect(await chooseEngine('tensorflow', both)).toMatchObject({ engine: { name: 'tf' } });
  });

  it('falls back to TensorFlow.js, and says why', async () => {
    const { engine, note } = await chooseEngine('auto', { ...both, onnxruntime: missing });
    expect(engine.name).toBe('tf');
    expect(note).toBe(
      'onnxruntime cannot be loaded on sunos-x64 (no binary); TensorFlow.js runs instead, more slowly.',
    );
  });

  it('does not fall back when onnxruntime was asked for, nor hides a bug', async () => {
    await expect(chooseEngine('onnxruntime', { ...both, onnxruntime: missing })).rejects.toThrow(
      /it needs Linux/,
    );
    const bug = () => {
      throw new TypeError('bug');
    };
    await expect(chooseEngine('auto', { ...both, onnxruntime: bug })).rejects.toThrow(TypeError);
  });

  it('starts each engine once, and a failed one again', async () => {
    let starts = 0;
    let broken = true;
    const chooser = new EngineChooser({
      ...both,
      onnxruntime: () => {
        starts++;
        if (broken) throw new UserError('half installed', ExitCode.usage);
        return named('ort');
      },
    });
    chooser.choice = 'onnxruntime';
    await expect(chooser.chosen()).rejects.toThrow('half installed');
    broken = false;
    const first = await chooser.chosen();
    expect(await chooser.chosen()).toBe(first);
    expect(starts).toBe(2);
    chooser.choice = 'tensorflow';
    expect((await chooser.chosen()).engine.name).toBe('tf');
  });
});

/** A binding that computes: TensorFlow.js's own core and CPU kernels under the binding's name. */
const working = () => {
  const require = createRequire(import.meta.url);
  const tf = require('@tensorflow/tfjs-core') as Record<string, unknown>;
  require('@tensorflow/tfjs-backend-cpu');
  return { ...tf, version: { 'tfjs-node': '9.9.9' } };
};

describe('@tensorflow/tfjs-node beside the extension', () => {
  it('runs instead of WebAssembly when it works', async () => {
    const asked: string[] = [];
    const { name } = await tensorflowEngine((module) => {
      asked.push(module);
      return working();
    });
    expect(name).toBe('tensorflow.js 9.9.9 (node)');
    expect(asked).toEqual(['@tensorflow/tfjs-node']);
  });

  it.each([
    // 4.22.0 on Node 23 and newer.
    [
      'throws when it computes',
      () => ({
        ...working(),
        matMul: () => {
          throw new TypeError('isNullOrUndefined is not a function');
        },
      }),
    ],
    ['computes wrongly', () => ({ ...working(), sin: (working() as unknown as { cos: unknown }).cos })],
    [
      'has no library',
      () => {
        throw new Error('libtensorflow.so.2: cannot open shared object file');
      },
    ],
    ['is something else', () => ({})],
  ])('does not run when it %s', async (_, module) => {
    expect((await tensorflowEngine(module)).name).toMatch(/wasm/);
  });
});
