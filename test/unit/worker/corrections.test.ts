import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { neverCancelled, UsageError } from '../../../src/errors';
import { checkpointExtensions } from '../../../src/panels/fileTypes';
import { correctionsText, readCorrections, withCorrections } from '../../../src/worker/corrections';
import type { Params } from '../../../src/worker/protocol';
import { Service } from '../../../src/worker/service';
import { traceFile } from '../../support';

const root = path.resolve(import.meta.dirname, '../../..');
const samples = path.join(root, 'samples/pictures');
const folder = mkdtempSync(path.join(tmpdir(), 'neural-canvas-'));
afterAll(() => rmSync(folder, { recursive: true }));

const file = path.join(folder, 'project', 'siren.pth');
const beside = (text: string) => writeFileSync(`${file}.inr.json`, text);
beforeEach(() => {
  rmSync(path.dirname(file), { recursive: true, force: true });
  mkdirSync(path.dirname(file));
  copyFileSync(path.join(samples, 'checkpoints/siren.pth'), file);
});

describe('corrections beside a checkpoint', () => {
  it('are absent when there is no file', () => {
    expect(readCorrections(file)).toBeUndefined();
  });

  it('are numbers, texts and sizes', () => {
    beside('{"$schema": "x", "omega0": 20, "coords": "xy-per-side", "size": [64, 96]}');
    expect(readCorrections(file)).toEqual({ omega0: '20', coords: 'xy-per-side', size: '64x96' });
  });

  it('are what was written', () => {
    const values = { omega0: '20', hiddenOmega: '1.5', coords: 'xy-per-side', size: '64x96', note: '007' };
    beside(correctionsText(values));
    expect(readCorrections(file)).toEqual(values);
    expect((JSON.parse(correctionsText(values)) as { omega0: unknown }).omega0).toBe(20);
  });

  it.each([
    ['not JSON', '{omega0: 3'],
    ['empty', ''],
    ['a list', '[1, 2]'],
    ['nothing', 'null'],
    ['an object as a value', '{"omega0": {"a": 1}}'],
    ['no value', '{"omega0": null}'],
    ['huge', `{"a": "${'x'.repeat(70_000)}"}`],
  ])('%s is refused with the file named', (_, text) => {
    beside(text);
    expect(() => readCorrections(file)).toThrow(UsageError);
    expect(() => readCorrections(file)).toThrow(/siren\.pth\.inr\.json/);
  });

  it('change no prototype', () => {
    beside('{"__proto__": "polluted", "constructor": "x"}');
    readCorrections(file);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  });

  it('give way to those given', () => {
    beside('{"omega0": 20, "range": "0..1"}');
    const source = withCorrections({ file, corrections: { omega0: '30' } });
    expect(source.corrections).toEqual({ omega0: '30', range: '0..1' });
    expect(source.correctionsFile).toBe(`${file}.inr.json`);
  });

  it.each(['/etc/picture.png', 'C:\\picture.png', '\\\\host\\share\\picture.png', '//host/picture.png'])(
    'name no target outside the project: %s',
    (target) => {
      beside(JSON.stringify({ target }));
      expect(() => withCorrections({ file, corrections: {} })).toThrow(/relative path/);
    },
  );

  it('decide how a trace opens the file', async () => {
    copyFileSync(path.join(samples, 'target.png'), path.join(path.dirname(file), 'photo.png'));
    beside('{"coords": "xy-per-side", "target": "photo.png"}');
    const { inspection, psnr } = await traceFile(new Service(), file);
    expect(inspection.correctionsFile).toBe(`${file}.inr.json`);
    const coords = inspection.assumptions.find(({ name }) => name === 'coords');
    expect(coords).toMatchObject({ value: 'xy-per-side', source: 'correction' });
    // The sample was trained on (row, column): the wrong order is far from its target.
    expect(psnr).toBeLessThan(25);
  });

  it('say where a setting without meaning stands', async () => {
    beside('{"omega_zero": 3}');
    await expect(traceFile(new Service(), file)).rejects.toThrow(/omega_zero.*siren\.pth\.inr\.json/);
  });
});

