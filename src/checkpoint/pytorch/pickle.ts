/**
 * Reads a Python pickle (protocols 0–5) as data. A pickle is a program for a stack machine that may
 * name any Python function; here a name is only text. The names of an allow-list have a data reading
 * (`Constructors`); every other one becomes an `Opaque`. Nothing is imported, called or looked up on
 * a JavaScript object. Opcodes: CPython's `Lib/pickletools.py`.
 */
import { CheckpointError } from '../../errors';
import { Opaque, Tensor, type Value } from '../types';

const maxOpcodes = 20_000_000;
const maxStack = 1_000_000;
const maxMemo = 1_000_000;
/** Lists, dictionaries, tuples, sets and objects, and one more for so many bytes: each takes far more memory. */
const maxObjects = 300_000;
const bytesAnObject = 100;
const maxNesting = 1_000;
const maxTextBytes = 256 * 2 ** 20;
const maxLineBytes = 2 ** 20;
/** What constructors may copy, in elements and characters, beyond four times the pickle's bytes. */
const maxCopied = 2 ** 24;
/** Integers of up to 8 × this many bits. */
const maxIntegerBytes = 1024;

/**
 * Something that is not yet plain data: a class named by GLOBAL, or an object that BUILD will fill.
 * When the pickle ends, `value` replaces it everywhere.
 */
export abstract class Pending {
  build(_state: Item): void {}
  abstract value(): Item;
}

/** A dictionary with attributes (argparse.Namespace, EasyDict): what BUILD attaches are entries. */
export class Namespace extends Map<string, Item> {}

/** A class or function that GLOBAL named. */
export class Global extends Pending {
  constructor(
    readonly module: string,
    readonly name: string,
    readonly construct: Construct | undefined,
  ) {
    super();
  }

  override value(): Item {
    return new Opaque(this.module, this.name);
  }
}

/** A value while the pickle is read: containers may still change, and hold what is pending. */
export type Item =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Tensor
  | Opaque
  | Pending
  | Item[]
  | Map<string, Item>;

/** What an allowed name does with its arguments: makes data. Returning undefined makes an `Opaque` instead. */
export type Construct = (args: readonly Item[]) => Item | undefined;

/** The allow-list. The key is `module name`, e.g. `collections OrderedDict`. */
export interface Constructors {
  find(module: string, name: string): Construct | undefined;
  /** A name that is known to be harmless without being constructed, such as `torch float32`. */
  isKnown(module: string, name: string): boolean;
  /** Resolves a persistent id; absent where the format has none. */
  persistent?(id: Item): Item;
}

export interface Unpickled {
  readonly value: Value;
  /** Position after STOP. */
  readonly end: number;
}

/** Opaque classes seen, as `module.name`; at most this many are listed. */
const maxOpaqueNames = 100;

/**
 * Reads one pickle that starts at `start`.
 * @param opaque receives the names of classes that are not on the allow-list.
 * @throws CheckpointError for anything that CPython's unpickler would refuse, and beyond the limits.
 */
export function unpickle(
  bytes: Uint8Array<ArrayBuffer>,
  constructors: Constructors,
  opaque: Set<string>,
  start = 0,
): Unpickled {
  const { item, end } = unpickleItem(bytes, constructors, opaque, start);
  return { value: settle(item), end };
}

/** As `unpickle`, but what is pending stays so. */
export function unpickleItem(
  bytes: Uint8Array<ArrayBuffer>,
  constructors: Constructors,
  opaque: Set<string>,
  start: number,
): { item: Item; end: number } {
  const machine = new Machine(bytes, constructors, opaque, start);
  return { item: machine.run(), end: machine.at };
}

/** A pickle that goes on behind the bytes at hand. */
export class PickleEndError extends CheckpointError {}

class Machine {
  private readonly view: DataView;
  private readonly stack: Item[] = [];
  /** Stack heights at which MARK was met. */
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, Item>();
  private objects = 0;
  private copied = 0;

