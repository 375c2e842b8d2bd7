/** A SIREN with one wide hidden layer, as a safetensors file: as many maps as wanted from a file of kilobytes. */

/** @param neurons of the hidden layer, whose maps are drawn */
export function wideSiren(neurons: number): Uint8Array {
  let state = 1;
  // Numerical Recipes' generator: the same network on every machine.
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 31 - 1;
  const tensors: readonly (readonly [name: string, shape: readonly number[], scale: number])[] = [
    ['net.0.linear.weight', [neurons, 2], 1],
    ['net.0.linear.bias', [neurons], 0.5],
    ['net.1.weight', [3, neurons], 1 / Math.sqrt(neurons)],
    ['net.1.bias', [3], 0.1],
  ];
  const header: Record<string, unknown> = {};
  const values: number[] = [];
  for (const [name, shape, scale] of tensors) {
    const count = shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype: 'F32', shape, data_offsets: [4 * values.length, 4 * (values.length + count)] };
    for (let i = 0; i < count; i++) values.push(random() * scale);
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + 4 * values.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(new Uint8Array(Float32Array.from(values).buffer), 8 + json.length);
  return bytes;
}
