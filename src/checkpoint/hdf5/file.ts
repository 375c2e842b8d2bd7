/**
 * HDF5 files as h5py and Keras write them by default: groups, attributes, contiguous and chunked
 * datasets (deflate, shuffle). Format: HDF5 File Format Specification 3.0.
 *
 * Own code instead of the C library compiled to WebAssembly (h5wasm): docs/decisions/0004-hdf5.md.
 */
import { CheckpointError } from '../../errors';
import { Cursor } from '../cursor';
import { quote } from '../source';
import type { ByteSource, Value } from '../types';
import { chunkedTensor, contiguousTensor, nowhere, type Dataset } from './dataset';
import { readDatatype, textOf, type Datatype } from './datatype';

const maxObjects = 100_000;
const maxDepth = 64;
/** Header messages, and entries of groups, in the whole file. */
const maxMessages = 500_000;
const maxEntries = 500_000;
const maxHeapBytes = 64 * 2 ** 20;
/** Continuations of one object's header. */
const maxBlocks = 1_000;
const unwritten = '<HDF5 dataset that was not written>';
export const signature = '\x89HDF\r\n\x1a\n';

/** Numbers of header messages. */
const Message = {
  dataspace: 0x01,
  linkInfo: 0x02,
  datatype: 0x03,
  link: 0x06,
  layout: 0x08,
  filters: 0x0b,
  attribute: 0x0c,
  continuation: 0x10,
  symbolTable: 0x11,
  attributeInfo: 0x15,
} as const;

interface HeaderMessage {
  readonly type: number;
  readonly data: Cursor;
  /** Its content is kept elsewhere. */
  readonly shared: boolean;
}

/**
 * All groups as Maps and datasets as tensors, by name. Attributes are entries of their group; texts
 * that are JSON (Keras's `model_config`) stay text.
 * @throws CheckpointError when the file is damaged or uses a part of HDF5 that is not read.
 */
export function readHdf5(source: ByteSource): { root: ReadonlyMap<string, Value>; warnings: string[] } {
  const file = new Hdf5File(source);
  const root = file.root();
  return { root, warnings: [...file.warnings] };
}

/** Bytes of a file at an address, with this file's widths of addresses and lengths. */
export class Hdf5File {
  readonly warnings = new Set<string>();
  private readonly widths: { readonly address: number; readonly length: number };
  private readonly rootAddress: number;
  private readonly objects = new Map<number, Value>();
  private readonly heaps = new Map<number, ReadonlyMap<number, Uint8Array>>();
  private messageCount = 0;
  private entryCount = 0;
  /** Bytes of structure read; parts of a hostile file may be referred to many times. */
  private structureBytes = 0;
  private complete = false;

  constructor(private readonly source: ByteSource) {
    const head = this.cursor(0, Math.min(source.size, 100));
    head.skip(8);
    const version = head.uint8();
    if (version > 3) head.fail(`its version ${version} is not known`);
    if (version >= 2) {
      this.widths = { address: head.uint8(), length: head.uint8() };
      head.skip(1);
    } else {
      head.skip(4);
      this.widths = { address: head.uint8(), length: head.uint8() };
      head.skip(version === 0 ? 9 : 13);
    }
    const known = [2, 4, 8];
    if (!known.includes(this.widths.address) || !known.includes(this.widths.length)) {
      head.fail('its addresses have an unknown width');
    }
    if (this.address(head) !== 0) head.fail('it does not begin at its first byte');
    head.skip((version < 2 ? 4 : 2) * this.widths.address);
    // After the addresses of other parts; in versions 0 and 1 also after the name of the root's entry.
    this.rootAddress = this.address(head);
  }

  root(): ReadonlyMap<string, Value> {
    const root = this.object(this.rootAddress, 0);
    this.complete = true;
    if (!(root instanceof Map)) throw this.unsupported('a dataset in place of its first group');
    return root as ReadonlyMap<string, Value>;
  }

  cursor(address: number, length: number): Cursor {
    const complaint = `${this.source.name} is a damaged HDF5 file`;
    if (!(address >= 0 && length >= 0 && address + length <= this.source.size)) {
      throw new CheckpointError(`${complaint}: it refers past its end; copy or save it again.`);
    }
    if (!this.complete) this.charge(length);
    return new Cursor(this.source.read(address, length), complaint);
  }

  private charge(bytes: number): void {
    this.structureBytes += bytes;
    if (this.structureBytes > 2 * this.source.size + maxHeapBytes) {
      throw this.unsupported('the same parts over and over');
    }
  }

  address(cursor: Cursor): number {
    return this.integer(cursor, this.widths.address);
  }

