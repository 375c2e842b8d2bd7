import path from 'node:path';
import * as vscode from 'vscode';

/** Where a line of an editor lies in the text that is read: cells of a notebook are one text. */
export interface TextPlace {
  /** Absolute path; of the notebook for its cells. */
  readonly file: string;
  /** Lines before the document's first one. */
  readonly offset: number;
}

export const pythonSelector: vscode.DocumentSelector = [
  { language: 'python', scheme: 'file' },
  { language: 'python', scheme: 'vscode-notebook-cell' },
];

const isCell = ({ uri }: vscode.TextDocument) => uri.scheme === 'vscode-notebook-cell';

const notebookOf = (document: vscode.TextDocument) =>
  vscode.workspace.notebookDocuments.find((notebook) =>
    notebook.getCells().some((cell) => cell.document === document),
  );

const pythonCells = (notebook: vscode.NotebookDocument) =>
  notebook
    .getCells()
    .filter(
      ({ kind, document }) => kind === vscode.NotebookCellKind.Code && document.languageId === 'python',
    );

/** `%magic` and `!command` are no Python; the line keeps its place. */
const pythonText = (document: vscode.TextDocument) => document.getText().replace(/^[ \t]*[%!].*$/gm, '');

export const isPython = (document: vscode.TextDocument) =>
  vscode.languages.match(pythonSelector, document) > 0;

/** Where a document's text is, undefined for what is not read. */
export function textPlace(document: vscode.TextDocument): TextPlace | undefined {
  if (!isPython(document)) return undefined;
  if (!isCell(document)) return { file: document.uri.fsPath, offset: 0 };
  const notebook = notebookOf(document);
  if (!notebook) return undefined;
  let offset = 0;
  for (const cell of pythonCells(notebook)) {
    if (cell.document === document) return { file: notebook.uri.fsPath, offset };
    offset += cell.document.lineCount;
  }
  return undefined;
}

/** The text that holds a document, with the name it is read under. */
export function textOf(
  document: vscode.TextDocument,
): { readonly file: string; readonly text: string } | undefined {
  if (!isPython(document)) return undefined;
  if (!isCell(document)) return { file: document.uri.fsPath, text: document.getText() };
  const notebook = notebookOf(document);
  if (!notebook) return undefined;
  const text = pythonCells(notebook)
    .map((cell) => pythonText(cell.document))
    .join('\n');
  return { file: notebook.uri.fsPath, text };
}

/** Opens a file (or the cell of a notebook) with a place selected, beside a canvas and not over it. */
export async function showPlace(
  file: string,
  span: {
    readonly row: number;
    readonly column: number;
    readonly endRow: number;
    readonly endColumn: number;
  },
): Promise<void> {
  let document: vscode.TextDocument;
  let offset = 0;
  const notebook = vscode.workspace.notebookDocuments.find(({ uri }) => uri.fsPath === file);
  if (notebook) {
    let at = 0;
    const cell = pythonCells(notebook).find(({ document: each }) => {
      offset = at;
      at += each.lineCount;
      return span.row < at;
    });
    if (!cell) return;
    document = cell.document;
  } else {
    document = await vscode.workspace.openTextDocument(vscode.Uri.file(file));
  }
  const range = new vscode.Range(span.row - offset, span.column, span.endRow - offset, span.endColumn);
  if (notebook) {
    await vscode.window.showNotebookDocument(notebook, { viewColumn: columnOf(notebook.uri) });
  }
  const shown = vscode.window.visibleTextEditors.find((editor) => editor.document === document);
  const editor =
    shown ??
    (await vscode.window.showTextDocument(document, { viewColumn: columnOf(document.uri), preview: true }));
  if (!notebook)
    await vscode.window.showTextDocument(document, {
      viewColumn: editor.viewColumn ?? columnOf(document.uri),
    });
  editor.selection = new vscode.Selection(range.start, range.start);
  editor.revealRange(range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
}

/** Where the file is open already, else the first group: the canvas is beside it. */
function columnOf(uri: vscode.Uri): vscode.ViewColumn {
  for (const { viewColumn, tabs } of vscode.window.tabGroups.all) {
    const there = tabs.some(({ input }) => {
      const own =
        input instanceof vscode.TabInputText || input instanceof vscode.TabInputNotebook
          ? input.uri
          : undefined;
      return own?.toString() === uri.toString();
    });
    if (there) return viewColumn;
  }
  return vscode.ViewColumn.One;
}

/** A folder's own code: what tools install is not the person's. */
export const excluded =
  '**/{node_modules,.git,.venv,venv,env,site-packages,dist-packages,__pycache__,.tox,.mypy_cache,wandb,.ipynb_checkpoints}/**';

export const shortName = (file: string) => path.basename(file);
