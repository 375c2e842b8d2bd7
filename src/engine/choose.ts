import { UserError } from '../errors';
import type { EngineChoice } from './choices';
import { onnxruntimeEngine } from './onnxruntime';
import type { Engine } from './types';

export interface ChosenEngine {
  readonly engine: Engine;
  /** Why another engine than the usual one runs; a sentence. */
  readonly note?: string;
}

interface Engines {
  onnxruntime(): Engine;
  tensorflow(): Promise<Engine>;
}

/** Engines are started once, when they are first needed. */
export class EngineChooser {
  choice: EngineChoice = 'auto';
  private readonly started = new Map<EngineChoice, Promise<ChosenEngine>>();

  constructor(private readonly from: Engines = enginesWith()) {}

  /** @throws UserError when the engine does not load */
  chosen(): Promise<ChosenEngine> {
    const { choice } = this;
    const started = this.started.get(choice);
    if (started) return started;
    const starting = chooseEngine(choice, this.from);
    this.started.set(choice, starting);
    // A failure may pass, by an installation that is completed.
    starting.catch(() => this.started.delete(choice));
    return starting;
  }
}

/**
 * TensorFlow.js is a large module that few ever need: it is read when it is chosen.
 * @param threads of onnxruntime, for each operator; one a core when omitted
 */
export const enginesWith = (threads?: number): Engines => ({
  onnxruntime: () => onnxruntimeEngine(threads),
  tensorflow: async () => (await import('./tensorflow')).tensorflowEngine(),
});

/** @throws UserError when the engine that was asked for, or any at all, does not load */
export async function chooseEngine(
  choice: EngineChoice,
  from: Engines = enginesWith(),
): Promise<ChosenEngine> {
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
