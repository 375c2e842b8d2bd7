/**
 * VS Code sends messages to panels as JSON, in which ∞ and NaN become null: a PSNR of equal pictures, a
 * correlation of maps that are constant. They are spelled on the way; typed arrays arrive as they are.
 */
interface Spelled {
  readonly $number: string;
}

const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

const isSpelled = (value: Readonly<Record<string, unknown>>): value is Spelled & typeof value =>
  typeof value.$number === 'string';

/** A message with other values in place of some; what holds none of them stays the same object. */
function replaced(value: unknown, replace: (value: unknown) => unknown): unknown {
  const own = replace(value);
  if (own !== value) return own;
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => replaced(item, replace));
    return items.some((item, i) => !Object.is(item, value[i])) ? items : value;
  }
  if (!isPlain(value)) return value;
  const entries = Object.entries(value).map(([name, item]) => [name, replaced(item, replace)] as const);
  return entries.some(([name, item]) => !Object.is(item, value[name])) ? Object.fromEntries(entries) : value;
}

/** A message as it survives JSON. */
export const spelled = <T>(message: T): T =>
  replaced(message, (value) =>
    typeof value === 'number' && !Number.isFinite(value) ? { $number: String(value) } : value,
  ) as T;

/** A message as it was before {@link spelled}. */
export const read = <T>(message: T): T =>
  replaced(message, (value) => (isPlain(value) && isSpelled(value) ? Number(value.$number) : value)) as T;
