import { UserError } from '../errors';
import { onnxruntimeEngine } from './onnxruntime';
import type { Engine } from './types';

export const engineChoices = ['auto', 'onnxruntime', 'tensorflow'] as const;
/** `auto` is onnxruntime, and TensorFlow.js where it does not load. */
export type EngineChoice = (typeof engineChoices)[number];

export const isEngineChoice = (text: unknown): text is EngineChoice =>
  (engineChoices as readonly unknown[]).includes(text);

export interface ChosenEngine {
  readonly engine: Engine;
  /** Why another engine than the usual one runs; a sentence. */
  readonly note?: string;
}

interface Engines {
  onnxruntime(): Engine;
  tensorflow(): Promise<Engine>;
}

/** TensorFlow.js is a large module that few ever need: it is read when it is chosen. */
const engines: Engines = {
  onnxruntime: () => onnxruntimeEngine(),
  tensorflow: async () => (await import('./tensorflow')).tensorflowEngine(),
};

/** @throws UserError when the engine that was asked for, or any at all, does not load */
export async function chooseEngine(choice: EngineChoice, from: Engines = engines): Promise<ChosenEngine> {
  if (choice === 'tensorflow') return { engine: await from.tensorflow() };
  try {
    return { engine: from.onnxruntime() };
  } catch (error) {
    if (choice === 'onnxruntime' || !(error instanceof UserError)) throw error;
    return {
      engine: await from.tensorflow(),
      note: `${error.message.split('; ', 1)[0]}; TensorFlow.js runs instead, more slowly.`,
    };
  }
}
