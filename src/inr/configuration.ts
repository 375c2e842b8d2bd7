import type { Plain } from '../checkpoint/types';
import type { AssumptionSource } from './types';

/** A value that some source gives for a setting. */
export interface Found {
  readonly value: Plain;
  readonly source: AssumptionSource;
  /** Where, for people: `exp_config.yaml: network.final_act`. */
  readonly detail: string;
}

export interface ConfigurationSource {
  readonly source: AssumptionSource;
  /** What `detail` starts with, e.g. a file name. */
  readonly label: string;
  readonly values: Plain;
}

interface Entry {
  /** Dotted path as written. */
  readonly path: string;
  /** Comparable tokens of the path. */
  readonly tokens: readonly string[];
  readonly value: Plain;
}

/** `final_act`, `finalAct` and `--final-act` are one name. */
export const comparable = (name: string) => name.replace(/[^A-Za-z0-9.]/g, '').toLowerCase();

const MAX_ENTRIES = 20_000;

/** Every value of a tree with its path; a list is a value. Interpolations nobody resolved (`${…}`) say nothing. */
function entriesOf(values: Plain): Entry[] {
  const entries: Entry[] = [];
  const queue: { path: string[]; value: Plain }[] = [{ path: [], value: values }];
  // Breadth first, so that of two equal names the shallower comes first.
  for (let next = 0; next < queue.length && entries.length < MAX_ENTRIES; next++) {
    const { path, value } = queue[next];
    if (path.length > 0 && !(typeof value === 'string' && value.includes('${'))) {
      entries.push({ path: path.join('.'), tokens: path.map(comparable), value });
    }
    if (value !== null && typeof value === 'object' && !Array.isArray(value) && path.length < 16) {
      for (const [key, child] of Object.entries(value)) queue.push({ path: [...path, key], value: child });
    }
  }
  return entries;
}

/** Looks names up in hyper-parameters and configuration files, the most trusted source first. */
export class Configuration {
  private readonly sources: readonly (ConfigurationSource & { entries: readonly Entry[] })[];

  constructor(sources: readonly ConfigurationSource[]) {
    this.sources = sources.map((source) => ({ ...source, entries: entriesOf(source.values) }));
  }

  /**
   * First value under one of the names that `accept` takes. The source counts first, then the order of
   * the names, then depth. A dotted name (`pos_encoding.type`) must match the end of the path.
   */
  find<T>(
    names: readonly string[],
    accept: (value: Plain) => T | undefined,
  ): { readonly value: T; readonly source: AssumptionSource; readonly detail: string } | undefined {
    for (const { source, label, entries } of this.sources) {
      for (const name of names) {
        const wanted = name.split('.').map(comparable);
        for (const entry of entries) {
          if (!wanted.every((token, i) => token === entry.tokens.at(i - wanted.length))) continue;
          const value = accept(entry.value);
          if (value !== undefined) return { value, source, detail: `${label}: ${entry.path}` };
        }
      }
    }
    return undefined;
  }
}
