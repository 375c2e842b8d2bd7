import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Clustering, LayerTrace } from '../../../src/tracing/types';
import { csv } from '../../../webview/rankings/csv';
import { parseFilter } from '../../../webview/rankings/filter';
import { lorenz } from '../../../webview/rankings/lorenz';
import {
  arrange,
  clickedHeader,
  columns,
  knownKeys,
  makeRows,
  rowOf,
  shownColumns,
  type SortKey,
} from '../../../webview/rankings/rows';

/** A layer whose neurons have these totals; shares, means and the rest follow from them. */
function layer(name: string, total: readonly number[]): LayerTrace {
  const sum = total.reduce((a, b) => a + b, 0);
  const neurons = total.length;
  const statistics: LayerTrace['statistics'] = {
    total: Float64Array.from(total),
    share: Float64Array.from(total, (t) => (sum > 0 ? t / sum : 0)),
    mean: Float64Array.from(total, (t) => t / 8),
    signedMean: new Float64Array(neurons),
    max: Float64Array.from(total, (t) => t / 2),
    pixels: Uint32Array.from(total, (t) => Math.round(t) * 3),
    dead: Uint8Array.from(total, (t) => (t === 0 ? 1 : 0)),
  };
  return { name, neurons, statistics } as LayerTrace;
}

const layers = [layer('model.net.1.linear', [4, 0, 16]), undefined, layer('model.net.10.linear', [1, 3])];
const names = layers.map((each) => each?.name ?? '');
const clustering = {
  points: [
    { layer: 0, neuron: 0, x: 0, y: 0, cluster: 1 },
    { layer: 0, neuron: 2, x: 0, y: 0, cluster: 0 },
    { layer: 2, neuron: 1, x: 0, y: 0, cluster: 0 },
  ],
} as unknown as Clustering;
const rows = makeRows(layers, clustering);
const all = () => true;

describe('rows', () => {
  it('hold all neurons of the traced layers', () => {
    expect(rows.count).toBe(5);
    expect([...rows.layer]).toEqual([0, 0, 0, 2, 2]);
    expect([...rows.neuron]).toEqual([0, 1, 2, 0, 1]);
    expect([...rows.total]).toEqual([4, 0, 16, 1, 3]);
    expect([...rows.share]).toEqual([0.2, 0, 0.8, 0.25, 0.75]);
    expect([...rows.cluster]).toEqual([1, NaN, 0, NaN, 0]);
  });

  it('are found by neuron, and only there', () => {
    for (let row = 0; row < rows.count; row++) {
      expect(rowOf(rows, { layer: rows.layer[row], neuron: rows.neuron[row] })).toBe(row);
    }
    for (const [absent, neuron] of [
      [0, 3],
      [1, 0],
      [2, 2],
      [7, 0],
    ]) {
      expect(rowOf(rows, { layer: absent, neuron })).toBe(-1);
    }
  });

  it('sort by one column, ties by place', () => {
    expect([...arrange(rows, all, [{ column: 'total', descending: true }])]).toEqual([2, 0, 4, 3, 1]);
    expect([...arrange(rows, all, [{ column: 'layer', descending: true }])]).toEqual([3, 4, 0, 1, 2]);
  });

  it('sort by a second column where the first is equal', () => {
    const keys: SortKey[] = [
      { column: 'layer', descending: false },
      { column: 'share', descending: true },
    ];
    expect([...arrange(rows, all, keys)]).toEqual([2, 0, 1, 4, 3]);
  });

  it('put what has no value last in both directions', () => {
    expect([...arrange(rows, all, [{ column: 'cluster', descending: false }])]).toEqual([2, 4, 0, 1, 3]);
    expect([...arrange(rows, all, [{ column: 'cluster', descending: true }])]).toEqual([0, 2, 4, 1, 3]);
  });

  it('sort anything, NaN and infinities too, into one order', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noDefaultInfinity: false })), fc.boolean(), (totals, descending) => {
        const some = makeRows([layer('a', totals)], null);
        const values = [...arrange(some, all, [{ column: 'total', descending }])].map(
          (row) => some.total[row],
        );
        const numbers = values.filter((value) => !Number.isNaN(value));
        expect(values.slice(0, numbers.length)).toEqual(numbers);
        const ascending = descending ? numbers.toReversed() : numbers;
        for (let i = 1; i < ascending.length; i++) {
          expect(ascending[i - 1]).toBeLessThanOrEqual(ascending[i]);
        }
      }),
    );
  });
});

