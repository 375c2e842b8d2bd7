import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { pythonParser } from '../../../src/code/python/grammar';
import { PythonDocument } from '../../../src/code/python/document';

const parser = await pythonParser();
const read = (text: string) => new PythonDocument(parser, 'a.py', text).statements;

const SOURCE = `import torch
from . import layers as l, util
class A(nn.Module):
    def __init__(self, width: int = 64, *rest, name="ä𝄞", **options):
        super().__init__()
        self.net = nn.Sequential(*[nn.Linear(width, 2 * width) for _ in range(3) if width > 1])
        for i, x in enumerate(rest):
            self.layers.append(x)
        if width and not name: a, b = 1, -2.5e3
        elif name == 'x': return
        else: c = f"layer{i}_{name:>3}"
@decorated
def build(kind): return A() if kind else None
x = 0x10
`;

describe('a Python file', () => {
  it('gives names, arguments and places', () => {
    const [, from, network, build, x] = read(SOURCE);
    expect(from).toMatchObject({
      kind: 'import',
      level: 1,
      module: '',
      names: [
        { name: 'layers', as: 'l' },
        { name: 'util', as: 'util' },
      ],
    });
    if (network.kind !== 'class') throw new Error(network.kind);
    const [init] = network.body;
    if (init.kind !== 'function') throw new Error(init.kind);
    expect(init.parameters.map(({ name, stars }) => [name, stars])).toEqual([
      ['self', 0],
      ['width', 0],
      ['rest', 1],
      ['name', 0],
      ['options', 2],
    ]);
    expect(init.body[1]).toMatchObject({
      kind: 'assign',
      span: { row: 5, column: 8 },
      value: { kind: 'call', args: [{ stars: 1, value: { kind: 'comprehension' } }] },
    });
    // Columns are UTF-16 units, as in VS Code.
    expect(init.parameters[3].fallback).toMatchObject({ value: 'ä𝄞' });
    expect(init.body[3]).toMatchObject({
      kind: 'if',
      body: [{ value: { items: [{ value: 1 }, { operator: '-', operand: { value: 2500 } }] } }],
      otherwise: [
        { kind: 'if', otherwise: [{ value: { parts: ['layer', { id: 'i' }, '_', { id: 'name' }] } }] },
      ],
    });
    expect(build).toMatchObject({ kind: 'function', name: 'build', decorators: [{ id: 'decorated' }] });
    expect(x).toMatchObject({ kind: 'assign', value: { value: 16 } });
  });

  it('is the same after it was broken and repaired as when read anew', () => {
    const pieces = [
      '\n',
      '    ',
      'x = 1\n',
      'class B(A): pass\n',
      '"',
      '(',
      '# é\n',
      'def f(a):\n    return a\n',
      '',
    ];
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(SOURCE.length), fc.nat(40), fc.constantFrom(...pieces)), {
          minLength: 1,
          maxLength: 6,
        }),
        (edits) => {
          const document = new PythonDocument(parser, 'a.py', SOURCE);
          let text = SOURCE;
          for (const [at, length, piece] of edits) {
            text = text.slice(0, at) + piece + text.slice(at + length);
            document.update(text);
          }
          const repaired = `${'# note\n'.repeat(edits.length)}${SOURCE}${edits[0][2] === '\n' ? '\n\ny = 2' : ''}`;
          document.update(repaired);
          expect(document.statements).toEqual(read(repaired));
          document.dispose();
        },
      ),
      { numRuns: 40 },
    );
  });

  it('survives what is no Python', () => {
    for (const text of [
      '',
      '\0',
      '((((',
      `x = ${'('.repeat(5000)}`,
      `x = ${'-'.repeat(5000)}1`,
      'class :\n  def',
    ]) {
      expect(Array.isArray(read(text))).toBe(true);
    }
  });
});
