/** The command line. Its options, output and exit codes are a contract (README.md). */
import path from 'node:path';
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { cancelWhen, NotRecognisedError, UsageError, UserError } from '../errors';
import { formats } from '../checkpoint/open';
import { engineNamed } from '../engine/choices';
import { endNativeCalls, nativeCalls } from '../engine/nativeCalls';
import type { RegionFeature } from '../tracing/types';
import {
  resultOverClip,
  type CallName,
  type EventOf,
  type Inspection,
  type NotAnInr,
  type ObjectsThroughTime,
  type Params,
  type Result,
  type TraceResult,
} from '../worker/protocol';
import { Pool, tilesScript } from '../worker/pool';
import { isFolder } from '../worker/frames';
import { Service } from '../worker/service';
import { comparisonJson, comparisonText } from '../worker/comparisonText';
import { baselineOf, findingsFor, methodOf, neuronsCsv, writeText } from './findings';
import { traceFindings } from '../worker/traceText';
import { inspectionText, traceJson, traceText } from './output';
import { throughTimeJson, throughTimeText, type ThroughTime } from './throughTime';

const USAGE = `Usage: neural-canvas COMMAND FILE [options]
  inspect FILE    what the checkpoint holds and what was assumed
  trace FILE      contribution maps and statistics of every neuron
  cluster FILE…   groups of neurons that contribute to like parts of the picture; of several checkpoints of
                  the same picture together
  compare A B     two checkpoints: their pictures, which neurons are the same, what changed in each layer
  sweep PATTERN… --out DIR  one row for each of many checkpoints; see below
  formats         file formats that can be read

  --json                   one JSON document on stdout
  --text                   findings of a trace in words, for a person or an agent to read
  --config FILE            configuration (YAML, JSON) the network was trained with
  --set key=value          corrects an assumption; may be repeated. FILE.inr.json beside the checkpoint
                           holds the same as JSON
  --size HxW, --coords NAME  short for --set size=…, --set coords=…
  --target IMAGE|DIR       PNG to compare the reconstruction with; of a video the folder of its frames. With it
                           inspect too tries out what the file does not say
  --frame N, --time T      frame of a video, or its time from 0 to 1; the first frame by default
  --clip                   statistics and report over frames of the whole video, not of one
  --motion                 what changed from the frame before, and how it goes with what moved
  --layers a,b             trace these layers only
  --maps FILE.npz          writes the maps, readable by numpy
  --reconstruction FILE    writes the picture: .png, or .npy (float32, unclamped)
  --engine NAME            what computes: onnxruntime, tensorflow (TensorFlow.js), or auto, the first that loads
  --method xinc|gradient|ablation  what a neuron's map is; xinc by default
  --baseline zero|mean     what an ablated neuron puts out; zero by default
  --cache DIR              keeps traces there, at most 1 GB, and takes them from there the next time
  --report FILE.html       what the trace says about the network, with the evidence, as one page;
                           .json and .md are written as such
  --objects FILE.png|DIR   label picture, for the report: which neurons draw which object; of a video
                           a folder of one label picture a frame: objects through time, and in the report
  --csv FILE.csv           every neuron's statistics
  --features edge|color|space  what makes two neurons alike, for cluster; edge by default
  --clusters K, --seed N   number of clusters (suggested by default) and seed, for cluster

  sweep takes --config, --set, --size, --coords, --target, --engine and --json too, and
  --out DIR                where rows, sweep.csv and sweep.parquet go; run again, it goes on where it was
  --jobs N                 checkpoints traced at once on this machine; half its cores by default
  --retry                  tries again what ended in an error
  --merge                  only puts the rows that are there together
  --slurm, --tasks N       submits a Slurm job array of N tasks (8 by default), each a share of the files
  --sbatch "OPTIONS"       further options of sbatch
`;

const shared = {
  json: { type: 'boolean' },
  config: { type: 'string' },
  set: { type: 'string', multiple: true },
  size: { type: 'string' },
  coords: { type: 'string' },
} as const satisfies ParseArgsOptionsConfig;

const inspecting = { ...shared, target: { type: 'string' } } as const satisfies ParseArgsOptionsConfig;

const tracing = {
  ...inspecting,
  frame: { type: 'string' },
  time: { type: 'string' },
  motion: { type: 'boolean' },
  clip: { type: 'boolean' },
  layers: { type: 'string' },
  method: { type: 'string' },
  baseline: { type: 'string' },
  objects: { type: 'string' },
  report: { type: 'string' },
  csv: { type: 'string' },
  cache: { type: 'string' },
  text: { type: 'boolean' },
  maps: { type: 'string' },
  reconstruction: { type: 'string' },
  engine: { type: 'string' },
} as const satisfies ParseArgsOptionsConfig;

