/**
 * Python's syntax as plain objects: only what the index and the evaluator read. Positions count rows and
 * UTF-16 units from zero, as VS Code does.
 */
import type { SyntaxNode } from './node';

/** First and last place of a piece of code; mutable, because code above it may grow. */
export interface Span {
  row: number;
  readonly column: number;
  endRow: number;
  readonly endColumn: number;
}

export type Expression =
  | { readonly kind: 'name'; readonly span: Span; readonly id: string }
  | { readonly kind: 'literal'; readonly span: Span; readonly value: number | boolean | null | string }
  /** An f-string, or strings side by side: text and expressions in turn. */
  | { readonly kind: 'format'; readonly span: Span; readonly parts: readonly (string | Expression)[] }
  | {
      readonly kind: 'attribute';
      readonly span: Span;
      readonly object: Expression;
      readonly name: string;
      readonly nameSpan: Span;
    }
  | {
      readonly kind: 'call';
      readonly span: Span;
      readonly callee: Expression;
      readonly args: readonly Argument[];
    }
  | {
      readonly kind: 'subscript';
      readonly span: Span;
      readonly object: Expression;
      readonly index: readonly Expression[];
    }
  | {
      readonly kind: 'slice';
      readonly span: Span;
      readonly parts: readonly (Expression | undefined)[];
    }
  | {
      readonly kind: 'binary';
      readonly span: Span;
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: 'unary'; readonly span: Span; readonly operator: string; readonly operand: Expression }
  /** `a < b <= c`: operands around operators. */
  | {
      readonly kind: 'compare';
      readonly span: Span;
      readonly operands: readonly Expression[];
      readonly operators: readonly string[];
    }
  | {
      readonly kind: 'condition';
      readonly span: Span;
      readonly test: Expression;
      readonly then: Expression;
      readonly otherwise: Expression;
    }
  | {
      readonly kind: 'sequence';
      readonly span: Span;
      readonly form: 'list' | 'tuple' | 'set';
      readonly items: readonly Expression[];
    }
  /** A pair without key is `**value`. */
  | {
      readonly kind: 'dictionary';
      readonly span: Span;
      readonly pairs: readonly (readonly [Expression | undefined, Expression])[];
    }
  | {
      readonly kind: 'comprehension';
      readonly span: Span;
      readonly element: Expression;
      /** Of a dictionary: `element` is the key. */
      readonly value?: Expression;
      readonly clauses: readonly Clause[];
    }
  | { readonly kind: 'starred'; readonly span: Span; readonly value: Expression }
  | {
      readonly kind: 'lambda';
      readonly span: Span;
      readonly parameters: readonly Parameter[];
      readonly body: Expression;
    }
  | { readonly kind: 'other'; readonly span: Span; readonly children: readonly Expression[] };

export type Clause =
  | { readonly kind: 'for'; readonly target: Expression; readonly iterable: Expression }
  | { readonly kind: 'if'; readonly test: Expression };

export interface Argument {
  /** Undefined when given by position. */
  readonly name?: string;
  readonly value: Expression;
  /** Asterisks in front. */
  readonly stars: 0 | 1 | 2;
}

export interface Parameter {
  readonly name: string;
  readonly stars: 0 | 1 | 2;
  readonly annotation?: Expression;
  readonly fallback?: Expression;
}

export interface FunctionDefinition {
  readonly kind: 'function';
  readonly span: Span;
  readonly nameSpan: Span;
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly decorators: readonly Expression[];
  readonly body: readonly Statement[];
}

export interface ClassDefinition {
  readonly kind: 'class';
  readonly span: Span;
  readonly nameSpan: Span;
  readonly name: string;
  readonly bases: readonly Expression[];
  readonly decorators: readonly Expression[];
  readonly body: readonly Statement[];
}

