/** What the panels share: selection, names, order, numbers, messages. */
import { describe, expect, it, vi } from 'vitest';
import { read, spelled } from '../../../src/panels/numbers';
import type { LayerTrace } from '../../../src/tracing/types';
import * as format from '../../../webview/shared/format';
import { Host, Latest, OutdatedError, type VsCodeApi } from '../../../webview/shared/host';
import { Intent } from '../../../webview/shared/intent';
import { distinctStarts, shortNames } from '../../../webview/shared/names';
import { neuronOrder } from '../../../webview/shared/order';
import { moved, select } from '../../../webview/shared/selection';

const plain = { ctrlKey: false, metaKey: false, shiftKey: false };
const entry = (neuron: number) => ({ layer: 0, neuron });
const neurons = (list: readonly { neuron: number }[]) => list.map(({ neuron }) => neuron);

describe('select', () => {
  it('works like a list of VS Code', () => {
    expect(neurons(select([entry(1)], entry, 3, 1, plain))).toEqual([3]);
    expect(neurons(select([entry(1)], entry, 3, 1, { ...plain, ctrlKey: true }))).toEqual([1, 3]);
    expect(neurons(select([entry(1), entry(3)], entry, 3, 3, { ...plain, metaKey: true }))).toEqual([1]);
    expect(neurons(select([entry(9)], entry, 2, 5, { ...plain, shiftKey: true }))).toEqual([5, 4, 3, 2]);
    const both = select([entry(9), entry(4)], entry, 5, 3, { ...plain, shiftKey: true, ctrlKey: true });
    expect(neurons(both)).toEqual([9, 3, 4, 5]);
  });
});

describe('moved', () => {
  it.each([
    ['ArrowRight', 3, 4],
    ['ArrowRight', 9, 9],
    ['ArrowDown', 3, 7],
    ['ArrowDown', 7, 9],
    ['ArrowDown', 9, 9],
    ['ArrowUp', 2, 2],
    ['Home', 5, 0],
    ['End', 5, 9],
    ['ArrowLeft', -1, 0],
    ['x', 3, null],
  ])('%s from %i goes to %s of ten entries in rows of four', (key, from, to) => {
    expect(moved(key, from, 10, 4, 2)).toBe(to);
  });
});

describe('shortNames', () => {
  it.each([
    [
      ['model.net.0.linear', 'model.net.1.linear'],
      ['net.0', 'net.1'],
    ],
    [
      ['net.0.linear', 'net.1'],
      ['net.0.linear', 'net.1'],
    ],
    [
      ['head', 'body'],
      ['head', 'body'],
    ],
    [['only.one'], ['only.one']],
    [
      ['a.b', 'a.b'],
      ['a', 'a'],
    ],
  ])('%j become %j', (full, short) => {
    expect(shortNames(full)).toEqual(short);
  });
});

describe('neuronOrder', () => {
  const layer = {
    neurons: 4,
    statistics: { dead: Uint8Array.of(0, 1, 0, 0), share: Float64Array.of(0.2, 0, 0.5, 0.3) },
  } as unknown as LayerTrace;
  const clusters = Int32Array.of(1, -1, 1, 0);

  it('sorts by share, index or cluster, and leaves the dead out when asked', () => {
    expect([...neuronOrder(layer, 'share', false, clusters)]).toEqual([2, 3, 0, 1]);
    expect([...neuronOrder(layer, 'index', true, clusters)]).toEqual([0, 2, 3]);
    expect([...neuronOrder(layer, 'cluster', false, clusters)]).toEqual([3, 2, 0, 1]);
  });
});

describe('numbers', () => {
  it('are short and true', () => {
    expect(format.significant(0.16934)).toBe('0.169');
    expect(format.significant(31_300)).toBe('31,300');
    expect(format.significant(-2.41e-7)).toBe('−2.41e−7');
    expect(format.significant(0)).toBe('0');
    expect(format.significant(NaN)).toBe('NaN');
    expect(format.significant(-Infinity)).toBe('−∞');
    expect(format.decibel(Infinity)).toBe('identical');
    expect(format.duration(61_400)).toBe('1 min 1 s');
    expect(format.plural(1, 'neuron')).toBe('1 neuron');
  });
});

