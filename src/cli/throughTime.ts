import type { Motion, ObjectsThroughTime, TraceResult } from '../worker/protocol';

export interface ThroughTime {
  readonly motion?: Motion;
  /** One a traced layer. */
  readonly objects?: readonly ObjectsThroughTime[];
}

const finite = (value: number) => (Number.isFinite(value) ? value : null);
const mean = (values: Float32Array) => values.reduce((sum, v) => sum + v, 0) / values.length;

/** Added to what `trace --json` prints; maps are left out. */
export function throughTimeJson({ motion, objects }: ThroughTime, { layers }: TraceResult): object {
  return {
    ...(motion && {
      motion: {
        frame: motion.frame,
        flowOf: motion.of,
        meanFlow: mean(motion.flow.data),
        layers: motion.layers.map(({ layer, change, pearson, spearman }) => ({
          layer: layers[layer].name,
          meanChange: mean(change.data),
          pearson: finite(pearson),
          spearman: finite(spearman),
        })),
      },
    }),
    ...(objects && {
      objectsThroughTime: objects.map(({ layer, folder, frames, objects: all }) => ({
        layer: layers[layer].name,
        folder,
        frames,
        objects: all.map(({ label, areas, density, normalised, top }) => ({
          label,
          areas,
          density: density.map(finite),
          normalised: normalised.map(finite),
          top: top.map((neuron) => ({ ...neuron, normalised: neuron.normalised.map(finite) })),
        })),
      })),
    }),
  };
}

export function throughTimeText({ motion, objects }: ThroughTime, { layers }: TraceResult): string[] {
  const number = (value: number) => (Number.isFinite(value) ? value.toFixed(2) : 'undefined');
  return [
    ...(motion
      ? [
          `Frame ${motion.frame - 1} to ${motion.frame}: ${number(mean(motion.flow.data))} pixels of motion on average, found in the ${motion.of}`,
          ...motion.layers.map(
            ({ layer, pearson, spearman }) =>
              `  ${layers[layer].name}: change goes with motion at Pearson ${number(pearson)}, Spearman ${number(spearman)}`,
          ),
        ]
      : []),
    ...(objects ?? []).flatMap(({ layer, folder, objects: all }) => [
      `Objects of ${folder} in ${layers[layer].name}`,
      ...all.map(
        ({ label, top, areas }) =>
          `  ${label}: in ${areas.filter((area) => area > 0).length} frames, most by #${top
            .slice(0, 4)
            .map(({ neuron }) => neuron)
            .join(', #')}`,
      ),
    ]),
  ];
}
