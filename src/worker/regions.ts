/** Regions that a person marks in a traced picture. */
import path from 'node:path';
import { UsageError, type CancelToken } from '../errors';
import { maskOf, regionStatistics, type Region } from '../tracing/regionMask';
import { partition } from '../tracing/regions';
import type { Trace } from '../tracing/trace';
import type { RegionFeature } from '../tracing/types';
import { readLabels, type Labels } from './labels';
import type { EventOf, Result } from './protocol';

/** Partitions are made once for a trace, with the seed that clusters use. */
const SEED = 0;

/** What the picture is divided into: by looks or place, or by a mask file beside the checkpoint. */
export type Segmentation = { readonly feature: RegionFeature } | { readonly file: string };

export class TraceRegions {
  private readonly known = new Map<RegionFeature, Promise<Labels>>();

  /** @param file of the checkpoint; masks are found from there */
  constructor(
    private readonly trace: Trace,
    private readonly file: string,
  ) {}

  /** @throws UsageError when a mask cannot be used @throws CancelledError */
  async segments(by: Segmentation, cancel: CancelToken): Promise<Labels> {
    if ('file' in by) return this.mask(by.file);
    let labels = this.known.get(by.feature);
    if (!labels) {
      labels = this.divide(by.feature, cancel);
      this.known.set(by.feature, labels);
      // A cancelled one is made anew.
      labels.catch(() => this.known.delete(by.feature));
    }
    return labels;
  }

  private async divide(feature: RegionFeature, cancel: CancelToken): Promise<Labels> {
    const { width, height } = this.trace.inr.signal;
    const { labels } = await partition([this.trace.picture01()], feature, SEED, cancel);
    return { width, height, labels };
  }

  private mask(file: string): Labels {
    const { width, height } = this.trace.inr.signal;
    const found = readLabels(path.resolve(path.dirname(this.file), file));
    if (found.width === width && found.height === height) return found;
    throw new UsageError(
      `The mask ${path.basename(file)} is ${found.height}x${found.width}, but the network paints ` +
        `${height}x${width}; give a mask of that size.`,
    );
  }

  /**
   * Ranks the neurons of every layer in a region, the layer looked at first.
   * @throws UsageError when the region holds no pixel @throws CancelledError
   */
  async measure(
    region: Region,
    first: number,
    emit: (event: EventOf<'region'>) => void,
    cancel: CancelToken,
  ): Promise<Result<'region'>> {
    const { width, height } = this.trace.inr.signal;
    const by: Segmentation | undefined =
      region.kind === 'segment' || region.kind === 'mask' ? region : undefined;
    const mask = maskOf(region, height, width, by && (await this.segments(by, cancel)));
    if (mask.area === 0) throw new UsageError('This region holds no pixel; draw a larger one.');
    emit({ type: 'mask', mask });
    const layers = [...this.trace.layers.entries()].sort(
      ([a], [b]) => Number(b === first) - Number(a === first),
    );
    for (const [layer, { statistics }] of layers) {
      const measured = await regionStatistics(this.trace, layer, mask, statistics.total, cancel);
      emit({ type: 'layer', layer, statistics: measured });
    }
    return { area: mask.area };
  }
}