const clustering = {
  ...tracing,
  clusters: { type: 'string' },
  features: { type: 'string' },
  seed: { type: 'string' },
} as const satisfies ParseArgsOptionsConfig;

/** Bytes that activations may take, and a folder of traces; the extension has settings for them. */
const MEMORY_BUDGET = 2 ** 30;
const CACHE_BYTES = 1e9;

function parse<T extends ParseArgsOptionsConfig>(args: string[], options: T) {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message} Run neural-canvas --help for the options.`);
  }
}

function onlyFile(positionals: readonly string[]): string {
  if (positionals.length !== 1) throw new UsageError(`Give one checkpoint file, not ${positionals.length}.`);
  return path.resolve(positionals[0]);
}

function corrections(values: { set?: string[]; size?: string; coords?: string }): Record<string, string> {
  const given: [string, string][] = (values.set ?? []).map((pair) => {
    const at = pair.indexOf('=');
    if (at < 1) throw new UsageError(`--set takes key=value, not ${JSON.stringify(pair)}.`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  if (values.size !== undefined) given.push(['size', values.size]);
  if (values.coords !== undefined) given.push(['coords', values.coords]);
  return Object.fromEntries(given);
}

function wholeNumber(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) {
    throw new UsageError(`--${name} takes a whole number of at least ${least}, not ${JSON.stringify(text)}.`);
  }
  return value;
}

function frameOrTime({ frame, time }: { frame?: string; time?: string }) {
  const number = wholeNumber('frame', frame, 0);
  if (time === undefined) return number === undefined ? {} : { frame: number };
  if (number !== undefined) throw new UsageError('Give --frame or --time, not both.');
  const value = Number(time);
  if (!(time.trim() !== '' && value >= 0 && value <= 1)) {
    throw new UsageError(`--time takes a number from 0 to 1, not ${JSON.stringify(time)}.`);
  }
  return { time: value };
}

class Run {
  private readonly service = new Service(new Pool(tilesScript()), undefined, (message) =>
    process.stderr.write(`${message}\n`),
  );
  private cancelled = false;
  private readonly cancel = cancelWhen(() => this.cancelled);

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (this.cancelled = true));
  }

  /** @throws UsageError */
  useEngine(name: string): void {
    this.service.engines.choice = engineNamed(name);
  }

  call<K extends CallName>(call: K, params: Params<K>, emit: (event: EventOf<K>) => void = () => {}) {
    return this.service.call(call, params, emit, this.cancel);
  }
}

function recognised<T extends object>(result: T | { readonly notAnInr: NotAnInr }): T {
  if ('notAnInr' in result) throw new NotRecognisedError(result.notAnInr.message);
  return result;
}

const print = (text: string) => process.stdout.write(`${text}\n`);
const printJson = (value: unknown) => print(JSON.stringify(value, null, 2));

async function inspect(args: string[]): Promise<void> {
  const { values, positionals } = parse(args, inspecting);
  const file = onlyFile(positionals);
  const result = await new Run().call('inspect', {
    file,
    corrections: corrections(values),
    ...(values.target !== undefined && { target: path.resolve(values.target) }),
    ...(values.config !== undefined && { config: path.resolve(values.config) }),
  });
  const inspection: Inspection = recognised(result);
  if (values.json) printJson(inspection);
  else print(inspectionText(inspection));
}

const traceWith = (
  run: Run,
  values: ReturnType<typeof parse<typeof tracing>>['values'],
  positionals: readonly string[],
): Promise<TraceResult> => traceAs(run, 'cli', values, onlyFile(positionals));

/** @param trace name of the live trace */
async function traceAs(
  run: Run,
  trace: string,
  values: ReturnType<typeof parse<typeof tracing>>['values'],
  file: string,
): Promise<TraceResult> {
  if (values.engine !== undefined) run.useEngine(values.engine);
  const method = methodOf(values.method);
  const baseline = baselineOf(values.baseline);
  const result: Result<'trace'> = await run.call(
    'trace',
    {
      trace,
      options: {
        file,
        corrections: corrections(values),
        method,
        ...(baseline && { baseline }),
        memoryBudget: MEMORY_BUDGET,
        ...(values.cache !== undefined && {
          cache: { folder: path.resolve(values.cache), bytes: CACHE_BYTES },
        }),
        ...(values.config !== undefined && { config: path.resolve(values.config) }),
        ...(values.target !== undefined && { target: path.resolve(values.target) }),
        ...(values.layers !== undefined && { layers: values.layers.split(',') }),
        ...frameOrTime(values),
      },
    },
    (event) => {
      if (event.type === 'phase') progress(`${event.detail} ${Math.round(event.fraction * 100)} %`);
    },
  );
  const traced = recognised(result);
  if (values.maps !== undefined || values.reconstruction !== undefined) {
    progress('Writing');
    await run.call('export', {
      trace: 'cli',
      ...(values.maps !== undefined && { maps: path.resolve(values.maps) }),
      ...(values.reconstruction !== undefined && { reconstruction: path.resolve(values.reconstruction) }),
    });
  }
  return traced;
}

/** One line that rewrites itself, on a terminal only. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

const tell = ({ detail, fraction }: EventOf<'motion'>) =>
  progress(`${detail} ${Math.round(fraction * 100)} %`);

async function trace(args: string[]): Promise<void> {
  const { values, positionals } = parse(args, tracing);
  const run = new Run();
  const traced = await traceWith(run, values, positionals);
  const result = values.clip
    ? resultOverClip(traced, await run.call('overClip', { trace: 'cli' }, tell))
    : traced;
  const { objects = '' } = values;
  const folder = objects !== '' && isFolder(path.resolve(objects));
  const time = await throughTime(
    run,
    { ...(values.motion && { motion: true }), ...(folder && { objects }) },
    result.layers.length,
  );
  const findings = await findingsFor(run, values, folder, progress);
  if (values.csv !== undefined) writeText(path.resolve(values.csv), neuronsCsv(result));
  progress('');
  if (values.json)
    printJson({ ...(traceJson(result, findings) as object), ...throughTimeJson(time, result) });
  else if (values.text) print([traceFindings(result), ...throughTimeText(time, result)].join('\n'));
  else print([traceText(result), ...throughTimeText(time, result)].join('\n'));
}

/** What was asked about the frames of a video. */
async function throughTime(
  run: Run,
  { motion, objects }: { motion?: boolean; objects?: string },
  layers: number,
): Promise<ThroughTime> {
  const found: ObjectsThroughTime[] = [];
  if (objects !== undefined) {
    for (let layer = 0; layer < layers; layer++) {
      found.push(await run.call('objects', { trace: 'cli', layer, folder: path.resolve(objects) }, tell));
    }
  }
  return {
    ...(motion && { motion: await run.call('motion', { trace: 'cli' }, tell) }),
    ...(objects !== undefined && { objects: found }),
  };
}

async function cluster(args: string[]): Promise<void> {
  const { values, positionals } = parse(args, clustering);
  onlyTrace(values);
  const features = (values.features ?? 'edge') as RegionFeature;
  if (!['edge', 'color', 'space'].includes(features)) {
    throw new UsageError(`--features takes edge, color or space, not ${JSON.stringify(values.features)}.`);
  }
  const clusters = wholeNumber('clusters', values.clusters, 1);
  const seed = wholeNumber('seed', values.seed, 0) ?? 0;
  const run = new Run();
  if (positionals.length === 0) throw new UsageError('Give the checkpoints whose neurons are to be grouped.');
  if (positionals.length > 1) onlyOne(values, 'maps', 'reconstruction');
  const results: TraceResult[] = [];
  for (const [k, file] of positionals.entries()) {
    results.push(await traceAs(run, k === 0 ? 'cli' : `cli ${k}`, values, path.resolve(file)));
  }
  const [traced] = results;
  const layers = traced.layers.map((_, index) => index);
  const clustering_ = await run.call('cluster', {
    trace: 'cli',
    with: results.slice(1).map((_, k) => `cli ${k + 1}`),
    options: { features, seed, layers, ...(clusters !== undefined && { clusters }) },
  });
  progress('');
  const several = results.length > 1;
  const name = (layer: number, model = 0) => results[model].layers[layer].name;
  // With several checkpoints each neuron says whose it is, by the place of the file.
  const whose = ({ layer, model = 0 }: { layer: number; model?: number }) => ({
    layer: name(layer, model),
    ...(several && { model }),
  });
  const { points, summaries, ...whole } = clustering_;
  const named = {
    ...whole,
    points: points.map(({ neuron, x, y, cluster, ...of }) => ({ ...whose(of), neuron, x, y, cluster })),
    summaries: summaries.map(({ size, nearest, layerMix, affinities, motion }) => ({
      size,
      nearest: nearest.map(({ neuron, ...of }) => ({ ...whose(of), neuron })),
      layerMix: layerMix.map(({ count, ...of }) => ({ ...whose(of), count })),
      affinities,
      ...(motion && { motion }),
    })),
  };
  if (values.json) {
    printJson({
      file: traced.inspection.file,
      family: traced.inspection.family,
      ...(several && { files: results.map(({ inspection }) => inspection.file) }),
      ...named,
    });
    return;
  }
  const how = whole.suggested ? 'suggested' : 'asked for';
  print(
    `${points.length} neurons in ${whole.clusters} clusters (${how}), ${whole.deadLeftOut} dead left out`,
  );
  for (const [index, { size, nearest, layerMix, motion }] of named.summaries.entries()) {
    const of = ({ layer, model }: { layer: string; model?: number }) =>
      model === undefined ? layer : `${'ABCDEFGH'[model] ?? model + 1}:${layer}`;
    const mix = layerMix.map(({ count, ...layer }) => `${of(layer)} ${count}`).join(', ');
    const members = nearest.slice(0, 4).map(({ neuron, ...layer }) => `${of(layer)} #${neuron}`);
    print(
      `  ${index}: ${size} neurons (${mix}); nearest the centre: ${members.join(', ')}${motion ? `; with motion r ${motion.correlation.toFixed(2)}` : ''}`,
    );
  }
}