export type Statement =
  | FunctionDefinition
  | ClassDefinition
  | {
      readonly kind: 'assign';
      readonly span: Span;
      readonly targets: readonly Expression[];
      readonly annotation?: Expression;
      /** Undefined for a bare annotation. */
      readonly value?: Expression;
    }
  | {
      readonly kind: 'augmented';
      readonly span: Span;
      readonly target: Expression;
      /** `+`, `*`, … */
      readonly operator: string;
      readonly value: Expression;
    }
  | { readonly kind: 'expression'; readonly span: Span; readonly value: Expression }
  | {
      readonly kind: 'if';
      readonly span: Span;
      readonly test: Expression;
      readonly body: readonly Statement[];
      readonly otherwise: readonly Statement[];
    }
  | {
      readonly kind: 'for';
      readonly span: Span;
      readonly target: Expression;
      readonly iterable: Expression;
      readonly body: readonly Statement[];
    }
  | {
      readonly kind: 'block';
      readonly span: Span;
      readonly what: 'with' | 'try' | 'while';
      /** `with`: context managers and their names; `while`: its test. */
      readonly values: readonly Expression[];
      readonly body: readonly Statement[];
    }
  | { readonly kind: 'return'; readonly span: Span; readonly value?: Expression }
  | {
      readonly kind: 'import';
      readonly span: Span;
      /** `import a.b as c` gives one name; `from` imports give `module`. */
      readonly module: string;
      /** Leading dots. */
      readonly level: number;
      readonly from: boolean;
      readonly names: readonly { readonly name: string; readonly as: string }[];
      readonly star: boolean;
    }
  | { readonly kind: 'jump'; readonly span: Span; readonly what: 'break' | 'continue' | 'raise' };

/** Nested deeper than this, code was not written by people. */
const MAX_DEPTH = 200;

/** Turns tree-sitter's nodes into plain syntax, and lists every span, so that it can be moved. */
export class Reader {
  readonly spans: Span[] = [];
  private depth = 0;

  private span(node: SyntaxNode): Span {
    const { startPosition, endPosition } = node;
    const span = {
      row: startPosition.row,
      column: startPosition.column,
      endRow: endPosition.row,
      endColumn: endPosition.column,
    };
    this.spans.push(span);
    return span;
  }

  statements(node: SyntaxNode | null): Statement[] {
    if (!node) return [];
    return children(node).flatMap((child) => this.statement(child));
  }

  statement(node: SyntaxNode): Statement[] {
    if (++this.depth > MAX_DEPTH) {
      this.depth--;
      return [];
    }
    try {
      return this.readStatement(node);
    } finally {
      this.depth--;
    }
  }

  private readStatement(node: SyntaxNode): Statement[] {
    switch (node.type) {
      case 'expression_statement':
        return children(node).flatMap((child) => this.expressionStatement(child));
      case 'decorated_definition': {
        const decorators = children(node)
          .filter(({ type }) => type === 'decorator')
          .flatMap((decorator) => children(decorator).map((child) => this.expression(child)));
        const definition = node.childForFieldName('definition');
        return definition ? this.definition(definition, decorators) : [];
      }
      case 'class_definition':
      case 'function_definition':
        return this.definition(node, []);
      case 'if_statement':
        return [this.conditional(node)];
      case 'for_statement': {
        const body = this.statements(node.childForFieldName('body'));
        const otherwise = node.childForFieldName('alternative');
        return [
          {
            kind: 'for',
            span: this.span(node),
            target: this.field(node, 'left'),
            iterable: this.field(node, 'right'),
            body,
          },
          ...(otherwise ? this.statements(otherwise.childForFieldName('body')) : []),
        ];
      }
      case 'while_statement':
        return [
          {
            kind: 'block',
            what: 'while',
            span: this.span(node),
            values: [this.field(node, 'condition')],
            body: this.statements(node.childForFieldName('body')),
          },
        ];
      case 'with_statement': {
        const items = children(node).filter(({ type }) => type === 'with_clause');
        return [
          {
            kind: 'block',
            what: 'with',
            span: this.span(node),
            values: items.flatMap((clause) => children(clause).map((item) => this.field(item, 'value'))),
            body: this.statements(node.childForFieldName('body')),
          },
        ];
      }
      case 'try_statement':
        return [
          {
            kind: 'block',
            what: 'try',
            span: this.span(node),
            values: [],
            body: children(node).flatMap((child) =>
              child.type === 'block'
                ? this.statements(child)
                : children(child)
                    .filter(({ type }) => type === 'block')
                    .flatMap((block) => this.statements(block)),
            ),
          },
        ];
      case 'return_statement': {
        const [value] = children(node);
        return [{ kind: 'return', span: this.span(node), ...(value && { value: this.expression(value) }) }];
      }
      case 'import_statement':
        return node.childrenForFieldName('name').flatMap((name) => {
          const aliased = name.type === 'aliased_import';
          const module = (aliased ? name.childForFieldName('name') : name)?.text ?? '';
          const as = aliased ? (name.childForFieldName('alias')?.text ?? '') : module.split('.')[0];
          return [
            {
              kind: 'import',
              span: this.span(node),
              // `import a.b` binds a; `import a.b as c` binds c to a.b.
              module: aliased ? module : as,
              level: 0,
              from: false,
              names: [{ name: '', as }],
              star: false,
            } as const,
          ];
        });
      case 'import_from_statement':
        return [this.importFrom(node)];
      case 'break_statement':
        return [{ kind: 'jump', what: 'break', span: this.span(node) }];
      case 'continue_statement':
        return [{ kind: 'jump', what: 'continue', span: this.span(node) }];
      case 'raise_statement':
        return [{ kind: 'jump', what: 'raise', span: this.span(node) }];
      case 'match_statement':
        return children(node.childForFieldName('body') ?? node).flatMap((clause) => [
          {
            kind: 'block',
            what: 'try',
            span: this.span(clause),
            values: [],
            body: this.statements(clause.childForFieldName('consequence')),
          } as const,
        ]);
      default:
        return [];
    }
  }

