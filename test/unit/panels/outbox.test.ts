import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Outbox } from '../../../src/panels/outbox';
import type { HostToView } from '../../../src/panels/protocol';

const layer = (index: number, name = String(index)) =>
  ({ type: 'layer', index, layer: { name } }) as unknown as HostToView;
const reset: HostToView = { type: 'reset' };

let sent: HostToView[];
const boxOf = (layersWait: boolean) => new Outbox((message) => sent.push(message), layersWait);
beforeEach(() => {
  sent = [];
  vi.useFakeTimers();
});
afterEach(() => void vi.useRealTimers());

it('sends a canvas everything at once', () => {
  const box = boxOf(false);
  box.post(layer(2));
  expect(sent).toEqual([layer(2)]);
});

it('lets layers of other panels wait, and sends the latest of each', () => {
  const box = boxOf(true);
  for (const message of [layer(2), layer(1, 'old'), layer(1, 'new')]) box.post(message);
  expect(sent).toEqual([]);
  vi.runAllTimers();
  expect(sent).toEqual([layer(2), layer(1, 'new')]);
  box.post(layer(0));
  vi.runAllTimers();
  expect(sent.at(-1)).toEqual(layer(0));
});

it('keeps the order: nothing overtakes a layer', () => {
  const box = boxOf(true);
  box.post(layer(0));
  box.post(reset);
  expect(sent).toEqual([layer(0), reset]);
  vi.runAllTimers();
  expect(sent).toHaveLength(2);
});

it('forgets layers of a session that is no longer shown', () => {
  const box = boxOf(true);
  box.post(layer(0));
  box.clear();
  vi.runAllTimers();
  expect(sent).toEqual([]);
});
