import type { Language, TreeCursor } from '@vscode/tree-sitter-wasm';

export interface Point {
  readonly row: number;
  readonly column: number;
}

/** Text of a file with the places of its lines. */
export class Lines {
  private readonly starts: number[] = [0];

  constructor(readonly text: string) {
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.starts.push(at + 1);
  }

  /** @param index UTF-16 units from the start of the text */
  point(index: number): Point {
    let [low, high] = [0, this.starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= index) low = middle;
      else high = middle - 1;
    }
    return { row: low, column: index - this.starts[low] };
  }
}

/**
 * A node of the syntax tree, copied out of WebAssembly in one walk: asking tree-sitter's own nodes for
 * their children and fields takes ten times as long (measured on a file of 4,800 lines).
 */
export class SyntaxNode {
  readonly children: SyntaxNode[] = [];

  constructor(
    private readonly lines: Lines,
    readonly type: string,
    readonly isNamed: boolean,
    private readonly field: string | null,
    readonly startIndex: number,
    readonly endIndex: number,
  ) {}

  get text(): string {
    return this.lines.text.slice(this.startIndex, this.endIndex);
  }

  get startPosition(): Point {
    return this.lines.point(this.startIndex);
  }

  get endPosition(): Point {
    return this.lines.point(this.endIndex);
  }

  get namedChildren(): SyntaxNode[] {
    return this.children.filter(({ isNamed, type }) => isNamed && type !== 'comment');
  }

  childForFieldName(field: string): SyntaxNode | null {
    return this.children.find((child) => child.field === field) ?? null;
  }

  childrenForFieldName(field: string): SyntaxNode[] {
    return this.children.filter((child) => child.field === field);
  }
}

/** Deeper than this, code was not written by people. */
const MAX_DEPTH = 1000;

/** Copies the node under the cursor with everything below it. */
export function copyNode(cursor: TreeCursor, language: Language, lines: Lines): SyntaxNode {
  const copy = (depth: number): SyntaxNode => {
    const fieldId = cursor.currentFieldId;
    const node = new SyntaxNode(
      lines,
      language.types[cursor.nodeTypeId] ?? 'ERROR',
      cursor.nodeIsNamed,
      fieldId ? (language.fields[fieldId] ?? null) : null,
      cursor.startIndex,
      cursor.endIndex,
    );
    if (depth < MAX_DEPTH && cursor.gotoFirstChild()) {
      do node.children.push(copy(depth + 1));
      while (cursor.gotoNextSibling());
      cursor.gotoParent();
    }
    return node;
  };
  return copy(0);
}