describe('numbers in messages', () => {
  // As VS Code sends them.
  const sent = <T>(message: T) => read(JSON.parse(JSON.stringify(spelled(message))) as T);

  it('arrive, also those that JSON does not know', () => {
    const message = {
      psnr: Infinity,
      layers: [{ correlation: NaN, change: -Infinity, name: 'Infinity', none: null }, { change: 1.5 }],
    };
    expect(sent(message)).toEqual(message);
  });

  it('are left alone where there is nothing to spell', () => {
    const message = { type: 'layer', previews: { data: Uint8Array.of(1) }, limits: [1, 2] };
    expect(spelled(message)).toBe(message);
    expect(read(message)).toBe(message);
  });
});

describe('Host', () => {
  const connect = () => {
    const target = new EventTarget();
    const posted: { id: number; call?: string }[] = [];
    const shown: unknown[] = [];
    const api: VsCodeApi = {
      postMessage: (m) => posted.push(m as never),
      getState: () => null,
      setState: () => {},
    };
    const host = new Host(api, (message) => shown.push(message), target);
    const receive = (data: unknown) => target.dispatchEvent(new MessageEvent('message', { data }));
    return { host, posted, shown, receive };
  };

  it('settles calls by their number, whatever the order', async () => {
    const { host, posted, receive } = connect();
    const [a, b] = [1, 2].map((row) => host.call('probe', { row, column: 0 }));
    receive({ type: 'reply', id: posted[1].id, error: 'No.' });
    receive({ type: 'reply', id: posted[0].id, result: 'probed' });
    await expect(a).resolves.toBe('probed');
    await expect(b).rejects.toThrow('No.');
  });

  it('outdates open calls when a new trace begins', async () => {
    const { host, receive, shown } = connect();
    const call = host.call('probe', { row: 0, column: 0 });
    receive({ type: 'reset' });
    await expect(call).rejects.toThrow(OutdatedError);
    expect(shown).toEqual([{ type: 'reset' }]);
  });
});

describe('Latest', () => {
  it('keeps one request under way and then asks only the newest', async () => {
    const asked: number[] = [];
    const shown: number[] = [];
    const latest = new Latest<number, number>(
      (n) => Promise.resolve(asked.push(n)).then(() => n),
      (n) => shown.push(n),
      () => {},
    );
    for (const n of [1, 2, 3, 4]) latest.request(n);
    await vi.waitFor(() => expect(shown).toEqual([1, 4]));
    expect(asked).toEqual([1, 4]);
  });

  it('shows nothing that is no longer wanted', async () => {
    const shown: string[] = [];
    const latest = new Latest<string, string>(
      (text) => Promise.resolve(text),
      (text) => shown.push(text),
      () => {},
    );
    latest.request('old');
    latest.forget();
    latest.request('new');
    await vi.waitFor(() => expect(shown).toEqual(['new']));
  });
});

describe('Intent', () => {
  it('takes up what fits and ignores what an older version kept', () => {
    let kept: unknown = { sort: 'index', size: 'large', gone: 1 };
    const api = { getState: () => kept, setState: (state: unknown) => (kept = state) };
    const intent = new Intent(api, { sort: 'share', size: 88 });
    expect(intent.value).toEqual({ sort: 'index', size: 88 });
    intent.set({ size: 40 });
    expect(kept).toEqual({ sort: 'index', size: 40 });
  });
});

describe('distinctStarts', () => {
  it.each([
    [
      ['net.0.linear', 'net.1.linear', 'net.4'],
      ['net.0', 'net.1', 'net.4'],
    ],
    [
      ['layers.0.conv.conv', 'layers.1.conv.conv', 'head_layers.2'],
      ['layers.0', 'layers.1', 'head_layers'],
    ],
    [
      ['net', 'net.1', 'net.10'],
      ['net', 'net.1', 'net.10'],
    ],
    [['a.b.c'], ['a']],
    [
      ['a.b', 'a.b'],
      ['a.b', 'a.b'],
    ],
  ])('%j → %j', (names, expected) => {
    expect(distinctStarts(names)).toEqual(expected);
  });
});
