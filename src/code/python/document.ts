import type { Edit, Parser, Tree, TreeCursor } from '@vscode/tree-sitter-wasm';
import { copyNode, Lines } from './node';
import { Reader, type Span, type Statement } from './syntax';

interface Piece {
  /** Row its statements were last placed at. */
  row: number;
  readonly spans: readonly Span[];
  readonly statements: readonly Statement[];
}

/**
 * One Python file. A new text is parsed incrementally, and only the top-level statements whose text
 * changed are read anew; the others are moved.
 */
export class PythonDocument {
  private tree: Tree | null = null;
  private text = '';
  private pieces = new Map<string, Piece[]>();
  private current: readonly Statement[] = [];
  /** Counts texts, for caches. */
  version = 0;

  constructor(
    private readonly parser: Parser,
    /** Absolute path, or any other name that is its own. */
    readonly path: string,
    text: string,
  ) {
    this.update(text);
  }

  get statements(): readonly Statement[] {
    return this.current;
  }

  get source(): string {
    return this.text;
  }

  update(text: string): void {
    if (this.tree && text === this.text) return;
    this.tree?.edit(difference(this.text, text));
    const tree = this.parser.parse(text, this.tree);
    this.tree?.delete();
    this.tree = tree;
    this.text = text;
    this.version++;
    const cursor = tree?.walk();
    this.current = cursor ? this.read(cursor) : [];
    cursor?.delete();
  }

  private read(cursor: TreeCursor): Statement[] {
    const { language } = this.parser;
    if (!language || !cursor.gotoFirstChild()) return [];
    const lines = new Lines(this.text);
    const before = this.pieces;
    const now = new Map<string, Piece[]>();
    const statements: Statement[] = [];
    do {
      if (!cursor.nodeIsNamed || cursor.nodeType === 'comment') continue;
      const { startIndex, endIndex } = cursor;
      const { row, column } = lines.point(startIndex);
      // Columns of a statement's first line count from its own.
      const text = `${column} ${this.text.slice(startIndex, endIndex)}`;
      const known = before.get(text)?.shift();
      let piece: Piece;
      if (known) {
        const moved = row - known.row;
        if (moved !== 0) {
          for (const span of known.spans) {
            span.row += moved;
            span.endRow += moved;
          }
          known.row = row;
        }
        piece = known;
      } else {
        const node = copyNode(cursor, language, lines);
        const reader = new Reader();
        // What is broken on the top level may hold whole statements.
        const read = node.type === 'ERROR' ? reader.statements(node) : reader.statement(node);
        piece = { row, spans: reader.spans, statements: read };
      }
      const same = now.get(text);
      if (same) same.push(piece);
      else now.set(text, [piece]);
      statements.push(...piece.statements);
    } while (cursor.gotoNextSibling());
    this.pieces = now;
    return statements;
  }

  dispose(): void {
    this.tree?.delete();
    this.tree = null;
  }
}

const BLOCK = 4096;

/** The one edit that turns a text into another: what lies between what both begin and end with. */
export function difference(before: string, after: string): Edit {
  const most = Math.min(before.length, after.length);
  let start = 0;
  // Blocks first: comparing strings is much faster than comparing their characters one by one.
  while (start + BLOCK <= most && before.slice(start, start + BLOCK) === after.slice(start, start + BLOCK)) {
    start += BLOCK;
  }
  while (start < most && before.charCodeAt(start) === after.charCodeAt(start)) start++;
  let end = 0;
  const tail = (text: string) => text.slice(text.length - end - BLOCK, text.length - end);
  while (end + BLOCK <= most - start && tail(before) === tail(after)) end += BLOCK;
  while (
    end < most - start &&
    before.charCodeAt(before.length - 1 - end) === after.charCodeAt(after.length - 1 - end)
  ) {
    end++;
  }
  const [oldEnd, newEnd] = [before.length - end, after.length - end];
  return {
    startIndex: start,
    oldEndIndex: oldEnd,
    newEndIndex: newEnd,
    startPosition: place(before, start),
    oldEndPosition: place(before, oldEnd),
    newEndPosition: place(after, newEnd),
  };
}

function place(text: string, index: number): { row: number; column: number } {
  let row = 0;
  let line = 0;
  for (let at = text.indexOf('\n'); at >= 0 && at < index; at = text.indexOf('\n', at + 1)) {
    row++;
    line = at + 1;
  }
  return { row, column: index - line };
}
