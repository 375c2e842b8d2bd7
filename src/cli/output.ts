import type { FindingsDocument } from '../findings/document';
import { unitOf } from '../tracing/units';
import type { Inspection, TraceResult } from '../worker/protocol';

const percent = (fraction: number) => `${(fraction * 100).toFixed(1)} %`;

export function inspectionText(inspection: Inspection): string {
  const { signal, layers, assumptions, warnings, untraceable } = inspection;
  const lines = [
    `${inspection.title} (${inspection.format}, confidence ${inspection.confidence.toFixed(2)})`,
    ...(untraceable === undefined
      ? [
          `  ${signal.kind} ${signal.height}x${signal.width}, ${signal.channels} channels, ${signal.frames} frames`,
          `  ${inspection.parameters.toLocaleString('en')} parameters, ${inspection.encoding}, ${inspection.activation}`,
        ]
      : [
          `  ${signal.kind}, ${inspection.parameters.toLocaleString('en')} parameters`,
          `  Cannot be traced: ${untraceable}.`,
        ]),
    'Layers',
    ...layers.map((l) => `  ${l.name}: ${l.kind} ${l.inputs} -> ${l.outputs}, ${l.activation}`),
    'Assumptions',
    ...assumptions.map(
      (a) =>
        `  ${a.name} = ${a.value} (${a.source}${a.detail ? `, ${a.detail}` : ''}, confidence ${a.confidence})`,
    ),
    ...warnings.map((warning) => `Warning: ${warning}`),
  ];
  return lines.join('\n');
}

/** Layers that have neurons but were not traced. */
const leftOut = ({ inspection, layers }: TraceResult): string[] => {
  const traced = new Set(layers.map(({ name }) => name));
  return inspection.layers.filter(({ name, neurons }) => neurons > 0 && !traced.has(name)).map((l) => l.name);
};

export function traceText(result: TraceResult): string {
  const { inspection, layers, psnr, target, timings, engine, engineNote, frame, over, completeness } = result;
  const made = `${Math.round(timings.trace)} ms${result.restored ? ' from the cache, computed' : ''}`;
  const quality = psnr === undefined ? '' : `, ${psnr.toFixed(2)} dB against ${target}`;
  const lines = [
    `${inspection.title}${frame === undefined ? '' : `, frame ${frame}`}${quality}, traced in ${made} by ${engine}`,
    ...(over ? [`Over frames ${over.join(', ')}`] : []),
    ...layers.map((layer) => {
      const { distributedness: d } = layer;
      return (
        `  ${layer.name}: ${layer.neurons} ${unitOf(layer)}s, ${d.dead} dead, Gini ${d.gini.toFixed(2)}, ` +
        `${d.neuronsFor50} hold half; ${percent(layer.neuronsPerPixel[0].mean)} count at a pixel`
      );
    }),
    ...(engineNote === undefined ? [] : [engineNote]),
    ...(completeness.layers ?? []).map(
      ({ layer, largest }) =>
        `  ${layer}: its kernels add up to what follows within ${largest.toExponential(1)}`,
    ),
    ...leftOut(result).map((name) => `  ${name}: not traced; ask for it with --layers`),
  ];
  return lines.join('\n');
}

/** The document that `trace --json` prints; arrays instead of typed arrays, previews left out. */
export function traceJson(result: TraceResult, findings?: FindingsDocument): unknown {
  const {
    inspection,
    layers,
    psnr,
    target,
    completeness,
    timings,
    restored,
    engine,
    engineNote,
    frame,
    over,
  } = result;
  const byLayer = <T>(pick: (layer: (typeof layers)[number]) => T) =>
    layers.map((layer) => ({ layer: layer.name, value: pick(layer) }));
  return {
    ...inspection,
    ...(psnr !== undefined && { psnr, target }),
    ...(frame !== undefined && { frame }),
    ...(over && { over }),
    leftOut: leftOut(result),
    layers: layers.map(
      ({ name, kind, neurons, outputs, activation, mapDefinition, statistics: s, ...layer }) => ({
        name,
        kind,
        inputs: layer.convolution?.inputs ?? neurons,
        outputs,
        ...(layer.convolution && { kernel: layer.convolution.kernel, shuffle: layer.convolution.shuffle }),
        activation,
        map: mapDefinition,
        neurons: Array.from(s.total, (total, index) => ({
          index,
          ...(layer.convolution && { input: Math.floor(index / outputs), output: index % outputs }),
          total,
          share: s.share[index],
          mean: s.mean[index],
          signedMean: s.signedMean[index],
          max: s.max[index],
          pixels: s.pixels[index],
          dead: s.dead[index] === 1,
        })),
      }),
    ),
    neuronsPerPixel: byLayer((layer) => layer.neuronsPerPixel).map(({ layer, value }) => ({
      layer,
      thresholds: value,
    })),
    distributedness: byLayer((layer) => layer.distributedness).map(({ layer, value }) => ({
      layer,
      ...value,
    })),
    method: findings?.method,
    faithfulness: { completeness, ...findings?.card },
    ...(findings && {
      findings: {
        affinity: findings.layers.map(({ name, affinity, stableRank }) => ({
          layer: name,
          stableRank,
          ...affinity,
        })),
        objects: findings.objects,
        ...(findings.motion !== undefined && { motion: motionJson(findings) }),
        signs: findings.signs,
        bands: findings.bands,
        grid: findings.grid,
        milliseconds: findings.milliseconds,
      },
    }),
    timings,
    restored,
    engine,
    ...(engineNote !== undefined && { engineNote }),
  };
}

/** Without its pictures. */
function motionJson({ motion, layers }: FindingsDocument): unknown {
  if (!motion || 'missing' in motion) return motion;
  const { figure: _, ...told } = motion;
  return { ...told, layers: told.layers.map((layer, k) => ({ layer: layers[k].name, ...layer })) };
}
