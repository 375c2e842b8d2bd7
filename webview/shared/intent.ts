import type { VsCodeApi } from './host';

/**
 * What the person chose about the view itself (zoom, sort, filter), kept by VS Code while the view is
 * hidden and across reloads. Data is never kept: it is asked for again.
 */
export class Intent<T extends object> {
  readonly value: T;

  constructor(
    private readonly api: Pick<VsCodeApi, 'getState' | 'setState'>,
    defaults: T,
  ) {
    this.value = merged(defaults, api.getState());
  }

  set(change: Partial<T>): void {
    Object.assign(this.value, change);
    this.api.setState(this.value);
  }
}

/** Defaults, changed by what was kept; an older version may have kept something of another type. */
export function merged<T extends object>(defaults: T, kept: unknown): T {
  const value = { ...defaults };
  if (typeof kept !== 'object' || kept === null) return value;
  for (const key of Object.keys(defaults) as (keyof T)[]) {
    const own = (kept as Partial<T>)[key];
    if (own !== undefined && sameKind(own, defaults[key])) value[key] = own;
  }
  return value;
}

function sameKind(a: unknown, b: unknown): boolean {
  return typeof a === typeof b && Array.isArray(a) === Array.isArray(b) && (a === null) === (b === null);
}