  private conditional(node: SyntaxNode): Statement {
    const alternatives = node.childrenForFieldName('alternative');
    let otherwise: Statement[] = [];
    for (const alternative of alternatives.reverse()) {
      otherwise =
        alternative.type === 'else_clause'
          ? this.statements(alternative.childForFieldName('body'))
          : [this.branch(alternative, otherwise)];
    }
    return this.branch(node, otherwise);
  }

  private branch(node: SyntaxNode, otherwise: readonly Statement[]): Statement {
    return {
      kind: 'if',
      span: this.span(node),
      test: this.field(node, 'condition'),
      body: this.statements(node.childForFieldName('consequence')),
      otherwise,
    };
  }

  private expressionStatement(node: SyntaxNode): Statement[] {
    if (node.type === 'assignment') {
      const targets = [this.field(node, 'left')];
      let value = node.childForFieldName('right');
      while (value?.type === 'assignment') {
        targets.push(this.field(value, 'left'));
        value = value.childForFieldName('right');
      }
      const type = node.childForFieldName('type');
      return [
        {
          kind: 'assign',
          span: this.span(node),
          targets,
          ...(type && { annotation: this.expression(type) }),
          ...(value && { value: this.expression(value) }),
        },
      ];
    }
    if (node.type === 'augmented_assignment') {
      const operator = node.childForFieldName('operator')?.text ?? '';
      return [
        {
          kind: 'augmented',
          span: this.span(node),
          target: this.field(node, 'left'),
          operator: operator.replace(/=$/, ''),
          value: this.field(node, 'right'),
        },
      ];
    }
    return [{ kind: 'expression', span: this.span(node), value: this.expression(node) }];
  }

  private definition(node: SyntaxNode, decorators: readonly Expression[]): Statement[] {
    const name = node.childForFieldName('name');
    if (!name) return [];
    const common = {
      span: this.span(node),
      nameSpan: this.span(name),
      name: name.text,
      decorators,
      body: this.statements(node.childForFieldName('body')),
    };
    if (node.type === 'function_definition') {
      const parameters = this.parameters(node.childForFieldName('parameters'));
      return [{ kind: 'function', ...common, parameters }];
    }
    const bases = node.childForFieldName('superclasses');
    return [
      {
        kind: 'class',
        ...common,
        bases: bases
          ? children(bases)
              .filter(({ type }) => type !== 'keyword_argument')
              .map((base) => this.expression(base))
          : [],
      },
    ];
  }

  private parameters(node: SyntaxNode | null): Parameter[] {
    if (!node) return [];
    return children(node).flatMap((child): Parameter[] => {
      const type = child.childForFieldName('type');
      const fallback = child.childForFieldName('value');
      const named = child.childForFieldName('name') ?? child;
      const inner = child.type === 'typed_parameter' ? (children(child)[0] ?? child) : named;
      const stars =
        inner.type === 'list_splat_pattern' ? 1 : inner.type === 'dictionary_splat_pattern' ? 2 : 0;
      const name = stars > 0 ? (children(inner)[0]?.text ?? '') : inner.text;
      if (!/^[^\d\W]\w*$/u.test(name)) return [];
      return [
        {
          name,
          stars,
          ...(type && { annotation: this.expression(type) }),
          ...(fallback && { fallback: this.expression(fallback) }),
        },
      ];
    });
  }

