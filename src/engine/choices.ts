import { UsageError } from '../errors';

export const engineChoices = ['auto', 'onnxruntime', 'tensorflow'] as const;
/** `auto` is onnxruntime, and TensorFlow.js where it does not load. */
export type EngineChoice = (typeof engineChoices)[number];

export const isEngineChoice = (text: unknown): text is EngineChoice =>
  (engineChoices as readonly unknown[]).includes(text);

/** What `--engine` says. @throws UsageError */
export function engineNamed(name: string): EngineChoice {
  if (isEngineChoice(name)) return name;
  throw new UsageError(`--engine takes ${engineChoices.join(', ')}, not ${JSON.stringify(name)}.`);
}
