/** tree-sitter and its Python grammar, compiled to WebAssembly. Loaded once a thread, on first use. */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Language, Parser } from '@vscode/tree-sitter-wasm';

/** Beside the bundle when packaged; in the package when run from sources. */
function assets(): string {
  const beside = path.join(__dirname, 'tree-sitter.wasm');
  if (fs.existsSync(beside)) return __dirname;
  return path.dirname(createRequire(path.join(__dirname, 'module')).resolve('@vscode/tree-sitter-wasm'));
}

let language: Promise<Language> | undefined;

/** @returns a parser for Python; the caller deletes it */
export async function pythonParser(): Promise<Parser> {
  language ??= (async () => {
    const folder = assets();
    await Parser.init({ locateFile: (file: string) => path.join(folder, file) });
    // Bytes, not a path: tree-sitter would ask Node for a module that bundles do not have.
    return Language.load(fs.readFileSync(path.join(folder, 'tree-sitter-python.wasm')));
  })();
  // A failure is tried again: files may have been locked by an update.
  language.catch(() => (language = undefined));
  const python = await language;
  const parser = new Parser();
  parser.setLanguage(python);
  return parser;
}
