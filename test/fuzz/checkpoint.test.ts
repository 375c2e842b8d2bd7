/**
 * Opens damaged files of every format. Whatever is in a file, the result is a checkpoint or a
 * CheckpointError of one sentence: no other exception, no change of a prototype, less than 5 s,
 * and memory for at most four times the file and 200 MB.
 *
 * `npm run fuzz` opens half a million; FUZZ_FILES and FUZZ_SEED choose how many and which.
 */
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formats, openCheckpoint } from '../../src/checkpoint/open';
import { hyperParameters, stateDicts, toPlain } from '../../src/checkpoint/values';
import type { Checkpoint } from '../../src/checkpoint/types';
import { UserError } from '../../src/errors';
import { fromOnnx } from '../../src/graph/fromOnnx';
import type { Graph } from '../../src/graph/types';
import { recognise } from '../../src/inr/recognise';
import { fixtureBytes, fixtures, inFolder } from '../unit/checkpoint/helpers/files';
import { mutate, Random } from './mutate';

const count = Number(process.env.FUZZ_FILES ?? (process.env.MODE === 'fuzz' ? 500_000 : 5_000));
const firstSeed = Number(process.env.FUZZ_SEED ?? 1);
const maxMilliseconds = 5_000;
const maxBytes = (file: number) => 4 * file + 200 * 2 ** 20;

type Files = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/** Each fixture, with the files that it names. */
const together: Record<string, readonly string[]> = {
  'sharded.bin.index.json': ['pytorch-00001-of-00002.bin', 'pytorch-00002-of-00002.bin'],
  'sharded.safetensors.index.json': ['part-00001-of-00002.safetensors', 'part-00002-of-00002.safetensors'],
  'external.onnx': ['external.bin'],
  'tfjs/model.json': ['group1-shard1of2.bin', 'group1-shard2of2.bin', 'group2-shard1of1.bin'],
};
const subjects = [
  ...fs
    .readdirSync(fixtures)
    .filter((name) => !/\.(py|mjs|json|bin)$|^tfjs$|^__pycache__$|^part-/.test(name)),
  'sharded.bin.index.json',
  'sharded.safetensors.index.json',
  'tfjs/model.json',
].map((name) => ({
  name,
  files: new Map(
    [path.basename(name), ...(together[name] ?? [])].map((file) => [
      file,
      fixtureBytes(path.join(path.dirname(name), file)),
    ]),
  ),
}));

/** Small networks, so that damage reaches what recognises them. */
const networks = path.join(import.meta.dirname, '../fixtures/inr');
for (const name of fs.readdirSync(networks).filter((file) => /\.(pt|tar)$/.test(file))) {
  const bytes = new Uint8Array(fs.readFileSync(path.join(networks, name)));
  if (bytes.length < 24_000) subjects.push({ name, files: new Map([[name, bytes]]) });
}

/** Files that hold what they compute, which becomes a graph of ours. */
const networksOf = (...parts: string[]) => new Uint8Array(fs.readFileSync(path.join(networks, ...parts)));
for (const name of fs.readdirSync(path.join(networks, 'onnx')).filter((file) => file.endsWith('.onnx'))) {
  subjects.push({ name, files: new Map([[name, networksOf('onnx', name)]]) });
}
for (const name of ['siren', 'fourier']) {
  const files = ['model.json', 'group1-shard1of1.bin'].map(
    (file) => [file, networksOf('tfjs', name, file)] as const,
  );
  subjects.push({ name: `tfjs graph ${name}`, files: new Map(files) });
}

/** All that is done with a checkpoint before its network is recognised. */
function use(files: Files): Checkpoint {
  const [name] = files.keys();
  const checkpoint = openCheckpoint(inFolder(files, name));
  hyperParameters(checkpoint);
  toPlain(checkpoint.root);
  for (const { tensors } of stateDicts(checkpoint).slice(0, 3)) {
    for (const tensor of [...tensors.values()].slice(0, 10)) {
      expect(tensor.read().length).toBe(tensor.size * (tensor.isComplex ? 2 : 1));
    }
  }
  return checkpoint;
}

/** The graph in a file, if it holds one. */
function graphIn({ graph, onnx }: Checkpoint): Graph | undefined {
  return onnx ? fromOnnx(onnx.model, { external: onnx.external }) : graph?.();
}

/** A damaged network is taken for one or refused; that takes no exception of its own. */
function recognised(checkpoint: Checkpoint): void {
  const result = recognise(checkpoint, { sidecars: [], corrections: new Map() });
  if (!result.recognised) expect(result.seen.length).toBeGreaterThan(10);
}

const prototypes = [Object.prototype, Array.prototype, Map.prototype, Function.prototype];
const shape = () => prototypes.map((prototype) => Object.getOwnPropertyNames(prototype).length);

/** Ends the process when one file takes far too long: nothing else stops a loop without end. */
const beat = new Int32Array(new SharedArrayBuffer(4));
let watchdog: Worker;
beforeAll(() => {
  watchdog = new Worker(
    `const { workerData: beat } = require('node:worker_threads');
     let last = -1;
     setInterval(() => {
       const now = Atomics.load(beat, 0);
       if (now === last) {
         process.stderr.write('Seed ' + now + ' does not end.\\n');
         process.kill(process.pid, 'SIGKILL');
       }
       last = now;
     }, 20_000);`,
    { eval: true, workerData: beat },
  );
});
afterAll(() => watchdog.terminate());

describe('damaged files', () => {
  it(`of every format are read or refused: ${count} of them`, { timeout: 3_600_000 }, () => {
    const before = shape();
    const opened = new Map<string, number>();
    const graphs = new Set<string>();
    for (let seed = firstSeed; seed < firstSeed + count; seed++) {
      Atomics.store(beat, 0, seed);
      const random = new Random(seed);
      const { name, files } = subjects[seed % subjects.length];
      const victim = random.pick([...files.keys()]);
      const damaged = new Map(
        [...files].map(([file, bytes]) => [file, file === victim ? mutate(bytes, random) : bytes]),
      );
      const size = [...damaged.values()].reduce((sum, bytes) => sum + bytes.length, 0);
      const memory = process.resourceUsage().maxRSS * 1024;
      const limit = process.memoryUsage.rss() + maxBytes(size);
      const start = performance.now();
      const where = `${name}, FUZZ_SEED=${seed}`;
      try {
        const checkpoint = use(damaged);
        opened.set(checkpoint.format, (opened.get(checkpoint.format) ?? 0) + 1);
        recognised(checkpoint);
        if (graphIn(checkpoint)) graphs.add(checkpoint.format);
      } catch (error) {
        if (!(error instanceof UserError)) throw new Error(where, { cause: error });
        expect(error.message, where).toMatch(/^[^\n]{10,700}\.$/);
      }
      expect(performance.now() - start, where).toBeLessThan(maxMilliseconds);
      const peak = process.resourceUsage().maxRSS * 1024;
      if (peak > memory) expect(peak, where).toBeLessThan(limit);
    }
    expect(shape()).toEqual(before);
    // Damage that never got past the first bytes would test nothing.
    if (count >= 5000) expect([...opened.keys()].sort()).toEqual(formats.map(({ id }) => id).sort());
    if (count >= 5000) expect([...graphs].sort()).toEqual(['onnx', 'tfjs']);
  });
});