describe('a preview', () => {
  const preview = (params: Partial<Params<'preview'>>) =>
    new Service().call(
      'preview',
      { file, corrections: {}, assumed: {}, side: 64, ...params },
      () => {},
      neverCancelled,
    );
  const drawn = async (params: Partial<Params<'preview'>>) => {
    const result = await preview(params);
    if ('notAnInr' in result) throw new Error(result.notAnInr.message);
    return result;
  };

  it('is a small picture, scored against the target', async () => {
    copyFileSync(path.join(samples, 'target.png'), path.join(path.dirname(file), 'target.png'));
    const { picture, psnr } = await drawn({});
    expect(Math.max(picture.width, picture.height)).toBeLessThanOrEqual(64);
    expect(picture.rgba).toHaveLength(4 * picture.width * picture.height);
    expect(psnr).toBeGreaterThan(35);
    const wrong = await drawn({ corrections: { coords: 'xy-per-side' } });
    expect(wrong.psnr).toBeLessThan(25);
  });

  it('leaves out corrections that the new network does not have', async () => {
    const { dropped, inspection } = await drawn({ corrections: { activation: 'gaussian', omega0: '20' } });
    expect(dropped).toEqual(['omega0']);
    expect(inspection.assumptions.map(({ name }) => name)).toContain('scale');
  });

  it('searches what is open when nothing is assumed', async () => {
    copyFileSync(path.join(samples, 'target.png'), path.join(path.dirname(file), 'target.png'));
    const wrong = { coords: 'xy-per-side', range: '0..255' };
    expect((await drawn({ assumed: wrong })).psnr).toBeLessThan(25);
    expect((await drawn({ assumed: null })).psnr).toBeGreaterThan(35);
  });

  it('refuses a value without meaning, in one sentence', async () => {
    await expect(preview({ corrections: { omega0: 'fast' } })).rejects.toThrow(/“fast” is no value/);
  });
});

describe('the manifest', () => {
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    contributes: {
      menus: Record<string, { command: string; when: string }[]>;
      customEditors: { selector: { filenamePattern: string }[] }[];
    };
  };

  it('offers every kind of checkpoint in menus and editors', () => {
    const { menus, customEditors } = manifest.contributes;
    const patterns = customEditors[0].selector.map(({ filenamePattern }) => filenamePattern).join();
    for (const extension of checkpointExtensions) {
      expect(patterns).toMatch(new RegExp(`[{,]${extension}[,}]`));
      for (const menu of ['explorer/context', 'editor/title', 'editor/title/context']) {
        const trace = menus[menu].find(({ command }) => command === 'neuralCanvas.trace');
        expect(trace?.when).toMatch(new RegExp(`[(|]${extension}[|)]`));
      }
    }
  });

  it('has every setting that recognition defines in the schema of corrections', () => {
    const schema = JSON.parse(readFileSync(path.join(root, 'media/inr.schema.json'), 'utf8')) as {
      readonly properties: Readonly<Record<string, unknown>>;
    };
    const folder = path.join(root, 'src/inr');
    const names = new Set<string>();
    for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts')) continue;
      const source = readFileSync(path.join(folder, file), 'utf8');
      for (const [, name] of source.matchAll(/Setting(?:<[^>]*>)?\(\s*'(\w+)'/g)) names.add(name);
    }
    expect(names.size).toBeGreaterThan(15);
    expect([...names].filter((name) => !(name in schema.properties))).toEqual([]);
  });

  it('describes every setting in the schema of corrections', async () => {
    const schema = JSON.parse(readFileSync(path.join(root, 'media/inr.schema.json'), 'utf8')) as {
      properties: Record<string, unknown>;
    };
    const fixtures = path.join(root, 'test/fixtures/inr');
    const index = JSON.parse(readFileSync(path.join(fixtures, 'index.json'), 'utf8')) as { file: string }[];
    const service = new Service();
    for (const { file: name } of index) {
      const inspection = await service.call(
        'inspect',
        { file: path.join(fixtures, name), corrections: {} },
        () => {},
        neverCancelled,
      );
      if ('notAnInr' in inspection) continue;
      for (const assumption of inspection.assumptions)
        expect(schema.properties).toHaveProperty(assumption.name);
    }
  });
});
