/** Assembles pickles, one instruction a function; the names are those of `pickletools`. */

export type Code = Uint8Array;

export const op = (...bytes: number[]): Code => Uint8Array.from(bytes);
export const ascii = (text: string): Code => Buffer.from(text, 'latin1');
export const program = (...codes: Code[]): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.concat(codes));

export const proto = (version: number): Code => op(0x80, version);
export const stop = ascii('.');
export const mark = ascii('(');
export const none = ascii('N');
export const emptyList = ascii(']');
export const emptyDict = ascii('}');
export const emptyTuple = ascii(')');
export const tuple = ascii('t');
export const append = ascii('a');
export const setItem = ascii('s');
export const setItems = ascii('u');
export const reduce = ascii('R');
export const build = ascii('b');
export const newObject = op(0x81);
export const newObjectEx = op(0x92);
export const stackGlobal = op(0x93);
export const memoize = op(0x94);
export const persistentId = ascii('Q');

export const global = (module: string, name: string): Code => ascii(`c${module}\n${name}\n`);
export const text = (value: string): Code => {
  const bytes = Buffer.from(value);
  const head = Buffer.alloc(5);
  head[0] = 0x58;
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
};
/** Any integer, as LONG1. */
export const integer = (value: bigint | number): Code => {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64LE(BigInt.asIntN(64, BigInt(value)), 0);
  bytes.writeBigInt64LE(BigInt(value) >> 64n, 8);
  return Buffer.concat([op(0x8a, 16), bytes]);
};
export const put = (key: number): Code => op(0x71, key);
export const get = (key: number): Code => op(0x68, key);
export const group = (...items: Code[]): Code => Buffer.concat([mark, ...items, tuple]);
export const repeat = (code: Code, count: number): Code => Buffer.concat(new Array<Code>(count).fill(code));

/** A tensor of PyTorch: `_rebuild_tensor_v2(storage, offset, shape, stride, False, OrderedDict())`. */
export function tensor(options: {
  storage?: string;
  key?: string;
  elements?: bigint | number;
  offset?: bigint | number;
  shape: readonly (bigint | number)[];
  strides: readonly (bigint | number)[];
}): Code {
  const { storage = 'FloatStorage', key = '0', elements = 4, offset = 0, shape, strides } = options;
  const id = group(text('storage'), global('torch', storage), text(key), text('cpu'), integer(elements));
  return Buffer.concat([
    global('torch._utils', '_rebuild_tensor_v2'),
    group(
      Buffer.concat([id, persistentId]),
      integer(offset),
      group(...shape.map(integer)),
      group(...strides.map(integer)),
      op(0x89),
      Buffer.concat([global('collections', 'OrderedDict'), emptyTuple, reduce]),
    ),
    reduce,
  ]);
}
