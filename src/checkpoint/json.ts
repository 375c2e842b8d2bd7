/** JSON of a stranger as checkpoint values: dictionaries become Maps, so that no key means anything. */
import { CheckpointError } from '../errors';
import type { Value } from './types';

const maxDepth = 200;
const maxNodes = 2_000_000;

/** @throws CheckpointError when the bytes are not UTF-8, not JSON, or nested too deep. */
export function parseJson(bytes: Uint8Array, what: string): Value {
  return fromJson(what, decodeJson(bytes, what));
}

/** Text of a JSON file, strictly UTF-8. */
export function decodeJson(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new CheckpointError(`${what} is not UTF-8 text, so it is damaged; copy or save it again.`);
  }
}

export function fromJson(what: string, text: string): Value {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new CheckpointError(`${what} is not complete JSON, so it is damaged; copy or save it again.`);
  }
  let nodes = 0;
  const convert = (value: unknown, depth: number): Value => {
    if (depth > maxDepth || ++nodes > maxNodes) {
      throw new CheckpointError(`${what} is nested too deep or too large; save it again.`);
    }
    if (Array.isArray(value)) return value.map((item) => convert(item, depth + 1));
    if (typeof value !== 'object' || value === null) return value as Value;
    return new Map(Object.entries(value).map(([key, item]) => [key, convert(item, depth + 1)]));
  };
  return convert(parsed, 0);
}
