/** Which of TensorFlow.js's backends runs: its Node binding where there is one that works, else WebAssembly. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Tensor } from '@tensorflow/tfjs-core';
import { ExitCode, UserError } from '../../errors';
import type { Tf } from './api';

export interface Backend {
  /** e.g. `tensorflow.js 4.22.0 (wasm, SIMD)` */
  readonly name: string;
  readonly tf: Tf;
  /** TensorFlow.js's own name of what runs floats. */
  readonly id: string;
  /** Elements of a float32 tensor; valid until the next operation. */
  read(tensor: Tensor): Float32Array;
}

const require_ = createRequire(__filename);

/**
 * @param require finds `@tensorflow/tfjs-node` where the extension is installed
 * @throws UserError when WebAssembly cannot be started
 */
export async function findBackend(require: (name: string) => unknown = require_): Promise<Backend> {
  return (await nodeBackend(require)) ?? (await wasmBackend());
}

/**
 * The binding to libtensorflow. It is no dependency: installing it downloads the library, and some of its
 * releases do not work with the Node of their time. So it has to be there, and to prove itself.
 */
async function nodeBackend(require: (name: string) => unknown): Promise<Backend | undefined> {
  try {
    const tf = require('@tensorflow/tfjs-node') as Tf & {
      readonly version?: Readonly<Record<string, string>>;
    };
    await tf.ready();
    const probe = tf.tidy(() => {
      const one = tf.tensor([1, 2], [1, 2], 'float32');
      const product = tf.matMul(
        one,
        tf.transpose(
          tf.pad(one, [
            [0, 1],
            [0, 0],
          ]),
          [1, 0],
        ),
      );
      return [...tf.sin(product).dataSync()];
    });
    if (!(Math.abs(probe[0] - Math.sin(5)) < 1e-5 && probe[1] === 0)) return undefined;
    const version = tf.version?.['tfjs-node'] ?? tf.version?.['tfjs-core'];
    return {
      name: ['tensorflow.js', version, '(node)'].filter(Boolean).join(' '),
      tf,
      id: tf.getBackend(),
      read: (tensor) => tensor.dataSync<'float32'>(),
    };
  } catch {
    return undefined;
  }
}

/** What of the WASM backend's class its type declarations leave out. */
interface WasmBackend {
  readonly wasm: { _malloc: (bytes: number) => number };
  typedArrayFromHeap(tensor: Tensor): Float32Array;
}

/** TensorFlow's modules are one for the whole process; so is the backend. */
let started: Promise<Backend> | undefined;

const wasmBackend = () => (started ??= startWasm());

async function startWasm(): Promise<Backend> {
  const { api: tf, MathBackendCPU, setWasmPaths, version_wasm } = await import('./library');
  setWasmPaths(wasmFolder() + path.sep);
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = events.map((event) => new Set(process.listeners(event as 'uncaughtException')));
  let running = false;
  try {
    running = await tf.setBackend('wasm');
  } catch {
    // Said below.
  }
  // Emscripten's start listens to every error of the process, to throw it again; these are not its own.
  events.forEach((event, i) => {
    for (const listener of process.listeners(event as 'uncaughtException')) {
      if (!before[i].has(listener)) process.off(event, listener);
    }
  });
  if (!running) {
    started = undefined;
    throw new UserError(
      'TensorFlow.js cannot start its WebAssembly backend; reinstall Neural Canvas, whose files are incomplete.',
      ExitCode.usage,
    );
  }
  const backend = tf.backend() as unknown as WasmBackend;
  // Its first use would print an advertisement for the Node binding.
  const cpu = tf.findBackend('cpu');
  if (cpu instanceof MathBackendCPU) Object.assign(cpu, { firstUse: false });
  guardMemory(backend);
  const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
  return {
    name: `tensorflow.js ${version_wasm} (wasm${simd ? ', SIMD' : ''})`,
    tf,
    id: 'wasm',
    read: (tensor) => backend.typedArrayFromHeap(tensor),
  };
}

/** The backend writes where malloc points, to address 0 when there is no memory: make that an error. */
function guardMemory({ wasm }: WasmBackend): void {
  const malloc = wasm._malloc;
  wasm._malloc = (bytes) => {
    const address = malloc(bytes);
    if (address === 0 && bytes > 0) {
      throw new UserError(
        'The network needs more memory than WebAssembly has; trace it at a smaller size, or with onnxruntime.',
        ExitCode.usage,
      );
    }
    return address;
  };
}

/** Beside the bundle, where the build puts the .wasm files; in the package when run from source. */
function wasmFolder(): string {
  const name = 'tfjs-backend-wasm.wasm';
  if (existsSync(path.join(__dirname, name))) return __dirname;
  try {
    return path.dirname(require_.resolve(`@tensorflow/tfjs-backend-wasm/dist/${name}`));
  } catch {
    return __dirname;
  }
}
