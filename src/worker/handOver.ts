/** Arrays that the worker makes for the host and keeps no reference to are moved there, not copied. */

const given = new WeakSet<ArrayBufferLike>();

/** Says that nobody here uses the array any more once the message at hand is sent. */
export function handOver<T extends ArrayBufferView>(array: T): T {
  given.add(array.buffer);
  return array;
}

/** Deepest object of a message that is looked into. */
const DEPTH = 3;

/** The buffers of a message that were {@link handOver handed over}. */
export function handedOver(message: unknown, depth = DEPTH): ArrayBuffer[] {
  if (ArrayBuffer.isView(message)) {
    const { buffer } = message;
    return buffer instanceof ArrayBuffer && given.delete(buffer) ? [buffer] : [];
  }
  if (depth === 0 || typeof message !== 'object' || message === null || Array.isArray(message)) return [];
  return Object.values(message).flatMap((value) => handedOver(value, depth - 1));
}