describe('a click on a header', () => {
  const byShare: SortKey[] = [{ column: 'share', descending: true }];

  it('sorts numbers from the largest, names from the first, and turns round the second time', () => {
    expect(clickedHeader([], 'share', false)).toEqual(byShare);
    expect(clickedHeader(byShare, 'share', false)).toEqual([{ column: 'share', descending: false }]);
    expect(clickedHeader(byShare, 'layer', false)).toEqual([{ column: 'layer', descending: false }]);
  });

  it('with Shift joins the others, or turns its own round in place', () => {
    const both = clickedHeader(byShare, 'neuron', true);
    expect(both).toEqual([...byShare, { column: 'neuron', descending: false }]);
    expect(clickedHeader(both, 'share', true)).toEqual([{ column: 'share', descending: false }, both[1]]);
  });

  it('is forgotten when an earlier version kept something else', () => {
    expect(knownKeys([{ column: 'share', descending: true }, { column: 'gone' }, null, 3])).toEqual(byShare);
  });
});

describe('the filter', () => {
  const passing = (text: string) => {
    const parsed = parseFilter(text, rows, names);
    if ('error' in parsed) throw new Error(parsed.error);
    return [...arrange(rows, parsed.filter, [])];
  };

  it.each([
    ['', [0, 1, 2, 3, 4]],
    ['net.10', [3, 4]],
    ['LINEAR', [0, 1, 2, 3, 4]],
    ['layer:net.1', [0, 1, 2]],
    ['layer:net.1.linear', [0, 1, 2]],
    ['layer:net.1,net.10', [0, 1, 2, 3, 4]],
    ['layer:et.1', []],
    ['#1', [1, 4]],
    ['dead:yes', [1]],
    ['-dead:yes', [0, 2, 3, 4]],
    ['share>25%', [2, 4]],
    ['share >= 25 %', [2, 3, 4]],
    ['share<0.25', [0, 1]],
    ['total=16', [2]],
    ['cluster:1', [2, 4]],
    ['cluster:2,none', [0, 1, 3]],
    ['layer:net.1 dead:no share>50%', [2]],
  ])('%s', (text, expected) => {
    expect(passing(text)).toEqual(expected);
  });

  it.each([
    ['layers>2', /“layers” cannot be compared; use share, total/],
    ['>2', /cannot be compared/],
    ['share>', /needs a number behind it, such as share>1%/],
    ['pixels>lots', /needs a number/],
    ['total>5%', /goes with share only; write total>5\./],
    ['share>5', /write share>5%/],
    ['dead:maybe', /takes yes or no/],
    ['layer:', /needs a value/],
    ['cluster:0', /number of a cluster/],
    ['colour:red', /“colour:” is not known; use layer:, dead: or cluster:/],
  ])('says what is wrong with %s', (text, message) => {
    expect(parseFilter(text, rows, names)).toEqual({ error: expect.stringMatching(message) as string });
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseFilter(text, rows, names);
      }),
    );
  });
});

/** RFC 4180, read by the book. */
function readCsv(text: string): string[][] {
  const records: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    records.at(-1)!.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === '\r\n') records.push([]);
  }
  return records.slice(0, -1);
}

