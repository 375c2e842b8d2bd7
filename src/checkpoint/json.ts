/** JSON of a stranger as checkpoint values: dictionaries become Maps, so that no key means anything. */
import { CheckpointError } from '../errors';
import type { Value } from './types';

const maxDepth = 200;
/** Texts, brackets and commas: a value takes far more memory than its text. */
const maxTokens = 500_000;

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

/** @param what begins messages */
export function fromJson(what: string, text: string): Value {
  let count = 0;
  for (const { depth } of tokens(text)) {
    if (++count > maxTokens || depth > maxDepth) {
      throw new CheckpointError(`${what} is nested too deep or too large; save it again.`);
    }
  }
  try {
    return convert(JSON.parse(text));
  } catch {
    throw new CheckpointError(`${what} is not complete JSON, so it is damaged; copy or save it again.`);
  }
}

function convert(value: unknown): Value {
  if (Array.isArray(value)) return value.map(convert);
  if (typeof value !== 'object' || value === null) return value as Value;
  return new Map(Object.entries(value).map(([key, item]) => [key, convert(item)]));
}

/** A key that the object of a valid text has twice, at the top level; `JSON.parse` would keep only the last. */
export function duplicateKey(text: string): string | undefined {
  const seen = new Set<string>();
  for (const { depth, end, start } of tokens(text)) {
    if (depth !== 1 || text[start] !== '"' || !isFollowedByColon(text, end)) continue;
    const quoted = text.slice(start, end);
    // Escapes may spell one name in two ways.
    const name = quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}

function isFollowedByColon(text: string, at: number): boolean {
  while (' \t\n\r'.includes(text[at])) at++;
  return text[at] === ':';
}

interface Token {
  readonly start: number;
  readonly end: number;
  /** Brackets that are open. */
  readonly depth: number;
}

/** Texts, brackets and commas. */
function* tokens(text: string): Generator<Token> {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const start = at;
    switch (text[at]) {
      case '"':
        for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++;
        break;
      case '{':
      case '[':
        depth++;
        break;
      case '}':
      case ']':
        depth--;
        break;
      case ',':
        break;
      default:
        continue;
    }
    yield { start, end: at + 1, depth };
  }
}
