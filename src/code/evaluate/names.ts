/** What things are called. */
import type { Expression } from '../python/syntax';
import type { ClassValue, Pattern } from '../values';

/** Last name of a dotted expression or of what a call calls. */
export function nameOf(expression: Expression): string | undefined {
  if (expression.kind === 'name') return expression.id;
  if (expression.kind === 'attribute') return expression.name;
  if (expression.kind === 'call') return nameOf(expression.callee);
  return undefined;
}

export const isFlax = (cls: ClassValue) =>
  cls.external().some((path) => /^flax\b/.test(path) || /\blinen\.Module$/.test(path));

/** An attribute name with unknown parts, as `layer*`. */
export const patternName = ({ parts }: Pattern) => parts.map((part) => part ?? '*').join('');
