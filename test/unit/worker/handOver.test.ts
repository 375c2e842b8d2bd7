import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { handedOver, handOver } from '../../../src/worker/handOver';

/** @returns what arrives */
function sent(message: unknown): unknown {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(message, handedOver(message));
  const received = receiveMessageOnPort(port2) as { message: unknown };
  port1.close();
  return received.message;
}

describe('what the worker sends', () => {
  it('moves arrays that were handed over, and copies all others', () => {
    const [kept, made] = [Float32Array.of(1, 2), handOver(Uint8ClampedArray.of(3, 4))];
    const message = { id: 1, event: { type: 'reconstruction', picture: { rgba: made }, kept } };
    expect(sent(message)).toEqual({
      id: 1,
      event: {
        type: 'reconstruction',
        picture: { rgba: Uint8ClampedArray.of(3, 4) },
        kept: Float32Array.of(1, 2),
      },
    });
    expect(made.length).toBe(0);
    expect([...kept]).toEqual([1, 2]);
  });

  it('sends an array that occurs twice in one message', () => {
    const rgba = handOver(Uint8ClampedArray.of(5));
    expect(sent({ a: { rgba }, b: { rgba } })).toEqual({
      a: { rgba: Uint8ClampedArray.of(5) },
      b: { rgba: Uint8ClampedArray.of(5) },
    });
  });
});