/** @throws UsageError when an option is given that only `trace` has, which parsing alone does not tell */
function onlyTrace(values: Readonly<Record<string, unknown>>): void {
  for (const name of ['clip', 'motion', 'report', 'csv', 'text', 'objects']) {
    if (values[name] !== undefined) throw new UsageError(`--${name} is for trace; leave it out.`);
  }
}

/** @throws UsageError when an option is given that is for one checkpoint only */
function onlyOne(values: Readonly<Record<string, unknown>>, ...names: readonly string[]): void {
  for (const name of names) {
    if (values[name] !== undefined) throw new UsageError(`--${name} is for one checkpoint; leave it out.`);
  }
}

async function compare(args: string[]): Promise<void> {
  const { values, positionals } = parse(args, tracing);
  onlyTrace(values);
  if (positionals.length !== 2) throw new UsageError(`Give two checkpoints, not ${positionals.length}.`);
  onlyOne(values, 'maps', 'reconstruction');
  const run = new Run();
  const a = await traceAs(run, 'cli', values, path.resolve(positionals[0]));
  const b = await traceAs(run, 'cli 1', values, path.resolve(positionals[1]));
  const comparison = await run.call('compare', { a: 'cli', b: 'cli 1' }, ({ detail, fraction }) =>
    progress(`${detail} ${Math.round(fraction * 100)} %`),
  );
  progress('');
  const inspections = [a.inspection, b.inspection] as const;
  if (values.json) printJson(comparisonJson(inspections, comparison));
  else print(comparisonText(inspections, comparison));
}