  length(cursor: Cursor): number {
    return this.integer(cursor, this.widths.length);
  }

  /** All ones means undefined. */
  private integer(cursor: Cursor, width: number): number {
    if (width === 2) return undefinedIf(cursor.uint16(), 0xffff);
    if (width === 4) return undefinedIf(cursor.uint32(), 0xffffffff);
    const value = BigInt.asUintN(64, cursor.int64());
    if (value === 0xffffffffffffffffn) return nowhere;
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) cursor.fail(`it has the impossible size ${value}`);
    return Number(value);
  }

  private object(address: number, depth: number): Value {
    const known = this.objects.get(address);
    if (known !== undefined) return known;
    if (depth > maxDepth) throw this.unsupported(`groups nested more than ${maxDepth} levels deep`);
    if (this.objects.size >= maxObjects) throw this.unsupported(`more than ${maxObjects} objects`);
    const messages = this.messages(address);
    if (messages.some(({ type }) => type === Message.layout)) {
      const dataset = this.dataset(messages);
      this.objects.set(address, dataset);
      return dataset;
    }
    const group = new Map<string, Value>();
    // Before its content: a group may hold itself.
    this.objects.set(address, group);
    const add = (name: string, child: number) => {
      if (++this.entryCount > maxEntries) throw this.unsupported(`more than ${maxEntries} names`);
      group.set(name, this.object(child, depth + 1));
    };
    for (const { type, data, shared } of messages) {
      if (type === Message.attribute && !shared) this.attribute(data, group);
      else if (type === Message.symbolTable) this.symbolTable(data, add);
      else if (type === Message.link) this.link(data, add);
      else if (type === Message.linkInfo) this.refuseDenseLinks(data);
      else if (type === Message.attributeInfo) this.noteDenseAttributes(data);
    }
    return group;
  }

  // Object headers

  private messages(address: number): HeaderMessage[] {
    const start = this.cursor(address, 4);
    const isNew = start.text(4) === 'OHDR';
    return isNew ? this.newMessages(address) : this.oldMessages(address);
  }

  private oldMessages(address: number): HeaderMessage[] {
    const head = this.cursor(address, 16);
    if (head.uint8() !== 1) head.fail('an object has no header');
    head.skip(7);
    const messages: HeaderMessage[] = [];
    const blocks = [{ at: address + 16, bytes: head.uint32() }];
    for (let i = 0; i < blocks.length; i++) {
      if (blocks.length > maxBlocks) head.fail('a header goes on without end');
      const block = this.cursor(blocks[i].at, blocks[i].bytes);
      while (block.left >= 8) {
        const type = block.uint16();
        const size = block.uint16();
        const shared = (block.uint8() & 2) !== 0;
        block.skip(3);
        const data = this.inner(block, size);
        if (type === Message.continuation) blocks.push({ at: this.address(data), bytes: this.length(data) });
        else messages.push({ type, data, shared });
        if (++this.messageCount > maxMessages) block.fail('a header goes on without end');
      }
    }
    return messages;
  }

  private newMessages(address: number): HeaderMessage[] {
    const head = this.cursor(address, Math.min(34, this.source.size - address));
    head.skip(5);
    const flags = head.uint8();
    if (flags & 0x20) head.skip(16);
    if (flags & 0x10) head.skip(4);
    const width = 1 << (flags & 3);
    const first =
      width === 8 ? head.uint64() : width === 4 ? head.uint32() : width === 2 ? head.uint16() : head.uint8();
    const messages: HeaderMessage[] = [];
    const blocks = [{ at: address + head.at, bytes: first }];
    for (let i = 0; i < blocks.length; i++) {
      if (blocks.length > maxBlocks) head.fail('a header goes on without end');
      const block = this.cursor(blocks[i].at, blocks[i].bytes);
      const overhead = flags & 4 ? 6 : 4;
      while (block.left >= overhead) {
        const type = block.uint8();
        const size = block.uint16();
        const shared = (block.uint8() & 2) !== 0;
        if (flags & 4) block.skip(2);
        const data = this.inner(block, size);
        if (type === Message.continuation) {
          const at = this.address(data);
          // Between its signature and its check sum.
          if (this.cursor(at, 4).text(4) !== 'OCHK') block.fail('a header goes on elsewhere');
          blocks.push({ at: at + 4, bytes: this.length(data) - 8 });
        } else messages.push({ type, data, shared });
        if (++this.messageCount > maxMessages) block.fail('a header goes on without end');
      }
    }
    return messages;
  }

  private inner(cursor: Cursor, size: number): Cursor {
    return new Cursor(cursor.take(size), `${this.source.name} is a damaged HDF5 file`);
  }

  // Groups

  private symbolTable(data: Cursor, add: (name: string, address: number) => void): void {
    const tree = this.address(data);
    const heap = this.localHeap(this.address(data));
    this.tree(tree, 0, (node) => {
      const head = this.cursor(node, 8);
      if (head.text(4) !== 'SNOD') head.fail('a group has no entries');
      head.skip(2);
      const count = head.uint16();
      const width = 2 * this.widths.address + 24;
      const entries = this.cursor(node + 8, count * width);
      for (let i = 0; i < count; i++) {
        const name = textAt(heap, this.address(entries));
        const address = this.address(entries);
        // 2 is a symbolic link; it is not followed.
        if (entries.uint32() !== 2) add(name, address);
        entries.skip(20);
      }
    });
  }

  private localHeap(address: number): Uint8Array {
    const head = this.cursor(address, 8 + 2 * this.widths.length + this.widths.address);
    if (head.text(4) !== 'HEAP') head.fail('a group has no names');
    head.skip(4);
    const size = this.length(head);
    this.length(head);
    if (size > maxHeapBytes) head.fail('a group has too many names');
    return this.cursor(this.address(head), size).bytes;
  }

  /**
   * Visits the leaves of a version 1 B-tree.
   * @param kind 0: groups (children are symbol nodes), 1: chunks
   * @param visit receives a child of a leaf and the key before it
   */
  tree(
    address: number,
    kind: 0 | 1,
    visit: (child: number, key: Cursor) => void,
    keyWidth = this.widths.length,
  ): void {
    const seen = new Set<number>();
    const pending = [address];
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      if (seen.has(node) || seen.size > maxObjects) this.cursor(0, 0).fail('an index refers to itself');
      seen.add(node);
      const head = this.cursor(node, 8 + 2 * this.widths.address);
      if (head.text(4) !== 'TREE' || head.uint8() !== kind) head.fail('an index is missing');
      const level = head.uint8();
      const count = head.uint16();
      const body = this.cursor(node + head.bytes.length, count * (keyWidth + this.widths.address));
      const children: number[] = [];
      for (let i = 0; i < count; i++) {
        const key = this.inner(body, keyWidth);
        const child = this.address(body);
        if (level === 0) visit(child, key);
        else children.push(child);
      }
      pending.push(...children.reverse());
    }
  }

  private link(data: Cursor, add: (name: string, address: number) => void): void {
    if (data.uint8() !== 1) data.fail('a link has an unknown version');
    const flags = data.uint8();
    const kind = flags & 8 ? data.uint8() : 0;
    if (flags & 4) data.skip(8);
    if (flags & 16) data.skip(1);
    const width = 1 << (flags & 3);
    const length =
      width === 8 ? data.uint64() : width === 4 ? data.uint32() : width === 2 ? data.uint16() : data.uint8();
    const name = data.text(length);
    // Symbolic and external links are not followed.
    if (kind === 0) add(name, this.address(data));
  }

  private refuseDenseLinks(data: Cursor): void {
    data.skip(1);
    if (data.uint8() & 1) data.skip(8);
    if (this.address(data) !== nowhere) throw this.unsupported('groups in the newest layout');
  }

  private noteDenseAttributes(data: Cursor): void {
    data.skip(1);
    if (data.uint8() & 1) data.skip(2);
    if (this.address(data) !== nowhere)
      this.warnings.add('Attributes in the newest layout of HDF5 were not read.');
  }

  unsupported(what: string): CheckpointError {
    return new CheckpointError(
      `${this.source.name} uses ${what}, which is not read; save it with h5py's default settings.`,
    );
  }

  // Attributes

  private attribute(data: Cursor, group: Map<string, Value>): void {
    const version = data.uint8();
    if (version < 1 || version > 3) data.fail('an attribute has an unknown version');
    const flags = data.uint8();
    const sizes = [data.uint16(), data.uint16(), data.uint16()];
    if (version === 3) data.skip(1);
    // A shared datatype; only values matter less than weights.
    if (version > 1 && flags & 3) return;
    const [name, type, space] = sizes.map((size) =>
      this.inner(data, version === 1 ? Math.ceil(size / 8) * 8 : size),
    );
    const key = textAt(name.bytes, 0);
    const datatype = readDatatype(type);
    const shape = this.dataspace(space);
    if (!datatype || !shape || group.has(key)) return;
    const value = this.attributeValue(datatype, shape, data);
    if (value !== undefined) group.set(key, value);
  }

  private attributeValue(datatype: Datatype, shape: readonly number[], data: Cursor): Value | undefined {
    const count = shape.reduce((product, size) => product * size, 1);
    if (!(count * datatype.size <= data.left)) return data.fail('an attribute ends early');
    if (datatype.kind === 'number') {
      const bytes = data.take(count * datatype.size);
      const tensor = contiguousTensor({ datatype, shape, what: 'An attribute' }, bytes.length, (at, length) =>
        bytes.subarray(at, at + length),
      );
      const values = tensor.isComplex ? [] : [...tensor.read()];
      return shape.length === 0 ? values[0] : values;
    }
    if (datatype.kind === 'other') return undefined;
    const texts = Array.from({ length: count }, () =>
      datatype.kind === 'text' ? textOf(data.take(datatype.size)) : this.heapText(data),
    );
    return shape.length === 0 ? texts[0] : texts;
  }

  /** Text of variable length, kept in a global heap. */
  private heapText(data: Cursor): string {
    const length = data.uint32();
    const address = this.address(data);
    const index = data.uint32();
    if (length === 0) return '';
    const object = this.globalHeap(address).get(index);
    if (!object || object.length < length) return data.fail('a text is missing');
    this.charge(length);
    return textOf(object.subarray(0, length));
  }

  private globalHeap(address: number): ReadonlyMap<number, Uint8Array> {
    const known = this.heaps.get(address);
    if (known) return known;
    const head = this.cursor(address, 8 + this.widths.length);
    if (head.text(4) !== 'GCOL') head.fail('a text is missing');
    head.skip(4);
    const size = this.length(head);
    const body = this.cursor(address + head.bytes.length, size - head.bytes.length);
    const objects = new Map<number, Uint8Array>();
    while (body.left >= 8 + this.widths.length) {
      const index = body.uint16();
      if (index === 0) break;
      body.skip(6);
      const length = this.length(body);
      objects.set(index, body.take(length));
      body.skip(Math.min(body.left, (8 - (length % 8)) % 8));
    }
    this.heaps.set(address, objects);
    return objects;
  }

  // Datasets

  /** Sizes; undefined for a null dataspace. */
  private dataspace(data: Cursor): number[] | undefined {
    const version = data.uint8();
    if (version !== 1 && version !== 2) data.fail('a shape has an unknown version');
    const rank = data.uint8();
    data.skip(1);
    const kind = data.uint8();
    if (version === 1) data.skip(4);
    if (version === 2 && kind === 2) return undefined;
    return Array.from({ length: rank }, () => this.length(data));
  }

  private dataset(messages: readonly HeaderMessage[]): Value {
    const find = (type: number) => messages.find((message) => message.type === type);
    const [space, type, layout, filters] = [
      find(Message.dataspace),
      find(Message.datatype),
      find(Message.layout),
      find(Message.filters),
    ];
    if (!space || !type || !layout) throw this.unsupported('a dataset without a shape or type');
    if (type.shared || layout.shared || filters?.shared) throw this.unsupported('named datatypes');
    const shape = this.dataspace(space.data);
    const datatype = readDatatype(type.data);
    if (!shape || datatype?.kind !== 'number') return '<HDF5 dataset that holds no numbers>';
    const dataset: Dataset = { datatype, shape, what: `A dataset of ${quote(this.source.name)}` };
    return this.stored(dataset, layout.data, filters?.data);
  }

  private stored(dataset: Dataset, layout: Cursor, filters: Cursor | undefined): Value {
    const version = layout.uint8();
    const kind = layout.uint8();
    if (version !== 3 && !(version === 4 && kind < 2))
      throw this.unsupported('chunks in the newest or an old layout');
    if (kind === 0) {
      const bytes = layout.take(layout.uint16());
      return contiguousTensor(dataset, bytes.length, (at, length) => bytes.subarray(at, at + length));
    }
    if (kind === 1) {
      const address = this.address(layout);
      const bytes = this.length(layout);
      // Space is only given to datasets that were written; others may be in another file.
      if (address === nowhere && !dataset.shape.includes(0)) return unwritten;
      return contiguousTensor(dataset, bytes, (at, length) => this.cursor(address + at, length).bytes);
    }
    if (kind !== 2) throw this.unsupported('virtual datasets');
    return chunkedTensor(this, dataset, layout, filters) ?? unwritten;
  }

  /** Bytes of the whole file, which no dataset's content can exceed by much. */
  get size(): number {
    return this.source.size;
  }
}

function undefinedIf(value: number, undefinedValue: number): number {
  return value === undefinedValue ? nowhere : value;
}

/** Text that ends with a zero. */
function textAt(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, Math.max(at, 0));
  return textOf(bytes.subarray(Math.max(at, 0), end < 0 ? bytes.length : end));
}
