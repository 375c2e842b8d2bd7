export const engineChoices = ['auto', 'onnxruntime', 'tensorflow'] as const;
/** `auto` is onnxruntime, and TensorFlow.js where it does not load. */
export type EngineChoice = (typeof engineChoices)[number];

export const isEngineChoice = (text: unknown): text is EngineChoice =>
  (engineChoices as readonly unknown[]).includes(text);