  private importFrom(node: SyntaxNode): Statement {
    const source = node.childForFieldName('module_name');
    const text = source?.text ?? '';
    const dots = /^\.*/.exec(text)![0].length;
    const names = node.childrenForFieldName('name').flatMap((name) => {
      if (name.type !== 'aliased_import') return [{ name: name.text, as: name.text }];
      const original = name.childForFieldName('name')?.text ?? '';
      return [{ name: original, as: name.childForFieldName('alias')?.text ?? original }];
    });
    return {
      kind: 'import',
      span: this.span(node),
      module: text.slice(dots).trim(),
      level: dots,
      from: true,
      names,
      star: children(node).some(({ type }) => type === 'wildcard_import'),
    };
  }

  private field(node: SyntaxNode, name: string): Expression {
    const child = node.childForFieldName(name);
    return child ? this.expression(child) : { kind: 'other', span: this.span(node), children: [] };
  }

  expression(node: SyntaxNode): Expression {
    if (++this.depth > MAX_DEPTH) {
      this.depth--;
      return { kind: 'other', span: this.span(node), children: [] };
    }
    try {
      return this.readExpression(node);
    } finally {
      this.depth--;
    }
  }

  private readExpression(node: SyntaxNode): Expression {
    const span = this.span(node);
    switch (node.type) {
      case 'identifier':
        return { kind: 'name', span, id: node.text };
      case 'integer':
      case 'float':
        return literal(span, node.text);
      case 'true':
      case 'false':
        return { kind: 'literal', span, value: node.type === 'true' };
      case 'none':
        return { kind: 'literal', span, value: null };
      case 'string':
      case 'concatenated_string':
        return this.string(node, span);
      case 'attribute': {
        const name = node.childForFieldName('attribute');
        if (!name) break;
        return {
          kind: 'attribute',
          span,
          object: this.field(node, 'object'),
          name: name.text,
          nameSpan: this.span(name),
        };
      }
      case 'call': {
        const list = node.childForFieldName('arguments');
        return { kind: 'call', span, callee: this.field(node, 'function'), args: this.args(list) };
      }
      case 'subscript':
        return {
          kind: 'subscript',
          span,
          object: this.field(node, 'value'),
          index: node.childrenForFieldName('subscript').map((child) => this.expression(child)),
        };
      case 'slice': {
        const parts: (Expression | undefined)[] = [undefined];
        for (const child of node.children) {
          if (child.type === ':') parts.push(undefined);
          else if (child.isNamed) parts[parts.length - 1] = this.expression(child);
        }
        return { kind: 'slice', span, parts };
      }
      case 'binary_operator':
      case 'boolean_operator':
        return {
          kind: 'binary',
          span,
          operator: node.childForFieldName('operator')?.text ?? '',
          left: this.field(node, 'left'),
          right: this.field(node, 'right'),
        };
      case 'unary_operator':
        return {
          kind: 'unary',
          span,
          operator: node.childForFieldName('operator')?.text ?? '',
          operand: this.field(node, 'argument'),
        };
      case 'not_operator':
        return { kind: 'unary', span, operator: 'not', operand: this.field(node, 'argument') };
      case 'comparison_operator':
        return {
          kind: 'compare',
          span,
          operands: children(node).map((child) => this.expression(child)),
          operators: node.childrenForFieldName('operators').map((operator) => operator.text),
        };
      case 'conditional_expression': {
        const [then, test, otherwise] = children(node);
        if (!then || !test || !otherwise) break;
        return {
          kind: 'condition',
          span,
          test: this.expression(test),
          then: this.expression(then),
          otherwise: this.expression(otherwise),
        };
      }
      case 'list':
      case 'tuple':
      case 'set':
      case 'expression_list':
      case 'pattern_list':
      case 'list_pattern':
      case 'tuple_pattern':
        return {
          kind: 'sequence',
          span,
          form: node.type.startsWith('list') ? 'list' : node.type === 'set' ? 'set' : 'tuple',
          items: children(node).map((child) => this.expression(child)),
        };
      case 'dictionary':
        return {
          kind: 'dictionary',
          span,
          pairs: children(node).flatMap((child): (readonly [Expression | undefined, Expression])[] => {
            if (child.type === 'pair') return [[this.field(child, 'key'), this.field(child, 'value')]];
            const [inner] = children(child);
            return inner ? [[undefined, this.expression(inner)]] : [];
          }),
        };
      case 'list_comprehension':
      case 'set_comprehension':
      case 'generator_expression':
      case 'dictionary_comprehension':
        return this.comprehension(node, span);
      case 'list_splat':
      case 'list_splat_pattern': {
        const [inner] = children(node);
        if (!inner) break;
        return { kind: 'starred', span, value: this.expression(inner) };
      }
      case 'lambda':
        return {
          kind: 'lambda',
          span,
          parameters: this.parameters(node.childForFieldName('parameters')),
          body: this.field(node, 'body'),
        };
      case 'parenthesized_expression':
      case 'await':
      case 'type': {
        const [inner] = children(node);
        return inner ? this.expression(inner) : { kind: 'other', span, children: [] };
      }
      case 'named_expression':
        return this.field(node, 'value');
      case 'as_pattern': {
        const [inner] = children(node);
        if (!inner) break;
        return this.expression(inner);
      }
    }
    return { kind: 'other', span, children: children(node).map((child) => this.expression(child)) };
  }