  constructor(
    private readonly bytes: Uint8Array<ArrayBuffer>,
    private readonly constructors: Constructors,
    private readonly opaque: Set<string>,
    public at: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): Item {
    const objects = maxObjects + Math.floor(this.bytes.length / bytesAnObject);
    for (let count = 0; count < maxOpcodes; count++) {
      const code = this.byte();
      if (code === 0x2e /* STOP */) return this.result();
      this.step(code);
      if (this.stack.length > maxStack) this.fail(`its stack grows beyond ${maxStack} values`);
      if (this.memo.size > maxMemo) this.fail(`it remembers more than ${maxMemo} values`);
      if (this.objects > objects) this.fail(`it makes more than ${objects} objects`);
    }
    return this.fail(`it has more than ${maxOpcodes} instructions`);
  }

  /** Writers leave one value. More of them mean a file that was cut where a byte looks like STOP. */
  private result(): Item {
    const item = this.pop();
    if (this.stack.length > 0 || this.marks.length > 0) this.fail('it stops before it is complete');
    return item;
  }

  private step(code: number): void {
    switch (code) {
      // Constants
      case 0x4e: // NONE
        return this.push(null);
      case 0x88: // NEWTRUE
        return this.push(true);
      case 0x89: // NEWFALSE
        return this.push(false);
      case 0x49: // INT
        return this.push(this.textInteger(this.line()));
      case 0x4c: // LONG
        return this.push(this.textInteger(this.line().replace(/L$/, '')));
      case 0x4b: // BININT1
        return this.push(this.byte());
      case 0x4d: // BININT2
        return this.push(this.view.getUint16(this.take(2), true));
      case 0x4a: // BININT
        return this.push(this.view.getInt32(this.take(4), true));
      case 0x8a: // LONG1
        return this.push(this.longInteger(this.byte()));
      case 0x8b: // LONG4
        return this.push(this.longInteger(this.uint32()));
      case 0x46: // FLOAT
        return this.push(this.textFloat(this.line()));
      case 0x47: // BINFLOAT
        return this.push(this.view.getFloat64(this.take(8), false));

      // Text and bytes
      case 0x53: // STRING
        return this.push(this.quotedText(this.line()));
      case 0x54: // BINSTRING
        return this.push(this.text(this.uint32(), 'latin1'));
      case 0x55: // SHORT_BINSTRING
        return this.push(this.text(this.byte(), 'latin1'));
      case 0x56: // UNICODE
        return this.push(unescapeUnicode(this.line('latin1')));
      case 0x58: // BINUNICODE
        return this.push(this.text(this.uint32(), 'utf8'));
      case 0x8c: // SHORT_BINUNICODE
        return this.push(this.text(this.byte(), 'utf8'));
      case 0x8d: // BINUNICODE8
        return this.push(this.text(this.uint64(), 'utf8'));
      case 0x42: // BINBYTES
        return this.push(this.raw(this.uint32()));
      case 0x43: // SHORT_BINBYTES
        return this.push(this.raw(this.byte()));
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.push(this.raw(this.uint64()));

      // Containers
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
      case 0x8f: // EMPTY_SET
        return this.make([]);
      case 0x6c: // LIST
      case 0x74: // TUPLE
      case 0x91: // FROZENSET
        return this.make(this.popMark());
      case 0x85: // TUPLE1
        return this.make(this.popMany(1));
      case 0x86: // TUPLE2
        return this.make(this.popMany(2));
      case 0x87: // TUPLE3
        return this.make(this.popMany(3));
      case 0x7d: // EMPTY_DICT
        return this.make(new Map());
      case 0x64: // DICT
        return this.dict();
      case 0x61: // APPEND
        return this.append([this.pop()]);
      case 0x65: // APPENDS
      case 0x90: // ADDITEMS
        return this.append(this.popMark());
      case 0x73: // SETITEM
        return this.setItems(this.popMany(2));
      case 0x75: // SETITEMS
        return this.setItems(this.popMark());

      // Stack and memo
      case 0x28: // MARK
        this.marks.push(this.stack.length);
        if (this.marks.length > maxStack) this.fail(`its stack grows beyond ${maxStack} values`);
        return;
      case 0x30: // POP
        if (this.stack.length === this.floor && this.marks.length > 0) this.marks.pop();
        else this.pop();
        return;
      case 0x31: // POP_MARK
        this.popMark();
        return;
      case 0x32: // DUP
        return this.push(this.top());
      case 0x67: // GET
        return this.recall(this.memoKey(this.line()));
      case 0x68: // BINGET
        return this.recall(this.byte());
      case 0x6a: // LONG_BINGET
        return this.recall(this.uint32());
      case 0x70: // PUT
        this.memo.set(this.memoKey(this.line()), this.top());
        return;
      case 0x71: // BINPUT
        this.memo.set(this.byte(), this.top());
        return;
      case 0x72: // LONG_BINPUT
        this.memo.set(this.uint32(), this.top());
        return;
      case 0x94: // MEMOIZE
        this.memo.set(this.memo.size, this.top());
        return;

      // Names and objects
      case 0x63: // GLOBAL
        return this.make(this.global(this.line(), this.line()));
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = this.popMany(2);
        if (typeof module !== 'string' || typeof name !== 'string')
          return this.fail('it names a class that is not text');
        return this.make(this.global(module, name));
      }
      case 0x69: {
        // INST
        const callable = this.global(this.line(), this.line());
        return this.make(this.call(callable, this.popMark()));
      }
      case 0x6f: {
        // OBJ
        const [callable, ...args] = this.popMark();
        return this.make(this.call(callable, args));
      }
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const [callable, args] = this.popMany(2);
        return this.make(this.call(callable, args));
      }
      case 0x92: {
        // NEWOBJ_EX
        const [callable, args, named] = this.popMany(3);
        const hasNames = named instanceof Map && named.size > 0;
        this.charge(args);
        return this.make(this.call(callable, hasNames && Array.isArray(args) ? [...args, named] : args));
      }
      case 0x62: // BUILD
        return this.build(this.pop());
      case 0x50: // PERSID
        return this.make(this.persistent(this.line()));
      case 0x51: // BINPERSID
        return this.make(this.persistent(this.pop()));
      case 0x82: // EXT1
        return this.make(this.global('copyreg', `extension ${this.byte()}`));
      case 0x83: // EXT2
        return this.make(this.global('copyreg', `extension ${this.view.getUint16(this.take(2), true)}`));
      case 0x84: // EXT4
        return this.make(this.global('copyreg', `extension ${this.view.getInt32(this.take(4), true)}`));