function listFormats(): void {
  for (const { id, title, extensions } of formats) {
    print(`${id.padEnd(20)} ${title.padEnd(32)} ${extensions.join(' ')}`);
  }
}

async function sweepCommand(args: string[]): Promise<void> {
  const { sweep, sweepOptions } = await import('../sweep/cli');
  const { set, size, coords } = shared;
  const { values, positionals } = parse(args, { ...sweepOptions, set, size, coords });
  await sweep(values, positionals, corrections(values), path.join(__dirname, 'worker.js'), print);
}

async function main(): Promise<void> {
  const [command, ...args] = process.argv.slice(2);
  switch (command) {
    case 'inspect':
      return inspect(args);
    case 'trace':
      return trace(args);
    case 'cluster':
      return cluster(args);
    case 'compare':
      return compare(args);
    case 'sweep':
      return sweepCommand(args);
    case 'formats':
      return listFormats();
    case '--help':
    case '-h':
    case 'help':
      return void process.stdout.write(USAGE);
    default:
      throw new UsageError(
        command === undefined
          ? 'Give a command: inspect, trace, cluster, compare, sweep or formats.'
          : `There is no command ${JSON.stringify(command)}; use inspect, trace, cluster, compare, sweep or formats.`,
      );
  }
}

process.once('exit', () => endNativeCalls(nativeCalls));

// `neural-canvas … | head` closes the pipe early; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

main().catch((error: unknown) => {
  progress('');
  if (error instanceof UserError) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  } else {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  }
});
