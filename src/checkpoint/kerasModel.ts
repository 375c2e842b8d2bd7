/** What a Keras model's own description says of its layers' activations (Keras 2 and 3, TensorFlow.js). */
import type { Plain, Value } from './types';

type Record_ = ReadonlyMap<string, Value>;

const asMap = (value: Value | undefined): Record_ | undefined =>
  value instanceof Map ? (value as Record_) : undefined;

const MAX_LAYERS = 1000;
const MAX_DEPTH = 8;

/** Layers of a model in its order; models may hold models. */
function* layersOf(value: Value | undefined, depth: number): Generator<Record_> {
  const model = asMap(value);
  if (!model || depth > MAX_DEPTH) return;
  const config = model.get('config');
  const listed = asMap(config)?.get('layers') ?? config;
  if (!Array.isArray(listed)) return;
  for (const item of listed as readonly Value[]) {
    const layer = asMap(item);
    if (!layer) continue;
    if (asMap(layer.get('config'))?.get('layers') !== undefined) yield* layersOf(layer, depth + 1);
    else yield layer;
  }
}

/** An activation's name: text, or an object that names its class or function. */
function activationName(value: Value | undefined): string | undefined {
  if (typeof value === 'string') return value;
  const object = asMap(value);
  const config = object?.get('config');
  if (typeof config === 'string') return config;
  const name = asMap(config)?.get('name') ?? object?.get('class_name');
  return typeof name === 'string' ? snake(name) : undefined;
}

/** `LeakyReLU` → `leaky_relu`. */
const snake = (name: string) =>
  name
    .replace(/ReLU/g, 'Relu')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();

/** Layers of Keras that are activations only. */
const ACTIVATION_LAYERS = /^(Activation|ReLU|LeakyReLU|ELU|Softmax|PReLU|Sine)$/;

/**
 * Activation of the hidden layers (where they are alike), of the last one, and ω of sine layers, under the
 * names that configurations use for them; nothing where the model is not a plain stack of dense layers.
 */
export function kerasSettings(root: Value): Record<string, Plain> {
  const file = asMap(root);
  const topology = asMap(file?.get('modelTopology'));
  const model =
    asMap(file?.get('model_config')) ??
    asMap(topology?.get('model_config')) ??
    topology ??
    asMap(file?.get('config'));
  const dense: { activation: string; omega: number | undefined }[] = [];
  let count = 0;
  for (const layer of layersOf(model, 0)) {
    if (count++ > MAX_LAYERS) return {};
    const className = layer.get('class_name');
    const kind = typeof className === 'string' ? className : '';
    const config = asMap(layer.get('config'));
    const name = activationName(config?.get('activation'));
    if (/Dense$/.test(kind)) {
      const omega = config?.get('w0') ?? config?.get('omega_0');
      dense.push({ activation: name ?? 'linear', omega: typeof omega === 'number' ? omega : undefined });
    } else if (ACTIVATION_LAYERS.test(kind) && dense.length > 0) {
      dense[dense.length - 1].activation = name ?? snake(kind);
    }
  }
  if (dense.length < 2) return {};
  const hidden = new Set(dense.slice(0, -1).map(({ activation }) => activation));
  const [first, second] = dense;
  return {
    ...(hidden.size === 1 && first.activation !== 'linear' && { activation: first.activation }),
    final_activation: dense[dense.length - 1].activation,
    ...(first.omega !== undefined && { first_omega_0: first.omega }),
    ...(second.omega !== undefined && { hidden_omega_0: second.omega }),
  };
}