describe('what is measured on request', () => {
  const region = {
    total: Float64Array.of(1, 3),
    share: Float64Array.of(0.25, 0.75),
    affinity: Float64Array.of(-0.5, 1.25),
  };
  const measured = makeRows(layers, clustering, {
    removals: [{ change: Float64Array.of(-2.5, NaN, 0.25) }],
    region: [undefined, undefined, region],
  });

  it('stands in the rows of its layer, and nowhere else', () => {
    expect([...measured.removed]).toEqual([-2.5, NaN, 0.25, NaN, NaN]);
    expect([...measured.regionShare]).toEqual([NaN, NaN, NaN, 0.25, 0.75]);
    expect([...measured.affinity]).toEqual([NaN, NaN, NaN, -0.5, 1.25]);
  });

  it('is sorted with what was not measured last, filtered and saved', () => {
    expect([...arrange(measured, all, [{ column: 'removed', descending: false }])]).toEqual([0, 2, 1, 3, 4]);
    expect([...arrange(measured, all, [{ column: 'removed', descending: true }])]).toEqual([2, 0, 1, 3, 4]);
    const parsed = parseFilter('removed<-0.5', measured, names);
    if ('error' in parsed) throw new Error(parsed.error);
    expect([...arrange(measured, parsed.filter, [])]).toEqual([0]);
    const [, first, last] = readCsv(csv(measured, [0, 4], names));
    expect(first.slice(-3)).toEqual(['-2.5', '', '']);
    expect(last.slice(-3)).toEqual(['', '0.75', '1.25']);
  });

  it('has columns only when somebody asked', () => {
    expect(shownColumns(false, false)).not.toContain('removed');
    expect(shownColumns(false, true).at(-1)).toBe('removed');
    expect(shownColumns(true, false)).toEqual(expect.arrayContaining(['regionShare', 'affinity']));
  });
});

describe('CSV', () => {
  it('has the rows shown, in the order shown, in full precision', () => {
    const [header, ...records] = readCsv(csv(rows, [4, 1], names));
    expect(header).toHaveLength(columns.length);
    expect(records).toEqual([
      ['model.net.10.linear', '1', '3', '0.75', '0.375', '1.5', '9', '0', '1', '', '', ''],
      ['model.net.1.linear', '1', '0', '0', '0', '0', '0', '1', '', '', '', ''],
    ]);
  });

  it('keeps numbers and names as they are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }),
        fc.string({ unit: 'binary' }).filter((name) => !/^[=+\-@\t\r]/.test(name)),
        (totals, name) => {
          const some = makeRows([layer(name, totals)], null);
          const records = readCsv(csv(some, some.neuron, [name])).slice(1);
          expect(records.map((record) => Number(record[2]) + 0)).toEqual(totals.map((total) => total + 0));
          for (const record of records) expect(record[0]).toBe(name);
        },
      ),
    );
  });

  it('has no formula in it, whatever a layer is called', () => {
    const name = '=HYPERLINK("https://example.org")';
    expect(readCsv(csv(makeRows([layer(name, [1])], null), [0], [name]))[1][0]).toBe(`'${name}`);
  });
});

describe('the Lorenz curve', () => {
  const gini = (curve: readonly { x: number; y: number }[]) =>
    1 - curve.slice(1).reduce((area, { x, y }, i) => area + (x - curve[i].x) * (y + curve[i].y), 0);

  it('is the diagonal when all carry the same, and when nobody carries anything', () => {
    for (const value of [3, 0]) {
      for (const { x, y } of lorenz(new Float64Array(50).fill(value))) expect(y).toBeCloseTo(x, 12);
    }
  });

  it('lies on the axes when one carries all', () => {
    const values = new Float64Array(100);
    values[17] = 5;
    const curve = lorenz(values);
    expect(curve.slice(0, -1).every(({ y }) => y === 0)).toBe(true);
    expect(curve.at(-1)).toEqual({ x: 1, y: 1 });
  });

  it('has the area that the Gini coefficient says, thinned or not', () => {
    const values = Float64Array.from({ length: 5000 }, (_, i) => (i % 97) ** 2);
    const exact = gini(lorenz(values, Infinity));
    expect(gini(lorenz(values))).toBeCloseTo(exact, 3);
    expect(lorenz(values).length).toBeLessThan(140);
  });
});