  private args(list: SyntaxNode | null): Argument[] {
    if (!list) return [];
    // `f(x for x in y)`: the generator is the list.
    if (list.type === 'generator_expression') return [{ value: this.expression(list), stars: 0 }];
    return children(list).map((child): Argument => {
      if (child.type === 'keyword_argument') {
        const name = child.childForFieldName('name')?.text ?? '';
        return { name, value: this.field(child, 'value'), stars: 0 };
      }
      const stars = child.type === 'list_splat' ? 1 : child.type === 'dictionary_splat' ? 2 : 0;
      const inner = stars > 0 ? (children(child)[0] ?? child) : child;
      return { value: this.expression(inner), stars };
    });
  }

  private comprehension(node: SyntaxNode, span: Span): Expression {
    const clauses: Clause[] = [];
    for (const child of children(node)) {
      if (child.type === 'for_in_clause') {
        clauses.push({
          kind: 'for',
          target: this.field(child, 'left'),
          iterable: this.field(child, 'right'),
        });
      } else if (child.type === 'if_clause') {
        const [test] = children(child);
        if (test) clauses.push({ kind: 'if', test: this.expression(test) });
      }
    }
    const body = node.childForFieldName('body');
    if (body?.type === 'pair') {
      const [element, value] = [this.field(body, 'key'), this.field(body, 'value')];
      return { kind: 'comprehension', span, element, value, clauses };
    }
    return { kind: 'comprehension', span, element: this.field(node, 'body'), clauses };
  }

  private string(node: SyntaxNode, span: Span): Expression {
    const parts: (string | Expression)[] = [];
    const strings = node.type === 'string' ? [node] : children(node);
    for (const string of strings) {
      const raw = /^[a-z]*r/i.test(string.children[0]?.text ?? '');
      for (const child of children(string)) {
        if (child.type === 'string_content') parts.push(raw ? child.text : unescaped(child.text));
        else if (child.type === 'interpolation') parts.push(this.field(child, 'expression'));
      }
    }
    if (parts.every((part) => typeof part === 'string')) {
      return { kind: 'literal', span, value: parts.join('') };
    }
    return { kind: 'format', span, parts };
  }
}

const children = (node: SyntaxNode) => node.namedChildren;

function literal(span: Span, text: string): Expression {
  const digits = text.replaceAll('_', '').toLowerCase();
  const value = Number(digits);
  // 3j and 0777 are no numbers that a network is built with.
  if (!Number.isFinite(value)) return { kind: 'other', span, children: [] };
  return { kind: 'literal', span, value };
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', '\\': '\\', "'": "'", '"': '"' };
const unescaped = (text: string) =>
  text.includes('\\') ? text.replace(/\\(.)/g, (whole, c: string) => ESCAPES[c] ?? whole) : text;
