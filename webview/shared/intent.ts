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
    this.value = { ...defaults };
    const kept = api.getState();
    if (typeof kept !== 'object' || kept === null) return;
    for (const key of Object.keys(defaults) as (keyof T)[]) {
      const value = (kept as Partial<T>)[key];
      // An older version of the view may have kept something of another type.
      if (value !== undefined && sameKind(value, defaults[key])) this.value[key] = value;
    }
  }

  set(change: Partial<T>): void {
    Object.assign(this.value, change);
    this.api.setState(this.value);
  }
}

function sameKind(a: unknown, b: unknown): boolean {
  return typeof a === typeof b && Array.isArray(a) === Array.isArray(b) && (a === null) === (b === null);
}
