/** Frames of NeRV-like decoders: contributions of convolution kernels (tracing.md §1). */
import type { Engine } from '../../engine/types';
import { UsageError } from '../../errors';
import type { Inr } from '../../inr/types';
import type { Trace, TraceOptions } from '../trace';

/**
 * Traces the kernels of a decoder at one frame.
 * @throws CancelledError @throws UsageError when a layer is not the network's
 */
export function traceFrame(inr: Inr, _engine: Engine, _options: TraceOptions): Promise<Trace> {
  return Promise.reject(
    new UsageError(
      `${inr.title} is recognised, but tracing is for networks from (row, column) to a picture; use inspect.`,
    ),
  );
}