      // Framing
      case 0x80: {
        // PROTO
        const protocol = this.byte();
        if (protocol > 5) this.fail(`it uses protocol ${protocol}, and 5 is the newest known`);
        return;
      }
      case 0x95: // FRAME
        if (this.uint64() > this.bytes.length - this.at) this.endsEarly();
        return;
      case 0x97: // NEXT_BUFFER
      case 0x98: // READONLY_BUFFER
        return this.fail('its data was kept outside the file');
      default:
        return this.fail(`it has the unknown instruction 0x${code.toString(16)}`);
    }
  }

  // Operations

  private dict(): void {
    const pairs = this.popMark();
    this.make(new Map());
    this.assign(this.top(), pairs);
  }

  private setItems(pairs: readonly Item[]): void {
    this.assign(this.top(), pairs);
  }

  private assign(target: Item, pairs: readonly Item[]): void {
    if (pairs.length % 2 !== 0) this.fail('it sets an entry without a value');
    let map = target;
    if (target instanceof Opaque && (target.state === null || target.state instanceof Map)) {
      // An unknown kind of dictionary keeps its entries as state.
      target.state ??= new Map();
      map = target.state as Item;
    }
    if (!(map instanceof Map)) return this.fail('it sets an entry of something that has none');
    for (let i = 0; i < pairs.length; i += 2) map.set(keyText(pairs[i]), pairs[i + 1]);
  }

  private append(items: readonly Item[]): void {
    const target = this.top();
    let list = target;
    if (target instanceof Opaque && (target.state === null || Array.isArray(target.state))) {
      target.state ??= [];
      list = target.state as Item;
    }
    if (!Array.isArray(list)) return this.fail('it appends to something that is no list');
    for (const item of items) list.push(item);
  }

  private call(callable: Item, args: Item): Item {
    if (!Array.isArray(args)) return this.fail('it calls a class with arguments that are no tuple');
    if (callable instanceof Global) {
      if (callable.construct || callable.module.startsWith('copy')) this.charge(args);
      const forwarded = forwardedClass(callable, args);
      if (forwarded) return this.call(forwarded.callable, forwarded.args);
      const made = callable.construct?.(args);
      if (made !== undefined) return made;
      this.note(callable.module, callable.name);
      return new Opaque(callable.module, callable.name, args as Value[]);
    }
    // The result of a call that was not made, used as a function.
    if (callable instanceof Opaque)
      return new Opaque(callable.module, `${callable.name}()`.slice(0, 200), args as Value[]);
    return this.fail('it calls something that is no class');
  }

  private build(state: Item): void {
    const target = this.top();
    this.charge(state);
    if (target instanceof Pending) target.build(state);
    else if (target instanceof Opaque) target.state = merged(target.state as Item, state) as Value;
    else if (target instanceof Namespace) {
      for (const part of Array.isArray(state) ? state : [state]) {
        if (part instanceof Map) for (const [key, value] of part) target.set(key, value);
      }
    } else if (!(target instanceof Map || Array.isArray(target) || target instanceof Tensor)) {
      this.fail('it attaches a state to something that has none');
    }
    // Attributes of a dictionary or tensor, such as a state dict's `_metadata`, are not its content.
  }

  /**
   * Constructors copy their arguments. A pickle that recalls one large value for many of them would
   * take memory and time that its size does not justify.
   */
  private charge(args: Item): void {
    this.copied += weight(args);
    if (this.copied > 4 * this.bytes.length + maxCopied) {
      this.fail('it copies the same values over and over');
    }
  }

  private global(module: string, name: string): Global {
    const construct = this.constructors.find(module, name);
    if (!construct && !this.constructors.isKnown(module, name)) this.note(module, name);
    return new Global(module, name, construct);
  }

  private persistent(id: Item): Item {
    if (!this.constructors.persistent) return this.fail('it refers to data outside the file');
    return this.constructors.persistent(id);
  }

  private note(module: string, name: string): void {
    if (this.constructors.isKnown(module, name)) return;
    if (this.opaque.size < maxOpaqueNames) this.opaque.add(`${module}.${name}`.slice(0, 200));
  }

  // Stack and memo

  private push(item: Item): void {
    this.stack.push(item);
  }

  /** Pushes a new object, which counts. */
  private make(item: Item): void {
    this.objects++;
    this.stack.push(item);
  }

  /** Height below which nothing may be popped: the last mark. */
  private get floor(): number {
    return this.marks.length > 0 ? this.marks[this.marks.length - 1] : 0;
  }

  private pop(): Item {
    if (this.stack.length <= this.floor) return this.underflow();
    return this.stack.pop()!;
  }

  private popMany(count: number): Item[] {
    if (this.stack.length - count < this.floor) return this.underflow();
    return this.stack.splice(this.stack.length - count);
  }

  private popMark(): Item[] {
    const mark = this.marks.pop();
    if (mark === undefined) return this.fail('it closes a group that was not opened');
    return this.stack.splice(mark);
  }

  private top(): Item {
    if (this.stack.length <= this.floor) return this.underflow();
    return this.stack[this.stack.length - 1];
  }

  private underflow(): never {
    return this.fail('it takes a value from an empty stack');
  }

  private recall(key: number): void {
    const item = this.memo.get(key);
    if (item === undefined) this.fail('it recalls a value that was not stored');
    else this.push(item);
  }

  private memoKey(line: string): number {
    if (!/^\d{1,10}$/.test(line)) this.fail('it recalls a value that was not stored');
    return Number(line);
  }

  // Arguments

  /** Position of the next `length` bytes, which are consumed. */
  private take(length: number): number {
    if (length > this.bytes.length - this.at) this.endsEarly();
    const start = this.at;
    this.at += length;
    return start;
  }

  private byte(): number {
    return this.bytes[this.take(1)];
  }

  private uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  private uint64(): number {
    const length = this.view.getBigUint64(this.take(8), true);
    if (length > BigInt(this.bytes.length)) this.endsEarly();
    return Number(length);
  }

  private raw(length: number): Uint8Array {
    const start = this.take(length);
    return this.bytes.subarray(start, start + length);
  }

  private text(length: number, encoding: 'utf8' | 'latin1'): string {
    if (length > maxTextBytes)
      this.fail(`it has a text of ${length} bytes, and ${maxTextBytes} is the limit`);
    const { buffer, byteOffset } = this.raw(length);
    return Buffer.from(buffer, byteOffset, length).toString(encoding);
  }

  /** Text up to a newline, which is consumed. */
  private line(encoding: 'utf8' | 'latin1' = 'utf8'): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) return this.endsEarly();
    if (end - this.at > maxLineBytes) return this.fail(`it has a line of more than ${maxLineBytes} bytes`);
    const text = this.text(end - this.at, encoding);
    this.at = end + 1;
    return text.endsWith('\r') ? text.slice(0, -1) : text;
  }

  private textInteger(text: string): boolean | number | bigint {
    if (text === '00') return false;
    if (text === '01') return true;
    if (!/^[+-]?\d+$/.test(text)) return this.fail('it has a malformed number');
    if (text.length > 2 * maxIntegerBytes) return this.fail(`it has an integer of ${text.length} digits`);
    return narrow(BigInt(text.replace('+', '')));
  }

  private longInteger(length: number): number | bigint {
    if (length > maxIntegerBytes) return this.fail(`it has an integer of ${length} bytes`);
    const bytes = this.raw(length);
    if (length === 0) return 0;
    const hex = Buffer.from(bytes).reverse().toString('hex');
    return narrow(BigInt.asIntN(8 * length, BigInt(`0x${hex}`)));
  }

  private textFloat(text: string): number {
    const special: Record<string, number> = { inf: Infinity, '-inf': -Infinity, nan: NaN, '-nan': NaN };
    if (Object.hasOwn(special, text)) return special[text];
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return this.fail('it has a malformed number');
    return Number(text);
  }

  /** Python 2's `repr` of a byte string. */
  private quotedText(line: string): string {
    const quoteMark = line[0];
    if (line.length < 2 || (quoteMark !== "'" && quoteMark !== '"') || !line.endsWith(quoteMark)) {
      return this.fail('it has a text without quotes');
    }
    const escapes: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\', "'": "'", '"': '"' };
    return line
      .slice(1, -1)
      .replace(/\\(?:x([0-9a-fA-F]{2})|([nrt\\'"]))/g, (_all, hex?: string, letter?: string) =>
        hex !== undefined ? String.fromCharCode(parseInt(hex, 16)) : escapes[letter!],
      );
  }

  private endsEarly(): never {
    throw new PickleEndError(this.message('it ends early'));
  }

  private fail(what: string): never {
    throw new CheckpointError(this.message(what));
  }

  private message(what: string): string {
    return `The pickle inside the file is damaged or hostile: ${what} (byte ${this.at}); save the checkpoint again.`;
  }
}

/**
 * `copyreg` makes objects of the class given as its first argument: `_reconstructor(cls, base, state)`,
 * `__newobj__(cls, *args)`, `__newobj_ex__(cls, args, kwargs)`.
 */
function forwardedClass(
  callable: Global,
  args: readonly Item[],
): { callable: Global; args: Item } | undefined {
  if (callable.module !== 'copyreg' && callable.module !== 'copy_reg') return undefined;
  const [first, second, third] = args;
  if (!(first instanceof Global)) return undefined;
  // A chain `__newobj__(__newobj__, …)` would recurse; no writer makes one.
  if (first.module === callable.module) return undefined;
  switch (callable.name) {
    case '_reconstructor':
      return { callable: first, args: third === null || third === undefined ? [] : [third] };
    case '__newobj__':
      return { callable: first, args: args.slice(1) };
    case '__newobj_ex__':
      return { callable: first, args: second };
    default:
      return undefined;
  }
}

/** Entries and attributes of an unknown kind of dictionary are kept together. */
function merged(before: Item, state: Item): Item {
  if (!(before instanceof Map) || !(state instanceof Map)) return state;
  return new Map([...state, ...before]);
}

/** Elements and characters of a value and of what it holds, two levels deep. */
function weight(item: Item, depth = 0): number {
  if (typeof item === 'string' || item instanceof Uint8Array) return item.length;
  if (item instanceof Map) return item.size;
  if (!Array.isArray(item)) return 0;
  return depth === 2
    ? item.length
    : item.reduce<number>((sum, part) => sum + weight(part, depth + 1), item.length);
}

/** Bytes, which Python 2 and protocols below 3 write as latin-1 text. */
export function asBytes(item: Item | undefined): Uint8Array<ArrayBuffer> {
  if (item instanceof Uint8Array) return item as Uint8Array<ArrayBuffer>;
  return typeof item === 'string' ? new Uint8Array(Buffer.from(item, 'latin1')) : new Uint8Array(0);
}

/** JavaScript has exact integers up to 2⁵³; larger ones stay bigint. */
function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function unescapeUnicode(line: string): string {
  return line.replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (all, short?: string, long?: string) => {
    const code = parseInt(short ?? long!, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : all;
  });
}

/** A dictionary key as text, the way Python prints it; long tuples are shortened. */
export function keyText(key: Item, depth = 0): string {
  if (typeof key === 'string') return key;
  if (key === null) return 'None';
  if (typeof key === 'boolean') return key ? 'True' : 'False';
  if (typeof key === 'number' || typeof key === 'bigint') return String(key);
  if (Array.isArray(key) && depth < 3) {
    const parts = key.slice(0, 8).map((part) => keyText(part, depth + 1));
    return `(${parts.join(', ')}${key.length > 8 ? ', …' : ''})`;
  }
  if (key instanceof Opaque || key instanceof Global) return `<${key.module}.${key.name}>`;
  if (key instanceof Pending && depth < 3) return keyText(key.value(), depth + 1);
  return '<object>';
}

/**
 * Replaces everything pending by its value, in place, breadth first (so that no nesting overflows
 * the stack), and checks the nesting.
 */
function settle(root: Item): Value {
  const holder: Item[] = [root];
  const seen = new Set<object>([holder]);
  let level: (Item[] | Map<string, Item> | Opaque)[] = [holder];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxNesting) {
      throw new CheckpointError(
        `The pickle inside the file is nested more than ${maxNesting} levels deep; save only the state dict.`,
      );
    }
    const next: typeof level = [];
    const visit = (item: Item): Item => {
      const value = resolve(item);
      const inner = value instanceof Opaque || value instanceof Map || Array.isArray(value);
      if (inner && !seen.has(value)) {
        seen.add(value);
        next.push(value);
      }
      return value;
    };
    for (const container of level) {
      if (container instanceof Opaque) {
        visit(container.args as Item[]);
        container.state = visit(container.state as Item) as Value;
      } else if (container instanceof Map) {
        for (const [key, item] of container) {
          const value = visit(item);
          if (value !== item) container.set(key, value);
        }
      } else {
        for (let i = 0; i < container.length; i++) container[i] = visit(container[i]);
      }
    }
    level = next;
  }
  return holder[0] as Value;
}

function resolve(item: Item): Item {
  // A node that wraps itself has no value.
  for (let i = 0; item instanceof Pending; i++) item = i < 100 ? item.value() : null;
  return item;
}
