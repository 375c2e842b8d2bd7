/** Keeps a value for as long as what it was made from stays the same. */
export class Memo<T> {
  private kept: { readonly from: readonly unknown[]; readonly value: T } | null = null;

  /** @param from everything that `make` depends on, compared by identity; always as many */
  get(from: readonly unknown[], make: () => T): T {
    if (!this.kept?.from.every((part, i) => Object.is(part, from[i]))) this.kept = { from, value: make() };
    return this.kept.value;
  }
}
